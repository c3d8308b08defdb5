//! What a MIP peer is answered, frame by frame.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::mip::frame::ACK_REQUIRED;

const MAX_BODY: usize = 1000;

/// A frame of a client: of this type, with these flags, id and payload; of kind EVENT.
fn frame(frame_type: FrameType, flags: u8, msg_id: u64, payload: &[u8]) -> Vec<u8> {
    raw(
        frame_type.number(),
        MsgKind::Event.number(),
        flags,
        0,
        msg_id,
        payload,
    )
}

fn raw(
    frame_type: u16,
    kind: u16,
    flags: u8,
    reserved: u16,
    msg_id: u64,
    payload: &[u8],
) -> Vec<u8> {
    let mut frame = b"MSIP\x01".to_vec();
    frame.push(flags);
    frame.extend(frame_type.to_be_bytes());
    frame.extend(kind.to_be_bytes());
    frame.extend(reserved.to_be_bytes());
    frame.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
    frame.extend(msg_id.to_be_bytes());
    frame.extend(payload);
    frame
}

fn message(topic: &[u8], body: &[u8]) -> Vec<u8> {
    let mut payload = u16::try_from(topic.len()).unwrap().to_be_bytes().to_vec();
    payload.extend(topic);
    payload.extend(body);
    payload
}

fn publish(msg_id: u64, topic: &[u8], body: &[u8]) -> Vec<u8> {
    frame(FrameType::Publish, 0, msg_id, &message(topic, body))
}

fn answer(frame_type: FrameType, kind: MsgKind, msg_id: u64, payload: &[u8]) -> Vec<u8> {
    raw(frame_type.number(), kind.number(), 0, 0, msg_id, payload)
}

fn ack(msg_id: u64) -> Vec<u8> {
    answer(FrameType::Ack, MsgKind::State, msg_id, b"")
}

fn error(msg_id: u64, text: &str) -> Vec<u8> {
    answer(FrameType::Error, MsgKind::State, msg_id, text.as_bytes())
}

fn close() -> Vec<u8> {
    answer(FrameType::Close, MsgKind::State, 0, b"")
}

struct Peer {
    session: Session,
    buffer: BytesMut,
}

impl Peer {
    fn new() -> Self {
        Self {
            session: Session::new(MAX_BODY),
            buffer: BytesMut::with_capacity(64 * 1024),
        }
    }

    /// One whose HELLO was answered.
    fn open() -> Self {
        let mut peer = Self::new();
        let hello = peer.ask(&frame(FrameType::Hello, 0, 1, b""));
        let Ok(Some(Input::Hello(hello))) = hello else {
            panic!("{hello:?}")
        };
        peer.session.welcome(&hello, SessionKey::BROKER, 5);
        peer.said();
        peer
    }

    fn ask(&mut self, bytes: &[u8]) -> Result<Option<Input>, Fault> {
        self.buffer.extend_from_slice(bytes);
        self.again()
    }

    fn again(&mut self) -> Result<Option<Input>, Fault> {
        self.session.poll_input(&mut self.buffer, Duration::ZERO)
    }

    fn published(&mut self, bytes: &[u8]) -> Publication {
        match self.ask(bytes) {
            Ok(Some(Input::Publish(publication))) => publication,
            other => panic!("{other:?}"),
        }
    }

    fn said(&mut self) -> Vec<u8> {
        std::mem::take(self.session.output())
    }
}

#[test]
fn hello_names_a_session_by_nothing_a_number_or_a_text() {
    let text = |text: &'static [u8]| Name::Text(Bytes::from_static(text));
    let cases: [(&str, &[u8], Name); 6] = [
        ("nothing", b"", Name::New),
        ("seven bytes", b"1234567", Name::New),
        ("eight bytes", b"\0\0\0\0\0\0\x01\x02", Name::Number(0x102)),
        (
            "eight letters",
            b"my-robot",
            Name::Number(u64::from_be_bytes(*b"my-robot")),
        ),
        ("nine bytes", b"my-robots", text(b"my-robots")),
        ("digits", b"1764000000000001", text(b"1764000000000001")),
    ];
    for (name, payload, expected) in cases {
        let input = Peer::new().ask(&frame(FrameType::Hello, 0, 9, payload));
        let expected = Hello {
            name: expected,
            msg_id: 9,
        };
        assert!(
            matches!(input, Ok(Some(Input::Hello(hello))) if hello == expected),
            "{name}"
        );
    }
}

