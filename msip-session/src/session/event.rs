//! Events: what received frames mean to the driver.

use std::time::Duration;

use bytes::Bytes;

use super::{
    slot::{InboundSlot, Slot, StreamSide, Token},
    subscribe_request::SubscribeRequest,
};
use crate::{
    MsgKind,
    wire::{ErrorText, HelloFrame, Metadata, MsgId, Topic, WelcomeFrame},
};

/// What a frame means to the driver.
#[derive(Debug)]
pub enum Event {
    /// A client asks to open or resume a session. Answer with [`Session::welcome`](super::Session::welcome) or
    /// [`Session::refuse`](super::Session::refuse), or hand the connection to the session that it resumes.
    Hello(Box<HelloFrame>),
    /// The server has accepted; the session is open.
    Welcome(Box<WelcomeFrame>),
    /// The server has refused; the session is over.
    Refused(ErrorText),
    /// A message for a handler.
    Incoming(Incoming),
    /// A client subscribes to a topic, or revokes that. Answer with
    /// [`Session::answer_subscribe`](super::Session::answer_subscribe). Only where the session
    /// [allows it](super::Session::allow_subscribe).
    Subscribe(Box<SubscribeRequest>),
    /// An exchange that this side has opened has ended.
    Answered {
        /// The driver's name for the exchange.
        token: Token,
        /// How it has ended.
        outcome: Outcome,
    },
    /// An item of a stream of answers.
    Item {
        /// The driver's name for the call.
        token: Token,
        /// The item.
        item: Item,
    },
    /// An item of a stream of requests, its end, or both.
    RequestItem {
        /// The call that it belongs to.
        slot: InboundSlot,
        /// The item, where the frame has one.
        item: Option<Item>,
        /// Whether the stream is complete.
        is_last: bool,
    },
    /// The caller does not wait for this call any more. Stop its handler, and end it with
    /// [`Session::reply`](super::Session::reply) all the same.
    Cancelled(InboundSlot),
    /// Senders that were refused for [`Blocked::NoCapacity`](super::Blocked::NoCapacity) may try again.
    Capacity,
    /// The peer has ended a call of this side that was given up, and counts it no longer: as [`Event::Capacity`].
    GivenUpEnded(Slot),
    /// The peer has granted credit to this side's stream.
    StreamCredit(StreamSide),
    /// The peer has said CLOSE: it opens and accepts nothing new.
    Closing(ErrorText),
    /// The peer reports that this side has broken the protocol, and ends the connection.
    PeerFault(ErrorText),
}

/// How an exchange has ended.
#[derive(Debug)]
pub enum Outcome {
    /// With an answer; all parts of it are empty for an acknowledgment.
    Answer {
        /// The member of the envelope that the header names.
        variant: u16,
        /// The body.
        body: Bytes,
        /// Whether the body is compressed.
        compressed: bool,
        /// The answer's metadata.
        metadata: Option<Box<Metadata>>,
    },
    /// With the peer's statement, after a resume, that the call has never reached it.
    NotReceived,
    /// With the statement of a peer that has said CLOSE that it has not accepted the message.
    NotAccepted,
    /// With an error from the peer, and the metadata that came with it.
    Error(ErrorText, Option<Box<Metadata>>),
    /// Without an answer before the deadline.
    Expired,
    /// The message was dropped from a full queue, by its kind, and was not sent.
    Dropped,
    /// With the loss of the session or, for pings and streams, of the connection.
    Lost {
        /// Whether any of the request had been handed to the transport.
        sent: bool,
    },
}

impl Outcome {
    /// An answer without metadata.
    #[inline]
    pub const fn message(variant: u16, body: Bytes) -> Self {
        Self::Answer {
            variant,
            body,
            compressed: false,
            metadata: None,
        }
    }

    /// An acknowledgment, or the end of a stream.
    pub const NOTHING: Self = Self::message(0, Bytes::new());
}

/// An item of a stream, not yet decoded.
#[derive(Debug)]
pub struct Item {
    /// The member of the envelope that the body is.
    pub variant: u16,
    /// The body.
    pub body: Bytes,
    /// Whether the body is compressed.
    pub compressed: bool,
    /// The length that counts against the stream's window.
    pub payload_len: u32,
    /// The metadata of an answer that is read as the only item of its stream.
    pub metadata: Option<Box<Metadata>>,
}

/// A message from the peer, not yet decoded.
#[derive(Debug)]
pub struct Incoming {
    /// The member of the envelope that the body is.
    pub variant: u16,
    /// How it is delivered.
    pub kind: MsgKind,
    /// Whether it has overtaken frames that are not urgent.
    pub urgent: bool,
    /// Its topic; empty unless the session [allows topics](super::Session::allow_topics).
    pub topic: Topic,
    /// The body.
    pub body: Bytes,
    /// Whether the body is compressed.
    pub compressed: bool,
    /// The length that counts against the window.
    pub payload_len: u32,
    /// How its sender is to be answered.
    pub reply: ReplyTo,
    /// What remains of the sender's deadline, where the message names it.
    pub timeout: Option<Duration>,
    /// The message's other metadata, where there is any.
    pub metadata: Option<Box<Metadata>>,
    /// The message id.
    pub id: MsgId,
    /// Whether it opens a stream of requests, whose items follow.
    pub is_stream: bool,
}

impl Incoming {
    /// The item that came with the opening frame of a stream of requests, if one did. It took no credit.
    #[must_use]
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

/// What the sender of a message waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyTo {
    /// Nothing.
    Nobody,
    /// An acknowledgment, by [`Session::acknowledge`](super::Session::acknowledge).
    Delivery {
        /// The delivery's message id.
        id: MsgId,
        /// Whether the acknowledgment is urgent.
        urgent: bool,
    },
    /// An answer, by [`Session::reply`](super::Session::reply).
    Call(InboundSlot),
}
