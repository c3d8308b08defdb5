use std::fmt::Write as _;

use super::super::{
    Code, Credit, CreditError, ErrorText, Escaped, Hello, HelloError, Limits, MAX_TEXT_LEN,
    Metadata, Payload, PayloadError, SessionId, Side, Topic, TopicError, Welcome, WelcomeError,
    parse_hello, parse_welcome, write_close, write_error, write_hello, write_metadata, write_ping,
    write_pong, write_topic, write_welcome,
};
use super::*;

fn message(flags: Flags, payload: Vec<u8>) -> Frame {
    let header = Header {
        flags,
        ..Header::control(FrameType::Publish, MsgId::new(1))
    };
    Frame {
        header,
        payload: payload.into(),
    }
}

fn topic(text: &str) -> Topic {
    Topic::new(Bytes::copy_from_slice(text.as_bytes()), u16::MAX).unwrap()
}

proptest! {
    #[test]
    fn a_payload_survives_being_written_and_read(
        name in "[a-z$/é+#]{0,60}",
        deadline in prop::option::of(any::<u32>()),
        body in prop::collection::vec(any::<u8>(), 0..300),
        has_metadata: bool,
    ) {
        let metadata = Metadata { deadline_ms: deadline, key: name.clone(), ..Metadata::default() };
        let mut payload = Vec::new();
        if has_metadata {
            write_metadata(&mut payload, &metadata, 8192).unwrap();
        }
        write_topic(&mut payload, &topic(&name));
        payload.extend_from_slice(&body);
        let flags = if has_metadata { Flags::META } else { Flags::NONE };
        let parsed = Payload::parse(message(flags, payload), &Limits::default()).unwrap();
        prop_assert_eq!(parsed.topic.as_str(), name);
        prop_assert_eq!(parsed.body, body);
        let read = parsed.metadata.map(|bytes| <Metadata as prost::Message>::decode(bytes).unwrap());
        prop_assert_eq!(read, has_metadata.then_some(metadata));
    }

    #[test]
    fn random_payloads_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), flags in 0..128_u8) {
        let flags = Flags::from_bits(flags).unwrap();
        for frame_type in FrameType::ALL {
            let mut frame = message(flags, bytes.clone());
            frame.header.frame_type = frame_type;
            let _ = Payload::parse(frame, &Limits::default());
        }
        let _ = Credit::parse(&bytes);
        let _ = ErrorText::parse(&bytes).to_string();
        let _ = parse_hello(RawKind::STATE, bytes.clone().into());
        let _ = parse_welcome(bytes.into());
    }

    #[test]
    fn a_text_is_never_longer_than_allowed(message in "\\PC{0,300}") {
        for code in Code::ALL {
            let text = ErrorText::format(code, &message);
            prop_assert!(text.len() <= MAX_TEXT_LEN);
            let parsed = ErrorText::parse(text.as_bytes());
            prop_assert_eq!(parsed.code, code);
            prop_assert!(message.starts_with(&parsed.message));
        }
    }
}

#[test]
fn a_part_that_is_too_long_is_refused_by_its_own_name() {
    let limits = Limits::default();
    let mut long_topic = Vec::new();
    write_topic(&mut long_topic, &topic(&"t".repeat(256)));
    let mut long_metadata = Vec::new();
    let metadata = Metadata {
        key: "k".repeat(8190),
        ..Metadata::default()
    };
    write_metadata(&mut long_metadata, &metadata, u16::MAX).unwrap();
    let mut long_body = vec![0, 0];
    long_body.resize(2 + 4 * 1024 * 1024 + 1, 7);
    let cases = [
        (
            message(Flags::NONE, long_topic),
            PayloadError::Topic(TopicError::TooLong { len: 256, max: 255 }),
        ),
        (
            message(Flags::META, long_metadata),
            PayloadError::MetadataTooLong {
                len: 8193,
                max: 8192,
            },
        ),
        (
            message(Flags::NONE, long_body),
            PayloadError::BodyTooLarge {
                len: 4_194_305,
                max: 4_194_304,
            },
        ),
    ];
    for (frame, error) in cases {
        assert_eq!(Payload::parse(frame, &limits), Err(error));
    }
}

