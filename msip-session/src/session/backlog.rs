//! The backlog: answers that the peer does not read, and what this side does about them (docs/protocol.md, "Limits").
//!
//! Over the limit no handler begins, so that nothing is added to what is owed but by the handlers that run. Reading goes on:
//! what the peer sends besides its requests (answers, credit, pings) lets this side's own exchanges end, and the peer may read
//! nothing else until then. Two sides that owe each other much so never wait for each other.

use std::time::Duration;

use super::{Busy, InboundSlot, Phase, Session, fault_injection::FaultInjection};
use crate::budget::Budget;

/// How many calls a connection may run at once that were not done at once, whatever others do, even where their answers are
/// expected to exceed its floor of memory.
const MIN_RUNNING: usize = 4;

/// One more may run after each of these.
const ROUND: Duration = Duration::from_millis(250);

/// How many more calls may run than at least, where those that do run for long.
#[derive(Debug, Default)]
pub(super) struct Patience {
    more: usize,
    ends_at: Option<Duration>,
}

/// What a refusal costs that is not read, in bytes, at most.
const REFUSAL_COST: usize = 256;

/// What reading alone may lead to before it is paused, at least: some acknowledgments, credit and PONGs.
const MIN_PROVOKED: usize = 4 * Budget::FLOOR;

impl Session {
    /// Whether memory is enough, and so few answers wait to be written that no rule here applies: the usual case, told by one
    /// look.
    #[inline]
    pub fn owes_little(&self) -> bool {
        !self.share.is_tight()
            && self.outgoing.response_cost() <= self.max_queued.min(Budget::FLOOR)
    }

    /// Whether the peer leaves so many answers unread that no handler is to begin, neither of a call nor of a delivery; while
    /// memory is short these are few.
    #[inline]
    pub fn is_backlogged(&self) -> bool {
        !self.owes_little() && self.leaves_answers()
    }

    #[cold]
    fn leaves_answers(&self) -> bool {
        self.phase == Phase::Open
            && (self.owes_much() || self.awaits_much())
            && !FaultInjection::IgnoreBacklog.is_on()
    }

    /// Whether more answers wait to be written than is allowed.
    #[inline]
    fn owes_much(&self) -> bool {
        self.outgoing.response_cost() > self.within_memory(self.max_queued)
    }

    /// Whether memory is tight, and this connection runs so many calls that their answers are expected to exceed its floor, with
    /// what is owed already.
    #[inline]
    fn awaits_much(&self) -> bool {
        let awaited = || {
            let owed = self.outgoing.response_cost();
            owed.saturating_add(self.inbound.expected())
        };
        self.share.is_tight()
            && self.inbound.running() >= MIN_RUNNING + self.patience.more
            && awaited() > Budget::FLOOR
    }

    /// The same, with a look at memory where the answers are more than the floor and the queue has grown by a step, or memory was
    /// short.
    #[inline]
    pub fn update_backlog(&mut self) -> bool {
        !self.owes_little() && self.look_at_backlog()
    }

    #[cold]
    fn look_at_backlog(&mut self) -> bool {
        let are_many = self.outgoing.response_cost() > Budget::FLOOR;
        if (are_many && self.outgoing.cost() >= self.queue_limit) || self.share.is_tight() {
            self.report_memory();
        }
        self.leaves_answers()
    }

    /// Notes that the handler of a call was not done at once: its answer is counted before it is there.
    pub fn call_runs(&mut self, slot: InboundSlot, variant: u16) {
        let expected = self.share.expected_answer(variant);
        self.inbound.runs(slot, variant, expected);
        self.report_memory();
    }

    /// When to look again, where no handler begins for what the running calls of all connections are expected to be answered with.
    /// One more may begin each time: they may run for long, and nobody is locked out.
    #[inline]
    pub fn relax_backlog(&mut self, now: Duration) -> Option<Duration> {
        if !self.share.is_tight() {
            self.patience = Patience::default();
            return None;
        }
        self.relax_tight_backlog(now)
    }

    #[cold]
    fn relax_tight_backlog(&mut self, now: Duration) -> Option<Duration> {
        if self.phase != Phase::Open || !self.awaits_much() {
            return None;
        }
        let Patience { more, ends_at } = &mut self.patience;
        if ends_at.is_some_and(|at| now >= at) {
            *more += 1;
            *ends_at = None;
        }
        Some(*ends_at.get_or_insert(now + ROUND))
    }

    /// Notes that a call is answered with so many bytes, or with an item of so many: as much is expected of others.
    #[cold]
    pub fn note_answer(&mut self, slot: InboundSlot, len: usize) {
        if let Some(variant) = self.inbound.running_variant(slot) {
            self.share.note_answer(variant, len);
        }
    }

    /// Whether the driver can let the peer's requests wait unread: no handler begins before some answers are written, and what was
    /// received is half of what is accepted. A driver that cannot write meanwhile reads on nevertheless, and further calls are
    /// refused: the peer may wait in the same way.
    #[inline]
    pub fn defers_requests(&self) -> bool {
        !self.owes_little() && self.lets_requests_wait()
    }

    #[cold]
    fn lets_requests_wait(&self) -> bool {
        self.phase == Phase::Open
            && self.owes_much()
            && self.inbound.cost() >= self.within_memory(self.config.max_call_bytes) / 2
    }

    /// Whether the driver must not read: the peer does not even read what reading alone leads to, such as refusals, PONGs and
    /// credit. A peer that keeps to its limits has no more than this under way.
    #[inline]
    pub fn is_read_paused(&self) -> bool {
        !self.owes_little() && self.has_provoked_much()
    }

    #[cold]
    fn has_provoked_much(&self) -> bool {
        let refusals = self.config.max_calls.saturating_mul(REFUSAL_COST);
        let limit = self.max_queued.min(refusals.max(MIN_PROVOKED));
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
