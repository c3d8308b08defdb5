//! Metadata, deadlines and cancellation of calls.

use std::collections::{BTreeMap, HashMap};

use msip_runtime::{
    prost::Message as _,
    wire::{Flags, FrameType, Identity, Metadata},
};
use msip_tests::raw;

use super::Groups;
use crate::{
    case::Driver,
    failure::fail,
    message::item,
    protocol::conformance::control::Start,
    raw::{Meeting, Opening, bytes_of, payload, vector, with_id},
};

pub(super) fn add(groups: &mut Groups) {
    groups.both("deadline", &[], deadline);
    groups.both("cancel", &[], cancel);
    groups.both("details-of-errors", &[], details_of_errors);
    groups.both("errors-without-details", &[], errors_without_details);
    groups
        .server
        .server("identity-of-a-client", &[], identity_of_a_client);
}

async fn deadline(driver: Driver) {
    let mut met = driver.meet("").await;
    let start = Start {
        timeout_ms: 20_000,
        ..Start::default()
    };
    met.end.start_with("unary_req", start).await;
    let asked = met.hear_opening().await;
    let metadata = payload(asked).metadata.unwrap_or_default();
    let metadata = Metadata::decode(metadata).unwrap_or_else(|error| fail(error));
    let deadline = metadata.deadline_ms.unwrap_or_default();
    assert!((10_000..=20_000).contains(&deadline), "{deadline}");
    let mut deadline_ms = 100;
    let mut ids = 2..;
    let handling = loop {
        let quick = Metadata {
            deadline_ms: Some(deadline_ms),
            ..Metadata::default()
        };
        let call = met.call("unary_req", &item(1)).metadata(quick);
        let id = met.id(ids.next().unwrap_or_default());
        met.begin(&call, id).await;
        let end = met.end.clone();
        tokio::select! {
            biased;
            handling = end.handling("unary_req") => break handling,
            // On a busy machine its time is up before its handler begins.
            refusal = met.refusal(id) => assert!(refusal.starts_with("DEADLINE_EXCEEDED"), "{refusal}"),
        }
        deadline_ms *= 4;
    };
    assert!(handling.told.remaining_ms <= deadline_ms);
    handling.dropped().await;
}

async fn cancel(driver: Driver) {
    let mut met = driver.meet("").await;
    let call = met.end.start("unary_req", &item(1)).await;
    let asked = met.hear_opening().await.header.msg_id;
    call.cancel().await;
    let cancel = met.hear().await;
    assert_eq!(bytes_of(&cancel), with_id(vector("cancel"), asked));
    // A late answer reaches nobody.
    met.answer(asked, Flags::NONE, "unary_rsp", &item(2)).await;
    assert_eq!(call.failure().await.code, "CANCELLED");
    met.goes_on().await;
}

const DETAIL: (&str, &[u8]) = ("shop.v1.RetryInfo", &[8, 0xf4, 3]);

/// The headers and details of an error, in both directions: those of the vector.
async fn details_of_errors(driver: Driver) {
    let meeting = Meeting {
        extensions: &["error-metadata"],
        ..Meeting::default()
    };
    let mut met = driver.meet_as(&meeting).await;
    if !met.extensions.contains_key("error-metadata") {
        return;
    }
    let headers: HashMap<_, _> = [("tenant".to_owned(), "north".to_owned())].into();
    let details: HashMap<_, _> = [(DETAIL.0.to_owned(), DETAIL.1.to_vec())].into();
    let call = met.end.start("unary_req", &item(1)).await;
    let asked = met.hear_opening().await.header.msg_id;
    met.raw.say(&with_id(vector("error-meta"), asked)).await;
    let failure = call.failure().await;
    assert_eq!(
        (&*failure.code, &*failure.message),
        ("RESOURCE_EXHAUSTED", "too many orders")
    );
    assert_eq!((&failure.headers, &failure.details), (&headers, &details));
    let id = met.id(6);
    met.begin(&met.call("unary_req", &item(1)), id).await;
    met.end.handling("unary_req").await.fail_with(failure).await;
    let error = met.hear().await;
    assert_eq!(bytes_of(&error), with_id(vector("error-meta"), id));
}

/// Whoever has not announced the extension is sent text alone, and sends none that is more.
async fn errors_without_details(driver: Driver) {
    let mut met = driver.meet("").await;
    let id = met.id(6);
    met.begin(&met.call("unary_req", &item(1)), id).await;
    let failure = crate::protocol::conformance::control::Status {
        code: "RESOURCE_EXHAUSTED".to_owned(),
        message: "too many orders".to_owned(),
        headers: [("tenant".to_owned(), "north".to_owned())].into(),
        details: [(DETAIL.0.to_owned(), DETAIL.1.to_vec())].into(),
    };
    met.end.handling("unary_req").await.fail_with(failure).await;
    let error = met.hear().await;
    assert_eq!(error.header.frame_type, FrameType::Error);
    assert!(!error.header.flags.contains(Flags::META));
    let text = raw::text(&error.payload);
    assert_eq!(text, "RESOURCE_EXHAUSTED: too many orders");
    met.goes_on().await;
}

/// Who a client is says the server.
async fn identity_of_a_client(driver: Driver) {
    let mut met = driver.meet("").await;
    let metadata = Metadata {
        identity: Some(Identity {
            user: "eve".to_owned(),
            ..Identity::default()
        }),
        headers: BTreeMap::from([("lang".to_owned(), "en".to_owned())]),
        ..Metadata::default()
    };
    let call: Opening = met.call("unary_req", &item(1)).metadata(metadata);
    met.begin(&call, met.id(2)).await;
    let told = met.end.handling("unary_req").await.told;
    assert_eq!(told.user, "");
    assert_eq!(told.headers.get("lang").map(String::as_str), Some("en"));
}
