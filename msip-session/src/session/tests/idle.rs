//! Sessions with a connection of which nothing is open.

use super::*;

/// Puts a session to rest, and wakes it.
fn rest(peer: &mut Peer) {
    let next = peer.session.poll_timeout();
    let idle = peer.session.rest().expect("nothing is open");
    assert!(peer.session.is_finished());
    // An exchange that has ended may have had the next deadline.
    assert!(idle.poll_timeout() >= next);
    let next = idle.poll_timeout();
    peer.session = idle.wake();
    assert_eq!(peer.session.poll_timeout(), next);
}

#[test]
fn a_session_with_something_open_does_not_rest() {
    type Opens = fn(&mut Pair);
    let cases: [(&str, Opens); 8] = [
        ("it has no connection", |pair| {
            pair.server.session.keep_when_lost();
            pair.server.session.suspend(None);
        }),
        ("a delivery of this side", |pair| {
            pair.server.deliver(1, at(60)).expect("sent");
            pair.exchange();
        }),
        ("a call of this side", |pair| {
            pair.server.call(1, at(60)).expect("sent");
            pair.exchange();
        }),
        ("a message that is not sent", |pair| {
            pair.server.send("waits").expect("sent");
        }),
        ("a message that is being written", |pair| {
            pair.server.send("waits").expect("sent");
            let chunk = pair.server.session.poll_transmit();
            assert!(chunk.is_some());
        }),
        ("a message that is not handled", |pair| {
            pair.client.send("waits").expect("sent");
            pair.exchange();
        }),
        ("a call that is not handled", |pair| {
            pair.client.call(1, at(60)).expect("sent");
            pair.exchange();
        }),
        ("it closes", |pair| {
            pair.server
                .session
                .begin_close(Code::Unavailable, "", at(1));
        }),
    ];
    for (name, open_something) in cases {
        let mut pair = Pair::open();
        open_something(&mut pair);
        let phase = pair.server.session.phase;
        assert!(pair.server.session.rest().is_none(), "{name}");
        assert_eq!(pair.server.session.phase, phase, "{name}");
    }
}

#[test]
fn a_silent_session_goes_on_where_it_was() {
    let mut pair = Pair::open();
    let rest_both = |pair: &mut Pair| {
        for (_, peer) in pair.ends() {
            let credit = |session: &Session| {
                (
                    session.send_window.credit(),
                    session.receive_window.items(),
                    session.receive_window.due(),
                )
            };
            let before = credit(&peer.session);
            rest(peer);
            assert_eq!(credit(&peer.session), before);
        }
    };
    for number in 1..=9 {
        pair.client.deliver(number, at(60)).expect("sent");
        pair.server.deliver(number, at(60)).expect("sent");
        pair.client.send("one").expect("sent");
        pair.settle();
        rest_both(&mut pair);
        pair.client.call(100 + number, at(60)).expect("sent");
        pair.server.call(200 + number, at(60)).expect("sent");
        pair.settle();
        rest_both(&mut pair);
    }
    assert_eq!(pair.client.outcomes.len(), 18);
    assert_eq!(pair.server.outcomes.len(), 18);
    let ignored = pair.ends().map(|(_, peer)| peer.session.ignored());
    assert_eq!(ignored, [0, 0], "no id was used twice");
}

#[test]
fn what_is_kept_of_a_silent_session_is_small() {
    let size = size_of::<crate::IdleSession>();
    assert!(size <= 400, "{size} bytes");
}
