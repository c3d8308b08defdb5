//! The table of inbound calls: those of the peer, from their receipt until their handlers have ended.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use slab::Slab;
use thiserror::Error;

use super::{
    fault_injection::FaultInjection,
    id_index::IdIndex,
    slot::InboundSlot,
    streams::{LATE_FRAMES, StreamKey, StreamTable},
    to_usize,
};
use crate::wire::MsgId;

/// What an open call counts in addition to its request: its places in the tables, and in the queue for its handler.
const CALL_COST: usize = 128;

#[derive(Debug)]
struct Entry {
    id: MsgId,
    is_urgent: bool,
    payload_len: usize,
    interest: Interest,
    /// Its handler runs, and was not done at once.
    running: Option<RunningCall>,
    streams: Option<StreamKey>,
}

/// A call whose handler was not done at once.
#[derive(Debug, Clone, Copy)]
struct RunningCall {
    variant: u16,
    /// What it is expected to be answered with, in bytes. Small, since every call's entry has it.
    expected: u32,
}

/// Whether the caller waits for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interest {
    /// For its answer.
    Answer,
    /// For its end alone: the caller has cancelled it, and counts it until then.
    End,
    /// For nothing: it was given up, or fails, with a connection that has been lost since.
    Nothing,
}

/// What remains to be said of a call whose handler has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// That it has ended: it was cancelled.
    Cancelled {
        id: MsgId,
        is_urgent: bool,
    },
    Nothing,
}

/// Calls that are being served, and deliveries that have to be acknowledged.
#[derive(Debug)]
pub(super) struct InboundCalls {
    entries: Slab<Entry>,
    index: IdIndex,
    /// The requests of the calls, in bytes.
    bytes: usize,
    max_calls: usize,
    max_bytes: usize,
    /// How many calls run on for nobody. Their caller does not know of them, so that as many more may be open, but never
    /// more than twice as many altogether.
    orphans: usize,
    /// How many calls run, and what they are expected to be answered with, in bytes.
    running: usize,
    expected: usize,
    /// How many deliveries have not been acknowledged.
    deliveries: usize,
    /// How many frames may still come for calls that have ended here.
    late_frames: u64,
}

/// Why a call is refused.
#[derive(Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Busy {
    /// Too many calls are open.
    #[error("too many open calls: {max} (max_calls)")]
    Calls {
        /// The most that may be open.
        max: usize,
    },
    /// The memory budget is used up.
    #[error("out of memory: queues and sessions hold more than {max} bytes (max_memory)")]
    Memory {
        /// The size of the budget in bytes.
        max: usize,
    },
    /// The requests of the open calls are too large.
    #[error("the requests of open calls are too large: {max} bytes (max_call_bytes)")]
    Bytes {
        /// The most that they may have together, in bytes.
        max: usize,
    },
}

impl InboundCalls {
    pub(super) fn new(max_calls: usize, max_bytes: usize) -> Self {
        Self {
            entries: Slab::new(),
            index: IdIndex::default(),
            bytes: 0,
            max_calls,
            max_bytes,
            orphans: 0,
            running: 0,
            expected: 0,
            deliveries: 0,
            late_frames: 0,
        }
    }

    /// Accepts a call.
    #[inline]
    pub(super) fn begin(
        &mut self,
        id: MsgId,
        is_urgent: bool,
        payload_len: usize,
    ) -> Result<InboundSlot, Busy> {
        if self.entries.len() >= self.max_calls + self.orphans.min(self.max_calls) {
            return Err(Busy::Calls {
                max: self.max_calls,
            });
        }
        // One request alone may exceed the limit: else the largest body could never be served under a small one.
        if !self.entries.is_empty() && self.bytes.saturating_add(payload_len) > self.max_bytes {
            return Err(Busy::Bytes {
                max: self.max_bytes,
            });
        }
        self.bytes += payload_len;
        let entry = self.entries.vacant_entry();
        let index = entry.key();
        entry.insert(Entry {
            id,
            is_urgent,
            payload_len,
            interest: Interest::Answer,
            running: None,
            streams: None,
        });
        self.index.insert(id, index);
        Ok(InboundSlot::from_index(index))
    }

    /// A call's request has grown to this length: it was inflated or decoded. Returns by how much.
    pub(super) fn grow(&mut self, slot: InboundSlot, len: usize) -> Result<usize, Busy> {
        let is_alone = self.entries.len() == 1;
        let Some(entry) = self.entries.get_mut(slot.index()) else {
            return Ok(0);
        };
        let more = len.saturating_sub(entry.payload_len);
        if !is_alone && self.bytes.saturating_add(more) > self.max_bytes {
            return Err(Busy::Bytes {
                max: self.max_bytes,
            });
        }
        entry.payload_len += more;
        self.bytes += more;
        Ok(more)
    }

