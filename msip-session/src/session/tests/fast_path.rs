//! The fast path does what the slow path does.

use bytes::Bytes;

use super::*;
use crate::wire::Topic;

fn frame(bytes: &[u8]) -> Frame {
    let mut decoder = Decoder::new(Limits::default().max_payload());
    decoder.buffer().extend_from_slice(bytes);
    decoder.decode().expect("a frame").expect("all of it")
}

/// The event of a frame that takes the fast path.
fn taken(end: &mut Peer, frame: &Frame) -> Event {
    let fast = end.session.handle_fast(FrameRef::from(frame));
    fast.expect("nothing unusual").into_event(frame)
}

/// Whether a frame takes the fast path.
fn is_fast(end: &mut Peer, frame: &Frame) -> bool {
    let fast = end.session.handle_fast(FrameRef::from(frame));
    fast.is_some()
}

fn bare(variant: u16) -> BareHead<'static> {
    BareHead {
        variant,
        kind: MsgKind::Event,
        topic: None,
    }
}

fn call_fast(end: &mut Peer, token: usize) -> Option<Slot> {
    let session = &mut end.session;
    let body = token.to_string();
    session.call_fast(
        &bare(REQUEST),
        Token::new(token),
        at(30),
        body.len(),
        text(&body),
    )
}

fn send_fast(end: &mut Peer, body: &str) -> bool {
    let session = &mut end.session;
    session.send_fast(&bare(NOTE), body.len(), text(body))
}

#[test]
fn both_paths_write_and_spend_the_same() {
    let (mut fast, mut slow) = (Pair::open(), Pair::open());
    for (fast, slow) in [
        (&mut fast.client, &mut slow.client),
        (&mut fast.server, &mut slow.server),
    ] {
        for body in ["x", "", "something longer"] {
            assert!(send_fast(fast, body));
            assert!(slow.send(body).is_ok());
        }
        assert_eq!(fast.transmit(), slow.transmit());
        assert_eq!(
            fast.session.send_window.items(),
            slow.session.send_window.items()
        );
    }
}

#[test]
fn both_paths_accept_and_count_the_same() {
    let (mut fast, mut slow) = (Pair::open(), Pair::open());
    fast.client.send("a note").expect("sent");
    let bytes = fast.client.transmit();
    let Event::Incoming(bare) = taken(&mut fast.server, &frame(&bytes)) else {
        panic!("a message is one");
    };
    let event = slow.server.session.handle_frame(frame(&bytes), at(0));
    let Ok(Some(Event::Incoming(incoming))) = event else {
        panic!("{event:?}");
    };
    assert_eq!(format!("{bare:?}"), format!("{incoming:?}"));
    assert_eq!(
        fast.server.session.receive_window.items(),
        slow.server.session.receive_window.items()
    );
}

#[test]
fn both_paths_open_the_same_calls() {
    let (mut fast, mut slow) = (Pair::open(), Pair::open());
    for (fast, slow) in [
        (&mut fast.client, &mut slow.client),
        (&mut fast.server, &mut slow.server),
    ] {
        for token in [1, 20, 300] {
            assert_eq!(call_fast(fast, token), slow.call(token, at(30)).ok());
        }
        assert_eq!(fast.transmit(), slow.transmit());
        assert_eq!(fast.session.poll_timeout(), slow.session.poll_timeout());
        assert_eq!(fast.session.open_exchanges(), slow.session.open_exchanges());
    }
}

