//! Whether a session has a connection, as its two loops know it.

use tokio::sync::watch;

/// The connection of a session.
#[derive(Debug)]
pub(super) struct Link(watch::Sender<State>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Connected,
    Away,
    /// The session has ended, and had a connection until then or not.
    Ended {
        was_connected: bool,
    },
}

impl Link {
    /// No connection yet.
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(State::Away))
    }

    pub(super) fn set(&self, is_connected: bool) {
        self.0.send_replace(if is_connected {
            State::Connected
        } else {
            State::Away
        });
    }

    /// The session has ended.
    pub(super) fn end(&self) {
        let was_connected = self.is_connected();
        self.0.send_replace(State::Ended { was_connected });
    }

    pub(super) fn is_connected(&self) -> bool {
        *self.0.borrow() == State::Connected
    }

    /// Whether it had a connection when it ended.
    pub(super) fn was_connected(&self) -> bool {
        matches!(
            *self.0.borrow(),
            State::Connected
                | State::Ended {
                    was_connected: true
                }
        )
    }

    /// For a task of the session.
    pub(super) fn watch(&self) -> LinkWatch {
        LinkWatch(self.0.subscribe())
    }
}

/// Waits for the connection of a session.
#[derive(Debug, Clone)]
pub(super) struct LinkWatch(watch::Receiver<State>);

impl LinkWatch {
    /// Waits until there is a connection. `false` where the session has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(super) async fn connected(&mut self) -> bool {
        let state = self.0.wait_for(|state| *state != State::Away).await;
        // An error says that the session is gone.
        state.is_ok_and(|state| *state == State::Connected)
    }

    /// Waits until there is no connection.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(super) async fn lost(&mut self) {
        let _ = self.0.wait_for(|state| *state != State::Connected).await;
    }
}
