//! What no peer should send to a broker: each is answered, ignored, or ends its own connection, with a text that says why.
//!
//! Each case has a name and says what comes back. Meanwhile two MIP peers and two MSIP clients go on as if there were nothing.

use std::time::{Duration, Instant};

use msip_runtime::{
    CallOptions, MsgKind, Variant,
    transport::ServiceUrl,
    untyped::{SubscribeOptions, UntypedClient, UntypedMessage},
    wire::{
        Codec, Credit, Flags, FrameType, Header, Hello, Limits, MsgId, RawKind, SECRET_LEN, Side,
        Subscribe,
    },
};
use msip_tests::{
    attack::{RawMessage, body},
    raw::{self, Playing, RawPeer},
    soon,
};
use tokio::sync::mpsc;

use crate::{
    mip::{self, EVENT, Peer},
    msip::Tell,
    process::Broker,
};

const MAX_BODY: usize = 16 * 1024;

/// What a peer does wrong.
struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    /// What comes back, as [`raw::describe`] formats it.
    answers: Vec<String>,
    /// Whether its connection ends.
    ends: bool,
}

fn hello() -> Hello {
    Hello {
        protocol: "raw".to_owned(),
        codecs: vec![Codec::Protobuf.into()],
        session_secret: vec![7; SECRET_LEN],
        ..Hello::default()
    }
}

const fn id(sequence: u64) -> MsgId {
    MsgId::exchange(Side::Connecting, sequence)
}

/// What is asked where it is seen that a connection goes on: nobody serves it.
fn check() -> (MsgId, Vec<u8>) {
    let id = id(1 << 20);
    let call = RawMessage::call(1, "").topic(b"nobody");
    (id, call.frame(Side::Connecting, id))
}

/// The connection ends, and its peer is told the violated rule.
fn ends(name: &'static str, bytes: Vec<u8>, id: MsgId, text: &str) -> Case {
    Case {
        name,
        bytes,
        answers: vec![
            format!("ERROR {id}: {text}"),
            format!("CLOSE connection: {text}"),
        ],
        ends: true,
    }
}

/// It is answered, and the connection goes on.
fn answered(name: &'static str, bytes: Vec<u8>, text: &str) -> Case {
    Case {
        name,
        bytes,
        answers: vec![format!("ERROR {}: {text}", id(2))],
        ends: false,
    }
}

/// Nothing comes back, and the connection goes on.
fn ignored(name: &'static str, bytes: Vec<u8>) -> Case {
    Case {
        name,
        bytes,
        answers: Vec::new(),
        ends: false,
    }
}

fn changed(mut frame: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
    frame[at] = byte;
    frame
}

fn call(topic: &[u8]) -> Vec<u8> {
    let call = RawMessage::call(1, "?").topic(topic);
    call.frame(Side::Connecting, id(2))
}

fn subscribe(topic: &[u8]) -> Vec<u8> {
    raw::frame(FrameType::Subscribe, id(2), topic)
}

