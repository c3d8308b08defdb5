//! The calls of the other side, from their receipt until their handlers have ended.

use std::collections::{HashMap, HashSet};

use slab::Slab;
use thiserror::Error;

use super::{fault_injection::FaultInjection, outbound::LATE_FRAMES, streams::Streams};
use crate::wire::{Credit, MsgId};

/// The place of a call that is being served.
pub type InboundSlot = usize;

#[derive(Debug)]
struct Entry {
    id: MsgId,
    urgent: bool,
    payload_len: usize,
    /// The caller has lost interest.
    is_cancelled: bool,
    streams: Option<Box<Streams>>,
}

/// Calls that are being served, and deliveries that are owed an acknowledgment.
#[derive(Debug)]
pub struct InboundCalls {
    entries: Slab<Entry>,
    bytes: usize,
    max_calls: usize,
    max_bytes: usize,
    /// What each stream begins with.
    stream_window: Credit,
    deliveries_owed: usize,
    /// How many frames may still come for calls that have ended here.
    excused: u64,
    /// The calls that have streams, by id.
    streaming: HashMap<MsgId, InboundSlot>,
    /// What has come of streams and was not taken, in bytes.
    stream_bytes: usize,
    /// Where the last item came in.
    last_item: InboundSlot,
}

/// Why a call is not taken on.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum Busy {
    #[error("{max} calls are open, which is the most (max_calls)")]
    Calls { max: usize },
    #[error(
        "the queues and sessions hold more than {max} bytes together, which is the most (max_memory)"
    )]
    Memory { max: usize },
    #[error("requests of {max} bytes are in handlers, which is the most (max_call_bytes)")]
    Bytes { max: usize },
}

impl InboundCalls {
    pub fn new(max_calls: usize, max_bytes: usize, stream_window: Credit) -> Self {
        Self {
            entries: Slab::new(),
            bytes: 0,
            max_calls,
            max_bytes,
            stream_window,
            deliveries_owed: 0,
            excused: 0,
            streaming: HashMap::new(),
            stream_bytes: 0,
            last_item: 0,
        }
    }

