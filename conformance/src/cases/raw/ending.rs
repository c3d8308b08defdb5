//! How a connection ends: by a drain of either side, or because a peer is dead.

use msip_runtime::wire::{Flags, FrameType, MsgId};
use msip_tests::raw;

use super::Groups;
use crate::{
    case::Driver,
    message::item,
    protocol::conformance::Item,
    raw::{Opening, Place, line, vector},
};

pub(super) fn add(groups: &mut Groups) {
    groups.both("dead-peer", &[], dead_peer);
    groups.both("drains", &[], drains);
    groups.both("is-drained", &[], is_drained);
}

async fn dead_peer(driver: Driver) {
    let mut interval_ms = 60;
    loop {
        let settings = format!("ping_interval={interval_ms}ms");
        let mut met = driver.meet(&settings).await;
        let mut is_pinged = false;
        while let Some(frame) = met.raw.hear().await {
            is_pinged |= frame.header.frame_type == FrameType::Ping;
        }
        met.end.disconnected().await;
        if is_pinged {
            break;
        }
        // On a busy machine the time for the answer is over too, by the time of the ping.
        interval_ms *= 4;
    }
}

/// A side that says goodbye accepts nothing new, and lets finish what is open.
async fn drains(driver: Driver) {
    let mut met = driver.meet("").await;
    met.begin(&met.call("unary_req", &item(1)), met.id(2)).await;
    let handling = met.end.handling("unary_req").await;
    match &met.place {
        Place::Server(listening) => listening.end.begin_close().await,
        Place::Client(_) => met.end.begin_close().await,
    }
    let close = line(&met.hear().await);
    assert!(close.starts_with("CLOSE"), "{close}");
    let is_server = matches!(met.place, Place::Server(_));
    assert!(!is_server || close.contains("UNAVAILABLE"), "{close}");
    let late = met.call("unary_req", &item(2));
    let saved = Opening::event(met.said("save_ind"), &item(2)).with(Flags::ACK_REQUIRED);
    for (opening, id) in [(late, met.id(3)), (saved, met.delivery(1))] {
        met.begin(&opening, id).await;
        let refused = met.hear().await;
        assert_eq!(refused.header.msg_id, id);
        assert_eq!(refused.payload, vector("error-not-accepted")[24..]);
    }
    handling.answer(&item(3)).await;
    assert_eq!(met.hear().await.payload, met.body("unary_rsp", &item(3)));
    // All that this side had sent has been answered.
    met.raw.finish().await;
    assert_eq!(met.hear_to_the_end().await, Vec::<String>::new());
    for member in ["unary_req", "save_ind"] {
        assert!(!met.end.has_handled(member), "{member} after CLOSE");
    }
}

/// Whose peer says goodbye begins nothing new, finishes what is open, and leaves.
async fn is_drained(driver: Driver) {
    let mut met = driver.meet("").await;
    met.begin(&met.call("unary_req", &item(1)), met.id(2)).await;
    let handling = met.end.handling("unary_req").await;
    let call = met.end.start("unary_req", &item(3)).await;
    let asked = met.hear_opening().await.header.msg_id;
    let close = match met.place {
        Place::Server(_) => raw::frame(FrameType::Close, MsgId::CONNECTION, b"CANCELLED: done"),
        Place::Client(_) => vector("close"),
    };
    met.raw.say(&close).await;
    met.goes_on().await;
    handling.answer(&item(2)).await;
    assert_eq!(met.hear().await.payload, met.body("unary_rsp", &item(2)));
    met.answer(asked, Flags::NONE, "unary_rsp", &item(4)).await;
    assert_eq!(call.answer::<Item>().await, item(4));
    let heard = met.hear_to_the_end().await;
    let is_blamed = heard.iter().any(|line| line.starts_with("ERROR"));
    assert!(!is_blamed, "{heard:?}");
    met.end.disconnected().await;
}
