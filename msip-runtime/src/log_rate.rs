//! How often something is logged: a burst, and then so many lines a second. What peers cause must not fill a disk.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::instruments::{OmittedLine, log_line_omitted};

/// A burst of log lines, and then one for each interval.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogRate {
    pub(crate) burst: u32,
    pub(crate) interval: Duration,
}

impl LogRate {
    /// Whether a line may be logged now. `due` is when the lines before it are paid for; times count from any moment.
    pub(crate) fn take(self, due: &mut Duration, now: Duration) -> bool {
        let may = self.allows(*due, now);
        if may {
            *due = now.max(*due).saturating_add(self.interval);
        }
        may
    }

    /// Whether [`take`](Self::take) would let a line be logged.
    pub(crate) fn allows(self, due: Duration, now: Duration) -> bool {
        let ahead = self.interval.saturating_mul(self.burst.saturating_sub(1));
        due.saturating_sub(now) <= ahead
    }
}

/// Lines about one thing that peers can cause, whoever they are: the next line says how many were left out before it.
#[derive(Debug)]
pub(crate) struct LimitedLog {
    about: OmittedLine,
    rate: LogRate,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    began: Option<Instant>,
    due: Duration,
    unsaid: u64,
}

impl LimitedLog {
    pub(crate) const fn new(about: OmittedLine, rate: LogRate) -> Self {
        Self {
            about,
            rate,
            state: Mutex::new(State {
                began: None,
                due: Duration::ZERO,
                unsaid: 0,
            }),
        }
    }

    /// Whether a line may be logged now, and how many before it were not.
    pub(crate) fn may_log(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = state.began.get_or_insert_with(Instant::now).elapsed();
        self.may_log_at(&mut state, now)
    }

    fn may_log_at(&self, state: &mut State, now: Duration) -> Option<u64> {
        if self.rate.take(&mut state.due, now) {
            return Some(std::mem::take(&mut state.unsaid));
        }
        state.unsaid += 1;
        log_line_omitted(self.about);
        None
    }
}

/// Panics of handlers, of all clients and servers of the process: a peer may know which message causes one.
pub(crate) static PANICS: LimitedLog = LimitedLog::new(
    OmittedLine::Panic,
    LogRate {
        burst: 20,
        interval: Duration::from_secs(1),
    },
);

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: LogRate = LogRate {
        burst: 3,
        interval: Duration::from_secs(1),
    };

    #[test]
    fn a_burst_and_then_one_for_each_interval() {
        let at = Duration::from_millis;
        let log = LimitedLog::new(OmittedLine::Panic, RATE);
        let mut state = log.state.lock().unwrap();
        let mut may_log = |now| log.may_log_at(&mut state, at(now));
        assert_eq!([0, 1, 2].map(&mut may_log), [Some(0); 3]);
        for now in 3..1000 {
            assert_eq!(may_log(now), None, "at {now}");
        }
        assert_eq!(may_log(1000), Some(997));
        assert_eq!(may_log(1001), None);
        assert_eq!(may_log(2000), Some(1));
        // Who was quiet has a burst again, and no more.
        assert_eq!(
            [60_000; 4].map(&mut may_log),
            [Some(0), Some(0), Some(0), None]
        );
    }
}
