//! What a client asks by SUBSCRIBE, as the driver of a broker's session has it.

use crate::{
    MsgKind,
    wire::{MsgId, Subscribe, Topic},
};

/// What a client asks by a SUBSCRIBE or an UNSUBSCRIBE.
#[derive(Debug)]
pub struct SubscribeRequest {
    /// Whether a subscription is revoked, rather than made.
    pub is_unsubscribe: bool,
    /// STATE; COMMAND where a service gives a grant to clients, or withdraws it.
    pub kind: MsgKind,
    /// The topic, or a filter of topics; it may be malformed as one.
    pub topic: Topic,
    /// What is said besides, if anything.
    pub subscribe: Option<Box<Subscribe>>,
    /// For its answer, by [`Session::answer_subscribe`](super::Session::answer_subscribe).
    pub reply: SubscribeReply,
}

/// To whom a SUBSCRIBE or an UNSUBSCRIBE is answered.
#[derive(Debug, Clone, Copy)]
pub struct SubscribeReply {
    pub(super) id: MsgId,
    pub(super) connection: u64,
    pub(super) urgent: bool,
    pub(super) wants_ack: bool,
    pub(super) payload_len: usize,
}