#[test]
fn both_paths_write_the_same_to_a_topic() {
    let (mut fast, mut slow) = (Pair::open(), Pair::open());
    let topic = Topic::new(Bytes::from_static(b"devices/7"), 255).expect("a topic");
    let with_topic = |variant| BareHead {
        topic: Some(&topic),
        ..bare(variant)
    };
    let head = |variant| RequestHead {
        topic: Some(&topic),
        ..head(variant)
    };
    let session = &mut fast.client.session;
    assert!(session.send_fast(&with_topic(NOTE), 6, text("a note")));
    let request = with_topic(REQUEST);
    let opened = session.call_fast(&request, Token::new(1), at(30), 6, text("a call"));
    let session = &mut slow.client.session;
    session.send(&head(NOTE), text("a note")).expect("sent");
    let token = Token::new(1);
    let called = session.call(
        &head(REQUEST),
        CallShape::UNARY,
        token,
        at(30),
        text("a call"),
    );
    assert_eq!(opened, called.ok());
    assert_eq!(fast.client.transmit(), slow.client.transmit());
    assert_eq!(
        fast.client.session.send_window.items(),
        slow.client.session.send_window.items()
    );
}

#[test]
fn both_paths_open_the_same_calls_of_many_callers() {
    let (mut fast, mut slow) = (Pair::open(), Pair::open());
    let shape = CallShape {
        request_stream: false,
        response_stream: true,
    };
    let mut slots = Vec::new();
    for (token, caller) in [(1, 7), (2, 7), (3, 8)] {
        let (fast, slow) = (&mut fast.client.session, &mut slow.client.session);
        let token = Token::new(token);
        let opened = fast.call_for(caller, &bare(REQUEST), token, at(5), 1, text("x"));
        let head = RequestHead {
            caller,
            ..head(REQUEST)
        };
        let called = slow.call(&head, shape, token, at(5), text("x"));
        assert_eq!(opened, called.ok());
        slots.extend(opened);
        assert_eq!(
            fast.streams.len(),
            slow.streams.len(),
            "a stream may answer it"
        );
    }
    assert_eq!(fast.client.transmit(), slow.client.transmit());
    for pair in [&mut fast, &mut slow] {
        let session = &mut pair.client.session;
        assert_eq!(session.poll_timeout(), at(5));
        slots.iter().for_each(|slot| session.forget(*slot));
    }
    assert_eq!(fast.client.transmit(), slow.client.transmit());
    fast.client
        .session
        .begin_close(Code::Cancelled, "enough", at(0));
    let session = &mut fast.client.session;
    let opened = session.call_for(7, &bare(REQUEST), Token::new(4), at(5), 1, text("x"));
    assert_eq!(opened, None, "closing");
}

#[test]
fn both_paths_accept_the_same_calls_and_answers() {
    let (mut fast, mut slow) = (Pair::open(), Pair::open());
    for pair in [&mut fast, &mut slow] {
        pair.client.call(7, at(30)).expect("opened");
    }
    let bytes = fast.client.transmit();
    assert_eq!(bytes, slow.client.transmit());
    let event = slow.server.session.handle_frame(frame(&bytes), at(0));
    let event = event.expect("no fault").expect("an event");
    let taken_event = taken(&mut fast.server, &frame(&bytes));
    assert_eq!(format!("{taken_event:?}"), format!("{event:?}"));
    let Event::Incoming(Incoming {
        reply: ReplyTo::Call(slot),
        ..
    }) = taken_event
    else {
        panic!("{taken_event:?}");
    };
    for pair in [&mut fast, &mut slow] {
        pair.server.session.reply(slot, answer("seven"));
        assert_eq!(pair.server.session.open_exchanges(), 0);
    }
    let bytes = fast.server.transmit();
    assert_eq!(bytes, slow.server.transmit());
    let event = slow.client.session.handle_frame(frame(&bytes), at(0));
    let event = event.expect("no fault").expect("an event");
    let taken_event = taken(&mut fast.client, &frame(&bytes));
    assert_eq!(format!("{taken_event:?}"), format!("{event:?}"));
    assert_eq!(fast.client.session.open_exchanges(), 0);
    assert!(!is_fast(&mut fast.client, &frame(&bytes)), "a late answer");
}

