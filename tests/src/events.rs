//! Events: what a handler has seen, recorded for a test that waits for it.

use tokio::sync::mpsc::{self, error::TrySendError};

use crate::soon;

/// How many events may wait for a test to read them: more than any test records without reading.
const MAX_WAITING: usize = 100_000;

/// Where a handler puts what it has seen.
#[derive(Debug)]
pub struct Recorder<T>(mpsc::Sender<T>);

impl<T> Recorder<T> {
    /// Records an event, without waiting. A test that is over reads no more, which is no failure.
    ///
    /// # Panics
    ///
    /// When the test has left 100,000 events unread.
    pub fn record(&self, event: T) {
        if let Err(TrySendError::Full(_)) = self.0.try_send(event) {
            panic!("{MAX_WAITING} events that the test has not read");
        }
    }
}

impl<T> Clone for Recorder<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// A recorder, and the events recorded with it.
#[must_use]
pub fn recorder<T>() -> (Recorder<T>, mpsc::Receiver<T>) {
    let (sender, events) = mpsc::channel(MAX_WAITING);
    (Recorder(sender), events)
}

/// The next event.
///
/// # Panics
///
/// When none comes, or the handler has been dropped.
pub async fn next<T>(events: &mut mpsc::Receiver<T>) -> T {
    match soon("an event", events.recv()).await {
        Some(event) => event,
        None => panic!("the handler has been dropped"),
    }
}
