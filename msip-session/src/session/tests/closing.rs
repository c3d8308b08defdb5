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
    assert_eq!(pair.client.outcomes[&4], ["not accepted"]);
    assert_eq!(pair.client.outcomes[&5], ["not accepted"]);
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
    assert!(pair.client.session.is_finished());
    assert!(pair.server.session.is_drained() && !pair.server.session.is_finished());
}

#[test]
fn the_side_that_closes_leaves_the_transport_to_the_peer_for_a_moment() {
    let mut pair = Pair::open();
    pair.server
        .session
        .begin_close(Code::Unavailable, "going away", at(1));
    let down = pair.server.transmit();
    pair.server.session.linger(at(1));
    let until = Duration::from_millis(1500);
    assert_eq!(pair.server.session.poll_timeout(), until);
    // What was sent before the CLOSE could be read is refused by name.
    pair.client.call(1, at(60)).expect("sent");
    pair.client.send("under way").expect("sent");
    let up = pair.client.transmit();
    pair.client.receive(&down, at(1)).expect("no fault");
    pair.server.receive(&up, at(1)).expect("no fault");
    assert!(!pair.client.session.is_finished(), "it waits for an answer");
    pair.exchange();
    assert_eq!(pair.client.outcomes[&1], ["not accepted"]);
    assert_eq!(pair.server.messages, ["under way"], "accepted all the same");
    assert!(pair.client.session.is_finished());
    // A peer that goes on does not hold it up.
    pair.server.session.linger(Duration::from_millis(1499));
    assert_eq!(pair.server.session.poll_timeout(), until);
    assert!(!pair.server.session.is_finished());
    assert_eq!(pair.server.timeout(until), Ok(()));
    assert!(pair.server.session.is_finished());
}

#[test]
fn a_handler_that_says_not_accepted_is_not_taken_for_the_session() {
    let mut pair = Pair::open();
    pair.client.call(1, at(60)).expect("sent");
    pair.client.deliver(2, at(60)).expect("sent");
    pair.exchange();
    let error = ErrorRef::new(Code::Unavailable, "not accepted");
    pair.server
        .session
        .begin_close(Code::Unavailable, "going away", at(0));
    for incoming in std::mem::take(&mut pair.server.waiting) {
        match incoming.reply {
            ReplyTo::Call(slot) => {
                let reply = Reply::<NoBody>::Error(error);
                pair.server.session.reply(slot, reply);
            }
            ReplyTo::Delivery { id, urgent } => {
                pair.server.session.acknowledge(id, urgent, Err(error));
            }
            ReplyTo::Nobody => unreachable!(),
        }
    }
    pair.exchange();
    let said = "error UNAVAILABLE: not accepted, says the handler";
    assert_eq!(pair.client.outcomes[&1], [said]);
    assert_eq!(pair.client.outcomes[&2], [said]);
}

#[test]
fn not_accepted_means_nothing_before_a_close() {
    let mut pair = Pair::open();
    pair.client.call(1, at(60)).expect("sent");
    let up = pair.client.transmit();
    let id = frames(&up)[0].header.msg_id;
    let mut down = Vec::new();
    crate::wire::write_error(
        &mut down,
        Flags::NONE,
        id,
        Code::Unavailable,
        "not accepted",
    );
    pair.client.receive(&down, at(0)).expect("no fault");
    assert_eq!(
        pair.client.outcomes[&1],
        ["error UNAVAILABLE: not accepted"]
    );
}

#[test]
fn a_refusal_never_overtakes_the_close() {
    let mut pair = Pair::open();
    let urgent = RequestHead {
        urgent: true,
        ..head(REQUEST)
    };
    let call =
        pair.client
            .session
            .call(&urgent, CallShape::UNARY, Token::new(1), at(60), text("1"));
    call.expect("sent");
    let up = pair.client.transmit();
    pair.server
        .session
        .begin_close(Code::Unavailable, "going away", at(0));
    pair.server.receive(&up, at(0)).expect("no fault");
    pair.exchange();
    assert_eq!(pair.client.outcomes[&1], ["not accepted"]);
}

