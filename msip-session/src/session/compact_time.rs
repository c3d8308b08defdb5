//! A time in little memory, for sessions that are silent.

use std::time::Duration;

/// A time in nanoseconds: exact for 584 years.
#[derive(Debug, Clone, Copy)]
pub(super) struct CompactTime(u64);

impl From<Duration> for CompactTime {
    fn from(time: Duration) -> Self {
        Self(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl From<CompactTime> for Duration {
    fn from(time: CompactTime) -> Self {
        Self::from_nanos(time.0)
    }
}
