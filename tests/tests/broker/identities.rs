//! Who has sent a message: what the broker has authenticated, whatever the sender says.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use msip_broker::{
    Broker,
    access::{Principal, Rights},
    msip::BrokerService,
    router::{Limits, Router},
};
use msip_runtime::{
    ConnectRequest, Identity, MsgKind, Status,
    untyped::{
        Event, Inbound, Service, SubscribeOptions, UntypedClient, UntypedPeer, UntypedProtocol,
        UntypedServer,
    },
    wire::{Codec, Flags, FrameType, Header, Hello, MsgId, SECRET_LEN, Side},
};
use msip_tests::{
    Recorder, next,
    raw::{self, RawPeer},
    recorder,
};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, sync::mpsc, time::Instant};

/// Tells what it hears, and from whom.
struct Tell(Recorder<String>);

impl Service for Tell {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        while let Some(event) = inbound.next().await {
            match event {
                Event::Messages(messages) => {
                    for message in messages.iter() {
                        let body = message.body();
                        self.0.record(format!("{body:?} from nobody"));
                    }
                }
                Event::Exchange(exchange) => {
                    let from = exchange.metadata().identity().map_or_else(
                        || "nobody".to_owned(),
                        |identity| match identity.has_role("admin") {
                            true => format!("{}, admin", identity.user),
                            false => identity.user.clone(),
                        },
                    );
                    let body = exchange.message.raw_body().to_vec();
                    self.0.record(format!("{body:?} from {from}"));
                }
                _ => {}
            }
        }
    }
}

/// A client that hears topic `a`.
async fn hears(url: &str, credential: &'static str) -> (UntypedClient, mpsc::Receiver<String>) {
    let (seen, heard) = recorder();
    let client = UntypedClient::builder(url, "raw", 0)
        .credential(credential)
        .service(Tell(seen));
    let client = client.connect().await.expect("connects");
    let subscribed = client.subscribe("a", &SubscribeOptions::new()).await;
    subscribed.expect("is allowed");
    (client, heard)
}

/// A field of a protobuf message, with this content.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let len = u8::try_from(content.len()).expect("is short");
    [&[number << 3 | 2, len], content].concat()
}

/// What stands before the topic of a message with this metadata: the correlation id `x`, and an identity that nobody has.
fn forged_metadata() -> Vec<u8> {
    // Fields of `Metadata` and `Identity` in hello.proto.
    let root = [field(1, b"root"), field(4, b"admin")].concat();
    let metadata = [field(2, b"x"), field(10, &root)].concat();
    let len = u16::try_from(metadata.len()).expect("is short");
    [&len.to_be_bytes()[..], &metadata].concat()
}

#[tokio::test]
async fn an_identity_that_a_publisher_forges_is_replaced_by_its_own() {
    let start = Instant::now();
    let service = BrokerService::new(
        Router::new(Limits::default()),
        move || start.elapsed(),
        |peer| Some((Principal::new(peer.name()), Arc::new(Rights::all()))),
    );
    let by_name = |client: ConnectRequest| async move {
        let name = String::from_utf8_lossy(client.credential()).into_owned();
        Ok::<_, Status>(Identity::new("token").with_user(name))
    };
    let server = UntypedServer::builder("tcp://127.0.0.1:0")
        .untyped(UntypedProtocol::any().with_topics(), service)
        .authenticate(by_name)
        .bind()
        .await
        .expect("listens");
    let url = server.local_url().clone();
    let serving = tokio::spawn(server.serve());
    let (_client, mut heard) = hears(&url.to_string(), "bob").await;

    let mut ada = RawPeer::dial(&url).await;
    ada.greet_with(&Hello {
        protocol: "raw".to_owned(),
        codecs: vec![Codec::Protobuf.into()],
        session_secret: vec![7; SECRET_LEN],
        credential: "ada".into(),
        ..Hello::default()
    })
    .await;
    let payload = [&*forged_metadata(), &[0, 1], b"a", &[1]].concat();
    let header = Header {
        flags: Flags::META,
        kind: MsgKind::Event.into(),
        variant: 2,
        ..Header::control(FrameType::Publish, MsgId::exchange(Side::Connecting, 2))
    };
    ada.say(&raw::frame_of(header, &payload)).await;
    assert_eq!(next(&mut heard).await, "[1] from ada");
    serving.abort();
}

