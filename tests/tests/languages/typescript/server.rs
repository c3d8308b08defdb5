//! Clients in Rust talk with a server in Node.js.

use futures_util::stream;
use msip_broker::Broker;
use msip_runtime::{
    Client, Reconnect,
    transport::{ClientTls, Pem},
};
use msip_tests::{
    Authority, LabClient, SeenByClient,
    lab::{Lab, SaveInd, SendClientToServer as _, ShoutReq, SumReq},
    messages::{act, count, echo, note},
    next,
    proxy::{Plan, Proxy},
    soon,
};

use tokio::task::JoinHandle;

use super::{
    node::{Node, Programs, with_interval},
    tools::{Tools, tools},
};

/// What an error says.
fn said<T: std::fmt::Debug, E: std::error::Error>(result: Result<T, E>) -> String {
    result.expect_err("an error").to_string()
}

#[tokio::test]
async fn everything_is_said_over_each_transport() {
    let Some(tools) = tools() else { return };
    let programs = Programs::bundle(tools, "server_everything");
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new("of the tests");
    let issued = authority.issue_local();
    issued.write(folder.path(), "server").expect("written");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let tls = format!("cert={}&key={}", file("server.pem"), file("server.key"));
    let urls = [
        "tcp://127.0.0.1:0".to_owned(),
        format!("unix://{}", file("lab.sock")),
        "ws://127.0.0.1:0/lab".to_owned(),
        format!("tls://127.0.0.1:0?{tls}"),
        format!("wss://127.0.0.1:0/lab?{tls}"),
    ];
    let args: Vec<&str> = urls.iter().map(String::as_str).collect();
    let mut node = Node::start(tools, &programs.server, &args);
    let mut places = Vec::new();
    for _ in &urls {
        places.push(node.line().await);
    }
    // Another codec, and compression.
    places.push(format!("{}?codec=json&compress=gzip", places[0]));
    places.push(format!("{}?codec=msgpack", places[0]));
    for place in &places {
        let tls = ClientTls::new().ca(Pem::bytes(authority.pem()));
        let (handler, mut events) = LabClient::new();
        let client = Client::<Lab>::builder(place)
            .handler(handler)
            .name("rust")
            .tls(tls)
            .connect();
        let client = soon("a client", client).await.expect(place);
        node.until("connected rust").await;
        talk(&client, &mut node).await;
        // Its acknowledgment is of the handler, which fails.
        let error = said(client.save_ind(SaveInd { number: 13 }).await);
        assert!(error.contains("not thirteen"), "{error}");
        assert_eq!(client.act_req(act("tell 7")).await.expect("told").done, "1");
        while !matches!(next(&mut events).await, SeenByClient::Note(7)) {}
        client.close().await;
        node.until("disconnected").await;
    }
    node.end_input();
    node.until("closed 0").await;
    node.ended().await;
}

