//! The exchanges that this side has opened and that wait for an answer.
//!
//! An answer finds its exchange by index: an id's low bits are its slot, and the ids of deliveries, which must
//! count without gaps, lead to their slots through a ring.

use std::{collections::VecDeque, time::Duration};

use slab::Slab;

use super::{fault_injection::FaultInjection, outgoing::Position, streams::Streams};
use crate::wire::{MsgId, Side};

/// How many bits of an id are its slot.
const SLOT_BITS: u32 = 16;

/// The most exchanges that can be open at once.
pub const MAX_SLOTS: usize = 1 << SLOT_BITS;

/// How far the newest delivery may be ahead of the oldest one without an answer (docs/protocol.md, "Message ids").
pub(super) const DELIVERY_WINDOW: usize = 4096;

/// How many frames of a stream may be under way when its exchange ends: its window, and a few that grant or end it.
pub(super) const LATE_FRAMES: u64 = 32;

/// The place of an open exchange, as long as it is open.
pub type Slot = usize;

/// What the layer above knows an exchange by; it outlives the slot.
pub type Token = usize;

/// What kind of an exchange it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Call,
    Delivery,
    Ping,
    /// A delivery that has no id yet.
    Droppable,
}

#[derive(Debug)]
struct Entry {
    id: MsgId,
    class: Class,
    token: Token,
    urgent: bool,
    deadline: Duration,
    position: Position,
    streams: Option<Box<Streams>>,
    /// The member that the message is, to tell the user of it.
    variant: u16,
    /// Some of it was handed to a connection that is lost since.
    was_sent: bool,
    /// The whole frame of a delivery that may have to be sent again.
    kept: Vec<u8>,
}

/// An exchange that is being opened.
#[derive(Debug)]
pub struct Opening {
    pub id: MsgId,
    /// The member that the message is.
    pub variant: u16,
    pub token: Token,
    pub urgent: bool,
    /// When it runs out of time; `Duration::MAX` is never.
    pub deadline: Duration,
    pub position: Position,
    /// The whole frame, where it may have to be sent again.
    pub kept: Vec<u8>,
}

/// A call for whose answer nobody waits any more.
#[derive(Debug, Clone, Copy)]
pub struct ToCancel {
    pub id: MsgId,
    pub urgent: bool,
    /// Its opening frame; none where that was sent by an earlier connection.
    pub position: Option<Position>,
    /// Items may stand behind that frame, and come from the other side.
    pub has_streams: bool,
}

/// An exchange that has ended with its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    pub token: Token,
    pub class: Class,
    pub variant: u16,
    /// Whether any of the request had been handed to the transport.
    pub sent: bool,
}

/// What a kept frame costs beside its bytes.
const FRAME_COST: usize = 64;

/// Calls, deliveries and pings that wait for their answers.
#[derive(Debug)]
pub struct OutboundExchanges {
    side: Side,
    entries: Slab<Entry>,
    calls: usize,
    max_calls: usize,
    sequence: u64,
    /// The slots of the deliveries from `first_delivery` on; `None` where one has been answered.
    deliveries: VecDeque<Option<Slot>>,
    first_delivery: u64,
    /// No exchange has an earlier deadline.
    next_deadline: Option<Duration>,
    /// How many frames may still come for exchanges that have ended here.
    excused: u64,
    kept_cost: usize,
    /// What has come of streams and was not taken, in bytes.
    stream_bytes: usize,
}

impl OutboundExchanges {
    pub fn new(side: Side) -> Self {
        Self {
            side,
            entries: Slab::new(),
            calls: 0,
            max_calls: 1024,
            sequence: 0,
            deliveries: VecDeque::new(),
            first_delivery: 1,
            next_deadline: None,
            excused: 0,
            kept_cost: 0,
            stream_bytes: 0,
        }
    }

    /// How many calls the other side allows at once.
    pub fn set_max_calls(&mut self, max_calls: usize) {
        // Half of the slots are left to deliveries and pings.
        self.max_calls = max_calls.clamp(1, MAX_SLOTS / 2);
    }

    /// How many calls can be opened.
    pub fn room_for_calls(&self) -> usize {
        self.max_calls.saturating_sub(self.calls)
    }

    pub fn has_room_for_call(&self) -> bool {
        self.calls < self.max_calls && self.entries.len() < MAX_SLOTS
    }

