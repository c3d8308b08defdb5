//! Parked sessions: what is kept of a session without a connection while nothing of it is open.
//!
//! Most sessions that lose their connections owe their peers nothing. All that matters for a resume is then which ids were
//! used, and how deliveries and calls have ended (docs/protocol.md, "Resumption"); it is kept in a few hundred bytes.

use std::{sync::Arc, time::Duration};

use super::{
    Config, Phase, Session, ended_calls::PackedEndedCalls, fault_injection::FaultInjection,
    outbound::GoOn, received::PackedDeliveries,
};
use crate::{Dropped, budget::Share};

/// A session without a connection of which nothing is open, in little memory; from [`Session::park`].
///
/// It counts against the memory budget, and may be evicted, as it did before.
#[derive(Debug)]
pub struct ParkedSession {
    share: Share,
    received: PackedDeliveries,
    ended_calls: PackedEndedCalls,
    outbound: GoOn,
    /// How many frames may still come for the peer's calls.
    late_frames: u64,
    connection: u64,
    last_answered: u64,
    ignored: u64,
    #[cfg(any(test, fuzzing))]
    unexpected: u64,
    /// In a box, since most sessions have dropped nothing.
    dropped: Option<Box<Dropped>>,
    peer_max_body: usize,
    peer_ends_cancelled: bool,
    allows_compressed: bool,
    allows_error_metadata: bool,
    has_same_schema: bool,
    allows_topics: bool,
    allows_subscribe: bool,
}

impl Session {
    /// Whether it can be [parked](Self::park): it has no connection, and no call, delivery or message of either side is open,
    /// queued or kept.
    pub fn can_park(&self) -> bool {
        self.phase == Phase::Suspended && self.is_kept && self.has_nothing_open()
    }

    /// Whether no call, delivery or message of either side is open, queued or kept, and nothing is to be said of the session.
    pub(super) fn has_nothing_open(&self) -> bool {
        self.fault.is_none()
            && self.pending_close.is_none()
            && !self.is_closing()
            && self.outbound.is_empty()
            && self.inbound.is_idle()
            && self.is_handled()
            && self.decoded_message == 0
            && self.streams.len() == 0
            && self.outgoing.is_empty()
            && self.resend_queue.is_empty()
            && self.droppable_queue.is_empty()
            && self.dropped_waiters.is_empty()
            && !self.ended_calls.has_kept()
            && self.subscribe_intake.as_ref().is_none_or(|it| it.is_idle())
    }

    /// Takes what a further connection needs out of a session that has none: the session is over then, and goes on as the
    /// one that [`unpark`](Self::unpark) returns. `None` where it [cannot be parked](Self::can_park); nothing has changed.
    pub fn park(&mut self) -> Option<ParkedSession> {
        self.can_park().then(|| self.take_lasting())
    }

    /// Takes out what is to be kept of a session in which [nothing is open](Self::has_nothing_open): it is over then.
    pub(super) fn take_lasting(&mut self) -> ParkedSession {
        self.phase = Phase::Over;
        let share = Share::new(Arc::clone(&self.config.budget));
        ParkedSession {
            share: std::mem::replace(&mut self.share, share),
            received: std::mem::take(&mut self.received).pack(),
            ended_calls: std::mem::take(&mut self.ended_calls).pack(),
            outbound: self.outbound.to_go_on(),
            late_frames: self.inbound.late_frames(),
            connection: self.connection,
            last_answered: self.last_answered,
            ignored: self.ignored,
            #[cfg(any(test, fuzzing))]
            unexpected: self.unexpected,
            dropped: (self.dropped != Dropped::default()).then(|| Box::new(self.dropped)),
            peer_max_body: self.peer_max_body,
            peer_ends_cancelled: self.peer_ends_cancelled,
            allows_compressed: self.allows_compressed,
            allows_error_metadata: self.allows_error_metadata,
            has_same_schema: self.has_same_schema,
            allows_topics: self.allows_topics,
            allows_subscribe: self.subscribe_intake.is_some(),
        }
    }

    /// The session that was parked, which waits for a further connection. The configuration is to be that with which it began.
    #[must_use]
    pub fn unpark(config: impl Into<Arc<Config>>, parked: ParkedSession, now: Duration) -> Self {
        let allows_subscribe = parked.allows_subscribe;
        let mut session = Self::from_lasting(config.into(), parked, now);
        session.phase = Phase::Suspended;
        session.is_kept = true;
        if allows_subscribe {
            session.allow_subscribe(now);
        }
        session
    }

    /// A session that goes on with what was kept of one.
    pub(super) fn from_lasting(config: Arc<Config>, parked: ParkedSession, now: Duration) -> Self {
        let mut session = Self::new(config, now);
        session.share = parked.share;
        if !FaultInjection::ForgetParkedDeliveries.is_on() {
            session.received = parked.received.unpack();
        }
        if !FaultInjection::ForgetParkedCalls.is_on() {
            session.ended_calls = parked.ended_calls.unpack();
        }
        if !FaultInjection::RepeatParkedIds.is_on() {
            session.outbound.go_on(&parked.outbound);
        }
        session.inbound.go_on(parked.late_frames);
        session.connection = parked.connection;
        session.last_answered = parked.last_answered;
        session.ignored = parked.ignored;
        #[cfg(any(test, fuzzing))]
        {
            session.unexpected = parked.unexpected;
        }
        session.dropped = parked.dropped.map(|dropped| *dropped).unwrap_or_default();
        session.peer_max_body = parked.peer_max_body;
        session.peer_ends_cancelled = parked.peer_ends_cancelled;
        session.allows_compressed = parked.allows_compressed;
        session.allows_error_metadata = parked.allows_error_metadata;
        session.has_same_schema = parked.has_same_schema;
        session.allows_topics = parked.allows_topics;
        session
    }
}

impl ParkedSession {
    /// The number of the session's last connection.
    pub(super) fn connection(&self) -> u64 {
        self.connection
    }

    /// How many frames were ignored.
    pub(super) fn ignored(&self) -> u64 {
        self.ignored
    }

    /// How many messages were dropped.
    pub(super) fn dropped(&self) -> Dropped {
        self.dropped.as_deref().copied().unwrap_or_default()
    }

    /// Counts what is held of the session against the memory budget: what this refers to, and so many bytes of others.
    pub fn report_memory(&mut self, others: usize) {
        let dropped = self.dropped.as_deref().map_or(0, size_of_val);
        let packed = self.received.len() + self.ended_calls.len() + dropped;
        self.share.report_exactly(packed + others);
    }
}
