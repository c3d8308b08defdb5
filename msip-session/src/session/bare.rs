//! Bare frames: messages, calls, answers and items with nothing but a body, which take the fast path.
//!
//! [`BareFrame::of`] is the only place that decides which frames these are.

use std::ops::Range;

use bytes::Bytes;
use msip_schema::DESCRIBE_VARIANT;

#[cfg(any(test, fuzzing))]
use super::event::{Event, Outcome};
use super::{
    event::{Incoming, ReplyTo},
    frame_writer::NO_TOPIC,
    slot::{InboundSlot, Token},
    to_usize,
};
#[cfg(any(test, fuzzing))]
use crate::wire::Frame;
use crate::{
    MsgKind,
    wire::{Flags, FrameRef, FrameType, HEADER_LEN, Header, Limits, MsgId, Side, Topic},
};

/// The kind of a bare frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BareFrame {
    /// A one-way message that is not acknowledged.
    Message,
    /// A call with one request.
    Call,
    /// An answer, or an acknowledgment.
    Answer,
    /// An item of a stream of answers, after which more may follow.
    AnswerItem,
    /// An item of a stream of requests, after which more may follow.
    RequestItem,
}

impl BareFrame {
    /// What this frame from the peer of `side` is, if it has neither metadata nor a topic, its body is within the limit,
    /// and only an item is compressed or urgent. `None` for any other frame, and for one with the variant that no member
    /// has: the slow path's receivers look for it, and no others have to.
    #[inline]
    pub(super) fn of(frame: FrameRef<'_>, side: Side, max_body: u32) -> Option<Self> {
        const ITEM: Flags = Flags::MORE.union(Flags::ITEM);
        let &Header {
            flags,
            frame_type,
            kind,
            msg_id: id,
            payload_len,
            variant,
            ..
        } = frame.header;
        if frame_type == FrameType::Ack {
            let bare = if flags == Flags::NONE {
                Self::Answer
            } else if of_item(flags) == Flags::MORE {
                Self::AnswerItem
            } else {
                return None;
            };
            return (payload_len <= max_body).then_some(bare);
        }
        if frame_type != FrameType::opening(side.reverse()) {
            return None;
        }
        let bare = if flags == Flags::NONE {
            Self::Message
        } else if flags == Flags::ACK_REQUIRED {
            Self::Call
        } else if of_item(flags) == ITEM {
            Self::RequestItem
        } else {
            return None;
        };
        let payload = frame.payload();
        let is_bare = id.chosen_by() != side
            && kind.known().is_ok()
            && variant != DESCRIBE_VARIANT
            && payload.starts_with(&NO_TOPIC)
            && payload.len() - NO_TOPIC.len() <= to_usize(max_body);
        if !is_bare || (bare == Self::Call && (id.is_delivery() || id.sequence() == 0)) {
            return None;
        }
        Some(bare)
    }
}

/// The flags that tell whether a frame is an item.
#[inline]
const fn of_item(flags: Flags) -> Flags {
    flags.without(Flags::URGENT).without(Flags::COMPRESSED)
}

/// The topic of a one-way message, or of a call, that has a topic and a body and nothing else: no metadata, no other flag. `None` for any other
/// frame, and where one of its parts is over its limit or malformed: the slow path answers why.
pub(super) fn topic_of(frame: FrameRef<'_>, side: Side, limits: &Limits) -> Option<u8> {
    let &Header {
        flags,
        frame_type,
        kind,
        msg_id: id,
        variant,
        ..
    } = frame.header;
    let payload = frame.payload();
    let (len, rest) = payload.split_first_chunk()?;
    let len = u8::try_from(u16::from_be_bytes(*len)).ok()?;
    let (topic, body) = rest.split_at_checked(len.into())?;
    let is_message = flags == Flags::NONE;
    let is_call = flags == Flags::ACK_REQUIRED && !id.is_delivery() && id.sequence() != 0;
    let is_usual = (is_message || is_call)
        && frame_type == FrameType::opening(side.reverse())
        && id.chosen_by() != side
        && kind.known().is_ok()
        && variant != DESCRIBE_VARIANT
        && !topic.is_empty()
        && len <= MAX_TOPIC
        && u16::from(len) <= limits.max_topic
        && body.len() <= to_usize(limits.max_body)
        && Topic::is_valid(topic);
    is_usual.then_some(len)
}

