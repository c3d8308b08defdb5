//! The credit of one-way messages in both directions (docs/protocol.md, "Credit").

use msip_session::wire::Credit;

/// What a session is granted beyond the window that it begins with, once it is open. A foreign peer grants nothing: what waits for it is
/// bounded by the session's `outgoing_queue`, in bytes, and a burst within that is not to be held up by its number of messages.
pub(super) const AHEAD: Credit = Credit {
    items: 1 << 24,
    bytes: 1 << 30,
};

/// What may be given to the session.
#[derive(Debug)]
pub(super) struct Window {
    items: u64,
    /// Negative after a message that exceeded it.
    bytes: i64,
}

impl Default for Window {
    fn default() -> Self {
        let Credit { items, bytes } = Credit::CONNECTION_START;
        Self {
            items: items.into(),
            bytes: bytes.into(),
        }
    }
}

impl Window {
    pub(super) fn add(&mut self, credit: Credit) {
        self.items = self.items.saturating_add(credit.items.into());
        self.bytes = self.bytes.saturating_add(credit.bytes.into());
    }

    /// Whether a message may be given.
    pub(super) const fn is_open(&self) -> bool {
        self.items > 0 && self.bytes > 0
    }

    pub(super) fn spend(&mut self, payload_len: usize) {
        self.items = self.items.saturating_sub(1);
        let len = i64::try_from(payload_len).unwrap_or(i64::MAX);
        self.bytes = self.bytes.saturating_sub(len);
    }
}

/// What the session has sent, and gets back as credit.
#[derive(Debug, Default)]
pub(super) struct Earned {
    items: u32,
    bytes: u32,
}

impl Earned {
    /// Adds a message. Whether it is time to [grant](Self::take): half of the window is used up.
    pub(super) fn add(&mut self, payload_len: u32) -> bool {
        let start = Credit::CONNECTION_START;
        self.items = self.items.saturating_add(1);
        self.bytes = self.bytes.saturating_add(payload_len);
        self.items >= start.items / 2 || self.bytes >= start.bytes / 2
    }

    pub(super) fn take(&mut self) -> Credit {
        let Self { items, bytes } = std::mem::take(self);
        Credit { items, bytes }
    }
}
