//! Tests of the wire format as a whole.

mod decoding;
mod memory;
mod parts;
mod vectors;

use bytes::Bytes;
use proptest::prelude::*;

use super::{
    DecodeError, Decoder, Flags, Frame, FrameBatch, FrameRef, FrameType, Header, MsgId, RawKind,
    begin_frame, finish_frame,
};

/// Appends a frame; its header's `payload_len` need not be right.
fn write_frame(buf: &mut Vec<u8>, frame: &Frame) {
    let mark = begin_frame(buf, &frame.header);
    buf.extend_from_slice(&frame.payload);
    finish_frame(buf, mark).unwrap();
}

/// Everything that a decoder makes of these bytes when they come in chunks of these lengths, over and over.
fn decode_all(
    bytes: &[u8],
    chunk_lens: &[usize],
    max_payload: u32,
) -> (Vec<Frame>, Option<DecodeError>) {
    read_all(bytes, chunk_lens, max_payload, |decoder, frames| {
        Ok(decoder.decode()?.map(|frame| frames.push(frame)).is_some())
    })
}

/// The same, many frames at once, up to `count` of them.
fn cut_all(
    bytes: &[u8],
    chunk_lens: &[usize],
    count: usize,
    max_payload: u32,
) -> (Vec<Frame>, Option<DecodeError>) {
    read_all(bytes, chunk_lens, max_payload, |decoder, frames| {
        cut(decoder, frames, count)
    })
}

/// Cuts off frames once. Returns whether there may be more.
fn cut(decoder: &mut Decoder, frames: &mut Vec<Frame>, count: usize) -> Result<bool, DecodeError> {
    let mut run = FrameBatch::default();
    let outcome = decoder.decode_batch(&mut run, count);
    assert!(run.len() <= count);
    assert!(
        outcome != Ok(true) || !run.is_empty(),
        "it would go on for ever"
    );
    frames.extend(run.frames().map(FrameRef::to_frame));
    outcome
}

/// Reads in chunks of these lengths, and takes frames as long as there are more.
fn read_all(
    bytes: &[u8],
    chunk_lens: &[usize],
    max_payload: u32,
    mut take: impl FnMut(&mut Decoder, &mut Vec<Frame>) -> Result<bool, DecodeError>,
) -> (Vec<Frame>, Option<DecodeError>) {
    let mut decoder = Decoder::new(max_payload);
    let mut frames = Vec::new();
    let mut lens = chunk_lens.iter().copied().cycle();
    let mut rest = bytes;
    while !rest.is_empty() {
        let buffer = decoder.buffer();
        let room = buffer.capacity() - buffer.len();
        assert!(room > 0, "a read was offered no room");
        let (chunk, after) = rest.split_at(lens.next().unwrap().clamp(1, room).min(rest.len()));
        buffer.extend_from_slice(chunk);
        rest = after;
        loop {
            match take(&mut decoder, &mut frames) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let len = prop_oneof![4 => 0..64_usize, 2 => 64..2_000_usize, 1 => 2_000..100_000_usize];
    let payload = (any::<u8>(), len).prop_map(|(byte, len)| Bytes::from(vec![byte; len]));
    let frame_type = proptest::sample::select(&FrameType::ALL[..]);
    (
        0..128_u8,
        frame_type,
        any::<u16>(),
        any::<u16>(),
        any::<u64>(),
        payload,
    )
        .prop_map(|(flags, frame_type, kind, variant, msg_id, payload)| {
            let is_control = !matches!(
                frame_type,
                FrameType::Publish | FrameType::Event | FrameType::Ack
            );
            let payload = if is_control {
                payload.slice(..payload.len().min(65_536))
            } else {
                payload
            };
            let header = Header {
                flags: Flags::from_bits(flags).unwrap(),
                frame_type,
                kind: RawKind::new(kind),
                variant,
                payload_len: u32::try_from(payload.len()).unwrap(),
                msg_id: MsgId::new(msg_id),
            };
            Frame { header, payload }
        })
}
