//! Services in processes of their own, that are killed.

use std::process::Stdio;

use msip_runtime::{
    CallOptions, Code, MsgKind, Variant,
    untyped::{
        Event, Inbound, Reply, Service, SubscribeOptions, UntypedClient, UntypedMessage,
        UntypedPeer,
    },
};
use msip_tests::soon;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::{mip::Peer, process::Broker};

const ASK: Variant = Variant::new(1, "ask", MsgKind::Command).call(1);

/// Tells the process of a service where the broker is.
const URL: &str = "MSIP_TEST_BROKER_URL";

/// Answers a call with its body, unless it is to hang; says so before.
struct Answer;

#[expect(clippy::print_stdout, reason = "the process of the test reads it")]
impl Service for Answer {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        while let Some(event) = inbound.next().await {
            let Event::Exchange(exchange) = event else {
                continue;
            };
            let Reply::Call(responder) = exchange.reply else {
                continue;
            };
            if exchange.message.raw_body() == "hang" {
                println!("hangs");
                std::future::pending::<()>().await;
            }
            responder.answer(&exchange.message);
        }
    }
}

async fn serve(url: &str) -> UntypedClient {
    let service = UntypedClient::builder(url, "raw", 0).service(Answer);
    let service = service.connect().await.expect("connects");
    let subscribed = service.subscribe("ask/$in", &SubscribeOptions::new()).await;
    subscribed.expect("is allowed");
    service
}

#[tokio::test]
#[ignore = "another test runs it, in a process that is killed"]
async fn a_service_until_it_is_killed() {
    let url = std::env::var(URL).expect("is set");
    let _service = serve(&url).await;
    println!("serves");
    std::future::pending::<()>().await;
}

/// The service in a process of its own.
struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    async fn start(url: &str) -> Self {
        let this = std::env::current_exe().expect("a program");
        let mut child = Command::new(this)
            .args(["--exact", "faults::a_service_until_it_is_killed"])
            .args(["--ignored", "--nocapture"])
            .env(URL, url)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("starts");
        let output = child.stdout.take().expect("is piped");
        let lines = BufReader::new(output).lines();
        let mut process = Self { child, lines };
        process.says("serves").await;
        process
    }

    /// Waits until it says so.
    async fn says(&mut self, text: &str) {
        let waiting = async {
            while let Some(line) = self.lines.next_line().await.expect("text") {
                // The name of the test may stand before it.
                if line.ends_with(text) {
                    return;
                }
            }
            panic!("it has ended");
        };
        soon(text, waiting).await;
    }
}

fn ask(body: &'static str) -> UntypedMessage {
    let message = UntypedMessage::new(&ASK, body).to_topic("ask");
    message.expect("a topic")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_killed_in_mid_call_ends_that_call_and_no_other() {
    let broker = Broker::plain().await;
    let url = broker.urls[0].clone();
    let mut process = Process::start(&url).await;
    let client = UntypedClient::builder(&url, "raw", 0).connect().await;
    let client = client.expect("connects");
    let calling = {
        let client = client.clone();
        tokio::spawn(async move { client.call(&ask("hang"), &CallOptions::new()).await })
    };
    process.says("hangs").await;
    let _other = serve(&url).await;
    process.child.start_kill().expect("it runs");
    let outcome = soon("an outcome", calling).await.expect("no panic");
    let error = outcome.expect_err("its service is gone");
    assert_eq!(error.code(), Code::Unknown, "it may have run: {error}");
    for _ in 0..20 {
        let answer = client.call(&ask("hello"), &CallOptions::new()).await;
        assert_eq!(answer.expect("is answered").raw_body(), "hello");
    }
    broker.stop().await;
}

/// A MIP peer is never pinged, and may be silent for as long as it likes. One whose machine has gone would be there for ever.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_system_asks_silent_peers_whether_they_are_there() {
    let broker = Broker::plain().await;
    let peer = Peer::connect(broker.address()).await;
    let [near, far] = [peer.stream.peer_addr(), peer.stream.local_addr()];
    let ports = [near, far].map(|address| address.expect("is connected").port());
    let keepalive = || {
        let table = std::fs::read_to_string("/proc/net/tcp").expect("is there");
        let of_broker = table.lines().find_map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let port = |at: usize| fields.get(at)?.rsplit(':').next();
            let is_port =
                |at, number: u16| port(at).is_some_and(|port| port == format!("{number:04X}"));
            (is_port(1, ports[0]) && is_port(2, ports[1])).then(|| fields[5].to_owned())
        });
        of_broker.expect("the connection is listed")
    };
    // Kind 2 is that of the keepalive; others are of what is under way.
    let is_set = async {
        while !keepalive().starts_with("02:") {
            tokio::task::yield_now().await;
        }
    };
    soon("a keepalive", is_set).await;
    let timer = keepalive();
    let ticks = timer.rsplit(':').next().expect("a time");
    let ticks = u64::from_str_radix(ticks, 16).expect("a number");
    assert!(ticks <= 60 * 100, "in a minute: {timer}");
    broker.stop().await;
}
