//! Resumption of outbound exchanges: their state after the loss of a connection or session.

use std::time::Duration;

use super::{Class, Lost, OutboundExchanges};
use crate::{
    session::{
        cancels::Cancel, fault_injection::FaultInjection, outgoing::Position, slot::Slot,
        streams::StreamTable,
    },
    wire::MsgId,
};

impl OutboundExchanges {
    /// The session is lost: closes every exchange, deliveries in the order in which they were sent, so that who sends them
    /// elsewhere can keep it. `is_sent` returns whether a frame of this connection was sent.
    pub(in crate::session) fn take_all(
        &mut self,
        streams: &mut StreamTable,
        is_sent: impl Fn(Position) -> bool,
    ) -> Vec<Lost> {
        let mut lost = Vec::with_capacity(self.entries.len());
        for slot in self.books.deliveries.unanswered() {
            if let Some(entry) = self.entries.try_remove(slot.index()) {
                lost.push(entry.lost(entry.was_sent || is_sent(entry.position)));
            }
        }
        for entry in self.entries.drain() {
            if entry.class != Class::Abandoned {
                lost.push(entry.lost(entry.was_sent || is_sent(entry.position)));
            }
            if let Some(key) = entry.streams {
                streams.close(key);
            }
        }
        self.books.calls = 0;
        self.books.abandoned = 0;
        self.books.deliveries.clear();
        self.books.next_deadline = None;
        self.books.kept_cost = 0;
        lost
    }

    /// The connection is lost: closes pings and calls with streams, adds them to `lost`, and notes of all others whether
    /// any of them was sent. Calls that are not awaited are forgotten: the peer counts them no longer.
    pub(in crate::session) fn detach(
        &mut self,
        streams: &mut StreamTable,
        is_sent: impl Fn(Position) -> bool,
        lost: &mut Vec<Lost>,
    ) {
        let mut ended = Vec::new();
        for (index, entry) in &mut self.entries {
            if entry.class == Class::Abandoned {
                ended.push(Slot::from_index(index));
                continue;
            }
            entry.was_sent |= is_sent(entry.position);
            entry.position = Position::NONE;
            let has_streams = entry.streams.is_some() && !FaultInjection::StreamSurvives.is_on();
            if entry.class == Class::Ping || has_streams {
                ended.push(Slot::from_index(index));
                lost.push(entry.lost(entry.was_sent));
            }
        }
        for slot in ended {
            self.remove(slot, streams);
        }
    }

    /// Whether this call or delivery is awaited, and none of it was sent before the last loss.
    pub(in crate::session) fn is_unsent(&self, id: MsgId) -> bool {
        self.entry_of(id).is_some_and(|entry| !entry.was_sent)
    }

    /// Whether some of this exchange was sent by an earlier connection.
    pub(in crate::session) fn was_sent_before(&self, id: MsgId) -> bool {
        self.entry_of(id).is_some_and(|entry| entry.was_sent)
    }

    /// The frame of an unanswered delivery, and whether some of it was sent before.
    pub(in crate::session) fn kept(&self, id: MsgId) -> Option<(&[u8], bool)> {
        let entry = self.entry_of(id)?;
        Some((&entry.kept, entry.was_sent))
    }

    /// How many milliseconds an exchange is still awaited; `None` where it has no deadline.
    pub(in crate::session) fn remaining_ms(&self, id: MsgId, now: Duration) -> Option<u32> {
        let entry = self.entry_of(id)?;
        if entry.deadline == Duration::MAX {
            return None;
        }
        let remaining = entry.deadline.saturating_sub(now).as_millis();
        Some(u32::try_from(remaining).unwrap_or(u32::MAX))
    }

    /// The frame of an exchange is queued again, at this position.
    pub(in crate::session) fn set_position(&mut self, id: MsgId, position: Position) {
        let slot = self.find(id);
        if let Some(entry) = slot.and_then(|slot| self.entries.get_mut(slot.index())) {
            entry.position = position;
        }
    }

    /// The unanswered deliveries of which some was sent before, in their order.
    pub(in crate::session) fn sent_deliveries(
        &self,
    ) -> impl DoubleEndedIterator<Item = MsgId> + '_ {
        self.books
            .deliveries
            .unanswered()
            .filter_map(|slot| self.entries.get(slot.index()))
            .filter(|entry| entry.was_sent)
            .map(|entry| entry.id)
    }

    /// The SUBSCRIBEs and UNSUBSCRIBEs that are unanswered, in their order.
    pub(in crate::session) fn subscriptions(&self) -> Vec<MsgId> {
        let mut found: Vec<MsgId> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.class == Class::Subscribe)
            .map(|(_, entry)| entry.id)
            .collect();
        found.sort_unstable();
        found
    }

    /// The unanswered calls that were sent before the last loss.
    pub(in crate::session) fn sent_calls(&self) -> impl Iterator<Item = MsgId> + '_ {
        self.entries
            .iter()
            .filter(|(_, entry)| entry.class == Class::Call && entry.was_sent)
            .map(|(_, entry)| entry.id)
    }

    /// The calls that are not awaited, and that count at the peer.
    pub(in crate::session) fn abandoned_calls(&self) -> Vec<Cancel> {
        if self.books.abandoned == 0 {
            return Vec::new();
        }
        let abandoned = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.class == Class::Abandoned);
        abandoned.map(|(_, entry)| entry.cancel()).collect()
    }

    /// The peer counts the calls that are not awaited no longer.
    pub(in crate::session) fn forget_abandoned(&mut self, streams: &mut StreamTable) {
        for cancel in self.abandoned_calls() {
            self.give_up(cancel.id, streams);
        }
    }

    /// Closes an exchange of any class.
    pub(in crate::session) fn give_up(
        &mut self,
        id: MsgId,
        streams: &mut StreamTable,
    ) -> Option<Lost> {
        let entry = self.remove(self.find(id)?, streams)?;
        Some(entry.lost(entry.was_sent))
    }
}
