//! Outgoing requests and replies, as a driver describes them.

use thiserror::Error;

use crate::{
    MsgKind,
    wire::{ErrorRef, Flags, Metadata, Topic},
};

/// Why a message was not accepted for sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Blocked {
    /// The queue is full, or credit or the number of open exchanges is used up. Try again after
    /// [`Event::Capacity`](super::Event::Capacity), an outcome, or a write.
    #[error("no capacity: the queue, the credit or the number of exchanges is used up")]
    NoCapacity,
    /// The session is not open, or is closing. For a stream: its exchange has ended.
    #[error("the session or the exchange is closed")]
    Closing,
    /// There is no connection, and nothing is buffered for the next one.
    #[error("there is no connection")]
    Disconnected,
    /// There is no connection, and the buffer for the next one is full.
    #[error("there is no connection, and the buffer for the next one is full")]
    Full,
}

/// The header of a message that begins an exchange.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    /// The number of the envelope's member.
    pub variant: u16,
    /// How the message is delivered.
    pub kind: MsgKind,
    /// Whether it overtakes frames that are not urgent.
    pub urgent: bool,
    /// Whether the body is compressed.
    pub compressed: bool,
    /// The deadline in milliseconds, where the peer does not know it from the schema.
    pub deadline_ms: Option<u32>,
    /// The encoded [`Metadata`](crate::wire::Metadata), without its deadline; empty for none. With
    /// [`DEADLINE_LEN`](crate::wire::DEADLINE_LEN) bytes for a deadline it must be within the metadata limit.
    pub metadata: &'a [u8],
    /// Where a broker routes the message; `None`, the empty topic, on a direct connection.
    pub topic: Option<&'a Topic>,
    /// For whom a call is made, where one session makes those of many, such as a broker's. It is not sent: CANCELs that have to wait
    /// are sent by turns, those of one caller after those of another.
    pub caller: u32,
}

/// The header of a message on the fast path: it is not urgent, not compressed and has no metadata.
#[derive(Debug, Clone, Copy)]
pub struct BareHead<'a> {
    /// The number of the envelope's member.
    pub variant: u16,
    /// How the message is delivered.
    pub kind: MsgKind,
    /// Where a broker routes the message; `None`, the empty topic, on a direct connection.
    pub topic: Option<&'a Topic>,
}

impl RequestHead<'static> {
    /// The header of a message without metadata.
    #[inline]
    pub const fn new(variant: u16, kind: MsgKind, urgent: bool) -> Self {
        Self {
            variant,
            kind,
            urgent,
            compressed: false,
            deadline_ms: None,
            metadata: &[],
            topic: None,
            caller: 0,
        }
    }
}

/// How a call is answered.
#[derive(Debug)]
pub enum Reply<'a, F> {
    /// With a message.
    Message {
        /// The number of the envelope's member.
        variant: u16,
        /// The length of the body in bytes, before compression.
        len: usize,
        /// Whether `encode` appends a compressed body.
        compressed: bool,
        /// The metadata of the answer, if it has any.
        metadata: Option<&'a Metadata>,
        /// Appends the body.
        encode: F,
    },
    /// With the end of its stream of answers.
    End {
        /// The metadata of the answer, if it has any.
        metadata: Option<&'a Metadata>,
    },
    /// With an error.
    Error(ErrorRef<'a>),
}

impl<'a, F: FnOnce(&mut Vec<u8>)> Reply<'a, F> {
    /// The end of a stream of answers, without metadata.
    pub const END: Self = Self::End { metadata: None };

    /// The same with this metadata.
    #[must_use]
    pub fn with_metadata(mut self, metadata: &'a Metadata) -> Self {
        match &mut self {
            Self::Message { metadata: it, .. } | Self::End { metadata: it } => *it = Some(metadata),
            Self::Error(error) => error.metadata = Some(metadata),
        }
        self
    }

    /// An uncompressed message of `len` bytes without metadata, which `encode` appends.
    #[inline]
    pub fn message(variant: u16, len: usize, encode: F) -> Self {
        Self::Message {
            variant,
            len,
            compressed: false,
            metadata: None,
            encode,
        }
    }
}

/// Which sides of a call are streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallShape {
    /// The request is a stream.
    pub request_stream: bool,
    /// The answer is a stream.
    pub response_stream: bool,
}

impl CallShape {
    /// One request and one answer.
    pub const UNARY: Self = Self {
        request_stream: false,
        response_stream: false,
    };
}

/// The lane of the outgoing queue that a frame takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Priority {
    /// Overtakes the other lane, within half of the bytes.
    Urgent,
    /// In order.
    Normal,
}

impl Priority {
    /// The lane of a frame with these flags.
    #[inline]
    pub(super) const fn of(flags: Flags) -> Self {
        Self::new(flags.contains(Flags::URGENT))
    }

    /// The lane of a frame that is urgent, or is not.
    #[inline]
    pub(super) const fn new(is_urgent: bool) -> Self {
        if is_urgent {
            Self::Urgent
        } else {
            Self::Normal
        }
    }
}

/// The flags of a frame that is urgent, or is not.
#[inline]
pub(super) const fn urgency(is_urgent: bool) -> Flags {
    if is_urgent {
        Flags::URGENT
    } else {
        Flags::NONE
    }
}
