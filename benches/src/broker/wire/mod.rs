//! What each broker's clients say and hear, as bytes.

mod mip;
mod mqtt;
mod nats;
mod redis;

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
};

use super::TrialError;

/// The protocol of a broker's clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    Mip,
    Nats,
    Redis,
    Mqtt,
}

/// What lies at the beginning of what was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard<'a> {
    /// A message of a topic.
    Delivery(&'a [u8]),
    /// What a client need not act on.
    Other,
}

impl Wire {
    /// Does what a client does before it may publish.
    pub(super) fn greet(self, stream: &mut TcpStream) -> Result<(), TrialError> {
        match self {
            Self::Mip => mip::greet(stream),
            Self::Nats => nats::greet(stream),
            Self::Redis => Ok(()),
            Self::Mqtt => mqtt::greet(stream),
        }
    }

    /// Subscribes, and waits until the broker says that it has.
    pub(super) fn subscribe(self, stream: &mut TcpStream, topic: &str) -> Result<(), TrialError> {
        match self {
            Self::Mip => mip::subscribe(stream, topic),
            Self::Nats => nats::subscribe(stream, topic),
            Self::Redis => redis::subscribe(stream, topic),
            Self::Mqtt => mqtt::subscribe(stream, topic),
        }
    }

    /// Appends a message.
    pub(super) fn publish(self, topic: &str, body: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Mip => mip::publish(topic, body, out),
            Self::Nats => nats::publish(topic, body, out),
            Self::Redis => redis::publish(topic, body, out),
            Self::Mqtt => mqtt::publish(topic, body, out),
        }
    }

    /// What lies first, and how long it is; `None` where it has not all come yet.
    pub(super) fn next(self, received: &[u8]) -> Option<(Heard<'_>, usize)> {
        match self {
            Self::Mip => mip::next(received),
            Self::Nats => nats::next(received),
            Self::Redis => redis::next(received),
            Self::Mqtt => mqtt::next(received),
        }
    }
}

/// Writes something, and reads an answer of this length.
fn ask(stream: &mut TcpStream, question: &[u8], answer: usize) -> io::Result<Vec<u8>> {
    stream.write_all(question)?;
    let mut bytes = vec![0; answer];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Writes something, and reads until the answer ends so.
fn ask_until(stream: &mut TcpStream, question: &[u8], end: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(question)?;
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(end) {
        stream.read_exact(&mut byte)?;
        bytes.extend_from_slice(&byte);
    }
    Ok(bytes)
}

fn refused(asked: &'static str, got: &[u8]) -> TrialError {
    TrialError::Refused {
        asked,
        got: got.escape_ascii().to_string(),
    }
}

/// The number in decimal digits.
fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The text up to this line's end, and what follows.
fn line(received: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = received.windows(2).position(|two| two == b"\r\n")?;
    Some((received.get(..at)?, received.get(at + 2..)?))
}
