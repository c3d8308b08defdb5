//! What brought the reference down, and what else a client may try.

use futures_util::{SinkExt as _, StreamExt as _};
use msip_tests::soon;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
};
use tokio_tungstenite::tungstenite::Message;

use super::{Client, Keys, PUBLIC, TRUSTED, address, broker, error, open, parts};
use crate::process::{Broker, get};

const MIB: u64 = 1024 * 1024;

/// A client that means no harm, and is served as ever.
struct Bystander(Client);

impl Bystander {
    async fn connect(broker: &Broker) -> Self {
        Self::of(Client::connect(broker, TRUSTED).await).await
    }

    async fn of(mut client: Client) -> Self {
        client.send("SUB still here\n\n.\n").await;
        Self(client)
    }

    async fn is_served(&mut self) {
        self.0.send("PUB still here\n\nyes\n.\n").await;
        assert_eq!(parts(&self.0.hear().await).2, "yes");
    }
}

#[tokio::test]
async fn a_storm_over_six_connections_harms_nobody() {
    let keys = Keys::new();
    let broker = broker(&keys, "", &[]).await;
    let mut bystander = Bystander::connect(&broker).await;
    bystander.0.send("EPUB storm\n\n.\n").await;
    bystander.0.send("ESUB storm\n\n.\n").await;
    bystander.is_served().await;
    let before = broker.memory().resident;
    let mut storms = Vec::new();
    for number in 0..6 {
        let client = Client::connect(&broker, PUBLIC).await;
        storms.push(tokio::spawn(async move {
            let (mut sink, mut stream) = client.socket.split();
            let reading = tokio::spawn(async move {
                let mut count = 0;
                while let Some(Ok(_)) = stream.next().await {
                    count += 1;
                }
                count
            });
            for turn in 0..1000 {
                for text in [
                    "SUB storm\n\n.\n".to_owned(),
                    "PUB storm\n\nx\n.\n".to_owned(),
                    "UNS storm\n\n.\n".to_owned(),
                    // A key of its own, which nobody has enabled.
                    format!("PUB {number} {turn}\n\nx\n.\n"),
                ] {
                    sink.feed(Message::text(text)).await.expect("is taken");
                }
            }
            sink.close().await.expect("is closed");
            reading.await.expect("no panic")
        }));
    }
    for storm in storms {
        let heard = soon("the end of a storm", storm).await.expect("no panic");
        assert!(heard >= 1000, "each refusal was told, {heard}");
    }
    bystander.is_served().await;
    let grown = broker.memory().resident.saturating_sub(before);
    assert!(grown < 32 * MIB, "{grown} bytes for 6000 keys of nobody");
    broker.stop().await;
}

#[tokio::test]
async fn one_who_does_not_read_is_cut_and_the_others_get_all_in_order() {
    const COUNT: u32 = 1500;
    const AHEAD: u32 = 20;
    let keys = Keys::new();
    let mut broker = broker(&keys, "", &["--admin", "127.0.0.1:0"]).await;
    let admin = broker.line().await.replace("admin on http://", "");
    let mut slow = Client::connect(&broker, TRUSTED).await;
    let mut good = Client::connect(&broker, TRUSTED).await;
    for client in [&mut slow, &mut good] {
        client.send("SUB flood\n\n.\n").await;
        assert!(client.rest().await.is_empty());
    }
    let mut publisher = Client::connect(&broker, TRUSTED).await;
    let before = broker.memory().resident;
    let (progress, mut heard) = watch::channel(0);
    let reading = tokio::spawn(async move {
        for number in 0..COUNT {
            let text = good.hear().await;
            let body = parts(&text).2;
            assert!(body.starts_with(&format!("{number} ")), "{:.20}", body);
            progress.send_replace(number + 1);
        }
    });
    let body = "x".repeat(64 * 1024);
    for number in 0..COUNT {
        let near = heard.wait_for(|heard| heard + AHEAD >= number);
        soon("the good one reads", near).await.expect("it is there");
        publisher
            .send(format!("PUB flood\n\n{number} {body}\n.\n"))
            .await;
    }
    soon("all of it", reading).await.expect("in order");
    // 94 MiB passed: what waits for the slow one is bounded.
    let grown = broker.memory().peak.saturating_sub(before);
    assert!(grown < 64 * MIB, "{grown} bytes");
    let metrics = get(&admin, "/metrics").await.expect("an answer").1;
    let cut = "msip_broker_sessions_ended_total{reason=\"slow_consumer\"} 1";
    assert!(metrics.contains(cut), "{metrics}");
    broker.logged("slow consumer").await;
    broker.stop().await;
}