    /// Takes back what [`grow`](Self::grow) has returned.
    pub(super) fn shrink(&mut self, slot: InboundSlot, by: usize) {
        if let Some(entry) = self.entries.get_mut(slot.index()) {
            entry.payload_len = entry.payload_len.saturating_sub(by);
            self.bytes = self.bytes.saturating_sub(by);
        }
    }

    /// The call's handler has ended. Returns the call's id and urgency where its answer is awaited.
    #[inline]
    pub(super) fn end(
        &mut self,
        slot: InboundSlot,
        streams: &mut StreamTable,
    ) -> Result<(MsgId, bool), Unanswered> {
        let Some(entry) = self.entries.try_remove(slot.index()) else {
            return Err(Unanswered::Nothing);
        };
        self.index.remove(entry.id, slot.index());
        self.bytes = self.bytes.saturating_sub(entry.payload_len);
        self.late_frames += 1;
        if let Some(running) = entry.running {
            self.running -= 1;
            self.expected -= to_usize(running.expected);
        }
        if let Some(key) = entry.streams {
            self.late_frames += LATE_FRAMES;
            if !FaultInjection::KeepEndedStreams.is_on() {
                streams.close(key);
            }
        }
        let Entry { id, is_urgent, .. } = entry;
        match entry.interest {
            Interest::Answer => Ok((id, is_urgent)),
            Interest::End => Err(Unanswered::Cancelled { id, is_urgent }),
            Interest::Nothing => {
                self.orphans = self.orphans.saturating_sub(1);
                Err(Unanswered::Nothing)
            }
        }
    }

    /// The handler of a call was not done at once, and is expected to answer with so many bytes.
    pub(super) fn runs(&mut self, slot: InboundSlot, variant: u16, expected: usize) {
        if let Some(entry) = self.entries.get_mut(slot.index())
            && entry.running.is_none()
        {
            let expected = u32::try_from(expected).unwrap_or(u32::MAX);
            entry.running = Some(RunningCall { variant, expected });
            self.running += 1;
            self.expected += to_usize(expected);
        }
    }

    /// The variant of a call that runs.
    pub(super) fn running_variant(&self, slot: InboundSlot) -> Option<u16> {
        let running = self.entries.get(slot.index())?.running?;
        Some(running.variant)
    }

    /// How many calls run that were not done at once.
    #[inline]
    pub(super) const fn running(&self) -> usize {
        self.running
    }

    /// What those are expected to be answered with, in bytes.
    pub(super) const fn expected(&self) -> usize {
        self.expected
    }

    /// Opens the call's stream of answers, of requests, or both.
    pub(super) fn open_streams(
        &mut self,
        slot: InboundSlot,
        streams: &mut StreamTable,
        sends: bool,
        receives: bool,
    ) {
        let Some(entry) = self.entries.get_mut(slot.index()) else {
            return;
        };
        match entry.streams {
            Some(key) if sends => streams.begin_sending(key),
            Some(_) => {}
            None => {
                entry.streams = Some(streams.open(entry.id, entry.is_urgent, sends, receives));
            }
        }
    }

    /// Where the streams of a call are; `None` where it is not awaited any more.
    #[inline]
    pub(super) fn streams(&self, slot: InboundSlot) -> Option<StreamKey> {
        let entry = self.entries.get(slot.index())?;
        entry.streams.filter(|_| entry.interest == Interest::Answer)
    }

    /// Where the streams of a call are, awaited or not.
    pub(super) fn all_streams(&self, slot: InboundSlot) -> Option<StreamKey> {
        self.entries.get(slot.index())?.streams
    }

    /// The call with this id, and where its streams are, if it has any and is awaited.
    #[inline]
    pub(super) fn streams_of(&self, id: MsgId) -> Option<(InboundSlot, StreamKey)> {
        let slot = self.find(id)?;
        Some((slot, self.streams(slot)?))
    }

    /// The call with this id, if it is awaited.
    pub(super) fn awaited(&self, id: MsgId) -> Option<InboundSlot> {
        self.find(id).filter(|&slot| self.is_awaited(slot, id))
    }

    #[inline]
    fn find(&self, id: MsgId) -> Option<InboundSlot> {
        self.index.find(id).map(InboundSlot::from_index)
    }

    /// What the open calls cost in bytes: their requests, and what each needs besides.
    #[inline]
    pub(super) fn cost(&self) -> usize {
        if self.entries.is_empty() {
            return 0;
        }
        self.bytes
            .saturating_add(self.entries.len().saturating_mul(CALL_COST))
    }

