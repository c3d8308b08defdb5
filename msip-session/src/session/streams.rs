//! The stream table: windows and unread items of every call that has streams (docs/protocol.md, "Credit").

use slab::Slab;

use super::{
    relief::{Relief, ReliefTimer},
    window::{ReceiveWindow, STREAM_GROWTH, SendWindow},
};
use crate::wire::{Credit, MsgId};

/// How many frames of a stream may be under way when its exchange ends: its window, and a few that grant credit or end it.
pub(super) const LATE_FRAMES: u64 = 32;

/// Where a call's streams are in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StreamKey(usize);

/// The streams of all calls of a session, in both directions.
#[derive(Debug)]
pub(super) struct StreamTable {
    entries: Slab<StreamState>,
    /// The credit that each stream begins with.
    start: Credit,
    /// Received and unread bytes of all streams.
    unread: usize,
    /// For the windows of streams, and for that of one-way messages.
    pub(super) relief: ReliefTimer,
    /// Nothing where no window was used up, as with most connections.
    starved: Option<Box<StarvedStreams>>,
}

/// Streams whose senders may wait for credit.
#[derive(Debug, Default)]
struct StarvedStreams {
    /// Their windows are used up, or were.
    watched: Vec<StreamKey>,
    /// Their readers are to say what they have read.
    unreported: Vec<MsgId>,
}

/// What is granted for a stream whose window has been used up for long.
#[derive(Debug)]
pub(super) struct Relieved {
    pub(super) id: MsgId,
    pub(super) is_urgent: bool,
    pub(super) credit: Credit,
}

/// The streams of one call, as seen from one side.
#[derive(Debug)]
pub(super) struct StreamState {
    pub(super) id: MsgId,
    pub(super) is_urgent: bool,
    /// What this side may still send, while its stream is open.
    sends: Option<SendWindow>,
    /// How many CREDITs may be under way for a stream of this side that is complete.
    late_credits: i64,
    /// What the peer may still send, while its stream is open.
    receives: Option<ReceiveWindow>,
    /// Received and unread bytes.
    unread: usize,
    /// It is among those that are looked at for relief.
    is_watched: bool,
}

/// How many items may be sent and received, where a stream is open.
#[cfg(any(test, fuzzing))]
#[derive(Debug)]
pub(super) struct StreamWindows {
    pub(super) sends: Option<i64>,
    pub(super) receives: Option<i64>,
    pub(super) id: MsgId,
    /// After how many grants items were read and not granted again, where their sender waits for credit.
    pub(super) withheld_after: Option<u32>,
}

impl StreamTable {
    /// An empty table whose streams begin with this credit.
    pub(super) const fn new(start: Credit) -> Self {
        Self {
            entries: Slab::new(),
            start,
            unread: 0,
            relief: ReliefTimer::new(),
            starved: None,
        }
    }

    /// Opens the streams of a call: what this side sends, what it receives, or both.
    pub(super) fn open(
        &mut self,
        id: MsgId,
        is_urgent: bool,
        sends: bool,
        receives: bool,
    ) -> StreamKey {
        StreamKey(self.entries.insert(StreamState {
            id,
            is_urgent,
            sends: sends.then(|| SendWindow::of_stream(self.start)),
            receives: receives.then(|| ReceiveWindow::growing(self.start, STREAM_GROWTH)),
            unread: 0,
            is_watched: false,
            late_credits: 0,
        }))
    }

    /// Opens this side's stream of a call that has one already.
    pub(super) fn begin_sending(&mut self, key: StreamKey) {
        let start = self.start;
        if let Some(stream) = self.get_mut(key) {
            stream
                .sends
                .get_or_insert_with(|| SendWindow::of_stream(start));
        }
    }

    /// The call has ended.
    pub(super) fn close(&mut self, key: StreamKey) {
        if let Some(stream) = self.entries.try_remove(key.0) {
            self.unread = self.unread.saturating_sub(stream.unread);
        }
    }

    #[inline]
    pub(super) fn get(&self, key: StreamKey) -> Option<&StreamState> {
        self.entries.get(key.0)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, key: StreamKey) -> Option<&mut StreamState> {
        self.entries.get_mut(key.0)
    }

    /// An item was received. `None` where the peer's stream is not open; `false` where there was no credit for it.
    #[inline]
    pub(super) fn accept(&mut self, key: StreamKey, payload_len: u32) -> Option<bool> {
        let stream = self.entries.get_mut(key.0)?;
        // All frames of a call have one priority.
        let window = stream.receives.as_mut()?;
        let is_accepted = window.accept(payload_len, false);
        if is_accepted {
            let len = super::to_usize(payload_len);
            stream.unread += len;
            self.unread += len;
            if window.note_used_up(self.relief.round()) {
                self.watch(key);
            }
        }
        Some(is_accepted)
    }

    /// The window of this stream is used up: it is looked at for relief.
    #[cold]
    fn watch(&mut self, key: StreamKey) {
        self.relief.start();
        let watched = self.entries.get_mut(key.0);
        if watched.is_none_or(|stream| std::mem::replace(&mut stream.is_watched, true)) {
            return;
        }
        let starved = self.starved.get_or_insert_default();
        // Streams that have ended leave their keys behind.
        if starved.watched.len() > 2 * self.entries.len() {
            let entries = &self.entries;
            let is_watched = |key: &StreamKey| entries.get(key.0).is_some_and(|it| it.is_watched);
            starved.watched.retain(is_watched);
            starved.watched.dedup();
        }
        starved.watched.push(key);
    }