#[test]
fn requests_are_accepted_until_the_close_can_be_sent() {
    let mut pair = droppable::out_of_credit();
    pair.client.log("last words").expect("taken");
    pair.client
        .session
        .begin_close(Code::Cancelled, "enough", at(0));
    pair.server.call(1, at(60)).expect("sent");
    pair.exchange();
    pair.client.handle();
    pair.exchange();
    assert!(!pair.server.session.is_closing(), "no CLOSE yet");
    assert_eq!(pair.server.outcomes[&1], ["answer 1"]);
}

#[test]
fn a_drain_ends_streams_long_before_calls() {
    for closes_here in [true, false] {
        let (mut pair, caller, callee) = streams::streaming(true, true);
        let (StreamSide::Caller(_), StreamSide::Callee(served)) = (caller, callee) else {
            unreachable!()
        };
        pair.server.session.begin_answers(served);
        pair.client.call(7, at(3600)).expect("sent");
        pair.exchange();
        let end = if closes_here {
            &mut pair.server
        } else {
            &mut pair.client
        };
        end.session.begin_close(Code::Unavailable, "enough", at(1));
        pair.now = at(1);
        pair.exchange();
        let due = Duration::from_millis(1250);
        for (name, end) in pair.ends() {
            assert_eq!(end.session.poll_timeout(), due, "{name}");
            assert!(end.session.end_streams(at(1)).is_none(), "{name}");
        }
        let ended = pair.server.session.end_streams(due).expect("due");
        assert_eq!(ended.cancelled, [served]);
        assert!(ended.outcomes.is_empty());
        let local = pair.client.session.end_streams(due).expect("due");
        for (token, outcome) in local.outcomes {
            let Outcome::Error(text, _) = outcome else {
                panic!("{outcome:?}")
            };
            pair.client.outcome(token, format!("error {text}"));
        }
        // Under way when the server ended it.
        let _ = pair
            .client
            .session
            .send_item(caller, REQUEST, false, 1, text("late"));
        pair.exchange();
        let said = "error UNAVAILABLE: enough: the stream was ended";
        assert_eq!(pair.client.outcomes[&1], [said], "{closes_here}");
        assert_eq!(pair.server.session.unexpected, 0);
        assert_eq!(pair.client.session.unexpected, 0);
        // Its handler ends, and the call goes on.
        pair.server.session.reply(served, Reply::<NoBody>::END);
        for (name, end) in pair.ends() {
            assert_eq!(end.session.open_exchanges(), 1, "{name}");
            assert!(end.session.end_streams(at(9)).is_none(), "{name}: once");
        }
        pair.settle();
        assert_eq!(pair.client.outcomes[&7], ["answer 7"]);
    }
}

#[test]
fn a_stream_that_begins_in_a_drain_has_its_time_too() {
    let (mut pair, _, callee) = streams::streaming(false, true);
    let StreamSide::Callee(served) = callee else {
        unreachable!()
    };
    pair.server
        .session
        .begin_close(Code::Unavailable, "enough", at(1));
    pair.exchange();
    assert!(pair.server.session.end_streams(at(9)).is_none());
    pair.server.session.begin_answers(served);
    pair.server.session.stream_begun(at(9));
    let due = Duration::from_millis(9250);
    assert!(pair.server.session.end_streams(at(9)).is_none());
    let ended = pair.server.session.end_streams(due).expect("due");
    assert_eq!(ended.cancelled, [served]);
}

#[test]
fn what_comes_after_the_end_of_a_session_is_refused_by_name() {
    let mut pair = Pair::open();
    pair.client.call(1, at(60)).expect("sent");
    pair.client.deliver(2, at(60)).expect("sent");
    pair.client.send("3").expect("sent");
    pair.server
        .session
        .begin_close(Code::Unavailable, "going away", at(0));
    let close = pair.server.transmit();
    pair.server.lose();
    let mut refusals = Vec::new();
    for frame in frames(&pair.client.transmit()) {
        refuse_late(&frame.header, Side::Accepting, &mut refusals);
    }
    pair.client.receive(&close, at(0)).expect("no fault");
    pair.client.receive(&refusals, at(0)).expect("no fault");
    assert_eq!(pair.client.outcomes[&1], ["not accepted"]);
    assert_eq!(pair.client.outcomes[&2], ["not accepted"]);
    assert_eq!(frames(&refusals).len(), 2);
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
        (FaultKind::TlsPeer, 1),
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