    pub fn has_room_for_delivery(&self) -> bool {
        self.deliveries.len() < DELIVERY_WINDOW && self.entries.len() < MAX_SLOTS
    }

    pub fn has_room_for_ping(&self) -> bool {
        self.entries.len() < MAX_SLOTS
    }

    /// How many exchanges are open, pings aside.
    pub fn len(&self) -> usize {
        self.calls + self.deliveries.iter().flatten().count()
    }

    /// Nothing waits for an answer, pings aside.
    pub fn is_idle(&self) -> bool {
        self.calls == 0 && self.deliveries.is_empty()
    }

    /// An id for something that nobody answers.
    pub fn next_id(&mut self) -> MsgId {
        self.sequence += 1;
        MsgId::exchange(self.side, self.sequence << SLOT_BITS)
    }

    /// All ids from here on come after this one.
    pub fn begin_after(&mut self, id: MsgId) {
        self.sequence = self.sequence.max(id.sequence() >> SLOT_BITS);
    }

    /// The id that the next call or ping will have.
    #[inline]
    pub fn next_call_id(&mut self) -> MsgId {
        self.sequence += 1;
        let slot = self.entries.vacant_key() as u64;
        MsgId::exchange(self.side, self.sequence << SLOT_BITS | slot)
    }

    /// The id that the next delivery will have.
    pub fn next_delivery_id(&self) -> MsgId {
        MsgId::delivery(
            self.side,
            self.first_delivery + self.deliveries.len() as u64,
        )
    }

    #[inline]
    pub fn insert_call(&mut self, opening: Opening, streams: Option<Box<Streams>>) -> Slot {
        self.calls += 1;
        self.insert(Class::Call, opening, streams)
    }

    pub fn insert_ping(&mut self, opening: Opening) -> Slot {
        self.insert(Class::Ping, opening, None)
    }

    pub fn insert_delivery(&mut self, opening: Opening) -> Slot {
        let slot = self.insert(Class::Delivery, opening, None);
        self.deliveries.push_back(Some(slot));
        slot
    }

    /// A delivery that waits for room; its id is a stand-in, which no frame bears.
    pub fn insert_droppable(&mut self, opening: Opening) -> Slot {
        self.insert(Class::Droppable, opening, None)
    }

    /// Whether somebody waits for the delivery that is known by this stand-in.
    pub fn is_droppable(&self, stand_in: MsgId) -> bool {
        self.droppable(stand_in).is_some()
    }

    fn droppable(&self, stand_in: MsgId) -> Option<Slot> {
        let slot = self.find(stand_in)?;
        let entry = self.entries.get(slot)?;
        (entry.class == Class::Droppable).then_some(slot)
    }

    /// The delivery that was known by a stand-in goes out, under the next id; `kept` is its frame, where it may have to
    /// be sent again.
    pub fn number(&mut self, stand_in: MsgId, position: Position, kept: Vec<u8>) {
        let id = self.next_delivery_id();
        let Some(slot) = self.droppable(stand_in) else {
            return;
        };
        let Some(entry) = self.entries.get_mut(slot) else {
            return;
        };
        self.kept_cost += cost(&kept);
        entry.id = id;
        entry.class = Class::Delivery;
        entry.position = position;
        entry.kept = kept;
        self.deliveries.push_back(Some(slot));
    }

    /// The delivery that was known by a stand-in does not go out; it is closed.
    pub fn send_droppable(&mut self, stand_in: MsgId) -> Option<Token> {
        let slot = self.droppable(stand_in)?;
        let token = self.entries.get(slot)?.token;
        self.remove(slot);
        Some(token)
    }

    #[inline]
    fn insert(&mut self, class: Class, opening: Opening, streams: Option<Box<Streams>>) -> Slot {
        let Opening {
            id,
            token,
            urgent,
            variant,
            deadline,
            position,
            kept,
        } = opening;
        self.kept_cost += cost(&kept);
        self.next_deadline = Some(
            self.next_deadline
                .map_or(deadline, |next| next.min(deadline)),
        );
        self.entries.insert(Entry {
            id,
            class,
            token,
            urgent,
            deadline,
            position,
            streams,
            variant,
            was_sent: false,
            kept,
        })
    }

