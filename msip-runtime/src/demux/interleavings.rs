//! Tests of interleavings: the connection's task, which sorts and grants, and the task of an endpoint, which handles.
//!
//! Run them by `.ci/interleavings`.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use shuttle::{future::block_on, thread};

use super::{
    endpoints::{Command, Endpoints},
    window::EndpointWindow,
};
use crate::{
    DisconnectReason,
    connection::{FaultInjection, interleavings::check},
    service::{Inbox, PeerWindow},
};
use msip_session::wire::Credit;

/// What a broker may forward at first. So many messages come together, and are handled together, so that one grant at most is
/// on its way: a second one would wake who has missed the first.
const WINDOW: u32 = 256;

/// How many times so many messages come: all but the first time by credit that was granted.
const TIMES: u32 = 3;

/// An endpoint, and the connection that its messages come by.
struct Shared {
    endpoints: Endpoints,
    window: Arc<EndpointWindow>,
    inbox: Inbox,
}

impl Shared {
    fn new() -> Arc<Self> {
        let endpoints = Endpoints::default();
        let window = EndpointWindow::new("T".into(), "".into(), 1, endpoints.clone());
        let window = Arc::new(window);
        let inbox = Inbox::with_window(Arc::clone(&window) as Arc<dyn PeerWindow>);
        Arc::new(Self {
            endpoints,
            window,
            inbox,
        })
    }

    /// The task of the connection: what a broker forwards is sorted, as far as it was granted.
    fn sort(&self) {
        let mut credit = WINDOW;
        for _ in 0..TIMES {
            block_on(poll_fn(|task| self.poll_credit(&mut credit, task)));
            credit -= WINDOW;
            assert!(self.window.received(WINDOW as usize), "it was granted");
            // It stands for as many messages.
            self.inbox.disconnected(DisconnectReason::ClosedByUs);
        }
        self.inbox.end();
    }

    fn poll_credit(&self, credit: &mut u32, task: &mut Context<'_>) -> Poll<()> {
        if *credit == 0 {
            for command in self.endpoints.take(task.waker()) {
                let Command::Grant(grant) = command else {
                    panic!("{command:?}");
                };
                *credit += grant.credit.items;
            }
        }
        assert!(*credit <= WINDOW, "no more than was handled");
        match *credit {
            WINDOW => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }

    /// The task of the endpoint.
    fn handle(&self) {
        let mut handled = 0;
        while let Some(count) = block_on(poll_fn(|task| self.inbox.poll_count(task))) {
            for _ in 0..count {
                handled += 1;
                let credit = Credit {
                    items: WINDOW,
                    bytes: 0,
                };
                self.window.handled(credit, 1);
            }
        }
        assert_eq!(handled, TIMES, "each once");
    }
}

fn run() {
    let shared = Shared::new();
    let other = Arc::clone(&shared);
    let handling = thread::spawn(move || other.handle());
    shared.sort();
    handling.join().unwrap();
}

#[test]
fn what_is_sorted_is_handled_although_the_endpoint_falls_asleep() {
    check(FaultInjection::StoreReaderLate, run);
}

#[test]
fn what_is_handled_is_granted_although_the_connection_falls_asleep() {
    check(FaultInjection::StoreTaskLate, run);
}
