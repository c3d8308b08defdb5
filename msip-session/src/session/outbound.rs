//! The table of outbound exchanges: what this side has opened and that waits for an answer.
//!
//! An answer finds its exchange by index: the low bits of an id are a slot, and the ids of deliveries, which count
//! without gaps, lead to their slots through a ring.

mod delivery_ids;
mod droppable;
mod ending;
mod entry;
mod resume;
#[cfg(test)]
mod tests;

use slab::Slab;

use super::{
    cancels::Cancel,
    fault_injection::FaultInjection,
    outgoing::Position,
    slot::{Slot, Token},
    streams::StreamKey,
    to_usize,
};
use crate::wire::{MsgId, Side};
pub(super) use delivery_ids::DELIVERY_WINDOW;
use delivery_ids::DeliveryIds;
pub(super) use ending::Ended;
use entry::{Books, Entry};
pub(super) use entry::{Opening, VacantExchange};

/// How many bits of an id are its slot.
const SLOT_BITS: u32 = 16;

/// How many exchanges can be open at once.
const MAX_SLOTS: usize = 1 << SLOT_BITS;

/// How many calls can be open at once until the peer says how many it allows.
const DEFAULT_MAX_CALLS: usize = 1024;

/// The class of an outbound exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Class {
    /// A request that is answered with a message, or a stream of them.
    Call,
    /// A one-way message that is acknowledged.
    Delivery,
    /// A PING.
    Ping,
    /// A SUBSCRIBE or an UNSUBSCRIBE.
    Subscribe,
    /// A delivery that waits in the droppable queue, and has no id yet.
    Droppable,
    /// A call that nobody here waits for any more, and that counts until the peer has ended it. It has no outcome.
    Abandoned,
}

/// A call that is not awaited any more.
#[derive(Debug, Clone, Copy)]
pub(super) struct AbandonedCall {
    pub(super) cancel: Cancel,
    /// Where its opening frame is queued; `None` where an earlier connection has sent it.
    pub(super) position: Option<Position>,
    /// Items may follow that frame, and come from the peer.
    pub(super) has_streams: bool,
}

/// An exchange that has ended with its session or connection, without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lost {
    /// The driver's name for it.
    pub token: Token,
    /// The kind of exchange.
    pub class: Class,
    /// The member of the envelope that its message was; 0 for a PING.
    pub variant: u16,
    /// Whether any of the request had been handed to the transport.
    pub sent: bool,
}

/// What is kept of a table in which nothing is open.
#[derive(Debug)]
pub(super) struct GoOn {
    sequence: u64,
    next_delivery: u64,
    max_calls: usize,
    late_frames: u64,
}

/// Calls, deliveries and pings that wait for their answers.
#[derive(Debug)]
pub(super) struct OutboundExchanges {
    entries: Slab<Entry>,
    books: Books,
    max_calls: usize,
    /// How many frames may still come for exchanges that have ended here.
    late_frames: u64,
}

impl OutboundExchanges {
    pub(super) fn new(side: Side) -> Self {
        Self {
            entries: Slab::new(),
            books: Books {
                side,
                sequence: 0,
                deliveries: DeliveryIds::default(),
                calls: 0,
                abandoned: 0,
                next_deadline: None,
                kept_cost: 0,
            },
            max_calls: DEFAULT_MAX_CALLS,
            late_frames: 0,
        }
    }

    /// How many calls the peer allows at once.
    pub(super) fn set_max_calls(&mut self, max_calls: usize) {
        // Half of the slots are left to deliveries and pings.
        self.max_calls = max_calls.clamp(1, MAX_SLOTS / 2);
    }

    /// What a parked session keeps: the number of the last id, that of the next delivery, how many calls the peer allows, and
    /// how many frames may be late.
    pub(super) fn to_go_on(&self) -> GoOn {
        GoOn {
            sequence: self.books.sequence,
            next_delivery: self.books.deliveries.next(),
            max_calls: self.max_calls,
            late_frames: self.late_frames,
        }
    }

    /// A new table goes on where another one was.
    pub(super) fn go_on(&mut self, before: &GoOn) {
        self.books.sequence = before.sequence;
        self.books.deliveries.begin_with(before.next_delivery);
        self.max_calls = before.max_calls;
        self.late_frames = before.late_frames;
    }

