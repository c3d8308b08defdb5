//! Memory accounting: what a session holds, and what it does while memory is short (docs/operations.md, "Memory").
//!
//! Each queue and table counts its own bytes. They are added up where the driver checks for work anyway, or where the
//! outgoing queue has grown by a step.

use super::{Phase, Session, inbound::Busy, slot::InboundSlot};
use crate::{
    budget::{Budget, Evict},
    wire::Credit,
};

/// What a message that waits for its handler counts in addition to its bytes.
const MESSAGE_COST: u64 = 64;

/// What the task of a call counts whose handler is not done at once, in bytes.
const TASK_COST: usize = 1024;

/// A session with more windows of messages that wait for their handlers gets no further connection until it has caught up:
/// each connection has a window of its own.
const MAX_UNHANDLED_WINDOWS: u64 = 4;

/// One-way messages that were received and have not been handled, over all connections.
#[derive(Debug, Default)]
pub(super) struct UnhandledMessages {
    items: u64,
    bytes: u64,
}

impl UnhandledMessages {
    #[inline]
    pub(super) fn add(&mut self, payload_len: u32) {
        self.items = self.items.saturating_add(1);
        self.bytes = self.bytes.saturating_add(payload_len.into());
    }

    #[inline]
    pub(super) fn subtract(&mut self, handled: Credit) {
        self.items = self.items.saturating_sub(handled.items.into());
        self.bytes = self.bytes.saturating_sub(handled.bytes.into());
    }

    fn cost(&self) -> usize {
        let cost = self.items.saturating_mul(MESSAGE_COST);
        usize::try_from(self.bytes.saturating_add(cost)).unwrap_or(usize::MAX)
    }

    fn are_many(&self) -> bool {
        let window = Credit::CONNECTION_START;
        self.items > MAX_UNHANDLED_WINDOWS * u64::from(window.items)
            || self.bytes > MAX_UNHANDLED_WINDOWS * u64::from(window.bytes)
    }
}

impl Session {
    /// Notes how much memory the driver has reserved for reading, the received part of a frame included, and
    /// [reports](Self::report_memory).
    #[inline]
    pub fn set_read_memory(&mut self, len: usize) {
        self.read_memory = len;
        self.report_memory();
    }

    /// Reports to the memory budget what the session holds, and learns from it whether memory is short.
    pub fn report_memory(&mut self) {
        let to_send = self.held_to_send();
        self.share.report_expected(self.inbound.expected());
        let mut held = to_send + self.held_received();
        // What chunks reserve, and tasks, is memory too, though nothing that could be waited for.
        if to_send > 0 {
            held += self.outgoing.spare();
        }
        if self.inbound.running() > 0 {
            held += self.inbound.running() * TASK_COST;
        }
        if self.phase == Phase::Suspended {
            let tables = self.received.len() + self.ended_calls.len();
            self.share.report_exactly(held + tables);
        } else {
            self.share.report(held);
        }
        let queued = self.outgoing.cost();
        // The queue may grow by a step before the next report; while memory is short, to the floor, with all else that is
        // kept for the peer.
        let limit = if self.share.is_short() {
            Budget::FLOOR.saturating_sub(to_send - queued)
        } else {
            queued.saturating_add(Budget::STEP)
        };
        self.queue_limit = limit.min(self.max_queued);
    }

    /// Whether memory was short at the last report.
    #[inline]
    pub fn is_short_of_memory(&self) -> bool {
        self.share.is_short()
    }

    /// Whether no one-way message waits for its handler.
    pub fn is_handled(&self) -> bool {
        self.unhandled.items == 0 && self.unhandled_datagrams() == 0
    }

    /// Whether so many messages wait for their handlers that a further connection has to wait.
    pub fn is_behind(&self) -> bool {
        self.unhandled.are_many()
    }

