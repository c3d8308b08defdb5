//! Subscriptions: SUBSCRIBE and UNSUBSCRIBE, answered, refused, limited, and sent again.

use bytes::Bytes;

use super::*;
use crate::wire::{MsgId, Subscribe, Topic, write_subscribe};

fn topic(text: &str) -> Topic {
    Topic::new(text.to_owned().into(), 255).expect("a topic")
}

/// Both sides keep their session when its connection is lost.
fn keep(pair: &mut Pair) {
    for (_, peer) in pair.ends() {
        peer.session.keep_when_lost();
    }
}

/// The connection is lost, and what was not read of it.
fn cut(pair: &mut Pair) {
    for (name, peer) in pair.ends() {
        let suspended = peer.session.suspend(None);
        assert!(suspended.lost.is_empty(), "{name}");
    }
}

fn resume(pair: &mut Pair) {
    let terms = PeerTerms {
        peer_max_body: 0,
        max_calls: 4,
        awaited: &[],
    };
    for (_, peer) in pair.ends() {
        peer.session.resume(&terms, at(1));
    }
}

/// A pair whose server is a broker.
fn with_broker() -> Pair {
    let mut pair = Pair::open();
    pair.server.session.allow_subscribe(at(0));
    pair
}

fn subscribe(session: &mut Session, token: usize, filter: &str) -> Slot {
    let topic = topic(filter);
    let head = SubscribeHead {
        is_unsubscribe: false,
        kind: MsgKind::State,
        topic: &topic,
        subscribe: None,
    };
    let subscribed = session.subscribe(&head, Token::new(token), at(1000));
    subscribed.expect("there is capacity")
}

#[test]
fn a_broker_answers_subscribe_and_unsubscribe() {
    let mut pair = with_broker();
    let topic = topic("room1");
    let said = Subscribe {
        group: "workers".to_owned(),
        protocol: "fleet.v1".to_owned(),
        fingerprint: 7,
        grant: vec![1, 2],
        by_peer: true,
        ..Subscribe::default()
    };
    let head = SubscribeHead {
        is_unsubscribe: false,
        kind: MsgKind::Command,
        topic: &topic,
        subscribe: Some(&said),
    };
    let session = &mut pair.client.session;
    session
        .subscribe(&head, Token::new(1), at(9))
        .expect("sent");
    let unsubscribe = SubscribeHead {
        is_unsubscribe: true,
        kind: MsgKind::State,
        subscribe: None,
        ..head
    };
    session
        .subscribe(&unsubscribe, Token::new(2), at(9))
        .expect("sent");
    pair.exchange();
    let [first, second] =
        <[_; 2]>::try_from(std::mem::take(&mut pair.server.subscribes)).expect("two requests");
    assert_eq!(first.subscribe.as_deref(), Some(&said));
    assert_eq!(
        (first.is_unsubscribe, first.kind),
        (false, MsgKind::Command)
    );
    assert_eq!((second.is_unsubscribe, second.kind), (true, MsgKind::State));
    assert_eq!(second.topic, topic);
    let refusal = ErrorRef::new(Code::PermissionDenied, "no");
    pair.server
        .session
        .answer_subscribe(second.reply, Err(refusal));
    pair.server
        .session
        .answer_subscribe(first.reply, Ok(b"spoken"));
    pair.settle();
    assert_eq!(pair.client.outcomes[&1], ["answer spoken"]);
    assert_eq!(pair.client.outcomes[&2], ["error PERMISSION_DENIED: no"]);
    assert_eq!(pair.client.session.open_exchanges(), 0);
}

#[test]
fn subscribe_is_refused_by_a_direct_server() {
    let mut pair = Pair::open();
    subscribe(&mut pair.client.session, 1, "a");
    pair.settle();
    let outcome = &pair.client.outcomes[&1];
    assert!(outcome[0].starts_with("error UNIMPLEMENTED: topics need a broker"));
}

/// What a broker does with a SUBSCRIBE that is written by hand.
fn raw_subscribe(flags: Flags, id: u64, payload: &[u8]) -> (Result<(), Fault>, Peer) {
    let mut pair = with_broker();
    let frame = Frame {
        header: Header {
            flags,
            payload_len: u32::try_from(payload.len()).expect("short"),
            ..Header::control(FrameType::Subscribe, MsgId::new(id))
        },
        payload: Bytes::copy_from_slice(payload),
    };
    let outcome = pair.server.take(frame, at(1));
    (outcome, pair.server)
}

#[test]
fn an_ack_is_sent_where_it_is_asked_for_and_an_error_always() {
    let cases = [
        (Flags::ACK_REQUIRED, true, Some(FrameType::Ack)),
        (Flags::ACK_REQUIRED, false, Some(FrameType::Error)),
        (Flags::NONE, true, None),
        (Flags::NONE, false, Some(FrameType::Error)),
    ];
    for (flags, is_granted, answer) in cases {
        let (outcome, mut server) = raw_subscribe(flags, 2, b"a/b");
        outcome.expect("no fault");
        let _ = server.transmit();
        let request = server.subscribes.pop().expect("one request");
        let outcome: Result<&[u8], _> = if is_granted {
            Ok(&[])
        } else {
            Err(ErrorRef::new(Code::NotFound, "none"))
        };
        server.session.answer_subscribe(request.reply, outcome);
        let bytes = server.transmit();
        let sent = bytes
            .first_chunk()
            .map(|head| Header::parse(head).expect("a header"));
        assert_eq!(sent.map(|header| header.frame_type), answer, "{flags:?}");
    }
}

