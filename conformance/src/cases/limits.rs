//! The largest bodies, and credit that is used up.

use msip_runtime::prost::Message as _;

use super::goes_on;
use crate::{
    case::{Case, Group},
    message::{counted, item},
    pair::Pair,
    protocol::conformance::{Count, Item, control::Start},
};

const MAX_BODY: usize = 4_096;

pub(super) fn cases() -> Vec<Case> {
    let mut group = Group::new("limits");
    group.pair("max-body", &[], max_body);
    group.pair("max-body-of-answers", &[], max_body_of_answers);
    group.pair("max-body-of-items", &[], max_body_of_items);
    group.pair("max-calls", &[], max_calls);
    group.pair("messages-without-credit", &[], messages_without_credit);
    group.pair("answers-without-credit", &[], answers_without_credit);
    group.pair("requests-without-credit", &[], requests_without_credit);
    group.pair("items-of-1-mib", &[], large_items);
    group.cases()
}

/// An item whose envelope, under a number below 16, has this many bytes.
fn of_len(len: usize) -> Item {
    let mut item = item(1);
    let enveloped = |item: &Item| {
        let inner = item.encoded_len();
        1 + msip_runtime::prost::length_delimiter_len(inner) + inner
    };
    item.ballast = vec![b'x'; len.saturating_sub(enveloped(&item) + 8)];
    while enveloped(&item) < len {
        let mut ballast = item.ballast.to_vec();
        ballast.push(b'x');
        item.ballast = ballast;
    }
    assert_eq!(enveloped(&item), len);
    item
}

fn settings() -> String {
    format!("max_body={MAX_BODY}")
}

async fn max_body(pair: Pair) {
    let talk = pair.talk_with(&settings(), &settings()).await;
    for (caller, handler) in talk.both_ways() {
        for member in ["unary_req", "note_ind"] {
            let exact = caller.start(member, &of_len(MAX_BODY)).await;
            let handling = handler.handling(member).await;
            assert_eq!(handling.message::<Item>(), of_len(MAX_BODY));
            if member == "unary_req" {
                handling.answer(&item(1)).await;
                exact.end().await;
            }
            caller
                .start(member, &of_len(MAX_BODY + 1))
                .await
                .failure()
                .await;
        }
        goes_on(&caller, &handler).await;
        assert!(!handler.has_handled("note_ind"), "one more than max_body");
    }
}

async fn max_body_of_answers(pair: Pair) {
    let talk = pair.talk_with(&settings(), &settings()).await;
    for (caller, handler) in talk.both_ways() {
        let call = caller.start("unary_req", &item(1)).await;
        handler
            .handling("unary_req")
            .await
            .answer(&of_len(MAX_BODY))
            .await;
        assert_eq!(call.answer::<Item>().await, of_len(MAX_BODY));
        let call = caller.start("unary_req", &item(1)).await;
        handler
            .handling("unary_req")
            .await
            .answer(&of_len(MAX_BODY + 1))
            .await;
        call.failure().await;
        goes_on(&caller, &handler).await;
    }
}

async fn max_body_of_items(pair: Pair) {
    let talk = pair.talk_with(&settings(), &settings()).await;
    for (caller, handler) in talk.both_ways() {
        let call = caller.start("download_req", &item(1)).await;
        let handling = handler.handling("download_req").await;
        handling.send(&of_len(MAX_BODY), 1).await;
        assert_eq!(call.item::<Item>().await, of_len(MAX_BODY));
        handling.send(&of_len(MAX_BODY + 1), 1).await;
        call.failure().await;
        let call = caller.start_with("upload_req", Start::default()).await;
        let handling = handler.handling("upload_req").await;
        handling.read(u64::MAX).await;
        call.send(&of_len(MAX_BODY), 1).await;
        assert_eq!(handling.item().await, of_len(MAX_BODY));
        call.send(&of_len(MAX_BODY + 1), 1).await;
        call.failure().await;
        goes_on(&caller, &handler).await;
    }
}

