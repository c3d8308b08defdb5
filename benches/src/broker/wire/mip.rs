//! MIP: frames with a header of 24 bytes.

use std::net::TcpStream;

use super::{Heard, ask, refused};
use crate::broker::TrialError;

const HEADER: usize = 24;
const HELLO: u16 = 1;
const SUBSCRIBE: u16 = 2;
const PUBLISH: u16 = 4;
const EVENT: u16 = 5;
const ACK: u16 = 6;
const ACK_REQUIRED: u8 = 1;

fn frame(frame_type: u16, flags: u8, parts: &[&[u8]], out: &mut Vec<u8>) {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    out.extend_from_slice(b"MSIP\x01");
    out.push(flags);
    out.extend_from_slice(&frame_type.to_be_bytes());
    out.extend_from_slice(&1_u16.to_be_bytes());
    out.extend_from_slice(&0_u16.to_be_bytes());
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&1_u64.to_be_bytes());
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn frame_type(header: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(header.get(6..8)?.try_into().ok()?))
}

fn acknowledged(asked: &'static str, answer: &[u8]) -> Result<(), TrialError> {
    match frame_type(answer) {
        Some(ACK) => Ok(()),
        _ => Err(refused(asked, answer)),
    }
}

pub(super) fn greet(stream: &mut TcpStream) -> Result<(), TrialError> {
    let mut hello = Vec::new();
    frame(HELLO, 0, &[], &mut hello);
    acknowledged("HELLO", &ask(stream, &hello, HEADER + 8)?)
}

pub(super) fn subscribe(stream: &mut TcpStream, topic: &str) -> Result<(), TrialError> {
    let mut subscribe = Vec::new();
    frame(SUBSCRIBE, ACK_REQUIRED, &[topic.as_bytes()], &mut subscribe);
    acknowledged("SUBSCRIBE", &ask(stream, &subscribe, HEADER)?)
}

pub(super) fn publish(topic: &str, body: &[u8], out: &mut Vec<u8>) {
    let len = u16::try_from(topic.len()).unwrap_or(u16::MAX).to_be_bytes();
    frame(PUBLISH, 0, &[&len, topic.as_bytes(), body], out);
}

pub(super) fn next(received: &[u8]) -> Option<(Heard<'_>, usize)> {
    let header = received.get(..HEADER)?;
    let len = u32::from_be_bytes(header.get(12..16)?.try_into().ok()?);
    let end = HEADER + usize::try_from(len).ok()?;
    let payload = received.get(HEADER..end)?;
    if frame_type(header) != Some(EVENT) {
        return Some((Heard::Other, end));
    }
    let topic = u16::from_be_bytes(payload.get(..2)?.try_into().ok()?);
    Some((Heard::Delivery(payload.get(2 + usize::from(topic)..)?), end))
}
