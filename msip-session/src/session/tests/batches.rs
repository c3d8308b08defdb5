//! Message batches, between messages of other senders.

use super::*;

/// A batch of these texts, of the client.
fn batch<'a>(texts: impl IntoIterator<Item = &'a str>) -> Batch {
    let mut batch = Batch::default();
    for body in texts {
        batch
            .push(Side::Connecting, &head(NOTE), 1 << 20, text(body))
            .expect("is small");
    }
    batch
}

/// So many numbers as texts.
fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

#[test]
fn a_batch_arrives_in_order_between_other_messages() {
    let mut pair = Pair::open();
    let mut batch = batch(["b", "c", "d"]);
    pair.client.send("a").expect("capacity");
    pair.client.session.send_all(&mut batch).expect("capacity");
    assert!(batch.is_empty());
    pair.client.send("e").expect("capacity");
    let bytes = pair.client.transmit();
    let ids: Vec<u64> = frames(&bytes)
        .iter()
        .map(|frame| frame.header.msg_id.number())
        .collect();
    assert!(
        ids.is_sorted_by(|a, b| a < b),
        "ids increase and none is used twice: {ids:?}"
    );
    pair.server.receive(&bytes, pair.now).expect("no fault");
    assert_eq!(pair.server.messages, ["a", "b", "c", "d", "e"]);
    assert_eq!(pair.client.session.queued(), 0);
}

#[test]
fn a_batch_is_written_as_its_messages_one_by_one() {
    let mut pair = Pair::open();
    let mut one_by_one = Pair::open();
    for body in ["a", "bb", ""] {
        one_by_one.client.send(body).expect("capacity");
    }
    let mut batch = batch(["a", "bb", ""]);
    pair.client.session.send_all(&mut batch).expect("capacity");
    assert_eq!(
        pair.client.session.queued(),
        one_by_one.client.session.queued()
    );
    assert_eq!(pair.client.transmit(), one_by_one.client.transmit());
}

#[test]
fn a_large_batch_is_taken_without_a_copy() {
    let mut pair = Pair::open();
    let large = "x".repeat(30_000);
    pair.client.send("first").expect("capacity");
    let mut first = batch([large.as_str(), large.as_str(), large.as_str()]);
    pair.client.session.send_all(&mut first).expect("capacity");
    pair.client.send("last").expect("capacity");
    pair.settle();
    assert_eq!(pair.server.messages.len(), 5);
    assert_eq!(pair.server.messages[0], "first");
    assert_eq!(pair.server.messages[4], "last");
    let mut second = batch(["again"]);
    pair.client.session.send_all(&mut second).expect("capacity");
    pair.settle();
    assert_eq!(pair.server.messages[5], "again");
}

#[test]
fn a_batch_is_sent_whole_or_as_far_as_its_credit() {
    let mut pair = Pair::open();
    let texts = numbers(1500);
    let mut batch = batch(texts.iter().map(String::as_str));
    assert_eq!(
        pair.client.session.send_all(&mut batch),
        Err(Blocked::NoCapacity)
    );
    assert_eq!(batch.message_count(), 1500, "nothing of it was taken");
    pair.client.session.send_some(&mut batch).expect("capacity");
    assert_eq!(batch.message_count(), 1500 - 1024);
    assert_eq!(
        pair.client.session.send_some(&mut batch),
        Err(Blocked::NoCapacity)
    );
    pair.settle();
    pair.client.session.send_some(&mut batch).expect("capacity");
    assert!(batch.is_empty());
    pair.settle();
    assert_eq!(pair.server.messages, texts);
}

#[test]
fn one_message_of_a_batch_may_exceed_the_last_credit() {
    let mut pair = Pair::open();
    let large = "x".repeat(700_000);
    let mut batch = batch([large.as_str(), large.as_str(), "small"]);
    pair.client.session.send_some(&mut batch).expect("capacity");
    assert_eq!(batch.message_count(), 1, "the second exceeds the window");
    assert_eq!(pair.client.send("other"), Err(Blocked::NoCapacity));
    pair.settle();
    pair.client.session.send_some(&mut batch).expect("capacity");
    pair.settle();
    assert_eq!(pair.server.messages.len(), 3);
}

#[test]
fn a_body_over_the_limit_is_not_added_to_a_batch() {
    let mut batch = batch(["fits"]);
    let long = "x".repeat(101);
    let pushed = batch.push(Side::Connecting, &head(NOTE), 100, text(&long));
    assert_eq!(pushed, Err(101));
    assert_eq!((batch.message_count(), batch.max_body()), (1, 4));
    let mut pair = Pair::open();
    pair.client.session.send_all(&mut batch).expect("capacity");
    pair.settle();
    assert_eq!(pair.server.messages, ["fits"]);
}

