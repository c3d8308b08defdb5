//! What a session tells its driver.

use std::{ops::Range, time::Duration};

use bytes::Bytes;
use thiserror::Error;

use super::{
    fast_path::NO_TOPIC, inbound::InboundSlot, items::StreamSide, outbound::Token, to_usize,
};
#[cfg(any(test, fuzzing))]
use crate::wire::Frame;
use crate::{
    MsgKind,
    wire::{
        Code, DecodeError, ErrorText, FrameRef, HeaderError, HelloFrame, Metadata, MsgId, RawKind,
        Topic, WelcomeFrame,
    },
};

/// What a frame means to the layers above.
#[derive(Debug)]
pub enum Event {
    /// A client asks to open the session: answer with `welcome` or `refuse`.
    Hello(Box<HelloFrame>),
    /// The server has opened the session.
    Welcome(Box<WelcomeFrame>),
    /// The server has refused.
    Refused(ErrorText),
    /// A message to be handled.
    Incoming(Incoming),
    /// An exchange that this side opened has ended.
    Answered { token: Token, outcome: Outcome },
    /// An item of a response stream has come.
    Item { token: Token, item: Item },
    /// An item of a request stream has come, or its end.
    RequestItem {
        slot: InboundSlot,
        item: Option<Item>,
        is_last: bool,
    },
    /// The caller has lost interest.
    Cancelled(InboundSlot),
    /// There may be room to send again.
    Room,
    /// This end's stream has been granted credit.
    StreamCredit(StreamSide),
    /// The other side opens and accepts nothing new.
    Closing(ErrorText),
    /// The other side says that this side broke the protocol.
    Blamed(ErrorText),
}

/// How an exchange ended.
#[derive(Debug)]
pub enum Outcome {
    /// With an answer: the variant that its header names, its body, and whether that is compressed. All are empty
    /// for an acknowledgment.
    Answer {
        variant: u16,
        body: Bytes,
        compressed: bool,
        /// What came beside it.
        metadata: Option<Box<Metadata>>,
    },
    /// With the other side's word, after a resume, that the call has never reached it.
    NotReceived,
    /// With an error from the other side.
    Error(ErrorText),
    /// Without an answer in time.
    Expired,
    /// It made room, by its kind: it was not sent.
    Dropped,
    /// The connection was lost; `sent` says whether any of the request had been handed to it.
    Lost { sent: bool },
}

impl Outcome {
    /// An answer with nothing beside its body.
    pub const fn message(variant: u16, body: Bytes) -> Self {
        Self::Answer {
            variant,
            body,
            compressed: false,
            metadata: None,
        }
    }

    /// An acknowledgment, or the end of a stream.
    pub const NOTHING: Self = Self::Answer {
        variant: 0,
        body: Bytes::new(),
        compressed: false,
        metadata: None,
    };
}

/// An item of a stream, not yet decoded.
#[derive(Debug)]
pub struct Item {
    pub variant: u16,
    pub body: Bytes,
    pub compressed: bool,
    /// The length that counts against the stream's window.
    pub payload_len: u32,
    /// What came beside it, where it is the one answer of a call.
    pub metadata: Option<Box<Metadata>>,
}

/// A message from the other side, not yet decoded.
#[derive(Debug)]
pub struct Incoming {
    pub variant: u16,
    pub kind: MsgKind,
    /// It overtook what was queued and not urgent.
    pub urgent: bool,
    /// Empty unless the session takes topics.
    pub topic: Topic,
    pub body: Bytes,
    pub compressed: bool,
    /// The length that counts against the window.
    pub payload_len: u32,
    pub reply: ReplyTo,
    /// The deadline that came with the message, if one did.
    pub timeout: Option<Duration>,
    /// What else came beside it.
    pub metadata: Option<Box<Metadata>>,
    pub id: MsgId,
    /// It opens a request stream, whose items follow.
    pub is_stream: bool,
}

impl Incoming {
    /// The item that came with the opening frame of a request stream, if one did. It took no credit.
    pub fn first_item(&self) -> Option<Item> {
        let Self {
            variant,
            ref body,
            compressed,
            ..
        } = *self;
        (!body.is_empty()).then(|| Item {
            variant,
            body: body.clone(),
            compressed,
            payload_len: 0,
            metadata: None,
        })
    }
}