    /// This round has ended. Returns what is granted for streams whose windows have been used up for long, and notes those
    /// whose readers are to say what they have read.
    pub(super) fn relieve(&mut self, ended: u32) -> Vec<Relieved> {
        let mut relieved = Vec::new();
        let Some(starved) = &mut self.starved else {
            return relieved;
        };
        for key in std::mem::take(&mut starved.watched) {
            let Some(stream) = self.entries.get_mut(key.0) else {
                continue;
            };
            let Some(window) = stream.receives.as_mut().filter(|_| stream.is_watched) else {
                continue;
            };
            stream.is_watched = false;
            let (id, is_urgent) = (stream.id, stream.is_urgent);
            match window.relieve(ended) {
                Relief::Nothing => {}
                Relief::Wait => self.watch(key),
                Relief::Grant(credit) => relieved.push(Relieved {
                    id,
                    is_urgent,
                    credit,
                }),
                Relief::AtOnce => self.starved.get_or_insert_default().unreported.push(id),
            }
        }
        relieved
    }

    /// A stream whose reader is to say what it has read.
    pub(super) fn poll_unreported(&mut self) -> Option<MsgId> {
        self.starved.as_mut()?.unreported.pop()
    }

    /// Items have been read. Returns what to grant for them, once that is worth a frame.
    pub(super) fn consume(&mut self, key: StreamKey, items: Credit) -> Option<Credit> {
        let stream = self.entries.get_mut(key.0)?;
        // The first item of a stream may have been received with the frame that opened it, which needed no credit.
        let read = stream.unread.min(super::to_usize(items.bytes));
        stream.unread -= read;
        self.unread = self.unread.saturating_sub(read);
        let window = stream.receives.as_mut()?;
        let credit = window.consume(items);
        if credit.is_none() && window.note_used_up(self.relief.round()) {
            self.watch(key);
        }
        credit
    }

    /// Received and unread bytes of all streams.
    pub(super) const fn unread(&self) -> usize {
        self.unread
    }

    /// Frees memory that a burst needed.
    pub(super) fn release(&mut self) {
        self.entries.shrink_to_fit();
        let starved = self.starved.as_ref();
        if starved.is_some_and(|it| it.watched.is_empty() && it.unreported.is_empty()) {
            self.starved = None;
        }
    }

    /// How many calls have streams.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The windows of all streams.
    #[cfg(any(test, fuzzing))]
    pub(super) fn windows(&self) -> impl Iterator<Item = StreamWindows> + '_ {
        self.entries.iter().map(|(_, stream)| StreamWindows {
            sends: stream.sends.as_ref().map(SendWindow::items),
            receives: stream.receives.as_ref().map(ReceiveWindow::items),
            id: stream.id,
            withheld_after: stream
                .receives
                .as_ref()
                .and_then(ReceiveWindow::withheld_after),
        })
    }
}

impl StreamState {
    /// This side's stream is complete.
    pub(super) fn end_sending(&mut self) {
        if let Some(window) = self.sends.take() {
            self.late_credits = window.uncredited();
        }
    }

    /// The peer's stream is complete.
    pub(super) fn end_receiving(&mut self) {
        self.receives = None;
    }

    /// Whether this side's stream is open.
    pub(super) const fn is_sending(&self) -> bool {
        self.sends.is_some()
    }

    /// Whether the peer's stream is open.
    pub(super) const fn is_receiving(&self) -> bool {
        self.receives.is_some()
    }

    /// The credit of this side's stream; nothing where it is not open.
    pub(super) fn credit(&self) -> Credit {
        self.sends
            .as_ref()
            .map_or(Credit::NOTHING, SendWindow::credit)
    }

    /// Whether there is credit for so many items, of which all but the last have so many bytes. `None` where this side's
    /// stream is not open.
    pub(super) fn allows(&self, items: usize, bytes_before_last: usize) -> Option<bool> {
        Some(self.sends.as_ref()?.allows(items, bytes_before_last))
    }

    /// Items were sent, whose payloads have so many bytes together.
    pub(super) fn spend(&mut self, items: usize, payload_len: usize) {
        if let Some(window) = &mut self.sends {
            window.spend_many(items, payload_len);
        }
    }

    /// How many CREDITs may come, one for each item that was sent.
    pub(super) fn uncredited(&self) -> i64 {
        self.sends
            .as_ref()
            .map_or(self.late_credits, SendWindow::uncredited)
    }

    /// The peer grants credit. `false` where it has lost count.
    #[must_use]
    pub(super) fn grant(&mut self, credit: Credit) -> bool {
        if let Some(window) = &mut self.sends {
            return window.grant(credit);
        }
        // It was under way before the end of the stream.
        self.late_credits = (self.late_credits - 1).max(0);
        true
    }

    /// Whether the last item took the last of the credit.
    pub(super) fn is_used_up(&self) -> bool {
        self.receives
            .as_ref()
            .is_some_and(ReceiveWindow::is_used_up)
    }

    /// How much is to be read before credit is granted again; `None` where the peer's stream is complete.
    pub(super) fn due(&self) -> Option<Credit> {
        self.receives.as_ref().map(ReceiveWindow::due)
    }
}
