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
/// What an item counts for in a turn besides its bytes.
const ITEM: usize = 64;
/// How much of a client goes in a turn, as soon as that is more than it is in debt.
const QUANTUM: usize = SIZE + ITEM;
/// What the longest run of messages counts for in a turn.
const LONGEST: usize = cost(MAX_RUN);
/// How much of another client goes first, at most, where a client waits for its turn: one that has begun its last run with as little of a
/// turn left as there can be is in debt for so many turns; the other one has the same number of them, began with a whole one, and ends
/// with a run that is as long.
pub(super) const MOST_AHEAD: usize = LONGEST.div_ceil(QUANTUM) * QUANTUM + LONGEST - 1;

/// What so many messages that go together count for in a turn.
pub(super) const fn cost(messages: usize) -> usize {
    messages * SIZE + ITEM
}

/// The sizes of what instances are sent of their clients.
pub(in crate::router::simulation) const PEER_SIZES: PeerSizes = PeerSizes {
    window_messages: FIRST_WINDOW,
    max_window_messages: 2 * WINDOW,
    // A message is sent while there is anything left.
    window_bytes: (WINDOW - 1) * SIZE + 1,
    quantum: QUANTUM as i64,
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
