//! Whether a session has a connection, as its two loops know it.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// The connection of a session. Small, since each silent session has one.
#[derive(Debug)]
pub(super) struct Link(Arc<Mutex<Shared>>);

#[derive(Debug)]
struct Shared {
    state: State,
    /// Who waits for another state: the writer, and deliveries that are to be sent by the next connection.
    waiting: Vec<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Connected,
    Away,
    /// The session has ended, and had a connection until then or not.
    Ended {
        was_connected: bool,
    },
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    /// No connection yet.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Shared {
            state: State::Away,
            waiting: Vec::new(),
        })))
    }

    pub(super) fn set(&self, is_connected: bool) {
        self.change(if is_connected {
            State::Connected
        } else {
            State::Away
        });
    }

    /// The session has ended.
    pub(super) fn end(&self) {
        let was_connected = self.is_connected();
        self.change(State::Ended { was_connected });
    }

    fn change(&self, state: State) {
        let waiting = {
            let mut shared = lock(&self.0);
            shared.state = state;
            std::mem::take(&mut shared.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(super) fn is_connected(&self) -> bool {
        lock(&self.0).state == State::Connected
    }

    /// Whether it had a connection when it ended.
    pub(super) fn was_connected(&self) -> bool {
        matches!(
            lock(&self.0).state,
            State::Connected
                | State::Ended {
                    was_connected: true
                }
        )
    }

    /// For a task of the session.
    pub(super) fn watch(&self) -> LinkWatch {
        LinkWatch(Arc::clone(&self.0))
    }
}

/// Waits for the connection of a session.
#[derive(Debug, Clone)]
pub(super) struct LinkWatch(Arc<Mutex<Shared>>);

impl LinkWatch {
    /// Waits until there is a connection. `false` where the session has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(super) async fn connected(&self) -> bool {
        poll_fn(|task| self.poll_other_than(State::Away, task)).await == State::Connected
    }

    /// Waits until there is no connection.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(super) async fn lost(&self) {
        poll_fn(|task| self.poll_other_than(State::Connected, task)).await;
    }

    fn poll_other_than(&self, state: State, task: &Context<'_>) -> Poll<State> {
        let mut shared = lock(&self.0);
        if shared.state != state {
            return Poll::Ready(shared.state);
        }
        let waker = task.waker();
        if !shared.waiting.iter().any(|known| known.will_wake(waker)) {
            shared.waiting.push(waker.clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, task::Wake};

    use super::*;

    struct Nobody;

    impl Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn those_who_wait_hear_of_each_change_and_are_known_once() {
        let link = Link::new();
        let watch = link.watch();
        let waker = Waker::from(Arc::new(Nobody));
        let mut task = Context::from_waker(&waker);
        let mut connected = pin!(watch.connected());
        for _ in 0..3 {
            assert!(connected.as_mut().poll(&mut task).is_pending());
        }
        assert_eq!(lock(&link.0).waiting.len(), 1);
        link.set(true);
        assert!(lock(&link.0).waiting.is_empty());
        assert_eq!(connected.as_mut().poll(&mut task), Poll::Ready(true));
        let mut lost = pin!(watch.lost());
        assert!(lost.as_mut().poll(&mut task).is_pending());
        link.set(false);
        assert_eq!(lost.as_mut().poll(&mut task), Poll::Ready(()));
        assert!(!link.was_connected());
        link.end();
        let ended = watch.connected();
        assert_eq!(pin!(ended).poll(&mut task), Poll::Ready(false));
    }
}
