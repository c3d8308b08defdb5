//! Closing: graceful close, loss and faults.

use super::*;

#[test]
fn a_close_lets_open_exchanges_finish_on_both_sides() {
    let mut pair = Pair::open();
    pair.client.call(1, at(60)).expect("sent");
    pair.client.deliver(2, at(60)).expect("sent");
    pair.server.call(3, at(60)).expect("sent");
    pair.exchange();
    pair.server
        .session
        .begin_close(Code::Unavailable, "going away", at(0));
    // Sent before it could know, and still taken.
    pair.client.send("under way").expect("sent");
    pair.client.call(4, at(60)).expect("sent");
    pair.client.deliver(5, at(60)).expect("sent");
    pair.exchange();
    assert_eq!(pair.client.told[1..], ["closing UNAVAILABLE: going away"]);
    let refused = "error UNAVAILABLE: closing: nothing new is accepted";
    assert_eq!(pair.client.outcomes[&4], [refused]);
    assert_eq!(pair.client.outcomes[&5], [refused]);
    for (name, end) in pair.ends() {
        assert_eq!(end.send("late"), Err(Blocked::Closing), "{name}");
        assert_eq!(end.call(6, at(60)), Err(Blocked::Closing), "{name}");
        assert_eq!(end.deliver(7, at(60)), Err(Blocked::Closing), "{name}");
        assert!(end.session.is_closing(), "{name}");
        assert!(!end.session.is_finished(), "{name}");
    }
    pair.settle();
    assert_eq!(pair.server.messages, ["1", "2", "under way"]);
    assert_eq!(pair.client.outcomes[&1], ["answer 1"]);
    assert_eq!(pair.client.outcomes[&2], ["answer "]);
    assert_eq!(pair.server.outcomes[&3], ["answer 3"]);
    for (name, end) in pair.ends() {
        assert!(end.session.is_finished(), "{name}");
    }
}

#[test]
fn both_sides_may_close_at_once() {
    let mut pair = Pair::open();
    for (name, end) in pair.ends() {
        end.session.begin_close(Code::Cancelled, name, at(0));
        end.session.begin_close(Code::Cancelled, "again", at(1));
    }
    pair.exchange();
    assert_eq!(pair.client.told[1..], ["closing CANCELLED: server"]);
    assert_eq!(pair.server.told[1..], ["closing CANCELLED: client"]);
    for (name, end) in pair.ends() {
        assert!(end.session.is_finished(), "{name}");
    }
}

#[test]
fn a_drain_times_out() {
    let mut pair = Pair::open();
    pair.client.call(1, at(3600)).expect("sent");
    pair.exchange();
    pair.server
        .session
        .begin_close(Code::Unavailable, "going away", at(0));
    pair.exchange();
    for seconds in [10, 20] {
        pair.now = at(seconds);
        for (name, end) in pair.ends() {
            assert_eq!(end.timeout(at(seconds)), Ok(()), "{name}");
        }
        pair.exchange();
    }
    for (name, end) in pair.ends() {
        assert_eq!(end.session.poll_timeout(), at(30), "{name}");
        assert_eq!(end.session.open_exchanges(), 1, "{name}");
        assert_eq!(end.timeout(at(30)), Err(TimedOut::Drain), "{name}");
        end.lose();
    }
    assert_eq!(pair.client.outcomes[&1], ["lost, sent"]);
}

#[test]
fn a_later_close_does_not_extend_the_drain() {
    let mut pair = Pair::open();
    pair.client.call(1, at(3600)).expect("sent");
    pair.exchange();
    pair.client
        .session
        .begin_close(Code::Cancelled, "done", at(0));
    pair.exchange();
    pair.now = at(9);
    pair.server
        .session
        .begin_close(Code::Unavailable, "so do we", at(9));
    pair.exchange();
    for (name, end) in pair.ends() {
        for seconds in [10, 15] {
            end.session.received(at(seconds));
            assert_eq!(end.timeout(at(seconds)), Ok(()), "{name}");
        }
        end.session.received(at(29));
        assert_eq!(end.timeout(at(30)), Err(TimedOut::Drain), "{name}");
    }
}

#[test]
fn a_loss_distinguishes_sent_and_unsent() {
    let mut pair = Pair::open();
    let end = &mut pair.client;
    end.call(1, at(60)).expect("sent");
    end.deliver(2, at(60)).expect("sent");
    end.transmit();
    end.call(3, at(60)).expect("queued");
    let cut = end.session.queued() - 64;
    end.call(4, at(60)).expect("queued");
    let chunk = end.session.poll_transmit().expect("two calls");
    let urgent = RequestHead {
        urgent: true,
        ..head(REQUEST)
    };
    end.session
        .call(&urgent, CallShape::UNARY, Token::new(5), at(60), text("5"))
        .expect("queued");
    // The first of the two is all that was taken to be written.
    let lost = end.session.lost(Some((&chunk, cut)));
    let lost: BTreeMap<usize, bool> = lost
        .iter()
        .map(|lost| (lost.token.index(), lost.sent))
        .collect();
    let expected = [(1, true), (2, true), (3, true), (4, false), (5, false)];
    assert_eq!(lost, BTreeMap::from(expected));
    assert!(end.session.lost(None).is_empty(), "once only");
    assert_eq!(end.call(6, at(60)), Err(Blocked::Closing));
}

#[test]
fn a_call_counts_as_sent_from_its_first_byte() {
    for (written, sent) in [(0, false), (1, true)] {
        let mut pair = Pair::open();
        pair.client.call(1, at(60)).expect("queued");
        let chunk = pair.client.session.poll_transmit().expect("a call");
        let lost = pair.client.session.lost(Some((&chunk, written)));
        let lost: Vec<_> = lost
            .iter()
            .map(|lost| (lost.token.index(), lost.sent))
            .collect();
        assert_eq!(lost, [(1, sent)], "{written} bytes");
    }
}

#[test]
fn a_fault_is_sent_and_drops_what_was_queued() {
    let mut pair = Pair::open();
    pair.server.send("never written").expect("queued");
    pair.server.call(1, at(60)).expect("queued");
    let fault = Fault::new(MsgId::CONNECTION, "this is not done");
    pair.server.session.handle_fault(&fault);
    pair.exchange();
    assert!(pair.client.messages.is_empty());
    assert_eq!(
        pair.client.told[1..],
        [
            "peer fault INVALID_ARGUMENT: this is not done",
            "closing INVALID_ARGUMENT: this is not done"
        ]
    );
    assert!(pair.server.session.is_finished());
    pair.server.lose();
    assert_eq!(pair.server.outcomes[&1], ["lost, unsent"]);
    // What comes after it is not looked at.
    pair.client.session.is_close_received = false;
    pair.client.send("too late").expect("as if not messages");
    let up = pair.client.transmit();
    pair.server.receive(&up, at(0)).expect("no second fault");
    assert!(pair.server.messages.is_empty());
}

#[test]
fn a_foreign_peer_gets_one_error_and_a_mip_server_none() {
    for (kind, frame_count) in [
        (FaultKind::Rule, 2),
        (FaultKind::TooLarge { len: 9, max: 8 }, 2),
        (FaultKind::Foreign, 1),
        (FaultKind::MipPeer, 0),
    ] {
        let mut pair = Pair::open();
        let fault = Fault {
            kind,
            ..Fault::new(MsgId::CONNECTION, "no")
        };
        pair.client.session.handle_fault(&fault);
        let said = frames(&pair.client.transmit());
        assert_eq!(said.len(), frame_count, "{kind:?}");
    }
}
