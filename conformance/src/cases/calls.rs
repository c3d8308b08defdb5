//! What ends a call: statuses of all codes, deadlines, and callers that give up at each moment.

use super::{
    goes_on,
    hurried::{SHORT_MS, handled, hurried},
    within,
};
use crate::{
    case::{Case, Group},
    message::{counted, item},
    pair::Pair,
    protocol::conformance::{Count, Item, control::Start},
};

const CODES: [&str; 16] = [
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

pub(super) fn cases() -> Vec<Case> {
    let mut group = Group::new("calls");
    group.pair("codes", &[], codes);
    group.pair("texts-of-errors", &[], texts);
    group.pair("stream-fails", &[], stream_fails);
    group.pair("upload-fails", &[], upload_fails);
    group.pair("both-fails", &[], both_fails);
    group.pair("deadline", &[], deadline);
    group.pair("deadline-of-schema", &[], deadline_of_schema);
    group.pair("deadline-of-streams", &[], deadline_of_streams);
    group.pair("deadline-travels", &[], deadline_travels);
    group.pair("cancel-at-once", &[], cancel_at_once);
    group.pair("cancel-in-handler", &[], cancel_in_handler);
    group.pair("cancel-before-items", &[], |pair| cancel_after(pair, 0));
    group.pair("cancel-after-an-item", &[], |pair| cancel_after(pair, 1));
    group.pair("cancel-after-items", &[], |pair| cancel_after(pair, 20));
    group.pair("cancel-in-upload", &[], cancel_in_upload);
    group.pair("cancel-without-credit", &[], cancel_without_credit);
    group.pair("cancel-in-both", &[], cancel_in_both);
    group.pair("cancel-after-the-end", &[], cancel_after_the_end);
    group.pair("many-at-once", &[], many_at_once);
    group.cases()
}

async fn codes(pair: Pair) {
    for (caller, handler) in pair.talk().await.both_ways() {
        for code in CODES {
            let call = caller.start("unary_req", &item(1)).await;
            let text = format!("why {code}: \"ä\"");
            handler.handling("unary_req").await.fail(code, &text).await;
            let failure = call.failure().await;
            assert_eq!((failure.code.as_str(), failure.message), (code, text));
        }
    }
}

/// A text is cut at a character, and may be empty.
async fn texts(pair: Pair) {
    for (caller, handler) in pair.talk().await.both_ways() {
        for text in [
            "",
            ": ",
            "ä".repeat(100).as_str(),
            "ä".repeat(3000).as_str(),
        ] {
            let call = caller.start("unary_req", &item(1)).await;
            handler
                .handling("unary_req")
                .await
                .fail("ABORTED", text)
                .await;
            let failure = call.failure().await;
            assert_eq!(failure.code, "ABORTED");
            let message = failure.message;
            assert!(
                text.starts_with(&message) && message.len() >= text.len().min(200),
                "{} of {} bytes: {message:?}",
                message.len(),
                text.len()
            );
        }
    }
}

async fn stream_fails(pair: Pair) {
    for (caller, handler) in pair.talk().await.both_ways() {
        for count in [0, 1, 20] {
            let call = caller.start("download_req", &item(1)).await;
            let handling = handler.handling("download_req").await;
            for number in 0..count {
                handling.send(&item(number), 1).await;
            }
            handling.fail("OUT_OF_RANGE", "no more").await;
            let failure = call.failure().await;
            assert_eq!(
                (&*failure.code, &*failure.message),
                ("OUT_OF_RANGE", "no more")
            );
            for number in 0..count {
                assert_eq!(call.seen_item(), Some(item(number)), "of {count}");
            }
        }
        goes_on(&caller, &handler).await;
    }
}

async fn upload_fails(pair: Pair) {
    for (caller, handler) in pair.talk().await.both_ways() {
        let call = caller.start_with("upload_req", Start::default()).await;
        call.send(&item(1), 1).await;
        let handling = handler.handling("upload_req").await;
        handling.read(1).await;
        assert_eq!(handling.item().await, item(1));
        handling.fail("DATA_LOSS", "not that one").await;
        let failure = call.failure().await;
        assert_eq!(
            (&*failure.code, &*failure.message),
            ("DATA_LOSS", "not that one")
        );
        goes_on(&caller, &handler).await;
    }
}

async fn both_fails(pair: Pair) {
    for (caller, handler) in pair.talk().await.both_ways() {
        let call = caller.start_with("both_req", Start::default()).await;
        call.send(&item(1), 1).await;
        let handling = handler.handling("both_req").await;
        handling.read(1).await;
        assert_eq!(handling.item().await, item(1));
        handling.send(&counted(1), 1).await;
        assert_eq!(call.item::<Count>().await, counted(1));
        handling.fail("ABORTED", "enough").await;
        let failure = call.failure().await;
        assert_eq!((&*failure.code, &*failure.message), ("ABORTED", "enough"));
        goes_on(&caller, &handler).await;
    }
}

async fn deadline(pair: Pair) {
    for (caller, handler) in pair.talk().await.both_ways() {
        let (call, handling) = hurried(&caller, &handler, "unary_req", &mut { SHORT_MS }).await;
        assert_eq!(call.failure().await.code, "DEADLINE_EXCEEDED");
        handling.dropped().await;
        goes_on(&caller, &handler).await;
    }
}

async fn deadline_of_schema(pair: Pair) {
    for (caller, handler) in pair.talk().await.both_ways() {
        let (call, handling) = loop {
            let call = caller.start("short_req", &item(1)).await;
            if let Some(handling) = handled(&call, &caller, &handler).await {
                break (call, handling);
            }
        };
        let left = handling.told.remaining_ms;
        assert!((1..=300).contains(&left), "{left} ms");
        assert_eq!(call.failure().await.code, "DEADLINE_EXCEEDED");
        handling.dropped().await;
        goes_on(&caller, &handler).await;
    }
}

async fn deadline_of_streams(pair: Pair) {
    for (caller, handler) in pair.talk().await.both_ways() {
        let mut limit_ms = SHORT_MS;
        loop {
            let (call, handling) = hurried(&caller, &handler, "download_req", &mut limit_ms).await;
            handling.send(&item(1), 1).await;
            assert_eq!(call.failure().await.code, "DEADLINE_EXCEEDED");
            handling.dropped().await;
            // It may have been too late for the item, as for the call.
            if let Some(found) = call.seen_item::<Item>() {
                assert_eq!(found, item(1));
                break;
            }
            limit_ms *= 4;
        }
        let (call, handling) = hurried(&caller, &handler, "upload_req", &mut limit_ms).await;
        assert_eq!(call.failure().await.code, "DEADLINE_EXCEEDED");
        handling.dropped().await;
        goes_on(&caller, &handler).await;
    }
}

async fn deadline_travels(pair: Pair) {
    for (caller, handler) in pair.talk().await.both_ways() {
        let call = caller.start_with("unary_req", within(20_000)).await;
        let handling = handler.handling("unary_req").await;
        let left = handling.told.remaining_ms;
        assert!((10_000..=20_000).contains(&left), "{left} ms");
        handling.answer(&item(1)).await;
        call.end().await;
        let call = caller.start("unary_req", &item(1)).await;
        let handling = handler.handling("unary_req").await;
        let left = handling.told.remaining_ms;
        assert!(
            (20_000..=30_000).contains(&left),
            "{left} ms of the usual 30 s"
        );
        handling.answer(&item(1)).await;
        call.end().await;
    }
}

/// Before its handler begins, or just then.
async fn cancel_at_once(pair: Pair) {
    for (caller, handler) in pair.talk().await.both_ways() {
        for member in ["urgent_req", "download_req", "upload_req"] {
            let call = caller.start(member, &item(1)).await;
            call.cancel().await;
            assert_eq!(call.failure().await.code, "CANCELLED", "{member}");
        }
        goes_on(&caller, &handler).await;
    }
}

/// While items wait for credit, which a slow reader does not give: what others say goes on.
async fn cancel_without_credit(pair: Pair) {
    for (caller, handler) in pair.talk().await.both_ways() {
        let upload = caller.start_with("upload_req", Start::default()).await;
        upload.send(&item(1), 100).await;
        let uploading = handler.handling("upload_req").await;
        let start = Start::default();
        let download = caller.start_reading("download_req", start, 0).await;
        let downloading = handler.handling("download_req").await;
        downloading.send(&item(1), 100).await;
        goes_on(&caller, &handler).await;
        for call in [upload, download] {
            call.cancel().await;
            assert_eq!(call.failure().await.code, "CANCELLED");
        }
        uploading.dropped().await;
        downloading.dropped().await;
        goes_on(&caller, &handler).await;
    }
}

async fn cancel_in_handler(pair: Pair) {
    for (caller, handler) in pair.talk().await.both_ways() {
        let call = caller.start("unary_req", &item(1)).await;
        let handling = handler.handling("unary_req").await;
        call.cancel().await;
        assert_eq!(call.failure().await.code, "CANCELLED");
        handling.dropped().await;
        goes_on(&caller, &handler).await;
    }
}

async fn cancel_after(pair: Pair, count: u64) {
    for (caller, handler) in pair.talk().await.both_ways() {
        let call = caller.start("download_req", &item(1)).await;
        let handling = handler.handling("download_req").await;
        for number in 0..count {
            handling.send(&item(number), 1).await;
            assert_eq!(call.item::<Item>().await, item(number));
        }
        call.cancel().await;
        assert_eq!(call.failure().await.code, "CANCELLED");
        handling.dropped().await;
        goes_on(&caller, &handler).await;
    }
}

async fn cancel_in_upload(pair: Pair) {
    for (caller, handler) in pair.talk().await.both_ways() {
        let call = caller.start_with("upload_req", Start::default()).await;
        let handling = handler.handling("upload_req").await;
        handling.read(u64::MAX).await;
        call.send(&item(1), 1).await;
        assert_eq!(handling.item().await, item(1));
        call.cancel().await;
        assert_eq!(call.failure().await.code, "CANCELLED");
        handling.dropped().await;
        goes_on(&caller, &handler).await;
    }
}

async fn cancel_in_both(pair: Pair) {
    for (caller, handler) in pair.talk().await.both_ways() {
        let call = caller.start_with("both_req", Start::default()).await;
        let handling = handler.handling("both_req").await;
        handling.read(u64::MAX).await;
        call.send(&item(1), 1).await;
        assert_eq!(handling.item().await, item(1));
        handling.send(&counted(1), 1).await;
        assert_eq!(call.item::<Count>().await, counted(1));
        call.cancel().await;
        assert_eq!(call.failure().await.code, "CANCELLED");
        handling.dropped().await;
        goes_on(&caller, &handler).await;
    }
}

async fn cancel_after_the_end(pair: Pair) {
    for (caller, handler) in pair.talk().await.both_ways() {
        let call = caller.start("unary_req", &item(1)).await;
        handler.handling("unary_req").await.answer(&item(2)).await;
        assert_eq!(call.answer::<Item>().await, item(2));
        call.cancel().await;
        goes_on(&caller, &handler).await;
    }
}

/// Calls that are answered in another order.
async fn many_at_once(pair: Pair) {
    for (caller, handler) in pair.talk().await.both_ways() {
        let (mut calls, mut handlings) = (Vec::new(), Vec::new());
        for number in 0..30 {
            calls.push(caller.start("unary_req", &item(number)).await);
            handlings.push(handler.handling("unary_req").await);
        }
        for handling in handlings.into_iter().rev() {
            let number = handling.item_number();
            handling.answer(&item(100 + number)).await;
        }
        for (number, call) in (100..).zip(&calls) {
            assert_eq!(call.answer::<Item>().await, item(number));
        }
    }
}
