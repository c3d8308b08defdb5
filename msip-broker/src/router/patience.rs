//! How long publishers wait for a subscriber that is slower than the others.

use std::time::Duration;

/// Of all the time that others wait for a slow subscriber, a part that is forgiven: one in so many. The others keep 95 % of
/// their time, and what [`Limits::push_back`](super::Limits::push_back) allows at once.
const FORGIVEN: u32 = 20;

/// For how long others have got nothing since publishers waited for this subscriber. Whoever keeps nobody waiting may be slow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Patience {
    spent: Duration,
    /// Up to when it was counted.
    counted: Duration,
    /// It has cost the others enough: nobody waits for it until its queue is short.
    is_over: bool,
}

impl Patience {
    pub(super) fn is_over(self) -> bool {
        self.is_over
    }

    /// Its queue is short.
    pub(super) fn begin_again(&mut self) {
        self.is_over = false;
    }

    /// A publisher waits for it at `now`, and others have waited for that publisher since `starved`. Returns how long it may go
    /// on, if they do: nothing if it may not.
    pub(super) fn wait(
        &mut self,
        starved: Option<Duration>,
        now: Duration,
        most: Duration,
    ) -> Option<Duration> {
        let passed = now.saturating_sub(self.counted);
        let since = starved.map_or(now, |since| since.max(self.counted));
        self.spent = self
            .spent
            .saturating_sub(passed / FORGIVEN)
            .saturating_add(now.saturating_sub(since));
        self.counted = self.counted.max(now);
        self.is_over |= self.spent >= most;
        (!self.is_over).then(|| most.saturating_sub(self.spent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_millis(100);

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn who_keeps_nobody_waiting_is_waited_for() {
        let mut patience = Patience::default();
        for second in 0..100 {
            assert_eq!(patience.wait(None, at(1000 * second), MOST), Some(MOST));
        }
        assert!(!patience.is_over());
    }

    #[test]
    fn who_keeps_others_waiting_is_waited_for_that_long_altogether() {
        let mut patience = Patience::default();
        assert_eq!(patience.wait(None, at(10_000), MOST), Some(MOST));
        assert_eq!(
            patience.wait(Some(at(10_000)), at(10_040), MOST),
            Some(at(60))
        );
        // Another publisher waits at the same time.
        assert_eq!(
            patience.wait(Some(at(10_020)), at(10_040), MOST),
            Some(at(60))
        );
        assert_eq!(patience.wait(Some(at(10_040)), at(10_110), MOST), None);
        assert!(patience.is_over());
        assert_eq!(patience.wait(None, at(10_120), MOST), None, "for good");
        patience.begin_again();
        assert!(patience.wait(None, at(10_300), MOST).is_some());
    }

    #[test]
    fn others_keep_nine_tenths_of_their_time() {
        let mut patience = Patience::default();
        let (mut now, mut starved) = (Duration::ZERO, Duration::ZERO);
        while now < at(10_000) {
            let since = now;
            now += at(1);
            if patience.wait(Some(since), now, MOST).is_some() {
                starved += at(1);
            }
            patience.begin_again();
        }
        assert!(starved <= now / 10, "{starved:?}");
    }
}
