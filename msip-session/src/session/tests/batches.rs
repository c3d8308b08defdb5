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
        pair.client.session.config.buffer_disconnected = allowed;
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
