//! A client, at the router.

use std::{
    future,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    task::{Context, Poll, Waker},
};

use super::{client::Client, *};
use crate::router::Limits;

#[test]
fn a_key_that_is_withdrawn_during_a_login_opens_no_session() {
    let settings = Settings {
        max_body: 1024,
        max_memory: 1024,
        write_timeout: Duration::from_secs(10),
        drain_spread: Duration::ZERO,
        connections: Connections::default(),
    };
    let peers = MiddleManPeers::new(
        Router::new(Limits::default()),
        Instant::now(),
        settings,
        |_| None,
        |_, _, _| Box::pin(future::ready(None)),
    );
    // The keys are read again after that of the client was found, and before it is among those who are connected.
    let looks = AtomicUsize::new(0);
    let admission = Admission::new(false, move || {
        let is_first = looks.fetch_add(1, Relaxed) == 0;
        is_first.then(|| (Principal::new("ada"), Rights::all()))
    });
    let admission = admission.expect("the key is there at first");
    let (id, address) = ("an-id".to_owned(), "an address".to_owned());
    let client = Client::new(&peers.0, admission, id, address, Duration::ZERO);
    let mut task = Context::from_waker(Waker::noop());
    let taken = client
        .session
        .poll_take(Duration::ZERO, 1, &mut Vec::new(), &mut task);
    assert!(
        matches!(taken, Poll::Ready(Err(EndReason::Revoked))),
        "{taken:?}"
    );
}
