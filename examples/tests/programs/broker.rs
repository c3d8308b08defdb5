//! The programs `broker-sub`, `broker-pub`, `broker-serve` and `broker-req` find each other through a broker, and `broker-shared` itself.

use msip_broker::Broker;
use tokio::{runtime::Runtime, sync::oneshot, task::JoinHandle};

use crate::program::{Ended, Program};

const SUB: &str = env!("CARGO_BIN_EXE_broker-sub");
const PUB: &str = env!("CARGO_BIN_EXE_broker-pub");
const SERVE: &str = env!("CARGO_BIN_EXE_broker-serve");
const REQ: &str = env!("CARGO_BIN_EXE_broker-req");
const SHARED: &str = env!("CARGO_BIN_EXE_broker-shared");

/// A broker that runs in this process.
struct Running {
    runtime: Runtime,
    url: String,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Running {
    fn start(url: &str) -> Self {
        let runtime = Runtime::new().expect("threads");
        let broker = runtime
            .block_on(Broker::builder().listen(url).bind())
            .expect("listens");
        let url = broker.local_urls().next().expect("a listener").to_string();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = runtime.spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            broker.serve_until(stopped).await;
        });
        Self {
            runtime,
            url,
            stop,
            serving,
        }
    }

    fn new() -> Self {
        Self::start("tcp://127.0.0.1:0")
    }

    /// One of the programs, as a client of it.
    fn program(&self, name: &str, path: &str, args: &[&str]) -> Program {
        Program::start(name, path, &[args, &["--url", &self.url]].concat())
    }

    /// One that prints what is published, and is subscribed.
    fn subscriber(&self, name: &str, args: &[&str]) -> Program {
        let mut program = self.program(name, SUB, args);
        program.until("subscribed to ");
        program
    }

    /// Publishes, which ends well.
    fn publish(&self, args: &[&str]) {
        let ended = self.program("pub", PUB, args).ended();
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }

    fn stop(self) {
        let _ = self.stop.send(());
        self.runtime.block_on(self.serving).expect("no panic");
    }
}

/// The next message that a subscriber prints.
fn heard(program: &mut Program) -> String {
    // It stands between topic and text, and in nothing else that is said.
    program.until("  ")
}

/// It ends with one error, which has this text.
fn fails(ended: &Ended, text: &str) {
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let error = ended.rest.iter().find(|line| line.starts_with("error: "));
    assert!(error.is_some_and(|line| line.contains(text)), "{ended:?}");
}

#[test]
fn what_is_published_is_printed_by_whoever_subscribes() {
    let broker = Running::new();
    let mut sub = broker.subscriber("sub", &["fleet/+/position"]);
    broker.publish(&["fleet/7/fuel", "full"]);
    broker.publish(&["fleet/7/position", "52.5 north"]);
    // Neither the other topic, nor anything else.
    assert_eq!(heard(&mut sub), "fleet/7/position  52.5 north");
    broker.publish(&["fleet/8/position", "away", "--count", "3"]);
    for number in 1..=3 {
        assert_eq!(heard(&mut sub), format!("fleet/8/position  away {number}"));
    }
    broker.publish(&["fleet/9/position", "here\u{1b}[2J", "--ack"]);
    assert_eq!(heard(&mut sub), "fleet/9/position  here\u{fffd}[2J");
    broker.stop();
}

#[test]
fn a_state_comes_to_whoever_subscribes_later_and_an_empty_one_clears_it() {
    let broker = Running::new();
    let state = ["--kind", "state", "--ack"];
    broker.publish(&[&["fleet/7/position", "52.5 north"][..], &state].concat());
    let mut late = broker.program("late", SUB, &["fleet/#"]);
    late.until("fleet/7/position  52.5 north");
    broker.publish(&[&["fleet/7/position", ""][..], &state].concat());
    let mut later = broker.subscriber("later", &["fleet/#"]);
    broker.publish(&["fleet/8/position", "last"]);
    assert_eq!(heard(&mut later), "fleet/8/position  last");
    broker.stop();
}

#[test]
fn those_of_a_group_share_what_comes() {
    let broker = Running::new();
    let group = ["jobs/#", "--group", "workers"];
    let mut workers = [
        broker.subscriber("one", &group),
        broker.subscriber("two", &group),
    ];
    // The one that did not get the first has less to do, or it is its turn.
    broker.publish(&["jobs/1", "job", "--count", "2", "--ack"]);
    let mut all = workers.each_mut().map(heard);
    all.sort();
    assert_eq!(all, ["jobs/1  job 1", "jobs/1  job 2"]);
    broker.stop();
}

#[test]
fn a_request_is_answered_by_who_serves_the_topic() {
    let broker = Running::new();
    let ended = broker.program("req", REQ, &["time", "anyone?"]).ended();
    fails(&ended, "UNAVAILABLE");
    let mut serve = broker.program("serve", SERVE, &["time"]);
    serve.until("serving time");
    let ended = broker.program("req", REQ, &["time", "is it late?"]).ended();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let [answer] = &*ended.rest else {
        panic!("{ended:?}");
    };
    assert!(answer.starts_with("it is "), "{answer}");
    assert!(answer.ends_with(" UTC; you asked: is it late?"), "{answer}");
    serve.until("asked: is it late?");
    broker.publish(&["time", "set it", "--kind", "command", "--ack"]);
    serve.until("told: set it");
    broker.stop();
}

#[cfg(unix)]
#[test]
fn a_subscription_is_made_again_at_a_new_broker() {
    // A port could be somebody else's meanwhile.
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("unix://{}", folder.path().join("broker").display());
    let broker = Running::start(&url);
    let mut sub = broker.subscriber("sub", &["fleet/#"]);
    broker.stop();
    sub.until("connection lost");
    let broker = Running::start(&url);
    // It is kept, and so comes whenever the subscription is there.
    broker.publish(&["fleet/7", "back", "--kind", "state", "--ack"]);
    assert_eq!(heard(&mut sub), "fleet/7  back");
    broker.stop();
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_subscriber_and_a_service_well() {
    let broker = Running::new();
    let mut serve = broker.program("serve", SERVE, &["time"]);
    serve.until("serving time");
    for program in [broker.subscriber("sub", &["fleet/#"]), serve] {
        program.interrupt();
        let ended = program.ended();
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    broker.stop();
}

#[test]
fn what_cannot_be_done_is_told() {
    let broker = Running::new();
    let told = [
        (SUB, &["fleet/#/position"][..], "#"),
        (SUB, &[""], "empty topic"),
        (PUB, &["fleet\n", "x"], "INVALID_ARGUMENT"),
        (SERVE, &["a+"], "+"),
    ];
    for (path, args, text) in told {
        let ended = broker.program("mistaken", path, args).ended();
        fails(&ended, text);
    }
    broker.stop();
    let nobody: [(&str, &[&str]); 4] = [
        (SUB, &["a"]),
        (PUB, &["a", "x"]),
        (SERVE, &["a"]),
        (REQ, &["a", "x"]),
    ];
    for (path, args) in nobody {
        let args = [args, &["--url", "tcp://127.0.0.1:1"]].concat();
        fails(
            &Program::start("alone", path, &args).ended(),
            "cannot reach",
        );
    }
}

#[test]
fn two_services_and_their_clients_share_a_connection() {
    let broker = Running::new();
    let mut program = broker.program("shared", SHARED, &[]);
    program.until("serving rooms/+ and dice");
    program.until("hello, ada, in rooms/hall");
    program.until("rolled 4");
    program.until("nobody greets any more: UNAVAILABLE");
    program.until("rolled 4");
    let ended = program.ended();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    broker.stop();
}
