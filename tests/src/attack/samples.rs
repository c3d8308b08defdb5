//! Latencies that are recorded by one thread and read by another.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How many samples are kept: minutes of them.
const KEPT: usize = 50_000;

/// How often a bystander calls, where its calls are answered at once.
pub(super) const INTERVAL: Duration = Duration::from_millis(2);

/// What a percentile is compared with at least. The delays of a machine that is busy with other tests are below it, a server
/// that stands still for a second is far above five times as much.
const FLOOR: Duration = Duration::from_millis(50);

/// How long calls took.
///
/// A call that takes long keeps those from being made that would have waited too: each counts as several calls, one for
/// every 2 ms. So the percentiles are of time, and a server that stands still for a tenth of it shows at the ninetieth.
#[derive(Debug, Clone, Copy, Default)]
pub struct Latency {
    /// How many calls.
    pub count: usize,
    /// The median.
    pub p50: Duration,
    /// 99 of 100 took no longer.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

impl Latency {
    fn of(taken: impl Iterator<Item = Duration>) -> Self {
        let mut count = 0;
        let mut all = Vec::new();
        for mut taken in taken {
            count += 1;
            all.push(taken);
            while let Some(rest) = taken.checked_sub(INTERVAL).filter(|rest| !rest.is_zero()) {
                taken = rest;
                all.push(taken);
            }
        }
        all.sort_unstable();
        let at = |percent: usize| {
            let place = (all.len() * percent / 100).min(all.len().saturating_sub(1));
            all.get(place).copied().unwrap_or_default()
        };
        Self {
            count,
            p50: at(50),
            p99: at(99),
            max: at(100),
        }
    }

    /// The p99 that an attack may cause: five times what it was before, or what it is meanwhile at a server that nobody attacks, on
    /// the same machine; and 250 ms where both are small. Where the process waited for a processor it may be as much longer.
    #[must_use]
    pub fn bound(before: &Self, control: &Self, slowdown: f64) -> Duration {
        let bound = 5 * before.p99.max(control.p99).max(FLOOR);
        bound.mul_f64(slowdown.max(1.0))
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        let (p50, p99, max) = (ms(self.p50), ms(self.p99), ms(self.max));
        write!(f, "{p50:.1}/{p99:.1}/{max:.1} ms")
    }
}

/// What was recorded.
#[derive(Debug, Default)]
struct Recorded {
    /// When each call had ended, and how long it took.
    calls: VecDeque<(Instant, Duration)>,
    count: u64,
    failure: Option<String>,
}

/// The samples of a bystander.
#[derive(Debug, Default)]
pub(super) struct Samples {
    recorded: Mutex<Recorded>,
    changed: Condvar,
}

impl Samples {
    fn lock(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn record(&self, call: Result<Duration, String>) {
        let mut recorded = self.lock();
        match call {
            Ok(taken) => {
                if recorded.calls.len() == KEPT {
                    recorded.calls.pop_front();
                }
                recorded.calls.push_back((Instant::now(), taken));
                recorded.count += 1;
            }
            Err(failure) => {
                recorded.failure.get_or_insert(failure);
            }
        }
        self.changed.notify_all();
    }

    /// How many calls have ended.
    pub(super) fn count(&self) -> u64 {
        self.lock().count
    }

    /// Waits until so many calls have ended, or one has failed.
    ///
    /// # Panics
    ///
    /// After a minute.
    pub(super) fn wait_for(&self, count: u64) {
        let is_waiting =
            |recorded: &mut Recorded| recorded.count < count && recorded.failure.is_none();
        let waited =
            self.changed
                .wait_timeout_while(self.lock(), Duration::from_secs(60), is_waiting);
        let (recorded, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(
            !waited.timed_out(),
            "{} of {count} well-behaved calls in a minute",
            recorded.count
        );
    }

    /// How long the calls took that have ended since then, or why one has failed.
    pub(super) fn since(&self, begun: Instant) -> Result<Latency, String> {
        let recorded = self.lock();
        if let Some(failure) = &recorded.failure {
            return Err(failure.clone());
        }
        let calls = recorded.calls.iter().filter(|(ended, _)| *ended >= begun);
        Ok(Latency::of(calls.map(|(_, taken)| *taken)))
    }
}
