//! Deliveries: their numbers, and what becomes of them when a session is resumed.

use msip_runtime::wire::{Flags, MsgId, Side};
use msip_tests::raw;

use super::Groups;
use crate::{
    case::Driver,
    message::item,
    raw::{Meeting, Opening, envelope, line, payload},
};

/// A client that comes back at once.
pub(super) const QUICK: &str = "reconnect_min=5ms&reconnect_max=20ms";

pub(super) fn add(groups: &mut Groups) {
    groups.both("deliveries-are-numbered", &[], numbers);
    groups.both("redelivers", &["resume"], redelivers);
    groups.both("duplicates", &["resume"], duplicates);
}

/// Settings of a driver that has to come back.
pub(super) fn quick(driver: &Driver) -> &'static str {
    match driver.raw_side {
        Side::Connecting => "",
        Side::Accepting => QUICK,
    }
}

async fn numbers(driver: Driver) {
    let mut met = driver.meet("").await;
    let mut last = 0;
    for number in 1..=4 {
        let sending = met.end.start("save_ind", &item(number)).await;
        let saved = met.hear().await.header.msg_id;
        assert_eq!(saved, MsgId::delivery(met.side.reverse(), number));
        met.end.start("note_ind", &item(number)).await;
        let note = met.hear().await.header.msg_id;
        assert!(note.number() > last && !note.is_delivery());
        last = note.number();
        met.acknowledge(saved).await;
        sending.sent().await;
    }
}

/// What was not acknowledged is sent again, in its order and marked.
async fn redelivers(driver: Driver) {
    let mut met = driver.meet(quick(&driver)).await;
    let delivery = |number| MsgId::delivery(driver.raw_side.reverse(), number);
    let mut sending = Vec::new();
    for number in 1..=3 {
        sending.push(met.end.start("save_ind", &item(number)).await);
        let header = met.hear().await.header;
        assert_eq!(header.msg_id, delivery(number));
        assert!(!header.flags.contains(Flags::REDELIVERED));
    }
    met.acknowledge(delivery(2)).await;
    sending[1].sent().await;
    let mut met = met.come_back().await;
    for number in [1, 3] {
        let frame = met.hear().await;
        assert_eq!(frame.header.msg_id, delivery(number));
        assert!(frame.header.flags.contains(Flags::REDELIVERED));
        let variant = met.heard("save_ind");
        assert_eq!(payload(frame).body, envelope(variant, &item(number)));
        met.acknowledge(delivery(number)).await;
    }
    for delivery in [&sending[0], &sending[2]] {
        delivery.sent().await;
    }
    // What is new goes on with the numbers.
    met.end.start("save_ind", &item(4)).await;
    let header = met.hear().await.header;
    assert_eq!(header.msg_id, delivery(4));
    assert!(!header.flags.contains(Flags::REDELIVERED));
}

/// A delivery that was handled is answered again, and not handled again; the same if it has failed.
async fn duplicates(driver: Driver) {
    let meeting = Meeting {
        settings: quick(&driver),
        held: &["save_ind"],
        ..Meeting::default()
    };
    let mut met = driver.meet_as(&meeting).await;
    let variant = met.said("save_ind");
    let save =
        |number, flags| Opening::event(variant, &item(number)).with(Flags::ACK_REQUIRED | flags);
    let id = |number| MsgId::delivery(driver.raw_side, number);
    let accepted = |number| format!("ACK {}", id(number));
    for number in 1..=3 {
        met.begin(&save(number, Flags::NONE), id(number)).await;
    }
    met.end.handling("save_ind").await.finish().await;
    assert_eq!(line(&met.hear().await), accepted(1));
    let second = met.end.handling("save_ind").await;
    second.fail("DATA_LOSS", "no").await;
    let refused = raw::text(&met.hear().await.payload);
    assert!(refused.contains("DATA_LOSS"), "{refused}");
    let third = met.end.handling("save_ind").await;
    let mut met = met.come_back().await;
    for number in 1..=4 {
        met.begin(&save(number, Flags::REDELIVERED), id(number))
            .await;
    }
    assert_eq!(line(&met.hear().await), accepted(1));
    let failed = format!("ERROR {}: ABORTED: failed earlier", id(2));
    assert_eq!(line(&met.hear().await), failed);
    assert_eq!(third.item_number(), 3);
    // It has read the third one again too, and would answer that for itself if this one ended sooner.
    met.goes_on().await;
    third.finish().await;
    assert_eq!(line(&met.hear().await), accepted(3));
    let fourth = met.end.handling("save_ind").await;
    assert_eq!(fourth.item_number(), 4);
    fourth.finish().await;
    assert_eq!(line(&met.hear().await), accepted(4));
    assert!(!met.end.has_handled("save_ind"), "handled twice");
}
