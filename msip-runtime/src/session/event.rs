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
    body::Body,
    wire::{Code, ErrorText, FrameRef, HelloFrame, Metadata, MsgId, WelcomeFrame},
};

/// What a frame means to the layers above.
#[derive(Debug)]
pub(crate) enum Event {
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
pub(crate) enum Outcome {
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
    pub(crate) const fn message(variant: u16, body: Bytes) -> Self {
        Self::Answer {
            variant,
            body,
            compressed: false,
            metadata: None,
        }
    }

    /// An acknowledgment, or the end of a stream.
    pub(crate) const NOTHING: Self = Self::Answer {
        variant: 0,
        body: Bytes::new(),
        compressed: false,
        metadata: None,
    };
}

/// An item of a stream, not yet decoded.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) variant: u16,
    pub(crate) body: Bytes,
    pub(crate) compressed: bool,
    /// The length that counts against the stream's window.
    pub(crate) payload_len: u32,
    /// What came beside it, where it is the one answer of a call.
    pub(crate) metadata: Option<Box<Metadata>>,
}

/// A message from the other side, not yet decoded.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) variant: u16,
    pub(crate) body: Bytes,
    pub(crate) compressed: bool,
    /// The length that counts against the window.
    pub(crate) payload_len: u32,
    pub(crate) reply: ReplyTo,
    /// The deadline that came with the message, if one did.
    pub(crate) timeout: Option<Duration>,
    /// What else came beside it.
    pub(crate) metadata: Option<Box<Metadata>>,
    pub(crate) id: MsgId,
    /// It opens a request stream, whose items follow.
    pub(crate) is_stream: bool,
}

impl Incoming {
    /// The item that came with the opening frame of a request stream, if one did. It took no credit.
    pub(crate) fn first_item(&self) -> Option<Item> {
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
pub(crate) enum FastFrame {
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
    pub(crate) fn into_event(self, frame: &Frame) -> Event {
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
pub(crate) struct BareMessage {
    /// Where the payload begins in that memory.
    start: usize,
    pub(crate) id: MsgId,
    /// The place of the call, where it is one.
    pub(crate) call: Option<InboundSlot>,
    /// The length that counts against the window.
    pub(crate) payload_len: u32,
    pub(crate) variant: u16,
}

impl BareMessage {
    #[inline]
    pub(crate) fn of(frame: FrameRef<'_>, call: Option<InboundSlot>) -> Self {
        Self {
            start: frame.start(),
            id: frame.header.msg_id,
            call,
            payload_len: frame.header.payload_len,
            variant: frame.header.variant,
        }
    }

    /// Where the body lies.
    #[inline]
    pub(crate) fn body(&self) -> Range<usize> {
        self.start + NO_TOPIC.len()..self.start + to_usize(self.payload_len)
    }

    /// The same on the long way; it lies in this memory.
    pub(crate) fn incoming(self, memory: &Bytes) -> Incoming {
        Incoming {
            variant: self.variant,
            body: Body::within(memory, self.body()).to_bytes(),
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
pub(crate) enum ReplyTo {
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
pub(crate) struct Fault {
    pub(crate) code: Code,
    /// What it did and what was expected, to be told to both sides.
    pub(crate) rule: String,
    /// The frame that did it; the connection where there is none.
    pub(crate) id: MsgId,
    pub(crate) kind: FaultKind,
}

/// What a fault means beyond its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
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
    pub(crate) fn new(id: MsgId, rule: impl Into<String>) -> Self {
        Self {
            code: Code::InvalidArgument,
            rule: rule.into(),
            id,
            kind: FaultKind::Rule,
        }
    }

    pub(crate) fn exhausted(id: MsgId, rule: impl Into<String>) -> Self {
        Self {
            code: Code::ResourceExhausted,
            ..Self::new(id, rule)
        }
    }
}
