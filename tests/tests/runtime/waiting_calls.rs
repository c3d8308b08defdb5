//! Calls wait for capacity: first come first served, within their deadlines, and no longer than anybody wants
//! them.

use std::{sync::Arc, time::Duration};

use msip_runtime::{CallError, CallOptions, Client, Code, Peer, SendError, Status};
use msip_tests::{
    SeenByServer, connected,
    lab::{ActRsp, EchoReq, Lab, SendClientToServer as _},
    messages::act,
    next, soon, start_gated,
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinHandle,
    time::{Instant, sleep},
};

/// The timeout of `act_req` in the schema.
const USUAL: Duration = Duration::from_secs(20);

const HOUR: Duration = Duration::from_secs(3600);

/// A client whose server serves two calls at once, and both are taken until the gate opens.
struct Crowded {
    client: Client<Lab>,
    peer: Peer<Lab>,
    events: mpsc::Receiver<SeenByServer>,
    gate: Arc<Semaphore>,
    serving: [JoinHandle<Result<ActRsp, CallError>>; 2],
}

impl Crowded {
    async fn new(name: &str) -> Self {
        let url = format!("mem://{name}?max_calls=2");
        let (url, mut events, gate) = start_gated(&url).await;
        let client = Client::<Lab>::connect(url.to_string())
            .await
            .expect("connects");
        let serving = [(); 2].map(|()| {
            let client = client.clone();
            tokio::spawn(async move {
                let options = CallOptions::new().timeout(HOUR);
                client.with(options).act_req(act("wait")).await
            })
        });
        let peer = connected(&mut events).await;
        for _ in &serving {
            assert!(matches!(next(&mut events).await, SeenByServer::Act(_)));
        }
        Self {
            client,
            peer,
            events,
            gate,
            serving,
        }
    }

    /// A call without capacity, which waits for it when this returns.
    async fn wait(&self, what: &'static str, options: CallOptions) -> JoinHandle<Waited> {
        let client = self.client.clone();
        let began = Instant::now();
        let call = tokio::spawn(async move {
            let answer = client.with(options).act_req(act(what)).await;
            (answer, began.elapsed())
        });
        // Tasks run in the order in which they were spawned.
        tokio::task::yield_now().await;
        assert!(!call.is_finished(), "{what} waits");
        call
    }
}

/// What came of a call, and after how long.
type Waited = (Result<ActRsp, CallError>, Duration);

async fn waited(call: JoinHandle<Waited>) -> Waited {
    call.await.expect("no panic")
}

#[tokio::test]
async fn they_go_out_in_their_order() {
    let mut crowded = Crowded::new("waiting-in-order").await;
    let unusual = || CallOptions::new().timeout(HOUR);
    let first = crowded.wait("1", CallOptions::new()).await;
    let second = crowded.wait("2", unusual()).await;
    let third = crowded.wait("3", CallOptions::new()).await;
    let fourth = crowded.wait("4", CallOptions::new()).await;
    let fifth = crowded.wait("5", unusual()).await;
    third.abort();
    assert!(third.await.is_err_and(|error| error.is_cancelled()));
    crowded.gate.add_permits(2);
    for number in ["1", "2", "4", "5"] {
        let seen = next(&mut crowded.events).await;
        assert!(
            matches!(&seen, SeenByServer::Act(what) if what == number),
            "{seen:?} instead of {number}"
        );
    }
    for call in [first, second, fourth, fifth] {
        let (answer, _) = soon("an answer", waited(call)).await;
        assert!(matches!(answer, Err(CallError::Status(_))), "{answer:?}");
    }
    for call in crowded.serving {
        soon("an answer", call)
            .await
            .expect("no panic")
            .expect("it waited for the gate");
    }
}