#[test]
fn a_suspended_session_buffers_a_batch_up_to_its_limit() {
    for (allowed, kept) in [(0, 0), (1000, 11)] {
        let mut pair = Pair::open();
        Arc::make_mut(&mut pair.client.session.config).buffer_disconnected = allowed;
        pair.client.session.keep_when_lost();
        pair.client.session.suspend(None);
        let texts = numbers(100);
        let mut batch = batch(texts.iter().map(String::as_str));
        let taken = pair.client.session.send_all(&mut batch);
        let blocked = if allowed == 0 {
            Blocked::Disconnected
        } else {
            Blocked::Full
        };
        assert_eq!(taken, Err(blocked));
        assert_eq!(batch.message_count(), 100 - kept, "of {allowed} bytes");
    }
}

#[test]
fn unwritten_messages_of_a_batch_are_counted_as_dropped() {
    let mut pair = Pair::open();
    pair.client.session.keep_when_lost();
    let mut batch = batch(["a", "b", "c"]);
    pair.client.session.send_all(&mut batch).expect("capacity");
    let transmit = pair.client.session.poll_transmit().expect("a chunk");
    let one = transmit.bytes.len() / 3;
    pair.client.session.suspend(Some((&transmit, one)));
    assert_eq!(pair.client.session.dropped().disconnected, 2);
}

#[test]
fn frames_of_either_side_are_passed_on_as_they_are() {
    let topic = crate::wire::Topic::new("room1".into(), 255).expect("a topic");
    let with_topic = RequestHead {
        topic: Some(&topic),
        ..head(NOTE)
    };
    let mut pair = Pair::open();
    pair.client.send("a").expect("capacity");
    let sent = pair.client.session.send(&with_topic, text("bb"));
    sent.expect("capacity");
    pair.client.send("too large").expect("capacity");
    pair.client.send("c").expect("capacity");
    let published = pair.client.transmit();

    let mut other = Pair::open();
    other.client.session.allow_topics();
    let mut batch = Batch::default();
    let taken = batch.push_frames(Side::Accepting, &published, 2);
    assert_eq!(taken, Ok(1), "one is too large");
    assert_eq!((batch.message_count(), batch.max_body()), (3, 2));
    other.server.session.send_all(&mut batch).expect("capacity");
    other.exchange();
    let received: Vec<_> = other
        .client
        .waiting
        .iter()
        .map(|it| (it.topic.as_str(), &*it.body))
        .collect();
    assert_eq!(received, [("", &b"a"[..]), ("room1", b"bb"), ("", b"c")]);

    let mut third = Pair::open();
    third.client.session.allow_topics();
    let taken = batch.push_frames_at(Side::Accepting, b"room1/$in/7", &published, 2);
    assert_eq!(taken, Ok(1), "one is too large");
    assert_eq!((batch.message_count(), batch.max_body()), (3, 2));
    third.server.session.send_all(&mut batch).expect("capacity");
    third.exchange();
    let received = third.client.waiting.iter();
    let received: Vec<_> = received.map(|it| (it.topic.as_str(), &*it.body)).collect();
    let topic = "room1/$in/7";
    assert_eq!(
        received,
        [(topic, &b"a"[..]), (topic, b"bb"), (topic, b"c")]
    );
}

#[test]
fn frames_that_are_no_bare_messages_are_not_passed_on() {
    let frame_of = |write: &dyn Fn(&mut Peer)| {
        let mut pair = Pair::open();
        write(&mut pair.client);
        pair.client.transmit()
    };
    let usual = frame_of(&|client| client.send("a").expect("capacity"));
    let cases = [
        (
            "a call",
            frame_of(&|client| assert!(client.call(1, at(9)).is_ok())),
        ),
        (
            "a delivery",
            frame_of(&|client| assert!(client.deliver(1, at(9)).is_ok())),
        ),
        ("half of one", usual[..20].to_vec()),
        ("one without its end", usual[..usual.len() - 1].to_vec()),
        ("one, and garbage", [&usual[..], b"garbage"].concat()),
    ];
    for (name, frames) in cases {
        let mut batch = batch(["kept"]);
        let before = batch.len();
        let taken = batch.push_frames(Side::Accepting, &frames, 1 << 20);
        assert_eq!(taken, Err(NotBare), "{name}");
        assert_eq!((batch.len(), batch.message_count()), (before, 1), "{name}");
        let taken = batch.push_frames_at(Side::Accepting, b"room1", &frames, 1 << 20);
        assert_eq!(taken, Err(NotBare), "{name}");
        assert_eq!((batch.len(), batch.message_count()), (before, 1), "{name}");
    }
}
