//! Completion batches: the results of a service, reported to the session many at a time, under one lock.

use super::inbox::Inbox;
use crate::{
    Status, Variant,
    connection::{Completion, ConnectionShared, Outgoing, Terms},
};
use msip_session::{
    InboundSlot,
    wire::{Credit, MsgId},
};

/// How many one-way messages are handled before the peer is granted as many again, at most.
const MESSAGES: u32 = 128;

/// How many answers and acknowledgments wait for each other, and how many bytes of answers.
const ANSWERS: usize = 128;
const ANSWERS_LEN: usize = 64 * 1024;

const NOTHING: Credit = Credit { items: 0, bytes: 0 };

/// Completions that were not reported to the session yet. Nothing stays here while the service waits for anything.
#[derive(Debug)]
pub(super) struct CompletionBatch<Out> {
    /// The terms of the connection by which the messages came that are being handled.
    pub(super) terms: Terms,
    handled: Credit,
    answers: Vec<Completion<Out>>,
    answers_len: usize,
}

impl<Out: Outgoing> CompletionBatch<Out> {
    pub(super) fn new(terms: Terms) -> Self {
        Self {
            terms,
            handled: NOTHING,
            answers: Vec::new(),
            answers_len: 0,
        }
    }

    /// A one-way message has been handled: the peer may send another.
    #[inline]
    pub(super) fn handled(&mut self, payload_len: u32) {
        self.handled.items += 1;
        self.handled.bytes = self.handled.bytes.saturating_add(payload_len);
    }

    /// Several one-way messages have been handled.
    pub(super) fn handled_many(&mut self, credit: Credit) {
        self.handled.items = self.handled.items.saturating_add(credit.items);
        self.handled.bytes = self.handled.bytes.saturating_add(credit.bytes);
    }

    /// A delivery has been handled.
    pub(super) fn acknowledge(&mut self, id: MsgId, urgent: bool, outcome: Result<(), Status>) {
        self.answers.push(Completion::Delivery {
            id,
            urgent,
            outcome,
        });
    }

    /// A call has been answered, by a message that is written in protobuf, unchanged.
    pub(super) fn answer(&mut self, slot: InboundSlot, variant: &'static Variant, answer: Out) {
        let len = answer.encoded_len();
        self.answers_len += len;
        self.answers.push(Completion::Call {
            slot,
            variant,
            len,
            answer,
        });
    }

    /// Whether there is enough to report it to the session now.
    #[inline]
    pub(super) fn is_due(&self) -> bool {
        self.handled.items >= MESSAGES
            || self.answers.len() >= ANSWERS
            || self.answers_len >= ANSWERS_LEN
    }

    /// Reports all of it to the session.
    #[inline]
    pub(super) fn flush(&mut self, connection: &ConnectionShared, inbox: &Inbox) {
        if self.has_some() {
            self.flush_now(connection, inbox);
        }
    }

    /// By itself, so that a poll that has nothing to tell stays short.
    #[inline(never)]
    fn flush_now(&mut self, connection: &ConnectionShared, inbox: &Inbox) {
        let handled = std::mem::replace(&mut self.handled, NOTHING);
        self.answers_len = 0;
        let Some(window) = inbox.window() else {
            return connection.complete(&self.terms, handled, &mut self.answers);
        };
        // The session has granted that already.
        if !self.answers.is_empty() {
            connection.complete(&self.terms, NOTHING, &mut self.answers);
        }
        if handled.items > 0 {
            window.handled(handled, self.terms.connection);
        }
    }

    /// Whether there is something to be reported.
    #[inline]
    pub(super) fn has_some(&self) -> bool {
        self.handled.items > 0 || !self.answers.is_empty()
    }

    /// Gives back the memory that a burst needed.
    pub(super) fn release(&mut self) {
        if self.answers.is_empty() {
            self.answers = Vec::new();
        }
    }
}
