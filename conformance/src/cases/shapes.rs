//! Exchanges of every shape, from either side, with 0, 1 and many items.

use crate::{
    case::{Case, Group},
    message::{counted, item},
    pair::Pair,
    protocol::conformance::{Count, Item, control::Start},
};

/// More than a stream's first window.
const MANY: u64 = 50;

pub(super) fn cases() -> Vec<Case> {
    let mut group = Group::new("shapes");
    group.pair("call", &[], call);
    group.pair("call-of-nothing", &[], call_of_nothing);
    group.pair("message", &[], message);
    group.pair("message-of-nothing", &[], message_of_nothing);
    group.pair("kinds", &[], kinds);
    group.pair("delivery", &[], delivery);
    group.pair("delivery-refused", &[], delivery_refused);
    group.pair("download-of-0", &[], |pair| download(pair, 0));
    group.pair("download-of-1", &[], |pair| download(pair, 1));
    group.pair("download-of-many", &[], |pair| download(pair, MANY));
    group.pair("upload-of-0", &[], |pair| upload(pair, 0));
    group.pair("upload-of-1", &[], |pair| upload(pair, 1));
    group.pair("upload-of-many", &[], |pair| upload(pair, MANY));
    group.pair("both-of-0", &[], |pair| both(pair, 0));
    group.pair("both-of-1", &[], |pair| both(pair, 1));
    group.pair("both-of-many", &[], |pair| both(pair, MANY));
    group.pair("answer-before-the-end", &[], answer_before_the_end);
    group.pair("broadcast", &[], broadcast);
    group.pair("ping", &[], ping);
    group.cases()
}

async fn call(pair: Pair) {
    for (caller, handler) in pair.talk().await.both_ways() {
        for number in [0, 1, u64::MAX] {
            let call = caller.start("unary_req", &item(number)).await;
            let handling = handler.handling("unary_req").await;
            assert_eq!(handling.message::<Item>(), item(number));
            handling.answer(&item(number / 2)).await;
            assert_eq!(call.answer::<Item>().await, item(number / 2));
        }
    }
}

async fn call_of_nothing(pair: Pair) {
    for (caller, handler) in pair.talk().await.both_ways() {
        let call = caller.start("empty_req", &()).await;
        handler.handling("empty_req").await.answer(&()).await;
        call.end().await;
    }
}

async fn message(pair: Pair) {
    for (sender, handler) in pair.talk().await.both_ways() {
        sender.send("note_ind", &item(7)).await;
        assert_eq!(
            handler.handling("note_ind").await.message::<Item>(),
            item(7)
        );
    }
}

async fn message_of_nothing(pair: Pair) {
    for (sender, handler) in pair.talk().await.both_ways() {
        sender.send("tick_ind", &()).await;
        handler.handling("tick_ind").await;
    }
}

async fn kinds(pair: Pair) {
    let members = [
        "note_ind",
        "order_cmd",
        "place_state",
        "trace_log",
        "charge_metric",
        "alarm_ind",
        "plain_ind",
        "save_ind",
    ];
    for (sender, handler) in pair.talk().await.both_ways() {
        for (number, member) in (1..).zip(members) {
            let message = Item {
                key: "oil".to_owned(),
                ..item(number)
            };
            sender.send(member, &message).await;
            assert_eq!(handler.handling(member).await.message::<Item>(), message);
        }
    }
}

async fn delivery(pair: Pair) {
    for (sender, handler) in pair.talk().await.both_ways() {
        sender.send("save_ind", &item(5)).await;
        assert_eq!(handler.handling("save_ind").await.item_number(), 5);
    }
}