/// What a frame is that comes the short way, with nothing beside its body, as nearly every one does. All else is in its header.
#[derive(Debug, Clone, Copy)]
pub enum FastFrame {
    /// A one-way message.
    Message,
    /// A call with one request.
    Call(InboundSlot),
    /// The answer to a call that this side opened.
    Answer(Token),
}

#[cfg(any(test, fuzzing))]
impl FastFrame {
    /// The same on the long way.
    pub fn into_event(self, frame: &Frame) -> Event {
        let incoming = |call| {
            let plain = BareMessage::of(FrameRef::from(frame), call);
            Event::Incoming(plain.incoming(&frame.payload))
        };
        match self {
            Self::Message => incoming(None),
            Self::Call(slot) => incoming(Some(slot)),
            Self::Answer(token) => Event::Answered {
                token,
                outcome: Outcome::message(frame.header.variant, frame.payload.clone()),
            },
        }
    }
}

/// A one-way message, or a call with one request, with nothing beside its body, which stays in the memory where it lies.
#[derive(Debug, Clone, Copy)]
pub struct BareMessage {
    /// Where the payload begins in that memory.
    start: usize,
    pub id: MsgId,
    /// The place of the call, where it is one.
    pub call: Option<InboundSlot>,
    /// The length that counts against the window.
    pub payload_len: u32,
    pub variant: u16,
    kind: RawKind,
}

impl BareMessage {
    #[inline]
    pub fn of(frame: FrameRef<'_>, call: Option<InboundSlot>) -> Self {
        Self {
            start: frame.start(),
            id: frame.header.msg_id,
            call,
            payload_len: frame.header.payload_len,
            variant: frame.header.variant,
            kind: frame.header.kind,
        }
    }

    /// How it is delivered.
    #[inline]
    pub fn kind(&self) -> MsgKind {
        // The fast path takes only kinds that are known, so the default is never taken.
        self.kind.known().unwrap_or(MsgKind::Event)
    }

    /// Where the body lies.
    #[inline]
    pub fn body(&self) -> Range<usize> {
        self.start + NO_TOPIC.len()..self.start + to_usize(self.payload_len)
    }

    /// The same on the long way; it lies in this memory.
    pub fn incoming(self, memory: &Bytes) -> Incoming {
        Incoming {
            variant: self.variant,
            kind: self.kind(),
            urgent: false,
            topic: Topic::EMPTY,
            body: memory
                .get(self.body())
                .map(|body| memory.slice_ref(body))
                .unwrap_or_default(),
            compressed: false,
            payload_len: self.payload_len,
            reply: self.call.map_or(ReplyTo::Nobody, ReplyTo::Call),
            timeout: None,
            metadata: None,
            id: self.id,
            is_stream: false,
        }
    }
}

/// What the sender of a message waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyTo {
    /// Nothing.
    Nobody,
    /// An acknowledgment of this delivery.
    Delivery { id: MsgId, urgent: bool },
    /// The answer of this call.
    Call(InboundSlot),
}

/// A rule that the other side broke so badly that the connection ends.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{rule}")]
pub struct Fault {
    pub code: Code,
    /// What it did and what was expected, to be told to both sides.
    pub rule: String,
    /// The frame that did it; the connection where there is none.
    pub id: MsgId,
    pub kind: FaultKind,
}

/// What a fault means beyond its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// A rule of the protocol was broken.
    Rule,
    /// A payload over the limit was announced.
    TooLarge { len: u32, max: u32 },
    /// What came is not MSIP at all: no second frame is spent on it.
    Foreign,
    /// The server speaks MIP: nothing is said to it that it would have to refuse.
    MipPeer,
}

impl Fault {
    pub fn new(id: MsgId, rule: impl Into<String>) -> Self {
        Self {
            code: Code::InvalidArgument,
            rule: rule.into(),
            id,
            kind: FaultKind::Rule,
        }
    }

    pub fn exhausted(id: MsgId, rule: impl Into<String>) -> Self {
        Self {
            code: Code::ResourceExhausted,
            ..Self::new(id, rule)
        }
    }
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        let rule = error.to_string();
        match error {
            DecodeError::PayloadTooLarge {
                len, max, msg_id, ..
            } => Self {
                kind: FaultKind::TooLarge { len, max },
                ..Self::exhausted(msg_id, rule)
            },
            DecodeError::Header(HeaderError::BadMagic { .. }) => Self {
                kind: FaultKind::Foreign,
                ..Self::new(MsgId::CONNECTION, rule)
            },
            _ => Self::new(MsgId::CONNECTION, rule),
        }
    }
}
