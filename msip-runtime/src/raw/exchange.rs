//! A raw exchange: a received message, its metadata, and its responder.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Acknowledgment, Requests, Responder, UntypedMessage};
use crate::{
    CallOptions, Metadata, Status, Streaming, Variant, connection::CallToAnswer,
    metadata::NO_METADATA, service::Receiver,
};
use msip_schema::DESCRIBE_VARIANT;
use msip_session::{
    BareMessage, InboundSlot, Incoming, ReplyTo,
    wire::{Credit, MsgId},
};

/// An exchange that the other end has begun.
#[derive(Debug)]
#[non_exhaustive]
pub struct UntypedExchange {
    /// The message; of a call whose request is a stream, its variant and topic alone.
    pub message: UntypedMessage,
    /// What the other end waits for.
    pub reply: Reply,
    /// The requests of a call whose request is a stream.
    pub requests: Option<Requests>,
    metadata: Option<Arc<Metadata>>,
    deadline: Option<Instant>,
}

/// What the sender of a message waits for. Dropped unused, it answers with `CANCELLED`.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reply {
    /// Nothing.
    Nobody,
    /// An acknowledgment.
    Delivery(Acknowledgment),
    /// An answer, or a stream of them.
    Call(Responder),
}

impl UntypedExchange {
    /// What came with the message.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        self.metadata.as_deref().unwrap_or(&NO_METADATA)
    }

    /// How long the other end still waits, where it said so. Where it did not, its schema says, or 30 s: for a call that
    /// is no stream, and that is nothing that an untyped peer can see.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Options that pass this exchange on: its deadline and all of its metadata but the identity. What remains of the
    /// deadline holds, unless the variant that it is sent with has a shorter timeout; `call_timeout` holds only where
    /// the other end has sent no deadline.
    #[must_use]
    pub fn options(&self) -> CallOptions {
        let mut options = CallOptions::new();
        if let Some(metadata) = self.metadata.as_ref().filter(|it| it.says_something()) {
            options = options.pass_on(metadata);
        }
        if let Some(deadline) = self.deadline {
            options = options.relayed_within(deadline);
        }
        options
    }

    /// A call. `None` for one that was cancelled before it was taken.
    pub(super) fn call(
        receiver: &Receiver<UntypedMessage>,
        incoming: Incoming,
        slot: InboundSlot,
    ) -> Option<Self> {
        let call = awaited(receiver, slot, incoming.id)?;
        receiver.connection().call_taken(call, incoming.variant);
        let deadline = incoming
            .timeout
            .and_then(|left| Instant::now().checked_add(left));
        let metadata = metadata(receiver, &incoming);
        let wants_time = metadata
            .as_ref()
            .is_some_and(|metadata| metadata.0.request_time_us.is_some());
        let responder = receiver.responder(call, deadline).timed(wants_time);
        let requests = incoming
            .is_stream
            .then(|| receiver.connection().requests(slot))
            .flatten();
        let is_stream = incoming.is_stream;
        let variant = incoming.variant;
        let mut message = message(receiver, incoming);
        if is_stream {
            // Its body is the first of the requests.
            message = message.without_body();
        }
        Some(Self {
            message,
            reply: Reply::Call(Responder::new(responder, variant)),
            requests: requests.map(|requests| Requests(Streaming::requests(requests))),
            metadata,
            deadline,
        })
    }

    /// A call that has nothing but a topic and a body, whose answer is expected already; most calls are so. `None` as for
    /// [`call`](Self::call).
    pub(super) fn bare_call(
        receiver: &Receiver<UntypedMessage>,
        bare: BareMessage,
        slot: InboundSlot,
    ) -> Option<Self> {
        let PlainCall {
            mut message,
            responder,
        } = PlainCall::new(receiver, bare, slot)?;
        message.set_topic(receiver.topic_of(bare));
        Some(Self {
            message,
            reply: Reply::Call(responder),
            requests: None,
            metadata: receiver.terms().sender.clone(),
            deadline: None,
        })
    }

    /// Any message or call. `taken` counts what is handled by being taken. `None` for a call that is not awaited
    /// any more, and for a message of the variant that no member has.
    pub(super) fn received(
        receiver: &Receiver<UntypedMessage>,
        mut incoming: Incoming,
        taken: &mut Credit,
    ) -> Option<Self> {
        let reply = match incoming.reply {
            ReplyTo::Call(_) if receiver.is_closed() => return None,
            ReplyTo::Call(slot) => return Self::call(receiver, incoming, slot),
            ReplyTo::Nobody if incoming.payload_len == 0 => {
                receiver.datagram_handled();
                Reply::Nobody
            }
            ReplyTo::Nobody => {
                taken.items += 1;
                taken.bytes = taken.bytes.saturating_add(incoming.payload_len);
                Reply::Nobody
            }
            ReplyTo::Delivery { id, urgent } => {
                let credit = Credit {
                    items: 1,
                    bytes: incoming.payload_len,
                };
                Reply::Delivery(Acknowledgment::new(receiver, id, urgent, credit))
            }
        };
        if incoming.variant == DESCRIBE_VARIANT {
            let status = Status::unimplemented_variant(incoming.variant);
            match reply {
                Reply::Delivery(acknowledgment) => acknowledgment.fail(status),
                _ => receiver.ignored(incoming.variant.into(), &status),
            }
            return None;
        }
        let deadline = incoming
            .timeout
            .take()
            .and_then(|left| Instant::now().checked_add(left));
        Some(Self {
            metadata: metadata(receiver, &incoming),
            message: message(receiver, incoming),
            reply,
            requests: None,
            deadline,
        })
    }

    /// Answers the caller, if it waits, with an error.
    pub fn refuse(self, status: Status) {
        match self.reply {
            Reply::Nobody => {}
            Reply::Delivery(acknowledgment) => acknowledgment.fail(status),
            Reply::Call(responder) => responder.fail(&status),
        }
    }
}

