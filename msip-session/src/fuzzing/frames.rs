//! Fuzz targets of the decoder: bytes as frames, and payloads as what they hold.

use std::fmt::{Debug, Display};

use bytes::Bytes;
use prost::Message as _;

use super::Choices;
use crate::wire::{
    Credit, DecodeError, Decoder, ErrorText, Frame, FrameBatch, FrameRef, HEADER_LEN, Limits,
    MAX_TEXT_LEN, Metadata, Payload, RawKind, Topic, TopicError, parse_hello, parse_welcome,
    write_hello, write_welcome,
};

/// A small limit, so that frames at it and over it are found.
const MAX_PAYLOAD: u32 = 4096;

/// Cuts the bytes into frames, once as a whole and once in chunks: the frames are the same, and are the bytes.
pub fn frame_decode(data: &[u8]) {
    let mut choices = Choices(data);
    let mut chunk_len = choices.byte();
    let stream = choices.0;
    let (whole, ending) = decode(stream, || stream.len());
    let (chunked, chunked_ending) = decode(stream, || {
        chunk_len = chunk_len.wrapping_mul(5).wrapping_add(3);
        usize::from(chunk_len)
    });
    assert_eq!(whole, chunked);
    let (together, together_ending) = cut(stream, usize::from(chunk_len) + 1);
    assert_eq!(whole, together);
    assert_eq!(ending, together_ending);
    match (ending, chunked_ending) {
        // The error of a wrong magic quotes as many bytes as were received.
        (Err(DecodeError::Header(_)), Err(DecodeError::Header(_))) => {}
        (whole, chunked) => assert_eq!(whole, chunked),
    }
    let mut rest = stream;
    for frame in whole {
        let (header, behind) = rest.split_at(HEADER_LEN);
        assert_eq!(frame.header.encode()[..], *header);
        let (payload, behind) = behind.split_at(frame.payload.len());
        assert_eq!(frame.payload, *payload);
        rest = behind;
        take_apart(frame);
    }
}

/// The frames in these bytes, and whether a part of one is left, or why there are no more.
fn decode(
    mut stream: &[u8],
    mut chunk_len: impl FnMut() -> usize,
) -> (Vec<Frame>, Result<bool, DecodeError>) {
    let mut decoder = Decoder::new(MAX_PAYLOAD);
    let mut frames = Vec::new();
    loop {
        loop {
            match decoder.decode() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
        if stream.is_empty() {
            return (frames, Ok(decoder.is_mid_frame()));
        }
        let (chunk, rest) = stream.split_at(chunk_len().clamp(1, stream.len()));
        decoder.buffer().extend_from_slice(chunk);
        stream = rest;
    }
}

/// The same frames, cut off up to `count` at once.
fn cut(stream: &[u8], count: usize) -> (Vec<Frame>, Result<bool, DecodeError>) {
    let mut decoder = Decoder::new(MAX_PAYLOAD);
    decoder.buffer().extend_from_slice(stream);
    let mut frames = Vec::new();
    loop {
        let mut run = FrameBatch::default();
        let outcome = decoder.decode_batch(&mut run, count);
        frames.extend(run.frames().map(FrameRef::to_frame));
        match outcome {
            Ok(true) => assert!(!run.is_empty()),
            Ok(false) => return (frames, Ok(decoder.is_mid_frame())),
            Err(error) => return (frames, Err(error)),
        }
    }
}

fn take_apart(frame: Frame) {
    let (len, limits) = (frame.payload.len(), Limits::with_max_body(1024));
    match Payload::parse(frame, &limits) {
        Ok(payload) => {
            assert!(payload.body.len() <= 1024);
            let metadata = payload.metadata.as_ref().map_or(0, Bytes::len);
            assert!(metadata + payload.topic.len() + payload.body.len() <= len);
            check_topic(&payload.topic);
        }
        Err(error) => check_text(&error),
    }
}

/// The payloads of the handshake, and what other control frames hold.
pub fn hello(data: &[u8]) {
    let payload = Bytes::copy_from_slice(data);
    match parse_hello(RawKind::STATE, payload.clone()) {
        Ok(parsed) => {
            let mut written = Vec::new();
            write_hello(&mut written, parsed.session_id, &parsed.hello);
            let again = parse_hello(RawKind::STATE, written.into());
            let again = again.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(again.session_id, parsed.session_id);
            assert_eq!(again.hello, parsed.hello);
            check_debug(&parsed.hello);
        }
        Err(error) => check_text(&error),
    }
    match parse_welcome(payload.clone()) {
        // One in which every field has its default cannot be told from a MIP server's answer.
        Ok(parsed) if parsed.welcome.encoded_len() > 0 => {
            let mut written = Vec::new();
            write_welcome(&mut written, parsed.session_id, &parsed.welcome);
            let again = parse_welcome(written.into());
            let again = again.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(again.welcome, parsed.welcome);
        }
        Ok(_) => {}
        Err(error) => check_text(&error),
    }
    let text = ErrorText::parse(data);
    // A character that is replaced takes three bytes at most in place of one.
    assert!(text.message.len() <= 3 * MAX_TEXT_LEN);
    check_text(&text);
    if let Err(error) = Credit::parse(data) {
        check_text(&error);
    }
    if let Ok(metadata) = Metadata::decode(data) {
        check_debug(&metadata);
    }
}

/// A topic, under a limit.
pub fn topic(data: &[u8]) {
    let mut choices = Choices(data);
    let max_len = choices.number();
    let bytes = choices.0;
    match Topic::new(Bytes::copy_from_slice(bytes), max_len) {
        Ok(topic) => {
            assert_eq!(topic.as_str().as_bytes(), bytes);
            assert!(topic.len() <= usize::from(max_len));
            check_topic(&topic);
        }
        Err(error) => {
            match error {
                TopicError::TooLong { .. } => assert!(bytes.len() > usize::from(max_len)),
                TopicError::NotUtf8 => assert!(std::str::from_utf8(bytes).is_err()),
                _ => assert!(String::from_utf8_lossy(bytes).contains(char::is_control)),
            }
            check_text(&error);
        }
    }
}

fn check_topic(topic: &Topic) {
    assert!(!topic.as_str().contains(char::is_control));
    check_text(topic);
}

/// What is shown holds nothing that a terminal or a log would take for its own.
fn check_text(shown: &impl Display) {
    let text = shown.to_string();
    assert!(!text.contains(char::is_control), "{text:?}");
}

fn check_debug(shown: &impl Debug) {
    let text = format!("{shown:?}");
    assert!(!text.contains(char::is_control), "{text:?}");
}
