//! Allowances: frames that a peer may send without being asked, each within its measure, and no correct peer beyond it.

use super::{streams::streaming, *};

/// A CREDIT that grants one item.
fn credit(id: MsgId) -> Vec<u8> {
    let mut frame = Vec::new();
    crate::wire::write_credit(&mut frame, Flags::NONE, id, Credit { items: 1, bytes: 9 });
    frame
}

fn control(frame_type: FrameType, id: MsgId, payload: &[u8]) -> Vec<u8> {
    let header = Header {
        payload_len: u32::try_from(payload.len()).expect("short"),
        ..Header::control(frame_type, id)
    };
    [&header.encode()[..], payload].concat()
}

/// How many of these frames the server takes, at one moment.
fn taken(pair: &mut Pair, frame: &[u8]) -> (usize, Fault) {
    for count in 0..100_000 {
        if let Err(fault) = pair.server.receive(frame, at(1)) {
            return (count, fault);
        }
    }
    panic!("never enough");
}

#[test]
fn a_flood_is_a_fault_that_names_it() {
    const CONNECTION: MsgId = MsgId::CONNECTION;
    let (mut streaming, ..) = streaming(true, true);
    let stream = streaming.server.session.streams.windows().next();
    let stream = stream.expect("one").id;
    // An empty ITEM, without MORE.
    let end_of_requests = {
        let header = Header {
            flags: Flags::ITEM,
            ..Header::control(FrameType::Publish, stream)
        };
        let mut frame = Header {
            payload_len: 2,
            ..header
        }
        .encode()
        .to_vec();
        frame.extend([0, 0]);
        frame
    };
    streaming
        .server
        .receive(&end_of_requests, at(0))
        .expect("the first one is its end");
    let closing = || {
        let mut pair = Pair::open();
        pair.client.call(1, at(60)).expect("sent");
        pair.exchange();
        pair
    };
    let cases = [
        (
            "CREDITs for nothing",
            Pair::open(),
            credit(CONNECTION),
            2000,
            "more than 200 CREDITs beyond one for each message a second",
        ),
        (
            "an ERROR that ends the connection, and does not",
            Pair::open(),
            control(FrameType::Error, CONNECTION, b"INTERNAL: no"),
            2000,
            "more than 200 ERRORs and CLOSEs of a connection a second",
        ),
        (
            "CLOSE after CLOSE",
            closing(),
            control(FrameType::Close, CONNECTION, b"UNAVAILABLE: no"),
            2001,
            "more than 200 ERRORs and CLOSEs of a connection a second",
        ),
        (
            "the end of requests that have ended",
            streaming,
            end_of_requests,
            2000,
            "more than 200 pings, stray answers and malformed messages a second",
        ),
    ];
    for (name, mut pair, frame, count, rule) in cases {
        let (taken, fault) = taken(&mut pair, &frame);
        assert_eq!(taken, count, "{name}");
        assert_eq!(
            (fault.code, fault.rule.as_str()),
            (Code::ResourceExhausted, rule),
            "{name}"
        );
    }
}

#[test]
fn credit_for_each_message_and_item_is_no_flood() {
    let mut pair = Pair::open();
    for _ in 0..10_000 {
        pair.server.send("x").expect("there is credit");
        pair.server
            .receive(&credit(MsgId::CONNECTION), at(1))
            .expect("one for each");
    }
    let (mut pair, _, callee) = streaming(false, true);
    let StreamSide::Callee(served) = callee else {
        unreachable!()
    };
    pair.server.session.begin_answers(served);
    let id = pair.server.session.streams.windows().next();
    let id = id.expect("one").id;
    let item = |server: &mut Peer| {
        let sent = server
            .session
            .send_item(callee, ANSWER, false, 1, text("x"));
        assert_eq!(sent, Ok(()));
    };
    for _ in 0..10_000 {
        item(&mut pair.server);
        pair.server.receive(&credit(id), at(1)).expect("one each");
    }
    assert_eq!(pair.server.session.unexpected, 0);
}

#[test]
fn what_cannot_be_read_counts_where_both_sides_have_one_schema() {
    let mut pair = Pair::open();
    let session = &mut pair.server.session;
    for _ in 0..10_000 {
        session.count_unreadable(MsgId::CONNECTION, at(1));
    }
    assert_eq!(session.take_fault(), None, "a newer release");
    session.expect_readable();
    for _ in 0..2000 {
        session.count_unreadable(MsgId::CONNECTION, at(1));
    }
    assert_eq!(session.take_fault(), None);
    session.count_unreadable(MsgId::CONNECTION, at(1));
    let fault = session.take_fault().expect("too many");
    assert_eq!(
        (fault.code, fault.rule.as_str()),
        (
            Code::ResourceExhausted,
            "more than 200 unreadable messages a second"
        )
    );
    assert_eq!(session.take_fault(), None, "once");
}

#[test]
fn an_item_that_cannot_be_read_fails_its_call_alone() {
    let (mut pair, caller, callee) = streaming(true, false);
    let StreamSide::Callee(served) = callee else {
        unreachable!()
    };
    let id = pair.server.session.streams.windows().next();
    let id = id.expect("one").id;
    let header = Header {
        flags: Flags::ITEM.union(Flags::MORE),
        variant: REQUEST,
        payload_len: 2,
        ..Header::control(FrameType::Publish, id)
    };
    // A topic beyond the payload.
    let bad = [&header.encode()[..], &[0, 9]].concat();
    pair.server.receive(&bad, at(0)).expect("no fault");
    assert_eq!(pair.server.told, ["cancelled"]);
    pair.exchange();
    assert_eq!(
        pair.client.outcomes[&1],
        [
            "error INVALID_ARGUMENT: an item of variant 1 cannot be read: the topic reaches beyond the payload"
        ]
    );
    let more = pair
        .client
        .session
        .send_item(caller, REQUEST, false, 1, text("1"));
    assert_eq!(more, Err(Blocked::Closing));
    // The handler's own end is not told.
    pair.server.session.reply(served, answer("late"));
    pair.exchange();
    assert_eq!(pair.client.outcomes[&1].len(), 1);
    assert_eq!(pair.client.session.unexpected, 0);
    assert_eq!(pair.server.session.incoming_calls(), 0);
}