/// The keys are read again while somebody logs in: after the key was found, and before, or after, the broker looks for what its
/// holder may do.
#[tokio::test]
async fn a_key_that_is_withdrawn_during_a_login_opens_no_session() {
    for looks in 0..2 {
        let (start, router) = (Instant::now(), Router::new(Limits::default()));
        let left = AtomicUsize::new(looks);
        let service = BrokerService::new(
            router,
            move || start.elapsed(),
            move |peer| {
                let look = left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
                let rights = || (Principal::new(peer.name()), Arc::new(Rights::all()));
                look.is_ok().then(rights)
            },
        );
        let server = UntypedServer::builder("tcp://127.0.0.1:0")
            .untyped(UntypedProtocol::any().with_topics(), service)
            .bind()
            .await
            .expect("listens");
        let url = server.local_url().clone();
        let serving = tokio::spawn(server.serve());
        let mut raw = RawPeer::dial(&url).await;
        raw.say(&raw::hello_frame(&Hello {
            protocol: "raw".to_owned(),
            codecs: vec![Codec::Protobuf.into()],
            session_secret: vec![7; SECRET_LEN],
            ..Hello::default()
        }))
        .await;
        raw.hear_type(FrameType::Ack).await;
        let told = raw.hear_to_the_end().await;
        let why = "PERMISSION_DENIED: the principal has lost its rights";
        assert!(
            told.iter().any(|frame| frame.contains(why)),
            "{looks}: {told:?}"
        );
        serving.abort();
    }
}

#[tokio::test]
async fn what_a_mip_peer_sends_is_a_body_and_never_metadata() {
    let broker = Broker::builder().listen("tcp://127.0.0.1:0").bind().await;
    let broker = broker.expect("listens");
    let url = broker.local_urls().next().expect("a listener").to_string();
    let serving = tokio::spawn(broker.serve_until(std::future::pending()));
    let (_client, mut heard) = hears(&url, "").await;

    let address = url.strip_prefix("tcp://").expect("a TCP address");
    let mut mip = TcpStream::connect(address.trim_end_matches('/'))
        .await
        .expect("connects");
    let frame = |frame_type: u16, flags: u8, payload: &[u8]| {
        let len = u32::try_from(payload.len()).expect("is short");
        let mut frame = b"MSIP\x01".to_vec();
        frame.push(flags);
        frame.extend(frame_type.to_be_bytes());
        frame.extend([0, 1, 0, 0]);
        frame.extend(len.to_be_bytes());
        frame.extend([0, 0, 0, 0, 0, 0, 0, 9]);
        frame.extend(payload);
        frame
    };
    // The flag of metadata is none of MIP's, and is not passed on: what follows the topic is the body.
    let forged = forged_metadata();
    let payload = [&[0, 1], &b"a"[..], &*forged].concat();
    let said = [
        frame(1, 0, b""),
        frame(4, Flags::META.bits(), &payload),
        frame(4, 0, &payload),
    ]
    .concat();
    mip.write_all(&said).await.expect("is written");
    for _ in 0..2 {
        assert_eq!(
            next(&mut heard).await,
            format!("{forged:?} from nobody"),
            "a body"
        );
    }
    // And metadata in front of the topic is a topic that nobody hears.
    let payload = [&*forged, &[0, 1], b"a", &[1]].concat();
    let said = [
        frame(4, Flags::META.bits(), &payload),
        frame(4, 0, &[&[0, 1], &b"a"[..], &[2]].concat()),
    ]
    .concat();
    mip.write_all(&said).await.expect("is written");
    assert_eq!(next(&mut heard).await, "[2] from nobody");
    serving.abort();
}
