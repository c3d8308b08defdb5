//! The window of one endpoint: how many one-way messages the broker may forward to a client, or of one client of a service.
//!
//! It grows while it is used up, as that of a connection does: else broker and endpoint take turns for every few messages. Its
//! bytes stay.

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

/// How many messages the broker may forward at most.
const MAX_ITEMS: u32 = 16 * ITEMS;

/// What may wait, with what came by earlier connections and is not handled yet.
const MAX_WAITING: u32 = 4 * MAX_ITEMS;

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
    /// How many messages the broker may forward now.
    size: u32,
    /// What was handled, and not told to the broker yet.
    handled: Credit,
    /// How many messages wait, or are being handled.
    waiting: u32,
}

impl State {
    /// So many messages are granted again. A broker that has little left by then could have forwarded more: returns how large the
    /// window is from here on, where it grows.
    fn grow(&mut self, granted: u32) -> Option<u32> {
        let used = self.waiting.saturating_add(granted);
        let grown = self.size.saturating_mul(2).min(MAX_ITEMS);
        if self.size.saturating_sub(used) >= self.size / 4 || grown == self.size {
            return None;
        }
        self.size = grown;
        Some(grown)
    }
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
                size: ITEMS,
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
        state.size = ITEMS;
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
        if state.handled.items < state.size / 2 && state.handled.bytes < BYTES / 2 {
            return;
        }
        let credit = std::mem::replace(&mut state.handled, Credit { items: 0, bytes: 0 });
        let window = state.grow(credit.items);
        drop(state);
        self.endpoints.push(Command::Grant(Grant {
            topic: Arc::clone(&self.topic),
            peer: Arc::clone(&self.peer),
            credit,
            window,
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

    fn grants(endpoints: &Endpoints) -> Vec<Grant> {
        let commands = endpoints.take(std::task::Waker::noop());
        let grants = commands.into_iter().map(|command| match command {
            Command::Grant(grant) => grant,
            other => panic!("{other:?}"),
        });
        grants.collect()
    }

    fn granted(endpoints: &Endpoints) -> Vec<(u32, u32)> {
        let grants = grants(endpoints).into_iter();
        grants
            .map(|grant| (grant.credit.items, grant.credit.bytes))
            .collect()
    }

    /// A broker that forwards all it may at once, of which a half is handled so many times. Returns how large the window was each
    /// time.
    fn use_up(window: &EndpointWindow, endpoints: &Endpoints, times: usize) -> Vec<u32> {
        let (mut size, mut left) = (ITEMS, ITEMS);
        let mut sizes = Vec::new();
        for _ in 0..times {
            assert!(window.received(left as usize));
            left = 0;
            while left == 0 {
                let one = Credit { items: 1, bytes: 1 };
                window.handled(one, 1);
                for grant in grants(endpoints) {
                    left += grant.credit.items;
                    if let Some(grown) = grant.window {
                        left += grown - size;
                        size = grown;
                    }
                }
            }
            sizes.push(size);
        }
        sizes
    }

    #[test]
    fn a_window_grows_while_it_is_used_up_and_begins_anew_with_each_connection() {
        let (window, endpoints) = window();
        assert_eq!(
            use_up(&window, &endpoints, 6),
            [512, 1024, 2048, 4096, 4096, 4096]
        );
        window.resumed(2);
        let waiting = window.lock().waiting;
        window.handled(
            Credit {
                items: waiting,
                bytes: 0,
            },
            1,
        );
        assert_eq!(granted(&endpoints), []);
        handle(&window, 128, 0, 2);
        let grants = grants(&endpoints);
        let granted = grants
            .iter()
            .map(|grant| (grant.credit.items, grant.window));
        assert_eq!(granted.collect::<Vec<_>>(), [(128, None)], "as at first");
    }

    #[test]
    fn a_window_of_which_a_broker_uses_little_stays() {
        let (window, endpoints) = window();
        for _ in 0..1000 {
            handle(&window, 1, 0, 1);
        }
        let grants = grants(&endpoints);
        assert_eq!(grants.len(), 7);
        assert!(grants.iter().all(|grant| grant.window.is_none()));
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
        assert!(window.received(MAX_WAITING as usize));
        assert!(!window.received(1));
        window.handled(Credit { items: 1, bytes: 0 }, 1);
        assert!(window.received(1));
    }
}
