//! The limits of both brokers: few of everything, so that every limit is met.

use std::time::Duration;

use crate::router::Limits;

/// What each message counts for.
pub(super) const SIZE: usize = 100;
/// How many messages may wait for a session that writes, twice as many for one that has not had its turn.
pub(super) const OUTGOING: usize = 12;
/// How many messages are published together at most.
pub(super) const MAX_RUN: usize = 4;
/// How many may wait for one that is away.
pub(super) const AWAY: usize = 8;
/// How many LOG and METRIC.
pub(super) const DROPPABLE: usize = 5;
/// How many STATEs are kept.
pub(super) const KEPT: usize = 4;
pub(super) const EXPIRY: Duration = Duration::from_secs(30);
pub(super) const SUBSCRIPTIONS: usize = 5;
pub(super) const GRANTS: usize = 2;

pub(super) fn limits() -> Limits {
    Limits {
        outgoing_messages: OUTGOING,
        session_messages: AWAY,
        droppable_bytes: DROPPABLE * SIZE,
        session_expiry: EXPIRY,
        subscriptions: SUBSCRIPTIONS,
        grants: GRANTS,
        kept_values: KEPT,
        cached_topics: 3,
        ..Limits::default()
    }
}
