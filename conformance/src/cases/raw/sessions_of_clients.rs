//! What a client says of its session when it comes back, and what it makes of the answer.

use msip_runtime::wire::{Flags, FrameType, MsgId, Side, Welcome};
use msip_tests::raw;

use super::{Groups, sessions::QUICK};
use crate::{
    case::Driver,
    failure::fail,
    message::item,
    protocol::conformance::Item,
    raw::{Place, RawServer, resumed, welcome},
};

pub(super) fn add(groups: &mut Groups) {
    let client = &mut groups.client;
    client.client("resumes", &["resume"], resumes);
    client.client("awaits", &["resume"], awaits);
    client.client("session-lost", &["resume"], |driver| {
        session_lost(driver, false)
    });
    client.client("another-session-of-that-id", &["resume"], |driver| {
        session_lost(driver, true)
    });
    client.client("taken-over", &["resume"], taken_over);
}

/// Where the client connects to.
fn server(place: &Place) -> &RawServer {
    match place {
        Place::Client(server) => server,
        Place::Server(_) => fail("the driver has a server"),
    }
}

async fn resumes(driver: Driver) {
    let server = RawServer::of(&driver, QUICK).await;
    let (raw, first) = server.connected().await;
    drop(raw);
    let (_raw, second) = server.welcome(&resumed()).await;
    assert_eq!(second.session_id, first.session_id);
    assert_eq!(second.hello.session_secret, first.hello.session_secret);
    assert!(server.client.connected().await, "resumed");
}

async fn awaits(driver: Driver) {
    let mut met = driver.meet(QUICK).await;
    let (mut calls, mut ids) = (Vec::new(), Vec::new());
    for number in 1..=3 {
        calls.push(met.end.start("unary_req", &item(number)).await);
        ids.push(met.hear_opening().await.header.msg_id);
    }
    drop(met.raw);
    let (raw, hello) = server(&met.place).welcome(&resumed()).await;
    met.raw = raw;
    let mut awaited = hello.hello.awaited;
    awaited.sort_unstable();
    let expected: Vec<_> = ids.iter().map(|id| id.number()).collect();
    assert_eq!(awaited, expected);
    // None of them is sent again.
    met.goes_on().await;
    for (id, text) in [
        (ids[0], "UNAVAILABLE: not received"),
        (ids[1], "UNKNOWN: reply lost"),
    ] {
        let fate = raw::frame(FrameType::Error, id, text.as_bytes());
        met.raw.say(&fate).await;
    }
    met.answer(ids[2], Flags::NONE, "unary_rsp", &item(9)).await;
    assert_eq!(calls[0].failure().await.code, "UNAVAILABLE");
    assert_eq!(calls[1].failure().await.code, "UNKNOWN");
    assert_eq!(calls[2].answer::<Item>().await, item(9));
}

/// A server that knows nothing of the session, or has another one under its id.
async fn session_lost(driver: Driver, is_resumed: bool) {
    let mut met = driver.meet(QUICK).await;
    let call = met.end.start("unary_req", &item(1)).await;
    let sending = met.end.start("save_ind", &item(2)).await;
    met.hear_opening().await;
    met.hear_opening().await;
    drop(met.raw);
    let other = Welcome {
        resumed: is_resumed,
        peer_id: 8,
        ..welcome()
    };
    met.raw = server(&met.place).welcome(&other).await.0;
    met.end.session_lost().await;
    call.failure().await;
    assert_eq!(sending.failure().await.code, "UNKNOWN");
    // Nothing is sent again in another session.
    met.goes_on().await;
    // Deliveries of the new session are numbered anew.
    met.end.start("save_ind", &item(3)).await;
    let saved = met.hear().await.header.msg_id;
    assert_eq!(saved, MsgId::delivery(Side::Connecting, 1));
}

/// Of two connections that claim one session the older one does not come back.
async fn taken_over(driver: Driver) {
    let mut met = driver.meet(QUICK).await;
    let text = b"ABORTED: session taken over";
    met.raw
        .say(&raw::frame(FrameType::Close, MsgId::CONNECTION, text))
        .await;
    met.raw.finish().await;
    met.end.disconnected().await;
    let status = met.end.closed().await;
    assert_eq!(status.code, "ABORTED");
}
