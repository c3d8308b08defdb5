//! Peers that show keys: whose a session is, and what nobody is shown.

use std::fs;

use msip_runtime::{
    CallOptions, MsgKind, Variant,
    auth::ApiKey,
    transport::ServiceUrl,
    untyped::{SubscribeOptions, UntypedClient, UntypedMessage},
    wire::{Codec, Flags, FrameType, Header, Hello, MsgId, SECRET_LEN, Side},
};
use msip_tests::{
    attack::RawMessage,
    raw::{self, RawPeer},
};
use tempfile::TempDir;

use crate::process::{Broker, get};

const NOTE: Variant = Variant::new(2, "note", MsgKind::State);

/// A broker with the keys of ada and eve, who may do the same.
struct Keyed {
    broker: Broker,
    keys: [ApiKey; 2],
    _folder: TempDir,
}

impl Keyed {
    async fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = ["ada", "eve"].map(|_| ApiKey::generate().expect("random numbers"));
        let entries = keys.iter().zip(["ada", "eve"]);
        let entries = entries.map(|(key, name)| key.entry(name).with_role("all").to_string());
        let entries: Vec<_> = entries.collect();
        fs::write(folder.path().join("keys"), entries.join("\n")).expect("is written");
        let file = folder.path().join("broker.toml");
        let text = "[[listener]]\nurl = 'tcp://127.0.0.1:0'\n[keys]\nfile = 'keys'\n[roles.all]\n\
                    publish = ['#']\nsubscribe = ['#']\nrequest = ['#']";
        fs::write(&file, text).expect("is written");
        let file = file.to_str().expect("text");
        let arguments = [&["--config", file], arguments].concat();
        let broker = Broker::start(&arguments, 1).await;
        Self {
            broker,
            keys,
            _folder: folder,
        }
    }

    /// Somebody who asks for one session, of which the secret is this byte repeated.
    async fn ask(&self, key: Option<&ApiKey>, secret: u8) -> RawPeer {
        let url = ServiceUrl::parse(&self.broker.urls[0]).expect("a URL");
        let hello = Hello {
            protocol: "raw".to_owned(),
            codecs: vec![Codec::Protobuf.into()],
            session_secret: vec![secret; SECRET_LEN],
            credential: key.map_or_else(Vec::new, |key| key.as_str().as_bytes().to_vec()),
            ..Hello::default()
        };
        let mut peer = RawPeer::dial(&url).await;
        peer.say(&raw::resuming_frame(&hello)).await;
        peer
    }
}

#[tokio::test]
async fn a_session_is_resumed_by_its_principal_with_its_secret_and_by_nobody_else() {
    let keyed = Keyed::start(&[]).await;
    let [ada, eve] = &keyed.keys;
    let mut owner = keyed.ask(Some(ada), 7).await;
    owner.hear_type(FrameType::Ack).await;
    let news = MsgId::exchange(Side::Connecting, 2);
    let header = Header {
        flags: Flags::ACK_REQUIRED,
        ..Header::control(FrameType::Subscribe, news)
    };
    owner.say(&raw::frame_of(header, b"news")).await;
    owner.hear_type(FrameType::Ack).await;
    for (name, key, secret, told) in [
        (
            "another principal",
            Some(eve),
            7,
            "the session cannot be resumed",
        ),
        (
            "another secret",
            Some(ada),
            8,
            "the session cannot be resumed",
        ),
        ("no credential", None, 7, "not authenticated"),
    ] {
        let mut thief = keyed.ask(key, secret).await;
        let heard = thief.hear_to_the_end().await;
        let expected = format!("ERROR {}: UNAUTHENTICATED: {told}", raw::HELLO_ID);
        assert_eq!(heard.first(), Some(&expected), "{name}");
    }
    // It has its connection still, and its subscription.
    let message = RawMessage::one_way(1, "mine").topic(b"news");
    let id = MsgId::exchange(Side::Connecting, 3);
    owner.say(&message.frame(Side::Connecting, id)).await;
    owner.hear_type(FrameType::Event).await;
    keyed.broker.stop().await;
}

/// Neither in the log nor in what `--admin` shows: keys, their hashes, secrets of sessions, bodies and headers of messages.
#[tokio::test]
async fn nothing_that_is_shown_or_logged_has_a_secret() {
    let mut keyed = Keyed::start(&["--admin", "127.0.0.1:0", "--log", "json,trace"]).await;
    let admin = keyed.broker.line().await.replace("admin on http://", "");
    let key = &keyed.keys[0];
    let client = UntypedClient::builder(&keyed.broker.urls[0], "raw", 0);
    let client = client.credential(key.as_str()).connect().await;
    let client = client.expect("connects");
    let subscribed = client.subscribe("news", &SubscribeOptions::new()).await;
    subscribed.expect("is allowed");
    let note = UntypedMessage::new(&NOTE, "body-of-a-message").to_topic("news");
    let options = CallOptions::new().header("password", "header-of-a-message");
    let delivered = client.deliver(&note.expect("a topic"), &options).await;
    delivered.expect("is taken over");
    let mut raw = keyed.ask(Some(key), b'Q').await;
    raw.hear_type(FrameType::Ack).await;
    let mut stranger = keyed.ask(None, b'Q').await;
    stranger.hear_to_the_end().await;

    let mut shown = String::new();
    for path in [
        "/",
        "/metrics",
        "/connections",
        "/connections?state=closed",
        "/sessions",
        "/topics",
        "/slow",
        "/rates",
    ] {
        let (status, body) = get(&admin, path).await.expect("an answer");
        assert_eq!(status, 200, "{path}");
        shown += &body;
    }
    assert!(
        shown.contains("\"principal\":\"ada\"") && shown.contains("\"news\""),
        "{shown}"
    );
    drop(client);
    let entry = key.entry("ada").to_string();
    let hash = entry.split_whitespace().last().expect("a hash").to_owned();
    let secret = "Q".repeat(SECRET_LEN);
    let key = key.as_str().to_owned();
    let shown = shown + &keyed.broker.stop().await;
    for what in [
        &*key,
        &hash,
        &secret,
        "body-of-a-message",
        "header-of-a-message",
    ] {
        assert!(!shown.contains(what), "{what}: {shown}");
    }
}
