//! When connections are closed once the broker stops: over some time, so that not all peers come back at once.

use std::{
    future::Future as _,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    task::Context,
    time::Duration,
};

use msip_runtime::Draining;

/// How many turns may pass until it is asked whether the broker stops.
const TURNS: u32 = 64;

/// How many peers of a dialect are connected.
#[derive(Debug, Default)]
pub(crate) struct Connected(AtomicU64);

impl Connected {
    pub(crate) fn begun(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(crate) fn ended(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// When one of them is closed, if they are closed from now on: within `most`, since a millisecond for each of them is enough.
    fn close_at(&self, most: Duration, now: Duration) -> Duration {
        let spread = most.min(Duration::from_millis(self.count()));
        let random = getrandom::u32().unwrap_or(u32::MAX / 2);
        now.saturating_add(spread.mul_f64(f64::from(random) / f64::from(u32::MAX)))
    }
}

/// Whether a connection is to be closed, since the broker stops.
#[derive(Debug)]
pub(crate) struct Drain {
    draining: Draining,
    at: Option<Duration>,
    /// How many turns the connection has had.
    turns: u32,
}

impl Drain {
    pub(crate) const fn new(draining: Draining) -> Self {
        Self {
            draining,
            at: None,
            turns: 0,
        }
    }

    /// When the connection is closed, once the broker stops.
    pub(crate) const fn at(&self) -> Option<Duration> {
        self.at
    }

    /// The connection gives others their turn, and has more to do.
    pub(crate) const fn turn(&mut self) {
        self.turns = self.turns.wrapping_add(1);
    }

    /// The connection has nothing left to do. Looks whether the broker stops, which wakes the task too. The signal is shared by all
    /// connections, so that it is asked when nothing else explains why the task was woken (`has_worked`), and now and then.
    pub(crate) fn look(
        &mut self,
        has_worked: bool,
        connected: &Connected,
        most: Duration,
        now: Duration,
        task: &mut Context<'_>,
    ) {
        self.turn();
        if (!has_worked || self.turns.is_multiple_of(TURNS))
            && self.at.is_none()
            && Pin::new(&mut self.draining).poll(task).is_ready()
        {
            self.at = Some(connected.close_at(most, now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_connections_are_closed_sooner_than_the_spread_and_many_within_it() {
        let connected = Connected::default();
        let (now, most) = (Duration::from_secs(5), Duration::from_millis(20));
        assert_eq!(connected.close_at(most, now), now, "nobody is there");
        for (count, spread) in [(3, 3), (100, 20)] {
            while connected.count() < count {
                connected.begun();
            }
            let latest = now + Duration::from_millis(spread);
            for _ in 0..100 {
                let at = connected.close_at(most, now);
                assert!(now <= at && at <= latest, "{at:?} of {count}");
            }
        }
        for _ in 0..100 {
            connected.ended();
        }
        assert_eq!(connected.count(), 0);
    }
}