/// A client, which is told how many calls may be open, waits while they are; a server is refused.
async fn max_calls(pair: Pair) {
    let talk = pair.talk_with("max_calls=2", "max_calls=2").await;
    for (caller, handler) in talk.both_ways() {
        let (mut calls, mut handlings) = (Vec::new(), Vec::new());
        for number in 0..2 {
            calls.push(caller.start("unary_req", &item(number)).await);
            handlings.push(handler.handling("unary_req").await);
        }
        let third = caller.start("unary_req", &item(2)).await;
        goes_on(&handler, &caller).await;
        assert!(!handler.has_handled("unary_req"), "three at once");
        for handling in handlings {
            handling.answer(&item(9)).await;
        }
        for call in calls {
            assert_eq!(call.answer::<Item>().await, item(9));
        }
        if caller.number == talk.client.number {
            handler.handling("unary_req").await.answer(&item(9)).await;
            assert_eq!(third.answer::<Item>().await, item(9));
        } else {
            assert_eq!(third.failure().await.code, "RESOURCE_EXHAUSTED");
        }
    }
}

/// More than the 1 MiB of a connection wait, while calls go on in both directions. All are handled, in their order.
async fn messages_without_credit(pair: Pair) {
    let talk = super::held(&pair, &["note_ind"]).await;
    for (sender, handler) in talk.both_ways() {
        let note = |number| Item {
            ballast: vec![7; 100_000],
            ..item(number)
        };
        let mut sending = Vec::new();
        for number in 0..16 {
            sending.push(sender.start("note_ind", &note(number)).await);
        }
        let first = handler.handling("note_ind").await;
        let call = handler.start("unary_req", &item(1)).await;
        sender.handling("unary_req").await.answer(&item(2)).await;
        assert_eq!(call.answer::<Item>().await, item(2));
        assert_eq!(first.item_number(), 0);
        first.finish().await;
        for number in 1..16 {
            let handling = handler.handling("note_ind").await;
            assert_eq!(handling.item_number(), number);
            handling.finish().await;
        }
        for message in sending {
            message.sent().await;
        }
    }
}

/// A slow reader holds its stream up, and nothing else. Nothing is lost.
async fn answers_without_credit(pair: Pair) {
    for (caller, handler) in pair.talk().await.both_ways() {
        let call = caller
            .start_reading("download_req", Start::default(), 0)
            .await;
        let handling = handler.handling("download_req").await;
        for number in 0..60 {
            handling.send(&item(number), 1).await;
        }
        handling.end_items().await;
        goes_on(&caller, &handler).await;
        for number in 0..60 {
            call.read(1).await;
            assert_eq!(call.item::<Item>().await, item(number));
        }
        call.read(1).await;
        call.end().await;
    }
}

async fn requests_without_credit(pair: Pair) {
    for (caller, handler) in pair.talk().await.both_ways() {
        let call = caller.start_with("upload_req", Start::default()).await;
        for number in 0..60 {
            call.send(&item(number), 1).await;
        }
        call.finish().await;
        let handling = handler.handling("upload_req").await;
        goes_on(&caller, &handler).await;
        for number in 0..60 {
            handling.read(1).await;
            assert_eq!(handling.item().await, item(number));
        }
        handling.read(1).await;
        assert_eq!(handling.items_ended().await, None);
        handling.answer(&counted(60)).await;
        assert_eq!(call.answer::<Count>().await, counted(60));
    }
}

/// One item may exceed what is left of the bytes.
async fn large_items(pair: Pair) {
    let large = |number| Item {
        ballast: vec![3; 1 << 20],
        ..item(number)
    };
    for (caller, handler) in pair.talk().await.both_ways() {
        let call = caller.start("download_req", &item(1)).await;
        let handling = handler.handling("download_req").await;
        for number in 0..3 {
            handling.send(&large(number), 1).await;
        }
        handling.end_items().await;
        for number in 0..3 {
            assert!(call.item::<Item>().await == large(number), "item {number}");
        }
        call.end().await;
    }
}
