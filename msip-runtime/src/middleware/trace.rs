//! Tracing: a span and a log line for each exchange.

use tracing::Instrument as _;

use super::{ExchangeContext, Middleware, Next};
use crate::CallError;
use msip_session::wire::Escaped;

/// Traces each exchange: a span `exchange` at level info, with its `direction`, `message` and its
/// `variant` (the number), `shape`, and the
/// `correlation_id` and `traceparent` that go with it; and at its end an event in it, with its `code` (`OK` where it went
/// well), `elapsed_us`, `body_len` and `answer_len`. What was said is never traced.
///
/// The target of both is `msip_runtime::middleware`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tracing {
    _private: (),
}

impl Tracing {
    /// Traces.
    #[must_use]
    pub const fn new() -> Self {
        Self { _private: () }
    }
}

impl Middleware for Tracing {
    async fn handle(
        &self,
        exchange: &mut ExchangeContext,
        mut next: Next<'_>,
    ) -> Result<(), CallError> {
        let metadata = exchange.metadata();
        let span = tracing::info_span!(
            target: "msip_runtime::middleware",
            "exchange",
            direction = exchange.direction().name(),
            message = exchange.message(),
            variant = exchange.variant_number(),
            shape = exchange.shape().name(),
            correlation_id = metadata.correlation_id().map(|id| tracing::field::display(Escaped::new(id))),
            traceparent = metadata.traceparent().map(|trace| tracing::field::display(Escaped::new(trace))),
        );
        async {
            let outcome = next.run(exchange).await;
            let elapsed_us = u64::try_from(exchange.elapsed().as_micros()).unwrap_or(u64::MAX);
            tracing::info!(
                target: "msip_runtime::middleware",
                code = outcome_name(&outcome),
                elapsed_us,
                body_len = exchange.body_len(),
                answer_len = exchange.answer_len(),
                "done"
            );
            outcome
        }
        .instrument(span)
        .await
    }
}

/// `OK`, or the code of the error.
pub(super) fn outcome_name(outcome: &Result<(), CallError>) -> &'static str {
    match outcome {
        Ok(()) => "OK",
        Err(error) => error.code().name(),
    }
}
