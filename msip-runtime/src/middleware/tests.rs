//! Tests of the built-in middleware around a scripted end, under a clock that the test moves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{task::JoinSet, time::Instant};

use super::*;
use crate::{CallOptions, Code, MsgKind, SendError, Status, Variant, call::Serving};

static CALL: Variant = Variant::new(1, "price_req", MsgKind::Command).call(2);
static SAFE_CALL: Variant = Variant::new(3, "look_req", MsgKind::Command)
    .call(2)
    .idempotent();
static NOTE: Variant = Variant::new(4, "note_ind", MsgKind::Event);
static WATCH: Variant = Variant::new(5, "watch_req", MsgKind::Command)
    .call(2)
    .response_stream();

const SECOND: Duration = Duration::from_secs(1);

fn outgoing(row: &'static Variant, options: CallOptions) -> ExchangeContext {
    let timeout = (!row.has_streams()).then_some(30 * SECOND);
    ExchangeContext::outgoing(row, Shape::of(row, false), 7, None, options, timeout)
}

fn incoming(row: &'static Variant) -> ExchangeContext {
    ExchangeContext::incoming(row, false, 7, None, Serving::default())
}

/// An end that takes a while each time, and fails as scripted before it succeeds.
#[derive(Default)]
struct Script {
    takes: Duration,
    failures: Vec<CallError>,
    /// The timeouts with which it was run.
    ran: Vec<Option<Duration>>,
}

impl ExchangeEnd for Script {
    fn run<'a>(&'a mut self, exchange: &'a mut ExchangeContext) -> Handling<'a> {
        Box::pin(async move {
            self.ran.push(exchange.remaining());
            tokio::time::sleep(self.takes).await;
            if self.failures.is_empty() {
                return Ok(());
            }
            Err(self.failures.remove(0))
        })
    }
}

fn stack(middleware: impl Middleware) -> Stack {
    let mut stack = Stack::default();
    stack.push(middleware);
    stack
}

fn not_now() -> CallError {
    CallError::NotSent(SendError::Disconnected)
}

