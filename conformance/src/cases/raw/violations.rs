//! What ends a connection, and what is ignored.

use msip_runtime::wire::{Flags, FrameType, MsgId, Side};
use msip_tests::raw;

use super::Groups;
use crate::{
    case::Driver,
    message::item,
    protocol::conformance::control::Start,
    raw::{Met, Opening, hello, vector, with_id},
};

pub(super) fn add(groups: &mut Groups) {
    groups.both("violations", &[], violations);
    groups.both("strays", &[], strays);
    groups.both("too-large", &[], too_large);
    groups.both("request-beyond-the-window", &[], requests_beyond_the_window);
    groups.both("answer-beyond-the-window", &[], answers_beyond_the_window);
}

/// The connection ends, with an ERROR for it.
async fn is_ended(met: &mut Met, why: &str) {
    let heard = met.hear_to_the_end().await;
    let is_told = heard.iter().any(|line| line.starts_with("ERROR"));
    assert!(is_told, "{why}: {heard:?}");
    met.end.disconnected().await;
}

async fn violations(driver: Driver) {
    let side = driver.raw_side;
    let (foreign, own, call) = match side {
        Side::Connecting => ("event", raw::hello_frame(&hello()), "publish-call"),
        Side::Accepting => ("publish", vector("hello"), "event-both"),
    };
    let of_connection = |payload: &[u8]| raw::frame(FrameType::Credit, MsgId::CONNECTION, payload);
    let of_other_side = MsgId::exchange(side.reverse(), 5);
    let frames = [
        ("a message of the other side", vector(foreign)),
        ("a second HELLO, or one of a server", own),
        (
            "a call under the id 0",
            with_id(vector(call), MsgId::CONNECTION),
        ),
        (
            "a call under an id of the other side",
            with_id(vector(call), of_other_side),
        ),
        ("a CREDIT of nothing", of_connection(&[0; 8])),
        (
            "credit beyond what can be counted",
            of_connection(&[255; 8]),
        ),
    ];
    for (name, frame) in frames {
        let mut met = driver.meet("").await;
        met.raw.say(&frame).await;
        is_ended(&mut met, name).await;
    }
}

/// What answers nothing is ignored.
async fn strays(driver: Driver) {
    let mut met = driver.meet("").await;
    // Nothing was opened under these.
    let asked = |number| MsgId::exchange(driver.raw_side.reverse(), number);
    let served = met.id(500);
    met.answer(asked(500), Flags::NONE, "unary_rsp", &item(1))
        .await;
    met.raw.say(&with_id(vector("error"), asked(500))).await;
    let credit = [0, 0, 0, 1, 0, 0, 0, 1];
    for frame in [
        raw::frame(FrameType::Credit, asked(500), &credit),
        raw::frame(FrameType::Cancel, served, b""),
        raw::frame(FrameType::Pong, asked(501), b""),
    ] {
        met.raw.say(&frame).await;
    }
    let item = Opening::item(met.said("upload_req"), &item(1));
    met.begin(&item, met.id(502)).await;
    met.goes_on().await;
}

/// A payload that no body, metadata and topic may have ends the connection, from its header alone.
async fn too_large(driver: Driver) {
    let mut met = driver.meet("max_body=4096").await;
    let len = 4096 + 8192 + 255 + 5;
    let opener = raw::opener(met.side);
    met.raw.say(&raw::announced(opener, met.id(2), len)).await;
    is_ended(&mut met, "too large").await;
}

async fn requests_beyond_the_window(driver: Driver) {
    let mut met = driver.meet("").await;
    let upload = met.said("upload_req");
    met.begin(&Opening::stream(upload), met.id(2)).await;
    let handling = met.end.handling("upload_req").await;
    for _ in 0..17 {
        met.begin(&Opening::item(upload, &item(1)), met.id(2)).await;
    }
    is_ended(&mut met, "beyond the window").await;
    handling.dropped().await;
}

async fn answers_beyond_the_window(driver: Driver) {
    let mut met = driver.meet("").await;
    let start = Start::default();
    let call = met.end.start_reading("download_req", start, 0).await;
    let asked = met.hear_opening().await.header.msg_id;
    for _ in 0..17 {
        met.answer(asked, Flags::MORE, "download_rsp", &item(1))
            .await;
    }
    is_ended(&mut met, "beyond the window").await;
    call.read(20).await;
    call.failure().await;
}
