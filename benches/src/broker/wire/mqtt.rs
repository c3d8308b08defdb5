//! MQTT 3.1.1, quality of service 0.

use std::{
    net::TcpStream,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{Heard, ask, refused};
use crate::broker::TrialError;

const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;

/// No two clients may have the same name.
static CLIENTS: AtomicU64 = AtomicU64::new(0);

fn packet(first: u8, parts: &[&[u8]], out: &mut Vec<u8>) {
    let mut len: usize = parts.iter().map(|part| part.len()).sum();
    out.push(first);
    loop {
        let low = u8::try_from(len % 128).unwrap_or_default();
        len /= 128;
        out.push(low | if len > 0 { 0x80 } else { 0 });
        if len == 0 {
            break;
        }
    }
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn len_of(text: &str) -> [u8; 2] {
    u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes()
}

pub(super) fn greet(stream: &mut TcpStream) -> Result<(), TrialError> {
    let name = format!("bench{}", CLIENTS.fetch_add(1, Ordering::Relaxed));
    let mut connect = Vec::new();
    packet(
        CONNECT,
        &[
            b"\x00\x04MQTT\x04\x02\x00\x00",
            &len_of(&name),
            name.as_bytes(),
        ],
        &mut connect,
    );
    let said = ask(stream, &connect, 4)?;
    match said.as_slice() {
        [CONNACK, 2, _, 0] => Ok(()),
        _ => Err(refused("CONNECT", &said)),
    }
}

pub(super) fn subscribe(stream: &mut TcpStream, topic: &str) -> Result<(), TrialError> {
    let mut subscribe = Vec::new();
    packet(
        SUBSCRIBE,
        &[b"\x00\x01", &len_of(topic), topic.as_bytes(), b"\x00"],
        &mut subscribe,
    );
    let said = ask(stream, &subscribe, 5)?;
    match said.as_slice() {
        [SUBACK, 3, 0, 1, 0] => Ok(()),
        _ => Err(refused("SUBSCRIBE", &said)),
    }
}

pub(super) fn publish(topic: &str, body: &[u8], out: &mut Vec<u8>) {
    packet(PUBLISH, &[&len_of(topic), topic.as_bytes(), body], out);
}

pub(super) fn next(received: &[u8]) -> Option<(Heard<'_>, usize)> {
    let (first, rest) = received.split_first()?;
    let mut len = 0;
    let mut at = 0;
    loop {
        let byte = *rest.get(at)?;
        len |= usize::from(byte & 0x7f) << (7 * at);
        at += 1;
        if byte & 0x80 == 0 || at == 4 {
            break;
        }
    }
    let content = rest.get(at..at + len)?;
    let end = 1 + at + len;
    if first & 0xf0 != PUBLISH {
        return Some((Heard::Other, end));
    }
    let topic = u16::from_be_bytes(content.get(..2)?.try_into().ok()?);
    Some((Heard::Delivery(content.get(2 + usize::from(topic)..)?), end))
}
