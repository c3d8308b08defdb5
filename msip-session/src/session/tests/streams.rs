//! Streams: credit, ends and late frames.

use super::*;

/// An item of one byte.
const ONE: Credit = Credit { items: 1, bytes: 1 };

/// A pair in which the client has opened a call of this shape, and both sides' names of its streams.
pub(super) fn streaming(
    request_stream: bool,
    response_stream: bool,
) -> (Pair, StreamSide, StreamSide) {
    let mut pair = Pair::open();
    let shape = CallShape {
        request_stream,
        response_stream,
    };
    let slot = pair
        .client
        .session
        .call(
            &head(REQUEST),
            shape,
            Token::new(1),
            Duration::MAX,
            text(""),
        )
        .expect("capacity");
    pair.exchange();
    let incoming = pair.server.waiting.pop().expect("the call has come");
    assert_eq!(incoming.is_stream, request_stream);
    let ReplyTo::Call(served) = incoming.reply else {
        panic!("{incoming:?}");
    };
    pair.client.told.clear();
    pair.server.told.clear();
    (pair, StreamSide::Caller(slot), StreamSide::Callee(served))
}

fn send_items(session: &mut Session, end: StreamSide, body: &str) -> usize {
    let mut sent = 0;
    while session.send_item(end, ANSWER, false, body.len(), text(body)) == Ok(()) {
        sent += 1;
        assert!(sent < 1000, "no window");
    }
    assert_eq!(
        session.send_item(end, ANSWER, false, body.len(), text(body)),
        Err(Blocked::NoCapacity)
    );
    sent
}

#[test]
fn a_stream_stops_at_its_credit_and_continues_when_items_are_read() {
    let (mut pair, caller, callee) = streaming(false, true);
    let StreamSide::Callee(served) = callee else {
        unreachable!()
    };
    pair.server.session.begin_answers(served);
    assert_eq!(send_items(&mut pair.server.session, callee, "a"), 16);
    pair.exchange();
    assert_eq!(pair.client.told, ["item a"; 16]);
    for _ in 0..8 {
        pair.client.session.items_consumed(caller, ONE);
    }
    pair.exchange();
    // All of the window was used up, so that it has grown by as much again.
    assert_eq!(send_items(&mut pair.server.session, callee, "b"), 8 + 16);
    // While any credit is left one item may exceed it.
    let large = "x".repeat(200 * 1024);
    for _ in 0..16 {
        pair.client.session.items_consumed(caller, ONE);
    }
    pair.exchange();
    assert_eq!(send_items(&mut pair.server.session, callee, &large), 2);
    pair.server.session.reply(served, Reply::<NoBody>::END);
    pair.exchange();
    assert_eq!(pair.client.outcomes[&1], ["answer "]);
    assert_eq!(
        pair.server
            .session
            .send_item(callee, ANSWER, false, 4, text("late")),
        Err(Blocked::Closing)
    );
    for (name, end) in pair.ends() {
        assert_eq!(end.session.open_exchanges(), 0, "{name}");
    }
}

#[test]
fn credit_that_comes_before_the_first_answer_counts() {
    let granted = Credit {
        items: 100,
        bytes: 1 << 20,
    };
    for request_stream in [false, true] {
        let (mut pair, caller, callee) = streaming(request_stream, true);
        let (StreamSide::Caller(slot), StreamSide::Callee(served)) = (caller, callee) else {
            unreachable!()
        };
        let id = pair.client.session.streams.windows().next();
        let id = id.expect("one").id;
        // The receiver wants more under way than a stream begins with, and says so behind the call.
        pair.client.session.grant_items(id, false, granted);
        pair.exchange();
        pair.server.session.begin_answers(served);
        let sent = send_items(&mut pair.server.session, callee, "a");
        assert_eq!(sent, 16 + 100, "requests: {request_stream}");
        assert_eq!(pair.server.session.unexpected, 0, "once it is expected");
        pair.client.session.forget(slot);
        pair.exchange();
        pair.server.session.reply(served, Reply::<NoBody>::END);
        pair.exchange();
        assert_eq!(pair.server.session.open_exchanges(), 0);
        assert_eq!(pair.server.session.streams.len(), 0);
    }
}

