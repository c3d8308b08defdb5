//! The table of connections.

use std::sync::Arc;

use super::Connections;
use crate::{
    access::{Principal, Rights},
    router::{Dialect, Limits, Router, SessionHandle},
};

fn session() -> SessionHandle {
    let router = Router::new(Limits::default());
    router.connect(
        Principal::new("ada"),
        Arc::new(Rights::all()),
        Dialect::Msip,
    )
}

#[test]
fn a_connection_is_listed_until_it_is_dropped() {
    let all = Connections::default();
    let session = session();
    let one = all.opened("127.0.0.1:5000", &session);
    let two = all.opened("127.0.0.1:5001", &session);
    assert_eq!(
        (all.count(), all.open().len(), all.opened_in_all()),
        (2, 2, 2)
    );
    assert_ne!(one.info().id, two.info().id);
    one.closed("slow \u{1b}[31mconsumer");
    drop(two);
    assert_eq!((all.count(), all.opened_in_all()), (0, 2));
    let closed = all.closed();
    let why: Vec<_> = closed.iter().map(|closed| &*closed.why).collect();
    assert_eq!(why, ["lost", "slow \\u{1b}[31mconsumer"]);
    assert_eq!(
        (&*closed[1].address, &*closed[1].principal),
        ("127.0.0.1:5000", "ada")
    );
}

#[test]
fn only_the_last_ones_that_closed_are_remembered() {
    let all = Connections::default();
    let session = session();
    for number in 0..1000 {
        all.opened(number, &session).closed("x".repeat(10_000));
    }
    let closed = all.closed();
    assert_eq!((closed.len(), &*closed[0].address), (256, "999"));
    assert!(closed.iter().all(|closed| closed.why.len() < 1000));
}
