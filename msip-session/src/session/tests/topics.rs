//! Topics: accepted where something above the session routes them, and refused elsewhere.

use bytes::Bytes;
use prost::Message as _;

use super::*;
use crate::wire::{self, Payload, Topic};

fn topic() -> Topic {
    Topic::new(Bytes::from_static(b"room1"), 255).expect("a topic")
}

fn with_topic(topic: &Topic) -> RequestHead<'_> {
    RequestHead {
        topic: Some(topic),
        ..head(REQUEST)
    }
}

#[test]
fn a_session_that_allows_topics_receives_them_with_every_exchange() {
    let mut pair = Pair::open();
    pair.server.session.allow_topics();
    let topic = topic();
    let session = &mut pair.client.session;
    session
        .send(&with_topic(&topic), text("one-way"))
        .expect("sent");
    session
        .deliver(&with_topic(&topic), Token::new(1), at(30), text("delivery"))
        .expect("sent");
    let call = RequestHead {
        deadline_ms: Some(1000),
        ..with_topic(&topic)
    };
    session
        .call(&call, CallShape::UNARY, Token::new(2), at(30), text("call"))
        .expect("sent");
    let mut batch = Batch::default();
    batch
        .push(Side::Connecting, &with_topic(&topic), 1024, text("batched"))
        .expect("it fits");
    session.send_all(&mut batch).expect("sent");
    pair.client.send("without").expect("sent");
    pair.exchange();
    let received: Vec<_> = pair
        .server
        .waiting
        .iter()
        .map(|incoming| (&*incoming.body, incoming.topic.as_str()))
        .collect();
    assert_eq!(
        received,
        [
            (&b"one-way"[..], "room1"),
            (b"delivery", "room1"),
            (b"call", "room1"),
            (b"batched", "room1"),
            (b"without", ""),
        ]
    );
}

#[test]
fn a_batched_message_has_its_metadata_before_its_topic() {
    let mut pair = Pair::open();
    pair.server.session.allow_topics();
    let topic = topic();
    let metadata = wire::Metadata {
        key: "van 7".into(),
        ..wire::Metadata::default()
    };
    let metadata = metadata.encode_to_vec();
    let keyed = RequestHead {
        metadata: &metadata,
        ..with_topic(&topic)
    };
    let mut batch = Batch::default();
    let (side, max) = (Side::Connecting, 5);
    let too_large = batch.push(side, &keyed, max, text("longer"));
    assert_eq!(too_large, Err(6), "the body alone counts");
    batch
        .push(side, &keyed, max, text("keyed"))
        .expect("it fits");
    batch
        .push(side, &with_topic(&topic), max, text("not"))
        .expect("it fits");
    assert_eq!(batch.max_body(), 5);
    pair.client.session.send_all(&mut batch).expect("sent");
    pair.exchange();
    let received: Vec<_> = pair
        .server
        .waiting
        .iter()
        .map(|incoming| {
            let key = incoming.metadata.as_ref().map(|said| said.key.as_str());
            (&*incoming.body, incoming.topic.as_str(), key)
        })
        .collect();
    assert_eq!(
        received,
        [
            (&b"keyed"[..], "room1", Some("van 7")),
            (b"not", "room1", None)
        ]
    );
}

#[test]
fn a_topic_on_a_direct_connection_is_refused() {
    let mut pair = Pair::open();
    let topic = topic();
    let sent = pair.client.session.call(
        &with_topic(&topic),
        CallShape::UNARY,
        Token::new(1),
        at(30),
        text("call"),
    );
    sent.expect("sent");
    pair.settle();
    assert!(pair.server.messages.is_empty());
    let outcome = &pair.client.outcomes[&1];
    assert!(
        outcome[0].starts_with("error INVALID_ARGUMENT: a topic"),
        "{outcome:?}"
    );
}

#[test]
fn a_topic_is_fast_where_it_is_all_that_a_message_has_besides_its_body() {
    let limits = Limits::default();
    let head = RequestHead {
        topic: Some(&topic()),
        ..head(NOTE)
    };
    let frame_of = |write: &dyn Fn(&mut Session)| {
        let mut pair = Pair::open();
        write(&mut pair.client.session);
        let bytes = pair.client.transmit();
        let mut decoder = Decoder::new(limits.max_payload());
        decoder.buffer().extend_from_slice(&bytes);
        decoder.decode().expect("a frame").expect("a whole one")
    };
    let usual = frame_of(&|session| session.send(&head, text("body")).expect("sent"));
    let urgent = RequestHead {
        urgent: true,
        ..head
    };
    let [long, longer] =
        [253, 254].map(|len| Topic::new("x".repeat(len).into(), 255).expect("a topic"));
    let [longest, too_long] = [&long, &longer].map(|topic| RequestHead {
        topic: Some(topic),
        ..head
    });
    let control = |character: u8| {
        let mut frame = usual.clone();
        let mut payload = frame.payload.to_vec();
        payload[3] = character;
        frame.payload = payload.into();
        frame
    };
    let cases = [
        ("a usual one", usual.clone(), true),
        (
            "the longest topic",
            frame_of(&|session| session.send(&longest, text("body")).expect("sent")),
            true,
        ),
        (
            "a longer one",
            frame_of(&|session| session.send(&too_long, text("body")).expect("sent")),
            false,
        ),
        (
            "urgent",
            frame_of(&|session| session.send(&urgent, text("body")).expect("sent")),
            false,
        ),
        (
            "a call",
            frame_of(&|session| {
                let called =
                    session.call(&head, CallShape::UNARY, Token::new(1), at(9), text("body"));
                called.expect("called");
            }),
            true,
        ),
        (
            "a delivery",
            frame_of(&|session| {
                let sent = session.deliver(&head, Token::new(1), at(9), text("body"));
                sent.expect("sent");
            }),
            false,
        ),
        ("a control character", control(7), false),
        ("not UTF-8", control(0xff), false),
        (
            "no topic",
            frame_of(&|session| session.send(&self::head(NOTE), text("body")).expect("sent")),
            false,
        ),
    ];
    for (name, frame, is_fast) in cases {
        let mut pair = Pair::open();
        let session = &mut pair.server.session;
        assert!(
            session.handle_topic(FrameRef::from(&frame)).is_none(),
            "{name}"
        );
        session.allow_topics();
        let handled = session.handle_topic(FrameRef::from(&frame));
        assert_eq!(handled.is_some(), is_fast, "{name}");
        if let Some(message) = handled {
            let incoming = message.to_incoming(&frame.payload);
            let parsed = Payload::parse(frame.clone(), &limits).expect("a payload");
            assert_eq!(incoming.topic, parsed.topic, "{name}");
            assert_eq!(incoming.body, parsed.body, "{name}");
            assert_eq!(message.body_len(), parsed.body.len(), "{name}");
        }
    }
}
