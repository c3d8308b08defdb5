//! Frames that no peer should send: played by a raw client against a live server, and by a raw server against a live
//! client.
//!
//! Each case has a name and says what comes back, what the handler learns, and whether the connection goes on.

use msip_runtime::{
    Client, Reconnect,
    prost::Message as _,
    transport::{Listener, ServiceUrl},
    wire::{
        Credit, Flags, FrameType, Header, Limits, Metadata, MsgId, RawKind, Side, write_metadata,
    },
};
use msip_tests::{
    LabClient, SeenByClient, SeenByServer, at, connected,
    lab::{
        AskReq, AskRsp, ClientToServer, EchoReq, EchoRsp, Lab, NoteInd, SaveInd,
        SendClientToServer as _, ServerToClient,
    },
    next,
    raw::{self, Playing, RawPeer},
    soon, start,
};
use tokio::sync::mpsc;

/// The largest body that the tested peers accept.
const MAX_BODY: u32 = 16 * 1024;

/// Settings under which nothing happens by itself.
const SETTINGS: &str = "max_body=16KiB&ping_interval=1h";

/// What a raw peer does wrong.
struct Case {
    name: String,
    bytes: Vec<u8>,
    /// What comes back, as [`raw::describe`] formats it.
    answers: Vec<String>,
    /// The handler's reason when the connection ends because of it; `None` where it goes on.
    reason: Option<String>,
}

/// The side of the raw peer, and the frames that it sends.
#[derive(Clone, Copy)]
struct Us(Side);

impl Us {
    fn call(self, sequence: u64) -> MsgId {
        MsgId::exchange(self.0, sequence)
    }

    fn delivery(self, sequence: u64) -> MsgId {
        MsgId::delivery(self.0, sequence)
    }

    fn theirs(self, sequence: u64) -> MsgId {
        MsgId::exchange(self.0.reverse(), sequence)
    }

    /// The header of a message that begins an exchange.
    fn header(self, flags: Flags, variant: u16, id: MsgId) -> Header {
        Header {
            flags,
            kind: RawKind::new(1),
            variant,
            ..Header::control(raw::opener(self.0), id)
        }
    }

    /// The number of the member that is a call, and its body.
    fn request(self) -> (u16, Vec<u8>) {
        match self.0 {
            Side::Connecting => body_of(&ClientToServer::EchoReq(EchoReq {
                text: "hi".into(),
                ..EchoReq::default()
            })),
            Side::Accepting => body_of(&ServerToClient::AskReq(AskReq {
                question: "who?".into(),
            })),
        }
    }

    fn note(self) -> (u16, Vec<u8>) {
        match self.0 {
            Side::Connecting => body_of(&ClientToServer::NoteInd(NoteInd::default())),
            Side::Accepting => body_of(&ServerToClient::NoteInd(NoteInd::default())),
        }
    }

    /// The number of a member that is the answer of a call, and its body.
    fn response(self) -> (u16, Vec<u8>) {
        match self.0 {
            Side::Connecting => body_of(&ClientToServer::AskRsp(AskRsp::default())),
            Side::Accepting => body_of(&ServerToClient::EchoRsp(EchoRsp::default())),
        }
    }

    const fn request_name(self) -> &'static str {
        match self.0 {
            Side::Connecting => "echo_req",
            Side::Accepting => "ask_req",
        }
    }

    const fn response_name(self) -> &'static str {
        match self.0 {
            Side::Connecting => "ask_rsp",
            Side::Accepting => "echo_rsp",
        }
    }

    /// A message with this body on a direct connection.
    fn message(self, flags: Flags, id: MsgId, (variant, body): (u16, Vec<u8>)) -> Vec<u8> {
        self.payload(flags, id, variant, &[&[0, 0], &body[..]].concat())
    }

    /// A message with this payload.
    fn payload(self, flags: Flags, id: MsgId, variant: u16, payload: &[u8]) -> Vec<u8> {
        raw::frame_of(self.header(flags, variant, id), payload)
    }
}

fn body_of<E: msip_runtime::Envelope>(message: &E) -> (u16, Vec<u8>) {
    (raw::variant(message), raw::body(message))
}

