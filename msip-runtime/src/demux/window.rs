//! The window of one endpoint: how many one-way messages the broker may forward to a client, or of one client of a service.

use std::sync::Arc;

use super::{
    endpoints::{Command, Endpoints},
    grant::Grant,
};
use crate::{
    service::PeerWindow,
    sync::{Mutex, MutexGuard, lock},
};
use msip_session::wire::Credit;

/// What the broker may forward at first, and by each new connection of the session (docs/protocol.md, "Typed
/// traffic").
const ITEMS: u32 = 256;
const BYTES: u32 = 256 * 1024;

/// What may wait, with what came by earlier connections and is not handled yet.
const MAX_WAITING: u32 = 4 * ITEMS;

/// The window of one endpoint.
#[derive(Debug)]
pub(super) struct EndpointWindow {
    topic: Arc<str>,
    /// The client of a service; of a client endpoint empty, since what it hears is its own.
    peer: Arc<str>,
    endpoints: Endpoints,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// By which connection of the session it is counted.
    connection: u64,
    /// What was handled, and not told to the broker yet.
    handled: Credit,
    /// How many messages wait, or are being handled.
    waiting: u32,
}

impl EndpointWindow {
    pub(super) fn new(
        topic: Arc<str>,
        peer: Arc<str>,
        connection: u64,
        endpoints: Endpoints,
    ) -> Self {
        Self {
            topic,
            peer,
            endpoints,
            state: Mutex::new(State {
                connection,
                handled: Credit { items: 0, bytes: 0 },
                waiting: 0,
            }),
        }
    }

    /// So many messages have come. `false` where that is more than the broker may forward: they are refused.
    pub(super) fn received(&self, count: usize) -> bool {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let mut state = self.lock();
        let waiting = state.waiting.saturating_add(count);
        if waiting > MAX_WAITING {
            return false;
        }
        state.waiting = waiting;
        true
    }

    /// The session has this connection.
    pub(super) fn resumed(&self, connection: u64) {
        let mut state = self.lock();
        state.connection = connection;
        state.handled = Credit { items: 0, bytes: 0 };
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl PeerWindow for EndpointWindow {
    fn handled(&self, credit: Credit, connection: u64) {
        let mut state = self.lock();
        state.waiting = state.waiting.saturating_sub(credit.items);
        if state.connection != connection {
            return;
        }
        state.handled.items = state.handled.items.saturating_add(credit.items);
        state.handled.bytes = state.handled.bytes.saturating_add(credit.bytes);
        if state.handled.items < ITEMS / 2 && state.handled.bytes < BYTES / 2 {
            return;
        }
        let credit = std::mem::replace(&mut state.handled, Credit { items: 0, bytes: 0 });
        drop(state);
        self.endpoints.push(Command::Grant(Grant {
            topic: Arc::clone(&self.topic),
            peer: Arc::clone(&self.peer),
            credit,
            connection,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window() -> (EndpointWindow, Endpoints) {
        let endpoints = Endpoints::default();
        let window = EndpointWindow::new("T".into(), "x".into(), 1, endpoints.clone());
        (window, endpoints)
    }

    /// So many have come, and were handled.
    fn handle(window: &EndpointWindow, items: u32, bytes: u32, connection: u64) {
        assert!(window.received(items as usize));
        window.handled(Credit { items, bytes }, connection);
    }

    fn granted(endpoints: &Endpoints) -> Vec<(u32, u32)> {
        let commands = endpoints.take(std::task::Waker::noop());
        let granted = commands.into_iter().map(|command| match command {
            Command::Grant(grant) => (grant.credit.items, grant.credit.bytes),
            other => panic!("{other:?}"),
        });
        granted.collect()
    }

    #[test]
    fn the_broker_is_told_when_half_of_a_window_is_handled() {
        let (window, endpoints) = window();
        handle(&window, 127, 0, 1);
        assert_eq!(granted(&endpoints), []);
        handle(&window, 1, 9, 1);
        assert_eq!(granted(&endpoints), [(128, 9)]);
        let bytes = BYTES / 2;
        handle(&window, 1, bytes, 1);
        assert_eq!(granted(&endpoints), [(1, bytes)]);
    }

    #[test]
    fn what_came_by_an_earlier_connection_is_not_granted() {
        let (window, endpoints) = window();
        handle(&window, 100, 0, 1);
        window.resumed(2);
        handle(&window, 200, 0, 1);
        handle(&window, 127, 0, 2);
        assert_eq!(granted(&endpoints), []);
        handle(&window, 1, 0, 2);
        assert_eq!(granted(&endpoints), [(128, 0)]);
    }

    #[test]
    fn a_broker_that_forwards_more_than_it_may_is_refused() {
        let (window, _) = window();
        assert!(window.received(1024));
        assert!(!window.received(1));
        window.handled(Credit { items: 1, bytes: 0 }, 1);
        assert!(window.received(1));
    }
}