    /// An item of a response stream has come: whose, and whether there was credit for it. `None` where no such stream
    /// is open.
    pub fn item(&mut self, id: MsgId, payload_len: u32) -> Option<(Token, bool)> {
        let slot = self.find(id)?;
        let entry = self.entries.get_mut(slot)?;
        let accepted = entry.streams.as_mut()?.accept(payload_len)?;
        if accepted {
            self.stream_bytes += super::to_usize(payload_len);
        }
        Some((entry.token, accepted))
    }

    /// Whether an exchange is open under this id.
    pub fn is_open(&self, id: MsgId) -> bool {
        self.find(id).is_some()
    }

    /// Who waits for the items of the exchange with this id, where it has a response stream.
    pub fn streaming(&self, id: MsgId) -> Option<Token> {
        let entry = self.entries.get(self.find(id)?)?;
        let streams = entry.streams.as_ref()?;
        streams.is_receiving().then_some(entry.token)
    }

    /// The streams of an open exchange, with its id and urgency.
    pub fn streams(&mut self, slot: Slot) -> Option<(MsgId, bool, &mut Streams)> {
        let entry = self.entries.get_mut(slot)?;
        Some((entry.id, entry.urgent, entry.streams.as_mut()?))
    }

    /// Items of a stream have been taken, of so many bytes.
    pub fn item_taken(&mut self, slot: Slot, payload_len: u32) {
        let streams = self
            .entries
            .get_mut(slot)
            .and_then(|entry| entry.streams.as_mut());
        let taken = streams.map_or(0, |streams| streams.took(payload_len));
        self.stream_bytes = self.stream_bytes.saturating_sub(taken);
    }

    /// What has come of streams and was not taken, in bytes.
    pub fn stream_bytes(&self) -> usize {
        self.stream_bytes
    }

    /// The exchange with streams that has this id.
    pub fn with_streams(&self, id: MsgId) -> Option<Slot> {
        let slot = self.find(id)?;
        self.entries.get(slot)?.streams.as_ref().map(|_| slot)
    }

    /// What is to be cancelled when nobody waits for the answer any more: a call.
    pub fn to_cancel(&self, slot: Slot) -> Option<ToCancel> {
        let entry = self
            .entries
            .get(slot)
            .filter(|entry| entry.class == Class::Call)?;
        Some(ToCancel {
            id: entry.id,
            urgent: entry.urgent,
            position: (!entry.was_sent).then_some(entry.position),
            has_streams: entry.streams.is_some(),
        })
    }

    /// Whether a frame with this id can be late: a part of an exchange that has ended here meanwhile.
    pub fn excuse(&mut self, id: MsgId) -> bool {
        let was_issued = id.chosen_by() == self.side && !id.is_connection();
        if was_issued && self.excused > 0 {
            self.excused -= 1;
            return true;
        }
        false
    }

    /// The exchange that an ACK or ERROR with this id ends, now closed. `None` where none is open under it.
    pub fn answer(&mut self, id: MsgId) -> Option<Token> {
        self.close(id, |class| matches!(class, Class::Call | Class::Delivery))
    }

    /// [`answer`](Self::answer), where it is a call without streams; else nothing has happened.
    #[inline]
    pub fn answer_fast(&mut self, id: MsgId) -> Option<Token> {
        let slot = self.find(id).filter(|_| !id.is_delivery())?;
        let entry = self.entries.get(slot)?;
        let is_plain = entry.class == Class::Call && entry.streams.is_none();
        if !is_plain || !entry.kept.is_empty() {
            return None;
        }
        let token = entry.token;
        self.entries.try_remove(slot)?;
        self.calls = self.calls.saturating_sub(1);
        Some(token)
    }

    /// The ping that a PONG with this id ends, now closed.
    pub fn pong(&mut self, id: MsgId) -> Option<Token> {
        self.close(id, |class| class == Class::Ping)
    }

    fn close(&mut self, id: MsgId, is_meant: impl Fn(Class) -> bool) -> Option<Token> {
        let slot = self.find(id)?;
        let token = self
            .entries
            .get(slot)
            .filter(|entry| is_meant(entry.class))?
            .token;
        self.remove(slot);
        Some(token)
    }

