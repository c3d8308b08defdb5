//! The vectors of docs/protocol.md, byte for byte.

use msip_runtime::wire::{Flags, FrameType};
use msip_tests::raw;

use super::Groups;
use crate::{
    case::Driver,
    message::{counted, item},
    protocol::conformance::Item,
    raw::{ack, bytes_of, line, payload, vector, with_id},
};

pub(super) fn add(groups: &mut Groups) {
    groups.both("ping", &[], ping);
    groups
        .server
        .server("vectors-of-messages", &[], messages_to_a_server);
    groups
        .client
        .client("vectors-of-messages", &[], messages_to_a_client);
    groups.server.server("vectors-of-calls", &[], calls);
    groups.server.server("vectors-of-streams", &[], streams);
    groups
        .client
        .client("vectors-of-both-streams", &[], both_streams);
    groups.client.client("vectors-of-answers", &[], answers);
    groups.both("vector-of-a-cancel", &[], cancel);
}

async fn ping(driver: Driver) {
    let mut met = driver.meet("").await;
    met.raw.say(&with_id(vector("ping"), met.id(8))).await;
    let pong = met.raw.hear_type(FrameType::Pong).await;
    assert_eq!(
        (pong.header.msg_id, &*pong.payload),
        (met.id(8), &vector("pong")[24..])
    );
    let large = raw::frame(FrameType::Ping, met.id(9), &vec![7; 65_536]);
    met.raw.say(&large).await;
    let pong = met.raw.hear_type(FrameType::Pong).await;
    assert!(pong.payload.len() == 65_536 && pong.header.msg_id == met.id(9));
}

/// The message of the vectors.
fn is_of_ada(note: &Item) -> bool {
    (&*note.key, &*note.text) == ("ada", "hi")
}

async fn messages_to_a_server(driver: Driver) {
    let mut met = driver.meet("").await;
    met.raw.say(&vector("publish")).await;
    assert!(is_of_ada(&met.end.handling("note_ind").await.message()));
    // Any message may ask for an acknowledgment.
    met.raw.say(&vector("publish-delivery")).await;
    assert!(is_of_ada(&met.end.handling("note_ind").await.message()));
    assert_eq!(bytes_of(&met.hear().await), vector("ack"));
}

async fn messages_to_a_client(driver: Driver) {
    let mut met = driver.meet("").await;
    met.raw.say(&vector("event")).await;
    assert!(is_of_ada(&met.end.handling("note_ind").await.message()));
    // Who has sent it is told by the server. Both are deliveries, and one is marked as sent again.
    for (number, name) in [(1, "event-of-roles"), (2, "event-redelivered")] {
        let id = met.delivery(number);
        met.raw.say(&with_id(vector(name), id)).await;
        let told = met.end.handling("note_ind").await.told;
        assert!(told.user == "ada" || !driver.process.has("metadata"));
        assert_eq!(line(&met.hear().await), format!("ACK {id}"));
    }
}

async fn calls(driver: Driver) {
    let mut met = driver.meet("").await;
    met.raw.say(&vector("publish-call")).await;
    let handling = met.end.handling("unary_req").await;
    assert_eq!(handling.message::<Item>().key, "ada");
    let answer = Item {
        key: "welcome".to_owned(),
        text: "ada".to_owned(),
        ..Item::default()
    };
    handling.answer(&answer).await;
    assert_eq!(bytes_of(&met.hear().await), vector("ack-body"));
    met.raw.say(&vector("publish-meta")).await;
    let handling = met.end.handling("unary_req").await;
    let told = &handling.told;
    assert_eq!(told.correlation_id, "order-17");
    assert_eq!(told.headers.get("lang").map(String::as_str), Some("en"));
    let left = told.remaining_ms;
    assert!((1..=5_000).contains(&left), "{left}");
    let text = "there is no room \"attic\"";
    handling.fail("NOT_FOUND", text).await;
    let error = met.hear().await;
    assert_eq!(error.payload, vector("error")[24..]);
    assert!(error.header.flags.contains(Flags::URGENT), "as its call");
    // Topics are a broker's.
    let mut topic = vector("publish-topic");
    topic[5] |= Flags::ACK_REQUIRED.bits();
    let id = met.delivery(1);
    met.raw.say(&with_id(topic, id)).await;
    met.refusal(id).await;
    met.goes_on().await;
}

