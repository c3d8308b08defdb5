use bytes::BytesMut;

use super::super::Limits;
use super::*;

const KIB: usize = 1024;

/// Reads these bytes as a driver does, filling the spare capacity. Returns how many frames came of it.
fn read(decoder: &mut Decoder, bytes: &[u8]) -> usize {
    read_frames(decoder, bytes).len()
}

fn read_frames(decoder: &mut Decoder, bytes: &[u8]) -> Vec<Frame> {
    read_frames_by(decoder, bytes, |decoder, frames| {
        let frame = decoder.decode().unwrap();
        frame.map(|frame| frames.push(frame)).is_some()
    })
}

fn read_frames_by(
    decoder: &mut Decoder,
    mut bytes: &[u8],
    take: impl Fn(&mut Decoder, &mut Vec<Frame>) -> bool,
) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let buffer = decoder.buffer();
        let room = buffer.capacity() - buffer.len();
        let (chunk, after) = bytes.split_at(room.min(bytes.len()));
        buffer.extend_from_slice(chunk);
        bytes = after;
        while take(decoder, &mut frames) {}
    }
    frames
}

fn large_header(payload_len: usize) -> Header {
    Header {
        payload_len: u32::try_from(payload_len).unwrap(),
        ..Header::control(FrameType::Publish, MsgId::new(1))
    }
}

#[test]
fn a_new_decoder_holds_nothing() {
    assert_eq!(Decoder::new(1).capacity(), 0);
}

#[test]
fn an_announcement_costs_nothing_before_its_bytes_come() {
    let mut decoder = Decoder::new(Limits::default().max_payload());
    read(&mut decoder, &large_header(4 * KIB * KIB).encode());
    read(&mut decoder, &[1]);
    decoder.buffer();
    assert!(
        decoder.capacity() <= 16 * KIB,
        "{} bytes are held",
        decoder.capacity()
    );
}

#[test]
fn the_buffer_grows_with_what_has_come() {
    let mut decoder = Decoder::new(Limits::default().max_payload());
    let payload = vec![0; 4 * KIB * KIB];
    read(&mut decoder, &large_header(payload.len()).encode());
    let mut received = 0;
    for chunk in payload.chunks(10 * KIB) {
        received += chunk.len();
        let frames = read(&mut decoder, chunk);
        if frames == 0 {
            decoder.buffer();
            let allowed = 3 * received + 16 * KIB;
            let held = decoder.capacity();
            assert!(
                held <= allowed,
                "{held} bytes are held for {received} received"
            );
        }
    }
    assert!(!decoder.is_mid_frame(), "the frame is complete");
}

#[test]
fn an_announcement_refused_costs_nothing() {
    let mut decoder = Decoder::new(Limits::default().max_payload());
    let header = Header {
        payload_len: u32::MAX,
        ..large_header(0)
    };
    decoder.buffer().extend_from_slice(&header.encode());
    decoder.decode().unwrap_err();
    assert!(
        decoder.capacity() <= 8 * KIB,
        "{} bytes are held",
        decoder.capacity()
    );
}

#[test]
fn an_idle_connection_gives_its_memory_back_after_a_burst() {
    let mut decoder = Decoder::new(Limits::default().max_payload());
    let mut burst = Vec::new();
    write_frame(
        &mut burst,
        &Frame {
            header: large_header(0),
            payload: vec![0; 2 * KIB * KIB].into(),
        },
    );
    for _ in 0..1000 {
        let header = Header::control(FrameType::Publish, MsgId::new(2));
        write_frame(
            &mut burst,
            &Frame {
                header,
                payload: vec![0; 200].into(),
            },
        );
    }
    assert_eq!(read(&mut decoder, &burst), 1001);

    let mut quiet = Vec::new();
    write_frame(
        &mut quiet,
        &Frame {
            header: Header::control(FrameType::Pong, MsgId::new(0)),
            payload: Bytes::new(),
        },
    );
    for _ in 0..8 {
        read(&mut decoder, &quiet);
    }
    decoder.buffer();
    assert!(
        decoder.capacity() <= 16 * KIB,
        "{} bytes are held",
        decoder.capacity()
    );

    decoder.release();
    assert_eq!(decoder.capacity(), 0);
}

