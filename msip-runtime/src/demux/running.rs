//! What runs and is waited for: the handlers of a service's clients, the services of a connection.

use std::sync::Arc;

use tokio::sync::watch;

/// How many run.
#[derive(Debug, Clone)]
pub(crate) struct Running(Arc<watch::Sender<usize>>);

/// One runs, until this is dropped.
#[derive(Debug)]
pub(crate) struct RunningGuard(Running);

impl Default for Running {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Running {
    /// One more runs.
    pub(crate) fn begin(&self) -> RunningGuard {
        self.0.send_modify(|count| *count += 1);
        RunningGuard(self.clone())
    }

    /// Waits until none run.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn none(&self) {
        // The sender is in what we hold: it cannot be gone.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for RunningGuard {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}
