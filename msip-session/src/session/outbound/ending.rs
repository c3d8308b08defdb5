//! How an outbound exchange ends: by its answer, by its deadline, or because nobody waits for it any more.

use std::time::Duration;

use super::{
    Class, OutboundExchanges,
    entry::{Entry, cost},
};
use crate::{
    session::{
        slot::{Slot, Token},
        streams::{LATE_FRAMES, StreamTable},
    },
    wire::MsgId,
};

/// What an ACK or ERROR has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::session) enum Ended {
    /// An exchange that is awaited.
    Awaited(Token),
    /// A call that is not, which was in this slot; there may be capacity for another.
    Abandoned(Slot),
}

impl OutboundExchanges {
    /// Closes the call or delivery that an ACK or ERROR with this id answers. `None` where none is open under it.
    pub(in crate::session) fn answer(
        &mut self,
        id: MsgId,
        streams: &mut StreamTable,
    ) -> Option<Ended> {
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
    pub(in crate::session) fn answer_call(
        &mut self,
        id: MsgId,
        streams: &mut StreamTable,
    ) -> Option<Token> {
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
    pub(in crate::session) fn pong(&mut self, id: MsgId) -> Option<Token> {
        let slot = self.find(id)?;
        if self.entries.get(slot.index())?.class != Class::Ping {
            return None;
        }
        self.take(slot).map(|entry| entry.token)
    }

    /// A call is not awaited any more, and the peer will say when it has ended there. Until then it counts, since it counts
    /// there.
    pub(in crate::session) fn abandon(&mut self, slot: Slot, streams: &mut StreamTable) {
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
    pub(in crate::session) fn forget(&mut self, slot: Slot, streams: &mut StreamTable) {
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
    pub(super) fn remove(&mut self, slot: Slot, streams: &mut StreamTable) -> Option<Entry> {
        let entry = self.take(slot)?;
        if let Some(key) = entry.streams {
            streams.close(key);
            self.late_frames += LATE_FRAMES;
        }
        Some(entry)
    }

    /// Closes an exchange, which has no streams or whose streams are closed by the caller.
    pub(super) fn take(&mut self, slot: Slot) -> Option<Entry> {
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
    pub(in crate::session) const fn poll_timeout(&self) -> Option<Duration> {
        self.books.next_deadline
    }

    /// Adds the exchanges that have timed out to `expired`, and closes them but for the calls, which it returns.
    pub(in crate::session) fn expire(
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

    /// Whether a frame for an exchange that is not open may be late: it was under way when the exchange ended here.
    pub(in crate::session) fn allows_late(&mut self, id: MsgId) -> bool {
        let was_issued = id.chosen_by() == self.books.side && !id.is_connection();
        if was_issued && self.late_frames > 0 {
            self.late_frames -= 1;
            return true;
        }
        false
    }

    /// So many more frames may be late.
    pub(in crate::session) fn allow_late(&mut self, frames: usize) {
        self.late_frames += frames as u64;
    }
}
