//! In which order messages are handled.

use crate::{
    case::{Case, Group},
    message::item,
    pair::Pair,
    protocol::conformance::Item,
};

pub(super) fn cases() -> Vec<Case> {
    let mut group = Group::new("order");
    group.pair("messages", &[], messages);
    group.pair("messages-one-by-one", &[], one_by_one);
    group.pair("calls-after-messages", &[], calls_after_messages);
    group.pair("calls-hold-up-nothing", &[], calls_hold_up_nothing);
    group.cases()
}

/// One-way messages and deliveries of one sender are handled in the order in which they were sent.
async fn messages(pair: Pair) {
    for (sender, handler) in pair.talk().await.both_ways() {
        let members = ["note_ind", "save_ind", "order_cmd"];
        let members = || (0..120).zip(members.into_iter().cycle());
        let mut sending = Vec::new();
        for (number, member) in members() {
            sending.push(sender.start(member, &item(number)).await);
        }
        for (number, member) in members() {
            let next = handler.next_handling().await;
            assert_eq!((next.item_number(), &*next.told.member), (number, member));
        }
        for message in sending {
            message.sent().await;
        }
    }
}

/// The next message is handled when the handler of the one before has returned.
async fn one_by_one(pair: Pair) {
    let talk = super::held(&pair, &["note_ind"]).await;
    for (sender, handler) in talk.both_ways() {
        for number in 0..3 {
            sender.send("note_ind", &item(number)).await;
        }
        for number in 0..3 {
            let handling = handler.handling("note_ind").await;
            assert_eq!(handling.item_number(), number);
            // By now the messages behind it have arrived.
            sender.ping(0).await;
            assert!(!handler.has_handled("note_ind"), "two at once");
            handling.finish().await;
        }
    }
}

async fn calls_after_messages(pair: Pair) {
    let talk = super::held(&pair, &["note_ind"]).await;
    for (caller, handler) in talk.both_ways() {
        caller.send("note_ind", &item(1)).await;
        let note = handler.handling("note_ind").await;
        let call = caller.start("unary_req", &item(2)).await;
        caller.ping(0).await;
        assert!(
            !handler.has_handled("unary_req"),
            "before the message has been handled"
        );
        note.finish().await;
        handler.handling("unary_req").await.answer(&item(3)).await;
        assert_eq!(call.answer::<Item>().await, item(3));
    }
}

async fn calls_hold_up_nothing(pair: Pair) {
    for (caller, handler) in pair.talk().await.both_ways() {
        let call = caller.start("unary_req", &item(1)).await;
        let waiting = handler.handling("unary_req").await;
        caller.send("note_ind", &item(2)).await;
        assert_eq!(handler.handling("note_ind").await.item_number(), 2);
        let second = caller.start("unary_req", &item(3)).await;
        handler.handling("unary_req").await.answer(&item(4)).await;
        assert_eq!(second.answer::<Item>().await, item(4));
        waiting.answer(&item(5)).await;
        assert_eq!(call.answer::<Item>().await, item(5));
    }
}
