//! Whether a subscriber goes on taking what waits for it.

use std::time::Duration;

/// Whoever takes less than so many bytes within [`Limits::push_back`](super::Limits::push_back) is not waited for.
pub(super) const ENOUGH: usize = 64 * 1024;

/// How a subscriber whose queue is long gets on. Publishers wait for it while it does, and not for one that has stopped:
/// else it would hold up everyone who hears them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    /// When it last had taken enough, or its queue became long.
    since: Duration,
    /// How many bytes were taken since then.
    bytes: usize,
}

impl Progress {
    /// Its queue becomes long.
    pub(super) fn new(now: Duration) -> Self {
        Self {
            since: now,
            bytes: 0,
        }
    }

    /// It has taken all that it was given before.
    pub(super) fn caught_up(&mut self, now: Duration) {
        *self = Self::new(now);
    }

    /// It has taken a part of what it was given.
    pub(super) fn took(&mut self, bytes: usize, now: Duration) {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes >= ENOUGH {
            self.caught_up(now);
        }
    }

    /// When publishers stop waiting for it, unless it takes more by then.
    pub(super) fn waited_for_until(self, push_back: Duration) -> Duration {
        self.since.saturating_add(push_back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUSH_BACK: Duration = Duration::from_millis(100);

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn whoever_takes_enough_is_waited_for_again() {
        let mut progress = Progress::new(at(10));
        assert_eq!(progress.waited_for_until(PUSH_BACK), at(110));
        progress.took(ENOUGH / 2, at(20));
        assert_eq!(progress.waited_for_until(PUSH_BACK), at(110));
        progress.took(ENOUGH / 2, at(90));
        assert_eq!(progress.waited_for_until(PUSH_BACK), at(190));
        progress.caught_up(at(500));
        assert_eq!(progress.waited_for_until(PUSH_BACK), at(600));
    }

    #[test]
    fn drops_of_a_few_bytes_are_no_progress() {
        let mut progress = Progress::new(at(0));
        for millis in 1..100 {
            progress.took(100, at(millis));
        }
        assert_eq!(progress.waited_for_until(PUSH_BACK), at(100));
    }
}
