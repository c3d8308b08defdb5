//! Cancellation of a call that is served: notifies its handler that the answer is not awaited any longer.

use std::sync::Arc;

use super::signal::{Raised, Signal};

/// Notifies a handler when its call is cancelled; from [`Call::cancellation`](crate::Call::cancellation).
///
/// Clones tell the same. It does not say why: the caller may have given up, its deadline may have passed, its session
/// may have ended, or the call may have been answered.
#[derive(Debug, Clone)]
pub struct Cancellation(Option<Arc<Signal>>);

impl Cancellation {
    /// Of something that cannot be cancelled.
    pub(crate) const fn never() -> Self {
        Self(None)
    }

    /// Of a call that is open.
    pub(super) fn of(signal: &Arc<Signal>) -> Self {
        Self(Some(Arc::clone(signal)))
    }

    /// Of a call that was cancelled before.
    pub(super) fn cancelled_already() -> Self {
        let signal = Signal::default();
        signal.raise();
        Self(Some(Arc::new(signal)))
    }

    /// Whether the call is cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.as_ref().is_some_and(|signal| signal.is_raised())
    }

    /// Waits until the call is cancelled: its answer is not awaited any longer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn cancelled(&self) {
        match &self.0 {
            Some(signal) => Raised::of(signal).await,
            None => std::future::pending().await,
        }
    }
}
