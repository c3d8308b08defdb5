//! The limits of both brokers: few of everything, so that every limit is met.

use std::time::Duration;

use crate::router::{Limits, peer_sizes::PeerSizes};

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
/// How many messages of a client an instance is sent ahead, at first, and at most: there the limit that is met is that of bytes.
pub(super) const FIRST_WINDOW: usize = 7;
pub(super) const WINDOW: usize = 10;
/// How many of its calls are open there.
pub(super) const CLIENT_CALLS: usize = 1;
/// How many of its messages wait there before it is pushed back.
pub(super) const CLIENT_WAITING: usize = 5;
/// How many messages of each other client go first, at most, where a client waits for its turn. In principle two runs, where that client
/// has begun its last run with little of a turn left, and waits for three; so few wait here that the second one is not whole, and with eight
/// a router without turns would not be found.
pub(super) const TURN: usize = 7;

/// The sizes of what instances are sent of their clients.
pub(in crate::router::simulation) const PEER_SIZES: PeerSizes = PeerSizes {
    window_messages: FIRST_WINDOW,
    max_window_messages: 2 * WINDOW,
    // A message is sent while there is anything left.
    window_bytes: (WINDOW - 1) * SIZE + 1,
    quantum: SIZE as i64 + 64,
    max_waiting: 1 << 20,
    max_waiting_messages: CLIENT_WAITING,
    max_calls: CLIENT_CALLS,
};

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
