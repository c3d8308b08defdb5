//! How many messages were taken to be sent, and were not.

use std::ops::AddAssign;

use crate::MsgKind;

/// How many messages a side has taken to be sent and then dropped, by the reason.
///
/// From `dropped` of a client's or a peer's [`connection`](crate::Client::connection). It counts from the client's, or
/// the peer's, beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// Their connection was lost before they were sent, and they asked for no acknowledgment.
    pub disconnected: u64,
    /// LOG messages that made room: the receiver is slower than the sender.
    pub logs: u64,
    /// METRIC messages that made room.
    pub metrics: u64,
    /// STATE messages that a newer one of the same key replaced.
    pub replaced: u64,
    /// Messages that waited in a [`Sender`](crate::Sender) when it was dropped, and for which there was no room then.
    pub unflushed: u64,
}

impl Dropped {
    /// How many there are, for whatever reason.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.disconnected + self.logs + self.metrics + self.replaced + self.unflushed
    }

    /// One more has made room, by its kind.
    pub fn by_kind(&mut self, kind: MsgKind) {
        match kind {
            MsgKind::Log => self.logs += 1,
            MsgKind::Metric => self.metrics += 1,
            MsgKind::State => self.replaced += 1,
            // They wait.
            MsgKind::Event | MsgKind::Command => {}
        }
    }
}

impl AddAssign for Dropped {
    fn add_assign(&mut self, other: Self) {
        self.disconnected += other.disconnected;
        self.logs += other.logs;
        self.metrics += other.metrics;
        self.replaced += other.replaced;
        self.unflushed += other.unflushed;
    }
}
