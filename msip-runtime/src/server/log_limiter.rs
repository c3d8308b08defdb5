//! A limiter of the log lines that a server's clients cause: for each source of connections, and for all together.
//!
//! A peer may come again at once, as often as it likes, and from many addresses: that must not fill a disk. What is left out
//! is counted, and said in one line a second.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use crate::{
    instruments::{OmittedLine, log_line_omitted},
    log_rate::LogRate,
    transport::{PeerAddress, Source},
};

/// Lines about refused clients: one a second for each source, 20 a second for all.
const REFUSED: Rates = Rates {
    of_source: LogRate {
        burst: 1,
        interval: Duration::from_secs(1),
    },
    of_all: LogRate {
        burst: 100,
        interval: Duration::from_millis(50),
    },
};

/// Lines about clients that are served, which have up to three for each connection: one a second for each source and 20 a
/// second for all, after bursts that a few clients need.
const SERVED: Rates = Rates {
    of_source: LogRate {
        burst: 60,
        interval: Duration::from_secs(1),
    },
    of_all: LogRate {
        burst: 300,
        interval: Duration::from_millis(50),
    },
};

/// How many sources are remembered; more than may log within the limit of all.
const MAX_SOURCES: usize = 1024;

/// How often it is said what was left out.
const TELL_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy)]
struct Rates {
    of_source: LogRate,
    of_all: LogRate,
}

/// Limits the log lines that clients cause.
#[derive(Debug)]
pub(super) struct LogLimiter {
    began: Instant,
    tables: Mutex<Tables>,
    /// A line was left out, the first since it was said how many were.
    has_unsaid: Notify,
}

#[derive(Debug)]
struct Tables {
    refused: Table,
    served: Table,
}

impl Default for LogLimiter {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            tables: Mutex::new(Tables {
                refused: Table::new(REFUSED),
                served: Table::new(SERVED),
            }),
            has_unsaid: Notify::new(),
        }
    }
}

impl LogLimiter {
    /// Whether a line may be logged now about a client from this address that was refused.
    pub(super) fn may_log_refused(&self, address: &PeerAddress) -> bool {
        let now = self.began.elapsed();
        let may = self.lock().refused.may_log(Some(address.source()), now);
        self.count(may, OmittedLine::Refused)
    }

    /// Whether a line may be logged now about a client from this address that is served, or was.
    pub(super) fn may_log_served(&self, address: &PeerAddress) -> bool {
        let now = self.began.elapsed();
        let may = self.lock().served.may_log(Some(address.source()), now);
        self.count(may, OmittedLine::Served)
    }

    /// Whether a line may be logged now about sessions whose clients are not connected.
    pub(super) fn may_log_session(&self) -> bool {
        let now = self.began.elapsed();
        let may = self.lock().served.may_log(None, now);
        self.count(may, OmittedLine::Served)
    }

    fn count(&self, may_log: bool, about: OmittedLine) -> bool {
        if !may_log {
            log_line_omitted(about);
            self.has_unsaid.notify_one();
        }
        may_log
    }

    /// Says once a second what was left out, as long as it is polled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing; [`tell`](Self::tell) says the rest.
    pub(super) async fn tell_regularly(&self) {
        loop {
            self.has_unsaid.notified().await;
            sleep(TELL_INTERVAL).await;
            self.tell();
        }
    }

