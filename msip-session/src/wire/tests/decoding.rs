use super::super::{HEADER_LEN, HeaderError, Limits, MAGIC, VERSION};
use super::*;

const MAX: u32 = 1 << 20;

proptest! {
    #[test]
    fn a_header_survives_being_written_and_read(frame in any_frame()) {
        prop_assert_eq!(Header::parse(&frame.header.encode()), Ok(frame.header));
    }

    #[test]
    fn any_chunking_yields_the_same_frames(
        frames in prop::collection::vec(any_frame(), 0..12),
        lens in prop::collection::vec(prop_oneof![1..40_usize, 1..100_000_usize], 1..20),
    ) {
        let mut bytes = Vec::new();
        for frame in &frames {
            write_frame(&mut bytes, frame);
        }
        prop_assert_eq!(decode_all(&bytes, &lens, MAX), (frames, None));
    }

    #[test]
    fn frames_cut_off_many_at_once_are_the_same(
        frames in prop::collection::vec(any_frame(), 0..12),
        tail in prop::collection::vec(any::<u8>(), 0..40),
        lens in prop::collection::vec(prop_oneof![1..40_usize, 1..100_000_usize], 1..20),
        count in 1..8_usize,
    ) {
        let mut bytes = Vec::new();
        for frame in &frames {
            write_frame(&mut bytes, frame);
        }
        bytes.extend(tail);
        prop_assert_eq!(cut_all(&bytes, &lens, count, MAX), decode_all(&bytes, &lens, MAX));
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), len in 1..100_usize) {
        let (frames, error) = decode_all(&bytes, &[len], MAX);
        prop_assert!(frames.is_empty() && (error.is_some() || bytes.len() < HEADER_LEN));
    }

    #[test]
    fn random_bytes_behind_a_good_beginning_never_panic(tail in prop::collection::vec(any::<u8>(), 18..400)) {
        let bytes = [&MAGIC[..], &[VERSION, 0], &tail].concat();
        let (frames, _) = decode_all(&bytes, &[7], MAX);
        let total: usize = frames.iter().map(|frame| HEADER_LEN + frame.payload.len()).sum();
        prop_assert!(total <= bytes.len());
    }

    #[test]
    fn one_damaged_byte_never_panics_nor_invents_bytes(frame in any_frame(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, &frame);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let (frames, _) = decode_all(&bytes, &[1000], MAX);
        let total: usize = frames.iter().map(|frame| HEADER_LEN + frame.payload.len()).sum();
        prop_assert!(total <= bytes.len());
    }
}

#[test]
fn a_frame_is_complete_with_its_last_byte_and_not_before() {
    let mut bytes = Vec::new();
    let frame = Frame {
        header: Header {
            payload_len: 5,
            ..Header::control(
                FrameType::Publish,
                MsgId::exchange(super::super::Side::Connecting, 9),
            )
        },
        payload: Bytes::from_static(b"\0\0abc"),
    };
    write_frame(&mut bytes, &frame);
    let mut decoder = Decoder::new(MAX);
    assert!(!decoder.is_mid_frame());
    assert_eq!(decoder.pending_len(), 0);
    for (sent, byte) in bytes.iter().enumerate() {
        assert_eq!(decoder.decode(), Ok(None), "after {sent} bytes");
        decoder.buffer().extend_from_slice(&[*byte]);
        let complete = sent + 1 == bytes.len();
        if !complete {
            assert_eq!(decoder.decode(), Ok(None));
            assert!(decoder.is_mid_frame());
            let known = if sent + 1 < HEADER_LEN {
                HEADER_LEN
            } else {
                bytes.len()
            };
            assert_eq!(decoder.pending_len(), known, "after {} bytes", sent + 1);
        }
    }
    assert_eq!(decoder.decode(), Ok(Some(frame)));
    assert!(!decoder.is_mid_frame());
    assert_eq!(decoder.pending_len(), 0);
}

/// An answer with 100 bytes.
fn frame_of_100() -> Frame {
    Frame {
        header: Header {
            payload_len: 100,
            ..Header::control(FrameType::Ack, MsgId::new(1))
        },
        payload: Bytes::from(vec![7; 100]),
    }
}

#[test]
fn payloads_share_the_memory_they_were_read_into() {
    let mut decoder = Decoder::new(MAX);
    let frame = frame_of_100();
    let mut bytes = Vec::new();
    write_frame(&mut bytes, &frame);
    let buffer = decoder.buffer();
    buffer.extend_from_slice(&bytes);
    let read_into = buffer.as_ptr_range();
    let payload = decoder.decode().unwrap().unwrap().payload;
    assert!(
        read_into.contains(&payload.as_ptr()),
        "the payload was copied"
    );
}