/// Frames that no peer of the protocol sends.
fn frames() -> Vec<Case> {
    let ping = raw::frame(FrameType::Ping, id(2), b"");
    let invalid = |name, bytes, rule: &str| {
        let text = format!("INVALID_ARGUMENT: {rule}");
        ends(name, bytes, MsgId::CONNECTION, &text)
    };
    let max = Limits::with_max_body(MAX_BODY as u32).max_payload();
    let too_large = |name, frame_type: FrameType, len: u32| {
        let text = format!(
            "RESOURCE_EXHAUSTED: {frame_type} announces a payload of {len} bytes: {max} are allowed"
        );
        ends(name, raw::announced(frame_type, id(2), len), id(2), &text)
    };
    let message = |topic: &[u8], body: Vec<u8>| {
        RawMessage::call(1, body)
            .topic(topic)
            .frame(Side::Connecting, id(2))
    };
    vec![
        Case {
            name: "an HTTP request",
            bytes: b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
            answers: vec![
                "ERROR connection: INVALID_ARGUMENT: bad magic 47455420 (GET ): frames begin with \
                 4d534950 (MSIP); a WebSocket needs a listener at ws://"
                    .to_owned(),
            ],
            ends: true,
        },
        invalid(
            "version 2",
            changed(ping.clone(), 4, 2),
            "unsupported version 2: version 1 is understood",
        ),
        invalid(
            "flag bit 7",
            changed(ping.clone(), 5, 0x80),
            "unknown flags 0x80: 0x7f are understood",
        ),
        invalid(
            "frame type 13",
            changed(ping, 7, 13),
            "unknown frame_type 13: 1 (HELLO) to 12 (CANCEL) are understood",
        ),
        answered(
            "an unknown kind on a call",
            raw::frame_of(
                Header {
                    kind: RawKind::new(9),
                    flags: Flags::ACK_REQUIRED,
                    ..Header::control(FrameType::Publish, id(2))
                },
                &[0, 1, b'a'],
            ),
            "INVALID_ARGUMENT: unknown msg_kind 9: 1 (EVENT) to 5 (METRIC) are understood",
        ),
        too_large("a message of 4 GiB", FrameType::Publish, u32::MAX),
        too_large("an ACK of 4 GiB", FrameType::Ack, u32::MAX),
        answered(
            "a body over max_body",
            message(b"a", vec![0; MAX_BODY + 1]),
            "RESOURCE_EXHAUSTED: the body has 16385 bytes: 16384 are allowed (max_body)",
        ),
        ends(
            "a second HELLO",
            raw::hello_frame(&hello()),
            raw::HELLO_ID,
            "INVALID_ARGUMENT: a second HELLO on one connection",
        ),
        ends(
            "an EVENT from a client",
            raw::frame(FrameType::Event, id(2), &[0, 0]),
            id(2),
            "INVALID_ARGUMENT: EVENT in the wrong direction",
        ),
        ends(
            "message id 0 on a call",
            RawMessage::call(1, "")
                .topic(b"a")
                .frame(Side::Connecting, MsgId::CONNECTION),
            MsgId::CONNECTION,
            "INVALID_ARGUMENT: message id 0 on a message that is to be answered",
        ),
        ends(
            "a CREDIT that overflows",
            raw::frame(
                FrameType::Credit,
                MsgId::CONNECTION,
                &Credit {
                    items: u32::MAX,
                    bytes: u32::MAX,
                }
                .encode(),
            ),
            MsgId::CONNECTION,
            "INVALID_ARGUMENT: a CREDIT that makes the window larger than 4294967295",
        ),
    ]
}

/// Answers to nothing, and floods of what is harmless once.
fn strays() -> Vec<Case> {
    let theirs = MsgId::exchange(Side::Accepting, 1 << 16);
    let windows = Credit { items: 9, bytes: 9 }.encode();
    let nuisance =
        "RESOURCE_EXHAUSTED: more than 200 pings, stray answers and malformed messages a second";
    let flood = |name, frame: Vec<u8>| ends(name, frame.repeat(20_000), theirs, nuisance);
    vec![
        ignored(
            "an ACK for nothing",
            raw::frame(FrameType::Ack, theirs, b""),
        ),
        ignored(
            "an ACK for a delivery that was never sent",
            raw::frame(FrameType::Ack, MsgId::delivery(Side::Accepting, 1), b""),
        ),
        ignored(
            "an ERROR for nothing",
            raw::frame(FrameType::Error, theirs, b"NOT_FOUND: nothing"),
        ),
        ignored(
            "CREDIT for a stream never opened",
            raw::frame(FrameType::Credit, id(9), &windows),
        ),
        ignored(
            "CANCEL for a call never sent",
            raw::frame(FrameType::Cancel, id(9), b""),
        ),
        ignored(
            "a PONG nobody asked for",
            raw::frame(FrameType::Pong, theirs, b""),
        ),
        flood("a flood of PING", raw::frame(FrameType::Ping, theirs, b"")),
        flood("a flood of ACK", raw::frame(FrameType::Ack, theirs, b"")),
        flood(
            "a flood of CANCEL",
            raw::frame(FrameType::Cancel, theirs, b""),
        ),
    ]
}

