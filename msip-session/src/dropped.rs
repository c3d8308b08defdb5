//! Counters of messages that were dropped.

use std::ops::AddAssign;

use crate::MsgKind;

/// How many messages were taken for sending and then dropped, by the reason; and how many that came by datagrams.
///
/// A session counts from its beginning; a client or a server's peer adds up its sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// Their connection was lost before they were sent, and they asked for no acknowledgment.
    pub disconnected: u64,
    /// LOG messages that were dropped from a full queue: the receiver is slower than the sender.
    pub logs: u64,
    /// METRIC messages that were dropped from a full queue.
    pub metrics: u64,
    /// STATE messages that a newer one of the same key replaced.
    pub replaced: u64,
    /// Messages that waited in a batching sender when it was dropped, and found no capacity then.
    pub unflushed: u64,
    /// LOG and METRIC messages that came by datagrams and were dropped: the handlers are slower than the peer, or the peer
    /// sent by a datagram what may not come by one.
    pub received: u64,
    /// LOG and METRIC messages that go by a channel, and found it down.
    pub channel_down: u64,
}

impl Dropped {
    /// How many there are, for whatever reason.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.disconnected
            + self.logs
            + self.metrics
            + self.replaced
            + self.unflushed
            + self.received
            + self.channel_down
    }

    /// Counts a message that was dropped from a full queue.
    pub(crate) fn by_kind(&mut self, kind: MsgKind) {
        match kind {
            MsgKind::Log => self.logs += 1,
            MsgKind::Metric => self.metrics += 1,
            MsgKind::State => self.replaced += 1,
            // They wait instead.
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
        self.received += other.received;
        self.channel_down += other.channel_down;
    }
}