#[test]
fn a_hello_is_answered_with_its_id_kind_state_and_eight_bytes_and_so_is_a_second_one() {
    let mut peer = Peer::new();
    for msg_id in [7, 0, 7] {
        let Ok(Some(Input::Hello(hello))) = peer.ask(&frame(FrameType::Hello, 0, msg_id, b""))
        else {
            panic!("no HELLO");
        };
        peer.session.welcome(&hello, SessionKey::BROKER, 0x0102);
        let expected = answer(
            FrameType::Ack,
            MsgKind::State,
            msg_id,
            &[0, 0, 0, 0, 0, 0, 1, 2],
        );
        assert_eq!(peer.said(), expected);
    }
}

#[test]
fn a_ping_is_answered_before_and_after_hello_without_its_payload() {
    for mut peer in [Peer::new(), Peer::open()] {
        assert!(
            peer.ask(&frame(FrameType::Ping, 0, 3, b"payload"))
                .unwrap()
                .is_none()
        );
        assert_eq!(peer.said(), answer(FrameType::Pong, MsgKind::Event, 3, b""));
    }
}

#[test]
fn every_publish_is_acknowledged_in_the_order_of_the_frames_whatever_its_id_and_flags() {
    let mut peer = Peer::open();
    let frames = [
        publish(0, b"t", b"a"),
        publish(7, b"t", b"b"),
        publish(7, b"t", b"c"),
        frame(FrameType::Ping, 0, 8, b""),
        frame(
            FrameType::Publish,
            ACK_REQUIRED,
            u64::MAX,
            &message(b"u", b"d"),
        ),
    ];
    let first = peer.published(&frames.concat());
    assert_eq!(first.count, 3);
    assert!(matches!(peer.again(), Ok(Some(Input::Publish(_)))));
    assert!(peer.again().unwrap().is_none());
    let pong = answer(FrameType::Pong, MsgKind::Event, 8, b"");
    assert_eq!(
        peer.said(),
        [ack(0), ack(7), ack(7), pong, ack(u64::MAX)].concat()
    );
}

#[test]
fn messages_become_events_with_their_ids_kinds_and_the_flags_that_mip_knows() {
    let mut peer = Peer::open();
    let flags = 0xf8 | COMPRESSED | ACK_REQUIRED;
    let sent = raw(4, 5, flags, 0xabcd, 77, &message(b"t", b"body"));
    let publication = peer.published(&sent);
    assert_eq!(
        publication.frames,
        raw(5, 5, COMPRESSED, 0, 77, &message(b"t", b"body"))
    );
    assert_eq!(
        (publication.kind, publication.urgent),
        (MsgKind::Metric, false)
    );
    assert!(
        publication.wants_ack,
        "each is acknowledged, so that each is kept"
    );
    let urgent = peer.published(&frame(FrameType::Publish, URGENT, 78, &message(b"t", b"")));
    assert_eq!(
        urgent.frames,
        frame(FrameType::Event, URGENT, 78, &message(b"t", b""))
    );
    assert!(urgent.urgent);
}

#[test]
fn messages_of_one_topic_kind_and_class_are_published_as_one() {
    let state = |id| raw(4, MsgKind::State.number(), 0, 0, id, &message(b"t", b"s"));
    let cases = [
        (
            "alike",
            [publish(1, b"t", b"1"), publish(2, b"t", b"22")].concat(),
            2,
        ),
        (
            "another topic",
            [publish(1, b"t", b"1"), publish(2, b"tt", b"1")].concat(),
            1,
        ),
        (
            "a longer length of the topic",
            [publish(1, b"t", b"t1"), publish(2, b"tt", b"1")].concat(),
            1,
        ),
        (
            "another kind",
            [
                publish(1, b"t", b""),
                raw(4, 4, 0, 0, 2, &message(b"t", b"")),
            ]
            .concat(),
            1,
        ),
        (
            "another class",
            [
                publish(1, b"t", b""),
                frame(FrameType::Publish, URGENT, 2, &message(b"t", b"")),
            ]
            .concat(),
            1,
        ),
        ("states", [state(1), state(2)].concat(), 1),
        (
            "one that is too long",
            [publish(1, b"t", b""), publish(2, b"t", &[0; MAX_BODY + 1])].concat(),
            1,
        ),
        (
            "one of which a part is missing",
            [publish(1, b"t", b""), publish(2, b"t", b"")[..26].to_vec()].concat(),
            1,
        ),
    ];
    for (name, bytes, count) in cases {
        assert_eq!(Peer::open().published(&bytes).count, count, "{name}");
    }
}