#[test]
fn a_malformed_subscribe_is_answered_and_the_connection_goes_on() {
    let meta = Flags::ACK_REQUIRED.union(Flags::META);
    let long = [b'x'; 256];
    let group = {
        let said = Subscribe {
            group: "g\n".to_owned(),
            ..Subscribe::default()
        };
        let mut payload = Vec::new();
        write_subscribe(&mut payload, Some(&said), &topic("a"), 8192).expect("short");
        payload
    };
    let cases: [(&str, Flags, &[u8], &str); 7] = [
        (
            "a control character",
            Flags::ACK_REQUIRED,
            b"a\x07",
            "U+0007",
        ),
        ("no text", Flags::ACK_REQUIRED, b"\xff", "not UTF-8"),
        ("too long", Flags::ACK_REQUIRED, &long, "256 bytes"),
        ("no length", meta, b"\0", "beyond the payload"),
        ("a length that lies", meta, b"\0\x09a", "beyond the payload"),
        ("no Subscribe", meta, b"\0\x01\xffa", "malformed Subscribe"),
        ("a group of two lines", meta, &group, "the group holds"),
    ];
    for (name, flags, payload, text) in cases {
        let (outcome, mut server) = raw_subscribe(flags, 2, payload);
        outcome.unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert!(server.subscribes.is_empty(), "{name}");
        let sent = String::from_utf8_lossy(&server.transmit()).into_owned();
        assert!(sent.contains("INVALID_ARGUMENT"), "{name}: {sent:?}");
        assert!(sent.contains(text), "{name}: {sent:?}");
        assert!(server.session.is_open(), "{name}");
    }
}

#[test]
fn a_subscribe_under_a_wrong_id_is_a_fault() {
    let server_id = MsgId::exchange(Side::Accepting, 1).number();
    let delivery = MsgId::delivery(Side::Connecting, 1).number();
    for id in [0, server_id, delivery] {
        let (outcome, _) = raw_subscribe(Flags::ACK_REQUIRED, id, b"a");
        assert!(outcome.is_err(), "{id:x}");
    }
}

#[test]
fn a_flood_of_subscribes_ends_the_connection() {
    let mut pair = with_broker();
    let mut taken = 0_u64;
    let fault = loop {
        let frame = Frame {
            header: Header {
                payload_len: 1,
                ..Header::control(FrameType::Subscribe, MsgId::new(2 * taken + 2))
            },
            payload: Bytes::from_static(b"a"),
        };
        match pair.server.take(frame, at(1)) {
            Ok(()) => taken += 1,
            Err(fault) => break fault,
        }
        for request in std::mem::take(&mut pair.server.subscribes) {
            pair.server.session.answer_subscribe(request.reply, Ok(&[]));
        }
    };
    assert_eq!((taken, fault.code), (20_000, Code::ResourceExhausted));
}

#[test]
fn subscribes_that_nobody_answers_are_limited() {
    let mut pair = with_broker();
    let payload = [b'a'; 200];
    for number in 0..17_000_u64 {
        let frame = Frame {
            header: Header {
                payload_len: 200,
                ..Header::control(FrameType::Subscribe, MsgId::new(2 * number + 2))
            },
            payload: Bytes::copy_from_slice(&payload),
        };
        pair.server.take(frame, at(1)).expect("no fault");
        let _ = pair.server.transmit();
    }
    assert_eq!(pair.server.subscribes.len(), 16 * 1024);
}

#[test]
fn what_a_lost_connection_leaves_unanswered_is_asked_again_before_any_message() {
    let mut pair = with_broker();
    keep(&mut pair);
    pair.client.deliver(1, at(1000)).expect("there is capacity");
    subscribe(&mut pair.client.session, 2, "a");
    let given_up = subscribe(&mut pair.client.session, 3, "b");
    pair.exchange();
    assert_eq!(
        pair.server.subscribes.len(),
        2,
        "received, and not answered"
    );
    let early = std::mem::take(&mut pair.server.subscribes);
    pair.client.session.forget(given_up);
    cut(&mut pair);
    for request in early {
        // Its connection is gone.
        pair.server.session.answer_subscribe(request.reply, Ok(&[]));
    }
    resume(&mut pair);
    let bytes = pair.client.transmit();
    let first = first_frame(&bytes).expect("a frame");
    let header = Header::parse(first.first_chunk().expect("a header")).expect("one");
    assert_eq!(header.frame_type, FrameType::Subscribe);
    pair.server.receive(&bytes, at(2)).expect("no fault");
    let again = std::mem::take(&mut pair.server.subscribes);
    let topics: Vec<_> = again.iter().map(|it| it.topic.as_str()).collect();
    assert_eq!(topics, ["a"]);
    for request in again {
        pair.server.session.answer_subscribe(request.reply, Ok(&[]));
    }
    pair.settle();
    assert_eq!(pair.client.outcomes[&2], ["answer "]);
}

#[test]
fn a_session_that_owes_the_answer_to_a_subscribe_is_not_parked() {
    let mut pair = with_broker();
    keep(&mut pair);
    subscribe(&mut pair.client.session, 1, "a");
    pair.exchange();
    cut(&mut pair);
    assert!(pair.server.session.park().is_none());
    let request = pair.server.subscribes.pop().expect("one");
    pair.server.session.answer_subscribe(request.reply, Ok(&[]));
    let parked = pair.server.session.park().expect("nothing is open");
    pair.server.session = Session::unpark(config(Side::Accepting), parked, at(1));
    resume(&mut pair);
    pair.exchange();
    assert_eq!(pair.server.subscribes.len(), 1, "it accepts them still");
}
