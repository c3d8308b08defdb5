//! The MIP client as a value: what the session says becomes what a broker hears, and back.

use std::mem;

use msip_session::wire::{
    Code, Decoder, Flags, Frame, Hello, Payload, SECRET_LEN, SessionId, begin_frame, finish_frame,
    parse_welcome, write_close, write_credit, write_ping, write_topic,
};
use proptest::prelude::*;

use super::*;

const SESSION: u64 = 0x1111_2222_3333_4444;
const NUMBER: u64 = 0x0123_4567_89ab_cdef;

/// A client, and what it says to each of the two.
struct Client {
    dialect: MipClient,
    output: Output,
}

impl Client {
    fn new(topic: &str, is_typed: bool, mask: u64) -> Self {
        Self {
            dialect: MipClient::new(MipConfig {
                topic: Bytes::copy_from_slice(topic.as_bytes()),
                is_typed,
                max_body: 1000,
                mask,
            }),
            output: Output::default(),
        }
    }

    /// One whose session is open.
    fn open(topic: &str, is_typed: bool, mask: u64) -> Self {
        let mut client = Self::new(topic, is_typed, mask);
        client.say(&hello());
        client.hear(&answer(6, 3, 1 ^ mask, &NUMBER.to_be_bytes()));
        if is_typed {
            client.hear(&answer(6, 3, mask, &[]));
        }
        client.output = Output::default();
        client
    }

    /// The session sends whole frames.
    fn say(&mut self, frames: &[u8]) {
        let mut decoder = Decoder::new(1 << 20);
        decoder.buffer().extend_from_slice(frames);
        while let Some(Frame { header, payload }) = decoder.decode().unwrap() {
            self.dialect
                .handle_frame(&header, &payload, Duration::ZERO, &mut self.output)
                .unwrap();
        }
    }

    fn try_hear(&mut self, bytes: &[u8]) -> Result<(), DialectError> {
        let mut input = BytesMut::from(bytes);
        self.dialect
            .handle_bytes(&mut input, Duration::ZERO, &mut self.output)
    }

    /// The broker sends whole frames.
    fn hear(&mut self, bytes: &[u8]) {
        self.try_hear(bytes).unwrap();
    }

    /// What the broker was told, in hexadecimal.
    fn told(&mut self) -> String {
        hex(&mem::take(&mut self.output.to_peer))
    }

    /// What the session was told.
    fn given(&mut self) -> Vec<Frame> {
        frames(&mem::take(&mut self.output.to_session))
    }
}