    /// The call is not awaited any more: it counts until its handler has ended, and is not answered.
    pub(super) fn cancel(&mut self, id: MsgId) -> Option<InboundSlot> {
        let slot = self.find(id)?;
        let entry = self.entries.get_mut(slot.index())?;
        if entry.interest != Interest::Answer {
            return None;
        }
        entry.interest = Interest::End;
        Some(slot)
    }

    /// The connection is lost: cancels the calls with streams, and returns them. The caller forgets those that it had
    /// cancelled.
    pub(super) fn detach(&mut self) -> Vec<InboundSlot> {
        let streams_end = !FaultInjection::StreamSurvives.is_on();
        self.orphan_where(|entry| {
            entry.interest == Interest::End || (entry.streams.is_some() && streams_end)
        })
    }

    /// The session drains: cancels the calls with streams, and returns them with their ids and urgency. Their callers are told
    /// at once, and wait for nothing after that.
    pub(super) fn end_streams(&mut self) -> Vec<(InboundSlot, MsgId, bool)> {
        let mut ended = Vec::new();
        for (index, entry) in &mut self.entries {
            if entry.streams.is_some() && entry.interest == Interest::Answer {
                ended.push((InboundSlot::from_index(index), entry.id, entry.is_urgent));
                entry.interest = Interest::Nothing;
                self.orphans += 1;
            }
        }
        ended
    }

    /// The session itself answers a call that is awaited: nobody waits for its handler any more. Returns the call's id and
    /// urgency.
    pub(super) fn disown(&mut self, slot: InboundSlot) -> Option<(MsgId, bool)> {
        let entry = self.entries.get_mut(slot.index())?;
        if entry.interest != Interest::Answer {
            return None;
        }
        entry.interest = Interest::Nothing;
        self.orphans += 1;
        Some((entry.id, entry.is_urgent))
    }

    /// The peer is back and awaits these calls alone: cancels all others, and returns them.
    pub(super) fn cancel_others(&mut self, awaited: &HashSet<MsgId>) -> Vec<InboundSlot> {
        self.orphan_where(|entry| !awaited.contains(&entry.id))
    }

    /// Nobody waits for these calls any more. Returns those that were awaited until now.
    fn orphan_where(&mut self, is_meant: impl Fn(&Entry) -> bool) -> Vec<InboundSlot> {
        let mut cancelled = Vec::new();
        for (index, entry) in &mut self.entries {
            if entry.interest == Interest::Nothing || !is_meant(entry) {
                continue;
            }
            if entry.interest == Interest::Answer {
                cancelled.push(InboundSlot::from_index(index));
            }
            entry.interest = Interest::Nothing;
            self.orphans += 1;
        }
        cancelled
    }

    /// Whether a frame for a call that is not being served may be late.
    pub(super) fn allows_late(&mut self) -> bool {
        let is_allowed = self.late_frames > 0;
        self.late_frames = self.late_frames.saturating_sub(1);
        is_allowed
    }

    /// How many frames may still come for calls that have ended here.
    pub(super) const fn late_frames(&self) -> u64 {
        self.late_frames
    }

    /// So many frames may come for calls of a table before this one.
    pub(super) fn go_on(&mut self, late_frames: u64) {
        self.late_frames = late_frames;
    }

    /// A call was refused: its caller may cancel it, and send items of it, before it has the answer.
    pub(super) fn refused(&mut self, is_stream: bool) {
        self.late_frames += if is_stream { 1 + LATE_FRAMES } else { 1 };
    }

    /// Frees memory that a burst needed.
    pub(super) fn release(&mut self) {
        self.entries.shrink_to_fit();
        self.index.release();
    }

    /// A delivery was received that will be acknowledged.
    pub(super) fn begin_delivery(&mut self) {
        self.deliveries += 1;
    }

    /// A delivery has been acknowledged.
    pub(super) fn end_delivery(&mut self) {
        self.deliveries = self.deliveries.saturating_sub(1);
    }

    /// Nothing has to be answered.
    pub(super) fn is_idle(&self) -> bool {
        self.entries.is_empty() && self.deliveries == 0
    }

    /// Whether a call has this slot.
    #[inline]
    pub(super) fn contains(&self, slot: InboundSlot) -> bool {
        self.entries.contains(slot.index())
    }

    /// Whether this call has this slot, and is awaited.
    #[inline]
    pub(super) fn is_awaited(&self, slot: InboundSlot, id: MsgId) -> bool {
        let entry = self.entries.get(slot.index());
        entry.is_some_and(|entry| entry.id == id && entry.interest == Interest::Answer)
    }

    /// Whether the handler of this call has not ended.
    pub(super) fn is_serving(&self, id: MsgId) -> bool {
        self.find(id).is_some()
    }

    /// How many calls are being served.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