#[test]
fn a_state_has_no_variant_and_no_key_and_an_empty_one_is_cleared() {
    for (body, is_cleared) in [(&b"on"[..], false), (b"", true)] {
        let sent = raw(4, 3, 0, 0, 1, &message(b"lamp", body));
        let state = Peer::open().published(&sent).state;
        let expected = StateKey {
            variant: 0,
            key: Bytes::new(),
            is_cleared,
        };
        assert_eq!(state, Some(expected));
    }
}

static LONG: LazyLock<Vec<u8>> = LazyLock::new(|| vec![0xff; MAX_TOPIC]);

#[test]
fn a_topic_is_any_65_535_bytes_or_none() {
    for topic in [&b""[..], b"+/#", b"\xff\0", &LONG] {
        let publication = Peer::open().published(&publish(1, topic, b"body"));
        assert_eq!(&*publication.topic, topic);
        let input = Peer::open().ask(&frame(FrameType::Subscribe, 0, 1, topic));
        assert!(matches!(input, Ok(Some(Input::Subscribe(request))) if request.topic == topic));
    }
}

#[test]
fn subscribe_and_unsubscribe_are_acknowledged_where_that_is_asked_for_and_refused_in_any_case() {
    for frame_type in [FrameType::Subscribe, FrameType::Unsubscribe] {
        for (flags, expected) in [(0, Vec::new()), (ACK_REQUIRED, ack(4))] {
            let mut peer = Peer::open();
            let request = match peer.ask(&frame(frame_type, flags, 4, b"t")) {
                Ok(Some(Input::Subscribe(request) | Input::Unsubscribe(request))) => request,
                other => panic!("{other:?}"),
            };
            peer.session.answer(&request, Ok(()));
            assert_eq!(peer.said(), expected);
            peer.session.answer(&request, Err(&Refused::permission()));
            let text = "PERMISSION_DENIED: this topic is not enabled for this principal";
            assert_eq!(peer.said(), error(4, text));
        }
    }
}

#[test]
fn messages_that_may_not_be_published_are_each_answered_with_an_error_in_their_place() {
    let mut peer = Peer::open();
    let frames = [
        frame(FrameType::Ping, 0, 1, b""),
        publish(2, b"t", b""),
        publish(3, b"t", b""),
    ];
    let refused = peer.published(&frames.concat());
    peer.session.refuse(refused.frames, &Refused::permission());
    let text = "PERMISSION_DENIED: this topic is not enabled for this principal";
    let pong = answer(FrameType::Pong, MsgKind::Event, 1, b"");
    assert_eq!(peer.said(), [pong, error(2, text), error(3, text)].concat());
}

#[test]
fn a_body_that_is_too_long_and_a_topic_beyond_the_payload_are_answered_and_the_connection_goes_on()
{
    let mut peer = Peer::open();
    let frames = [
        publish(1, b"t", &[0; MAX_BODY + 1]),
        frame(FrameType::Publish, 0, 2, b"\0\x05topi"),
        frame(FrameType::Publish, 0, 3, b"\0"),
        publish(4, b"t", &[0; MAX_BODY]),
    ];
    assert_eq!(peer.published(&frames.concat()).count, 1);
    let beyond = "INVALID_ARGUMENT: the topic reaches beyond the payload";
    let expected = [
        error(
            1,
            "RESOURCE_EXHAUSTED: a body of 1001 bytes: 1000 are allowed",
        ),
        error(2, beyond),
        error(3, beyond),
        ack(4),
    ];
    assert_eq!(peer.said(), expected.concat());
}

