//! The time that the router is told: since the broker began, and monotonic.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The clock of a broker. All parts of one have the same.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that begins now.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// When it began.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.0
    }

    /// The time since it began.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.0.elapsed()
    }

    /// Waits until that time.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn sleep_until(&self, time: Duration) {
        sleep_until(self.0 + time).await;
    }
}
