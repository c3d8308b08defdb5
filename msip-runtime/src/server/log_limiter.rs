//! A limiter of log lines that strangers cause: one line a second for each source of connections.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::transport::{PeerAddress, Source};

/// How long nothing more is logged about a source.
const QUIET: Duration = Duration::from_secs(1);

/// How many sources are remembered. While so many are limited, nothing is logged about others.
const MAX_SOURCES: usize = 1024;

/// Limits log lines for each source of connections. A peer that is refused may come again at once, and as often as it
/// likes: that must not fill a disk.
#[derive(Debug)]
pub(super) struct LogLimiter {
    began: Instant,
    table: Mutex<Table>,
}

impl Default for LogLimiter {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            table: Mutex::default(),
        }
    }
}

impl LogLimiter {
    /// Whether a line about this address may be logged now, and how many before it were not.
    pub(super) fn may_log(&self, address: &PeerAddress) -> Option<u64> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.may_log(address.source(), self.began.elapsed())
    }
}

#[derive(Debug, Default)]
struct Table {
    /// When the last line about each was logged, and how many were not since.
    sources: HashMap<Source, (Duration, u64)>,
    /// How many lines were not logged about sources that are not remembered.
    forgotten: u64,
}

impl Table {
    fn may_log(&mut self, source: Source, now: Duration) -> Option<u64> {
        let is_quiet = |logged: Duration| now.saturating_sub(logged) < QUIET;
        if let Some((logged, unsaid)) = self.sources.get_mut(&source) {
            if is_quiet(*logged) {
                *unsaid += 1;
                return None;
            }
            *logged = now;
            return Some(std::mem::take(unsaid));
        }
        if self.sources.len() >= MAX_SOURCES {
            self.sources.retain(|_, (logged, unsaid)| {
                let keeps = is_quiet(*logged);
                if !keeps {
                    self.forgotten += *unsaid;
                }
                keeps
            });
            if self.sources.len() >= MAX_SOURCES {
                self.forgotten += 1;
                return None;
            }
        }
        self.sources.insert(source, (now, 0));
        Some(std::mem::take(&mut self.forgotten))
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn address(number: u32) -> Source {
        Source::Ip(IpAddr::from(number.to_be_bytes()))
    }

    #[test]
    fn a_source_has_a_line_a_second_which_counts_those_left_out() {
        let mut table = Table::default();
        assert_eq!(table.may_log(address(1), at(0)), Some(0));
        for now in 0..999 {
            assert_eq!(table.may_log(address(1), at(now)), None);
        }
        assert_eq!(table.may_log(address(2), at(999)), Some(0), "another");
        assert_eq!(table.may_log(address(1), at(1000)), Some(999));
        assert_eq!(table.may_log(address(1), at(1001)), None);
        assert_eq!(table.may_log(address(1), at(5000)), Some(1));
    }

    #[test]
    fn of_too_many_sources_the_rest_is_counted() {
        let mut table = Table::default();
        for number in 0..2000 {
            let may = table.may_log(address(number), at(0)).is_some();
            assert_eq!(may, number < 1024, "address {number}");
        }
        assert_eq!(table.may_log(address(0), at(1)), None);
        assert_eq!(table.sources.len(), 1024);
        let unsaid = table.may_log(address(5000), at(1000));
        assert_eq!(unsaid, Some(2000 - 1024 + 1), "all that was not said");
        assert_eq!(table.sources.len(), 1);
    }
}
