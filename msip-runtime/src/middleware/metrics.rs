//! Metrics of exchanges.

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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use ::metrics::{
        Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Recorder,
        SharedString, Unit,
    };

    use super::*;
    use crate::{
        MsgKind, Status, Variant,
        call::Serving,
        middleware::{ExchangeEnd, Handling, Stack},
    };

    /// Everything that was recorded, as lines.
    #[derive(Default, Clone)]
    struct Book(Arc<Mutex<Vec<String>>>);

    /// One metric of the book.
    struct Line(Book, String);

    impl Line {
        fn write(&self, what: impl std::fmt::Display) {
            let line = format!("{} {what}", self.1);
            self.0.0.lock().unwrap().push(line);
        }
    }

    impl CounterFn for Line {
        fn increment(&self, value: u64) {
            self.write(value);
        }
        fn absolute(&self, value: u64) {
            self.write(value);
        }
    }

    impl GaugeFn for Line {
        fn increment(&self, value: f64) {
            self.write(value);
        }
        fn decrement(&self, value: f64) {
            self.write(-value);
        }
        fn set(&self, value: f64) {
            self.write(value);
        }
    }

    impl HistogramFn for Line {
        fn record(&self, value: f64) {
            // How long it took is another time each time.
            self.write(if value < 1.0 {
                "measured".to_owned()
            } else {
                value.to_string()
            });
        }
    }

    impl Book {
        fn line(&self, key: &Key) -> Arc<Line> {
            let labels: Vec<_> = key.labels().map(::metrics::Label::value).collect();
            let text = format!("{}({})", key.name(), labels.join(" "));
            Arc::new(Line(self.clone(), text))
        }
    }

    impl Recorder for Book {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn register_counter(&self, key: &Key, _: &::metrics::Metadata<'_>) -> Counter {
            Counter::from_arc(self.line(key))
        }
        fn register_gauge(&self, key: &Key, _: &::metrics::Metadata<'_>) -> Gauge {
            Gauge::from_arc(self.line(key))
        }
        fn register_histogram(&self, key: &Key, _: &::metrics::Metadata<'_>) -> Histogram {
            Histogram::from_arc(self.line(key))
        }
    }

    struct Fails;

    impl ExchangeEnd for Fails {
        fn run<'a>(&'a mut self, _: &'a mut ExchangeContext) -> Handling<'a> {
            Box::pin(async { Err(Status::not_found("no").into()) })
        }
    }

    static CALL: Variant = Variant::new(1, "price_req", MsgKind::Command).call(2);

    #[test]
    fn each_exchange_is_counted_with_what_came_of_it() {
        let book = Book::default();
        let mut stack = Stack::default();
        stack.push(Metrics::new());
        let exchange = || ExchangeContext::incoming(&CALL, false, 7, None, Serving::default());
        ::metrics::with_local_recorder(&book, || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            let (mut exchange, mut end) = (exchange(), Fails);
            let outcome = runtime.block_on(stack.run(&mut exchange, &mut end));
            outcome.unwrap_err();
        });
        let labels = "incoming price_req call";
        let expected = [
            format!("msip_body_bytes({labels}) 7"),
            format!("msip_exchanges_open({labels}) 1"),
            format!("msip_exchanges_open({labels}) -1"),
            format!("msip_exchanges_total({labels} NOT_FOUND) 1"),
            format!("msip_exchange_seconds({labels} NOT_FOUND) measured"),
        ];
        assert_eq!(*book.0.lock().unwrap(), expected);
        ::metrics::with_local_recorder(&book, || {
            let mut exchange = exchange();
            drop(Open::new(&mut exchange));
        });
        let book = book.0.lock().unwrap();
        let dropped = format!("msip_exchanges_total({labels} CANCELLED) 1");
        assert!(book.contains(&dropped), "{book:?}");
    }
}
