//! Backoff between attempts to connect (docs/protocol.md, "Liveness").

use std::time::Duration;

use crate::settings::Settings;

/// A client that was logged in for this long was connected well: waits start over after it.
const GOOD_AFTER: Duration = Duration::from_secs(10);

/// What a client does after an attempt to connect has failed, or the server has closed its session: the answer of
/// `on_connect_failure` and of `on_closed_by_server`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reconnect {
    /// Tries again after a wait that grows with each attempt, from `reconnect_min` to `reconnect_max`, drawn evenly
    /// between nothing and that.
    Backoff,
    /// Tries again after this wait.
    After(Duration),
    /// Gives up: the client is closed.
    Stop,
}

/// The growing wait.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(settings: &Settings) -> Self {
        let max = settings.reconnect_max.max(settings.reconnect_min);
        Self {
            min: settings.reconnect_min,
            max,
            next: settings.reconnect_min,
        }
    }

    /// A connection has ended that had lasted so long.
    pub(super) fn connected_for(&mut self, lasted: Duration) {
        if lasted >= GOOD_AFTER {
            self.next = self.min;
        }
    }

    /// The next wait; `random` is drawn evenly from all numbers.
    pub(super) fn next(&mut self, random: u32) -> Duration {
        let longest = self.next;
        self.next = (longest * 2).min(self.max);
        longest.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}

/// A random number, where the system has one.
pub(super) fn random() -> Option<u32> {
    getrandom::u32().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_limit_and_starts_over_after_a_good_connection() {
        let mut backoff = Backoff::new(&Settings::default());
        let longest: Vec<u128> = (0..10)
            .map(|_| backoff.next(u32::MAX).as_millis())
            .collect();
        assert_eq!(
            longest,
            [50, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]
        );
        backoff.connected_for(Duration::from_secs(9));
        assert_eq!(
            backoff.next(u32::MAX),
            Duration::from_secs(10),
            "a short connection changes nothing"
        );
        backoff.connected_for(Duration::from_secs(10));
        assert_eq!(backoff.next(u32::MAX), Duration::from_millis(50));
        assert_eq!(backoff.next(0), Duration::ZERO, "the jitter is full");
    }
}
