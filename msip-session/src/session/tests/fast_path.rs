//! The short way does what the long way does.

use super::*;

fn frame(bytes: &[u8]) -> Frame {
    let mut decoder = Decoder::new(Limits::default().max_payload());
    decoder.buffer().extend_from_slice(bytes);
    decoder.decode().expect("a frame").expect("all of it")
}

/// What a frame is on the short way.
fn taken(end: &mut End, frame: &Frame) -> Event {
    let short = end.session.handle_fast(FrameRef::from(frame));
    short.expect("nothing unusual").into_event(frame)
}

/// Whether a frame is taken on the short way.
fn is_plain(end: &mut End, frame: &Frame) -> bool {
    let short = end.session.handle_fast(FrameRef::from(frame));
    short.is_some()
}

fn call_fast(end: &mut End, token: Token) -> Option<Slot> {
    let session = &mut end.session;
    let body = token.to_string();
    session.call_fast(
        REQUEST,
        MsgKind::Event,
        token,
        at(30),
        body.len(),
        text(&body),
    )
}

fn send_fast(end: &mut End, body: &str) -> bool {
    let session = &mut end.session;
    session.send_fast(NOTE, MsgKind::Event, body.len(), text(body))
}

#[test]
fn both_ways_write_the_same_and_spend_the_same() {
    let (mut short, mut long) = (Pair::open(), Pair::open());
    for (short, long) in [
        (&mut short.client, &mut long.client),
        (&mut short.server, &mut long.server),
    ] {
        for body in ["x", "", "something longer"] {
            assert!(send_fast(short, body));
            assert!(long.send(body).is_ok());
        }
        assert_eq!(short.transmit(), long.transmit());
        assert_eq!(
            short.session.send_window.items(),
            long.session.send_window.items()
        );
    }
}

#[test]
fn both_ways_take_the_same_and_count_the_same() {
    let (mut short, mut long) = (Pair::open(), Pair::open());
    short.client.send("a note").expect("sent");
    let bytes = short.client.transmit();
    let Event::Incoming(plain) = taken(&mut short.server, &frame(&bytes)) else {
        panic!("a message is one");
    };
    let event = long.server.session.handle_frame(frame(&bytes), at(0));
    let Ok(Some(Event::Incoming(incoming))) = event else {
        panic!("{event:?}");
    };
    assert_eq!(format!("{plain:?}"), format!("{incoming:?}"));
    assert_eq!(
        short.server.session.receive_window.items(),
        long.server.session.receive_window.items()
    );
}

#[test]
fn both_ways_call_alike() {
    let (mut short, mut long) = (Pair::open(), Pair::open());
    for (short, long) in [
        (&mut short.client, &mut long.client),
        (&mut short.server, &mut long.server),
    ] {
        for token in [1, 20, 300] {
            assert_eq!(call_fast(short, token), long.call(token, at(30)).ok());
        }
        assert_eq!(short.transmit(), long.transmit());
        assert_eq!(short.session.poll_timeout(), long.session.poll_timeout());
        assert_eq!(
            short.session.open_exchanges(),
            long.session.open_exchanges()
        );
    }
}

#[test]
fn both_ways_take_a_call_and_its_answer_alike() {
    let (mut short, mut long) = (Pair::open(), Pair::open());
    for pair in [&mut short, &mut long] {
        pair.client.call(7, at(30)).expect("opened");
    }
    let bytes = short.client.transmit();
    assert_eq!(bytes, long.client.transmit());
    let event = long.server.session.handle_frame(frame(&bytes), at(0));
    let event = event.expect("no fault").expect("an event");
    let taken_event = taken(&mut short.server, &frame(&bytes));
    assert_eq!(format!("{taken_event:?}"), format!("{event:?}"));
    let Event::Incoming(Incoming {
        reply: ReplyTo::Call(slot),
        ..
    }) = taken_event
    else {
        panic!("{taken_event:?}");
    };
    for pair in [&mut short, &mut long] {
        pair.server.session.reply(slot, answer("seven"));
        assert_eq!(pair.server.session.open_exchanges(), 0);
    }
    let bytes = short.server.transmit();
    assert_eq!(bytes, long.server.transmit());
    let event = long.client.session.handle_frame(frame(&bytes), at(0));
    let event = event.expect("no fault").expect("an event");
    let taken_event = taken(&mut short.client, &frame(&bytes));
    assert_eq!(format!("{taken_event:?}"), format!("{event:?}"));
    assert_eq!(short.client.session.open_exchanges(), 0);
    assert!(
        !is_plain(&mut short.client, &frame(&bytes)),
        "a late answer"
    );
}

#[test]
fn a_request_waits_where_a_mebibyte_is_queued_and_a_message_does_not() {
    let mut pair = Pair::open();
    let large = vec![b'x'; 1024 * 1024];
    let encode = |buffer: &mut Vec<u8>| buffer.extend_from_slice(&large);
    let session = &mut pair.client.session;
    let opened = session.call_fast(REQUEST, MsgKind::Event, 2, at(30), large.len(), encode);
    assert!(opened.is_some());
    assert_eq!(call_fast(&mut pair.client, 3), None);
    assert_eq!(pair.client.call(3, at(30)), Err(Blocked::NoRoom));
    assert!(send_fast(&mut pair.client, "a message has credit"));
    pair.client.transmit();
    assert!(call_fast(&mut pair.client, 3).is_some());
}