    /// Whether nothing is open, awaited or not.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.books.deliveries.len() == 0
    }

    /// How many more calls can be opened.
    pub(super) const fn call_capacity(&self) -> usize {
        self.max_calls.saturating_sub(self.books.calls)
    }

    #[inline]
    pub(super) fn can_call(&self) -> bool {
        self.books.calls < self.max_calls && self.has_slot()
    }

    pub(super) fn can_deliver(&self) -> bool {
        self.books.deliveries.has_capacity() && self.has_slot()
    }

    #[inline]
    pub(super) fn has_slot(&self) -> bool {
        self.entries.len() < MAX_SLOTS
    }

    /// How many calls are open, and awaited.
    pub(super) fn calls(&self) -> usize {
        self.books.calls - to_usize(self.books.abandoned)
    }

    /// How many calls and deliveries are open, and awaited.
    pub(super) fn len(&self) -> usize {
        self.calls() + self.books.deliveries.unanswered().count()
    }

    /// How many calls nobody waits for, though the peer has not ended them.
    pub(super) const fn abandoned_count(&self) -> u32 {
        self.books.abandoned
    }

    /// No call or delivery waits for an answer.
    pub(super) fn is_idle(&self) -> bool {
        self.calls() == 0 && self.books.deliveries.len() == 0
    }

    /// A new id for a message that is not answered.
    #[inline]
    pub(super) fn next_id(&mut self) -> MsgId {
        self.books.sequence += 1;
        MsgId::exchange(self.books.side, self.books.sequence << SLOT_BITS)
    }

    /// All ids from here on come after this one.
    pub(super) fn begin_after(&mut self, id: MsgId) {
        self.books.sequence = self.books.sequence.max(id.sequence() >> SLOT_BITS);
    }

    /// A free slot for a call.
    #[inline]
    pub(super) fn vacant_call(&mut self) -> VacantExchange<'_> {
        self.vacant_indexed(Class::Call)
    }

    /// A free slot for a ping.
    pub(super) fn vacant_ping(&mut self) -> VacantExchange<'_> {
        self.vacant_indexed(Class::Ping)
    }

    /// A free slot for a SUBSCRIBE or an UNSUBSCRIBE.
    pub(super) fn vacant_subscription(&mut self) -> VacantExchange<'_> {
        self.vacant_indexed(Class::Subscribe)
    }

    /// A free slot for a delivery that waits in the droppable queue.
    pub(super) fn vacant_droppable(&mut self) -> VacantExchange<'_> {
        self.vacant_indexed(Class::Droppable)
    }

    /// A free slot for a delivery.
    pub(super) fn vacant_delivery(&mut self) -> VacantExchange<'_> {
        let id = MsgId::delivery(self.books.side, self.books.deliveries.next());
        VacantExchange {
            entry: self.entries.vacant_entry(),
            books: &mut self.books,
            id,
            class: Class::Delivery,
        }
    }

    /// A free slot whose id leads to it.
    #[inline]
    fn vacant_indexed(&mut self, class: Class) -> VacantExchange<'_> {
        let entry = self.entries.vacant_entry();
        self.books.sequence += 1;
        let sequence = self.books.sequence << SLOT_BITS | entry.key() as u64;
        VacantExchange {
            id: MsgId::exchange(self.books.side, sequence),
            entry,
            books: &mut self.books,
            class,
        }
    }

    /// Whether an exchange under this id is awaited.
    pub(super) fn is_awaited(&self, id: MsgId) -> bool {
        self.entry_of(id)
            .is_some_and(|entry| entry.class != Class::Abandoned)
    }

    /// The exchange under this id, where it has streams.
    pub(super) fn with_streams(&self, id: MsgId) -> Option<Slot> {
        let slot = self.find(id)?;
        self.streams(slot).map(|_| slot)
    }

    /// Where the streams of an exchange are, and the driver's name for it.
    #[inline]
    pub(super) fn streams_of(&self, id: MsgId) -> Option<(StreamKey, Token)> {
        let entry = self.entries.get(self.find(id)?.index())?;
        Some((entry.streams?, entry.token))
    }

    /// Where the streams of an exchange are.
    #[inline]
    pub(super) fn streams(&self, slot: Slot) -> Option<StreamKey> {
        self.entries.get(slot.index())?.streams
    }

    /// The calls that have streams.
    pub(super) fn calls_with_streams(&self) -> Vec<(Slot, Token)> {
        self.entries
            .iter()
            .filter(|(_, entry)| entry.streams.is_some())
            .map(|(index, entry)| (Slot::from_index(index), entry.token))
            .collect()
    }

    /// What is to be done about a call that is awaited, and is not to be any more.
    pub(super) fn to_abandon(&self, slot: Slot) -> Option<AbandonedCall> {
        let entry = self.entries.get(slot.index())?;
        (entry.class == Class::Call).then_some(AbandonedCall {
            cancel: entry.cancel(),
            position: (!entry.was_sent).then_some(entry.position),
            has_streams: entry.streams.is_some(),
        })
    }

    /// Whether nobody waits for this call, though the peer has not ended it.
    pub(super) fn is_abandoned(&self, id: MsgId) -> bool {
        self.entry_of(id)
            .is_some_and(|entry| entry.class == Class::Abandoned)
    }

    /// The same by its slot.
    pub(super) fn is_abandoned_slot(&self, slot: Slot) -> bool {
        let entry = self.entries.get(slot.index());
        entry.is_some_and(|entry| entry.class == Class::Abandoned)
    }

    /// Whether an exchange is open in this slot, awaited or not.
    pub(super) fn is_used(&self, slot: Slot) -> bool {
        self.entries.contains(slot.index())
    }

    #[inline]
    fn find(&self, id: MsgId) -> Option<Slot> {
        let slot = if id.is_delivery() {
            self.books.deliveries.slot_of(id.sequence())?
        } else {
            Slot::from_index(usize::try_from(id.sequence() & ((1 << SLOT_BITS) - 1)).ok()?)
        };
        let is_same =
            self.entries.get(slot.index())?.id == id || FaultInjection::AnswerAnyExchange.is_on();
        is_same.then_some(slot)
    }

    #[inline]
    fn entry_of(&self, id: MsgId) -> Option<&Entry> {
        self.entries.get(self.find(id)?.index())
    }

    /// The frames that are kept to be sent again, in bytes, each counted as its length + 64.
    pub(super) const fn kept_cost(&self) -> usize {
        self.books.kept_cost
    }

    /// From the oldest unanswered delivery on, how many there are.
    pub(super) fn delivery_count(&self) -> usize {
        self.books.deliveries.len()
    }

    /// Frees memory that a burst needed.
    pub(super) fn release(&mut self) {
        self.entries.shrink_to_fit();
        self.books.deliveries.release();
    }
}
