//! Calls that a broker relays: each gets its own answer, whatever has become of those before it in the same places.

use std::time::Duration;

use futures_util::future::join_all;
use msip_runtime::{
    CallError, CallOptions, Code,
    untyped::{
        Event, Inbound, Reply, Service, SubscribeOptions, UntypedClient, UntypedMessage,
        UntypedPeer,
    },
};
use msip_tests::{advance, soon};
use tokio::task::yield_now;

use crate::fixture::{ASK, Broker, message};

/// How many callers each side has.
const CALLERS: usize = 32;

/// How many calls each of them makes.
const CALLS: usize = 60;

/// How long a call waits that is not answered.
const LIMIT: Duration = Duration::from_secs(10);

/// Answers calls with what they asked, some later than others.
struct Echo;

impl Service for Echo {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        let mut turns = 0;
        while let Some(event) = inbound.next().await {
            let Event::Exchange(exchange) = event else {
                continue;
            };
            let Reply::Call(responder) = exchange.reply else {
                continue;
            };
            let answer = UntypedMessage::new(&ASK, exchange.message.raw_body().to_vec());
            turns = (turns + 1) % 7;
            tokio::spawn(async move {
                for _ in 0..turns {
                    yield_now().await;
                }
                responder.answer(&answer);
            });
        }
    }
}

async fn echo(broker: &Broker, topic: &str) -> UntypedClient {
    let client = UntypedClient::builder(&broker.url, "raw", 0)
        .service(Echo)
        .connect()
        .await
        .expect("connects");
    client
        .subscribe(&format!("{topic}/$in"), &SubscribeOptions::new())
        .await
        .expect("is allowed");
    client
}

/// Calls, and gives each third call up at some time.
async fn call_many(client: UntypedClient, topic: &'static str, caller: usize) {
    for number in 0..CALLS {
        let said = format!("{caller} {number} of {topic}");
        let ask = message(&ASK, topic, &said);
        let options = CallOptions::new();
        let give_up = async {
            match number % 3 {
                0 => {
                    for _ in 0..(caller + number) % 13 {
                        yield_now().await;
                    }
                }
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            answer = client.call(&ask, &options) => {
                assert_eq!(&answer.expect("answered").raw_body()[..], said.as_bytes());
            }
            () = give_up => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sides_that_call_each_other_get_their_own_answers_though_others_are_given_up() {
    let broker = Broker::start().await;
    let (left, right) = (echo(&broker, "left").await, echo(&broker, "right").await);
    let callers = (0..CALLERS).flat_map(|caller| {
        // One also calls itself: the two ends of such a call are one connection of the broker.
        let to = if caller % 8 == 0 { "left" } else { "right" };
        [
            tokio::spawn(call_many(left.clone(), to, caller)),
            tokio::spawn(call_many(right.clone(), "left", caller)),
        ]
    });
    let callers = join_all(callers.collect::<Vec<_>>());
    for ended in soon("the end of all calls", callers).await {
        ended.expect("no panic");
    }
}

#[tokio::test]
async fn a_call_that_runs_out_of_time_counts_on_at_its_instance() {
    let broker = Broker::start().await;
    let (mut one, mut two) = (broker.client("one").await, broker.client("two").await);
    for service in [&one, &two] {
        service.hear("ask/$in").await;
    }
    let caller = broker.client("caller").await;
    let hang = message(&ASK, "ask", "hang");
    let options = CallOptions::new().timeout(LIMIT);
    let (late, (hung, idle)) = tokio::join!(caller.client.call(&hang, &options), async {
        let asked = tokio::select! {
            said = one.next() => { assert_eq!(said, "ask hang"); (&mut one, "two") }
            said = two.next() => { assert_eq!(said, "ask hang"); (&mut two, "one") }
        };
        advance(LIMIT).await;
        asked
    });
    let late = late.expect_err("nobody answers");
    assert_eq!(late.code(), Code::DeadlineExceeded, "{late}");
    // The broker gives the call up there when its time has passed.
    assert_eq!(soon("the cancellation", hung.next()).await, "cancelled");
    for _ in 0..4 {
        let ask = message(&ASK, "ask", "?");
        let answer = caller.client.call(&ask, &CallOptions::new()).await;
        let answer = answer.expect("answered");
        assert_eq!(&answer.raw_body()[..], idle.as_bytes());
    }
}

#[tokio::test]
async fn a_call_that_its_instance_was_not_asked_does_not_count_as_answered() {
    let broker = Broker::start().await;
    let mut hung = broker.client("hung").await;
    hung.hear("ask/$in").await;
    let caller = broker.client("caller").await;
    let hang = message(&ASK, "ask", "hang");
    let options = CallOptions::new().timeout(LIMIT);
    let (late, ()) = tokio::join!(caller.client.call(&hang, &options), async {
        assert_eq!(soon("the call", hung.next()).await, "ask hang");
        advance(LIMIT).await;
    });
    late.expect_err("nobody answers");
    assert_eq!(soon("the cancellation", hung.next()).await, "cancelled");
    // The broker has less than a millisecond left for it, which cannot be said on the wire.
    let head = UntypedMessage::new(&ASK, Vec::new());
    let head = head.to_topic("ask").expect("a topic");
    let requests = futures_util::stream::pending();
    let options = CallOptions::new().timeout(Duration::from_millis(1));
    let unsent = async {
        let mut responses = caller.client.open_stream(&head, requests, &options).await?;
        match responses.next().await {
            None => Ok(()),
            Some(answer) => answer.map(|_| ()),
        }
    };
    let unsent = unsent.await.expect_err("there is no time");
    assert_eq!(unsent.code(), Code::DeadlineExceeded, "{unsent}");
    let idle = broker.client("idle").await;
    idle.hear("ask/$in").await;
    for _ in 0..4 {
        let ask = message(&ASK, "ask", "?");
        let answer = caller.client.call(&ask, &CallOptions::new()).await;
        assert_eq!(&answer.expect("answered").raw_body()[..], b"idle");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_for_its_caller_fails_that_call_alone() {
    let broker = Broker::start().await;
    let _echo = echo(&broker, "echo").await;
    let caller = UntypedClient::builder(&broker.url, "raw", 0)
        .max_body(1024)
        .connect()
        .await
        .expect("connects");
    for len in [2000, 10, 1025, 1024] {
        let ask = message(&ASK, "echo", &"x".repeat(len));
        match caller.call(&ask, &CallOptions::new()).await {
            Ok(answer) => assert_eq!((answer.raw_body().len(), len <= 1024), (len, true)),
            Err(CallError::Status(status)) => {
                assert!(len > 1024, "{len}: {status}");
            }
            Err(error) => panic!("{len}: {error}"),
        }
    }
}
