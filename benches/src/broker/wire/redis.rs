//! Redis: arrays of strings, each with its length.

use std::net::TcpStream;

use super::{Heard, ask_until, line, number, refused};
use crate::broker::TrialError;

fn array(parts: &[&[u8]], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", parts.len()).as_bytes());
    for part in parts {
        out.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
}

pub(super) fn subscribe(stream: &mut TcpStream, topic: &str) -> Result<(), TrialError> {
    let mut subscribe = Vec::new();
    array(&[b"SUBSCRIBE", topic.as_bytes()], &mut subscribe);
    let said = ask_until(stream, &subscribe, b":1\r\n")?;
    match said.starts_with(b"*3\r\n") {
        true => Ok(()),
        false => Err(refused("SUBSCRIBE", &said)),
    }
}

pub(super) fn publish(topic: &str, body: &[u8], out: &mut Vec<u8>) {
    array(&[b"PUBLISH", topic.as_bytes(), body], out);
}

pub(super) fn next(received: &[u8]) -> Option<(Heard<'_>, usize)> {
    let (first, mut rest) = line(received)?;
    let Some(count) = first.strip_prefix(b"*").and_then(number) else {
        return Some((Heard::Other, first.len() + 2));
    };
    let mut last: &[u8] = &[];
    for _ in 0..count {
        let (len, after) = line(rest)?;
        let len = number(len.strip_prefix(b"$")?)?;
        last = after.get(..len)?;
        rest = after.get(len + 2..)?;
    }
    Some((Heard::Delivery(last), received.len() - rest.len()))
}