#[test]
fn an_answer_that_is_no_answer_to_a_call_is_left_to_the_long_way() {
    let mut pair = Pair::open();
    pair.client
        .session
        .deliver(&head(NOTE), 1, at(30), text("x"))
        .expect("taken");
    pair.client
        .session
        .call(
            &head(REQUEST),
            Shape {
                request_stream: false,
                response_stream: true,
            },
            2,
            at(30),
            text("y"),
        )
        .expect("opened");
    let mut decoder = Decoder::new(Limits::default().max_payload());
    decoder.buffer().extend_from_slice(&pair.client.transmit());
    while let Some(head) = decoder.decode().expect("frames") {
        let mut ack = Vec::new();
        write_ack(&mut ack, Flags::NONE, head.header.msg_id);
        assert!(!is_plain(&mut pair.client, &frame(&ack)));
    }
    assert_eq!(pair.client.session.open_exchanges(), 2);
}

#[test]
fn a_body_that_is_not_as_long_as_it_says_leaves_a_whole_frame() {
    let mut pair = Pair::open();
    let session = &mut pair.client.session;
    assert!(session.send_fast(NOTE, MsgKind::Event, 3, text("longer")));
    assert!(session.send_fast(NOTE, MsgKind::Event, 30, text("shorter")));
    assert!(pair.client.send("next").is_ok());
    pair.exchange();
    assert_eq!(pair.server.heard, ["longer", "shorter", "next"]);
    assert_eq!(
        pair.client.session.send_window.items(),
        pair.server.session.receive_window.items()
    );
}

#[test]
fn what_is_unusual_is_left_to_the_long_way() {
    type Change = fn(&mut Header, &mut Vec<u8>);
    let unusual: [(&str, Change); 11] = [
        ("urgent", |header, _| header.flags = Flags::URGENT),
        ("to be acknowledged", |header, _| {
            header.flags = Flags::ACK_REQUIRED;
            header.msg_id = MsgId::delivery(Side::Connecting, 1);
        }),
        ("a call that nothing could answer", |header, _| {
            header.flags = Flags::ACK_REQUIRED;
            header.msg_id = MsgId::exchange(Side::Connecting, 0);
        }),
        ("a stream of requests", |header, _| {
            header.flags = Flags::ACK_REQUIRED.union(Flags::MORE);
        }),
        ("compressed", |header, _| header.flags = Flags::COMPRESSED),
        ("with metadata", |header, _| header.flags = Flags::META),
        ("an item", |header, _| header.flags = Flags::ITEM),
        ("an unknown kind", |header, _| {
            header.kind = crate::wire::RawKind::new(77);
        }),
        ("an id of the other side", |header, _| {
            header.msg_id = MsgId::exchange(Side::Accepting, 5);
        }),
        ("a topic", |_, payload| {
            *payload = [&[0, 1][..], b"tx"].concat();
        }),
        ("too short for a topic", |_, payload| *payload = vec![0]),
    ];
    for (name, change) in unusual {
        let mut pair = Pair::open();
        let before = pair.server.session.receive_window.items();
        let mut header = Header {
            variant: NOTE,
            kind: MsgKind::Event.into(),
            ..Header::control(
                FrameType::Publish,
                MsgId::exchange(Side::Connecting, 1 << 20),
            )
        };
        let mut payload = vec![0, 0, b'x'];
        change(&mut header, &mut payload);
        header.payload_len = u32::try_from(payload.len()).expect("short");
        let frame = Frame {
            header,
            payload: payload.into(),
        };
        assert!(!is_plain(&mut pair.server, &frame), "{name}");
        assert_eq!(pair.server.session.receive_window.items(), before, "{name}");
    }
}

#[test]
fn what_stands_in_the_way_of_a_send_is_left_to_the_long_way() {
    let mut pair = Pair::open();
    while send_fast(&mut pair.client, "x") {}
    assert_eq!(pair.client.send("x"), Err(Blocked::NoRoom), "no credit");
    pair.settle();
    assert!(send_fast(&mut pair.client, "x"));
    let max = pair.client.session.peer_max_body();
    let session = &mut pair.client.session;
    assert!(
        !session.send_fast(NOTE, MsgKind::Event, max + 1, |_| ()),
        "too large"
    );
    session.begin_close(Code::Cancelled, "enough", at(0));
    assert!(!send_fast(&mut pair.client, "x"), "closing");
    assert_eq!(call_fast(&mut pair.client, 1), None, "closing");
    let mut waiting = End::new(Session::accepting(config(Side::Accepting), at(0)));
    assert!(!send_fast(&mut waiting, "x"), "before the handshake");
}
