//! Credit of streams and of messages, to the item.

use msip_runtime::wire::{Credit, Flags, Frame, FrameType, MsgId};
use msip_tests::raw;

use super::Groups;
use crate::{
    case::Driver,
    failure::fail,
    message::item,
    protocol::conformance::{Item, control::Start},
    raw::{Met, Opening, line, payload},
};

/// The items that a stream has credit for when it begins.
const WINDOW: usize = 16;

pub(super) fn add(groups: &mut Groups) {
    groups.both("credit-of-answers", &[], answers);
    groups.both("credit-of-requests", &[], requests);
    groups.both("credit-of-messages", &[], messages);
    groups.both("grants-credit", &[], grants);
}

async fn grant(met: &mut Met, id: MsgId, items: u32) {
    let credit = Credit {
        items,
        bytes: 1 << 20,
    };
    let frame = raw::frame(FrameType::Credit, id, &credit.encode());
    met.raw.say(&frame).await;
}

/// Hears this many items, and nothing more before the pong of a ping.
async fn exactly(met: &mut Met, count: usize) {
    for _ in 0..count {
        let frame = met.hear().await;
        assert!(is_item(&frame), "{}", line(&frame));
    }
    met.goes_on().await;
}

fn is_item(frame: &Frame) -> bool {
    let is_message = frame.header.variant != 0 && frame.header.flags.contains(Flags::MORE);
    is_message && !frame.payload.is_empty()
}

async fn answers(driver: Driver) {
    let mut met = driver.meet("").await;
    let id = met.id(2);
    met.begin(&met.call("download_req", &item(1)), id).await;
    let handling = met.end.handling("download_req").await;
    handling.send(&item(1), 30).await;
    exactly(&mut met, WINDOW).await;
    grant(&mut met, id, 4).await;
    exactly(&mut met, 4).await;
    // The end of a stream needs none; its items do.
    grant(&mut met, id, 10).await;
    exactly(&mut met, 10).await;
    handling.end_items().await;
    assert!(!met.hear().await.header.flags.contains(Flags::MORE));
}

async fn requests(driver: Driver) {
    let mut met = driver.meet("").await;
    let start = Start::default();
    let call = met.end.start_with("upload_req", start).await;
    call.send(&item(1), 30).await;
    let asked = met.hear_opening().await;
    let id = asked.header.msg_id;
    // What begins the call may have the first item.
    let begun = usize::from(!payload(asked).body.is_empty());
    exactly(&mut met, WINDOW - begun).await;
    grant(&mut met, id, 14).await;
    exactly(&mut met, 14).await;
    call.finish().await;
    assert!(!met.hear().await.header.flags.contains(Flags::MORE));
}

async fn messages(driver: Driver) {
    let mut met = driver.meet("").await;
    let large = Item {
        ballast: vec![1; 300_000],
        ..item(1)
    };
    for _ in 0..6 {
        met.end.start("note_ind", &large).await;
    }
    // Three fit in 1 MiB, and one item may exceed what is left.
    for _ in 0..4 {
        met.hear().await;
    }
    met.goes_on().await;
    // Calls need none.
    met.end.start("unary_req", &item(1)).await;
    let call = met.hear().await;
    assert_eq!(call.header.variant, met.heard("unary_req"));
    grant(&mut met, MsgId::CONNECTION, 2).await;
    for _ in 0..2 {
        let note = met.hear().await;
        assert_eq!(note.header.variant, met.heard("note_ind"));
    }
}

/// What its program has read is granted again.
async fn grants(driver: Driver) {
    let mut met = driver.meet("").await;
    let start = Start::default();
    let call = met.end.start_reading("download_req", start, 0).await;
    let asked = met.hear_opening().await.header.msg_id;
    for _ in 0..WINDOW {
        met.answer(asked, Flags::MORE, "download_rsp", &item(1))
            .await;
    }
    call.read(12).await;
    is_granted(&mut met, asked).await;
    let (upload, id) = (met.said("upload_req"), met.id(2));
    met.begin(&Opening::stream(upload), id).await;
    let handling = met.end.handling("upload_req").await;
    for _ in 0..WINDOW {
        met.begin(&Opening::item(upload, &item(1)), id).await;
    }
    handling.read(12).await;
    is_granted(&mut met, id).await;
}

async fn is_granted(met: &mut Met, id: MsgId) {
    let credit = loop {
        let credit = met.raw.hear_type(FrameType::Credit).await;
        if credit.header.msg_id == id {
            break credit;
        }
    };
    let granted = Credit::parse(&credit.payload).unwrap_or_else(|error| fail(error));
    assert!(granted.items > 0, "{granted:?}");
}
