//! The clock of a connection: the time since it began, as its sessions count it.

use std::time::Duration;

use tokio::time::Instant;

#[cfg(shuttle)]
use crate::sync::{AtomicU64, Ordering};

#[derive(Debug)]
pub(super) struct Clock {
    start: Instant,
    /// Under `shuttle` a test moves the time, and nothing else does.
    #[cfg(shuttle)]
    now_ms: AtomicU64,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            start: Instant::now(),
            #[cfg(shuttle)]
            now_ms: AtomicU64::new(0),
        }
    }

    #[cfg(not(shuttle))]
    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    #[cfg(shuttle)]
    pub(super) fn now(&self) -> Duration {
        Duration::from_millis(self.now_ms.load(Ordering::SeqCst))
    }

    #[cfg(shuttle)]
    pub(super) fn advance(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// The moment that sessions call `at`; `None` where it is too far away for the clock.
    pub(super) fn instant(&self, at: Duration) -> Option<Instant> {
        self.start.checked_add(at)
    }
}