async fn streams(driver: Driver) {
    let mut met = driver.meet("").await;
    met.raw.say(&vector("publish-watch")).await;
    let handling = met.end.handling("download_req").await;
    handling.send(&item(7), 1).await;
    let first = met.hear().await;
    let body = met.body("download_rsp", &item(7));
    let variant = met.heard("download_rsp");
    let expected = ack(first.header.msg_id, Flags::MORE, variant, &body);
    assert_eq!(bytes_of(&first), expected);
    handling.end_items().await;
    assert_eq!(bytes_of(&met.hear().await), vector("ack-end"));
    met.raw.say(&vector("publish-upload")).await;
    let handling = met.end.handling("upload_req").await;
    handling.read(u64::MAX).await;
    met.raw.say(&vector("publish-item")).await;
    assert_eq!(handling.item().await.key, "hi");
    met.raw.say(&vector("publish-end")).await;
    assert_eq!(handling.items_ended().await, None);
    handling.answer(&counted(2)).await;
    assert_eq!(bytes_of(&met.hear().await), vector("ack-upload"));
}

async fn both_streams(driver: Driver) {
    let mut met = driver.meet("").await;
    met.raw.say(&vector("event-both")).await;
    let handling = met.end.handling("both_req").await;
    handling.read(u64::MAX).await;
    met.raw.say(&vector("event-item")).await;
    assert_eq!(handling.item().await.key, "hi");
    handling.send(&counted(1), 1).await;
    assert_eq!(bytes_of(&met.hear().await), vector("ack-item-urgent"));
    let text = "7 is not a number of a room";
    handling.fail("OUT_OF_RANGE", text).await;
    assert_eq!(bytes_of(&met.hear().await), vector("error-both"));
}

async fn answers(driver: Driver) {
    let mut met = driver.meet("").await;
    let call = met.end.start("unary_req", &item(1)).await;
    let asked = met.hear_opening().await;
    assert_eq!(payload(asked.clone()).body, met.body("unary_req", &item(1)));
    assert!(asked.header.flags.contains(Flags::ACK_REQUIRED));
    let answer = with_id(vector("ack-body"), asked.header.msg_id);
    met.raw.say(&answer).await;
    let answer = call.answer::<Item>().await;
    assert_eq!((&*answer.key, &*answer.text), ("welcome", "ada"));
    let call = met.end.start("unary_req", &item(1)).await;
    let asked = met.hear_opening().await.header.msg_id;
    met.raw.say(&with_id(vector("error"), asked)).await;
    let failure = call.failure().await;
    assert_eq!(
        (&*failure.code, &*failure.message),
        ("NOT_FOUND", "there is no room \"attic\"")
    );
    let call = met.end.start("download_req", &item(1)).await;
    let asked = met.hear_opening().await.header.msg_id;
    met.answer(asked, Flags::MORE, "download_rsp", &item(5))
        .await;
    assert_eq!(call.item::<Item>().await, item(5));
    met.raw.say(&with_id(vector("ack-end-meta"), asked)).await;
    let end = call.end().await;
    let read = end.headers.get("price-list").map(String::as_str);
    assert!(read == Some("2026-07") || !driver.process.has("metadata"));
    // A last item without MORE ends a stream too.
    let call = met.end.start("download_req", &item(1)).await;
    let asked = met.hear_opening().await.header.msg_id;
    met.answer(asked, Flags::NONE, "download_rsp", &item(6))
        .await;
    assert_eq!(call.items::<Item>().await, [item(6)]);
}

/// A call that is cancelled ends with an answer where the side that serves it has said so, and with none else.
async fn cancel(driver: Driver) {
    let mut met = driver.meet("").await;
    let id = met.id(5);
    met.begin(&met.call("unary_req", &item(1)), id).await;
    let handling = met.end.handling("unary_req").await;
    met.raw.say(&with_id(vector("cancel"), id)).await;
    handling.dropped().await;
    if met.extensions.contains_key("ends-cancelled") {
        let expected = with_id(vector("error-cancelled"), id);
        assert_eq!(bytes_of(&met.hear().await), expected);
    }
    met.goes_on().await;
}
