//! MIP peers against a server: whole connections over TCP.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
};

use bytes::BytesMut;
use msip_runtime::{
    DrainReport,
    untyped::{Inbound, Service, UntypedPeer, UntypedProtocol, UntypedServer},
};
use msip_session::MsgKind;
use msip_session::wire::{Flags, FrameType, HEADER_LEN};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

use super::*;
use crate::router::{EndReason, Limits, Totals};

/// MSIP peers, which these tests have none of.
struct Nothing;

impl Service for Nothing {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        while inbound.next().await.is_some() {}
    }
}

struct Served {
    address: SocketAddr,
    peers: MipPeers,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<DrainReport>,
}

async fn serve(url_settings: &str, settings: MipSettings, limits: Limits) -> Served {
    let rights = Arc::new(Rights::all());
    let peers = MipPeers::new(Router::new(limits), Instant::now(), settings, move |_| {
        Ok(Admission {
            principal: Principal::new("anonymous"),
            rights: rights.clone(),
            may_resume: true,
        })
    });
    let server = UntypedServer::builder(format!("tcp://127.0.0.1:0{url_settings}"))
        .untyped(UntypedProtocol::any(), Nothing)
        .handoff(peers.clone())
        .bind()
        .await
        .unwrap();
    let url = server.local_url().to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve_until(async {
        let _ = stopped.await;
    }));
    Served {
        address: url.strip_prefix("tcp://").unwrap().parse().unwrap(),
        peers,
        stop,
        serving,
    }
}

async fn serve_plain() -> Served {
    serve("", MipSettings::default(), Limits::default()).await
}

async fn soon<T>(what: &str, event: impl Future<Output = T>) -> T {
    let event = timeout(Duration::from_secs(60), event).await;
    event.unwrap_or_else(|_| panic!("nothing after a minute: {what}"))
}

/// What a peer heard: a frame's type, id, flags, kind and payload.
type Heard = (FrameType, u64, u8, u16, Vec<u8>);

struct Raw {
    stream: TcpStream,
    received: BytesMut,
}