#[test]
fn a_request_waits_while_a_mebibyte_is_queued_and_a_message_does_not() {
    let mut pair = Pair::open();
    let large = vec![b'x'; 1024 * 1024];
    let encode = |buffer: &mut Vec<u8>| buffer.extend_from_slice(&large);
    let session = &mut pair.client.session;
    let opened = session.call_fast(&bare(REQUEST), Token::new(2), at(30), large.len(), encode);
    assert!(opened.is_some());
    assert_eq!(call_fast(&mut pair.client, 3), None);
    assert_eq!(pair.client.call(3, at(30)), Err(Blocked::NoCapacity));
    assert!(send_fast(&mut pair.client, "a message has credit"));
    pair.client.transmit();
    assert!(call_fast(&mut pair.client, 3).is_some());
}

#[test]
fn an_answer_to_anything_but_a_call_takes_the_slow_path() {
    let mut pair = Pair::open();
    pair.client
        .session
        .deliver(&head(NOTE), Token::new(1), at(30), text("x"))
        .expect("taken");
    let mut ack = Vec::new();
    let delivery = frame(&pair.client.transmit());
    write_ack(&mut ack, Flags::NONE, delivery.header.msg_id);
    assert!(!is_fast(&mut pair.client, &frame(&ack)));
    assert_eq!(pair.client.session.open_exchanges(), 1);
}

#[test]
fn both_paths_end_the_streams_of_a_call_with_its_answer() {
    let (mut fast, mut slow) = (Pair::open(), Pair::open());
    let shape = CallShape {
        request_stream: false,
        response_stream: true,
    };
    let mut acks = Vec::new();
    for pair in [&mut fast, &mut slow] {
        let session = &mut pair.client.session;
        let called = session.call(&head(REQUEST), shape, Token::new(2), at(30), text("y"));
        called.expect("opened");
        assert_eq!(session.streams.len(), 1);
        let call = frame(&pair.client.transmit());
        let mut ack = Vec::new();
        write_ack(&mut ack, Flags::NONE, call.header.msg_id);
        acks.push(frame(&ack));
    }
    let event = slow.client.session.handle_frame(acks[1].clone(), at(0));
    let event = event.expect("no fault").expect("an event");
    let taken_event = taken(&mut fast.client, &acks[0]);
    assert_eq!(format!("{taken_event:?}"), format!("{event:?}"));
    for pair in [&fast, &slow] {
        assert_eq!(pair.client.session.open_exchanges(), 0);
        assert_eq!(pair.client.session.streams.len(), 0);
    }
}

#[test]
fn a_body_of_another_length_than_announced_leaves_a_whole_frame() {
    let mut pair = Pair::open();
    let session = &mut pair.client.session;
    assert!(session.send_fast(&bare(NOTE), 3, text("longer")));
    assert!(session.send_fast(&bare(NOTE), 30, text("shorter")));
    assert!(pair.client.send("next").is_ok());
    pair.exchange();
    assert_eq!(pair.server.messages, ["longer", "shorter", "next"]);
    assert_eq!(
        pair.client.session.send_window.items(),
        pair.server.session.receive_window.items()
    );
}

#[test]
fn an_unusual_frame_takes_the_slow_path() {
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
        assert!(!is_fast(&mut pair.server, &frame), "{name}");
        assert_eq!(pair.server.session.receive_window.items(), before, "{name}");
    }
}

#[test]
fn a_send_without_capacity_takes_the_slow_path() {
    let mut pair = Pair::open();
    while send_fast(&mut pair.client, "x") {}
    assert_eq!(pair.client.send("x"), Err(Blocked::NoCapacity), "no credit");
    pair.settle();
    assert!(send_fast(&mut pair.client, "x"));
    let max = pair.client.session.peer_max_body();
    let session = &mut pair.client.session;
    assert!(
        !session.send_fast(&bare(NOTE), max + 1, |_| ()),
        "too large"
    );
    session.begin_close(Code::Cancelled, "enough", at(0));
    assert!(!send_fast(&mut pair.client, "x"), "closing");
    assert_eq!(call_fast(&mut pair.client, 1), None, "closing");
    let mut waiting = Peer::new(Session::accepting(config(Side::Accepting), at(0)));
    assert!(!send_fast(&mut waiting, "x"), "before the handshake");
}
