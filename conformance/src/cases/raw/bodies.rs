//! Bodies that are not what the schema says.

use msip_runtime::{
    prost::Message as _,
    wire::{Flags, FrameType},
};

use super::Groups;
use crate::{
    case::Driver,
    message::item,
    protocol::conformance::{Everything, Item, Nested},
    raw::{Met, Opening, ack, envelope, line},
};

/// A number that no member has.
const UNKNOWN: u16 = 900;

pub(super) fn add(groups: &mut Groups) {
    groups.both("unknown-fields", &[], unknown_fields);
    groups.both("unknown-variants", &[], unknown_variants);
    groups.both("unreadable-bodies", &[], unreadable_bodies);
    groups.both("unreadable-items", &[], unreadable_items);
    groups.both("unreadable-answers", &[], unreadable_answers);
}

/// The body of a member whose fields are these bytes.
fn body_of(variant: u16, fields: &[u8]) -> Vec<u8> {
    // The members that cases take have numbers below 16, and their messages fewer than 128 bytes.
    let byte = |number: usize| u8::try_from(number).unwrap_or(u8::MAX);
    let mut body = vec![byte(usize::from(variant) << 3 | 2), byte(fields.len())];
    body.extend_from_slice(fields);
    body
}

/// Bytes that are no message.
fn garbage(variant: u16) -> Vec<u8> {
    let mut body = body_of(variant, &[0xff]);
    // It says that it is longer than it is.
    body[1] = 5;
    body
}

async fn unknown_fields(driver: Driver) {
    let mut met = driver.meet("").await;
    let known = Everything {
        int32: 5,
        string: "known".to_owned(),
        color: 99,
        ..Everything::default()
    };
    // Fields 200 to 203, of each wire type, before what is known, and behind it.
    let unknown = [
        0xc0, 0x0c, 0x96, 0x01, 0xc9, 0x0c, 1, 2, 3, 4, 5, 6, 7, 8, 0xd2, 0x0c, 2, b'h', b'i',
        0xdd, 0x0c, 1, 2, 3, 4,
    ];
    let fields = [&unknown, &*known.encode_to_vec(), &unknown].concat();
    let mut call = met.call("fields_req", &());
    call.body = body_of(call.variant, &fields);
    met.begin(&call, met.id(2)).await;
    let handling = met.end.handling("fields_req").await;
    assert_eq!(handling.message::<Everything>(), known);
    handling.answer(&known).await;
    let answer = met.hear().await;
    let is_answer = answer.header.frame_type == FrameType::Ack;
    assert!(is_answer, "{}", line(&answer));
    // An answer may have them too.
    let call = met.end.start("fields_req", &known).await;
    let asked = met.hear_opening().await.header.msg_id;
    let variant = met.said("fields_rsp");
    let body = body_of(variant, &fields);
    met.raw.say(&ack(asked, Flags::NONE, variant, &body)).await;
    assert_eq!(call.answer::<Everything>().await, known);
}

async fn unknown_variants(driver: Driver) {
    let mut met = driver.meet("").await;
    let call = Opening::call(UNKNOWN, &item(1));
    met.begin(&call, met.id(2)).await;
    let refused = met.refusal(met.id(2)).await;
    assert!(refused.contains("UNIMPLEMENTED"), "{refused}");
    let event = Opening::event(UNKNOWN, &item(1));
    met.begin(&event, met.id(3)).await;
    let delivery = event.with(Flags::ACK_REQUIRED);
    met.begin(&delivery, met.delivery(1)).await;
    let refused = met.refusal(met.delivery(1)).await;
    assert!(refused.contains("UNIMPLEMENTED"), "{refused}");
    serves(&mut met).await;
}

/// The connection goes on.
async fn serves(met: &mut Met) {
    met.begin(&met.call("unary_req", &item(1)), met.id(90))
        .await;
    let handling = met.end.handling("unary_req").await;
    handling.answer(&item(2)).await;
    assert_eq!(met.hear().await.payload, met.body("unary_rsp", &item(2)));
}

async fn unreadable_bodies(driver: Driver) {
    let mut met = driver.meet("").await;
    let deep = (0..120).fold(Nested::default(), |inner, _| Nested {
        inner: Some(Box::new(inner)),
        ..Nested::default()
    });
    let deep = Everything {
        nested: Some(deep),
        ..Everything::default()
    };
    let call = met.call("unary_req", &item(1));
    let with = |body| Opening {
        body,
        ..call.clone()
    };
    let of_another = envelope(met.said("note_ind"), &item(1));
    let openings = [
        ("garbage", with(garbage(call.variant))),
        ("nothing", with(Vec::new())),
        ("another member", with(of_another)),
        ("nested too deep", met.call("fields_req", &deep)),
        (
            "compressed without an agreement",
            call.clone().with(Flags::COMPRESSED),
        ),
    ];
    for (number, (name, opening)) in (2..).zip(openings) {
        let id = met.id(number);
        met.begin(&opening, id).await;
        let refused = met.refusal(id).await;
        assert!(refused.contains("INVALID_ARGUMENT"), "{name}: {refused}");
    }
    serves(&mut met).await;
}

/// An item of a request that cannot be read ends its call: its caller is at fault.
async fn unreadable_items(driver: Driver) {
    let mut met = driver.meet("").await;
    let (upload, id) = (met.said("upload_req"), met.id(2));
    met.begin(&Opening::stream(upload), id).await;
    let handling = met.end.handling("upload_req").await;
    handling.read(u64::MAX).await;
    let unreadable = Opening {
        body: garbage(upload),
        ..Opening::item(upload, &item(1))
    };
    met.begin(&unreadable, id).await;
    // A handler that goes by what its requests end with fails with that.
    let why = handling.items_ended().await.unwrap_or_default();
    assert_eq!(why.code, "INVALID_ARGUMENT", "{why:?}");
    handling.fail_with(why).await;
    let refused = met.refusal(id).await;
    assert!(refused.contains("INVALID_ARGUMENT"), "{refused}");
    serves(&mut met).await;
}

/// An answer that cannot be read ends the call with INTERNAL: who has answered is at fault.
async fn unreadable_answers(driver: Driver) {
    let mut met = driver.meet("").await;
    let (unary, note) = (met.said("unary_rsp"), met.said("note_ind"));
    let answers = [
        ("garbage", unary, garbage(unary)),
        ("another member", note, envelope(note, &item(1))),
        ("nothing", 0, Vec::new()),
        ("an unknown member", UNKNOWN, envelope(UNKNOWN, &item(1))),
    ];
    for (name, variant, body) in answers {
        let call = met.end.start("unary_req", &item(1)).await;
        let asked = met.hear_opening().await.header.msg_id;
        met.raw.say(&ack(asked, Flags::NONE, variant, &body)).await;
        assert_eq!(call.failure().await.code, "INTERNAL", "{name}");
    }
    let call = met.end.start("download_req", &item(1)).await;
    let asked = met.hear_opening().await.header.msg_id;
    met.answer(asked, Flags::MORE, "download_rsp", &item(1))
        .await;
    assert_eq!(call.item::<Item>().await, item(1));
    let download = met.said("download_rsp");
    let item = ack(asked, Flags::MORE, download, &garbage(download));
    met.raw.say(&item).await;
    assert_eq!(call.failure().await.code, "INTERNAL", "an item");
    met.round_trip().await;
}