#[test]
fn metadata_that_is_too_long_is_not_written() {
    let mut buf = b"before".to_vec();
    let metadata = Metadata {
        key: "k".repeat(100),
        ..Metadata::default()
    };
    let error = write_metadata(&mut buf, &metadata, 50).unwrap_err();
    assert_eq!(error, PayloadError::MetadataTooLong { len: 102, max: 50 });
    assert_eq!(buf, b"before");
}

#[test]
fn an_answer_has_no_topic() {
    let mut frame = message(Flags::NONE, vec![0, 9, 1]);
    frame.header.frame_type = FrameType::Ack;
    let payload = Payload::parse(frame, &Limits::default()).unwrap();
    assert_eq!(
        (payload.topic, &payload.body[..]),
        (Topic::EMPTY, &[0, 9, 1][..])
    );
}

#[test]
fn control_characters_are_refused_in_topics() {
    for bad in ["a\0", "\n", "x\u{7f}", "\u{85}"] {
        let error = Topic::new(Bytes::copy_from_slice(bad.as_bytes()), 255).unwrap_err();
        assert!(
            matches!(error, TopicError::ControlCharacter(_)),
            "{bad:?}: {error}"
        );
    }
}

#[test]
fn an_unknown_kind_is_delivered_with_its_frame() {
    let mut frame = message(Flags::NONE, vec![0, 0]);
    frame.header.kind = RawKind::new(6);
    frame.header.payload_len = 2;
    let mut bytes = Vec::new();
    write_frame(&mut bytes, &frame);
    let (frames, error) = decode_all(&bytes, &[100], 100);
    assert_eq!((frames, error), (vec![frame.clone()], None));
    assert_eq!(
        frame.header.kind.known().unwrap_err().to_string(),
        "unknown msg_kind 6: 1 (EVENT) to 5 (METRIC) are understood"
    );
}

#[test]
fn types_and_codes_have_their_own_numbers_and_names() {
    for (index, frame_type) in FrameType::ALL.into_iter().enumerate() {
        assert_eq!(usize::from(frame_type.number()), index + 1);
        assert_eq!(
            FrameType::from_number(frame_type.number()),
            Some(frame_type)
        );
    }
    assert_eq!(FrameType::from_number(0), None);
    assert_eq!(FrameType::from_number(13), None);
    for code in Code::ALL {
        assert_eq!(Code::from_name(code.name()), Some(code));
    }
    assert_eq!(Code::from_name("unknown"), None);
}

#[test]
fn ids_have_their_class() {
    let cases = [
        (MsgId::CONNECTION, "connection", Side::Connecting, false, 0),
        (
            MsgId::exchange(Side::Connecting, 7),
            "c7",
            Side::Connecting,
            false,
            7,
        ),
        (
            MsgId::exchange(Side::Accepting, 7),
            "s7",
            Side::Accepting,
            false,
            7,
        ),
        (
            MsgId::delivery(Side::Connecting, 1),
            "cd1",
            Side::Connecting,
            true,
            1,
        ),
        (
            MsgId::delivery(Side::Accepting, 2),
            "sd2",
            Side::Accepting,
            true,
            2,
        ),
    ];
    for (id, shown, side, is_delivery, sequence) in cases {
        assert_eq!(id.to_string(), shown);
        assert_eq!(id.chosen_by(), side, "{shown}");
        assert_eq!(id.is_delivery(), is_delivery, "{shown}");
        assert_eq!(id.sequence(), sequence, "{shown}");
        assert_eq!(id.is_connection(), shown == "connection", "{shown}");
    }
    assert_eq!(
        MsgId::delivery(Side::Accepting, 1).number(),
        0xC000_0000_0000_0001
    );
}