    #[inline]
    fn find(&self, id: MsgId) -> Option<Slot> {
        let slot = if id.is_delivery() {
            let index = usize::try_from(id.sequence().checked_sub(self.first_delivery)?).ok()?;
            (*self.deliveries.get(index)?)?
        } else {
            usize::try_from(id.sequence() & ((1 << SLOT_BITS) - 1)).ok()?
        };
        let is_it =
            self.entries.get(slot)?.id == id || FaultInjection::AnswerWhoeverIsThere.is_on();
        is_it.then_some(slot)
    }

    /// Closes an exchange whose answer has not come; nobody waits for it any more.
    pub fn forget(&mut self, slot: Slot) {
        if let Some(entry) = self.entries.get(slot) {
            // What was never sent is never answered.
            self.excused += u64::from(entry.class != Class::Droppable);
            self.remove(slot);
        }
    }

    fn remove(&mut self, slot: Slot) {
        let Some(entry) = self.entries.try_remove(slot) else {
            return;
        };
        self.kept_cost = self.kept_cost.saturating_sub(cost(&entry.kept));
        if let Some(streams) = &entry.streams {
            self.excused += LATE_FRAMES;
            self.stream_bytes = self.stream_bytes.saturating_sub(streams.waiting());
        }
        match entry.class {
            Class::Call => self.calls = self.calls.saturating_sub(1),
            Class::Ping | Class::Droppable => {}
            Class::Delivery => {
                let place = entry
                    .id
                    .sequence()
                    .checked_sub(self.first_delivery)
                    .and_then(|i| usize::try_from(i).ok());
                if let Some(place) = place.and_then(|index| self.deliveries.get_mut(index)) {
                    *place = None;
                }
                while self.deliveries.front().is_some_and(Option::is_none) {
                    self.deliveries.pop_front();
                    self.first_delivery += 1;
                }
            }
        }
    }