/// Each shape of an exchange.
async fn talk(client: &Client<Lab>, node: &mut Node) {
    let long = "x".repeat(1 << 20);
    assert_eq!(
        client.echo_req(echo(&long)).await.expect("echoed").text,
        long
    );
    client.note_ind(note(1)).await.expect("sent");
    client.tick_ind().await.expect("sent");
    client.save_ind(SaveInd { number: 3 }).await.expect("saved");
    for line in ["note 1", "tick", "save 3"] {
        node.until(line).await;
    }
    for (what, text) in [
        ("fail", "no such thing"),
        ("panic", "the handler failed"),
        ("nothing", "is nothing to do"),
    ] {
        let error = said(client.act_req(act(what)).await);
        assert!(error.contains(text), "{what}: {error}");
    }
    node.until("the handler of act_req failed: Error: asked to")
        .await;
    assert_eq!(
        client.act_req(act("ask")).await.expect("asked").done,
        "who? me"
    );
    let mut numbers = client.count_req(count(100, 2000)).await.expect("opens");
    for number in 100..2000 {
        let item = numbers.next().await.expect("an item").expect("a number");
        assert_eq!(item.number, number);
    }
    assert!(numbers.next().await.is_none());
    let requests = stream::iter((0..2000).map(|number| SumReq {
        number: number + 100,
    }));
    let sum = client.sum_req(requests).await.expect("a sum").sum;
    assert_eq!(sum, (0..2000).map(|number| number + 100).sum::<u64>());
    let requests = stream::iter(["a", "b"].map(|text| ShoutReq { text: text.into() }));
    let mut shouted = client.shout_req(requests).await.expect("opens");
    let mut texts = String::new();
    while let Some(answer) = shouted.next().await {
        texts += &answer.expect("an answer").text;
    }
    assert_eq!(texts, "AB");
    // One that is left: the server's generator ends, or its window would be the end of it.
    let mut endless = client.count_req(count(1000, 0)).await.expect("opens");
    assert_eq!(
        endless
            .next()
            .await
            .expect("an item")
            .expect("a number")
            .number,
        1000
    );
    drop(endless);
    let calls =
        (0..500).map(|number| async move { client.echo_req(echo(&number.to_string())).await });
    for (number, answer) in futures_util::future::join_all(calls)
        .await
        .into_iter()
        .enumerate()
    {
        assert_eq!(answer.expect("echoed").text, number.to_string());
    }
}

/// The same handler as a service of a broker, which is started anew meanwhile.
#[tokio::test]
async fn everything_is_said_through_a_broker() {
    let Some(tools) = tools() else { return };
    let programs = Programs::bundle(tools, "server_attached");
    let (target, first) = broker().await;
    let proxy = Proxy::start(target.parse().expect("an address")).await;
    let url = format!("{}/lab", proxy.url());
    let mut node = Node::start(tools, &programs.server, &["attach", &url]);
    node.line().await;
    let client = lab(&format!("tcp://{target}/lab")).await;
    node.until("connected rust").await;
    talk(&client, &mut node).await;
    assert_eq!(client.act_req(act("tell 7")).await.expect("told").done, "1");
    client.close().await;
    node.until("gone UNAVAILABLE").await;

    // A broker that knows nothing of it.
    let another = lab(&format!("tcp://{target}/lab")).await;
    another.note_ind(note(5)).await.expect("sent");
    node.until("note 5").await;
    let (target, _second) = broker().await;
    proxy.aim(target.parse().expect("an address"));
    first.abort();
    proxy.cut();
    node.until("gone").await;
    let client = lab(&format!("tcp://{target}/lab")).await;
    // Until the service is there nobody answers, and nobody hears.
    let served = async { while client.echo_req(echo("hi")).await.is_err() {} };
    soon("the service", served).await;
    client.save_ind(SaveInd { number: 6 }).await.expect("saved");
    node.until("save 6").await;
    node.end_input();
    node.until("closed 0").await;
    node.ended().await;
}

/// A broker in a task of its own, and where it listens.
async fn broker() -> (String, JoinHandle<()>) {
    let binding = Broker::builder().listen("tcp://127.0.0.1:0").bind().await;
    let broker = binding.expect("a broker");
    let url = broker.local_urls().next().expect("a place");
    let place = url.address().authority().to_owned();
    let serving = tokio::spawn(async move {
        broker.serve_until(std::future::pending()).await;
    });
    (place, serving)
}

async fn lab(url: &str) -> Client<Lab> {
    let (handler, _events) = LabClient::new();
    let connecting = Client::<Lab>::builder(url)
        .handler(handler)
        .name("rust")
        .connect();
    soon("a client", connecting).await.expect("connected")
}

/// Resets, truncations and silence, each way: the server's sessions go on.
#[tokio::test]
async fn each_delivery_is_handled_once_over_connections_that_end_badly() {
    let Some(tools) = tools() else { return };
    let programs = Programs::bundle(tools, "server_troubled");
    with_interval(async |interval_ms| troubled(tools, &programs, interval_ms).await).await;
}