/// The connection ends, and both sides learn the violated rule.
fn ends(name: &str, bytes: Vec<u8>, id: MsgId, code: &str, rule: &str) -> Case {
    Case {
        name: name.to_owned(),
        bytes,
        answers: vec![
            format!("ERROR {id}: {code}: {rule}"),
            format!("CLOSE connection: {code}: {rule}"),
        ],
        reason: Some(format!("protocol error: {rule}")),
    }
}

/// The message is answered, and the connection goes on.
fn answered(name: &str, bytes: Vec<u8>, id: MsgId, text: &str) -> Case {
    Case {
        name: name.to_owned(),
        bytes,
        answers: vec![format!("ERROR {id}: {text}")],
        reason: None,
    }
}

/// Nothing comes back, and the connection goes on.
fn ignored(name: &str, bytes: Vec<u8>) -> Case {
    Case {
        name: name.to_owned(),
        bytes,
        answers: Vec::new(),
        reason: None,
    }
}

/// The bytes of a valid frame with one of them changed.
fn changed(mut frame: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
    frame[at] = byte;
    frame
}

fn cases(side: Side) -> Vec<Case> {
    [
        headers(side),
        lengths(side),
        states(side),
        strays(side),
        floods(side),
        payloads(side),
        bodies(side),
        exchanges(side),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Headers that are none, or ones of a later version.
fn headers(side: Side) -> Vec<Case> {
    let us = Us(side);
    let ping = raw::frame(FrameType::Ping, us.call(2), b"");
    let invalid = "INVALID_ARGUMENT";
    let not_msip = |name: &str, bytes: &[u8], rule: &str| Case {
        name: name.to_owned(),
        bytes: bytes.to_vec(),
        answers: vec![format!("ERROR connection: {invalid}: {rule}")],
        reason: Some(format!("protocol error: {rule}")),
    };
    let foreign = |name: &str, bytes: &[u8], found: &str| {
        let remedy = match bytes.starts_with(b"GET ") {
            true => "; a WebSocket needs a listener at ws://",
            false => "",
        };
        let rule = format!("bad magic {found}: frames begin with 4d534950 (MSIP){remedy}");
        not_msip(name, bytes, &rule)
    };
    let ends = |name, bytes, rule: &str| ends(name, bytes, MsgId::CONNECTION, invalid, rule);
    vec![
        foreign(
            "an HTTP request",
            b"GET /index.html HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "47455420 (GET )",
        ),
        not_msip(
            "a TLS hello",
            &[&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[9; 32]].concat(),
            "TLS, where MSIP is spoken without it",
        ),
        foreign(
            "the magic that MIP's README prints",
            &changed(ping.clone(), 1, b'B'),
            "4d424950 (MBIP)",
        ),
        ends(
            "version 2",
            changed(ping.clone(), 4, 2),
            "unsupported version 2: version 1 is understood",
        ),
        ends(
            "version 0",
            changed(ping.clone(), 4, 0),
            "unsupported version 0: version 1 is understood",
        ),
        ends(
            "flag bit 7",
            changed(ping.clone(), 5, 0x80),
            "unknown flags 0x80: 0x7f are understood",
        ),
        ends(
            "frame type 0",
            changed(ping.clone(), 7, 0),
            "unknown frame_type 0: 1 (HELLO) to 12 (CANCEL) are understood",
        ),
        ends(
            "frame type 13",
            changed(ping.clone(), 7, 13),
            "unknown frame_type 13: 1 (HELLO) to 12 (CANCEL) are understood",
        ),
        ends(
            "frame type 2056",
            changed(ping, 6, 8),
            "unknown frame_type 2056: 1 (HELLO) to 12 (CANCEL) are understood",
        ),
        answered(
            "an unknown kind on a call",
            raw::frame_of(
                Header {
                    kind: RawKind::new(9),
                    ..us.header(Flags::ACK_REQUIRED, us.request().0, us.call(2))
                },
                &[0, 0],
            ),
            us.call(2),
            "INVALID_ARGUMENT: unknown msg_kind 9: 1 (EVENT) to 5 (METRIC) are understood",
        ),
        answered(
            "kind 0 on a message",
            raw::frame_of(
                Header {
                    kind: RawKind::new(0),
                    ..us.header(Flags::NONE, us.note().0, us.call(2))
                },
                &[0, 0],
            ),
            us.call(2),
            "INVALID_ARGUMENT: unknown msg_kind 0: 1 (EVENT) to 5 (METRIC) are understood",
        ),
    ]
}

/// Payloads that are too long, and cut.
fn lengths(side: Side) -> Vec<Case> {
    let us = Us(side);
    let opener = raw::opener(side);
    let max = Limits::with_max_body(MAX_BODY).max_payload();
    let too_large = |name: &str, frame_type: FrameType, len: u32, max: u32| {
        let rule = format!("{frame_type} announces a payload of {len} bytes: {max} are allowed");
        Case {
            reason: Some(format!(
                "payload of {len} bytes exceeds the limit of {max} (setting `max_body`)"
            )),
            ..ends(
                name,
                raw::announced(frame_type, us.call(2), len),
                us.call(2),
                "RESOURCE_EXHAUSTED",
                &rule,
            )
        }
    };
    let call = us.message(Flags::ACK_REQUIRED, us.call(2), us.request());
    let eof = |name: &str, bytes: &[u8]| Case {
        name: name.to_owned(),
        bytes: bytes.to_vec(),
        answers: vec!["EOF".to_owned()],
        reason: Some("the peer closed the connection without GOODBYE".to_owned()),
    };
    vec![
        too_large("one byte over the limit", opener, max + 1, max),
        too_large("4 GiB", opener, u32::MAX, max),
        too_large("an ACK of 4 GiB", FrameType::Ack, u32::MAX, max),
        too_large("a PING over the limit", FrameType::Ping, max + 1, max),
        answered(
            "a body over the limit, in a frame that is not",
            us.message(
                Flags::ACK_REQUIRED,
                us.call(2),
                (us.request().0, vec![0; MAX_BODY as usize + 1]),
            ),
            us.call(2),
            "RESOURCE_EXHAUSTED: the body has 16385 bytes: 16384 are allowed (max_body)",
        ),
        eof("the end in the middle of a header", &call[..7]),
        eof(
            "the end in the middle of a payload",
            &call[..call.len() - 1],
        ),
    ]
}

/// Frames at the wrong time or from the wrong side.
fn states(side: Side) -> Vec<Case> {
    let us = Us(side);
    let invalid = "INVALID_ARGUMENT";
    let hello = raw::hello_frame(&raw::hello());
    let credit = |items: u32, bytes: u32| {
        raw::frame(
            FrameType::Credit,
            MsgId::CONNECTION,
            &Credit { items, bytes }.encode(),
        )
    };
    let connection = MsgId::CONNECTION;
    let mut cases = vec![
        ends(
            "message id 0 on a call",
            us.message(Flags::ACK_REQUIRED, connection, us.request()),
            connection,
            invalid,
            match side {
                Side::Connecting => "message id 0 on a message that is to be answered",
                // Zero has the bit of the connecting side.
                Side::Accepting => "message id connection is one that only the other side chooses",
            },
        ),
        ends(
            "a call with the other side's bit",
            us.message(Flags::ACK_REQUIRED, us.theirs(2), us.request()),
            us.theirs(2),
            invalid,
            &format!(
                "message id {} is one that only the other side chooses",
                us.theirs(2)
            ),
        ),
        ends(
            "a delivery with the count 0",
            us.message(Flags::ACK_REQUIRED, us.delivery(0), us.note()),
            us.delivery(0),
            invalid,
            "message id 0 on a message that is to be answered",
        ),
        ends(
            "a CREDIT of nothing",
            credit(0, 0),
            connection,
            invalid,
            "a CREDIT of 0 items and 0 bytes adds nothing",
        ),
        ends(
            "a CREDIT beyond the largest window",
            credit(u32::MAX, 1),
            connection,
            invalid,
            "a CREDIT that makes the window larger than 4294967295",
        ),
        ends(
            "CREDITs that add up to more than the largest window",
            [credit(1, u32::MAX / 2), credit(1, u32::MAX / 2)].concat(),
            connection,
            invalid,
            "a CREDIT that makes the window larger than 4294967295",
        ),
        ends(
            "a CREDIT of 7 bytes",
            raw::frame(FrameType::Credit, connection, &[0; 7]),
            connection,
            invalid,
            "a CREDIT has a payload of 8 bytes, not 7",
        ),
        Case {
            name: "an ERROR of the connection, and the end".to_owned(),
            bytes: [
                raw::frame(FrameType::Error, connection, b"INTERNAL: \x1b[2Jno more"),
                raw::frame(FrameType::Close, connection, b"INTERNAL: no more"),
            ]
            .concat(),
            answers: Vec::new(),
            reason: Some(
                "the peer reports a protocol error: INTERNAL: \\u{1b}[2Jno more".to_owned(),
            ),
        },
        Case {
            name: "a CLOSE without a code, and not UTF-8".to_owned(),
            bytes: raw::frame(FrameType::Close, connection, b"b\xffye"),
            answers: Vec::new(),
            reason: Some("closed by the peer: UNKNOWN: b\u{fffd}ye".to_owned()),
        },
    ];
    let wrong_way = |frame_type: FrameType| {
        ends(
            &format!("{frame_type} in the wrong direction"),
            raw::frame(frame_type, us.call(2), &[0, 0]),
            us.call(2),
            invalid,
            &format!("{frame_type} in the wrong direction"),
        )
    };
    if side == Side::Connecting {
        cases.push(ignored(
            "message id 0 on a message that nobody answers and that is broken",
            us.payload(Flags::NONE, connection, us.note().0, &[0, 1, 0xff]),
        ));
    }
    match side {
        Side::Connecting => {
            let no_topics = "UNIMPLEMENTED: topics need a broker, and this is a direct connection";
            cases.extend([
                ends(
                    "a second HELLO",
                    hello,
                    raw::HELLO_ID,
                    invalid,
                    "a second HELLO on one connection",
                ),
                wrong_way(FrameType::Event),
                answered(
                    "SUBSCRIBE on a direct connection",
                    raw::frame(FrameType::Subscribe, us.call(2), b"weather"),
                    us.call(2),
                    no_topics,
                ),
                answered(
                    "UNSUBSCRIBE on a direct connection",
                    raw::frame(FrameType::Unsubscribe, us.call(2), b"weather"),
                    us.call(2),
                    no_topics,
                ),
            ]);
        }
        Side::Accepting => cases.extend([
            ends(
                "a HELLO from a server",
                hello,
                raw::HELLO_ID,
                invalid,
                "HELLO in the wrong direction",
            ),
            wrong_way(FrameType::Publish),
            wrong_way(FrameType::Subscribe),
            wrong_way(FrameType::Unsubscribe),
        ]),
    }
    cases
}

/// Answers to nothing.
fn strays(side: Side) -> Vec<Case> {
    let us = Us(side);
    let note = || (1, vec![0x12, 0]);
    let (variant, body) = us.response();
    let answer = Header {
        variant,
        ..Header::control(FrameType::Ack, us.theirs(1 << 16))
    };
    let windows = Credit {
        items: u32::MAX,
        bytes: u32::MAX,
    };
    vec![
        ignored("an ACK for a call never sent", raw::frame_of(answer, &body)),
        ignored(
            "an ACK for an id of our own",
            raw::frame(FrameType::Ack, us.call(3), b""),
        ),
        ignored(
            "an ACK for the connection",
            raw::frame(FrameType::Ack, MsgId::CONNECTION, b""),
        ),
        ignored(
            "an ACK for a delivery never sent",
            raw::frame(FrameType::Ack, MsgId::delivery(side.reverse(), 1), b""),
        ),
        ignored(
            "an ACK for the last delivery there can be",
            raw::frame(FrameType::Ack, MsgId::new(u64::MAX), b""),
        ),
        ignored(
            "an ACK that cannot be read, for a call never sent",
            raw::frame_of(
                Header {
                    flags: Flags::META | Flags::COMPRESSED | Flags::MORE,
                    ..answer
                },
                &[0xff],
            ),
        ),
        ignored(
            "an ERROR for a call never sent",
            raw::frame(FrameType::Error, us.theirs(1 << 16), b"NOT_FOUND: nothing"),
        ),
        ignored(
            "a PONG nobody asked for",
            raw::frame(FrameType::Pong, us.theirs(1 << 16), b""),
        ),
        ignored(
            "CREDIT for a stream never opened",
            raw::frame(FrameType::Credit, us.theirs(2), &windows.encode()),
        ),
        ignored(
            "malformed CREDIT for a stream never opened",
            raw::frame(FrameType::Credit, us.theirs(2), b"?"),
        ),
        ignored(
            "CANCEL for a call never sent",
            raw::frame(FrameType::Cancel, us.call(7), b""),
        ),
        ignored(
            "CANCEL for the connection",
            raw::frame(FrameType::Cancel, MsgId::CONNECTION, b"why"),
        ),
        ignored(
            "an ITEM of a stream never opened",
            us.message(Flags::ITEM | Flags::MORE, us.call(2), note()),
        ),
        ignored(
            "ACK with urgent, redelivered and item set",
            raw::frame_of(
                Header {
                    flags: Flags::URGENT | Flags::REDELIVERED | Flags::ITEM,
                    ..answer
                },
                b"",
            ),
        ),
    ]
}

/// What is harmless once, and not 20,000 times.
fn floods(side: Side) -> Vec<Case> {
    let us = Us(side);
    let flood = |name: &str, frame: Vec<u8>, id: MsgId| {
        ends(
            name,
            frame.repeat(20_000),
            id,
            "RESOURCE_EXHAUSTED",
            "more than 200 pings, stray answers and malformed messages a second",
        )
    };
    let stray = us.theirs(1 << 16);
    let mut cases: Vec<Case> = [
        FrameType::Ping,
        FrameType::Pong,
        FrameType::Ack,
        FrameType::Error,
        FrameType::Cancel,
        FrameType::Credit,
    ]
    .into_iter()
    .map(|frame_type| {
        flood(
            &format!("a flood of {frame_type}"),
            raw::frame(frame_type, stray, b""),
            stray,
        )
    })
    .collect();
    cases.push(flood(
        "a flood of items of no stream",
        us.message(Flags::ITEM, us.call(2), us.note()),
        us.call(2),
    ));
    cases
}

/// Payloads whose parts are wrong: that message alone fails.
fn payloads(side: Side) -> Vec<Case> {
    let us = Us(side);
    let id = us.call(2);
    let (variant, body) = us.request();
    let topic = |len: u16, topic: &[u8]| [&len.to_be_bytes()[..], topic, &body].concat();
    let metadata =
        |len: u16, metadata: &[u8]| [&len.to_be_bytes()[..], metadata, &[0, 0], &body].concat();
    let call = |name: &str, flags: Flags, payload: Vec<u8>, reason: &str| {
        answered(
            name,
            us.payload(Flags::ACK_REQUIRED | flags, id, variant, &payload),
            id,
            &format!("INVALID_ARGUMENT: {reason}"),
        )
    };
    let plain = Flags::NONE;
    let beyond = "the topic reaches beyond the payload";
    let beyond_meta = "the metadata reaches beyond the payload";
    let mut large = Vec::new();
    let headers = Metadata {
        correlation_id: "x".repeat(9000),
        ..Metadata::default()
    };
    write_metadata(&mut large, &headers, u16::MAX).expect("fits");
    let len = headers.encoded_len();
    vec![
        call("an empty payload", plain, Vec::new(), beyond),
        call("half a topic length", plain, vec![0], beyond),
        call(
            "a topic beyond the payload",
            plain,
            topic(u16::MAX, b""),
            beyond,
        ),
        call(
            "a topic one byte beyond the payload",
            plain,
            vec![0, 3, b'a', b'b'],
            beyond,
        ),
        call(
            "a topic that is not UTF-8",
            plain,
            topic(2, b"\xc3\x28"),
            "the topic is not UTF-8",
        ),
        call(
            "a topic with NUL",
            plain,
            topic(3, b"a\0b"),
            "the topic holds the control character U+0000",
        ),
        call(
            "a topic with an escape sequence",
            plain,
            topic(4, b"\x1b[2J"),
            "the topic holds the control character U+001B",
        ),
        call(
            "a topic that is too long",
            plain,
            topic(256, &[b'a'; 256]),
            "the topic has 256 bytes: 255 are allowed",
        ),
        call(
            "a topic on a direct connection",
            plain,
            topic(7, b"weather"),
            "a topic, and this is a direct connection",
        ),
        call(
            "metadata beyond the payload",
            Flags::META,
            vec![0, 200, 8, 1],
            beyond_meta,
        ),
        call("no metadata", Flags::META, Vec::new(), beyond_meta),
        call(
            "metadata that is too long",
            Flags::META,
            [&large[..], &[0, 0]].concat(),
            &format!("the metadata has {len} bytes: 8192 are allowed"),
        ),
        call(
            "malformed metadata",
            Flags::META,
            metadata(2, b"\x08\x80"),
            "malformed metadata: failed to decode Protobuf message: Metadata.deadline_ms: invalid varint",
        ),
        call(
            "a compressed body, and no compression was agreed",
            Flags::COMPRESSED,
            vec![0, 0, 1, 0x1f, 0x8b, 0xff],
            "a compressed body, and no compression was agreed",
        ),
        call(
            "a stream",
            Flags::MORE,
            topic(0, b""),
            match side {
                Side::Connecting => "`echo_req` asks for one request",
                Side::Accepting => "`ask_req` asks for one request",
            },
        ),
        answered(
            "a delivery with a broken topic",
            us.payload(
                Flags::ACK_REQUIRED,
                us.delivery(1),
                us.note().0,
                &[0, 1, 0xff],
            ),
            us.delivery(1),
            "INVALID_ARGUMENT: the topic is not UTF-8",
        ),
    ]
}

/// Bodies that are not what their headers say.
fn bodies(side: Side) -> Vec<Case> {
    let us = Us(side);
    let id = us.call(2);
    let (variant, body) = us.request();
    let label = match side {
        Side::Connecting => "echo_req (1)",
        Side::Accepting => "ask_req (5)",
    };
    let call = |name: &str, body: Vec<u8>, reason: &str| {
        answered(
            name,
            us.message(Flags::ACK_REQUIRED, id, (variant, body)),
            id,
            &format!("INVALID_ARGUMENT: {reason}"),
        )
    };
    let missing = format!("the body does not contain {label}, which its header names");
    let key = u8::try_from(variant << 3 | 2).expect("small");
    let newer = || (999, vec![0xba, 0x3e, 0]);
    let unknown = "UNIMPLEMENTED: unknown variant 999";
    vec![
        call(
            "a body that is no protobuf",
            vec![0xff; 40],
            &format!(
                "malformed body of {label}: failed to decode Protobuf message: invalid varint"
            ),
        ),
        call(
            "a body that is cut",
            body[..body.len() - 1].to_vec(),
            &format!(
                "malformed body of {label}: length {} exceeds the remaining {} bytes",
                body.len() - 2,
                body.len() - 3
            ),
        ),
        call(
            "a body that announces more than there is",
            vec![key, 0xff, 0xff, 0xff, 0xff, 0x0f],
            &format!("malformed body of {label}: length 4294967295 exceeds the remaining 0 bytes"),
        ),
        call("an empty body", Vec::new(), &missing),
        call("a body that holds another member", us.note().1, &missing),
        call(
            "a text that is not UTF-8",
            vec![key, 4, 0x0a, 2, 0xc3, 0x28],
            &match side {
                Side::Connecting => format!(
                    "malformed body of {label}: failed to decode Protobuf message: EchoReq.text: invalid string value: data is not UTF-8 encoded"
                ),
                Side::Accepting => format!(
                    "malformed body of {label}: failed to decode Protobuf message: AskReq.question: invalid string value: data is not UTF-8 encoded"
                ),
            },
        ),
        answered(
            "a call from a newer schema",
            us.message(Flags::ACK_REQUIRED, id, newer()),
            id,
            unknown,
        ),
        answered(
            "a delivery from a newer schema",
            us.message(Flags::ACK_REQUIRED, us.delivery(1), newer()),
            us.delivery(1),
            unknown,
        ),
        ignored(
            "a message from a newer schema",
            us.message(Flags::NONE, id, newer()),
        ),
        answered(
            "variant 0",
            us.message(Flags::ACK_REQUIRED, id, (0, body.clone())),
            id,
            "UNIMPLEMENTED: unknown variant 0",
        ),
        ignored(
            "a message that is no protobuf",
            us.message(Flags::NONE, id, (us.note().0, vec![0xff; 40])),
        ),
        answered(
            "a delivery that is no protobuf",
            us.message(
                Flags::ACK_REQUIRED,
                us.delivery(1),
                (us.note().0, vec![0xff; 40]),
            ),
            us.delivery(1),
            "INVALID_ARGUMENT: malformed body of note_ind (2): failed to decode Protobuf message: invalid varint",
        ),
    ]
}

/// Messages that come in the wrong shape of exchange.
fn exchanges(side: Side) -> Vec<Case> {
    let us = Us(side);
    let id = us.call(2);
    let (request, response) = (us.request_name(), us.response_name());
    let unsolicited =
        format!("INVALID_ARGUMENT: `{response}` is a response, but belongs to no call");
    vec![
        ignored(
            "a call without ACK_REQUIRED",
            us.message(Flags::NONE, id, us.request()),
        ),
        answered(
            "a call sent as a delivery",
            us.message(Flags::ACK_REQUIRED, us.delivery(1), us.request()),
            us.delivery(1),
            &format!("INVALID_ARGUMENT: `{request}` is a call, and nobody waits for its answer"),
        ),
        answered(
            "a message sent as a call",
            us.message(Flags::ACK_REQUIRED, id, us.note()),
            id,
            "INVALID_ARGUMENT: `note_ind` has no answer, and somebody waits for one",
        ),
        ignored(
            "an answer sent as a message",
            us.message(Flags::NONE, id, us.response()),
        ),
        answered(
            "an answer sent as a delivery",
            us.message(Flags::ACK_REQUIRED, us.delivery(1), us.response()),
            us.delivery(1),
            &unsolicited,
        ),
        answered(
            "an answer sent as a call",
            us.message(Flags::ACK_REQUIRED, id, us.response()),
            id,
            &unsolicited,
        ),
    ]
}

/// Sends the frames of the case, and returns what is not as expected. `check` is a call that shows whether the connection
/// goes on.
async fn play(raw: &mut RawPeer, case: &Case, side: Side) -> Result<(), String> {
    let us = Us(side);
    let eof = case.answers == ["EOF"];
    raw.say(&case.bytes).await;
    if eof {
        return Ok(());
    }
    let heard = if case.reason.is_some() {
        raw.hear_to_the_end().await
    } else {
        let check = us.call(1 << 20);
        raw.say(&us.message(Flags::ACK_REQUIRED, check, us.request()))
            .await;
        let (heard, answer) = raw.hear_until(check).await;
        let Some(answer) = answer else {
            return Err(format!("the connection ended, with {heard:?}"));
        };
        if answer.header.frame_type != FrameType::Ack {
            return Err(format!(
                "a good call is answered with {}",
                raw::text(&answer.payload)
            ));
        }
        heard
    };
    let mut heard = heard;
    // The answering CLOSE after a CLOSE.
    if !case
        .answers
        .iter()
        .any(|answer| answer.starts_with("CLOSE"))
    {
        heard.retain(|line| !line.starts_with("CLOSE"));
    }
    if heard == case.answers {
        Ok(())
    } else {
        Err(format!("heard {heard:#?}, not {:#?}", case.answers))
    }
}

fn same_reason(reason: &impl ToString, expected: Option<&String>) -> Result<(), String> {
    let goodbye = "closed by the peer: CANCELLED: done".to_owned();
    let expected = expected.unwrap_or(&goodbye);
    if reason.to_string() == *expected {
        Ok(())
    } else {
        Err(format!(
            "the handler is told `{}`, not `{expected}`",
            reason.to_string()
        ))
    }
}

fn report(side: &str, count: usize, failures: &[String]) {
    assert!(
        failures.is_empty(),
        "{} of {count} cases against a live {side} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

async fn echoes(client: &Client<Lab>, text: &str) -> Result<(), String> {
    let request = EchoReq {
        text: text.to_owned(),
        ..EchoReq::default()
    };
    match soon("the bystander's answer", client.echo_req(request)).await {
        Ok(answer) if answer.text == text => Ok(()),
        outcome => Err(format!("the bystander got {outcome:?}")),
    }
}

#[tokio::test]
async fn a_server_stands_every_frame() {
    let (url, mut events, _server) = start(at!(format!("tcp://127.0.0.1:0?{SETTINGS}"))).await;
    let bystander = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    connected(&mut events).await;
    let cases = cases(Side::Connecting);
    let mut failures = Vec::new();
    for case in &cases {
        let _playing = Playing(&case.name);
        let outcome = against_server(&url, &mut events, &bystander, case).await;
        failures.extend(outcome.err().map(|error| format!("{}: {error}", case.name)));
    }
    report("server", cases.len(), &failures);
}

async fn against_server(
    url: &ServiceUrl,
    events: &mut mpsc::Receiver<SeenByServer>,
    bystander: &Client<Lab>,
    case: &Case,
) -> Result<(), String> {
    echoes(bystander, "before").await?;
    let mut raw = RawPeer::dial(url).await;
    raw.greet().await;
    let SeenByServer::Connected(_) = next(events).await else {
        return Err("it is not told of the client".to_owned());
    };
    let played = play(&mut raw, case, Side::Connecting).await;
    if case.reason.is_none() && played.is_ok() {
        raw.leave().await;
    } else {
        drop(raw);
    }
    let reason = match next(events).await {
        SeenByServer::Disconnected(reason) => reason,
        event => return Err(format!("the handler saw {event:?}")),
    };
    played?;
    same_reason(&reason, case.reason.as_ref())?;
    echoes(bystander, "after").await
}

#[tokio::test]
async fn a_client_stands_every_frame() {
    let (url, _events, _server) = start(at!("tcp://127.0.0.1:0")).await;
    let bystander = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    let cases = cases(Side::Accepting);
    let mut failures = Vec::new();
    for case in &cases {
        let _playing = Playing(&case.name);
        let outcome = against_client(&bystander, case).await;
        failures.extend(outcome.err().map(|error| format!("{}: {error}", case.name)));
    }
    report("client", cases.len(), &failures);
}

async fn against_client(bystander: &Client<Lab>, case: &Case) -> Result<(), String> {
    echoes(bystander, "before").await?;
    let url = ServiceUrl::parse(at!("tcp://127.0.0.1:0")).expect("an address");
    let listener = Listener::bind(&url).await.expect("binds");
    let address = format!(
        "{}?{SETTINGS}&reconnect_min=1ms&reconnect_max=1ms",
        listener.local_url()
    );
    let (handler, mut seen) = LabClient::new();
    // Whatever it was closed with, it comes back, as the test then sees.
    let handler = handler.on_close(Reconnect::Backoff);
    let connecting = Client::<Lab>::builder(address).handler(handler).connect();
    let (client, mut raw) = tokio::join!(connecting, async {
        let mut raw = RawPeer::accept(&listener).await;
        raw.welcome().await;
        raw
    });
    let client = client.map_err(|error| error.to_string())?;
    let SeenByClient::Connected = next(&mut seen).await else {
        return Err("it is not told that it is connected".to_owned());
    };
    let played = play(&mut raw, case, Side::Accepting).await;
    if case.reason.is_none() && played.is_ok() {
        raw.leave().await;
    } else {
        drop(raw);
    }
    let reason = match next(&mut seen).await {
        SeenByClient::Disconnected(reason) => reason,
        event => return Err(format!("the handler saw {event:?}")),
    };
    played?;
    same_reason(&reason, case.reason.as_ref())?;
    // It comes back, and works.
    let mut raw = RawPeer::accept(&listener).await;
    raw.welcome().await;
    let again = match next(&mut seen).await {
        SeenByClient::ClosedByServer(_) => next(&mut seen).await,
        event => event,
    };
    let SeenByClient::Connected = again else {
        return Err("it is not told that it is connected again".to_owned());
    };
    let saving = client.save_ind(SaveInd { number: 1 });
    let (saved, ()) = tokio::join!(saving, async {
        let delivery = raw.hear_type(FrameType::Publish).await;
        raw.say(&raw::frame(FrameType::Ack, delivery.header.msg_id, b""))
            .await;
    });
    saved.map_err(|error| format!("after it came back: {error}"))?;
    echoes(bystander, "after").await
}
