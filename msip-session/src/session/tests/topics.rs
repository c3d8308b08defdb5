//! Topics: accepted where something above the session routes them, and refused elsewhere.

use bytes::Bytes;

use super::*;
use crate::wire::Topic;

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
