//! The instruments of a connection: how many there are, and what they hold, drop and wait for.
//!
//! The driver looks when it falls asleep, ten times a second at most, and passes on what has changed.

#[cfg(feature = "metrics")]
mod measured;

#[cfg(feature = "metrics")]
pub(super) use measured::Instruments;

#[cfg(not(feature = "metrics"))]
pub(super) use unmeasured::Instruments;

/// What the instruments show of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) calls: OpenCalls,
    pub(super) queued: usize,
    pub(super) dropped: crate::Dropped,
    pub(super) waits: Waits,
}

/// How many calls are open, by who has begun them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct OpenCalls {
    pub(super) incoming: usize,
    pub(super) outgoing: usize,
}

/// How many sends have waited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Waits {
    pub(super) messages: u64,
    pub(super) calls: u64,
    pub(super) streams: u64,
}

#[cfg(not(feature = "metrics"))]
mod unmeasured {
    use std::time::Duration;

    use super::Seen;
    use crate::instruments::Side;

    #[derive(Debug, Default)]
    pub(in crate::connection) struct Instruments;

    #[expect(clippy::unused_self, reason = "as the one that measures")]
    impl Instruments {
        pub(in crate::connection) fn connected(&mut self, _: Side) {}

        pub(in crate::connection) fn go_on(&mut self, _: Side, _: Seen) {}

        pub(in crate::connection) fn disconnected(&mut self, _: impl FnOnce() -> Seen) {}

        #[inline]
        pub(in crate::connection) fn observe(
            &mut self,
            _: Duration,
            _: impl FnOnce() -> Seen,
        ) -> Option<Duration> {
            None
        }
    }
}
