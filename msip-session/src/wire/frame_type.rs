//! Frame types.

use std::fmt;

use super::Side;

/// The type of a frame (docs/protocol.md, "Frame types").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FrameType {
    /// Begins the handshake; the connecting side sends it first, once.
    Hello,
    /// Asks a broker for a topic's messages.
    Subscribe,
    /// Takes a SUBSCRIBE back.
    Unsubscribe,
    /// A message of the connecting side.
    Publish,
    /// A message of the accepting side.
    Event,
    /// Answers an exchange, with a body or without.
    Ack,
    /// Ends an exchange, or says why the connection ends, with a text.
    Error,
    /// Asks for a PONG.
    Ping,
    /// Answers a PING with the same payload.
    Pong,
    /// Opens and accepts nothing new; the transport closes when the open exchanges have ended.
    Close,
    /// Lets the peer send more.
    Credit,
    /// The caller does not wait for the answer any more.
    Cancel,
}

impl FrameType {
    /// Every type, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::Hello,
        Self::Subscribe,
        Self::Unsubscribe,
        Self::Publish,
        Self::Event,
        Self::Ack,
        Self::Error,
        Self::Ping,
        Self::Pong,
        Self::Close,
        Self::Credit,
        Self::Cancel,
    ];

    /// The type of the messages that this side sends.
    pub const fn opening(side: Side) -> Self {
        match side {
            Side::Connecting => Self::Publish,
            Side::Accepting => Self::Event,
        }
    }

    /// The number in the header.
    pub const fn number(self) -> u16 {
        match self {
            Self::Hello => 1,
            Self::Subscribe => 2,
            Self::Unsubscribe => 3,
            Self::Publish => 4,
            Self::Event => 5,
            Self::Ack => 6,
            Self::Error => 7,
            Self::Ping => 8,
            Self::Pong => 9,
            Self::Close => 10,
            Self::Credit => 11,
            Self::Cancel => 12,
        }
    }

    /// The type with this number, if there is one.
    pub const fn from_number(number: u16) -> Option<Self> {
        Some(match number {
            1 => Self::Hello,
            2 => Self::Subscribe,
            3 => Self::Unsubscribe,
            4 => Self::Publish,
            5 => Self::Event,
            6 => Self::Ack,
            7 => Self::Error,
            8 => Self::Ping,
            9 => Self::Pong,
            10 => Self::Close,
            11 => Self::Credit,
            12 => Self::Cancel,
            _ => return None,
        })
    }

    /// The name, such as `PUBLISH`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hello => "HELLO",
            Self::Subscribe => "SUBSCRIBE",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::Publish => "PUBLISH",
            Self::Event => "EVENT",
            Self::Ack => "ACK",
            Self::Error => "ERROR",
            Self::Ping => "PING",
            Self::Pong => "PONG",
            Self::Close => "CLOSE",
            Self::Credit => "CREDIT",
            Self::Cancel => "CANCEL",
        }
    }
}

impl fmt::Display for FrameType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
