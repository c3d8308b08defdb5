//! The table of outbound exchanges: what this side has opened and that waits for an answer.
//!
//! An answer finds its exchange by index: the low bits of an id are a slot, and the ids of deliveries, which count
//! without gaps, lead to their slots through a ring.

mod delivery_ids;
mod entry;
mod resume;
#[cfg(test)]
mod tests;

use std::time::Duration;

use slab::Slab;

use super::{
    cancels::Cancel,
    fault_injection::FaultInjection,
    outgoing::Position,
    slot::{Slot, Token},
    streams::{LATE_FRAMES, StreamKey, StreamTable},
    to_usize,
};
use crate::wire::{MsgId, Side};
pub(super) use delivery_ids::DELIVERY_WINDOW;
use delivery_ids::DeliveryIds;
use entry::{Books, Entry, cost};
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

/// What an ACK or ERROR has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// An exchange that is awaited.
    Awaited(Token),
    /// A call that is not, which was in this slot; there may be capacity for another.
    Abandoned(Slot),
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

    /// Whether the droppable delivery with this placeholder is awaited.
    pub(super) fn is_droppable(&self, placeholder: MsgId) -> bool {
        self.droppable(placeholder).is_some()
    }

    fn droppable(&self, placeholder: MsgId) -> Option<Slot> {
        let slot = self.find(placeholder)?;
        let entry = self.entries.get(slot.index())?;
        (entry.class == Class::Droppable).then_some(slot)
    }

    /// The droppable delivery with this placeholder is sent: it becomes a delivery with the next id, whose frame `frame`
    /// makes. `None` where it is not awaited.
    pub(super) fn number_droppable(
        &mut self,
        placeholder: MsgId,
        frame: impl FnOnce(MsgId) -> (Position, Vec<u8>),
    ) -> Option<MsgId> {
        let slot = self.droppable(placeholder)?;
        let entry = self.entries.get_mut(slot.index())?;
        let books = &mut self.books;
        let id = MsgId::delivery(books.side, books.deliveries.next());
        let (position, kept) = frame(id);
        books.kept_cost += cost(&kept);
        entry.id = id;
        entry.class = Class::Delivery;
        entry.position = position;
        entry.kept = kept;
        books.deliveries.push(slot);
        Some(id)
    }

    /// The droppable delivery with this placeholder was dropped; it is closed.
    pub(super) fn close_droppable(&mut self, placeholder: MsgId) -> Option<Token> {
        let slot = self.droppable(placeholder)?;
        self.take(slot).map(|entry| entry.token)
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

    /// Whether a frame for an exchange that is not open may be late: it was under way when the exchange ended here.
    pub(super) fn allows_late(&mut self, id: MsgId) -> bool {
        let was_issued = id.chosen_by() == self.books.side && !id.is_connection();
        if was_issued && self.late_frames > 0 {
            self.late_frames -= 1;
            return true;
        }
        false
    }

    /// So many more frames may be late.
    pub(super) fn allow_late(&mut self, frames: usize) {
        self.late_frames += frames as u64;
    }

    /// Closes the call or delivery that an ACK or ERROR with this id answers. `None` where none is open under it.
    pub(super) fn answer(&mut self, id: MsgId, streams: &mut StreamTable) -> Option<Ended> {
        let slot = self.find(id)?;
        match self.entries.get(slot.index())?.class {
            Class::Call | Class::Delivery | Class::Subscribe => {
                let entry = self.remove(slot, streams)?;
                Some(Ended::Awaited(entry.token))
            }
            Class::Abandoned => self.take(slot).map(|_| Ended::Abandoned(slot)),
            Class::Ping | Class::Droppable => None,
        }
    }

    /// The same for a call, whose streams end with it. `None` where it is another exchange, and nothing has happened.
    #[inline]
    pub(super) fn answer_call(&mut self, id: MsgId, streams: &mut StreamTable) -> Option<Token> {
        let slot = self.find(id).filter(|_| !id.is_delivery())?;
        let entry = self.entries.get(slot.index())?;
        if entry.class != Class::Call || !entry.kept.is_empty() {
            return None;
        }
        let (token, key) = (entry.token, entry.streams);
        self.entries.try_remove(slot.index())?;
        self.books.calls = self.books.calls.saturating_sub(1);
        if let Some(key) = key {
            streams.close(key);
            self.late_frames += LATE_FRAMES;
        }
        Some(token)
    }

    /// Closes the ping that a PONG with this id answers.
    pub(super) fn pong(&mut self, id: MsgId) -> Option<Token> {
        let slot = self.find(id)?;
        if self.entries.get(slot.index())?.class != Class::Ping {
            return None;
        }
        self.take(slot).map(|entry| entry.token)
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

    /// A call is not awaited any more, and the peer will say when it has ended there. Until then it counts, since it counts
    /// there.
    pub(super) fn abandon(&mut self, slot: Slot, streams: &mut StreamTable) {
        let Some(entry) = self.entries.get_mut(slot.index()) else {
            return;
        };
        if let Some(key) = entry.streams.take() {
            streams.close(key);
            self.late_frames += LATE_FRAMES;
        }
        let kept = std::mem::take(&mut entry.kept);
        self.books.kept_cost = self.books.kept_cost.saturating_sub(cost(&kept));
        self.books.abandoned += 1;
        entry.class = Class::Abandoned;
        entry.deadline = Duration::MAX;
    }

    /// Closes an exchange that is not awaited any more.
    pub(super) fn forget(&mut self, slot: Slot, streams: &mut StreamTable) {
        let entry = self.entries.get(slot.index());
        if entry.is_some_and(|entry| entry.class == Class::Abandoned) {
            return;
        }
        if let Some(entry) = self.remove(slot, streams) {
            // What was never sent is never answered.
            self.late_frames += u64::from(entry.class != Class::Droppable);
        }
    }

    /// Closes an exchange and its streams.
    fn remove(&mut self, slot: Slot, streams: &mut StreamTable) -> Option<Entry> {
        let entry = self.take(slot)?;
        if let Some(key) = entry.streams {
            streams.close(key);
            self.late_frames += LATE_FRAMES;
        }
        Some(entry)
    }

    /// Closes an exchange, which has no streams or whose streams are closed by the caller.
    fn take(&mut self, slot: Slot) -> Option<Entry> {
        let entry = self.entries.try_remove(slot.index())?;
        let books = &mut self.books;
        books.kept_cost = books.kept_cost.saturating_sub(cost(&entry.kept));
        match entry.class {
            Class::Call => books.calls = books.calls.saturating_sub(1),
            Class::Abandoned => {
                books.calls = books.calls.saturating_sub(1);
                books.abandoned = books.abandoned.saturating_sub(1);
            }
            Class::Delivery => books.deliveries.remove(entry.id.sequence()),
            Class::Ping | Class::Subscribe | Class::Droppable => {}
        }
        Some(entry)
    }

    /// When the next exchange may time out.
    #[inline]
    pub(super) const fn poll_timeout(&self) -> Option<Duration> {
        self.books.next_deadline
    }

    /// Adds the exchanges that have timed out to `expired`, and closes them but for the calls, which it returns.
    pub(super) fn expire(
        &mut self,
        now: Duration,
        streams: &mut StreamTable,
        expired: &mut Vec<Token>,
    ) -> Vec<Slot> {
        let mut calls = Vec::new();
        if self.books.next_deadline.is_none_or(|next| now < next) {
            return calls;
        }
        let mut next_deadline: Option<Duration> = None;
        let mut late = Vec::new();
        for (index, entry) in &self.entries {
            if entry.deadline <= now {
                late.push(Slot::from_index(index));
                expired.push(entry.token);
            } else {
                next_deadline =
                    Some(next_deadline.map_or(entry.deadline, |next| next.min(entry.deadline)));
            }
        }
        self.books.next_deadline = next_deadline;
        for slot in late {
            if self.to_abandon(slot).is_some() {
                calls.push(slot);
            } else {
                self.forget(slot, streams);
            }
        }
        calls
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
