//! The backlog: answers that the peer does not read, and what this side does about them (docs/protocol.md, "Limits").
//!
//! Over the limit no handler begins, so that nothing is added to what is owed but by the handlers that run. Reading goes on:
//! what the peer sends besides its requests (answers, credit, pings) lets this side's own exchanges end, and the peer may read
//! nothing else until then. Two sides that owe each other much so never wait for each other.

use super::{Busy, Phase, Session};
use crate::budget::Budget;

/// What a refusal costs that is not read, in bytes, at most.
const REFUSAL_COST: usize = 256;

/// What reading alone may lead to before it is paused, at least: some acknowledgments, credit and PONGs.
const MIN_PROVOKED: usize = 4 * Budget::FLOOR;

impl Session {
    /// Whether the peer leaves so many answers unread that no handler is to begin, neither of a call nor of a delivery; while
    /// memory is short these are few.
    #[inline]
    pub fn is_backlogged(&self) -> bool {
        match self.phase {
            Phase::Open => {
                self.outgoing.response_cost() > self.within_memory(self.config.outgoing_queue)
            }
            // Beyond the whole of it the session would be ended.
            Phase::Suspended => self.ended_calls.kept_cost() > self.config.session_buffer / 2,
            _ => false,
        }
    }

    /// The same, with a look at memory where the queue has grown by a step, or memory was short.
    #[inline]
    pub fn update_backlog(&mut self) -> bool {
        if self.outgoing.cost() >= self.queue_limit || self.share.is_short() {
            self.report_memory();
        }
        self.is_backlogged()
    }

    /// Whether the driver can let the peer's requests wait unread: no handler begins, and those that were received are half of
    /// what is accepted. A driver that cannot write meanwhile reads on nevertheless, and further calls are refused: the peer may
    /// wait in the same way.
    pub fn defers_requests(&self) -> bool {
        self.is_backlogged() && {
            let limit = self
                .config
                .max_call_bytes
                .min(self.within_memory(usize::MAX));
            self.inbound.cost() >= limit / 2
        }
    }

    /// Whether the driver must not read: the peer does not even read what reading alone leads to, such as refusals, PONGs and
    /// credit. A peer that keeps to its limits has no more than this under way.
    #[inline]
    pub fn is_read_paused(&self) -> bool {
        let refusals = self.config.max_calls.saturating_mul(REFUSAL_COST);
        let limit = self.config.outgoing_queue.min(refusals.max(MIN_PROVOKED));
        self.outgoing.provoked_cost() > limit
    }

    /// Whether a call is refused for what a correct peer may well send while no handler begins: it knows how many calls are
    /// accepted, and not how many bytes.
    pub(super) fn is_excusable(&self, busy: &Busy) -> bool {
        matches!(busy, Busy::Bytes { .. }) && self.is_backlogged()
    }

    /// A limit, or the floor where memory is short and that is less.
    #[inline]
    fn within_memory(&self, limit: usize) -> usize {
        if self.share.is_short() {
            limit.min(Budget::FLOOR)
        } else {
            limit
        }
    }
}