#[tokio::test]
async fn a_message_may_be_as_large_as_max_body_and_no_larger() {
    let keys = Keys::new();
    let file = keys.path("broker.toml");
    std::fs::write(
        &file,
        "max_body = \"16MiB\"\n[limits]\noutgoing_bytes = \"64MiB\"\n",
    )
    .expect("is written");
    let file = file.to_str().expect("text");
    let large = broker(&keys, "", &["--config", file]).await;
    let mut client = Client::connect(&large, TRUSTED).await;
    client.send("SUB a\n\n.\n").await;
    // With its headers it is a frame of 16 MiB, which is all that the library of this client takes.
    let body = "x".repeat(16 * 1024 * 1024 - 4096);
    client.send(format!("PUB a\n\n{body}\n.\n")).await;
    assert_eq!(parts(&client.hear().await).2.len(), body.len());
    large.stop().await;
    let broker = broker(&keys, "", &[]).await;
    let mut bystander = Bystander::connect(&broker).await;
    let before = broker.memory().resident;
    let mut attackers = Vec::new();
    for _ in 0..4 {
        let mut client = Client::connect(&broker, PUBLIC).await;
        // It may be closed before all of it is sent.
        let _ = client.socket.send(Message::text(body.clone())).await;
        attackers.push(client);
    }
    bystander.is_served().await;
    let grown = broker.memory().peak.saturating_sub(before);
    assert!(grown < 24 * MIB, "{grown} bytes for 64 MiB");
    broker.stop().await;
}

