//! HELLO and its answer.

use msip_runtime::{
    Protocol as _,
    wire::{FrameType, Hello, Welcome},
};
use msip_tests::raw::{self, RawPeer};

use super::Groups;
use crate::{
    case::Driver,
    failure::fail,
    message::item,
    pair::serve,
    protocol::conformance::Conformance,
    raw::{
        RawServer, envelope, hear, hear_to_the_end, hello, line, try_hear, vector, welcome,
        welcome_in,
    },
};

pub(super) fn add(groups: &mut Groups) {
    let server = &mut groups.server;
    server.server("welcome", &[], says_welcome);
    server.server("other-protocol", &[], other_protocol);
    server.server("other-fingerprint", &[], other_fingerprint_of_a_client);
    server.server("unknown-codec", &[], unknown_codec);
    server.server("before-hello", &[], before_hello);
    let client = &mut groups.client;
    client.client("hello", &[], says_hello);
    client.client("other-fingerprint", &[], other_fingerprint_of_a_server);
    client.client(
        "codec-that-was-not-offered",
        &[],
        codec_that_was_not_offered,
    );
    client.client("refused", &[], refused);
}

async fn says_welcome(driver: Driver) {
    let settings = "ping_interval=3s&max_body=2MiB&max_calls=9";
    let listening = serve(&driver.process, &driver.ways, settings).await;
    let mut raw = listening.dial().await;
    raw.say(&raw::hello_frame(&hello())).await;
    let welcome = welcome_in(hear(&mut raw).await);
    assert_eq!(welcome.fingerprint, Conformance::fingerprint());
    assert_eq!(welcome.codec, 1, "protobuf");
    assert_eq!((welcome.keepalive_ms, welcome.max_body), (3_000, 2 << 20));
    assert_eq!(welcome.max_open_calls, 9);
    assert_ne!(welcome.peer_id, 0);
    assert!(!welcome.resumed && !welcome.broker);
}

/// What a server says first to this Hello.
async fn answer_to(driver: &Driver, hello: &Hello) -> (String, RawPeer) {
    let listening = serve(&driver.process, &driver.ways, "").await;
    let mut raw = listening.dial().await;
    raw.say(&raw::hello_frame(hello)).await;
    (line(&hear(&mut raw).await), raw)
}

async fn other_protocol(driver: Driver) {
    let other = Hello {
        protocol: "chat".to_owned(),
        ..hello()
    };
    let (refused, mut raw) = answer_to(&driver, &other).await;
    for part in ["ERROR", "FAILED_PRECONDITION", "chat", "conformance"] {
        assert!(refused.contains(part), "{refused}");
    }
    let next = try_hear(&mut raw).await;
    assert!(next.is_none_or(|frame| frame.header.frame_type == FrameType::Close));
}

async fn other_fingerprint_of_a_client(driver: Driver) {
    let other = Hello {
        fingerprint: 7,
        ..hello()
    };
    let listening = serve(&driver.process, &driver.ways, "").await;
    let mut raw = listening.dial().await;
    raw.say(&raw::hello_frame(&other)).await;
    let welcome = welcome_in(hear(&mut raw).await);
    assert_eq!(welcome.fingerprint, Conformance::fingerprint());
    let peer = listening.peer().await;
    raw.say(&vector("publish-call")).await;
    peer.handling("unary_req").await.answer(&item(2)).await;
    let answer = hear(&mut raw).await;
    assert_eq!(answer.payload, envelope(1, &item(2)));
}

async fn unknown_codec(driver: Driver) {
    let other = Hello {
        codecs: vec![77],
        ..hello()
    };
    let (refused, _) = answer_to(&driver, &other).await;
    assert!(refused.contains("UNIMPLEMENTED"), "{refused}");
    // The first that the server has is taken.
    let several = Hello {
        codecs: vec![77, 1],
        ..hello()
    };
    let (accepted, _) = answer_to(&driver, &several).await;
    assert!(accepted.starts_with("ACK"), "{accepted}");
}

async fn before_hello(driver: Driver) {
    let listening = serve(&driver.process, &driver.ways, "").await;
    for name in ["ping", "publish", "close", "event"] {
        let mut raw = listening.dial().await;
        raw.say(&vector(name)).await;
        let heard = hear_to_the_end(&mut raw).await;
        let is_welcomed = heard.iter().any(|line| line.starts_with("ACK"));
        assert!(!is_welcomed, "{name}: {heard:?}");
    }
    let mut raw = listening.dial().await;
    raw.greet_with(&hello()).await;
    listening.peer().await;
}

async fn says_hello(driver: Driver) {
    let server = RawServer::of(&driver, "ping_interval=3s&max_body=2MiB").await;
    let (_, _, hello) = server.accept().await;
    let hello = hello.hello;
    assert_eq!(hello.protocol, "conformance");
    assert_eq!(hello.fingerprint, Conformance::fingerprint());
    let codecs = hello.codecs;
    assert!(codecs.is_empty() || codecs == [1], "{codecs:?}");
    assert_eq!((hello.keepalive_ms, hello.max_body), (3_000, 2 << 20));
    assert!(hello.awaited.is_empty() && hello.credential.is_empty());
    assert!(hello.session_secret != [0; 16], "a secret is random");
}

/// Rolling upgrades depend on it that another schema is no reason to refuse.
async fn other_fingerprint_of_a_server(driver: Driver) {
    let server = RawServer::of(&driver, "").await;
    let other = Welcome {
        fingerprint: 7,
        ..welcome()
    };
    let (mut raw, _) = server.connected_by(&other).await;
    raw.say(&vector("event")).await;
    server.client.handling("note_ind").await;
}

async fn codec_that_was_not_offered(driver: Driver) {
    let server = RawServer::of(&driver, "").await;
    let other = Welcome {
        codec: 2,
        ..welcome()
    };
    let (mut raw, _) = server.welcome(&other).await;
    let (outcome, _) = tokio::join!(server.outcome(), hear_to_the_end(&mut raw));
    assert!(outcome.is_err(), "the client is connected");
}

async fn refused(driver: Driver) {
    for (code, message) in [
        ("FAILED_PRECONDITION", "this is `chat`"),
        ("UNAUTHENTICATED", "who are you"),
        ("UNIMPLEMENTED", "no"),
    ] {
        let server = RawServer::of(&driver, "").await;
        let (mut raw, id, _) = server.accept().await;
        let text = format!("{code}: {message}");
        raw.say(&raw::frame(FrameType::Error, id, text.as_bytes()))
            .await;
        match server.outcome().await {
            Ok(()) => fail("the client is connected"),
            Err(status) => {
                assert_eq!(status.code, code);
                assert!(status.message.contains(message), "{status:?}");
            }
        }
    }
}