    /// Says what was left out, if anything was.
    pub(super) fn tell(&self) {
        let (refused, served) = {
            let mut tables = self.lock();
            (tables.refused.take_unsaid(), tables.served.take_unsaid())
        };
        if let Some(Unsaid { lines, addresses }) = refused {
            tracing::info!(
                lines,
                addresses,
                "more clients refused: not logged one by one"
            );
        }
        if let Some(Unsaid { lines, addresses }) = served {
            tracing::info!(
                lines,
                addresses,
                "more clients connected, disconnected or gone: not logged one by one"
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Table {
    rates: Rates,
    sources: HashMap<Source, SourceState>,
    /// When the lines of all sources are paid for.
    due: Duration,
    /// The same of lines about no source.
    due_of_none: Duration,
    unsaid: Unsaid,
    /// Numbers the times at which it was said what was left out.
    period: u64,
}

#[derive(Debug)]
struct SourceState {
    /// When its lines are paid for.
    due: Duration,
    /// The period in which it was last counted among the addresses.
    counted_in: u64,
}

/// What was not logged.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Unsaid {
    lines: u64,
    /// About how many sources, of those that are remembered.
    addresses: u64,
}

impl Table {
    fn new(rates: Rates) -> Self {
        Self {
            rates,
            sources: HashMap::new(),
            due: Duration::ZERO,
            due_of_none: Duration::ZERO,
            unsaid: Unsaid::default(),
            period: 1,
        }
    }

    /// Whether a line may be logged about this source, or about no source.
    fn may_log(&mut self, source: Option<Source>, now: Duration) -> bool {
        let Rates { of_source, of_all } = self.rates;
        let Some(source) = source else {
            let may = of_source.allows(self.due_of_none, now) && of_all.take(&mut self.due, now);
            if may {
                of_source.take(&mut self.due_of_none, now);
            }
            self.unsaid.lines += u64::from(!may);
            return may;
        };
        if !self.sources.contains_key(&source) && self.sources.len() >= MAX_SOURCES {
            // Those that may log as if they were new need not be remembered.
            self.sources.retain(|_, state| state.due > now);
            if self.sources.len() >= MAX_SOURCES {
                self.unsaid.lines += 1;
                return false;
            }
        }
        let state = self.sources.entry(source).or_insert(SourceState {
            due: Duration::ZERO,
            counted_in: 0,
        });
        // A line that is left out is at nobody's expense.
        let may = of_source.allows(state.due, now) && of_all.take(&mut self.due, now);
        if may {
            of_source.take(&mut state.due, now);
        } else {
            self.unsaid.lines += 1;
            if std::mem::replace(&mut state.counted_in, self.period) != self.period {
                self.unsaid.addresses += 1;
            }
        }
        may
    }

    fn take_unsaid(&mut self) -> Option<Unsaid> {
        self.period += 1;
        let unsaid = std::mem::take(&mut self.unsaid);
        (unsaid.lines > 0).then_some(unsaid)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn address(number: u32) -> Option<Source> {
        Some(Source::Ip(IpAddr::from(number.to_be_bytes())))
    }

    #[test]
    fn a_source_has_a_line_a_second_and_those_left_out_are_counted() {
        let mut table = Table::new(REFUSED);
        assert!(table.may_log(address(1), at(0)));
        for now in 0..999 {
            assert!(!table.may_log(address(1), at(now)));
        }
        assert!(table.may_log(address(2), at(999)), "another");
        assert!(!table.may_log(address(2), at(999)));
        let unsaid = Unsaid {
            lines: 1000,
            addresses: 2,
        };
        assert_eq!(table.take_unsaid(), Some(unsaid));
        assert_eq!(table.take_unsaid(), None, "once");
        assert!(table.may_log(address(1), at(1000)));
        assert!(!table.may_log(address(1), at(1001)));
        let unsaid = Unsaid {
            lines: 1,
            addresses: 1,
        };
        assert_eq!(table.take_unsaid(), Some(unsaid));
    }

    #[test]
    fn all_sources_together_have_a_limit_and_little_is_remembered_of_them() {
        let mut table = Table::new(REFUSED);
        let mut logged = 0;
        for number in 0..100_000 {
            logged += usize::from(table.may_log(address(number), at(u64::from(number) / 100)));
        }
        assert_eq!(logged, 100 + 20 - 1, "a burst, and 20 in a second");
        assert!(table.sources.len() <= MAX_SOURCES);
        let unsaid = table.take_unsaid().unwrap();
        assert_eq!(unsaid.lines, 100_000 - 119);
        // Lines about nobody have the limit of a source.
        let after = (0..100).filter(|_| table.may_log(None, at(30_000)));
        assert_eq!(after.count(), 1);
        assert!(table.may_log(address(5000), at(60_000)), "it is quiet");
    }
}