/// Topics that are none.
fn topics() -> Vec<Case> {
    let no_topic = |name, topic: &[u8], shown: &str| {
        let text = format!(
            "INVALID_ARGUMENT: the topic `{shown}` is not one to send to: one has at most 32 levels, \
             and no `+` or `#`"
        );
        answered(name, call(topic), &text)
    };
    let denied = "PERMISSION_DENIED: this topic is not enabled for this principal";
    let deep = ["a"; 33].join("/");
    let group = Subscribe {
        group: "g".repeat(256),
        ..Subscribe::default()
    };
    let subscribe_with = |asked: &Subscribe, topic: &[u8]| {
        let encoded = msip_runtime::prost::Message::encode_to_vec(asked);
        let len = u16::try_from(encoded.len()).expect("is short");
        let header = Header {
            flags: Flags::META | Flags::ACK_REQUIRED,
            ..Header::control(FrameType::Subscribe, id(2))
        };
        raw::frame_of(header, &[&len.to_be_bytes()[..], &encoded, topic].concat())
    };
    let with_group = subscribe_with(&group, b"a");
    let by_peer = Subscribe {
        by_peer: true,
        ..Subscribe::default()
    };
    let by_peer_in_group = Subscribe {
        group: "g".to_owned(),
        ..by_peer.clone()
    };
    vec![
        answered(
            "a call without a topic",
            call(b""),
            "INVALID_ARGUMENT: a message without a topic, and this is a broker",
        ),
        answered(
            "a topic that is not UTF-8",
            call(b"\xc3\x28"),
            "INVALID_ARGUMENT: the topic is not UTF-8",
        ),
        answered(
            "a topic with NUL",
            call(b"a\0b"),
            "INVALID_ARGUMENT: the topic holds the control character U+0000",
        ),
        answered(
            "a topic with an escape sequence",
            call(b"\x1b[2J"),
            "INVALID_ARGUMENT: the topic holds the control character U+001B",
        ),
        answered(
            "a topic of 256 bytes",
            call(&[b'a'; 256]),
            "INVALID_ARGUMENT: the topic has 256 bytes: 255 are allowed",
        ),
        answered(
            "a topic beyond the payload",
            raw::frame_of(
                Header {
                    flags: Flags::ACK_REQUIRED,
                    kind: MsgKind::Command.into(),
                    ..Header::control(FrameType::Publish, id(2))
                },
                &[0xff, 0xff, b'a'],
            ),
            "INVALID_ARGUMENT: the topic reaches beyond the payload",
        ),
        no_topic("a topic of 33 levels", deep.as_bytes(), &deep),
        no_topic("a message to a wildcard", b"a/+", "a/+"),
        no_topic("a message to all", b"#", "#"),
        answered("a message to the broker's levels", call(b"$dead/a"), denied),
        answered(
            "a message to levels that nobody has",
            call(b"a/$x/b"),
            denied,
        ),
        answered(
            "a subscription to nothing",
            subscribe(b""),
            "INVALID_ARGUMENT: the topic is empty",
        ),
        answered(
            "a subscription that is not UTF-8",
            subscribe(b"\xff"),
            "INVALID_ARGUMENT: the topic is not UTF-8",
        ),
        answered(
            "a subscription of 33 levels",
            subscribe(deep.as_bytes()),
            "INVALID_ARGUMENT: the topic has 33 levels: 32 are allowed",
        ),
        answered(
            "a # that is not last",
            subscribe(b"a/#/b"),
            "INVALID_ARGUMENT: `#` is not the last level of the topic",
        ),
        answered(
            "a subscription to levels that nobody has",
            subscribe(b"$sys/#"),
            denied,
        ),
        answered(
            "a group with too long a name",
            with_group,
            "INVALID_ARGUMENT: the group has 256 bytes: 255 are allowed",
        ),
        answered(
            "a message in the name of another client of a service",
            call(b"good/1/$in/0000000000000001"),
            denied,
        ),
        answered(
            "a subscription to what another client says to a service",
            subscribe(b"good/1/$in/0000000000000001"),
            denied,
        ),
        answered(
            "a subscription to what clients say to services",
            subscribe(b"good/1/$in/+"),
            denied,
        ),
        answered(
            "a client of typed topics with wildcards",
            subscribe_with(&by_peer, b"good/+"),
            "INVALID_ARGUMENT: by_peer is for a topic `T` without wildcards, and for `T/$in`",
        ),
        answered(
            "an instance that shares in a group",
            subscribe_with(&by_peer_in_group, b"typed/$in"),
            "INVALID_ARGUMENT: by_peer and a group: instances share the work without one",
        ),
        ignored(
            "credit for a client that is not there",
            RawMessage::one_way(3, b"\x1a\x0e\x0a\x01x\x18\xff\xff\xff\xff\x0f".to_vec())
                .topic(b"$broker/good/1")
                .frame(Side::Connecting, id(2)),
        ),
        ignored(
            "credit that is garbage",
            RawMessage::one_way(3, b"\xff\xff".to_vec())
                .topic(b"$broker/good/1")
                .frame(Side::Connecting, id(2)),
        ),
        answered(
            "metadata beyond the payload",
            raw::frame_of(
                Header {
                    flags: Flags::ACK_REQUIRED | Flags::META,
                    kind: MsgKind::Command.into(),
                    ..Header::control(FrameType::Publish, id(2))
                },
                &[0, 200, 8, 1],
            ),
            "INVALID_ARGUMENT: the metadata reaches beyond the payload",
        ),
        answered(
            "metadata that is none",
            RawMessage::call(1, "")
                .topic(b"a")
                .raw_metadata(b"\x08\x80")
                .frame(Side::Connecting, id(2)),
            "INVALID_ARGUMENT: malformed metadata: failed to decode Protobuf message: \
             Metadata.deadline_ms: invalid varint",
        ),
        answered(
            "a compressed body that was not agreed",
            RawMessage::call(1, "")
                .topic(b"a")
                .compressed(vec![1, 0x1f, 0x8b])
                .frame(Side::Connecting, id(2)),
            "INVALID_ARGUMENT: a compressed body, and no compression was agreed",
        ),
    ]
}