    /// Allows the budget to end a session that has no connection, by calling `evict`, where memory is short. Until it is
    /// resumed it counts whole: `suspended_len` is what is held of it besides its queues, in bytes.
    pub fn allow_eviction(&mut self, evict: Evict, suspended_len: usize) {
        if self.phase == Phase::Suspended {
            self.read_memory = suspended_len;
        }
        self.report_memory();
        if self.phase == Phase::Suspended {
            self.share.allow_eviction(evict);
        }
    }

    /// The session has a connection again: what it holds counts in steps from here on.
    #[cold]
    pub(super) fn forbid_eviction(&mut self) {
        self.read_memory = 0;
        self.share
            .report_exactly(self.held_to_send() + self.held_received());
        self.share.forbid_eviction();
    }

    /// Reports, and returns whether the outgoing queue is as full as memory allows.
    #[cold]
    pub(super) fn is_out_of_memory(&mut self) -> bool {
        self.report_memory();
        self.outgoing.cost() >= self.queue_limit
    }

    /// Whether memory allows a session to keep more for the peer.
    pub(super) fn may_keep_more(&mut self) -> bool {
        self.report_memory();
        !self.share.is_short() || self.held_to_send() < Budget::FLOOR
    }

    /// Checks that memory allows a request of this length.
    #[inline]
    pub(super) fn check_memory(&self, payload_len: usize) -> Result<(), Busy> {
        if self.share.is_short() {
            return self.check_short_memory(payload_len);
        }
        Ok(())
    }

    #[cold]
    fn check_short_memory(&self, payload_len: usize) -> Result<(), Busy> {
        // The caller has no say in how large reads are.
        if self.held_unhandled().saturating_add(payload_len) > Budget::FLOOR {
            return Err(Busy::Memory {
                max: self.share.max(),
            });
        }
        Ok(())
    }

    /// Notes that the request of a call takes this much memory, inflated or decoded, until its handler has ended. Call it
    /// before the memory is taken.
    ///
    /// # Errors
    ///
    /// [`Busy`] where the requests of the open calls would be too large, or memory is short: answer this one with an error.
    pub fn request_grows(&mut self, slot: InboundSlot, len: usize) -> Result<(), Busy> {
        let more = self.inbound.grow(slot, len)?;
        self.check_growth().inspect_err(|_| {
            self.inbound.shrink(slot, more);
            self.report_memory();
        })
    }

    /// Notes that the one-way message that is handled next takes this much memory once it is decoded, until
    /// [`message_handled`](Self::message_handled). Call it before the memory is taken.
    ///
    /// # Errors
    ///
    /// [`Busy`] where memory is short: the message is not to be decoded.
    pub fn message_grows(&mut self, len: usize) -> Result<(), Busy> {
        self.decoded_message = len;
        self.check_growth().inspect_err(|_| self.message_handled())
    }

    /// The message has been handled that was last told to [`message_grows`](Self::message_grows).
    pub fn message_handled(&mut self) {
        self.decoded_message = 0;
        self.report_memory();
    }

    /// Checks that memory allows what was just added, beyond what each connection may hold in any case. It is reported
    /// first, so that of several sessions that grow at once no two take the same memory.
    fn check_growth(&mut self) -> Result<(), Busy> {
        self.report_memory();
        self.check_memory(0)
    }

    #[inline]
    fn held_to_send(&self) -> usize {
        let held = self.outgoing.cost()
            + self.droppable_queue.cost()
            + self.resend_queue.cost()
            + self.outbound.kept_cost()
            + self.ended_calls.kept_cost();
        match &self.datagrams {
            None => held,
            Some(datagrams) => held + datagrams.held_to_send(),
        }
    }

    #[inline]
    fn held_received(&self) -> usize {
        self.read_memory + self.held_unhandled()
    }

    #[inline]
    fn held_unhandled(&self) -> usize {
        let held = self.unhandled.cost()
            + self.decoded_message
            + self.inbound.cost()
            + self.streams.unread();
        match &self.datagrams {
            None => held,
            Some(datagrams) => held + datagrams.held_received(),
        }
    }

    /// What is held, reported or not.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn held(&self) -> usize {
        self.held_to_send() + self.held_received()
    }
}