    /// When the next exchange may run out of time.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.next_deadline
    }

    /// Closes the exchanges that have run out of time, and says which. Returns the calls among them.
    pub fn expire(&mut self, now: Duration, expired: &mut Vec<Token>) -> Vec<ToCancel> {
        let mut calls = Vec::new();
        if self.next_deadline.is_none_or(|next| now < next) {
            return calls;
        }
        self.next_deadline = None;
        let mut late = Vec::new();
        for (slot, entry) in &self.entries {
            if entry.deadline <= now {
                late.push(slot);
                expired.push(entry.token);
            } else {
                self.next_deadline = Some(
                    self.next_deadline
                        .map_or(entry.deadline, |next| next.min(entry.deadline)),
                );
            }
        }
        for slot in late {
            calls.extend(self.to_cancel(slot));
            self.forget(slot);
        }
        calls
    }

    /// Closes every exchange, and says of each whether any of it was sent; `is_sent` tells it of this connection.
    pub fn take_all(&mut self, is_sent: impl Fn(Position) -> bool) -> Vec<Lost> {
        let all = self
            .entries
            .iter()
            .map(|(_, entry)| Lost {
                token: entry.token,
                class: entry.class,
                variant: entry.variant,
                sent: entry.was_sent || is_sent(entry.position),
            })
            .collect();
        self.calls = 0;
        self.first_delivery += self.deliveries.len() as u64;
        self.deliveries.clear();
        self.next_deadline = None;
        self.kept_cost = 0;
        self.stream_bytes = 0;
        self.entries.clear();
        all
    }

    /// What is kept to be sent again, in bytes, each frame counted as its length + 64.
    pub fn kept_cost(&self) -> usize {
        self.kept_cost
    }

    /// The connection is lost: closes the pings and the streams, returned in `lost`, and remembers of all else whether
    /// any of it was sent.
    pub fn detach(&mut self, is_sent: impl Fn(Position) -> bool, lost: &mut Vec<Lost>) {
        let mut ended = Vec::new();
        for (slot, entry) in &mut self.entries {
            entry.was_sent |= is_sent(entry.position);
            entry.position = Position::NOWHERE;
            let is_stream = entry.streams.is_some() && !FaultInjection::StreamSurvives.is_on();
            if entry.class == Class::Ping || is_stream {
                ended.push(slot);
                lost.push(Lost {
                    token: entry.token,
                    class: entry.class,
                    variant: entry.variant,
                    sent: entry.was_sent,
                });
            }
        }
        for slot in ended {
            self.remove(slot);
        }
    }

    /// So many answers may come to what is not open.
    pub fn excuse_more(&mut self, answers: usize) {
        self.excused += answers as u64;
    }

    /// Gives back memory that a burst needed.
    pub fn release(&mut self) {
        self.entries.shrink_to_fit();
        self.deliveries.shrink_to_fit();
    }

    /// The windows of all streams.
    #[cfg(any(test, fuzzing))]
    pub(super) fn stream_windows(&self) -> impl Iterator<Item = super::streams::Windows> + '_ {
        let streams = self
            .entries
            .iter()
            .filter_map(|(_, it)| it.streams.as_ref());
        streams.map(|streams| streams.windows())
    }

    /// How many deliveries wait for their answers.
    pub fn delivery_count(&self) -> usize {
        self.deliveries.len()
    }

    /// Whether anybody waits for the answer of this call or delivery, and none of it was sent before the last loss.
    pub fn is_unsent(&self, id: MsgId) -> bool {
        self.find(id)
            .and_then(|slot| self.entries.get(slot))
            .is_some_and(|entry| !entry.was_sent)
    }

    /// The frame of a delivery, as long as it is unanswered, and whether some of it was sent before.
    pub fn kept(&self, id: MsgId) -> Option<(&[u8], bool)> {
        let entry = self.entries.get(self.find(id)?)?;
        Some((&entry.kept, entry.was_sent))
    }

    /// Whether some of this exchange was sent by an earlier connection.
    pub fn was_sent_before(&self, id: MsgId) -> bool {
        self.find(id)
            .and_then(|slot| self.entries.get(slot))
            .is_some_and(|entry| entry.was_sent)
    }

    /// How many milliseconds somebody still waits for this exchange; `None` where that has no end.
    pub fn remaining_ms(&self, id: MsgId, now: Duration) -> Option<u32> {
        let entry = self.entries.get(self.find(id)?)?;
        if entry.deadline == Duration::MAX {
            return None;
        }
        let remaining = entry.deadline.saturating_sub(now).as_millis();
        Some(u32::try_from(remaining).unwrap_or(u32::MAX))
    }

    /// The frame of an exchange is queued again, at this place.
    pub fn set_position(&mut self, id: MsgId, position: Position) {
        if let Some(entry) = self.find(id).and_then(|slot| self.entries.get_mut(slot)) {
            entry.position = position;
        }
    }

    /// The unanswered deliveries of which some was sent before, in their order.
    pub fn sent_deliveries(&self) -> impl DoubleEndedIterator<Item = MsgId> + '_ {
        self.deliveries
            .iter()
            .flatten()
            .filter_map(|slot| self.entries.get(*slot))
            .filter(|entry| entry.was_sent)
            .map(|entry| entry.id)
    }

    /// The calls that were sent, before the last loss, and are unanswered.
    pub fn sent_calls(&self) -> impl Iterator<Item = MsgId> + '_ {
        self.entries
            .iter()
            .filter(|(_, entry)| entry.class == Class::Call && entry.was_sent)
            .map(|(_, entry)| entry.id)
    }

    /// Closes an exchange whatever it is, and says what it was.
    pub fn give_up(&mut self, id: MsgId) -> Option<Lost> {
        let slot = self.find(id)?;
        let entry = self.entries.get(slot)?;
        let lost = Lost {
            token: entry.token,
            class: entry.class,
            variant: entry.variant,
            sent: entry.was_sent,
        };
        self.remove(slot);
        Some(lost)
    }
}

