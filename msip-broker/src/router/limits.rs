//! What bounds the router.

use std::time::Duration;

/// The limits of a router. The names of its fields are those of the broker's settings.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How many bytes may wait for a session that is connected. 8 MiB unless set.
    pub outgoing_bytes: usize,
    /// How many messages may wait for it. 262,144 unless set.
    pub outgoing_messages: usize,
    /// How many of `outgoing_bytes` LOG and METRIC may take: beyond it the oldest are dropped. 1 MiB unless set.
    pub droppable_bytes: usize,
    /// How many bytes are kept for a session that is away. 8 MiB unless set.
    pub session_bytes: usize,
    /// How many messages are kept for it. 10,000 unless set.
    pub session_messages: usize,
    /// How long a session is kept that is away. 5 minutes unless set.
    pub session_expiry: Duration,
    /// How many subscriptions a session may have, of 256 bytes on average, and in how many topics of typed services it may take
    /// part. 10,000 unless set.
    pub subscriptions: usize,
    /// How many grants a session may give. 1,000 unless set.
    pub grants: usize,
    /// How many STATEs are kept, of all topics. 100,000 unless set.
    pub kept_values: usize,
    /// How many bytes they may have. 64 MiB unless set.
    pub kept_bytes: usize,
    /// How many topics a publisher remembers the way of. 1,024 unless set.
    pub cached_topics: usize,
    /// How long a publisher waits for a subscriber whose queue is more than half full, where that takes less than 64 KiB
    /// meanwhile, or where others have got nothing meanwhile. 100 ms unless set. One that goes on, and holds up nobody, is
    /// waited for as long as it does.
    pub push_back: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            outgoing_bytes: 8 << 20,
            outgoing_messages: 1 << 18,
            droppable_bytes: 1 << 20,
            session_bytes: 8 << 20,
            session_messages: 10_000,
            session_expiry: Duration::from_secs(300),
            subscriptions: 10_000,
            grants: 1_000,
            kept_values: 100_000,
            kept_bytes: 64 << 20,
            cached_topics: 1_024,
            push_back: Duration::from_millis(100),
        }
    }
}
