//! The short way does what the long way does.

use super::*;

fn frame(bytes: &[u8]) -> Frame {
    let mut decoder = Decoder::new(Limits::default().max_payload());
    decoder.buffer().extend_from_slice(bytes);
    decoder.decode().expect("a frame").expect("all of it")
}

fn send_plain(end: &mut End, body: &str) -> bool {
    let session = &mut end.session;
    session.send_plain(NOTE, MsgKind::Event, body.len(), text(body))
}

#[test]
fn both_ways_write_the_same_and_spend_the_same() {
    let (mut short, mut long) = (Pair::open(), Pair::open());
    for (short, long) in [
        (&mut short.client, &mut long.client),
        (&mut short.server, &mut long.server),
    ] {
        for body in ["x", "", "something longer"] {
            assert!(send_plain(short, body));
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
    let plain = short.server.session.handle_plain(frame(&bytes));
    let plain: Incoming = plain.expect("nothing unusual").into();
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
fn a_body_that_is_not_as_long_as_it_says_leaves_a_whole_frame() {
    let mut pair = Pair::open();
    let session = &mut pair.client.session;
    assert!(session.send_plain(NOTE, MsgKind::Event, 3, text("longer")));
    assert!(session.send_plain(NOTE, MsgKind::Event, 30, text("shorter")));
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
    let unusual: [(&str, Change); 9] = [
        ("urgent", |header, _| header.flags = Flags::URGENT),
        ("to be answered", |header, _| {
            header.flags = Flags::ACK_REQUIRED;
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
        let back = pair.server.session.handle_plain(frame.clone());
        assert_eq!(back.err(), Some(frame), "{name}");
        assert_eq!(pair.server.session.receive_window.items(), before, "{name}");
    }
}

#[test]
fn what_stands_in_the_way_of_a_send_is_left_to_the_long_way() {
    let mut pair = Pair::open();
    while send_plain(&mut pair.client, "x") {}
    assert_eq!(pair.client.send("x"), Err(Blocked::NoRoom), "no credit");
    pair.settle();
    assert!(send_plain(&mut pair.client, "x"));
    let max = pair.client.session.peer_max_body();
    let session = &mut pair.client.session;
    assert!(
        !session.send_plain(NOTE, MsgKind::Event, max + 1, |_| ()),
        "too large"
    );
    session.begin_close(Code::Cancelled, "enough", at(0));
    assert!(!send_plain(&mut pair.client, "x"), "closing");
    let mut waiting = End::new(Session::accepting(config(Side::Accepting), at(0)));
    assert!(!send_plain(&mut waiting, "x"), "before the handshake");
}