#[test]
fn a_frame_batch_shares_the_memory_it_was_read_into() {
    let mut decoder = Decoder::new(MAX);
    let frame = frame_of_100();
    let mut bytes = Vec::new();
    write_frame(&mut bytes, &frame);
    let frame_len = bytes.len();
    write_frame(&mut bytes, &frame);
    let buffer = decoder.buffer();
    buffer.extend_from_slice(&bytes);
    let read_into = buffer.as_ptr();
    let mut run = FrameBatch::default();
    assert_eq!(decoder.decode_batch(&mut run, 64), Ok(false));
    let places: Vec<_> = run.frames().map(|cut| cut.payload().as_ptr()).collect();
    let payload = read_into.wrapping_add(HEADER_LEN);
    assert_eq!(places, [payload, payload.wrapping_add(frame_len)]);
}

#[test]
fn a_payload_at_the_limit_is_taken_and_one_byte_more_is_refused() {
    let cases = [
        (
            "a message has the whole limit",
            FrameType::Publish,
            300_000,
            300_000,
        ),
        ("an answer too", FrameType::Ack, 300_000, 300_000),
        (
            "a control frame has 64 KiB",
            FrameType::Ping,
            300_000,
            Limits::MAX_CONTROL,
        ),
        (
            "before the handshake all have less",
            FrameType::Hello,
            16_384,
            16_384,
        ),
    ];
    for (name, frame_type, max_payload, max) in cases {
        let header = |payload_len| Header {
            payload_len,
            ..Header::control(frame_type, MsgId::new(3))
        };
        let mut decoder = Decoder::new(max_payload);
        decoder.buffer().extend_from_slice(&header(max).encode());
        assert_eq!(decoder.decode(), Ok(None), "{name}");

        let mut decoder = Decoder::new(max_payload);
        decoder
            .buffer()
            .extend_from_slice(&header(max + 1).encode());
        let error = DecodeError::PayloadTooLarge {
            len: max + 1,
            max,
            frame_type,
            msg_id: MsgId::new(3),
        };
        assert_eq!(decoder.decode(), Err(error.clone()), "{name}");
        assert_eq!(decoder.decode(), Err(error), "{name}: the fault stays");
    }
}

#[test]
fn the_limit_rises_when_the_handshake_is_done() {
    let limits = Limits::default();
    let mut decoder = Decoder::new(limits.max_hello);
    decoder.set_max_payload(limits.max_payload());
    let header = Header {
        payload_len: limits.max_payload(),
        ..Header::control(FrameType::Event, MsgId::new(1))
    };
    decoder.buffer().extend_from_slice(&header.encode());
    assert_eq!(decoder.decode(), Ok(None));
    assert_eq!(
        decoder.pending_len(),
        HEADER_LEN + 4 * 1024 * 1024 + 8 * 1024 + 255 + 4
    );
}

#[test]
fn frames_ahead_of_a_fault_are_delivered() {
    let mut bytes = Vec::new();
    let frame = Frame {
        header: Header::control(FrameType::Pong, MsgId::new(4)),
        payload: Bytes::new(),
    };
    write_frame(&mut bytes, &frame);
    bytes.extend_from_slice(&[b'x'; HEADER_LEN]);
    let error = DecodeError::Header(HeaderError::BadMagic {
        found: b"xxxx".to_vec(),
    });
    let expected = (vec![frame], Some(error));
    assert_eq!(decode_all(&bytes, &[1000], MAX), expected);
    assert_eq!(cut_all(&bytes, &[1000], 64, MAX), expected);
}

#[test]
fn what_cannot_begin_a_header_is_refused_at_once() {
    for (sent, found) in [
        (&b"G"[..], &b"G"[..]),
        (b"GET /", b"GET "),
        (b"M\x00", b"M\x00"),
        (b"MSI", b""),
        (b"MSIP", b""),
        (b"MSIX", b"MSIX"),
        (b"", b""),
    ] {
        let mut decoder = Decoder::new(MAX);
        decoder.buffer().extend_from_slice(sent);
        let expected = if found.is_empty() {
            Ok(None)
        } else {
            let found = found.to_vec();
            Err(DecodeError::Header(HeaderError::BadMagic { found }))
        };
        assert_eq!(decoder.decode(), expected, "{sent:?}");
        assert_eq!(decoder.decode(), expected, "{sent:?}, again");
    }
}
