//! The credit of one-way messages in both directions (docs/protocol.md, "Credit").

use msip_session::wire::{Credit, Flags, MsgId, write_credit};

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

/// What the session has sent and the peer is done with. The session gets it back.
#[derive(Debug, Default)]
pub(super) struct Earned {
    items: u32,
    bytes: u32,
}

impl Earned {
    pub(super) const fn add(&mut self, payload_len: u32) {
        self.items = self.items.saturating_add(1);
        self.bytes = self.bytes.saturating_add(payload_len);
    }

    /// Whether half of the window is used up that a connection begins with.
    #[cfg(feature = "messi")]
    pub(super) const fn is_due(&self) -> bool {
        let start = Credit::CONNECTION_START;
        self.items >= start.items / 2 || self.bytes >= start.bytes / 2
    }

    /// Grants all of it.
    pub(super) fn grant(&mut self, output: &mut Vec<u8>) {
        let Self { items, bytes } = std::mem::take(self);
        if items > 0 {
            grant(Credit { items, bytes }, output);
        }
    }
}

/// Lets the session send more.
pub(super) fn grant(credit: Credit, output: &mut Vec<u8>) {
    write_credit(output, Flags::NONE, MsgId::CONNECTION, credit);
}