fn cost(kept: &[u8]) -> usize {
    if kept.is_empty() {
        0
    } else {
        kept.len() + FRAME_COST
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::outgoing::{OutgoingQueue, Priority};

    fn position() -> Position {
        OutgoingQueue::default().push(Priority::Normal, |_| ())
    }

    fn opening(id: MsgId, token: Token, deadline: Duration) -> Opening {
        Opening {
            id,
            variant: 1,
            token,
            urgent: false,
            deadline,
            position: position(),
            kept: Vec::new(),
        }
    }

    const SOON: Duration = Duration::from_secs(1);

    fn call(outbound: &mut OutboundExchanges, token: Token, deadline: Duration) -> (MsgId, Slot) {
        let id = outbound.next_call_id();
        (id, outbound.insert_call(opening(id, token, deadline), None))
    }

    fn delivery(outbound: &mut OutboundExchanges, token: Token) -> MsgId {
        let id = outbound.next_delivery_id();
        outbound.insert_delivery(opening(id, token, SOON));
        id
    }

    #[test]
    fn an_answer_finds_its_exchange_once() {
        let mut outbound = OutboundExchanges::new(Side::Connecting);
        let (first, slot) = call(&mut outbound, 7, SOON);
        assert_eq!(outbound.answer(first), Some(7));
        assert_eq!(outbound.answer(first), None, "answered twice");
        let (second, again) = call(&mut outbound, 8, SOON);
        assert_eq!(again, slot, "slots are used again");
        assert_eq!(
            outbound.answer(first),
            None,
            "a late answer never reaches another waiter"
        );
        assert!(second > first, "ids increase");
        assert_eq!(outbound.answer(second), Some(8));
    }

    #[test]
    fn deliveries_count_without_gaps_and_may_be_answered_in_any_order() {
        let mut outbound = OutboundExchanges::new(Side::Accepting);
        let ids: Vec<_> = (0..4).map(|token| delivery(&mut outbound, token)).collect();
        let sequences: Vec<_> = ids.iter().map(|id| id.sequence()).collect();
        assert_eq!(sequences, [1, 2, 3, 4]);
        assert_eq!(outbound.answer(ids[2]), Some(2));
        assert_eq!(outbound.answer(ids[0]), Some(0));
        assert_eq!(outbound.answer(ids[0]), None);
        assert_eq!(delivery(&mut outbound, 4).sequence(), 5);
        assert_eq!(outbound.answer(ids[1]), Some(1));
        assert_eq!(
            outbound.answer(MsgId::delivery(Side::Accepting, 6)),
            None,
            "never sent"
        );
    }

    #[test]
    fn deliveries_stop_at_the_window() {
        let mut outbound = OutboundExchanges::new(Side::Connecting);
        let oldest = delivery(&mut outbound, 0);
        while outbound.has_room_for_delivery() {
            let id = delivery(&mut outbound, 1);
            outbound.answer(id);
            if id.sequence() == 4096 {
                assert!(
                    !outbound.has_room_for_delivery(),
                    "the oldest one still waits"
                );
            }
        }
        outbound.answer(oldest);
        assert!(outbound.has_room_for_delivery());
        assert!(outbound.is_idle());
    }

    #[test]
    fn what_a_burst_needed_is_given_back() {
        let mut outbound = OutboundExchanges::new(Side::Connecting);
        let deliveries: Vec<_> = (0..100)
            .map(|token| delivery(&mut outbound, token))
            .collect();
        let calls: Vec<_> = (0..100).map(|_| call(&mut outbound, 0, SOON).0).collect();
        for id in deliveries.iter().chain(&calls[1..]) {
            outbound.answer(*id);
        }
        outbound.release();
        assert_eq!(outbound.deliveries.capacity(), 0);
        assert_eq!(outbound.answer(calls[0]), Some(0), "what is open stays");
        outbound.release();
        assert_eq!(outbound.entries.capacity(), 0);
        let (id, slot) = call(&mut outbound, 9, SOON);
        assert_eq!((slot, outbound.answer(id)), (0, Some(9)));
    }

    #[test]
    fn what_runs_out_of_time_is_told_once() {
        let mut outbound = OutboundExchanges::new(Side::Connecting);
        call(&mut outbound, 5, Duration::from_secs(5));
        call(&mut outbound, 1, SOON);
        assert_eq!(outbound.poll_timeout(), Some(SOON));
        let mut expired = Vec::new();
        outbound.expire(SOON, &mut expired);
        assert_eq!(expired, [1]);
        assert_eq!(outbound.poll_timeout(), Some(Duration::from_secs(5)));
        outbound.expire(Duration::from_secs(6), &mut expired);
        assert_eq!(expired, [1, 5]);
        assert!(outbound.is_idle());
    }

    #[test]
    fn a_ping_is_not_ended_by_an_ack() {
        let mut outbound = OutboundExchanges::new(Side::Connecting);
        let id = outbound.next_call_id();
        outbound.insert_ping(opening(id, 3, SOON));
        assert_eq!(outbound.answer(id), None);
        assert_eq!(outbound.pong(id), Some(3));
    }
}
