//! Relief: credit that comes back with time. Where a handler or reader is slow, half of a window takes long, and a sender
//! that has used up all of its credit waits meanwhile although there is something to grant.

use std::time::Duration;

use crate::wire::Credit;

/// A window that is used up is granted again what was handled after this, or up to twice as long.
const ROUND: Duration = Duration::from_millis(100);

/// Since when a window is used up, without a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UsedUp {
    /// It is not, or nobody has looked.
    No,
    /// Since this round of the timer.
    Since(u32),
    /// For long: what is handled is granted at once.
    Long,
}

/// What the end of a round means to a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relief {
    /// Nothing: it has been granted something.
    Nothing,
    /// That it is looked at again after the next round.
    Wait,
    /// That this is granted.
    Grant(Credit),
    /// That what is handled next is granted at once.
    AtOnce,
}

/// Counts rounds, as long as any window is used up. It sleeps otherwise, so that an idle connection is not woken.
#[derive(Debug)]
pub(super) struct ReliefTimer {
    round: u32,
    state: TimerState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TimerState {
    Off,
    /// A round begins as soon as the time is known.
    Begins,
    EndsAt(Duration),
}

impl ReliefTimer {
    pub(super) const fn new() -> Self {
        Self {
            round: 0,
            state: TimerState::Off,
        }
    }

    /// The round that runs, or that is the next.
    #[inline]
    pub(super) const fn round(&self) -> u32 {
        self.round
    }

    /// A window is used up: it is to be looked at.
    pub(super) fn start(&mut self) {
        if self.state == TimerState::Off {
            self.state = TimerState::Begins;
        }
    }

    /// Whether a round runs, or is about to.
    #[inline]
    pub(super) const fn is_on(&self) -> bool {
        !matches!(self.state, TimerState::Off)
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do; `Duration::MAX` is never.
    pub(super) const fn poll_timeout(&self) -> Duration {
        match self.state {
            TimerState::Off => Duration::MAX,
            TimerState::Begins => Duration::ZERO,
            TimerState::EndsAt(at) => at,
        }
    }

    /// Returns the round that has ended, if one has. Another begins where it was [started](Self::start), with
    /// [`begin`](Self::begin).
    pub(super) fn handle_timeout(&mut self, now: Duration) -> Option<u32> {
        match self.state {
            TimerState::EndsAt(at) if at <= now => {
                self.state = TimerState::Off;
                let ended = self.round;
                self.round = self.round.wrapping_add(1);
                Some(ended)
            }
            _ => None,
        }
    }

    /// The round that was started begins now.
    pub(super) fn begin(&mut self, now: Duration) {
        if self.state == TimerState::Begins {
            self.state = TimerState::EndsAt(now + ROUND);
        }
    }
}
