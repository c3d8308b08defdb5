//! Exchanges: every shape, errors, deadlines, and a full queue.

use super::*;

#[test]
fn every_shape_of_exchange_works_in_both_directions() {
    let mut pair = Pair::open();
    for (name, end) in pair.ends() {
        end.send(&format!("from the {name}")).expect("sent");
        end.deliver(1, at(60)).expect("sent");
        end.call(2, at(60)).expect("sent");
        end.session.ping(b"3", Token::new(3), at(60)).expect("sent");
    }
    pair.settle();
    assert_eq!(pair.server.messages, ["from the client", "1", "2"]);
    assert_eq!(pair.client.messages, ["from the server", "1", "2"]);
    for (name, end) in pair.ends() {
        let expected = [(1, "answer "), (2, "answer 2"), (3, "answer 3")]
            .map(|(token, outcome)| (token, vec![outcome.to_owned()]));
        assert_eq!(end.outcomes, BTreeMap::from(expected), "{name}");
        assert_eq!(end.session.open_exchanges(), 0, "{name}");
        assert_eq!(end.session.queued(), 0, "{name}");
        assert_eq!(end.session.ignored(), 0, "{name}");
    }
}

#[test]
fn errors_reach_their_waiters() {
    let mut pair = Pair::open();
    pair.client.call(1, at(60)).expect("sent");
    pair.client.deliver(2, at(60)).expect("sent");
    pair.exchange();
    let status = ErrorRef::new(Code::NotFound, "no such thing");
    for incoming in std::mem::take(&mut pair.server.waiting) {
        match incoming.reply {
            ReplyTo::Call(slot) => pair
                .server
                .session
                .reply(slot, Reply::<NoBody>::Error(status)),
            ReplyTo::Delivery { id, urgent } => {
                pair.server.session.acknowledge(id, urgent, Err(status));
            }
            ReplyTo::Nobody => panic!("nothing was sent without a wish for an answer"),
        }
    }
    pair.exchange();
    let expected = vec!["error NOT_FOUND: no such thing".to_owned()];
    assert_eq!(
        pair.client.outcomes,
        BTreeMap::from([(1, expected.clone()), (2, expected)])
    );
}

#[test]
fn a_call_answered_twice_by_its_handler_is_answered_once() {
    let mut pair = Pair::open();
    pair.client.call(1, at(60)).expect("sent");
    pair.exchange();
    let incoming = pair.server.waiting.remove(0);
    pair.server.finish(&incoming);
    pair.server.finish(&incoming);
    pair.exchange();
    assert_eq!(pair.client.outcomes[&1], ["answer 1"]);
    assert_eq!(pair.client.session.ignored(), 0);
}

#[test]
fn an_answer_over_the_callers_limit_becomes_an_error() {
    let mut pair = Pair::open();
    pair.client.call(1, at(60)).expect("sent");
    pair.exchange();
    let incoming = pair.server.waiting.remove(0);
    let ReplyTo::Call(slot) = incoming.reply else {
        panic!("{incoming:?}")
    };
    let large = "x".repeat((1 << 20) + 1);
    pair.server.session.reply(slot, answer(&large));
    pair.exchange();
    assert_eq!(
        pair.client.outcomes[&1],
        [
            "error RESOURCE_EXHAUSTED: an answer of 1048577 bytes, where the caller accepts 1048576 (its setting `max_body`)"
        ]
    );
}

#[test]
fn a_full_queue_makes_senders_wait_and_stops_reading() {
    let mut pair = Pair::open();
    let mib = "x".repeat(1 << 20);
    let end = &mut pair.server;
    // Answers are queued all the same: the peer waits for them.
    for token in 0..4 {
        pair.client.call(token, at(60)).expect("sent");
    }
    let up = pair.client.transmit();
    end.receive(&up, at(0)).expect("no fault");
    end.session
        .call(
            &head(REQUEST),
            CallShape::UNARY,
            Token::new(1),
            at(60),
            text(&mib.repeat(8)),
        )
        .expect("sent");
    assert_eq!(end.call(2, at(60)), Err(Blocked::NoCapacity));
    assert_eq!(end.send("more"), Err(Blocked::NoCapacity));
    assert!(!end.session.is_read_paused(), "answers must get through");
    end.handle();
    end.transmit();
    assert!(end.call(2, at(60)).is_ok());
    // Answers that the peer does not take stop handlers, and not reading.
    pair.client.session.outbound.set_max_calls(100);
    for _ in 0..9 {
        pair.client.call(5, at(60)).expect("sent");
        let up = pair.client.transmit();
        end.receive(&up, at(0)).expect("no fault");
        for incoming in std::mem::take(&mut end.waiting) {
            let ReplyTo::Call(slot) = incoming.reply else {
                panic!("{incoming:?}");
            };
            end.session.reply(slot, answer(&mib));
        }
    }
    assert!(end.session.is_backlogged(), "nothing more is begun");
    assert!(!end.session.is_read_paused(), "what is read helps the peer");
    end.transmit();
    assert!(!end.session.is_backlogged());
}