#[tokio::test]
async fn many_more_than_there_is_room_for_are_all_answered() {
    let crowded = Crowded::new("many-waiting").await;
    let calls: Vec<_> = (0..500)
        .map(|number| {
            let client = crowded.client.clone();
            tokio::spawn(async move {
                let text = format!("{number}");
                let request = EchoReq {
                    text: text.clone(),
                    // Some of them have no capacity in the queue either.
                    ballast: vec![7; number % 5 * 20_000],
                };
                let answer = client.echo_req(request).await?;
                assert_eq!(answer.text, text);
                Ok::<_, CallError>(())
            })
        })
        .collect();
    crowded.gate.add_permits(2);
    for call in calls {
        soon("an answer", call)
            .await
            .expect("no panic")
            .expect("answered");
    }
}

// The clock goes on by itself where everyone waits, so that no second is spent on it.
#[tokio::test(start_paused = true)]
async fn their_deadlines_hold_while_they_wait() {
    let crowded = Crowded::new("late-waiting").await;
    let first = crowded.wait("1", CallOptions::new()).await;
    sleep(Duration::from_secs(5)).await;
    let second = crowded.wait("2", CallOptions::new()).await;
    let soon = Duration::from_secs(1);
    let third = crowded.wait("3", CallOptions::new().timeout(soon)).await;
    for (call, timeout) in [(third, soon), (first, USUAL), (second, USUAL)] {
        let (answer, lasted) = waited(call).await;
        assert_eq!(answer, Err(CallError::DeadlineExceeded { timeout }));
        let most = timeout + Duration::from_millis(100);
        assert!((timeout..most).contains(&lasted), "{lasted:?}");
    }
    // They have left no trace.
    crowded.gate.add_permits(2);
    let after = crowded.client.echo_req(EchoReq::default()).await;
    after.expect("there is room again");
}

#[tokio::test(start_paused = true)]
async fn they_tell_what_remains_of_their_deadlines_if_they_have_waited_for_long() {
    for (wait, left) in [
        (Duration::from_secs(5), 14_500..=15_000),
        (Duration::from_millis(100), 19_950..=20_000),
    ] {
        let crowded = Crowded::new(&format!("remaining-{}", wait.as_millis())).await;
        let call = crowded.wait("remaining", CallOptions::new()).await;
        sleep(wait).await;
        crowded.gate.add_permits(2);
        let answer = waited(call).await.0.expect("answers");
        let remaining: u64 = answer.done.parse().expect("a number");
        assert!(left.contains(&remaining), "{remaining} ms after {wait:?}");
    }
}

#[tokio::test]
async fn they_fail_at_once_when_the_client_is_closed() {
    let crowded = Crowded::new("closed-while-waiting").await;
    let plain = crowded.wait("1", CallOptions::new()).await;
    let unusual = crowded.wait("2", CallOptions::new().timeout(HOUR)).await;
    let closing = tokio::spawn({
        let client = crowded.client.clone();
        async move { client.close().await }
    });
    for call in [plain, unusual] {
        let (answer, _) = soon("an error", waited(call)).await;
        let error = answer.expect_err("nothing new goes out");
        assert!(
            matches!(
                error,
                CallError::NotSent(SendError::Closed | SendError::Disconnected)
            ),
            "{error:?}"
        );
    }
    crowded.gate.add_permits(2);
    soon("closed", closing).await.expect("no panic");
    for call in crowded.serving {
        let answer = soon("an answer", call).await.expect("no panic");
        answer.expect("what is open is let finish");
    }
}

#[tokio::test]
async fn they_fail_at_once_when_the_server_takes_nothing_new() {
    let crowded = Crowded::new("server-closes-while-waiting").await;
    let plain = crowded.wait("1", CallOptions::new()).await;
    let unusual = crowded.wait("2", CallOptions::new().timeout(HOUR)).await;
    crowded
        .peer
        .disconnect(Status::new(Code::Aborted, "enough"));
    for call in [plain, unusual] {
        let (answer, _) = soon("an error", waited(call)).await;
        let error = answer.expect_err("nothing new goes out");
        assert!(error.is_safe_to_repeat(), "{error:?}");
    }
}