async fn troubled(tools: &Tools, programs: &Programs, interval_ms: u64) {
    let url = format!("tcp://127.0.0.1:0?ping_interval={interval_ms}ms");
    let mut node = Node::start(tools, &programs.server, &[&url]);
    let place = node.line().await;
    let target = place
        .trim_start_matches("tcp://")
        .parse()
        .expect("an address");
    let proxy = Proxy::with_plan(target, Plan::seeded(11, 14, 4000)).await;
    let url = format!(
        "{}?ping_interval={interval_ms}ms&handshake_timeout={}ms&reconnect_max=50ms&buffer_disconnected=1MiB",
        proxy.url(),
        10 * interval_ms
    );
    let client = loop {
        let (handler, _events) = LabClient::new();
        let handler = handler.on_close(Reconnect::Backoff);
        let connecting = Client::<Lab>::builder(&url).handler(handler).connect();
        if let Ok(client) = soon("a client", connecting).await {
            break client;
        }
    };
    let mut tally = proxy.tally();
    let mut sent = 100;
    while tally.borrow_and_update().troubles() < 14 {
        let round: Vec<_> = (sent..sent + 20)
            .map(|number| client.save_ind(SaveInd { number }))
            .collect();
        for saved in futures_util::future::join_all(round).await {
            saved.expect("saved");
        }
        sent += 20;
    }
    client.close().await;
    node.end_input();
    let mut handled = Vec::new();
    loop {
        let line = node.line().await;
        if let Some(number) = line.strip_prefix("save ") {
            handled.push(number.parse::<u64>().expect("a number"));
        }
        if line.starts_with("closed") {
            break;
        }
    }
    handled.sort_unstable();
    assert_eq!(handled, (100..sent).collect::<Vec<_>>());
    node.ended().await;
}

/// What breaks the protocol ends its own connection, and nothing else.
#[tokio::test]
async fn a_hostile_peer_ends_its_own_connection() {
    let Some(tools) = tools() else { return };
    let programs = Programs::bundle(tools, "server_hostile");
    let mut node = Node::start(
        tools,
        &programs.server,
        &["tcp://127.0.0.1:0?handshake_timeout=200ms"],
    );
    let place = node.line().await;
    let client = soon("a client", async {
        loop {
            // The time for a handshake is short, and the machine may be busy.
            if let Ok(client) = Client::<Lab>::connect(&place).await {
                break client;
            }
        }
    })
    .await;
    let address = place.trim_start_matches("tcp://");
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        // A PUBLISH of 4 GiB before HELLO, a HELLO of 10 MiB, and one byte of a header.
        b"MSIP\x01\x00\x00\x04\x00\x01\x00\x01\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x01",
        b"MSIP\x01\x00\x00\x01\x00\x03\x00\x00\x00\xa0\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01",
        b"M",
    ] {
        let mut stream = tokio::net::TcpStream::connect(address)
            .await
            .expect("connects");
        tokio::io::AsyncWriteExt::write_all(&mut stream, bytes)
            .await
            .expect("sent");
        let mut answer = Vec::new();
        let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer);
        soon("the end of the connection", read).await.ok();
        assert_eq!(
            client
                .echo_req(echo("still here"))
                .await
                .expect("echoed")
                .text,
            "still here"
        );
    }
    client.close().await;
    node.end_input();
    node.until("closed 0").await;
    node.ended().await;
}

#[tokio::test]
async fn a_server_that_is_killed_is_missed() {
    let Some(tools) = tools() else { return };
    let programs = Programs::bundle(tools, "server_killed");
    let mut node = Node::start(tools, &programs.server, &["tcp://127.0.0.1:0"]);
    let place = node.line().await;
    let (client, mut events) = LabClient::connect(&place).await;
    let (answer, ()) = tokio::join!(client.act_req(act("hang")), async {
        client.echo_req(echo("hi")).await.expect("echoed");
        node.kill().await;
    });
    said(answer);
    while !matches!(next(&mut events).await, SeenByClient::Disconnected(_)) {}
}