async fn delivery_refused(pair: Pair) {
    let talk = super::held(&pair, &["save_ind"]).await;
    for (sender, handler) in talk.both_ways() {
        let sending = sender.start("save_ind", &item(5)).await;
        let handling = handler.handling("save_ind").await;
        assert!(
            !sending.has_ended(),
            "acknowledged before its handler has returned"
        );
        handling.fail("FAILED_PRECONDITION", "not now").await;
        let failure = sending.failure().await;
        assert_eq!(failure.code, "FAILED_PRECONDITION");
        assert!(failure.message.contains("not now"), "{failure:?}");
        let sending = sender.start("save_ind", &item(6)).await;
        handler.handling("save_ind").await.finish().await;
        sending.sent().await;
    }
}

async fn download(pair: Pair, count: u64) {
    for (caller, handler) in pair.talk().await.both_ways() {
        let call = caller.start("download_req", &item(count)).await;
        let handling = handler.handling("download_req").await;
        assert_eq!(handling.item_number(), count);
        for number in 0..count {
            handling.send(&item(number), 1).await;
        }
        handling.end_items().await;
        let numbers: Vec<_> = call
            .items::<Item>()
            .await
            .iter()
            .map(|item| item.number)
            .collect();
        assert_eq!(numbers, (0..count).collect::<Vec<_>>());
    }
}

async fn upload(pair: Pair, count: u64) {
    for (caller, handler) in pair.talk().await.both_ways() {
        let call = caller.start_with("upload_req", Start::default()).await;
        let handling = handler.handling("upload_req").await;
        handling.read(u64::MAX).await;
        for number in 0..count {
            call.send(&item(number), 1).await;
        }
        call.finish().await;
        assert_eq!(handling.items_ended().await, None);
        for number in 0..count {
            assert_eq!(handling.seen_item(), Some(item(number)));
        }
        assert_eq!(handling.seen_item(), None);
        handling.answer(&counted(count)).await;
        assert_eq!(call.answer::<Count>().await, counted(count));
    }
}

async fn both(pair: Pair, count: u64) {
    for (caller, handler) in pair.talk().await.both_ways() {
        let call = caller.start_with("both_req", Start::default()).await;
        let handling = handler.handling("both_req").await;
        handling.read(u64::MAX).await;
        for number in 0..count {
            call.send(&item(number), 1).await;
            assert_eq!(handling.item().await, item(number));
            handling.send(&counted(number + 1), 1).await;
            assert_eq!(call.item::<Count>().await, counted(number + 1));
        }
        call.finish().await;
        assert_eq!(handling.items_ended().await, None);
        handling.end_items().await;
        assert_eq!(call.items::<Count>().await, []);
    }
}

/// The end of the answer ends the exchange, whatever its request still had.
async fn answer_before_the_end(pair: Pair) {
    for (caller, handler) in pair.talk().await.both_ways() {
        let call = caller.start_with("upload_req", Start::default()).await;
        call.send(&item(1), 1).await;
        let handling = handler.handling("upload_req").await;
        handling.read(1).await;
        assert_eq!(handling.item().await, item(1));
        handling.answer(&counted(9)).await;
        assert_eq!(call.answer::<Count>().await, counted(9));
        call.send(&item(2), 1).await;
        // The connection goes on.
        let call = caller.start("unary_req", &item(3)).await;
        handler.handling("unary_req").await.answer(&item(4)).await;
        assert_eq!(call.answer::<Item>().await, item(4));
    }
}

async fn broadcast(pair: Pair) {
    let talk = pair.talk().await;
    let second = crate::pair::connect(&pair.client, &talk.server.url, "").await;
    talk.server.peer().await;
    for member in ["note_ind", "place_state", "trace_log", "alarm_ind"] {
        assert_eq!(talk.server.end.broadcast(member, &item(3)).await, 2);
        for client in [&talk.client, &second] {
            assert_eq!(client.handling(member).await.item_number(), 3);
        }
    }
}

async fn ping(pair: Pair) {
    let talk = pair.talk().await;
    for len in [0, 1, 65_536] {
        talk.client.ping(len).await;
        talk.peer.ping(len).await;
    }
}