fn frames(bytes: &[u8]) -> Vec<Frame> {
    let mut decoder = Decoder::new(1 << 20);
    decoder.buffer().extend_from_slice(bytes);
    std::iter::from_fn(|| decoder.decode().unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The same text without blanks.
fn bare(text: &str) -> String {
    text.split_whitespace().collect()
}

fn hello() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mark = begin_frame(
        &mut bytes,
        &Header::control(FrameType::Hello, MsgId::new(1)),
    );
    let hello = Hello {
        protocol: "chat".into(),
        fingerprint: 7,
        codecs: vec![1],
        max_body: 1000,
        session_secret: vec![0; SECRET_LEN],
        ..Hello::default()
    };
    let id = SessionId::new(SESSION).unwrap();
    msip_session::wire::write_hello(&mut bytes, id, &hello);
    finish_frame(&mut bytes, mark).unwrap();
    bytes
}

/// A frame of the broker.
fn answer(frame_type: u16, kind: u16, id: u64, payload: &[u8]) -> Vec<u8> {
    let header = RawHeader {
        frame_type,
        kind,
        ..RawHeader::new(FrameType::Ack, id)
    };
    let mut bytes = Vec::new();
    write_frame(&mut bytes, header, &[payload]);
    bytes
}

fn event(id: u64, topic: &[u8], body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(topic.len()).unwrap().to_be_bytes();
    answer(5, 1, id, &[&len, topic, body].concat())
}

/// A message of the session.
fn publish(flags: Flags, id: MsgId, topic: &[u8], body: &[u8]) -> Vec<u8> {
    let header = Header {
        flags,
        frame_type: FrameType::Publish,
        kind: MsgKind::Event.into(),
        variant: 2,
        payload_len: 0,
        msg_id: id,
    };
    let mut bytes = Vec::new();
    let mark = begin_frame(&mut bytes, &header);
    let topic = msip_session::wire::Topic::new(Bytes::copy_from_slice(topic), 255).unwrap();
    write_topic(&mut bytes, &topic);
    bytes.extend_from_slice(body);
    finish_frame(&mut bytes, mark).unwrap();
    bytes
}

const ONE_WAY: MsgId = MsgId::new(5);
const DELIVERY: MsgId = MsgId::new(0x4000_0000_0000_0001);

#[test]
fn a_session_begins_with_one_of_mip_that_is_new() {
    let mut client = Client::new("", false, 0xaa00);
    client.say(&hello());
    assert_eq!(
        client.told(),
        bare("4d534950 01 00 0001 0001 0000 00000000 000000000000aa01")
    );
    assert_eq!(client.given(), []);
    // The answer to another's HELLO is not this one's.
    client.hear(&answer(6, 3, 1, &NUMBER.to_be_bytes()));
    assert_eq!(client.given(), []);
    client.hear(&answer(6, 3, 0xaa01, &NUMBER.to_be_bytes()));
    let given = client.given();
    assert_eq!(given.len(), 1);
    assert_eq!(given[0].header.msg_id, MsgId::new(1));
    let welcome = parse_welcome(given[0].payload.clone()).unwrap();
    assert_eq!(welcome.session_id.number(), SESSION);
    let welcome = welcome.welcome;
    assert!(welcome.broker && !welcome.resumed);
    assert_eq!(welcome.session_expiry_ms, 0);
    assert_ne!(
        welcome.peer_id, NUMBER,
        "who knows that can claim the session"
    );
}

#[test]
fn one_of_a_schema_begins_once_its_topic_is_subscribed_to() {
    let mut client = Client::new("news", true, 0xaa00);
    client.say(&hello());
    client.told();
    client.hear(&answer(6, 3, 0xaa01, &NUMBER.to_be_bytes()));
    assert_eq!(
        client.told(),
        bare("4d534950 01 01 0002 0001 0000 00000004 000000000000aa00 6e657773")
    );
    assert_eq!(client.given(), []);
    // What comes meanwhile is not lost.
    client.hear(&event(9, b"news", b"\x12\x00"));
    client.hear(&answer(6, 3, 0xaa00, &[]));
    let given = client.given();
    let types: Vec<_> = given.iter().map(|frame| frame.header.frame_type).collect();
    assert_eq!(types, [FrameType::Ack, FrameType::Event]);
    assert_eq!(given[1].header.variant, 2);
    let welcome = parse_welcome(given[0].payload.clone()).unwrap();
    assert!(!welcome.welcome.broker);
}

#[test]
fn what_the_broker_refuses_at_the_beginning_is_the_answer_to_the_hello() {
    let refusal = b"PERMISSION_DENIED: not yours";
    let mut client = Client::new("news", true, 0);
    client.say(&hello());
    client.hear(&answer(7, 3, 0, refusal));
    let given = client.given();
    assert_eq!(given[0].header.frame_type, FrameType::Error);
    assert_eq!(given[0].header.msg_id, MsgId::new(1));
    assert_eq!(&*given[0].payload, refusal);
    let mut client = Client::new("news", true, 0);
    client.say(&hello());
    client.hear(&answer(6, 3, 1, &NUMBER.to_be_bytes()));
    client.hear(&answer(7, 3, 0, refusal));
    let given = client.given();
    assert_eq!(given[0].header.msg_id, MsgId::new(1));
    assert_eq!(
        &*given[0].payload,
        b"PERMISSION_DENIED: cannot subscribe to \"news\": not yours"
    );
}

#[test]
fn messages_are_published_and_their_acknowledgments_are_credit() {
    let mut client = Client::open("room", false, 0);
    client.say(&publish(Flags::NONE, ONE_WAY, b"", b"hi"));
    client.say(&publish(
        Flags::ACK_REQUIRED | Flags::URGENT,
        DELIVERY,
        b"news",
        b"hi",
    ));
    assert_eq!(
        client.told(),
        bare(
            "4d534950 01 01 0004 0001 0000 00000008 0000000000000005 0004 726f6f6d 6869
             4d534950 01 05 0004 0001 0000 00000008 4000000000000001 0004 6e657773 6869"
        )
    );
    client.hear(&[answer(6, 3, 5, &[]), answer(6, 3, DELIVERY.number(), &[])].concat());
    let given = client.given();
    assert_eq!(given.len(), 2, "{given:?}");
    assert_eq!(given[0].header.frame_type, FrameType::Ack);
    assert_eq!(given[0].header.msg_id, DELIVERY);
    assert_eq!(given[1].header.frame_type, FrameType::Credit);
    let credit = Credit::parse(&given[1].payload).unwrap();
    // As the session has counted them: the first had no topic.
    assert_eq!((credit.items, credit.bytes), (2, 4 + 8));
    // Nothing is granted for what was answered before, or never sent.
    client.hear(&[answer(6, 3, 5, &[]), answer(6, 3, 77, &[])].concat());
    assert_eq!(client.given(), []);
}

#[test]
fn an_error_fails_what_it_answers() {
    let mut client = Client::open("room", false, 0);
    client.say(&publish(Flags::NONE, ONE_WAY, b"", b"hi"));
    client.say(&publish(Flags::ACK_REQUIRED, DELIVERY, b"", b"hi"));
    let refusal = b"RESOURCE_EXHAUSTED: no more";
    client.hear(&answer(7, 3, ONE_WAY.number(), refusal));
    client.hear(&answer(7, 3, DELIVERY.number(), refusal));
    let given = client.given();
    let types: Vec<_> = given
        .iter()
        .map(|frame| (frame.header.frame_type, frame.header.msg_id))
        .collect();
    assert_eq!(
        types,
        [
            (FrameType::Credit, MsgId::CONNECTION),
            (FrameType::Error, DELIVERY),
            (FrameType::Credit, MsgId::CONNECTION),
        ]
    );
    assert_eq!(&*given[1].payload, refusal);
}

#[test]
fn metadata_that_need_not_be_carried_stays_here() {
    let mut client = Client::open("room", false, 0);
    let header = Header {
        flags: Flags::META,
        payload_len: 9,
        kind: MsgKind::State.into(),
        ..Header::control(FrameType::Publish, ONE_WAY)
    };
    let mut frame = header.encode().to_vec();
    frame.extend_from_slice(b"\x00\x03\x08\x88\x27\x00\x00hi");
    client.say(&frame);
    assert_eq!(
        client.told(),
        bare("4d534950 01 01 0004 0003 0000 00000008 0000000000000005 0004 726f6f6d 6869")
    );
}

#[test]
fn subscriptions_ask_for_an_answer_and_what_mip_lacks_gets_one_here() {
    let mut client = Client::open("", false, 0);
    let subscribe = |frame_type, kind: MsgKind, flags, payload: &[u8]| {
        let header = Header {
            flags,
            kind: kind.into(),
            payload_len: u32::try_from(payload.len()).unwrap(),
            ..Header::control(frame_type, MsgId::new(6))
        };
        [&header.encode()[..], payload].concat()
    };
    let (state, ack) = (MsgKind::State, Flags::ACK_REQUIRED);
    client.say(&subscribe(FrameType::Subscribe, state, ack, b"news"));
    assert_eq!(
        client.told(),
        bare("4d534950 01 01 0002 0001 0000 00000004 0000000000000006 6e657773")
    );
    client.hear(&answer(6, 3, 6, &[]));
    assert_eq!(client.given()[0].header.frame_type, FrameType::Ack);
    client.say(&subscribe(FrameType::Unsubscribe, state, ack, b"news"));
    assert_eq!(
        client.told(),
        bare("4d534950 01 01 0003 0001 0000 00000004 0000000000000006 6e657773")
    );
    client.hear(&answer(7, 3, 6, b"NOT_FOUND: no"));
    assert_eq!(client.given()[0].header.frame_type, FrameType::Error);
    for (what, frame) in [
        (
            "wildcards",
            subscribe(FrameType::Subscribe, state, ack, b"news/+"),
        ),
        (
            "groups",
            subscribe(FrameType::Subscribe, state, ack | Flags::META, b"\0\0news"),
        ),
        (
            "grants",
            subscribe(FrameType::Subscribe, MsgKind::Command, ack, b"news"),
        ),
        (
            "calls",
            publish(Flags::ACK_REQUIRED, MsgId::new(6), b"", b""),
        ),
    ] {
        client.say(&frame);
        assert_eq!(client.told(), "", "{what}");
        let given = client.given();
        let text = format!("UNIMPLEMENTED: the MIP dialect has no {what}");
        assert_eq!(given[0].payload, text, "{what}");
        assert_eq!(given[0].header.msg_id, MsgId::new(6));
    }
}

#[test]
fn events_get_ids_of_their_own_and_lose_what_is_between_mips_peers() {
    let mut client = Client::open("", false, 0);
    let mut compressed = event(7, b"news", b"hi");
    compressed[5] = 0b1111_1111;
    compressed[10] = 9;
    client.hear(&compressed);
    client.hear(&event(7, b"", b""));
    let given = client.given();
    let Header {
        flags,
        variant,
        msg_id,
        ..
    } = given[0].header;
    assert_eq!((flags, variant), (Flags::URGENT, 0));
    assert_eq!(
        msg_id,
        MsgId::exchange(msip_session::wire::Side::Accepting, 1)
    );
    let limits = msip_session::wire::Limits::with_max_body(1000);
    let payload = Payload::parse(given[0].clone(), &limits).unwrap();
    assert_eq!(
        (payload.topic.as_str(), &*payload.body),
        ("news", &b"hi"[..])
    );
    assert_eq!(given[1].header.msg_id.sequence(), 2);
}

#[test]
fn what_it_has_published_itself_is_not_what_others_say() {
    let mut client = Client::open("room", true, 0xdead_beef_0000_0000);
    client.say(&publish(Flags::NONE, ONE_WAY, b"", b"\x12\x00"));
    client.say(&publish(Flags::ACK_REQUIRED, DELIVERY, b"", b"\x12\x00"));
    let own = |id: MsgId| id.number() ^ 0xdead_beef_0000_0000;
    client.hear(&event(own(ONE_WAY), b"room", b"\x12\x00"));
    client.hear(&event(own(DELIVERY), b"room", b"\x12\x00"));
    assert_eq!(client.given(), []);
    // The same ids are another's, and so are those that it has not used.
    for other in [ONE_WAY.number(), DELIVERY.number(), own(MsgId::new(6))] {
        client.hear(&event(other, b"room", b"\x1a\x00"));
        assert_eq!(client.given()[0].header.variant, 3);
    }
}

#[test]
fn events_wait_for_credit_and_then_nothing_more_is_read() {
    let mut client = Client::open("", false, 0);
    let one = event(7, b"t", &[0; 997]);
    for _ in 0..1024 {
        client.hear(&one);
    }
    assert_eq!(client.given().len(), 1024, "as many as the window has");
    assert!(client.dialect.wants_bytes());
    let mut rest: BytesMut = one.repeat(2000).as_slice().into();
    rest.extend_from_slice(&answer(9, 1, 3, &[]));
    let before = rest.len();
    client
        .dialect
        .handle_bytes(&mut rest, Duration::ZERO, &mut client.output)
        .unwrap();
    assert!(!client.dialect.wants_bytes());
    let kept = (before - rest.len()) / one.len();
    assert!((1020..1100).contains(&kept), "{kept}");
    assert_eq!(client.given(), []);
    // The broker is not to be declared dead because nothing is read.
    let mut ping = Vec::new();
    write_ping(&mut ping, MsgId::new(11), b"");
    client.say(&ping);
    assert_eq!(client.told(), "");
    assert_eq!(client.given()[0].header.frame_type, FrameType::Pong);
    let grant = |items, bytes| {
        let mut frame = Vec::new();
        let credit = Credit { items, bytes };
        write_credit(&mut frame, Flags::NONE, MsgId::CONNECTION, credit);
        frame
    };
    client.say(&grant(3, 1));
    assert_eq!(client.given().len(), 3);
    client.say(&grant(10, 1_000_000));
    assert_eq!(client.given().len(), 10);
    client.say(&grant(100, 1));
    assert_eq!(client.given().len(), 100);
    assert!(client.dialect.wants_bytes());
    client.say(&ping);
    assert!(client.told().contains("0008"));
}

#[test]
fn close_waits_for_what_the_broker_has_to_answer() {
    let mut client = Client::open("", false, 0);
    client.say(&publish(Flags::ACK_REQUIRED, DELIVERY, b"t", b""));
    client.told();
    let mut close = Vec::new();
    write_close(&mut close, Code::Unavailable, "bye");
    client.say(&close);
    assert_eq!(client.told(), "");
    client.hear(&answer(6, 3, DELIVERY.number(), &[]));
    assert_eq!(
        client.told(),
        bare("4d534950 01 00 000a 0003 0000 00000000 0000000000000000")
    );
    client
        .dialect
        .handle_shutdown(Duration::ZERO, &mut client.output);
    assert_eq!(client.told(), "", "it is said once");
    let mut client = Client::open("", false, 0);
    client.say(&publish(Flags::ACK_REQUIRED, DELIVERY, b"t", b""));
    client.say(&close);
    client.told();
    client
        .dialect
        .handle_shutdown(Duration::ZERO, &mut client.output);
    assert!(
        !client.told().is_empty(),
        "at the end it is said all the same"
    );
}

#[test]
fn the_broker_says_goodbye_and_the_session_is_told_why() {
    let close = answer(10, 3, 0, &[]);
    for (complaint, text) in [
        (None, "UNAVAILABLE: the MIP broker closes the connection"),
        (
            Some("INTERNAL: tired"),
            "UNAVAILABLE: the MIP broker closes the connection after INTERNAL: tired",
        ),
    ] {
        let mut client = Client::open("", false, 0);
        if let Some(complaint) = complaint {
            client.hear(&answer(7, 3, 0, complaint.as_bytes()));
        }
        client.hear(&close);
        let given = client.given();
        assert_eq!(given[0].header.frame_type, FrameType::Close);
        assert_eq!(given[0].payload, text);
        client.hear(&event(7, b"t", b""));
        client.say(&publish(Flags::NONE, ONE_WAY, b"t", b""));
        assert_eq!(client.told(), "");
    }
    let mut client = Client::new("", false, 0);
    client.say(&hello());
    client.hear(&close);
    assert_eq!(client.given()[0].header.frame_type, FrameType::Error);
}

#[test]
fn what_no_broker_says_ends_the_connection() {
    let cases: [(&str, Vec<u8>, &str); 8] = [
        ("http", b"HTTP/1.1 400".to_vec(), "no frame"),
        (
            "another version",
            [&b"MSIP\x02"[..], &[0; 19]].concat(),
            "no frame",
        ),
        (
            "a PUBLISH",
            answer(4, 1, 7, b"\0\0"),
            "PUBLISH comes from a client",
        ),
        (
            "a CREDIT",
            answer(11, 1, 7, b""),
            "CREDIT comes from a client",
        ),
        ("type 99", answer(99, 1, 7, b""), "unknown frame_type 99"),
        (
            "a topic too long",
            answer(5, 1, 7, b"\0\x09"),
            "reaches beyond",
        ),
        (
            "a body too long",
            event(7, b"t", &[0; 1001]),
            "1000 are allowed",
        ),
        (
            "a frame too long",
            answer(6, 3, 7, &[])[..12]
                .iter()
                .copied()
                .chain([1, 0, 0, 0])
                .chain([0; 8])
                .collect(),
            "announces 16777216 bytes",
        ),
    ];
    for (name, bytes, text) in cases {
        let mut client = Client::open("", false, 0);
        let error = client.try_hear(&bytes).expect_err(name);
        assert!(error.to_string().contains(text), "{name}: {error}");
    }
    let mut client = Client::new("", false, 0);
    client.say(&hello());
    let error = client.try_hear(&answer(6, 3, 1, &[0; 9])).unwrap_err();
    assert!(error.to_string().contains("has 9 bytes"), "{error}");
}

/// What a broker may send.
fn conversation() -> Vec<u8> {
    [
        answer(6, 3, 1, &NUMBER.to_be_bytes()),
        event(9, b"room", b"\x12\x00"),
        answer(6, 3, ONE_WAY.number(), &[]),
        answer(7, 3, DELIVERY.number(), b"NOT_FOUND: x"),
        answer(9, 1, 8, &[]),
        event(10, b"", &[7; 300]),
        answer(10, 3, 0, &[]),
    ]
    .concat()
}

proptest! {
    #[test]
    fn however_the_bytes_are_cut_the_session_hears_the_same(cuts in prop::collection::vec(1_usize..60, 0..40)) {
        let bytes = conversation();
        let run = |cuts: &[usize]| {
            let mut client = Client::new("", false, 0);
            client.say(&hello());
            let mut cuts = cuts.iter().copied();
            let mut input = BytesMut::new();
            let mut hear = |client: &mut Client, mut rest: &[u8]| {
                while !rest.is_empty() {
                    let len = cuts.next().unwrap_or(rest.len()).min(rest.len());
                    let (part, after) = rest.split_at(len);
                    rest = after;
                    input.extend_from_slice(part);
                    let Client { dialect, output } = client;
                    dialect.handle_bytes(&mut input, Duration::ZERO, output).unwrap();
                }
            };
            // The messages are published once the session is there, and acknowledged after that.
            let (greeting, rest) = bytes.split_at(HEADER_LEN + SessionId::LEN);
            hear(&mut client, greeting);
            client.say(&publish(Flags::NONE, ONE_WAY, b"", b"hi"));
            client.say(&publish(Flags::ACK_REQUIRED, DELIVERY, b"", b"hi"));
            hear(&mut client, rest);
            // How much is granted at once depends on how much is read at once.
            let (mut others, mut granted) = (Vec::new(), 0);
            for frame in client.given() {
                if frame.header.frame_type == FrameType::Credit {
                    granted += Credit::parse(&frame.payload).unwrap().items;
                } else {
                    others.push(frame);
                }
            }
            (others, granted)
        };
        prop_assert_eq!(run(&cuts), run(&[]));
    }

    #[test]
    fn no_bytes_make_it_panic_or_keep_more_than_they_may(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..400) {
        let mut client = Client::open("room", true, 5);
        let mut all = conversation();
        let at = at.min(all.len());
        all.splice(at..at, bytes);
        let _ = client.try_hear(&all);
        let _ = client.given();
    }
}