fn frame(frame_type: FrameType, flags: u8, kind: MsgKind, msg_id: u64, payload: &[u8]) -> Vec<u8> {
    let mut frame = b"MSIP\x01".to_vec();
    frame.push(flags);
    frame.extend(frame_type.number().to_be_bytes());
    frame.extend(kind.number().to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
    frame.extend(msg_id.to_be_bytes());
    frame.extend(payload);
    frame
}

fn hello(msg_id: u64, id: &[u8]) -> Vec<u8> {
    frame(FrameType::Hello, 0, MsgKind::Event, msg_id, id)
}

fn message(topic: &[u8], body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(topic.len()).unwrap().to_be_bytes();
    [&len, topic, body].concat()
}

fn publish(msg_id: u64, topic: &[u8], body: &[u8]) -> Vec<u8> {
    frame(
        FrameType::Publish,
        0,
        MsgKind::Event,
        msg_id,
        &message(topic, body),
    )
}

fn event(msg_id: u64, topic: &[u8], body: &[u8]) -> Heard {
    (FrameType::Event, msg_id, 0, 1, message(topic, body))
}

fn ack(msg_id: u64) -> Heard {
    (FrameType::Ack, msg_id, 0, 3, Vec::new())
}

fn close() -> Heard {
    (FrameType::Close, 0, 0, 3, Vec::new())
}

impl Raw {
    async fn dial(served: &Served) -> Self {
        Self {
            stream: TcpStream::connect(served.address).await.unwrap(),
            received: BytesMut::new(),
        }
    }

    /// One that has said HELLO with this id, and the number that it was told.
    async fn greeted(served: &Served, id: &[u8]) -> (Self, Vec<u8>) {
        let mut raw = Self::dial(served).await;
        raw.say(&hello(1, id)).await;
        let (frame_type, msg_id, _, kind, number) = raw.hear().await.unwrap();
        assert_eq!((frame_type, msg_id, kind), (FrameType::Ack, 1, 3));
        assert_eq!(number.len(), 8);
        (raw, number)
    }

    async fn subscribed(served: &Served, id: &[u8], topic: &[u8]) -> (Self, Vec<u8>) {
        let (mut raw, number) = Self::greeted(served, id).await;
        raw.say(&frame(FrameType::Subscribe, 1, MsgKind::Event, 2, topic))
            .await;
        assert_eq!(raw.hear().await, Some(ack(2)));
        (raw, number)
    }

    async fn say(&mut self, bytes: &[u8]) {
        let written = soon("it is read", self.stream.write_all(bytes)).await;
        written.unwrap();
    }

    async fn hear(&mut self) -> Option<Heard> {
        loop {
            if let Some(header) = self.received.first_chunk::<HEADER_LEN>() {
                let header = msip_session::wire::Header::parse(header).unwrap();
                let len = HEADER_LEN + header.payload_len as usize;
                if self.received.len() >= len {
                    let frame = self.received.split_to(len);
                    let flags: Flags = header.flags;
                    return Some((
                        header.frame_type,
                        header.msg_id.number(),
                        flags.bits(),
                        header.kind.number(),
                        frame[HEADER_LEN..].to_vec(),
                    ));
                }
            }
            let read = self.stream.read_buf(&mut self.received);
            match soon("a frame, or the end", read).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }
}

#[tokio::test]
async fn a_subscriber_hears_what_is_published_with_its_id_and_the_publisher_has_its_acks() {
    let served = serve_plain().await;
    let (mut subscriber, _) = Raw::subscribed(&served, b"", b"news").await;
    let (mut publisher, _) = Raw::greeted(&served, b"").await;
    let frames = [
        publish(7, b"news", b"one"),
        publish(7, b"news", b"two"),
        frame(FrameType::Ping, 0, MsgKind::Event, 8, b""),
        publish(9, b"other", b"three"),
    ];
    publisher.say(&frames.concat()).await;
    let pong = (FrameType::Pong, 8, 0, 1, Vec::new());
    for expected in [ack(7), ack(7), pong, ack(9)] {
        assert_eq!(publisher.hear().await, Some(expected));
    }
    for body in [b"one", b"two"] {
        assert_eq!(subscriber.hear().await, Some(event(7, b"news", body)));
    }
    // It may hear itself.
    subscriber.say(&publish(10, b"news", b"own")).await;
    assert_eq!(subscriber.hear().await, Some(ack(10)));
    assert_eq!(subscriber.hear().await, Some(event(10, b"news", b"own")));
    subscriber
        .say(&frame(
            FrameType::Unsubscribe,
            1,
            MsgKind::Event,
            11,
            b"news",
        ))
        .await;
    assert_eq!(subscriber.hear().await, Some(ack(11)));
    publisher.say(&publish(12, b"news", b"unheard")).await;
    assert_eq!(publisher.hear().await, Some(ack(12)));
    subscriber
        .say(&frame(FrameType::Close, 0, MsgKind::Event, 13, b""))
        .await;
    assert_eq!(subscriber.hear().await, None);
    assert_eq!(served.peers.counts().received, 5);
}

#[tokio::test]
async fn frames_may_come_byte_by_byte_and_before_the_hello_is_answered() {
    let served = serve_plain().await;
    let mut raw = Raw::dial(&served).await;
    let frames = [
        frame(FrameType::Ping, 0, MsgKind::Event, 1, b"early"),
        hello(2, b"a text of mine"),
        frame(FrameType::Subscribe, 0, MsgKind::Event, 3, b"t"),
        publish(4, b"t", b"body"),
    ];
    for byte in frames.concat() {
        raw.say(&[byte]).await;
    }
    assert_eq!(
        raw.hear().await,
        Some((FrameType::Pong, 1, 0, 1, Vec::new()))
    );
    assert_eq!(raw.hear().await.unwrap().1, 2);
    assert_eq!(raw.hear().await, Some(ack(4)));
    assert_eq!(raw.hear().await, Some(event(4, b"t", b"body")));
}

#[tokio::test]
async fn a_peer_that_breaks_a_rule_is_told_and_let_go() {
    let served = serve_plain().await;
    let mut raw = Raw::dial(&served).await;
    raw.say(&publish(5, b"t", b"")).await;
    let (frame_type, id, _, _, text) = raw.hear().await.unwrap();
    assert_eq!((frame_type, id), (FrameType::Error, 5));
    assert_eq!(text, b"FAILED_PRECONDITION: PUBLISH before HELLO");
    assert_eq!(raw.hear().await, Some(close()));
    assert_eq!(raw.hear().await, None);
}

#[tokio::test]
async fn a_session_is_there_again_by_its_number_with_what_was_acknowledged_meanwhile() {
    let served = serve_plain().await;
    let (subscriber, number) = Raw::subscribed(&served, b"", b"news").await;
    let (mut publisher, _) = Raw::greeted(&served, b"").await;
    drop(subscriber);
    for id in 0..100 {
        publisher.say(&publish(id, b"news", b"kept")).await;
        assert_eq!(publisher.hear().await, Some(ack(id)));
        if served.peers.counts().connected == 1 {
            break;
        }
    }
    publisher.say(&publish(1000, b"news", b"last")).await;
    assert_eq!(publisher.hear().await, Some(ack(1000)));
    let (mut again, same) = Raw::greeted(&served, &number).await;
    assert_eq!(same, number);
    loop {
        let heard = again.hear().await.unwrap();
        if heard == event(1000, b"news", b"last") {
            break;
        }
    }
    publisher.say(&publish(1001, b"news", b"live")).await;
    assert_eq!(again.hear().await, Some(event(1001, b"news", b"live")));
}

#[tokio::test]
async fn the_second_to_claim_a_number_has_the_session_and_the_first_is_told_and_closed() {
    let served = serve_plain().await;
    let (mut first, number) = Raw::subscribed(&served, b"", b"news").await;
    let (mut second, same) = Raw::greeted(&served, &number).await;
    assert_eq!(same, number);
    assert_eq!(first.hear().await, Some(close()), "without an ERROR");
    assert_eq!(first.hear().await, None);
    second.say(&publish(3, b"news", b"mine")).await;
    assert_eq!(second.hear().await, Some(ack(3)));
    assert_eq!(second.hear().await, Some(event(3, b"news", b"mine")));
}

#[tokio::test]
async fn connections_of_one_text_hear_the_same() {
    let served = serve_plain().await;
    let (mut first, number) = Raw::subscribed(&served, b"robot number 1", b"news").await;
    let (mut second, same) = Raw::greeted(&served, b"robot number 1").await;
    assert_eq!(same, number);
    second.say(&publish(3, b"news", b"ours")).await;
    assert_eq!(second.hear().await, Some(ack(3)));
    for peer in [&mut first, &mut second] {
        assert_eq!(peer.hear().await, Some(event(3, b"news", b"ours")));
    }
}

#[tokio::test]
async fn what_was_sent_before_the_end_of_input_is_acknowledged() {
    let served = serve_plain().await;
    let (mut raw, _) = Raw::greeted(&served, b"").await;
    let mut frames = Vec::new();
    for id in 0..5000 {
        frames.extend(publish(id, b"t", b"body"));
    }
    raw.say(&frames).await;
    raw.stream.shutdown().await.unwrap();
    for id in 0..5000 {
        assert_eq!(raw.hear().await, Some(ack(id)));
    }
    assert_eq!(raw.hear().await, None);
}

#[tokio::test]
async fn large_messages_arrive_whole_and_in_order_beside_small_ones() {
    let served = serve_plain().await;
    let (mut subscriber, _) = Raw::subscribed(&served, b"", b"t").await;
    let (mut publisher, _) = Raw::greeted(&served, b"").await;
    let body =
        |id: u64| vec![u8::try_from(id).unwrap(); if id.is_multiple_of(3) { 700_000 } else { 10 }];
    let sending = async {
        for id in 0..12 {
            publisher.say(&publish(id, b"t", &body(id))).await;
            assert_eq!(publisher.hear().await, Some(ack(id)));
        }
    };
    let hearing = async {
        for id in 0..12 {
            assert!(
                subscriber.hear().await == Some(event(id, b"t", &body(id))),
                "{id}"
            );
        }
    };
    tokio::join!(sending, hearing);
}

#[tokio::test]
async fn a_subscriber_that_does_not_read_is_cut_and_the_others_lose_nothing() {
    let limits = Limits {
        outgoing_bytes: 1 << 20,
        ..Limits::default()
    };
    let settings = MipSettings {
        write_timeout: Duration::from_millis(300),
        ..MipSettings::default()
    };
    let served = serve("", settings, limits).await;
    let (stuck, _) = Raw::subscribed(&served, b"", b"t").await;
    let (mut other, _) = Raw::subscribed(&served, b"", b"t").await;
    let (mut publisher, _) = Raw::greeted(&served, b"").await;
    let heard = AtomicUsize::new(0);
    let body = vec![7; 16 * 1024];
    let count = 2000;
    let sending = async {
        for id in 0..count {
            publisher.say(&publish(id, b"t", &body)).await;
            assert_eq!(publisher.hear().await, Some(ack(id)));
        }
    };
    let hearing = async {
        for id in 0..count {
            assert!(other.hear().await == Some(event(id, b"t", &body)), "{id}");
            heard.fetch_add(1, Ordering::Relaxed);
        }
    };
    tokio::join!(sending, hearing);
    // It was cut: what the system had of it comes, and then the end.
    let mut stuck = stuck;
    let mut len = 0;
    let mut part = vec![0; 1 << 20];
    loop {
        match soon("the end", stuck.stream.read(&mut part)).await {
            Ok(0) | Err(_) => break,
            Ok(read) => len += read,
        }
    }
    assert!(len < body.len() * 2000, "{len}");
}

#[tokio::test]
async fn a_connection_that_cannot_write_closes_when_its_session_ends() {
    let limits = Limits {
        outgoing_bytes: 1 << 20,
        ..Limits::default()
    };
    let connections = Connections::default();
    let settings = MipSettings {
        // Not what ends it.
        write_timeout: Duration::from_secs(3600),
        connections: connections.clone(),
        ..MipSettings::default()
    };
    let served = serve("", settings, limits).await;
    let (stuck, _) = Raw::subscribed(&served, b"", b"t").await;
    let (mut publisher, _) = Raw::greeted(&served, b"").await;
    let body = vec![7; 16 * 1024];
    let ended = |totals: Totals| {
        let slow =
            |(reason, count): &(EndReason, u64)| *reason == EndReason::SlowConsumer && *count > 0;
        totals.ended.iter().any(slow)
    };
    let mut id = 0;
    while !ended(served.peers.0.router.totals()) {
        id += 1;
        publisher.say(&publish(id, b"t", &body)).await;
        assert_eq!(publisher.hear().await, Some(ack(id)));
    }
    // Nothing is read, and nothing else happens on the connection.
    let closed = async {
        loop {
            match connections.closed().pop() {
                Some(closed) => return closed.why,
                None => tokio::task::yield_now().await,
            }
        }
    };
    assert_eq!(soon("it is closed", closed).await, "slow_consumer");
    drop((stuck, publisher));
}

#[tokio::test]
async fn a_peer_that_does_not_read_its_acknowledgments_is_not_read_and_cut() {
    let settings = MipSettings {
        write_timeout: Duration::from_millis(200),
        ..MipSettings::default()
    };
    let served = serve("", settings, Limits::default()).await;
    let (raw, _) = Raw::greeted(&served, b"").await;
    let (mut reading, mut writing) = raw.stream.into_split();
    let frames = frame(FrameType::Ping, 0, MsgKind::Event, 1, b"").repeat(1000);
    // Until nothing more is taken, and then until it is cut.
    let cut = async { while writing.write_all(&frames).await.is_ok() {} };
    soon("it is cut", cut).await;
    let mut rest = Vec::new();
    let _ = soon("the end", reading.read_to_end(&mut rest)).await;
}

#[tokio::test]
async fn a_stop_says_close_and_waits_for_nobody() {
    let served = serve_plain().await;
    let (mut raw, _) = Raw::greeted(&served, b"").await;
    served.stop.send(()).unwrap();
    assert_eq!(raw.hear().await, Some(close()));
    assert_eq!(raw.hear().await, None);
    drop(raw);
    let report = soon("the drain", served.serving).await.unwrap();
    assert_eq!((report.connections, report.aborted), (1, 0));
}

#[tokio::test]
async fn beyond_max_connections_a_peer_is_told_so() {
    let served = serve(
        "?max_connections=1",
        MipSettings::default(),
        Limits::default(),
    )
    .await;
    let (_first, _) = Raw::greeted(&served, b"").await;
    let mut second = Raw::dial(&served).await;
    second.say(&hello(4, b"")).await;
    let (frame_type, id, _, _, text) = second.hear().await.unwrap();
    assert_eq!((frame_type, id), (FrameType::Error, 4));
    assert_eq!(
        text,
        b"RESOURCE_EXHAUSTED: too many connections: this server takes 1 at once, try again later"
    );
    assert_eq!(second.hear().await, Some(close()));
    assert_eq!(second.hear().await, None);
}

#[tokio::test]
async fn many_publishers_and_subscribers_of_two_threads_lose_nothing() {
    let served = Arc::new(serve_plain().await);
    let mut subscribers = Vec::new();
    for _ in 0..4 {
        subscribers.push(Raw::subscribed(&served, b"", b"t").await.0);
    }
    let mut tasks = Vec::new();
    for publisher in 0..4_u64 {
        let served = served.clone();
        tasks.push(tokio::spawn(async move {
            let (mut raw, _) = Raw::greeted(&served, b"").await;
            for part in 0..20 {
                let mut frames = Vec::new();
                for number in 0..100 {
                    frames.extend(publish(part * 100 + number, b"t", &publisher.to_be_bytes()));
                }
                raw.say(&frames).await;
                for number in 0..100 {
                    assert_eq!(raw.hear().await, Some(ack(part * 100 + number)));
                }
            }
        }));
    }
    for mut subscriber in subscribers {
        tasks.push(tokio::spawn(async move {
            let mut next = [0; 4];
            for _ in 0..4 * 2000 {
                let (_, id, _, _, payload) = subscriber.hear().await.unwrap();
                let publisher = usize::from(*payload.last().unwrap());
                assert_eq!(id, next[publisher], "in order");
                next[publisher] += 1;
            }
        }));
    }
    for task in tasks {
        soon("all of it", task).await.unwrap();
    }
}

#[test]
fn a_silent_connection_takes_little_memory() {
    let task = std::mem::size_of::<PeerConnection<'_>>();
    assert!(task <= 1024, "{task} bytes");
}
