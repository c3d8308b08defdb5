//! Metadata, there and back.

use std::collections::HashMap;

use crate::{
    case::{Case, Group},
    message::{counted, item},
    pair::Pair,
    protocol::conformance::control::{Start, Status},
};

pub(super) fn cases() -> Vec<Case> {
    let mut group = Group::new("metadata");
    group.pair("headers", &["metadata"], headers);
    group.pair("headers-of-messages", &["metadata"], headers_of_messages);
    group.pair("headers-of-answers", &["metadata"], headers_of_answers);
    group.pair("headers-of-errors", &["metadata"], headers_of_errors);
    group.pair("details-of-errors", &["metadata"], details_of_errors);
    group.pair("correlation-id", &["metadata"], correlation_id);
    group.cases()
}

fn some() -> HashMap<String, String> {
    [
        ("lang", "en"),
        ("Trace-Id_7./x", "zwölf, \"drei\""),
        ("empty", ""),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

fn with_headers() -> Start {
    Start {
        headers: some(),
        ..Start::default()
    }
}

async fn headers(pair: Pair) {
    for (caller, handler) in pair.talk().await.both_ways() {
        let call = caller.start_with("unary_req", with_headers()).await;
        let handling = handler.handling("unary_req").await;
        assert_eq!(handling.told.headers, some());
        handling.answer(&item(1)).await;
        assert_eq!(call.end().await.headers, HashMap::new());
        let call = caller.start_with("both_req", with_headers()).await;
        let handling = handler.handling("both_req").await;
        assert_eq!(handling.told.headers, some());
        handling.end_items().await;
        call.end().await;
    }
}

async fn headers_of_messages(pair: Pair) {
    for (sender, handler) in pair.talk().await.both_ways() {
        for member in ["note_ind", "save_ind", "alarm_ind"] {
            let sending = sender.start_with(member, with_headers()).await;
            assert_eq!(handler.handling(member).await.told.headers, some());
            sending.sent().await;
            // The next one has none.
            sender.send(member, &item(2)).await;
            assert_eq!(handler.handling(member).await.told.headers, HashMap::new());
        }
    }
}

async fn headers_of_answers(pair: Pair) {
    let told = [("price-list", "2026-07"), ("x", "ä")];
    let expected: HashMap<String, String> = told
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    for (caller, handler) in pair.talk().await.both_ways() {
        let call = caller.start("unary_req", &item(1)).await;
        let handling = handler.handling("unary_req").await;
        handling.answer_with(&item(1), &told).await;
        assert_eq!(call.end().await.headers, expected);
        let call = caller.start_with("upload_req", Start::default()).await;
        let handling = handler.handling("upload_req").await;
        handling.answer_with(&counted(1), &told).await;
        assert_eq!(call.end().await.headers, expected);
    }
}

/// What a handler fails with besides a code and a text.
fn refusal() -> Status {
    Status {
        code: "RESOURCE_EXHAUSTED".to_owned(),
        message: "too many orders".to_owned(),
        headers: some(),
        details: [("shop.v1.RetryInfo".to_owned(), vec![8, 0xf4, 3])].into(),
    }
}

/// Those of a call: the answer of a delivery has none.
async fn headers_of_errors(pair: Pair) {
    for (caller, handler) in pair.talk().await.both_ways() {
        for member in ["unary_req", "upload_req"] {
            let call = caller.start(member, &item(1)).await;
            let handling = handler.handling(member).await;
            handling.fail_with(refusal()).await;
            assert_eq!(call.failure().await, refusal(), "{member}");
        }
    }
}

async fn details_of_errors(pair: Pair) {
    let talk = super::held(&pair, &["save_ind"]).await;
    let members = [
        "unary_req",
        "download_req",
        "upload_req",
        "both_req",
        "save_ind",
    ];
    for (caller, handler) in talk.both_ways() {
        for member in members {
            let call = caller.start(member, &item(1)).await;
            let handling = handler.handling(member).await;
            handling.fail_with(refusal()).await;
            let failure = call.failure().await;
            assert_eq!(failure.code, refusal().code);
            assert_eq!(failure.details, refusal().details, "{member}");
        }
    }
}

async fn correlation_id(pair: Pair) {
    for (caller, handler) in pair.talk().await.both_ways() {
        let start = Start {
            correlation_id: "order-17".to_owned(),
            ..Start::default()
        };
        let call = caller.start_with("unary_req", start).await;
        let handling = handler.handling("unary_req").await;
        assert_eq!(handling.told.correlation_id, "order-17");
        handling.answer(&item(1)).await;
        call.end().await;
    }
}