/// The bytes of a masked frame.
fn frame(first: u8, len: u64, sent: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match u8::try_from(len) {
        Ok(short) if short < 126 => bytes.push(0x80 | short),
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend(len.to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(sent);
    bytes
}

#[tokio::test]
async fn frames_that_lie_and_fragments_of_nothing_cost_their_sender_the_connection() {
    let keys = Keys::new();
    let broker = broker(&keys, "", &[]).await;
    let mut bystander = Bystander::connect(&broker).await;
    let before = broker.memory().resident;
    let start = frame(0x01, 4, b"PUB ");
    let fragments = [start, frame(0x00, 0, b"").repeat(1_000_000)].concat();
    let cases: [(&str, Vec<u8>); 3] = [
        (
            "a frame of 2^63 - 1 bytes",
            frame(0x81, u64::MAX >> 1, b"PUB"),
        ),
        ("a million empty fragments", fragments),
        ("a reserved opcode", frame(0x83, 1, b"x")),
    ];
    for with_key in [true, false] {
        for (name, bytes) in &cases {
            let mut client = match with_key {
                true => Client::connect(&broker, PUBLIC).await.socket,
                false => open(&broker.urls[0], "/", None).await.expect("a WebSocket"),
            };
            // It may be closed before all of it is sent.
            let stream = client.get_mut();
            let _ = soon("is taken", stream.write_all(bytes)).await;
            let mut rest = Vec::new();
            let read = soon("the end", stream.read_to_end(&mut rest)).await;
            // A close frame, unless what was still under way has cut it off.
            assert!(read.is_err() || rest.contains(&0x88), "{name}: {rest:?}");
        }
    }
    // A large frame of which one byte comes is memory of nobody.
    let mut waiting = Vec::new();
    for _ in 0..50 {
        let mut client = Client::connect(&broker, PUBLIC).await;
        let stream = client.socket.get_mut();
        let claims = frame(0x81, 4_000_000, b"P");
        stream.write_all(&claims).await.expect("is taken");
        waiting.push(client);
    }
    bystander.is_served().await;
    let grown = broker.memory().resident.saturating_sub(before);
    assert!(grown < 24 * MIB, "{grown} bytes");
    broker.stop().await;
}

#[tokio::test]
async fn what_is_no_websocket_is_told_so_or_closed() {
    let keys = Keys::new();
    let broker = broker(&keys, "", &[]).await;
    let upgrade = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Version: 13\r\n";
    let fields = format!("{upgrade}X: {}\r\n\r\n", "x".repeat(100_000));
    let cases: [(&str, &[u8], &str); 5] = [
        ("100 kB of fields", fields.as_bytes(), "HTTP/1.1 431 "),
        (
            "no key",
            format!("{upgrade}\r\n").leak().as_bytes(),
            "HTTP/1.1 400 ",
        ),
        (
            "a page of metrics",
            b"GET /debug/metrics HTTP/1.1\r\nHost: a\r\n\r\n",
            "HTTP/1.1 400 ",
        ),
        (
            "MSIP",
            b"MSIP\x01\0\0\x01\0\x03\0\0\0\0\0\x10\0\0\0\0\0\0\0\x01",
            "",
        ),
        ("TLS", b"\x16\x03\x01\0\x05hello", ""),
    ];
    for (name, bytes, expected) in cases {
        let stream = TcpStream::connect(address(&broker.urls[0])).await;
        let mut stream = stream.expect("connects");
        // It may be closed before all of it is sent.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = soon("the end", stream.read_to_end(&mut answer)).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(expected), "{name}: {answer}");
        assert_eq!(answer.is_empty(), expected.is_empty(), "{name}: {answer}");
    }
    // Nor does a client of MiddleMan get anywhere at another listener.
    let refused = open(&broker.urls[1], "/", None).await;
    refused.expect_err("it is for MSIP");
    let log = broker.stop().await;
    assert!(!log.contains("panic"), "{log}");
}

#[tokio::test]
async fn half_a_request_is_not_waited_for() {
    let keys = Keys::new();
    let broker = broker(&keys, "&handshake_timeout=1s", &[]).await;
    let bystander = Client::connect_in_time(&broker, TRUSTED).await;
    let mut bystander = Bystander::of(bystander).await;
    let before = broker.memory().resident;
    let mut strangers = Vec::new();
    for _ in 0..100 {
        let stream = TcpStream::connect(address(&broker.urls[0])).await;
        let mut stream = stream.expect("connects");
        let half = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: webs";
        stream.write_all(half).await.expect("is taken");
        strangers.push(stream);
    }
    bystander.is_served().await;
    let mut answer = Vec::new();
    for mut stranger in strangers {
        // It may be reset, since not all of it was read.
        let _ = soon("the end", stranger.read_to_end(&mut answer)).await;
    }
    assert_eq!(answer, b"");
    let grown = broker.memory().peak.saturating_sub(before);
    assert!(grown < 8 * MIB, "{grown} bytes");
    broker.stop().await;
}

#[tokio::test]
async fn errors_that_nobody_reads_hold_up_their_sender() {
    let keys = Keys::new();
    let broker = broker(&keys, "", &[]).await;
    let mut bystander = Bystander::connect(&broker).await;
    let before = broker.memory().resident;
    let mut client = Client::connect(&broker, PUBLIC).await;
    let text = format!("PUB {}\n\nx\n.\n", "k".repeat(200));
    let flood = async {
        while client
            .socket
            .send(Message::text(text.clone()))
            .await
            .is_ok()
        {}
    };
    // The socket takes no more once the broker reads no more; it is cut after that.
    soon("the end of a flood", flood).await;
    bystander.is_served().await;
    let grown = broker.memory().peak.saturating_sub(before);
    assert!(grown < 32 * MIB, "{grown} bytes");
    broker.stop().await;
}

#[tokio::test]
async fn requests_that_nobody_answers_are_bounded() {
    let keys = Keys::new();
    let broker = broker(&keys, "", &[]).await;
    let mut service = Client::connect(&broker, TRUSTED).await;
    service.send("EREQ Hole\n\n.\n").await;
    assert!(service.rest().await.is_empty());
    let mut client = Client::connect(&broker, PUBLIC).await;
    for _ in 0..1030 {
        client.send("REQ Hole\n\nx\n.\n").await;
    }
    let told = client.rest().await;
    assert_eq!(told, vec![error("Too many open requests REQ Hole"); 6]);
    // What its service answers makes place again.
    let asked = service.hear().await;
    let rid = super::header(&asked, "Rid").expect("a number");
    service.send(format!("RES Hole\nrid:{rid}\n\n\n.\n")).await;
    assert!(client.hear().await.starts_with("RES Hole"));
    client.send("REQ Hole\n\nx\n.\n").await;
    assert!(client.rest().await.is_empty());
    broker.stop().await;
}

#[tokio::test]
async fn a_broker_that_stops_says_so() {
    let keys = Keys::new();
    let broker = broker(&keys, "", &[]).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(Client::connect(&broker, PUBLIC).await);
    }
    broker.stop().await;
    for mut client in clients {
        assert_eq!(client.closed().await, (1001, "the broker stops".to_owned()));
    }
}