/// A call of which nothing was sent but a topic and a body; from [`Inbound::take_plain_call`](super::Inbound::take_plain_call).
#[derive(Debug)]
#[non_exhaustive]
pub struct PlainCall {
    /// The message, without its topic.
    pub message: UntypedMessage,
    /// What answers it.
    pub responder: Responder,
}

impl PlainCall {
    /// One whose answer is expected already. `None` where it is not awaited any more, and answered so.
    pub(super) fn new(
        receiver: &Receiver<UntypedMessage>,
        bare: BareMessage,
        slot: InboundSlot,
    ) -> Option<Self> {
        let call = awaited(receiver, slot, bare.id)?;
        let variant = Variant::new(bare.variant, "", bare.kind());
        Some(Self {
            message: UntypedMessage::received(variant, receiver.body_of(&bare)),
            responder: Responder::new(receiver.responder(call, None), bare.variant),
        })
    }
}

/// A call that was taken. `None` where it is not awaited any more, and answered so.
fn awaited(
    receiver: &Receiver<UntypedMessage>,
    slot: InboundSlot,
    id: MsgId,
) -> Option<CallToAnswer> {
    let call = receiver.call(slot, id);
    if let Err(status) = receiver.check_awaited(call) {
        receiver.responder(call, None).fail(&status);
        return None;
    }
    Some(call)
}

/// What came with a message, and who has sent it, where that is known.
fn metadata(receiver: &Receiver<UntypedMessage>, incoming: &Incoming) -> Option<Arc<Metadata>> {
    let received = incoming.metadata.as_deref();
    let mut metadata = received.map(|metadata| Arc::new(Metadata::received(metadata.clone())));
    if let Some(sender) = &receiver.terms().sender {
        Metadata::set_sender(&mut metadata, sender);
    }
    metadata
}

fn message(receiver: &Receiver<UntypedMessage>, incoming: Incoming) -> UntypedMessage {
    let variant = Variant::new(incoming.variant, "", incoming.kind);
    let variant = if incoming.urgent {
        variant.urgent()
    } else {
        variant
    };
    let mut message = UntypedMessage::received(variant, incoming.body);
    message.set_topic(incoming.topic);
    if incoming.compressed {
        message.set_compressed(receiver.encoding());
    }
    message
}