#[test]
fn flags_show_their_names() {
    assert_eq!(Flags::NONE.to_string(), "none");
    assert_eq!((Flags::URGENT | Flags::META).to_string(), "URGENT|META");
    assert_eq!(Flags::from_bits(0x80), None);
    let all = Flags::from_bits(0x7f).unwrap();
    assert!(all.contains(Flags::REDELIVERED | Flags::ITEM | Flags::MORE));
    assert!(!all.without(Flags::ITEM).contains(Flags::ITEM));
}

#[test]
fn error_texts_are_read_whatever_they_hold() {
    let cases: [(&str, &[u8], Code, &str); 7] = [
        (
            "as written",
            b"NOT_FOUND: no such room",
            Code::NotFound,
            "no such room",
        ),
        ("without the space", b"NOT_FOUND:x", Code::NotFound, "x"),
        ("a code alone", b"ABORTED", Code::Aborted, ""),
        (
            "a colon in the message",
            b"INTERNAL: a: b",
            Code::Internal,
            "a: b",
        ),
        (
            "another code",
            b"TEAPOT: short",
            Code::Unknown,
            "TEAPOT: short",
        ),
        ("no code", b"it broke", Code::Unknown, "it broke"),
        ("not UTF-8", b"INTERNAL: \xff", Code::Internal, "\u{fffd}"),
    ];
    for (name, bytes, code, message) in cases {
        let text = ErrorText::parse(bytes);
        assert_eq!((text.code, &*text.message), (code, message), "{name}");
    }
}

#[test]
fn a_text_that_is_too_long_is_cut_between_characters() {
    let text = ErrorText::format(Code::Unknown, &"é".repeat(200));
    assert_eq!(text.len(), 255, "256 would be in the middle of a character");
    assert!(ErrorText::parse(&[b'x'; 1000]).message.len() == MAX_TEXT_LEN);
}

#[test]
fn text_from_a_peer_is_shown_escaped_and_cut() {
    let shown = ErrorText::parse(b"INTERNAL: \x1b[2J\r\nroot: ok").to_string();
    assert_eq!(shown, "INTERNAL: \\u{1b}[2J\\r\\nroot: ok");
    assert_eq!(Escaped::new("a\u{202e}b").to_string(), "a\\u{202e}b");
    assert_eq!(
        Escaped::new(&"é".repeat(100)).to_string(),
        format!("{}...", "é".repeat(64))
    );
}

#[test]
fn a_credit_has_eight_bytes_and_adds_something() {
    let credit = Credit {
        items: 1,
        bytes: 0x0102_0304,
    };
    assert_eq!(Credit::parse(&credit.encode()), Ok(credit));
    assert_eq!(Credit::parse(&[0; 8]), Err(CreditError::Nothing));
    assert_eq!(Credit::parse(&[1; 9]), Err(CreditError::WrongLength(9)));
}

fn hello() -> Hello {
    Hello {
        protocol: "chat".into(),
        session_secret: b"0123456789abcdef".to_vec(),
        credential: b"key-of-ada".to_vec(),
        ..Hello::default()
    }
}

#[test]
fn a_handshake_survives_being_written_and_read() {
    let session_id = SessionId::new(42).unwrap();
    let mut buf = Vec::new();
    write_hello(&mut buf, session_id, &hello());
    let read = parse_hello(RawKind::STATE, buf.into()).unwrap();
    assert_eq!((read.session_id, read.hello), (session_id, hello()));

    let welcome = Welcome {
        codec: 1,
        broker: true,
        ..Welcome::default()
    };
    let mut buf = Vec::new();
    write_welcome(&mut buf, session_id, &welcome);
    let read = parse_welcome(buf.into()).unwrap();
    assert_eq!((read.session_id, read.welcome), (session_id, welcome));
}