#[test]
fn items_wait_where_a_megabyte_is_queued_and_messages_do_not() {
    let (mut pair, _, callee) = streaming(false, true);
    let StreamSide::Callee(served) = callee else {
        unreachable!()
    };
    let id = pair.client.session.streams.windows().next();
    let all = Credit {
        items: 10_000,
        bytes: 1 << 30,
    };
    pair.client
        .session
        .grant_items(id.expect("one").id, false, all);
    pair.exchange();
    let session = &mut pair.server.session;
    session.begin_answers(served);
    let body = "x".repeat(16 * 1024);
    assert_eq!(
        send_items(session, callee, &body),
        64,
        "each counts 88 more"
    );
    assert_eq!(session.item_capacity(callee).bytes, 0);
    assert!(pair.server.send("a message").is_ok());
    let session = &mut pair.server.session;
    let chunk = session.poll_transmit().expect("much is queued");
    session.transmitted(chunk);
    assert!(session.item_capacity(callee).bytes > 0);
}

#[test]
fn credit_for_a_call_that_is_answered_once_changes_nothing() {
    let (mut pair, caller, callee) = streaming(false, false);
    let (StreamSide::Caller(slot), StreamSide::Callee(served)) = (caller, callee) else {
        unreachable!()
    };
    let call = pair.client.session.outbound.to_abandon(slot);
    let id = call.expect("it is open").cancel.id;
    pair.client.session.grant_items(id, false, ONE);
    pair.exchange();
    pair.server.session.reply(served, answer("done"));
    pair.exchange();
    assert_eq!(pair.client.outcomes[&1], ["answer done"]);
    for (name, end) in pair.ends() {
        assert_eq!(end.session.open_exchanges(), 0, "{name}");
        assert_eq!(end.session.streams.len(), 0, "{name}");
    }
}

#[test]
fn a_request_stream_ends_once_and_with_its_answer() {
    let (mut pair, caller, callee) = streaming(true, false);
    let (StreamSide::Caller(slot), StreamSide::Callee(served)) = (caller, callee) else {
        unreachable!()
    };
    for text_ in ["1", "2"] {
        pair.client
            .session
            .send_item(caller, REQUEST, false, 1, text(text_))
            .expect("credit");
    }
    pair.client.session.end_requests(slot);
    pair.client.session.end_requests(slot);
    pair.exchange();
    assert_eq!(
        pair.server.told,
        ["request 1", "request 2", "end of requests"]
    );
    assert_eq!(
        pair.client
            .session
            .send_item(caller, REQUEST, false, 1, text("3")),
        Err(Blocked::Closing)
    );
    pair.server.session.reply(served, answer("sum"));
    pair.exchange();
    assert_eq!(pair.client.outcomes[&1], ["answer sum"]);
}

#[test]
fn a_call_that_is_forgotten_is_cancelled_or_never_sent() {
    let (mut pair, caller, callee) = streaming(false, true);
    let (StreamSide::Caller(slot), StreamSide::Callee(served)) = (caller, callee) else {
        unreachable!()
    };
    pair.server.session.begin_answers(served);
    assert_eq!(send_items(&mut pair.server.session, callee, "a"), 16);
    pair.client.session.forget(slot);
    pair.exchange();
    assert_eq!(pair.server.told, ["cancelled"]);
    assert!(
        pair.client.told.is_empty(),
        "items of a call that is forgotten"
    );
    assert_eq!(
        pair.server.session.open_exchanges(),
        1,
        "it counts until its handler has ended"
    );
    pair.server.session.reply(served, answer("too late"));
    assert_eq!(pair.server.session.open_exchanges(), 0);
    let said = pair.server.transmit();
    let [end] = &frames(&said)[..] else {
        panic!("{said:?}");
    };
    assert_eq!(
        end.header.frame_type,
        FrameType::Error,
        "that it has ended, and not the answer"
    );
    // One that is queued still is taken back.
    let slot = pair.client.call(2, at(60)).expect("capacity");
    pair.client.session.forget(slot);
    assert!(pair.client.transmit().is_empty());
}

#[test]
fn an_item_beyond_the_credit_is_a_fault() {
    let (mut pair, _, callee) = streaming(false, true);
    let StreamSide::Callee(served) = callee else {
        unreachable!()
    };
    pair.server.session.begin_answers(served);
    send_items(&mut pair.server.session, callee, "a");
    let sent = pair.server.transmit();
    let first = frames(&sent)[0].clone();
    pair.client.receive(&sent, at(0)).expect("no fault");
    let fault = pair
        .client
        .session
        .handle_frame(first, at(0))
        .expect_err("one too many");
    assert_eq!(fault.code, Code::ResourceExhausted);
}