    /// Takes a call on.
    #[inline]
    pub fn begin(
        &mut self,
        id: MsgId,
        urgent: bool,
        payload_len: usize,
    ) -> Result<InboundSlot, Busy> {
        if self.entries.len() >= self.max_calls {
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
        Ok(self.entries.insert(Entry {
            id,
            urgent,
            payload_len,
            is_cancelled: false,
            streams: None,
        }))
    }

    /// A call's request has become larger: it was compressed.
    pub fn grow(&mut self, slot: InboundSlot, len: usize) -> Result<(), Busy> {
        let is_alone = self.entries.len() == 1;
        let Some(entry) = self.entries.get_mut(slot) else {
            return Ok(());
        };
        let more = len.saturating_sub(entry.payload_len);
        if !is_alone && self.bytes.saturating_add(more) > self.max_bytes {
            return Err(Busy::Bytes {
                max: self.max_bytes,
            });
        }
        entry.payload_len += more;
        self.bytes += more;
        Ok(())
    }

    /// The call's handler has ended. Returns what its answer needs, where anyone waits for it.
    #[inline]
    pub fn end(&mut self, slot: InboundSlot) -> Option<(MsgId, bool)> {
        let entry = self.entries.try_remove(slot)?;
        self.bytes = self.bytes.saturating_sub(entry.payload_len);
        self.excused += 1;
        if let Some(streams) = &entry.streams {
            self.excused += LATE_FRAMES;
            self.stream_bytes = self.stream_bytes.saturating_sub(streams.waiting());
            if !FaultInjection::KeepEndedStreams.is_on() {
                self.streaming.remove(&entry.id);
            }
        }
        (!entry.is_cancelled).then_some((entry.id, entry.urgent))
    }

    /// The call has streams: its request is one, or its answer.
    pub fn begin_streams(&mut self, slot: InboundSlot, sends: bool, receives: bool) {
        let Some(entry) = self.entries.get_mut(slot) else {
            return;
        };
        match &mut entry.streams {
            Some(streams) if sends => streams.begin_sending(self.stream_window),
            Some(_) => {}
            none => {
                *none = Some(Streams::new(self.stream_window, sends, receives));
                self.streaming.insert(entry.id, slot);
            }
        }
    }

    /// The streams of a call, with its id and urgency; `None` where nobody waits for it any more.
    pub fn streams(&mut self, slot: InboundSlot) -> Option<(MsgId, bool, &mut Streams)> {
        let entry = self
            .entries
            .get_mut(slot)
            .filter(|entry| !entry.is_cancelled)?;
        Some((entry.id, entry.urgent, entry.streams.as_mut()?))
    }

    /// An item of so many bytes has come, for which there was credit.
    pub fn item_came(&mut self, payload_len: u32) {
        self.stream_bytes += super::to_usize(payload_len);
    }

    /// What the requests in handlers are, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Items of a stream have been taken, of so many bytes.
    pub fn item_taken(&mut self, slot: InboundSlot, payload_len: u32) {
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

    /// The call with streams that has this id.
    pub fn streaming(&self, id: MsgId) -> Option<InboundSlot> {
        self.streaming.get(&id).copied()
    }

    /// An item of a request stream has come: whose, and whether there was credit for it. `None` where no such stream is
    /// open.
    pub fn item(&mut self, id: MsgId, payload_len: u32) -> Option<(InboundSlot, bool)> {
        let is_last = |slot: &InboundSlot| {
            let entry = self.entries.get(*slot);
            entry.is_some_and(|entry| entry.id == id && entry.streams.is_some())
        };
        // Items come in runs.
        let slot = Some(self.last_item)
            .filter(is_last)
            .or_else(|| self.streaming(id))?;
        self.last_item = slot;
        let (_, _, streams) = self.streams(slot)?;
        let accepted = streams.accept(payload_len)?;
        if accepted {
            self.item_came(payload_len);
        }
        Some((slot, accepted))
    }

    /// The caller has lost interest: the call counts until its handler has ended, and is not answered.
    pub fn cancel(&mut self, id: MsgId) -> Option<InboundSlot> {
        let (slot, entry) = self
            .entries
            .iter_mut()
            .find(|(_, entry)| entry.id == id && !entry.is_cancelled)?;
        entry.is_cancelled = true;
        Some(slot)
    }

    /// The connection is lost, and streams with it: their calls are cancelled. Returns which.
    pub fn cancel_streams(&mut self) -> Vec<InboundSlot> {
        if FaultInjection::StreamSurvives.is_on() {
            return Vec::new();
        }
        self.cancel_where(|entry| entry.streams.is_some())
    }

    /// The callers that are back wait for these calls alone: all others are cancelled. Returns which.
    pub fn cancel_others(&mut self, awaited: &HashSet<MsgId>) -> Vec<InboundSlot> {
        self.cancel_where(|entry| !awaited.contains(&entry.id))
    }

    fn cancel_where(&mut self, is_meant: impl Fn(&Entry) -> bool) -> Vec<InboundSlot> {
        let mut cancelled = Vec::new();
        for (slot, entry) in &mut self.entries {
            if !entry.is_cancelled && is_meant(entry) {
                entry.is_cancelled = true;
                cancelled.push(slot);
            }
        }
        cancelled
    }

    /// Whether a frame for a call that is not being served can be late, rather than made up.
    pub fn excuse(&mut self) -> bool {
        let is_excused = self.excused > 0;
        self.excused = self.excused.saturating_sub(1);
        is_excused
    }

    /// A call is not taken on: its caller may cancel it, and send items of it, before it hears that.
    pub fn refused(&mut self, is_stream: bool) {
        self.excused += if is_stream { 1 + LATE_FRAMES } else { 1 };
    }

    /// Gives back memory that a burst needed.
    pub fn release(&mut self) {
        self.entries.shrink_to_fit();
        self.streaming.shrink_to_fit();
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

    /// How many calls with streams are known by their ids.
    #[cfg(any(test, fuzzing))]
    pub(super) fn streaming_count(&self) -> usize {
        self.streaming.len()
    }

    /// A delivery has come that will be acknowledged.
    pub fn owe(&mut self) {
        self.deliveries_owed += 1;
    }

    /// A delivery has been answered.
    pub fn paid(&mut self) {
        self.deliveries_owed = self.deliveries_owed.saturating_sub(1);
    }

    /// Nothing is owed an answer.
    pub fn is_idle(&self) -> bool {
        self.entries.is_empty() && self.deliveries_owed == 0
    }

    /// Whether a call is being served in this place.
    pub fn contains(&self, slot: InboundSlot) -> bool {
        self.entries.contains(slot)
    }

    /// Whether this call is being served in this place, and somebody waits for its answer.
    pub fn is_awaited(&self, slot: InboundSlot, id: MsgId) -> bool {
        let entry = self.entries.get(slot);
        entry.is_some_and(|entry| entry.id == id && !entry.is_cancelled)
    }

    /// Whether the handler of this call has not ended.
    pub fn is_serving(&self, id: MsgId) -> bool {
        self.entries.iter().any(|(_, entry)| entry.id == id)
    }

    /// How many calls are being served.
    pub fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_as_what_it_inflates_to() {
        let mut inbound = InboundCalls::new(4, 100, Credit::STREAM_START);
        let first = inbound.begin(MsgId::new(1), false, 10).unwrap();
        assert_eq!(
            inbound.grow(first, 1000),
            Ok(()),
            "one alone may exceed the limit"
        );
        assert_eq!(
            inbound.begin(MsgId::new(2), false, 1),
            Err(Busy::Bytes { max: 100 })
        );
        inbound.end(first);
        let second = inbound.begin(MsgId::new(3), false, 10).unwrap();
        let third = inbound.begin(MsgId::new(4), false, 10).unwrap();
        assert_eq!(inbound.grow(second, 91), Err(Busy::Bytes { max: 100 }));
        assert_eq!(inbound.grow(second, 90), Ok(()));
        inbound.end(second);
        inbound.end(third);
        assert!(
            inbound.begin(MsgId::new(5), false, 100).is_ok(),
            "all of it is given back"
        );
    }

    #[test]
    fn what_a_burst_needed_is_given_back() {
        let mut inbound = InboundCalls::new(100, 100, Credit::STREAM_START);
        let slots: Vec<_> = (1..=100)
            .map(|id| inbound.begin(MsgId::new(id), false, 0).unwrap())
            .collect();
        inbound.begin_streams(slots[3], true, true);
        for slot in &slots[1..] {
            inbound.end(*slot);
        }
        inbound.release();
        assert_eq!(inbound.streaming.capacity(), 0);
        assert!(inbound.is_serving(MsgId::new(1)), "what is open stays");
        inbound.end(slots[0]);
        inbound.release();
        assert_eq!(inbound.entries.capacity(), 0);
    }

    #[test]
    fn calls_count_until_their_handlers_end() {
        let mut inbound = InboundCalls::new(2, 100, Credit::STREAM_START);
        let first = inbound.begin(MsgId::new(1), false, 60).unwrap();
        assert_eq!(
            inbound.begin(MsgId::new(2), false, 60),
            Err(Busy::Bytes { max: 100 })
        );
        let second = inbound.begin(MsgId::new(3), true, 40).unwrap();
        assert_eq!(
            inbound.begin(MsgId::new(4), false, 0),
            Err(Busy::Calls { max: 2 })
        );
        assert_eq!(inbound.end(first), Some((MsgId::new(1), false)));
        assert_eq!(inbound.end(first), None);
        assert_eq!(inbound.end(second), Some((MsgId::new(3), true)));
        assert!(inbound.is_idle());
        assert!(
            inbound.begin(MsgId::new(5), false, 1000).is_ok(),
            "one alone may exceed the limit"
        );
    }
}
