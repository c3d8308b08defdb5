//! When connections are closed once the broker stops: over some time, so that not all peers come back at once.

use std::{
    future::Future as _,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    task::Context,
    time::Duration,
};

use msip_runtime::Draining;

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
    /// Whether the task is woken once the broker stops.
    is_awaited: bool,
}

impl Drain {
    pub(crate) const fn new(draining: Draining) -> Self {
        Self {
            draining,
            at: None,
            is_awaited: false,
        }
    }

    /// When the connection is closed, once the broker stops.
    pub(crate) const fn at(&self) -> Option<Duration> {
        self.at
    }

    /// The connection has nothing left to do. Looks whether the broker stops, of which the task is woken from the first time on; it
    /// may be woken by something else at the same time.
    pub(crate) fn look(
        &mut self,
        connected: &Connected,
        most: Duration,
        now: Duration,
        task: &mut Context<'_>,
    ) {
        if self.at.is_some() {
            return;
        }
        // All connections share the signal: to wait for it takes its lock, to ask does not.
        let is_draining = match self.is_awaited {
            true => self.draining.is_draining(),
            false => Pin::new(&mut self.draining).poll(task).is_ready(),
        };
        self.is_awaited = true;
        if is_draining {
            self.at = Some(connected.close_at(most, now));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        task::{Wake, Waker},
    };

    use msip_runtime::untyped::UntypedServer;

    use super::*;

    /// How often a task was woken.
    #[derive(Default)]
    struct Woken(AtomicU64);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[tokio::test]
    async fn a_connection_is_woken_and_sees_that_the_broker_stops_whatever_else_it_was_woken_for() {
        let server = UntypedServer::builder("mem://drain-is-seen").bind();
        let server = server.await.unwrap();
        let mut drain = Drain::new(server.draining());
        let woken = Arc::<Woken>::default();
        let waker = Waker::from(Arc::clone(&woken));
        let (connected, mut task) = (Connected::default(), Context::from_waker(&waker));
        let mut look = || {
            drain.look(&connected, Duration::ZERO, Duration::ZERO, &mut task);
            drain.at()
        };
        assert_eq!(look(), None);
        assert_eq!(look(), None);
        server.serve_until(async {}).await;
        assert_eq!(woken.0.load(Relaxed), 1);
        assert_eq!(look(), Some(Duration::ZERO));
    }

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
