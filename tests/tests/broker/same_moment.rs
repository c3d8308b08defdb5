//! Two things that happen at the same moment, in every order: turns of the one thread lie between them, more and more, so that
//! the second comes at each step that the broker takes for the first.

use std::{collections::BTreeSet, time::Duration};

use msip_broker::{access::Rights, router::Limits};
use msip_runtime::{
    CallOptions,
    transport::ServiceUrl,
    wire::{Flags, Frame, FrameType, MsgId, parse_welcome},
};
use msip_tests::raw;
use tokio::time::Instant;

use crate::{
    fixture::{Broker, NOTE, message},
    raw_client::{RawClient, TURNS, turns},
};

async fn start(url: &str) -> (Broker, ServiceUrl) {
    let broker = Broker::listening(url, Limits::default(), |_| Rights::all()).await;
    let url = broker.url.parse().expect("a URL");
    (broker, url)
}

/// What has ended this exchange, of all that was heard.
fn ends_of(id: MsgId, heard: &[String]) -> Vec<&str> {
    let ends = [format!("ACK {id}"), format!("ERROR {id}: ")];
    let is_end = |line: &&String| {
        !line.ends_with(" and more") && ends.iter().any(|end| line.starts_with(end.as_str()))
    };
    heard.iter().filter(is_end).map(String::as_str).collect()
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_as_it_becomes_a_stream_ends_once_at_both_ends() {
    let (_broker, url) = start("mem://given-up-as-it-becomes-a-stream?max_calls=2").await;
    let mut service = RawClient::enter(&url).await;
    service.subscribe("ask/$in").await;
    let mut caller = RawClient::enter(&url).await;
    let mut had_items = BTreeSet::new();
    for (is_item_first, between) in orders() {
        let order = (is_item_first, between);
        let call = caller.call().await;
        let given = service.next_call().await;
        if is_item_first {
            service.answer(given, Flags::MORE).await;
            turns(between).await;
            caller.cancel(call).await;
        } else {
            caller.cancel(call).await;
            turns(between).await;
            service.answer(given, Flags::MORE).await;
        }
        let told = service.hear_all().await;
        assert_eq!(told, [format!("CANCEL {given}")], "{order:?}");
        service.end_cancelled(given).await;
        let heard = caller.hear_all().await;
        let ends = ends_of(call, &heard);
        assert!(
            matches!(ends[..], [end] if end.contains("CANCELLED")),
            "{order:?}: {heard:?}"
        );
        had_items.insert(heard.iter().any(|line| line.ends_with("and more")));
    }
    assert_eq!(had_items.len(), 2, "both have come first");
    // Nothing of them is open: more would have been too many for this broker.
    let call = caller.call().await;
    let given = service.next_call().await;
    service.answer(given, Flags::NONE).await;
    assert_eq!(ends_of(call, &caller.hear_all().await).len(), 1);
}

/// The body of a message for the topic `a`, behind its metadata.
fn body_at_a(frame: &Frame) -> String {
    let payload = String::from_utf8_lossy(&frame.payload);
    let (_, body) = payload.rsplit_once("\0\u{1}a").expect("at the topic");
    body.to_owned()
}

/// Which of two things is the first, and how many turns lie between them.
fn orders() -> impl Iterator<Item = (bool, usize)> {
    [true, false]
        .into_iter()
        .flat_map(|is_first| (0..TURNS).map(move |between| (is_first, between)))
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_loses_its_connection_hears_once_of_an_answer_that_comes_at_any_moment() {
    let (_broker, url) = start("mem://lost-as-its-answer-comes?max_calls=2").await;
    let mut service = RawClient::enter(&url).await;
    service.subscribe("ask/$in").await;
    let mut caller = RawClient::enter_to_come_back(&url).await;
    let mut seen = BTreeSet::new();
    // Before it has lost its connection, before it comes back, and afterwards.
    for (when, between) in (0..3).flat_map(|when| (0..TURNS).map(move |between| (when, between))) {
        let order = (when, between);
        let call = caller.call().await;
        let given = service.next_call().await;
        if when == 0 {
            service.answer(given, Flags::NONE).await;
            turns(between).await;
        }
        caller.lose();
        if when == 1 {
            turns(between).await;
            service.answer(given, Flags::NONE).await;
        }
        if when != 2 {
            turns(TURNS - between).await;
        }
        caller.come_back(&[call]).await;
        if when == 2 {
            turns(between).await;
            service.answer(given, Flags::NONE).await;
        }
        caller.peer.hear_type(FrameType::Ack).await;
        let heard = caller.hear_all().await;
        let ends = ends_of(call, &heard);
        let [end] = ends[..] else {
            panic!("{order:?}: {heard:?}");
        };
        let is_answer = end.starts_with("ACK");
        // What was written to the lost connection is not kept.
        let may_be_lost = when == 0 && end.ends_with("UNKNOWN: reply lost");
        assert!(is_answer || may_be_lost, "{order:?}: {end}");
        seen.insert(is_answer);
        let told = service.hear_all().await;
        assert_eq!(told, Vec::<String>::new(), "{order:?}: nobody gave it up");
    }
    assert_eq!(seen.len(), 2, "it has come before the loss, too");
}

#[tokio::test(start_paused = true)]
async fn a_call_at_an_instance_that_loses_its_connection_ends_once_whenever_it_comes_back() {
    let (_broker, url) = start("mem://instance-lost-under-a-call?max_calls=2").await;
    let mut service = RawClient::enter_to_come_back(&url).await;
    service.subscribe("ask/$in").await;
    let mut caller = RawClient::enter(&url).await;
    let mut seen = BTreeSet::new();
    for (when, between) in (0..3).flat_map(|when| (0..TURNS).map(move |between| (when, between))) {
        let order = (when, between);
        let call = caller.call().await;
        let given = service.next_call().await;
        if when == 0 {
            service.answer(given, Flags::NONE).await;
            turns(between).await;
        }
        service.lose();
        if when == 1 {
            turns(between).await;
        }
        service.come_back(&[]).await;
        let welcome = service.peer.hear_type(FrameType::Ack).await;
        if when == 2 {
            turns(between).await;
            service.answer(given, Flags::NONE).await;
        }
        // The call is not awaited any more: an instance stops what it does for it.
        let welcome = parse_welcome(welcome.payload).expect("a Welcome").welcome;
        assert_eq!(welcome.awaited, Vec::<u64>::new(), "{order:?}");
        let told = service.hear_all().await;
        assert_eq!(told, Vec::<String>::new(), "{order:?}");
        let heard = caller.hear_all().await;
        let ends = ends_of(call, &heard);
        let [end] = ends[..] else {
            panic!("{order:?}: {heard:?}");
        };
        let is_answer = end.starts_with("ACK");
        assert!(
            is_answer && when == 0 || end.contains("UNKNOWN: "),
            "{order:?}: {end}"
        );
        seen.insert(is_answer);
    }
    assert_eq!(seen.len(), 2, "it has answered before the loss, too");
}

#[tokio::test(start_paused = true)]
async fn deliveries_keep_their_order_whenever_their_receiver_comes_back() {
    let (broker, url) = start("mem://deliveries-and-a-resume?session_deliveries=2").await;
    let publisher = broker.client("publisher").await.client;
    let options = CallOptions::new();
    let mut receiver = RawClient::enter_to_come_back(&url).await;
    receiver.subscribe("a").await;
    let mut number = 0;
    for (away, between) in (0..TURNS).flat_map(|away| (0..TURNS).map(move |it| (away, it))) {
        let order = (away, between);
        let first = number;
        let publish = |number: u64| {
            let note = message(&NOTE, "a", &number.to_string());
            let (publisher, options) = (publisher.clone(), &options);
            async move { publisher.deliver(&note, options).await.expect("is queued") }
        };
        // Two are sent, and two wait for their acknowledgments.
        for _ in 0..4 {
            publish(number).await;
            number += 1;
        }
        turns(TURNS).await;
        receiver.lose();
        turns(away).await;
        receiver.come_back(&[]).await;
        turns(between).await;
        for _ in 0..4 {
            publish(number).await;
            number += 1;
        }
        let mut heard = Vec::new();
        while heard.len() < 8 {
            let delivery = receiver.peer.hear_type(FrameType::Event).await;
            heard.push(body_at_a(&delivery));
            let ack = raw::frame(FrameType::Ack, delivery.header.msg_id, b"");
            receiver.peer.say(&ack).await;
        }
        let expected: Vec<_> = (first..number).map(|number| number.to_string()).collect();
        assert_eq!(heard, expected, "{order:?}");
        assert_eq!(receiver.hear_all().await, Vec::<String>::new(), "{order:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_of_a_caller_that_does_not_come_back_is_cancelled_when_its_session_expires() {
    let (_broker, url) = start("mem://killed-caller?session_expiry=3s").await;
    let mut service = RawClient::enter(&url).await;
    service.subscribe("ask/$in").await;
    let mut caller = RawClient::enter(&url).await;
    let _call = caller.call().await;
    let given = service.next_call().await;
    let lost = Instant::now();
    // As the kernel does for a process that was killed.
    caller.lose();
    service.peer.hear_type(FrameType::Cancel).await;
    assert!(lost.elapsed() >= Duration::from_secs(3), "it may come back");
    service.end_cancelled(given).await;
    assert_eq!(service.hear_all().await, Vec::<String>::new());
}