#[test]
fn many_answers_where_one_was_asked_for_end_the_call() {
    let (mut pair, _, callee) = streaming(true, false);
    let StreamSide::Callee(served) = callee else {
        unreachable!()
    };
    // The other side takes it for a call with two streams.
    pair.server.session.begin_answers(served);
    assert_eq!(send_items(&mut pair.server.session, callee, "a"), 16);
    pair.exchange();
    assert!(pair.client.told.is_empty(), "items that no credit bounds");
    assert_eq!(
        pair.client.outcomes[&1],
        ["error INTERNAL: the answer cannot be read: a stream, where one answer was asked for"]
    );
    assert_eq!(pair.client.session.open_exchanges(), 0);
}

#[test]
fn a_withdrawn_stream_sends_no_items() {
    let mut pair = Pair::open();
    let shape = CallShape {
        request_stream: true,
        response_stream: false,
    };
    let call = |pair: &mut Pair, token| {
        let session = &mut pair.client.session;
        let slot = session
            .call(&head(REQUEST), shape, token, Duration::MAX, text("open"))
            .expect("capacity");
        send_items(session, StreamSide::Caller(slot), "item");
        slot
    };
    let (first, second) = (
        call(&mut pair, Token::new(1)),
        call(&mut pair, Token::new(2)),
    );
    pair.client.session.end_requests(first);
    pair.client.session.forget(first);
    pair.exchange();
    assert_eq!(pair.server.messages, ["open"], "the second");
    assert_eq!(pair.server.told[1..], ["request item"; 16]);
    assert_eq!(pair.server.session.ignored(), 0);
    pair.client.session.forget(second);
    pair.exchange();
    assert_eq!(pair.server.told[17..], ["cancelled"]);
}

#[test]
fn late_frames_of_a_refused_stream_are_not_unwanted() {
    let mut pair = Pair::open();
    let shape = CallShape {
        request_stream: true,
        response_stream: true,
    };
    // The peer's limit is ignored, as by a client that calls before it knows it.
    pair.client.session.outbound.set_max_calls(1000);
    for token in 0..400 {
        let session = &mut pair.client.session;
        let slot = session
            .call(
                &head(REQUEST),
                shape,
                Token::new(token),
                Duration::MAX,
                text("open"),
            )
            .expect("capacity");
        send_items(session, StreamSide::Caller(slot), "item");
        session.end_requests(slot);
        pair.exchange();
    }
    assert_eq!(pair.server.messages.len(), 4, "max_calls");
    assert_eq!(pair.server.session.ignored(), 396 * 17);
    assert_eq!(pair.client.outcomes.len(), 396, "refused");
}

#[test]
fn a_call_that_times_out_is_withdrawn_or_cancelled() {
    let mut pair = Pair::open();
    let shape = CallShape {
        request_stream: false,
        response_stream: true,
    };
    for (token, deadline) in [(1, at(3)), (2, at(4))] {
        pair.client
            .session
            .call(
                &head(REQUEST),
                shape,
                Token::new(token),
                deadline,
                text("watch"),
            )
            .expect("capacity");
    }
    pair.client.call(3, at(3)).expect("capacity");
    pair.exchange();
    // Nothing of this one is sent before it is too late.
    pair.client.call(4, at(3)).expect("capacity");
    pair.client.timeout(at(3)).expect("alive");
    pair.exchange();
    for token in [1, 3, 4] {
        assert_eq!(pair.client.outcomes[&token], ["expired"], "{token}");
    }
    assert_eq!(pair.server.messages, ["watch", "watch", "3"]);
    assert_eq!(
        pair.server.told[1..],
        ["cancelled"],
        "the stream; the other side knows the deadline of a call that has none"
    );
}

#[test]
fn lost_items_are_not_counted_as_dropped_messages() {
    let (mut pair, caller, _) = streaming(true, false);
    pair.client.session.keep_when_lost();
    send_items(&mut pair.client.session, caller, "item");
    pair.client.send("a message").expect("capacity");
    let suspended = pair.client.session.suspend(None);
    assert_eq!(suspended.lost.len(), 1, "the stream");
    assert_eq!(pair.client.session.dropped().disconnected, 1);
}
