//! Whether a session has a connection, as its two loops know it.

use std::{
    future::poll_fn,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    task::Poll,
};

/// The connection of a session: how often it has come or gone, which is an odd number while it is there.
///
/// Both loops run in one task, the reader first: who waits for a change is polled after it, and is not woken for it.
#[derive(Debug, Default)]
pub(super) struct Link(AtomicU64);

impl Link {
    pub(super) fn is_connected(&self) -> bool {
        self.changes() % 2 == 1
    }

    pub(super) fn set(&self, is_connected: bool) {
        // A connection that takes the place of another one is a change too.
        let changes = match self.is_connected() == is_connected {
            true => 2,
            false => 1,
        };
        self.0.fetch_add(changes, Relaxed);
    }

    /// How often the connection has come or gone, for [`changed`](Self::changed).
    pub(super) fn changes(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Waits until the connection has come or gone since there were so many changes.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(super) async fn changed(&self, since: u64) {
        self.until(|| self.changes() != since).await;
    }

    /// Waits until there is a connection.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(super) async fn connected(&self) {
        self.until(|| self.is_connected()).await;
    }

    /// Waits until there is no connection.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(super) async fn lost(&self) {
        self.until(|| !self.is_connected()).await;
    }

    async fn until(&self, is_so: impl Fn() -> bool) {
        poll_fn(|_| match is_so() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        task::{Context, Waker},
    };

    use super::*;

    #[test]
    fn those_who_wait_see_each_change() {
        let link = Link::default();
        let mut task = Context::from_waker(Waker::noop());
        let mut connected = pin!(link.connected());
        assert!(connected.as_mut().poll(&mut task).is_pending());
        link.set(true);
        assert_eq!(connected.as_mut().poll(&mut task), Poll::Ready(()));
        let mut lost = pin!(link.lost());
        assert!(lost.as_mut().poll(&mut task).is_pending());
        link.set(false);
        assert_eq!(lost.as_mut().poll(&mut task), Poll::Ready(()));
        for (is_connected, then) in [(true, true), (false, false), (true, false)] {
            link.set(is_connected);
            let mut changed = pin!(link.changed(link.changes()));
            assert!(changed.as_mut().poll(&mut task).is_pending());
            link.set(then);
            assert_eq!(changed.as_mut().poll(&mut task), Poll::Ready(()));
            assert_eq!(link.is_connected(), then);
        }
    }
}