/// Those who go on.
struct Others {
    publisher: Peer,
    subscriber: Peer,
    client: UntypedClient,
    _hears: UntypedClient,
    heard: mpsc::Receiver<Vec<u8>>,
    count: u64,
}

impl Others {
    async fn connect(broker: &Broker) -> Self {
        let (tell, heard) = mpsc::channel(16);
        let hears = UntypedClient::builder(&broker.urls[0], "raw", 0).service(Tell(tell));
        let hears = hears.connect().await.expect("connects");
        let subscribed = hears.subscribe("good/+", &SubscribeOptions::new()).await;
        subscribed.expect("is allowed");
        let client = UntypedClient::builder(&broker.urls[0], "raw", 0);
        let mut subscriber = Peer::connect(broker.address()).await;
        subscriber.subscribe("good/1").await;
        Self {
            publisher: Peer::connect(broker.address()).await,
            subscriber,
            client: client.connect().await.expect("connects"),
            _hears: hears,
            heard,
            count: 0,
        }
    }

    /// A message by each of them comes to both who hear it.
    async fn go_on(&mut self) {
        self.count += 1;
        let body = self.count.to_string().into_bytes();
        self.publisher.publish(self.count, "good/1", &body).await;
        let (frame_type, id, _) = self.subscriber.hear().await.expect("a message");
        assert_eq!((frame_type, id), (EVENT, self.count));
        assert_eq!(soon("it", self.heard.recv()).await.as_ref(), Some(&body));
        const NOTE: Variant = Variant::new(2, "note", MsgKind::Event);
        let note = UntypedMessage::new(&NOTE, body.clone()).to_topic("good/2");
        let (note, options) = (note.expect("a topic"), CallOptions::new());
        let sent = self.client.send(&note, &options).await;
        sent.expect("is sent");
        assert_eq!(soon("it", self.heard.recv()).await, Some(body));
    }
}

/// Plays it; what came back instead.
async fn play(raw: &mut RawPeer, case: &Case) -> Result<(), String> {
    raw.say(&case.bytes).await;
    let heard = if case.ends {
        raw.hear_to_the_end().await
    } else {
        let (check, call) = check();
        raw.say(&call).await;
        let (heard, answer) = raw.hear_until(check).await;
        let Some(answer) = answer else {
            return Err(format!("the connection ended, with {heard:#?}"));
        };
        let text = raw::text(&answer.payload);
        if !text.starts_with("UNAVAILABLE") {
            return Err(format!("a good call is answered with {text}"));
        }
        heard
    };
    match heard == case.answers {
        true => Ok(()),
        false => Err(format!("heard {heard:#?}, not {:#?}", case.answers)),
    }
}

async fn broker() -> Broker {
    let arguments = [
        "--listen",
        "tcp://127.0.0.1:0?ping_interval=1h",
        "--max-body",
        "16KiB",
    ];
    Broker::start(&arguments, 1).await
}