#[test]
fn releasing_in_the_middle_of_a_frame_loses_nothing() {
    let mut decoder = Decoder::new(100);
    let mut bytes = Vec::new();
    let frame = Frame {
        header: Header {
            payload_len: 3,
            ..Header::control(FrameType::Ack, MsgId::new(2))
        },
        payload: Bytes::from_static(b"abc"),
    };
    write_frame(&mut bytes, &frame);
    decoder.buffer().extend_from_slice(&bytes[..25]);
    assert_eq!(decoder.decode(), Ok(None));
    decoder.release();
    decoder.buffer().extend_from_slice(&bytes[25..]);
    assert_eq!(decoder.decode(), Ok(Some(frame)));
}

#[test]
fn a_busy_connection_is_offered_large_reads() {
    let mut decoder = Decoder::new(Limits::default().max_payload());
    let mut bytes = Vec::new();
    for _ in 0..5000 {
        let header = Header::control(FrameType::Publish, MsgId::new(2));
        write_frame(
            &mut bytes,
            &Frame {
                header,
                payload: vec![0; 100].into(),
            },
        );
    }
    read(&mut decoder, &bytes);
    let buffer = decoder.buffer();
    let room = buffer.capacity() - buffer.len();
    assert!(room >= 32 * KIB, "{room} bytes of room");
}

#[test]
fn a_small_frame_does_not_keep_a_large_ones_memory_alive() {
    let mut bytes = Vec::new();
    write_frame(
        &mut bytes,
        &Frame {
            header: large_header(0),
            payload: vec![0; 3 * KIB * KIB].into(),
        },
    );
    let small = Frame {
        header: Header {
            payload_len: 9,
            ..Header::control(FrameType::Publish, MsgId::new(2))
        },
        payload: Bytes::from_static(b"\0\0payload"),
    };
    for _ in 0..100 {
        write_frame(&mut bytes, &small);
    }
    let decoder = || Decoder::new(Limits::default().max_payload());
    let one_by_one = read_frames(&mut decoder(), &bytes);
    let together = read_frames_by(&mut decoder(), &bytes, |decoder, frames| {
        cut(decoder, frames, 64).unwrap()
    });
    for frames in [one_by_one, together] {
        let (large, rest) = frames.split_first().unwrap();
        // A buffer that has doubled had capacity for the small frames too, right behind the large one.
        let behind = large.payload.as_ptr_range().end;
        let shared = behind..behind.wrapping_add(64 * KIB);
        assert_eq!(rest.len(), 100);
        for frame in rest {
            assert_eq!(*frame, small);
            assert!(
                !shared.contains(&frame.payload.as_ptr()),
                "the payload was not copied"
            );
        }
    }
}

#[test]
fn memory_is_used_again_among_large_frames_once_their_payloads_are_gone() {
    let mut decoder = Decoder::new(Limits::default().max_payload());
    let frame = frame_of(64 * KIB);
    read(&mut decoder, &frame.repeat(20));
    let mut places = std::collections::BTreeSet::new();
    // Some frames are always in use, as while their handlers run.
    let mut in_use = std::collections::VecDeque::new();
    for _ in 0..100 {
        for piece in frame.chunks(10_000) {
            places.insert(decoder.buffer().as_ptr().addr() / (32 * KIB));
            for frame in read_frames(&mut decoder, piece) {
                assert_eq!(frame.payload, vec![7; 64 * KIB]);
                in_use.push_back(frame);
            }
        }
        while in_use.len() > 3 {
            in_use.pop_front();
        }
    }
    // A buffer of 224 KiB at most, and four that wait.
    assert!(places.len() <= 5 * 224 / 32, "{} places", places.len());
    let held = decoder.capacity();
    assert!(held <= 5 * 224 * KIB, "{held} bytes are held");
    decoder.release();
    assert_eq!(decoder.capacity(), 0);
}

