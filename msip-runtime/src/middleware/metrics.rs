//! Figures of exchanges.

use super::{ExchangeContext, Middleware, Next, trace::outcome_name};
use crate::CallError;

/// Counts and measures each exchange through the facade [`metrics`], for whatever recorder the program has installed.
///
/// | name | type | labels |
/// | --- | --- | --- |
/// | `msip_exchanges_total` | counter, at the end of an exchange | `direction`, `message`, `shape`, `code` |
/// | `msip_exchange_seconds` | histogram of how long they took | `direction`, `message`, `shape`, `code` |
/// | `msip_exchanges_open` | gauge of those under way | `direction`, `message`, `shape` |
/// | `msip_body_bytes` | histogram of the length of what begins them | `direction`, `message`, `shape` |
///
/// `code` is `OK` or that of the error; one that is dropped before its end counts as `CANCELLED`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Metrics {
    _private: (),
}

impl Metrics {
    /// Measures.
    #[must_use]
    pub const fn new() -> Self {
        Self { _private: () }
    }
}

/// The labels of an exchange.
#[derive(Debug, Clone, Copy)]
struct Labels {
    direction: &'static str,
    message: &'static str,
    shape: &'static str,
}

/// An exchange under way; one that is dropped is counted too.
struct Open<'a> {
    exchange: &'a mut ExchangeContext,
    labels: Labels,
    code: &'static str,
}

impl<'a> Open<'a> {
    fn new(exchange: &'a mut ExchangeContext) -> Self {
        let labels = Labels {
            direction: exchange.direction().name(),
            message: exchange.message(),
            shape: exchange.shape().name(),
        };
        let Labels {
            direction,
            message,
            shape,
        } = labels;
        // The largest body that any setting allows has 1 GiB.
        let len = u32::try_from(exchange.body_len()).map_or(f64::INFINITY, f64::from);
        ::metrics::histogram!("msip_body_bytes", "direction" => direction, "message" => message, "shape" => shape)
            .record(len);
        open(labels).increment(1.0);
        Self {
            exchange,
            labels,
            code: "CANCELLED",
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let Labels {
            direction,
            message,
            shape,
        } = self.labels;
        let code = self.code;
        open(self.labels).decrement(1.0);
        ::metrics::counter!("msip_exchanges_total", "direction" => direction, "message" => message, "shape" => shape, "code" => code)
            .increment(1);
        ::metrics::histogram!("msip_exchange_seconds", "direction" => direction, "message" => message, "shape" => shape, "code" => code)
            .record(self.exchange.elapsed());
    }
}

fn open(labels: Labels) -> ::metrics::Gauge {
    let Labels {
        direction,
        message,
        shape,
    } = labels;
    ::metrics::gauge!("msip_exchanges_open", "direction" => direction, "message" => message, "shape" => shape)
}

impl Middleware for Metrics {
    async fn handle(
        &self,
        exchange: &mut ExchangeContext,
        mut next: Next<'_>,
    ) -> Result<(), CallError> {
        let mut open = Open::new(exchange);
        let outcome = next.run(open.exchange).await;
        open.code = outcome_name(&outcome);
        outcome
    }
}
