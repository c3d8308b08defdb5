//! Metrics of exchanges.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

use ::metrics::{Counter, Gauge, Histogram};

use super::{Direction, ExchangeContext, Middleware, Next, Shape, trace::outcome_name};
use crate::{CallError, Code, instruments};

/// Counts and measures each exchange through the facade [`metrics`], for whatever recorder the program has installed:
/// `msip_exchanges_total`, `msip_exchange_seconds`, `msip_exchanges_open` and `msip_body_bytes`. What the feature `metrics`
/// measures beside exchanges, such as connections and queues, needs no middleware. docs/operations.md, "Metrics", has all of
/// them with their labels.
///
/// `code` is `OK` or that of the error; one that is dropped before its end counts as `CANCELLED`, and as
/// `DEADLINE_EXCEEDED` where its deadline had passed, as its caller sees it.
///
/// Clones share what they have looked up at the recorder, which they do once for each message: install the recorder before
/// the first exchange.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    cache: Arc<Cache>,
}

impl Metrics {
    /// Measures.
    #[must_use]
    pub fn new() -> Self {
        instruments::describe();
        Self::default()
    }
}

/// What tells the exchanges of one kind: the bounded labels.
type Labels = (Direction, &'static str, Shape);

/// The instruments of each message, which are as many as the schema has messages.
#[derive(Default)]
struct Cache(RwLock<HashMap<Labels, Arc<Instruments>>>);

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

impl Cache {
    fn of(&self, labels: Labels) -> Arc<Instruments> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(instruments) = known.get(&labels) {
            return Arc::clone(instruments);
        }
        drop(known);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let instruments = known.entry(labels);
        Arc::clone(instruments.or_insert_with(|| Arc::new(Instruments::new(labels))))
    }
}

/// The instruments of one kind of exchange.
struct Instruments {
    labels: Labels,
    body: Histogram,
    open: Gauge,
    /// For `OK` and each code, once it has come.
    ended: [OnceLock<(Counter, Histogram)>; 1 + Code::ALL.len()],
}

impl Instruments {
    fn new(labels: Labels) -> Self {
        let (direction, message, shape) = labels;
        let (direction, shape) = (direction.name(), shape.name());
        Self {
            labels,
            body: ::metrics::histogram!("msip_body_bytes", "direction" => direction, "message" => message, "shape" => shape),
            open: ::metrics::gauge!("msip_exchanges_open", "direction" => direction, "message" => message, "shape" => shape),
            ended: [const { OnceLock::new() }; 1 + Code::ALL.len()],
        }
    }

    fn ended(&self, code: &'static str) -> Option<&(Counter, Histogram)> {
        let index = Code::ALL.iter().position(|known| known.name() == code);
        let ended = self.ended.get(index.map_or(0, |index| index + 1))?;
        Some(ended.get_or_init(|| {
            let (direction, message, shape) = self.labels;
            let (direction, shape) = (direction.name(), shape.name());
            (
                ::metrics::counter!("msip_exchanges_total", "direction" => direction, "message" => message, "shape" => shape, "code" => code),
                ::metrics::histogram!("msip_exchange_seconds", "direction" => direction, "message" => message, "shape" => shape, "code" => code),
            )
        }))
    }
}

/// An exchange under way; one that is dropped is counted too.
struct Open<'a> {
    exchange: &'a mut ExchangeContext,
    instruments: Arc<Instruments>,
    /// How it has ended.
    code: Option<&'static str>,
}

impl<'a> Open<'a> {
    fn new(exchange: &'a mut ExchangeContext, cache: &Cache) -> Self {
        let labels = (exchange.direction(), exchange.message(), exchange.shape());
        let instruments = cache.of(labels);
        // The largest body that any setting allows has 1 GiB.
        let len = u32::try_from(exchange.body_len()).map_or(f64::INFINITY, f64::from);
        instruments.body.record(len);
        instruments.open.increment(1.0);
        Self {
            exchange,
            instruments,
            code: None,
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.instruments.open.decrement(1.0);
        let code = self.code.unwrap_or_else(|| {
            if self.exchange.is_out_of_time() {
                Code::DeadlineExceeded.name()
            } else {
                Code::Cancelled.name()
            }
        });
        if let Some((counter, histogram)) = self.instruments.ended(code) {
            counter.increment(1);
            histogram.record(self.exchange.elapsed());
        }
    }
}

impl Middleware for Metrics {
    async fn handle(
        &self,
        exchange: &mut ExchangeContext,
        mut next: Next<'_>,
    ) -> Result<(), CallError> {
        let mut open = Open::new(exchange, &self.cache);
        let outcome = next.run(open.exchange).await;
        open.code = Some(outcome_name(&outcome));
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
            drop(Open::new(&mut exchange, &Cache::default()));
        });
        let book = book.0.lock().unwrap();
        let dropped = format!("msip_exchanges_total({labels} CANCELLED) 1");
        assert!(book.contains(&dropped), "{book:?}");
    }
}