#[test]
fn what_is_copied_together_is_little() {
    let mut decoder = Decoder::new(Limits::default().max_payload());
    let mut bytes = frame_of(3 * KIB * KIB);
    for _ in 0..10 {
        bytes.extend(frame_of(60 * KIB));
    }
    // As if one read had brought all of it.
    decoder.lend_buffer(BytesMut::with_capacity(4 * KIB * KIB));
    decoder.buffer().extend_from_slice(&bytes);
    let mut run = FrameBatch::default();
    assert_eq!(decoder.decode_batch(&mut run, 64), Ok(true));
    assert_eq!(run.len(), 1, "the large one lies where it is");
    let mut frame_count = 0;
    loop {
        let mut run = FrameBatch::default();
        let is_more = decoder.decode_batch(&mut run, 64).unwrap();
        assert!(run.memory().len() <= 128 * KIB);
        frame_count += run.len();
        if !is_more {
            break;
        }
    }
    assert_eq!(frame_count, 10);
}

/// A pooled buffer, with the bytes of some frames read into it.
fn lent_with(decoder: &mut Decoder, bytes: &[u8]) {
    decoder.lend_buffer(BytesMut::with_capacity(64 * KIB));
    decoder.buffer().extend_from_slice(bytes);
}

fn frame_of(len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let frame = Frame {
        header: Header {
            payload_len: u32::try_from(len).unwrap(),
            ..Header::control(FrameType::Publish, MsgId::new(2))
        },
        payload: vec![7; len].into(),
    };
    write_frame(&mut bytes, &frame);
    bytes
}

#[test]
fn a_pooled_buffer_is_returned_when_its_frames_are_gone() {
    let mut decoder = Decoder::new(Limits::default().max_payload());
    assert!(decoder.return_buffer(64 * KIB).is_none(), "it has none");
    lent_with(&mut decoder, &frame_of(100).repeat(3));
    let frames: Vec<_> = std::iter::from_fn(|| decoder.decode().unwrap()).collect();
    assert_eq!(frames.len(), 3);
    assert_eq!(decoder.held(), 0, "it is the lender's");
    assert!(
        decoder.return_buffer(64 * KIB).is_none(),
        "payloads share it"
    );
    assert!(decoder.held() > 0, "so that it stays, and is its own");
    drop(frames);
    assert!(
        decoder.return_buffer(64 * KIB - 1).is_none(),
        "it is too large"
    );
    let buffer = decoder.return_buffer(64 * KIB).unwrap();
    assert_eq!((buffer.len(), buffer.capacity()), (0, 64 * KIB));
    assert_eq!(decoder.capacity(), 0);
}

#[test]
fn a_small_part_of_a_frame_does_not_keep_a_lent_buffer() {
    let mut decoder = Decoder::new(Limits::default().max_payload());
    let bytes = frame_of(40 * KIB);
    lent_with(&mut decoder, &bytes[..30]);
    assert_eq!(decoder.decode(), Ok(None));
    let buffer = decoder.return_buffer(64 * KIB).unwrap();
    assert_eq!((buffer.len(), buffer.capacity()), (0, 64 * KIB));
    assert!(decoder.is_mid_frame());
    assert!(decoder.capacity() < KIB, "{}", decoder.capacity());
    assert!(
        decoder.return_buffer(64 * KIB).is_none(),
        "the part is in its own buffer"
    );
    for piece in bytes[30..].chunks(1000) {
        decoder.buffer().extend_from_slice(piece);
    }
    let frame = decoder.decode().unwrap().unwrap();
    assert_eq!(frame.payload, vec![7; 40 * KIB]);
}

#[test]
fn a_large_part_of_a_frame_stays_where_it_is() {
    let mut decoder = Decoder::new(Limits::default().max_payload());
    let bytes = frame_of(40 * KIB);
    lent_with(&mut decoder, &bytes[..30 * KIB]);
    assert_eq!(decoder.decode(), Ok(None));
    assert!(decoder.return_buffer(64 * KIB).is_none());
    decoder.buffer().extend_from_slice(&bytes[30 * KIB..]);
    assert!(decoder.decode().unwrap().is_some());
}
