//! A STATE that is cleared: a message of its variant without a body.

use msip_runtime::{
    MsgKind,
    prost::Message as _,
    wire::{Flags, FrameType, Metadata},
};
use msip_tests::raw;

use super::Groups;
use crate::{
    case::Driver,
    failure::fail,
    message::item,
    protocol::conformance::Item,
    raw::{Met, Opening, envelope, line},
};

pub(super) fn add(groups: &mut Groups) {
    groups.both("clears-a-state", &[], clears);
    groups.both("clears-what-is-no-state", &[], clears_what_is_none);
    groups.both("sends-what-clears", &["cleared-states"], sends);
}

/// The STATE of this key.
fn of_key(key: &str) -> Item {
    Item {
        key: key.to_owned(),
        ..Item::default()
    }
}

/// What clears it.
fn clearing(met: &Met, member: &str, key: &str) -> Opening {
    let variant = met.said(member);
    let opening = Opening {
        kind: Some(MsgKind::State),
        variant,
        ..Opening::default()
    };
    opening.metadata(Metadata {
        cleared: envelope(variant, &of_key(key)),
        ..Metadata::default()
    })
}

/// A handler is told which it is, and is given no message. A driver that knows nothing of it ignores it, or refuses a delivery.
async fn clears(driver: Driver) {
    let mut met = driver.meet("").await;
    let knows = driver.process.has("cleared-states");
    let clearing = clearing(&met, "place_state", "oil");
    for (flags, id) in [
        (Flags::NONE, met.id(2)),
        (Flags::ACK_REQUIRED, met.delivery(1)),
    ] {
        met.begin(&clearing.clone().with(flags), id).await;
        if knows {
            let handling = met.end.handling("place_state").await;
            assert!(handling.told.cleared);
            assert_eq!(handling.message::<Item>(), of_key("oil"));
        }
        if flags == Flags::ACK_REQUIRED {
            let answer = met.hear().await;
            let is_accepted = answer.header.frame_type == FrameType::Ack;
            let refused = raw::text(&answer.payload);
            let may_refuse = !knows && refused.starts_with("INVALID_ARGUMENT");
            assert!(is_accepted || may_refuse, "{}", line(&answer));
        }
    }
    met.goes_on().await;
    assert!(!met.end.has_handled("place_state"), "without a message");
    // One that is set is another thing, however little it says.
    let variant = met.said("place_state");
    let set = Opening {
        body: envelope(variant, &Item::default()),
        kind: Some(MsgKind::State),
        variant,
        ..Opening::default()
    };
    met.begin(&set, met.id(3)).await;
    let handling = met.end.handling("place_state").await;
    assert!(!handling.told.cleared);
}

async fn clears_what_is_none(driver: Driver) {
    let mut met = driver.meet("").await;
    let mut number = 0;
    let mut openings = vec![("no state", clearing(&met, "note_ind", "oil"))];
    if driver.process.has("cleared-states") {
        let of_another = Opening {
            variant: met.said("place_state"),
            ..clearing(&met, "note_ind", "oil")
        };
        openings.push(("another member", of_another));
    }
    for (name, opening) in openings {
        number += 1;
        let id = met.delivery(number);
        met.begin(&opening.clone(), met.id(number)).await;
        met.begin(&opening.with(Flags::ACK_REQUIRED), id).await;
        let refused = met.refusal(id).await;
        assert!(refused.starts_with("INVALID_ARGUMENT"), "{name}: {refused}");
    }
    met.goes_on().await;
    for member in ["note_ind", "place_state"] {
        assert!(!met.end.has_handled(member), "{member}");
    }
}

async fn sends(driver: Driver) {
    let mut met = driver.meet("").await;
    met.end.clear("place_state", &of_key("oil")).await;
    let frame = met.hear_opening().await;
    let variant = met.heard("place_state");
    assert_eq!(frame.header.variant, variant);
    let payload = crate::raw::payload(frame);
    assert!(payload.body.is_empty(), "{payload:?}");
    let metadata = Metadata::decode(payload.metadata.unwrap_or_default());
    let metadata = metadata.unwrap_or_else(|error| fail(error));
    assert_eq!(metadata.cleared, envelope(variant, &of_key("oil")));
    met.end.send("place_state", &item(1)).await;
    let frame = met.hear_opening().await;
    assert!(!crate::raw::payload(frame).body.is_empty());
}