#[test]
fn what_is_not_allowed_is_told_and_ends_the_connection() {
    let announced = |frame_type: FrameType, len: u32| {
        let mut header = frame(frame_type, 0, 6, b"");
        header[12..16].copy_from_slice(&len.to_be_bytes());
        header
    };
    let cases = [
        (
            "EVENT",
            frame(FrameType::Event, 0, 6, b""),
            "INVALID_ARGUMENT: EVENT comes from the broker, and not from a client",
        ),
        (
            "ACK",
            frame(FrameType::Ack, 0, 6, b""),
            "INVALID_ARGUMENT: ACK comes from the broker, and not from a client",
        ),
        (
            "ERROR",
            frame(FrameType::Error, 0, 6, b""),
            "INVALID_ARGUMENT: ERROR comes from the broker, and not from a client",
        ),
        (
            "PONG",
            frame(FrameType::Pong, 0, 6, b""),
            "INVALID_ARGUMENT: PONG comes from the broker, and not from a client",
        ),
        (
            "type 0",
            raw(0, 1, 0, 0, 6, b""),
            "UNIMPLEMENTED: unknown frame_type 0: 1 (HELLO) to 10 (CLOSE) are understood",
        ),
        (
            "CREDIT",
            frame(FrameType::Credit, 0, 6, b""),
            "UNIMPLEMENTED: unknown frame_type 11: 1 (HELLO) to 10 (CLOSE) are understood",
        ),
        (
            "CANCEL",
            frame(FrameType::Cancel, 0, 6, b""),
            "UNIMPLEMENTED: unknown frame_type 12: 1 (HELLO) to 10 (CLOSE) are understood",
        ),
        (
            "kind 0",
            raw(4, 0, 0, 0, 6, b""),
            "UNIMPLEMENTED: unknown msg_kind 0: 1 (EVENT) to 5 (METRIC) are understood",
        ),
        (
            "kind 6",
            raw(8, 6, 0, 0, 6, b""),
            "UNIMPLEMENTED: unknown msg_kind 6: 1 (EVENT) to 5 (METRIC) are understood",
        ),
        (
            "PUBLISH of 4 GiB",
            announced(FrameType::Publish, u32::MAX),
            "RESOURCE_EXHAUSTED: PUBLISH announces a payload of 4294967295 bytes: 66537 are allowed",
        ),
        (
            "SUBSCRIBE of 64 KiB",
            announced(FrameType::Subscribe, 65_536),
            "RESOURCE_EXHAUSTED: SUBSCRIBE announces a payload of 65536 bytes: 65535 are allowed",
        ),
        (
            "a long HELLO",
            announced(FrameType::Hello, 1025),
            "RESOURCE_EXHAUSTED: HELLO announces a payload of 1025 bytes: 1024 are allowed",
        ),
        (
            "a long PING",
            announced(FrameType::Ping, 65_537),
            "RESOURCE_EXHAUSTED: PING announces a payload of 65537 bytes: 65536 are allowed",
        ),
    ];
    for (name, bytes, text) in cases {
        let mut peer = Peer::open();
        assert!(peer.ask(&bytes).is_err(), "{name}");
        assert_eq!(peer.said(), [error(6, text), close()].concat(), "{name}");
    }
    let mut peer = Peer::open();
    assert!(
        peer.ask(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")
            .is_err()
    );
    let text = "INVALID_ARGUMENT: this is not a frame: each begins with 4d53495001";
    assert_eq!(peer.said(), [error(0, text), close()].concat());
}

#[test]
fn before_hello_only_a_ping_is_answered() {
    let cases = [
        ("SUBSCRIBE", frame(FrameType::Subscribe, 0, 6, b"t")),
        ("UNSUBSCRIBE", frame(FrameType::Unsubscribe, 0, 6, b"t")),
        ("PUBLISH", publish(6, b"t", b"")),
        ("CLOSE", frame(FrameType::Close, 0, 6, b"")),
    ];
    for (name, bytes) in cases {
        let mut peer = Peer::new();
        assert!(peer.ask(&bytes).is_err(), "{name}");
        let text = format!("FAILED_PRECONDITION: {name} before HELLO");
        assert_eq!(peer.said(), [error(6, &text), close()].concat());
    }
}

#[test]
fn before_hello_there_are_64_kib_at_most() {
    let mut peer = Peer::new();
    let ping = frame(FrameType::Ping, 0, 6, &[0; 1000]);
    for _ in 0..MAX_BEFORE_HELLO / ping.len() {
        assert!(peer.ask(&ping).unwrap().is_none());
    }
    peer.said();
    assert!(peer.ask(&ping).is_err());
    let text = "RESOURCE_EXHAUSTED: 66560 bytes before HELLO: 65536 are allowed";
    assert_eq!(peer.said(), [error(6, text), close()].concat());
}

#[test]
fn a_frame_must_be_complete_in_its_time() {
    let mut peer = Peer::open();
    assert_eq!(peer.session.deadline(), None);
    let frame = publish(1, b"t", &[0; 1000]);
    let at = Duration::from_secs;
    for (end, second, expected) in [(1, 10, 40), (24, 11, 40), (500, 12, 40)] {
        peer.buffer.clear();
        peer.buffer.extend_from_slice(&frame[..end]);
        assert!(
            peer.session
                .poll_input(&mut peer.buffer, at(second))
                .unwrap()
                .is_none()
        );
        assert_eq!(peer.session.deadline(), Some(at(expected)), "{end}");
    }
    peer.buffer.clear();
    assert!(peer.published(&frame).count == 1);
    assert!(peer.again().unwrap().is_none());
    assert_eq!(peer.session.deadline(), None);
}

#[test]
fn a_few_messages_of_a_large_buffer_are_copied_and_many_keep_it() {
    let mut peer = Peer::open();
    let few = peer.published(&publish(1, b"t", b"few"));
    assert_eq!(few.pinned, few.frames.len());
    let many = publish(1, b"t", &[0; 900]).repeat(40);
    let place = peer.buffer.as_ptr().addr();
    let capacity = peer.buffer.capacity();
    let many = peer.published(&many);
    assert_eq!(
        many.frames.as_ptr().addr(),
        place,
        "they stay where they were read"
    );
    assert_eq!(many.pinned, capacity);
}

proptest! {
    /// What a peer asks for does not depend on how its bytes are cut.
    #[test]
    fn any_chunking_means_the_same(cuts in proptest::collection::vec(1_u8..=255, 1..4), seed in 0_u8..4) {
        let state = raw(4, 3, 0, 0, 9, &message(b"s", b"on"));
        let mut bytes = [
            frame(FrameType::Ping, 0, 1, b"x"),
            frame(FrameType::Hello, 0, 2, b"a text that is long"),
            frame(FrameType::Subscribe, ACK_REQUIRED, 3, b"t"),
            publish(4, b"t", b"one"),
            publish(5, b"t", b"two"),
            publish(6, b"u", &[seed; 200]),
            state,
            frame(FrameType::Unsubscribe, 0, 7, b"t"),
        ]
        .concat();
        bytes.extend(frame(FrameType::Close, 0, 8, b""));
        for cut in cuts {
            let mut data = vec![cut];
            data.extend_from_slice(&bytes);
            crate::mip::fuzzing::mip_session(&data);
        }
    }

    #[test]
    fn no_bytes_panic(data in proptest::collection::vec(any::<u8>(), 0..300)) {
        crate::mip::fuzzing::mip_session(&data);
    }
}

/// The conversations of docs/protocol.md.
#[test]
fn the_conversations_of_the_page_are_these() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol.md");
    let page = std::fs::read_to_string(page).unwrap();
    let bytes = |hex: &str| -> Vec<u8> {
        let digits: Vec<char> = hex.chars().filter(|digit| !digit.is_whitespace()).collect();
        let pairs = digits.chunks(2).map(|pair| pair.iter().collect::<String>());
        pairs
            .map(|pair| u8::from_str_radix(&pair, 16).unwrap())
            .collect()
    };
    let mut count = 0;
    for block in page.split("\n```mip name=").skip(1) {
        count += 1;
        let (name, block) = block.split_once('\n').unwrap();
        let (block, _) = block.split_once("\n```").unwrap();
        let mut peer = Peer::new();
        let (mut said, mut heard) = (Vec::new(), Vec::new());
        let (mut to_be_said, mut to_be_heard) = (Vec::new(), Vec::new());
        for line in block.lines() {
            let (who, hex) = line.split_once(": ").unwrap();
            match who {
                "broker" => to_be_said.extend(bytes(hex)),
                "subscriber" => to_be_heard.extend(bytes(hex)),
                _ => {
                    peer.buffer.extend_from_slice(&bytes(hex));
                    while let Ok(Some(input)) = peer.again() {
                        match input {
                            Input::Hello(hello) => {
                                let number = 0x0123_4567_89ab_cdef;
                                peer.session.welcome(&hello, SessionKey::BROKER, number);
                            }
                            Input::Subscribe(request) | Input::Unsubscribe(request) => {
                                peer.session.answer(&request, Ok(()));
                            }
                            Input::Publish(publication) => {
                                heard.extend_from_slice(&publication.frames)
                            }
                            Input::Close => {}
                        }
                    }
                    said.extend(peer.said());
                }
            }
        }
        assert_eq!((said, heard), (to_be_said, to_be_heard), "{name}");
    }
    assert!(count >= 5, "{count} conversations");
}
