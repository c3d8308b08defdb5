//! NATS: lines, and bodies of a length that the line before gives.

use std::net::TcpStream;

use super::{Heard, ask_until, line, number, refused};
use crate::broker::TrialError;

pub(super) fn greet(stream: &mut TcpStream) -> Result<(), TrialError> {
    let connect = b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\nPING\r\n";
    // INFO comes first, by itself.
    let said = ask_until(stream, connect, b"PONG\r\n")?;
    match said.starts_with(b"INFO ") {
        true => Ok(()),
        false => Err(refused("CONNECT", &said)),
    }
}

pub(super) fn subscribe(stream: &mut TcpStream, topic: &str) -> Result<(), TrialError> {
    let said = ask_until(
        stream,
        format!("SUB {topic} 1\r\nPING\r\n").as_bytes(),
        b"\r\n",
    )?;
    match said.as_slice() {
        b"PONG\r\n" => Ok(()),
        _ => Err(refused("SUB", &said)),
    }
}

pub(super) fn publish(topic: &str, body: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"PUB ");
    out.extend_from_slice(topic.as_bytes());
    out.extend_from_slice(format!(" {}\r\n", body.len()).as_bytes());
    out.extend_from_slice(body);
    out.extend_from_slice(b"\r\n");
}

pub(super) fn next(received: &[u8]) -> Option<(Heard<'_>, usize)> {
    let (first, rest) = line(received)?;
    let head = first.len() + 2;
    if !first.starts_with(b"MSG ") {
        return Some((Heard::Other, head));
    }
    let len = number(first.rsplit(|byte| *byte == b' ').next()?)?;
    let body = rest.get(..len)?;
    rest.get(len..len + 2)?;
    Some((Heard::Delivery(body), head + len + 2))
}
