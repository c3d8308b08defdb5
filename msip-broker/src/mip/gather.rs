//! Gathering what a publisher writes message by message, so that it is answered and passed on by few writes.
//!
//! Where a small read comes right after another one, the connection lets others have their turn and reads again before it answers and
//! wakes the receivers. It waits for no timer, and a message alone does not wait at all.

use std::time::Duration;

use crate::router::WakeList;

/// A read of so many bytes has gathered enough by itself.
const ENOUGH: usize = 4 * 1024;

/// How long what was read first waits, at most, unless the turns of others take longer.
const MOST: Duration = Duration::from_micros(50);

/// A message that comes so soon after the ones before it were passed on is one of many.
const SOON: Duration = Duration::from_micros(10);

/// How many turns in succession may bring nothing.
const PATIENCE: u8 = 3;

/// How often it is not tried again where it was in vain.
const REST: u8 = 32;

/// What was read and is neither answered nor passed on.
#[derive(Debug, Default)]
pub(super) struct Gather {
    /// Those who were given something.
    pub(super) wakes: WakeList,
    /// Since when something waits.
    since: Option<Duration>,
    /// When the last was passed on.
    passed_on: Duration,
    /// How many reads brought something.
    reads: u8,
    /// How many turns in succession brought nothing.
    empty: u8,
    /// How often it is not to be tried.
    rest: u8,
}

impl Gather {
    /// Whether something waits, so that nothing is to be written yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.since.is_some()
    }

    /// So many bytes were read and handled; none where nothing has come. Returns whether to read again after the turn of others,
    /// before anything is written. Where not, those who were given something are woken.
    pub(super) fn goes_on(&mut self, len: usize, now: Duration) -> bool {
        match self.since {
            None if len > 0 => self.begin(len, now),
            None => {}
            Some(since) => {
                if len > 0 {
                    self.reads = self.reads.saturating_add(1);
                    self.empty = 0;
                } else {
                    self.empty += 1;
                }
                let waited = now.saturating_sub(since);
                if len >= ENOUGH || waited >= MOST || self.empty > PATIENCE {
                    if self.reads == 1 {
                        self.rest = REST;
                    }
                    self.since = None;
                    self.passed_on = now;
                }
            }
        }
        if self.since.is_some() {
            return true;
        }
        self.wakes.wake();
        false
    }

    /// Begins, where this is likely to be one of many.
    fn begin(&mut self, len: usize, now: Duration) {
        let is_soon = now.saturating_sub(self.passed_on) < SOON;
        self.passed_on = now;
        if is_soon && len < ENOUGH && self.rest == 0 {
            self.since = Some(now);
            self.reads = 1;
            self.empty = 0;
        }
        self.rest = self.rest.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: usize = 60;

    fn at(micros: u64) -> Duration {
        Duration::from_micros(1000 + micros)
    }

    #[test]
    fn a_message_alone_is_passed_on_at_once() {
        let mut gather = Gather::default();
        for round in 0..100 {
            assert!(!gather.goes_on(SMALL, at(round * 60)), "{round}");
            assert!(!gather.is_waiting());
            assert!(!gather.goes_on(0, at(round * 60 + 1)), "nothing waits");
        }
    }

    #[test]
    fn messages_that_come_one_by_one_are_gathered_for_a_bounded_time() {
        let mut gather = Gather::default();
        assert!(!gather.goes_on(SMALL, at(0)));
        // Every second turn brings one.
        let begun = 2;
        let waited = (begun..)
            .find(|now| !gather.goes_on(if now % 2 == 0 { SMALL } else { 0 }, at(*now)))
            .map(|now| Duration::from_micros(now - begun));
        assert_eq!(waited, Some(MOST));
        assert!(gather.goes_on(SMALL, at(60)) && gather.is_waiting());
        assert!(!gather.goes_on(ENOUGH, at(61)), "much at once");
        assert!(!gather.goes_on(ENOUGH, at(62)));
    }

    #[test]
    fn turns_that_bring_nothing_are_not_waited_for_again_soon() {
        let mut gather = Gather::default();
        let empty_turns = |gather: &mut Gather, now| {
            let mut count = 0;
            let mut len = SMALL;
            while gather.goes_on(len, at(now)) {
                count += 1;
                len = 0;
            }
            count
        };
        assert_eq!(empty_turns(&mut gather, 0), 0, "the first");
        assert_eq!(empty_turns(&mut gather, 5), PATIENCE + 1);
        for round in 0..REST {
            assert_eq!(empty_turns(&mut gather, 10), 0, "{round}");
        }
        assert_eq!(empty_turns(&mut gather, 15), PATIENCE + 1);
    }
}