fn report(count: usize, failures: &[String]) {
    assert!(
        failures.is_empty(),
        "{} of {count} cases failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_stands_every_frame_of_an_msip_peer() {
    let broker = broker().await;
    let url = ServiceUrl::parse(&broker.urls[0]).expect("a URL");
    let mut others = Others::connect(&broker).await;
    let (memory, descriptors) = (broker.memory().resident, broker.descriptors());
    let cases: Vec<Case> = [frames(), strays(), topics()]
        .into_iter()
        .flatten()
        .collect();
    let mut failures = Vec::new();
    for case in &cases {
        let _playing = Playing(case.name);
        let mut raw = RawPeer::dial(&url).await;
        raw.greet_with(&hello()).await;
        let played = play(&mut raw, case).await;
        failures.extend(played.err().map(|error| format!("{}: {error}", case.name)));
        others.go_on().await;
    }
    report(cases.len(), &failures);
    let gone = async {
        while broker.descriptors() > descriptors {
            others.go_on().await;
        }
    };
    soon("their descriptors are closed", gone).await;
    let more = broker.memory().resident.saturating_sub(memory);
    assert!(more < 32 << 20, "{more} bytes more");
    let log = broker.stop().await;
    assert!(log.lines().count() < 200, "{log}");
    assert!(!log.contains('\x1b'), "{log}");
}

/// What a MIP peer does wrong: before its HELLO or after it.
struct MipCase {
    name: &'static str,
    is_greeted: bool,
    bytes: Vec<u8>,
    /// The types of the frames that come back, and a part of the first text.
    answers: &'static [u16],
    text: &'static str,
    ends: bool,
}

fn mip_cases() -> Vec<MipCase> {
    let fault = |name, is_greeted, bytes, text| MipCase {
        name,
        is_greeted,
        bytes,
        answers: &[mip::ERROR],
        text,
        ends: true,
    };
    let answered = |name, bytes, text| MipCase {
        name,
        is_greeted: true,
        bytes,
        answers: &[mip::ERROR],
        text,
        ends: false,
    };
    let acked = |name, bytes| MipCase {
        name,
        is_greeted: true,
        bytes,
        answers: &[mip::ACK],
        text: "",
        ends: false,
    };
    let announced = |frame_type: u16, len: u32| {
        let mut frame = mip::frame(frame_type, 0, 5, b"");
        frame[12..16].copy_from_slice(&len.to_be_bytes());
        frame
    };
    let event = mip::frame(EVENT, 0, 5, &[0, 1, b'a']);
    vec![
        fault(
            "a message before HELLO",
            false,
            mip::publish(0, 5, "a", b"x"),
            "PUBLISH before HELLO",
        ),
        fault(
            "a bomb before HELLO",
            false,
            mip::publish(
                Flags::COMPRESSED.bits(),
                5,
                "a",
                &body::gzip(&vec![0; 3 << 20]),
            ),
            "PUBLISH before HELLO",
        ),
        fault(
            "a subscription before HELLO",
            false,
            mip::frame(mip::SUBSCRIBE, 1, 5, b"a"),
            "SUBSCRIBE before HELLO",
        ),
        fault(
            "a HELLO with 10 MiB",
            false,
            announced(mip::HELLO, 10 << 20),
            "HELLO announces a payload of 10485760 bytes",
        ),
        fault(
            "a message of 4 GiB",
            true,
            announced(mip::PUBLISH, u32::MAX),
            "PUBLISH announces",
        ),
        fault(
            "a topic of 64 KiB",
            true,
            announced(mip::SUBSCRIBE, 1 << 16),
            "SUBSCRIBE announces",
        ),
        fault(
            "a frame type that there is not",
            true,
            mip::frame(99, 0, 5, b""),
            "unknown frame_type 99",
        ),
        fault(
            "CREDIT",
            true,
            mip::frame(11, 0, 5, b""),
            "unknown frame_type 11",
        ),
        fault(
            "an unknown kind",
            true,
            changed(mip::publish(0, 5, "a", b"x"), 9, 6),
            "unknown msg_kind 6",
        ),
        fault("an EVENT", true, event, "comes from the broker"),
        fault(
            "an ACK",
            true,
            mip::frame(mip::ACK, 0, 5, b""),
            "comes from the broker",
        ),
        fault(
            "bytes that are no frame",
            true,
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
            "this is not a frame",
        ),
        fault(
            "version 2",
            true,
            changed(mip::publish(0, 5, "a", b"x"), 4, 2),
            "this is not a frame",
        ),
        answered(
            "a topic beyond the payload",
            mip::frame(mip::PUBLISH, 0, 5, &[0xff, 0xff, b'a']),
            "the topic reaches beyond the payload",
        ),
        answered(
            "a body over max_body",
            mip::publish(0, 5, "a", &[0; MAX_BODY + 1]),
            "a body of 16385 bytes: 16384 are allowed",
        ),
        answered(
            "a message to $dead",
            mip::publish(0, 5, "$dead/a", b"x"),
            "PERMISSION_DENIED",
        ),
        answered(
            "a subscription to $sys",
            mip::frame(mip::SUBSCRIBE, mip::ACK_REQUIRED, 5, b"$sys/x"),
            "PERMISSION_DENIED",
        ),
        acked("message id 0", mip::publish(0, 0, "a", b"x")),
        acked("flags that nobody knows", mip::publish(0xf0, 5, "a", b"x")),
        acked(
            "wildcards, which are none here",
            mip::publish(0, 5, "a/+/#", b"x"),
        ),
        acked(
            "a topic with control characters",
            mip::publish(0, 5, "\x1b[2J\0", b"x"),
        ),
        acked("an empty topic", mip::publish(0, 5, "", b"x")),
        acked(
            "garbage that says it is compressed",
            mip::publish(2, 5, "good/2", b"garbage"),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_stands_every_frame_of_a_mip_peer() {
    let broker = broker().await;
    let mut others = Others::connect(&broker).await;
    let memory = broker.memory().resident;
    let cases = mip_cases();
    let mut failures = Vec::new();
    for case in &cases {
        let _playing = Playing(case.name);
        let played = play_mip(&broker, case).await;
        failures.extend(played.err().map(|error| format!("{}: {error}", case.name)));
        if case.name == "garbage that says it is compressed" {
            // MIP names no algorithm: it is passed on as it is.
            assert_eq!(
                soon("it", others.heard.recv()).await.as_deref(),
                Some(&b"garbage"[..])
            );
        }
        others.go_on().await;
    }
    report(cases.len(), &failures);
    let more = broker.memory().resident.saturating_sub(memory);
    assert!(more < 32 << 20, "{more} bytes more");
    let log = broker.stop().await;
    assert!(!log.contains('\x1b'), "{log}");
}

async fn play_mip(broker: &Broker, case: &MipCase) -> Result<(), String> {
    let mut peer = match case.is_greeted {
        true => Peer::connect(broker.address()).await,
        false => Peer::silent(broker.address()).await.expect("connects"),
    };
    peer.send(&case.bytes).await.expect("is written");
    for expected in case.answers {
        let (frame_type, _, payload) = peer.hear().await.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&payload).into_owned();
        if frame_type != *expected || !text.contains(case.text) {
            return Err(format!("frame {frame_type} with `{text}`"));
        }
    }
    if !case.ends {
        peer.publish(1 << 20, "nobody", b"").await;
        return Ok(());
    }
    // A CLOSE may come before the end.
    for _ in 0..2 {
        match peer.hear().await {
            Ok((mip::CLOSE, ..)) => {}
            Ok((frame_type, ..)) => return Err(format!("frame {frame_type} instead of the end")),
            Err(_) => return Ok(()),
        }
    }
    Err("the connection goes on".to_owned())
}

/// MIP's own server answers after 44 ms where a message comes in two writes: the system waits for more on one side, and to
/// acknowledge on the other, for 40 ms at least. Here it never waits: at most the machine does, and not each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_in_small_writes_is_answered_at_once() {
    const COUNT: usize = 100;
    /// The first ones are acknowledged at once in any case.
    const QUICK: usize = COUNT / 4;
    const DELAYED: Duration = Duration::from_millis(40);
    let broker = broker().await;
    let mut subscriber = Peer::connect(broker.address()).await;
    subscriber.subscribe("small").await;
    let mut publisher = Peer::connect(broker.address()).await;
    let message = mip::publish(0, 7, "small", b"hello");
    for chunk in [message.len(), 3] {
        let mut taken = Vec::new();
        for _ in 0..COUNT {
            let begun = Instant::now();
            for part in message.chunks(chunk) {
                publisher.send(part).await.expect("is written");
            }
            assert_eq!(subscriber.hear().await.expect("a message").0, EVENT);
            assert_eq!(publisher.hear().await.expect("an answer").0, mip::ACK);
            taken.push(begun.elapsed());
        }
        taken.sort_unstable();
        assert!(
            taken[QUICK] < DELAYED,
            "in writes of {chunk} bytes: {taken:?}"
        );
    }
    broker.stop().await;
}