/// What a frame was that the fast path has accepted. All else is in its header.
#[derive(Debug, Clone, Copy)]
pub enum FastFrame {
    /// A one-way message that is not acknowledged.
    Message,
    /// A call with one request.
    Call(InboundSlot),
    /// The answer to a call that this side has opened.
    Answer(Token),
}

#[cfg(any(test, fuzzing))]
impl FastFrame {
    /// The event that the slow path would return.
    pub(crate) fn into_event(self, frame: &Frame) -> Event {
        let incoming = |call| {
            let bare = BareMessage::new(FrameRef::from(frame), call);
            Event::Incoming(bare.to_incoming(&frame.payload))
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

/// A one-way message, or a call with one request, that has nothing but a body. The body stays in the memory that it was
/// read into.
#[derive(Debug, Clone, Copy)]
pub struct BareMessage {
    /// Where the payload begins in that memory.
    start: usize,
    /// The message id.
    pub id: MsgId,
    /// The call's slot, where it is one.
    pub call: Option<InboundSlot>,
    /// The length that counts against the window.
    pub payload_len: u32,
    /// The member of the envelope that the body is.
    pub variant: u16,
    /// The number of its kind, which is a known one.
    kind: u8,
    /// How much of the payload comes before the body: the topic, which is nearly always empty, and its length.
    prefix_len: u8,
}

/// What the length of a topic takes, and so the prefix where there is none.
const NO_TOPIC_LEN: u8 = 2;

/// The longest topic of a bare message.
const MAX_TOPIC: u8 = u8::MAX - NO_TOPIC_LEN;

impl BareMessage {
    /// The message in a frame that [`Session::handle_fast`](super::Session::handle_fast) has accepted; `call` is the slot
    /// of [`FastFrame::Call`].
    #[inline]
    pub fn new(frame: FrameRef<'_>, call: Option<InboundSlot>) -> Self {
        Self {
            start: frame.start(),
            id: frame.header.msg_id,
            call,
            payload_len: frame.header.payload_len,
            variant: frame.header.variant,
            // The known ones are below 256.
            kind: frame.header.kind.number().to_le_bytes()[0],
            prefix_len: NO_TOPIC_LEN,
        }
    }

    /// The message, or the call, in a frame that has a topic of this length.
    pub(super) fn with_topic(
        frame: FrameRef<'_>,
        topic_len: u8,
        call: Option<InboundSlot>,
    ) -> Self {
        Self {
            prefix_len: NO_TOPIC_LEN.saturating_add(topic_len),
            ..Self::new(frame, call)
        }
    }

    /// How it is delivered.
    #[inline]
    #[must_use]
    pub fn kind(&self) -> MsgKind {
        // A frame of an unknown kind is not bare, so the default is never taken.
        MsgKind::from_number(self.kind.into()).unwrap_or(MsgKind::Event)
    }

    /// Where the body is in the memory that the frame was read into.
    #[inline]
    pub fn body(&self) -> Range<usize> {
        self.start + usize::from(self.prefix_len)..self.start + to_usize(self.payload_len)
    }

    /// Where its topic is in the memory that the frame was read into.
    #[inline]
    #[must_use]
    pub fn topic(&self) -> Range<usize> {
        self.start + NO_TOPIC.len()..self.start + usize::from(self.prefix_len)
    }

    /// Where the whole frame is in the memory that it was read into.
    #[inline]
    #[must_use]
    pub fn frame(&self) -> Range<usize> {
        self.start.saturating_sub(HEADER_LEN)..self.start + to_usize(self.payload_len)
    }

    /// The length of the body.
    #[inline]
    #[must_use]
    pub fn body_len(&self) -> usize {
        // A frame whose payload is shorter is not bare.
        to_usize(self.payload_len).saturating_sub(self.prefix_len.into())
    }

    /// Its topic, sharing this memory, which the frame was read into.
    #[must_use]
    pub fn to_topic(self, memory: &Bytes) -> Topic {
        if self.prefix_len == NO_TOPIC_LEN {
            return Topic::EMPTY;
        }
        let topic = memory.get(self.topic()).unwrap_or_default();
        // It was accepted as one.
        Topic::new(memory.slice_ref(topic), u8::MAX.into()).unwrap_or_default()
    }

    /// The same message as [`Event::Incoming`](super::Event::Incoming) has it; `memory` is what the frame was read into.
    #[must_use]
    pub fn to_incoming(self, memory: &Bytes) -> Incoming {
        Incoming {
            variant: self.variant,
            kind: self.kind(),
            urgent: false,
            topic: self.to_topic(memory),
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
