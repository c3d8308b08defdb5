//! The configuration of a session: limits, times and windows.

use std::{sync::Arc, time::Duration};

use crate::{
    budget::Budget,
    wire::{Credit, Limits, Side},
};

/// The limits and times of a session.
///
/// Start from [`Config::new`] and change what has to change.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Which side of the connection this is.
    pub side: Side,
    /// The limits on the parts of a frame that is received.
    pub limits: Limits,
    /// How long nothing may come before a PING is sent; after twice as long without a byte the connection is lost.
    /// Default 10 s.
    pub ping_interval: Duration,
    /// How long the handshake may take. Default 5 s.
    pub handshake_timeout: Duration,
    /// How long open exchanges may take after either side has said CLOSE. Default 30 s.
    pub drain_timeout: Duration,
    /// How long calls with streams may take to end by themselves after either side has said CLOSE; then they are ended with
    /// `UNAVAILABLE`. At most `drain_timeout`. Default 250 ms.
    pub stream_drain: Duration,
    /// How many calls of the peer may be open. One more is answered with `RESOURCE_EXHAUSTED`. Default 1,024.
    pub max_calls: usize,
    /// How many bytes the requests of the peer's open calls may have together. A call beyond that is answered with
    /// `RESOURCE_EXHAUSTED`. Default 64 MiB.
    pub max_call_bytes: usize,
    /// How many bytes may be queued for writing, each frame counted as its length + 64; senders wait beyond that, and
    /// no handler begins while answers alone exceed it. Default 8 MiB.
    pub outgoing_queue: usize,
    /// How many bytes of deliveries and answers are kept across connections, each frame counted as its length + 64.
    /// Default 16 MiB.
    pub session_buffer: usize,
    /// How many unacknowledged deliveries are kept across connections. Default 10,000.
    pub session_deliveries: usize,
    /// How many bytes of new messages are buffered while there is no connection, each frame counted as its length + 64.
    /// Default 0: none.
    pub buffer_disconnected: usize,
    /// The credit that one-way messages of a connection begin with. The protocol fixes it
    /// ([`Credit::CONNECTION_START`], the default); both sides of a simulation may agree on less.
    pub window: Credit,
    /// The credit that each stream begins with; [`Credit::STREAM_START`] in the same way.
    pub stream_window: Credit,
    /// The memory budget that the session shares with others. Default: that of the process.
    pub budget: Arc<Budget>,
}

impl Config {
    /// The defaults of this side.
    #[must_use]
    pub fn new(side: Side) -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            side,
            limits: Limits::default(),
            ping_interval: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(30),
            stream_drain: Duration::from_millis(250),
            max_calls: 1024,
            max_call_bytes: 64 * MIB,
            outgoing_queue: 8 * MIB,
            session_buffer: 16 * MIB,
            session_deliveries: 10_000,
            buffer_disconnected: 0,
            window: Credit::CONNECTION_START,
            stream_window: Credit::STREAM_START,
            budget: Budget::of_process(),
        }
    }
}
