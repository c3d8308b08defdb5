//! The windows of an exchange that has streams (docs/protocol.md, "Credit").

use super::window::{ReceiveWindow, STREAM_GROWTH, SendWindow};
use crate::wire::Credit;

/// What an exchange may still send and receive of its streams, as seen from one end.
#[derive(Debug)]
pub struct Streams {
    /// What may still be sent, while this end's stream is open.
    sends: Option<SendWindow>,
    /// What may still come, while the other end's stream is open.
    receives: Option<ReceiveWindow>,
    /// What has come and was not taken, in bytes.
    waiting: usize,
}

/// How many items may be sent and received, where a stream is open.
#[cfg(any(test, fuzzing))]
#[derive(Debug)]
pub(super) struct Windows {
    pub(super) sends: Option<i64>,
    pub(super) receives: Option<i64>,
}

impl Streams {
    pub fn new(start: Credit, sends: bool, receives: bool) -> Box<Self> {
        Box::new(Self {
            sends: sends.then(|| SendWindow::new(start)),
            receives: receives.then(|| ReceiveWindow::growing(start, STREAM_GROWTH)),
            waiting: 0,
        })
    }

    /// This end begins to send a stream.
    pub fn begin_sending(&mut self, start: Credit) {
        self.sends.get_or_insert_with(|| SendWindow::new(start));
    }

    /// This end's stream is complete.
    pub fn end_sending(&mut self) {
        self.sends = None;
    }

    /// The other end's stream is complete.
    pub fn end_receiving(&mut self) {
        self.receives = None;
    }

    /// Whether this end's stream is open; and whether it may send another item now.
    pub fn sending(&self) -> Option<bool> {
        self.sends.as_ref().map(SendWindow::is_open)
    }

    /// Whether items of the other end's stream may come.
    pub fn is_receiving(&self) -> bool {
        self.receives.is_some()
    }

    /// How many items each end may send.
    #[cfg(any(test, fuzzing))]
    pub(super) fn windows(&self) -> Windows {
        Windows {
            sends: self.sends.as_ref().map(SendWindow::items),
            receives: self.receives.as_ref().map(ReceiveWindow::items),
        }
    }

    /// How much this end may send; nothing where its stream is not open.
    pub fn left(&self) -> Credit {
        let nothing = Credit { items: 0, bytes: 0 };
        self.sends.as_ref().map_or(nothing, SendWindow::left)
    }

    /// Whether this end's stream is open; and whether it may send so many items now, of which all but the last have so
    /// many bytes.
    pub fn lasts(&self, items: usize, bytes_before_last: usize) -> Option<bool> {
        let window = self.sends.as_ref()?;
        Some(window.lasts(items, bytes_before_last))
    }

    /// Items were sent, whose payloads are so many bytes together.
    pub fn spend(&mut self, items: usize, payload_len: usize) {
        if let Some(window) = &mut self.sends {
            window.spend_many(items, payload_len);
        }
    }

    /// The other end grants more. `false` where it has lost count.
    #[must_use]
    pub fn grant(&mut self, credit: Credit) -> bool {
        // What comes after the end of the stream was under way before it.
        self.sends
            .as_mut()
            .is_none_or(|window| window.grant(credit))
    }

    /// An item has come. `None` where no stream is open; `false` where there was no credit for it.
    pub fn accept(&mut self, payload_len: u32) -> Option<bool> {
        // All of its frames have one priority.
        let is_accepted = self.receives.as_mut()?.accept(payload_len, false);
        if is_accepted {
            self.waiting += super::to_usize(payload_len);
        }
        Some(is_accepted)
    }

    /// Whether what has come took the last of the credit.
    pub fn is_used_up(&self) -> bool {
        self.receives
            .as_ref()
            .is_some_and(ReceiveWindow::is_used_up)
    }

    /// What has come and was not taken, in bytes.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Items of so many bytes have been taken. Returns how many of them were waiting: the first item of a stream may
    /// have come with what opened it.
    pub fn took(&mut self, payload_len: u32) -> usize {
        let taken = self.waiting.min(super::to_usize(payload_len));
        self.waiting -= taken;
        taken
    }

    /// Items have been taken. Returns what to grant for them, once that is worth a frame.
    pub fn consume(&mut self, taken: Credit) -> Option<Credit> {
        self.receives.as_mut()?.consume(taken)
    }

    /// How much is to be taken before something is granted again.
    pub fn due(&self) -> Option<Credit> {
        self.receives.as_ref().map(ReceiveWindow::due)
    }
}
