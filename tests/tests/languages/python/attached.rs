//! Services in Python behind a broker, and their clients in Rust and Python.

use std::{future::pending, process::Stdio};

use futures_util::{StreamExt as _, stream};
use msip_broker::Broker;
use msip_runtime::{Client, Code};
use msip_tests::{
    HeldPort, LabClient, SeenByClient,
    lab::{Lab, NoteInd, SaveInd, SendClientToServer as _, ShoutReq, SumReq},
    messages::{act, count, echo},
    next, soon,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
    sync::mpsc,
    task::JoinHandle,
};

use super::programs::{program, said};

/// A broker in a task, and its URL.
async fn broker() -> (String, JoinHandle<()>) {
    broker_at("tcp://127.0.0.1:0").await
}

async fn broker_at(url: &str) -> (String, JoinHandle<()>) {
    let broker = Broker::builder().listen(url).bind().await.expect("listens");
    let url = broker.local_urls().next().expect("a URL").clone();
    let serving = tokio::spawn(async move {
        broker.serve_until(pending()).await;
    });
    (url.to_string(), serving)
}

/// An instance of the service.
struct Service {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Service {
    /// One that serves this topic, once it does.
    async fn start(url: &str) -> Option<Self> {
        let mut child = program("lab_host.py")?
            .args(["attach", url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let input = child.stdin.take().expect("its input is piped");
        let output = child.stdout.take().expect("its output is piped");
        let mut service = Self {
            child,
            input,
            output: BufReader::new(output).lines(),
        };
        assert!(service.line().await.starts_with("tcp://"));
        Some(service)
    }

    async fn line(&mut self) -> String {
        let line = soon("a line of the service", self.output.next_line()).await;
        line.expect("it can be read").expect("the service goes on")
    }

    /// Tells it to end, and waits until it has.
    async fn end(mut self) {
        drop(self.input);
        let status = soon("its end", self.child.wait()).await.expect("ended");
        assert!(status.success(), "{status}");
    }
}

async fn client(url: &str) -> (Client<Lab>, mpsc::Receiver<SeenByClient>) {
    let (handler, events) = LabClient::new();
    let connecting = Client::<Lab>::builder(url).handler(handler).connect();
    let client = soon("a connection", connecting).await.expect("connected");
    (client, events)
}

/// The number of the next note.
async fn note(events: &mut mpsc::Receiver<SeenByClient>) -> u64 {
    loop {
        if let SeenByClient::Note(number) = next(events).await {
            return number;
        }
    }
}

#[tokio::test]
async fn every_exchange_with_clients_in_rust_and_python() {
    let (broker, _serving) = broker().await;
    let url = format!("{broker}/lab");
    let Some(mut service) = Service::start(&url).await else {
        return;
    };
    let (client, mut events) = client(&url).await;
    for len in [0, 1, 300_000] {
        let request = echo(&"é".repeat(len));
        let answer = client.echo_req(request.clone()).await.expect("answered");
        assert_eq!(answer.text, request.text);
    }
    let peer = format!("{:016x}", client.connection().peer_id());
    assert_eq!(service.line().await, format!("connected {peer} at lab"));
    let number = |number| NoteInd {
        number,
        ..NoteInd::default()
    };
    // What is sent to a service comes back as what it says to one client; more than a client's window, in order.
    for sent in 0..600 {
        client.note_ind(number(sent)).await.expect("sent");
    }
    for expected in 0..600 {
        assert_eq!(note(&mut events).await, expected);
    }
    client.save_ind(SaveInd { number: 8 }).await.expect("saved");
    let asked = client.act_req(act("ask")).await.expect("answered");
    assert_eq!(asked.done, "who? me");
    let missing = client.act_req(act("missing")).await.expect_err("fails");
    assert_eq!(missing.code(), Code::NotFound);

    let mut numbers = client.count_req(count(100, 1100)).await.expect("begun");
    for expected in 100..1100 {
        let item = numbers.next().await.expect("an item").expect("a number");
        assert_eq!(item.number, expected);
    }
    assert!(numbers.next().await.is_none());
    let mut endless = client.count_req(count(0, 0)).await.expect("begun");
    assert!(endless.next().await.is_some());
    drop(endless);
    let numbers = stream::iter((20..100).map(|number| SumReq { number }));
    assert_eq!(client.sum_req(numbers).await.expect("answered").sum, 4760);
    let texts = (0..100).map(|number| ShoutReq {
        text: format!("é{number}"),
    });
    let shouted = client.shout_req(stream::iter(texts)).await.expect("begun");
    let shouted: Vec<String> = shouted
        .map(|shout| shout.expect("a shout").text)
        .collect()
        .await;
    assert_eq!(shouted.last().map(String::as_str), Some("É99"));

    let mut talk = program("lab_talk.py").expect("there is Python");
    assert_eq!(said(talk.arg(&url)).await, "ok\n");
    soon("the end", client.close()).await;
    // Handlers of the clients in Python and in Rust were told, whichever went first.
    let mut lines = [
        service.line().await,
        service.line().await,
        service.line().await,
    ];
    lines.sort();
    assert!(lines[0].starts_with("connected "), "{lines:?}");
    assert!(
        lines[1].starts_with("gone ") && lines[2].starts_with("gone "),
        "{lines:?}"
    );
    service.end().await;
}

#[tokio::test]
async fn everyone_the_others_and_who_is_there() {
    let (broker, _serving) = broker().await;
    // A filter serves many topics.
    let Some(mut service) = Service::start(&format!("{broker}/rooms/+")).await else {
        return;
    };
    let (one, mut heard_by_one) = client(&format!("{broker}?topic=rooms/1")).await;
    let (two, mut heard_by_two) = client(&format!("{broker}?topic=rooms/2")).await;
    for client in [&one, &two] {
        client.echo_req(echo("hello")).await.expect("answered");
    }
    for room in [1, 2] {
        let line = service.line().await;
        assert!(line.ends_with(&format!(" at rooms/{room}")), "{line}");
    }
    let done = |done: &str| act(done);
    assert_eq!(
        one.act_req(done("peers")).await.expect("answered").done,
        "2"
    );
    assert_eq!(
        one.act_req(done("everyone")).await.expect("answered").done,
        "2"
    );
    assert_eq!(
        one.act_req(done("others")).await.expect("answered").done,
        "1"
    );
    assert_eq!(note(&mut heard_by_one).await, 100);
    assert_eq!(note(&mut heard_by_two).await, 100);
    assert_eq!(note(&mut heard_by_two).await, 101);

    // The broker ends a client's session where the service asks for it.
    drop(two.act_req(done("leave")).await);
    assert!(service.line().await.starts_with("gone "));
    soon("the end", one.close()).await;
    service.end().await;
}

#[tokio::test]
async fn instances_share_the_work_and_one_that_leaves_loses_no_call() {
    let (broker, _serving) = broker().await;
    let url = format!("{broker}/lab");
    let Some(mut first) = Service::start(&url).await else {
        return;
    };
    let (client, _events) = client(&url).await;
    client.echo_req(echo("hello")).await.expect("answered");
    assert!(first.line().await.starts_with("connected "));
    let mut second = Service::start(&url).await.expect("there is Python");
    let calls = (0..200).map(|number| {
        let client = client.clone();
        async move { client.echo_req(echo(&number.to_string())).await }
    });
    let (answers, ()) = tokio::join!(futures_util::future::join_all(calls), first.end());
    for answer in answers {
        answer.expect("answered by one of them");
    }
    // The other one looks after the client from here on.
    assert!(second.line().await.starts_with("connected "));
    client.echo_req(echo("still")).await.expect("answered");
    soon("the end", client.close()).await;
    assert!(second.line().await.starts_with("gone "));
    second.end().await;
}

#[tokio::test]
async fn clients_have_gone_with_a_broker_and_come_again_with_the_next_one() {
    // It stays theirs while the first one is gone, and the next one is not there.
    let port = HeldPort::new().expect("a port");
    let (url, serving) = broker_at(&format!("tcp://{}", port.address())).await;
    let settings = "reconnect_min=1ms&reconnect_max=20ms";
    let service = Service::start(&format!("{url}/lab?{settings}")).await;
    let Some(mut service) = service else {
        return;
    };
    let (client, _events) = client(&format!("{url}/lab?{settings}")).await;
    client.echo_req(echo("hello")).await.expect("answered");
    let connected = service.line().await;
    let gone = connected.replace("connected", "gone");
    let gone = gone.trim_end_matches(" at lab");
    serving.abort();
    drop(serving.await);
    let (_, _serving) = broker_at(&url).await;
    let answered = async {
        while client.echo_req(echo("again")).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    soon("an answer", answered).await;
    // Another client by its number, so that either may be told first.
    let mut lines = [service.line().await, service.line().await];
    lines.sort();
    assert!(lines[0].starts_with("connected "), "{lines:?}");
    assert_eq!(lines[1], gone);
    soon("the end", client.close()).await;
    assert!(service.line().await.starts_with("gone "));
    service.end().await;
}