#[test]
fn a_hello_that_is_not_right_is_refused_by_name() {
    let encode = |id, hello: &Hello| {
        let mut buf = u64::to_be_bytes(id).to_vec();
        prost::Message::encode(hello, &mut buf).unwrap();
        Bytes::from(buf)
    };
    let with = |change: fn(&mut Hello)| {
        let mut hello = hello();
        change(&mut hello);
        encode(1, &hello)
    };
    let state = RawKind::STATE;
    let cases = [
        (
            "another kind",
            RawKind::new(1),
            encode(1, &hello()),
            HelloError::MipDialect,
        ),
        (
            "an unknown kind",
            RawKind::new(77),
            encode(1, &hello()),
            HelloError::MipDialect,
        ),
        (
            "8 bytes",
            state,
            Bytes::from_static(&[1; 8]),
            HelloError::MipDialect,
        ),
        ("nothing", state, Bytes::new(), HelloError::MipDialect),
        (
            "session 0",
            state,
            encode(0, &hello()),
            HelloError::ZeroSessionId,
        ),
        (
            "no protocol",
            state,
            with(|hello| hello.protocol.clear()),
            HelloError::NoProtocol,
        ),
        (
            "a long protocol",
            state,
            with(|hello| hello.protocol = "p".repeat(256)),
            HelloError::ProtocolTooLong(256),
        ),
        (
            "a short secret",
            state,
            with(|hello| hello.session_secret.truncate(15)),
            HelloError::SecretLen(15),
        ),
    ];
    for (name, kind, payload, error) in cases {
        assert_eq!(parse_hello(kind, payload), Err(error), "{name}");
    }
    let garbage = parse_hello(state, Bytes::from_static(&[0xff; 20]));
    assert!(
        matches!(garbage, Err(HelloError::Undecodable(_))),
        "{garbage:?}"
    );
}

#[test]
fn a_welcome_that_is_not_right_is_refused_by_name() {
    let cases: [(&str, &[u8], WelcomeError); 3] = [
        (
            "a MIP server",
            &[0, 0, 0, 0, 0, 0, 0, 9],
            WelcomeError::MipPeer,
        ),
        ("too short", &[1; 7], WelcomeError::TooShort(7)),
        (
            "session 0",
            &[0, 0, 0, 0, 0, 0, 0, 0, 16, 1],
            WelcomeError::ZeroSessionId,
        ),
    ];
    for (name, payload, error) in cases {
        assert_eq!(
            parse_welcome(Bytes::copy_from_slice(payload)),
            Err(error),
            "{name}"
        );
    }
}

#[test]
fn secrets_are_never_shown() {
    let mut hello = hello();
    hello.client_name = "a\nb".into();
    let mut shown = String::new();
    write!(shown, "{hello:?} {hello:#?}").unwrap();
    for secret in [
        "key-of-ada",
        "0123456789abcdef",
        "107, 101, 121",
        "48, 49, 50",
        "a\nb",
    ] {
        assert!(!shown.contains(secret), "{secret:?} is in {shown}");
    }
    assert!(shown.contains("credential: <10 bytes>"), "{shown}");
    assert!(shown.contains("session_secret: <16 bytes>"), "{shown}");
}

#[test]
fn control_frames_come_out_as_they_went_in() {
    let mut buf = Vec::new();
    write_error(
        &mut buf,
        Flags::URGENT,
        MsgId::new(5),
        Code::NotFound,
        &"x".repeat(500),
    );
    write_close(&mut buf, Code::Unavailable, "going down");
    write_ping(&mut buf, MsgId::new(6), &vec![3; 70_000]);
    write_pong(&mut buf, MsgId::new(6), b"p");
    let (frames, error) = decode_all(&buf, &[1000], 1 << 20);
    assert_eq!(error, None);
    let [failure, close, ping, pong] = <[Frame; 4]>::try_from(frames).unwrap();
    assert_eq!(failure.header.flags, Flags::URGENT);
    assert_eq!(failure.payload.len(), MAX_TEXT_LEN);
    assert_eq!(close.header.msg_id, MsgId::CONNECTION);
    assert_eq!(
        ErrorText::parse(&close.payload).to_string(),
        "UNAVAILABLE: going down"
    );
    assert_eq!(ping.payload.len(), 65_536);
    assert_eq!(
        (pong.header.msg_id, &pong.payload[..]),
        (MsgId::new(6), &b"p"[..])
    );
}