#[test]
fn deadlines_expire_and_late_answers_are_ignored() {
    let mut pair = Pair::open();
    pair.client.call(1, at(3)).expect("sent");
    pair.client.deliver(2, at(4)).expect("sent");
    pair.client
        .session
        .ping(&[], Token::new(3), at(5))
        .expect("sent");
    let up = pair.client.transmit();
    pair.server.receive(&up, at(0)).expect("no fault");
    assert_eq!(pair.client.session.poll_timeout(), at(3));
    pair.client.timeout(at(2)).expect("alive");
    assert!(pair.client.outcomes.is_empty());
    pair.client.timeout(at(4)).expect("alive");
    assert_eq!(pair.client.outcomes[&1], ["expired"]);
    assert_eq!(pair.client.outcomes[&2], ["expired"]);
    pair.client.timeout(at(5)).expect("alive");
    assert_eq!(pair.client.outcomes[&3], ["expired"]);
    assert_eq!(pair.client.session.open_exchanges(), 0);

    // Others take the places, and then the late answers come.
    pair.client.call(11, at(60)).expect("sent");
    pair.client.deliver(12, at(60)).expect("sent");
    pair.client
        .session
        .ping(b"13", Token::new(13), at(60))
        .expect("sent");
    pair.settle();
    for (token, outcome) in [(11, "answer 11"), (12, "answer "), (13, "answer 13")] {
        assert_eq!(pair.client.outcomes[&token], [outcome]);
    }
    for token in 1..4 {
        assert_eq!(pair.client.outcomes[&token], ["expired"], "once only");
    }
    // That of the call was waited for: it says that the call has ended.
    assert_eq!(pair.client.session.ignored(), 2, "counted");
}

/// A client whose server takes so many calls, and as many that it serves.
fn crowded(max_calls: usize) -> (Pair, Vec<Slot>) {
    let mut pair = Pair::open();
    pair.client.session.outbound.set_max_calls(max_calls);
    let slots = (0..max_calls)
        .map(|token| pair.client.call(token, at(60)).expect("there is room"))
        .collect();
    pair.exchange();
    assert_eq!(
        pair.client.call(90, at(60)).map(|_| ()),
        Err(Blocked::NoCapacity)
    );
    (pair, slots)
}

#[test]
fn a_cancelled_call_counts_until_its_handler_has_ended() {
    let (mut pair, slots) = crowded(3);
    pair.client.session.forget(slots[1]);
    assert_eq!(pair.client.session.open_exchanges(), 2, "it is over here");
    pair.exchange();
    assert_eq!(
        pair.server.told.last().map(String::as_str),
        Some("cancelled")
    );
    assert_eq!(
        pair.client.call(91, at(60)).map(|_| ()),
        Err(Blocked::NoCapacity),
        "its handler has not ended"
    );
    pair.settle();
    assert!(pair.client.call(92, at(60)).is_ok(), "it has");
    assert_eq!(pair.client.session.ignored(), 0);
    pair.settle();
    assert_eq!(pair.client.outcomes.get(&1), None, "nobody waits for it");
    assert_eq!(pair.client.outcomes[&92], ["answer 92"]);
}

#[test]
fn a_call_that_has_expired_counts_until_its_handler_has_ended() {
    let mut pair = Pair::open();
    pair.client.session.outbound.set_max_calls(1);
    pair.client.call(1, at(3)).expect("there is room");
    pair.exchange();
    pair.client.timeout(at(3)).expect("alive");
    assert_eq!(pair.client.outcomes[&1], ["expired"]);
    assert_eq!(
        pair.client.call(2, at(60)).map(|_| ()),
        Err(Blocked::NoCapacity)
    );
    pair.settle();
    assert!(pair.client.call(3, at(60)).is_ok());
    assert_eq!(pair.client.outcomes[&1], ["expired"], "once only");
}

#[test]
fn a_call_that_was_never_sent_frees_its_place_at_once() {
    let mut pair = Pair::open();
    pair.client.session.outbound.set_max_calls(1);
    let slot = pair.client.call(1, at(3)).expect("there is room");
    pair.client.session.forget(slot);
    let slot = pair.client.call(2, at(3)).expect("there is room");
    pair.client.timeout(at(3)).expect("alive");
    pair.client.session.forget(slot);
    assert!(pair.client.call(3, at(60)).is_ok());
}

#[test]
fn a_peer_that_does_not_say_when_a_cancelled_call_has_ended_is_not_waited_for() {
    let (mut pair, slots) = crowded(2);
    // As if its Welcome had not named the extension.
    pair.client.session.peer_ends_cancelled = false;
    pair.client.session.forget(slots[0]);
    assert!(pair.client.call(93, at(60)).is_ok());
    pair.settle();
    assert_eq!(pair.client.session.ignored(), 1, "what it says is too late");
}

#[test]
fn a_forgotten_exchange_frees_its_slot() {
    let mut pair = Pair::open();
    for token in 0..100 {
        let slot = pair.client.call(token, at(60)).expect("there is room");
        pair.exchange();
        pair.client.session.forget(slot);
        pair.settle();
    }
    assert!(pair.client.outcomes.is_empty());
    assert_eq!(pair.server.told[1..], ["cancelled"; 100]);
}

#[test]
fn the_deadline_is_sent_where_the_peer_does_not_know_it() {
    let mut pair = Pair::open();
    let hurried = RequestHead {
        deadline_ms: Some(250),
        ..head(REQUEST)
    };
    pair.client
        .session
        .call(&hurried, CallShape::UNARY, Token::new(1), at(1), text(""))
        .expect("sent");
    pair.client.call(2, at(60)).expect("sent");
    pair.exchange();
    let timeouts: Vec<Option<Duration>> =
        pair.server.waiting.iter().map(|one| one.timeout).collect();
    assert_eq!(timeouts, [Some(Duration::from_millis(250)), None]);
}
