//! Sessions without a connection of which nothing is open.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::wire::ErrorText;

const AGREED: PeerTerms<'static> = PeerTerms {
    peer_max_body: 0,
    max_calls: 0,
    awaited: &[],
};

fn open() -> (Pair, Arc<Budget>) {
    let budget = Budget::new(10 * Budget::STEP);
    let mut pair = Pair::before_handshake();
    let config = Config {
        budget: Arc::clone(&budget),
        ..config(Side::Accepting)
    };
    pair.server = Peer::new(Session::accepting(config, Duration::ZERO));
    pair.exchange();
    pair.server
        .session
        .welcome(session_id(), &welcome(), 1 << 20);
    pair.exchange();
    for (_, peer) in pair.ends() {
        peer.session.keep_when_lost();
    }
    (pair, budget)
}

/// Parks the server's session, and puts the one that goes on in its place.
fn park(pair: &mut Pair) {
    let end = &mut pair.server.session;
    let parked = end.park().expect("nothing is open");
    assert!(end.is_finished() && !end.is_suspended());
    let config = end.config.clone();
    *end = Session::unpark(config, parked, pair.now);
}

/// Both sides go on with a further connection.
fn resume(pair: &mut Pair) {
    for (_, peer) in pair.ends() {
        peer.session.resume(&AGREED, at(1));
    }
    pair.settle();
}

#[test]
fn a_session_with_something_open_is_not_parked() {
    type Opens = fn(&mut Pair);
    let cases: [(&str, Opens); 6] = [
        ("it has a connection", |_| ()),
        ("a delivery of this side", |pair| {
            pair.server.deliver(1, at(60)).expect("sent");
            pair.server.session.suspend(None);
        }),
        ("a call of this side", |pair| {
            pair.server.call(1, at(60)).expect("sent");
            pair.server.session.suspend(None);
        }),
        ("a delivery that is not handled", |pair| {
            pair.client.deliver(1, at(60)).expect("sent");
            pair.exchange();
            pair.server.session.suspend(None);
        }),
        ("a datagram that is not handled", |pair| {
            pair.client.session.allow_datagrams(1000);
            pair.client.by_kind(MsgKind::Log, "lossy").expect("sent");
            let datagram = pair.client.session.poll_datagram().expect("waits");
            let incoming = pair.server.session.handle_datagram(datagram.into());
            assert!(incoming.is_some());
            pair.server.session.suspend(None);
        }),
        ("a reply that was not sent", |pair| {
            pair.client.call(1, at(60)).expect("sent");
            pair.exchange();
            pair.server.handle();
            pair.server.session.suspend(None);
        }),
    ];
    for (name, open_something) in cases {
        let (mut pair, _) = open();
        open_something(&mut pair);
        let phase = pair.server.session.phase;
        assert!(pair.server.session.park().is_none(), "{name}");
        assert_eq!(pair.server.session.phase, phase, "{name}");
    }
}

#[test]
fn a_parked_session_goes_on_where_it_was() {
    let (mut pair, _) = open();
    for number in 1..=3 {
        pair.client.deliver(number, at(60)).expect("sent");
        pair.server.deliver(number, at(60)).expect("sent");
        pair.settle();
    }
    pair.client.call(4, at(60)).expect("sent");
    pair.settle();
    // Its acknowledgment is lost with the connection.
    pair.client.deliver(5, at(60)).expect("sent");
    let lost = pair.client.transmit();
    pair.server.receive(&lost, at(0)).expect("no fault");
    pair.server.handle();
    pair.server.transmit();
    pair.server.session.suspend(None);
    pair.client.session.suspend(None);
    let [dropped, ignored] = [9, 7];
    pair.server.session.dropped.logs = dropped;
    pair.server.session.ignored = ignored;
    park(&mut pair);
    assert!(pair.server.session.is_suspended());
    assert_eq!(pair.server.session.connection(), 2);
    assert_eq!(pair.server.session.dropped().logs, dropped);
    assert_eq!(pair.server.session.ignored(), ignored);
    let before = pair.server.messages.len();
    resume(&mut pair);
    assert_eq!(
        pair.server.messages.len(),
        before,
        "it is not handled again"
    );
    assert_eq!(pair.client.outcomes[&5], ["answer "]);
    pair.server.deliver(6, at(60)).expect("sent");
    pair.server.call(7, at(60)).expect("sent");
    pair.settle();
    assert_eq!(pair.client.messages.last().map(String::as_str), Some("7"));
    assert_eq!(pair.server.outcomes[&6], ["answer "]);
    assert_eq!(pair.server.outcomes[&7], ["answer 7"]);
    assert_eq!(pair.client.session.ignored(), 0, "no id was used twice");
}

#[test]
fn a_call_is_told_apart_from_one_that_never_came() {
    let (mut pair, _) = open();
    pair.client.call(1, at(60)).expect("sent");
    pair.settle();
    // Its HELLO was the first.
    let ended = MsgId::exchange(Side::Connecting, 2 << 16);
    pair.server.session.suspend(None);
    park(&mut pair);
    let awaited = [
        ended.number(),
        MsgId::exchange(Side::Connecting, 3 << 16).number(),
    ];
    let agreed = PeerTerms {
        awaited: &awaited,
        ..AGREED
    };
    pair.server.session.resume(&agreed, at(1));
    let texts: Vec<_> = frames(&pair.server.transmit())
        .into_iter()
        .filter(|frame| frame.header.frame_type == FrameType::Error)
        .map(|frame| ErrorText::parse(&frame.payload).message)
        .collect();
    assert_eq!(texts, ["reply lost", "not received"]);
}

#[test]
fn a_parked_session_counts_with_what_it_takes_and_may_be_evicted() {
    let (mut pair, budget) = open();
    pair.server.session.suspend(None);
    let is_evicted = Arc::new(AtomicBool::new(false));
    let evict = {
        let is_evicted = Arc::clone(&is_evicted);
        Box::new(move || is_evicted.store(true, Ordering::Relaxed))
    };
    pair.server.session.allow_eviction(evict, 5000);
    assert_eq!(budget.held(), 5000);
    let mut parked = pair.server.session.park().expect("nothing is open");
    parked.report_memory(100);
    assert_eq!(budget.held(), 100, "nothing is remembered");
    let mut others = Session::accepting(
        Config {
            budget: Arc::clone(&budget),
            ..config(Side::Accepting)
        },
        at(0),
    );
    others.set_read_memory(11 * Budget::STEP);
    assert!(is_evicted.load(Ordering::Relaxed));
    drop(others);
    drop(parked);
    assert_eq!(budget.held(), 0);
}