#[tokio::test]
async fn the_first_is_the_outermost_and_each_has_its_say() {
    struct Named(&'static str, Arc<std::sync::Mutex<Vec<String>>>);
    impl Middleware for Named {
        async fn handle(
            &self,
            exchange: &mut ExchangeContext,
            mut next: Next<'_>,
        ) -> Result<(), CallError> {
            let say = |what: &str| self.1.lock().unwrap().push(format!("{} {what}", self.0));
            say("before");
            exchange.change_options(|options| options.header(self.0, "was here"));
            let outcome = next.run(exchange).await;
            say("after");
            outcome
        }
    }
    let said = Arc::default();
    let mut stack = Stack::default();
    assert!(stack.installed().is_none());
    stack.push(Named("outer", Arc::clone(&said)));
    stack.push(Named("inner", Arc::clone(&said)));
    assert!(stack.installed().is_some());
    let mut exchange = outgoing(&CALL, CallOptions::new());
    let outcome = stack.run(&mut exchange, &mut Script::default()).await;
    assert_eq!(outcome, Ok(()));
    assert_eq!(
        *said.lock().unwrap(),
        ["outer before", "inner before", "inner after", "outer after"]
    );
    let headers: Vec<_> = exchange.metadata().headers().collect();
    assert_eq!(headers, [("inner", "was here"), ("outer", "was here")]);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_gives_up_what_takes_too_long_and_shortens_deadlines_alone() {
    let slow = || Script {
        takes: 5 * SECOND,
        ..Script::default()
    };
    let limit = stack(Timeout::new(2 * SECOND));
    let mut end = slow();
    let outcome = limit
        .run(&mut outgoing(&CALL, CallOptions::new()), &mut end)
        .await;
    let timeout = 2 * SECOND;
    assert_eq!(outcome, Err(CallError::DeadlineExceeded { timeout }));
    assert_eq!(end.ran, [Some(2 * SECOND)], "the other side is told");
    let hurried = CallOptions::new().timeout(SECOND);
    let mut end = Script::default();
    limit
        .run(&mut outgoing(&CALL, hurried), &mut end)
        .await
        .unwrap();
    assert_eq!(end.ran, [Some(SECOND)], "it has less than that");
    let outcome = limit.run(&mut incoming(&NOTE), &mut slow()).await;
    assert_eq!(outcome.unwrap_err().code(), Code::DeadlineExceeded);
    let outcome = limit
        .run(&mut outgoing(&WATCH, CallOptions::new()), &mut slow())
        .await;
    assert_eq!(outcome, Ok(()), "a stream may take its time");
    let strict = stack(Timeout::new(2 * SECOND).with_streams());
    let outcome = strict
        .run(&mut outgoing(&WATCH, CallOptions::new()), &mut slow())
        .await;
    assert_eq!(outcome, Err(CallError::DeadlineExceeded { timeout }));
}

/// Runs so many at once, each of which takes a second; says when each was done, and how many were refused.
async fn crowd(stack: &Stack, count: usize) -> (Vec<Duration>, usize) {
    let begun = Instant::now();
    let mut all = JoinSet::new();
    for _ in 0..count {
        let stack = stack.clone();
        all.spawn(async move {
            let mut end = Script {
                takes: SECOND,
                ..Script::default()
            };
            let outcome = stack.run(&mut incoming(&CALL), &mut end).await;
            outcome.map(|()| begun.elapsed())
        });
    }
    let outcomes = all.join_all().await;
    let refused = outcomes.iter().filter_map(|one| one.as_ref().err());
    let refused = refused.map(|error| assert_eq!(error.code(), Code::ResourceExhausted));
    let refused = refused.count();
    let mut done: Vec<_> = outcomes.into_iter().flatten().collect();
    done.sort_unstable();
    (done, refused)
}

/// Whole and half seconds: the clock of tests goes by milliseconds.
fn halves(times: &[Duration]) -> Vec<u128> {
    times
        .iter()
        .map(|time| (time.as_millis() + 5) / 500)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_limit_are_under_way_at_once() {
    let (done, refused) = crowd(&stack(ConcurrencyLimit::new(2)), 5).await;
    assert_eq!((halves(&done), refused), (vec![2, 2, 4, 4, 6], 0));
    let (done, refused) = crowd(&stack(ConcurrencyLimit::new(2).refusing()), 5).await;
    assert_eq!((halves(&done), refused), (vec![2, 2], 3));
}

#[tokio::test(start_paused = true)]
async fn a_bucket_of_tokens_limits_the_rate() {
    let limit = stack(RateLimit::new(2).burst(3));
    let (done, refused) = crowd(&limit, 6).await;
    assert_eq!((halves(&done), refused), (vec![2, 2, 2, 3, 4, 5], 0));
    let limit = stack(RateLimit::new(2).burst(3).refusing());
    let (done, refused) = crowd(&limit, 6).await;
    assert_eq!((halves(&done), refused), (vec![2, 2, 2], 3));
    // That took a second, in which two tokens were added.
    let (done, refused) = crowd(&limit, 6).await;
    assert_eq!((done.len(), refused), (2, 4));
    tokio::time::sleep(60 * SECOND).await;
    let (done, refused) = crowd(&limit, 6).await;
    assert_eq!(
        (done.len(), refused),
        (3, 3),
        "no more than the burst is saved"
    );
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_gives_the_token_back() {
    let limit = stack(RateLimit::new(1).burst(1));
    limit
        .run(&mut incoming(&CALL), &mut Script::default())
        .await
        .unwrap();
    for _ in 0..10 {
        let (mut exchange, mut end) = (incoming(&CALL), Script::default());
        let waiting = limit.run(&mut exchange, &mut end);
        let short = Duration::from_millis(1);
        tokio::time::timeout(short, waiting).await.unwrap_err();
    }
    let begun = Instant::now();
    limit
        .run(&mut incoming(&CALL), &mut Script::default())
        .await
        .unwrap();
    assert!(begun.elapsed() <= SECOND, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_can_do_no_harm_is_tried_again() {
    let unavailable = || CallError::Status(Status::unavailable("later"));
    let full = || CallError::NotSent(SendError::Full);
    let too_large = || CallError::NotSent(SendError::TooLarge { len: 2, max: 1 });
    let cases: [(&str, &'static Variant, Vec<CallError>, usize, bool); 12] = [
        ("goes well", &CALL, vec![], 1, true),
        ("was not sent", &CALL, vec![not_now(), full()], 3, true),
        (
            "was not received",
            &CALL,
            vec![CallError::NotReceived],
            2,
            true,
        ),
        ("fails for good", &CALL, vec![not_now(); 5], 3, false),
        (
            "may have run",
            &CALL,
            vec![CallError::ConnectionLost],
            1,
            false,
        ),
        ("is refused", &CALL, vec![unavailable()], 1, false),
        ("is too large", &SAFE_CALL, vec![too_large()], 1, false),
        (
            "may have run, idempotent",
            &SAFE_CALL,
            vec![CallError::ConnectionLost],
            2,
            true,
        ),
        (
            "is refused, idempotent",
            &SAFE_CALL,
            vec![unavailable()],
            2,
            true,
        ),
        (
            "is wrong, idempotent",
            &SAFE_CALL,
            vec![CallError::Status(Status::not_found("no"))],
            1,
            false,
        ),
        ("is a note", &NOTE, vec![full()], 2, true),
        ("is a stream", &WATCH, vec![not_now()], 1, false),
    ];
    let retry = stack(Retry::new(3));
    for (name, row, failures, runs, goes_well) in cases {
        let mut end = Script {
            failures,
            ..Script::default()
        };
        let outcome = retry
            .run(&mut outgoing(row, CallOptions::new()), &mut end)
            .await;
        assert_eq!(
            (end.ran.len(), outcome.is_ok()),
            (runs, goes_well),
            "{name}"
        );
    }
    let mut end = Script {
        failures: vec![unavailable()],
        ..Script::default()
    };
    let said = CallOptions::new().idempotent();
    retry
        .run(&mut outgoing(&CALL, said), &mut end)
        .await
        .unwrap();
    assert_eq!(end.ran.len(), 2, "the caller says that it is idempotent");
    let mut end = Script {
        failures: vec![not_now()],
        ..Script::default()
    };
    retry.run(&mut incoming(&CALL), &mut end).await.unwrap_err();
    assert_eq!(end.ran.len(), 1, "what comes in is handled once");
}

#[tokio::test(start_paused = true)]
async fn all_tries_together_have_the_time_of_one() {
    let retry = stack(Retry::new(100).waits(Duration::ZERO, Duration::ZERO));
    let mut end = Script {
        takes: SECOND,
        failures: vec![not_now(); 100],
        ..Script::default()
    };
    let options = CallOptions::new().timeout(Duration::from_millis(3500));
    let outcome = retry.run(&mut outgoing(&CALL, options), &mut end).await;
    assert_eq!(outcome, Err(not_now()));
    let told: Vec<_> = end
        .ran
        .iter()
        .map(|left| left.unwrap().as_millis())
        .collect();
    assert_eq!(told.len(), 4, "{told:?}");
    for (left, most) in told.iter().zip([3500, 2500, 1500, 500]) {
        assert!((most - 20..=most).contains(left), "{told:?}");
    }
}

#[tokio::test]
async fn an_exchange_is_known_by_all_but_its_content() {
    let exchange = outgoing(&SAFE_CALL, CallOptions::new().correlation_id("order-17"));
    assert_eq!(exchange.direction(), Direction::Outgoing);
    assert_eq!(exchange.message(), "look_req");
    assert_eq!(exchange.kind(), MsgKind::Command);
    assert_eq!(exchange.shape(), Shape::Call);
    assert_eq!((exchange.body_len(), exchange.answer_len()), (7, None));
    assert_eq!(exchange.metadata().correlation_id(), Some("order-17"));
    assert!(exchange.is_idempotent());
    let refused = exchange.refuse(Status::permission_denied("not here"));
    assert!(refused.is_safe_to_repeat());
    assert_eq!(
        refused.to_string(),
        "refused by this side: PERMISSION_DENIED: not here"
    );
    let mut exchange = incoming(&NOTE);
    assert_eq!(exchange.metadata().identity(), None);
    exchange.set_user("ada");
    let known = exchange.serving().metadata.unwrap();
    assert_eq!(known.identity().unwrap().user, "ada");
    exchange.change_options(|_| panic!("nothing goes out"));
}

#[tokio::test]
async fn a_middleware_that_is_dropped_leaves_nothing_under_way() {
    struct Counted(Arc<AtomicU32>);
    struct Leave<'a>(&'a AtomicU32);
    impl Drop for Leave<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
    impl Middleware for Counted {
        async fn handle(
            &self,
            exchange: &mut ExchangeContext,
            mut next: Next<'_>,
        ) -> Result<(), CallError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            let _leave = Leave(&self.0);
            next.run(exchange).await
        }
    }
    let count = Arc::new(AtomicU32::new(0));
    let stack = stack(Counted(Arc::clone(&count)));
    let (mut exchange, mut end) = (
        incoming(&CALL),
        Script {
            takes: 3600 * SECOND,
            ..Script::default()
        },
    );
    {
        let mut running = std::pin::pin!(stack.run(&mut exchange, &mut end));
        std::future::poll_fn(|task| {
            assert!(running.as_mut().poll(task).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }
    assert_eq!(count.load(Ordering::Relaxed), 0);
}
