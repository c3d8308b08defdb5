//! Negotiation: what two peers agree on, and their errors when they cannot.

use msip_runtime::{
    Client, Codec, Compression, CompressionsFor, ConnectError, ConnectRequest, Identity,
    Protocol as _, SendError, Server, Status, prost_types,
    transport::{Listener, ServiceUrl},
    wire::{Flags, FrameType, Hello, Welcome, parse_welcome},
};
use msip_tests::{
    Echo, RawCaller,
    raw::{self, RawPeer},
    sampler::{HandleServerToClient, Sampler, SendClientToServer as _, Text, WellKnown},
    soon,
};
use tokio::sync::mpsc;

fn hello(codecs: &[i32], compressions: &[i32]) -> Hello {
    Hello {
        codecs: codecs.to_vec(),
        compressions: compressions.to_vec(),
        ..raw::hello_of::<Sampler>()
    }
}

/// The codecs and compressions that are offered, and the two that are chosen.
type Offer = (&'static [i32], &'static [i32], (i32, i32));

#[tokio::test]
async fn a_server_takes_the_first_that_it_has() {
    let url = Echo::start("mem://takes-the-first").await;
    let cases: [Offer; 7] = [
        (&[], &[], (1, 0)),
        (&[1], &[0], (1, 0)),
        (&[2, 1], &[2, 1], (2, 2)),
        (&[3, 2, 1], &[1, 2], (3, 1)),
        (&[99, 0, 2], &[99, 3], (2, 3)),
        (&[1, 2], &[99], (1, 0)),
        (&[1], &[0, 1], (1, 0)),
    ];
    for (codecs, compressions, expected) in cases {
        let mut peer = RawPeer::dial(&url).await;
        peer.say(&raw::hello_frame(&hello(codecs, compressions)))
            .await;
        let answer = peer.hear_type(FrameType::Ack).await;
        let welcome = parse_welcome(answer.payload).expect("a Welcome").welcome;
        assert_eq!(
            (welcome.codec, welcome.compression),
            expected,
            "{codecs:?} {compressions:?}"
        );
    }
    let mut peer = RawPeer::dial(&url).await;
    peer.say(&raw::hello_frame(&hello(&[99, 4], &[]))).await;
    assert_eq!(
        peer.hear_to_the_end().await,
        [
            "ERROR c1: UNIMPLEMENTED: no codec in common: the client offers number 99, number 4, this \
             server has protobuf, json, msgpack"
        ]
    );
}

/// What a server at this URL answers to an offer: the codec and compression that it has chosen, or its refusal.
async fn choice(url: &ServiceUrl, hello: &Hello) -> Result<(i32, i32), Vec<String>> {
    let mut peer = RawPeer::dial(url).await;
    peer.say(&raw::hello_frame(hello)).await;
    let answer = peer.hear().await.expect("an answer");
    if answer.header.frame_type != FrameType::Ack {
        return Err(vec![raw::text(&answer.payload)]);
    }
    let welcome = parse_welcome(answer.payload).expect("a Welcome").welcome;
    Ok((welcome.codec, welcome.compression))
}

#[tokio::test]
async fn a_server_takes_what_its_settings_say() {
    let url = Echo::start("mem://says-what?codecs=msgpack,protobuf&compressions=lz4").await;
    for (codecs, compressions, expected) in [
        (&[][..], &[][..], (1, 0)),
        (&[2, 3], &[1, 2, 3], (3, 3)),
        (&[2, 1], &[1, 2], (1, 0)),
    ] {
        let chosen = choice(&url, &hello(codecs, compressions)).await;
        assert_eq!(chosen, Ok(expected), "{codecs:?} {compressions:?}");
    }
    let refused = choice(&url, &hello(&[2], &[])).await.expect_err("no JSON");
    assert_eq!(
        refused,
        [
            "UNIMPLEMENTED: no codec in common: the client offers json, this server takes protobuf, msgpack (codecs)"
        ]
    );
    let url = Echo::start("mem://says-json?codecs=json&compressions=none").await;
    assert_eq!(choice(&url, &hello(&[2], &[1, 2, 3])).await, Ok((2, 0)));
    let refused = choice(&url, &hello(&[], &[])).await.expect_err("protobuf");
    assert_eq!(
        refused,
        [
            "UNIMPLEMENTED: no codec in common: the client offers protobuf, this server takes json (codecs)"
        ]
    );
}

#[tokio::test]
async fn compressed_bodies_are_taken_from_clients_with_an_identity_where_the_server_says_so() {
    let server = Server::<Sampler>::builder("mem://identified")
        .compressions_for(CompressionsFor::Identified)
        .authenticate(|client: ConnectRequest| async move {
            Ok::<_, Status>(match client.credential() {
                b"ada" => Identity::new("token").with_user("ada"),
                _ => Identity::new("guest"),
            })
        })
        .bind()
        .await
        .expect("listens");
    let url = server.local_url().clone();
    tokio::spawn(server.serve(Echo));
    let offer = |credential: &[u8]| Hello {
        credential: credential.to_vec(),
        ..hello(&[], &[2])
    };
    assert_eq!(choice(&url, &offer(b"ada")).await, Ok((1, 2)));
    assert_eq!(choice(&url, &offer(b"")).await, Ok((1, 0)));

    // What a guest compresses nevertheless is refused before it is inflated.
    let mut guest = RawCaller::new(&url, &offer(b"")).await;
    let answer = guest.call(3, Flags::COMPRESSED, &[2, 0x28, 0xb5]).await;
    let text = raw::text(&answer.payload);
    assert!(text.starts_with("INVALID_ARGUMENT: "), "{text}");

    // Without `authenticate` nobody has an identity.
    let url = Echo::start("mem://nobody?compressions_for=identified").await;
    assert_eq!(choice(&url, &offer(b"ada")).await, Ok((1, 0)));
}

/// A server that answers one HELLO with this Welcome, and tells what was asked.
async fn answer(listener: &Listener, change: impl Fn(&mut Welcome)) -> (RawPeer, Hello) {
    let mut peer = RawPeer::accept(listener).await;
    let frame = peer.hear_type(FrameType::Hello).await;
    let hello = msip_runtime::wire::parse_hello(frame.header.kind, frame.payload).expect("a HELLO");
    let mut welcome = Welcome {
        fingerprint: Sampler::fingerprint(),
        peer_id: 7,
        ..Welcome::default()
    };
    change(&mut welcome);
    peer.say(&raw::welcome_frame(
        frame.header.msg_id,
        hello.session_id.number(),
        &welcome,
    ))
    .await;
    (peer, hello.hello)
}

#[tokio::test]
async fn a_client_accepts_what_it_offered_and_nothing_else() {
    let listener = Listener::bind(&ServiceUrl::parse("mem://accepts").expect("an address"))
        .await
        .expect("listens");
    let cases = [
        (
            "codec=protobuf",
            1,
            0,
            Ok((Codec::Protobuf, Compression::None)),
        ),
        (
            "codec=protobuf",
            0,
            0,
            Ok((Codec::Protobuf, Compression::None)),
        ),
        ("codec=json", 2, 0, Ok((Codec::Json, Compression::None))),
        (
            "codec=msgpack&compress=lz4",
            3,
            3,
            Ok((Codec::MessagePack, Compression::Lz4)),
        ),
        (
            "compress=zstd",
            1,
            0,
            Ok((Codec::Protobuf, Compression::None)),
        ),
        (
            "codec=json",
            1,
            0,
            Err("chose the codec protobuf, but json was offered"),
        ),
        (
            "codec=json",
            0,
            0,
            Err("chose the codec number 0, but json was offered"),
        ),
        (
            "codec=json",
            9,
            0,
            Err("chose the codec number 9, but json was offered"),
        ),
        (
            "compress=zstd",
            1,
            1,
            Err("chose the compression gzip, but zstd was offered"),
        ),
        (
            "codec=json",
            2,
            2,
            Err("chose the compression zstd, but none was offered"),
        ),
    ];
    for (query, codec, compression, expected) in cases {
        let url = format!("mem://accepts?{query}");
        let connecting = tokio::spawn(async move { Client::<Sampler>::connect(url).await });
        let (_peer, hello) = answer(&listener, |welcome| {
            welcome.codec = codec;
            welcome.compression = compression;
        })
        .await;
        assert_eq!(hello.codecs.len(), 1, "{query}");
        let connected = soon("an outcome", connecting).await.expect("no panic");
        match (connected, expected) {
            (Ok(client), Ok(expected)) => {
                let connection = client.connection();
                assert_eq!(
                    (connection.codec(), connection.compression()),
                    expected,
                    "{query}"
                );
            }
            (Err(ConnectError::Protocol { rule, .. }), Err(expected)) => {
                assert_eq!(rule, expected, "{query}")
            }
            (connected, expected) => panic!("{query}: {connected:?}, not {expected:?}"),
        }
    }
}

#[tokio::test]
async fn a_codec_that_there_is_not_is_an_error_of_the_setting() {
    for (query, expected) in [
        (
            "codec=yaml",
            "setting `codec`: expected `protobuf`, `json` or `msgpack`, found `yaml`",
        ),
        (
            "compress=br",
            "setting `compress`: expected `none`, `gzip`, `zstd` or `lz4`, found `br`",
        ),
        (
            "compress_threshold=0",
            "setting `compress_threshold`: 0 is out of range (1 to 1073741824)",
        ),
    ] {
        let error = Client::<Sampler>::connect(format!("mem://nowhere?{query}"))
            .await
            .expect_err("no such value");
        assert_eq!(error.to_string(), expected);
    }
}

/// A handler that passes on the texts that it receives.
struct Listens(mpsc::Sender<String>);

impl HandleServerToClient for Listens {
    async fn on_text_ind(&self, _: &Client<Sampler>, message: Text) {
        let _ = self.0.send(message.text).await;
    }
}

#[tokio::test]
async fn a_broadcast_reaches_clients_of_every_codec() {
    let url = Echo::start("mem://every-codec").await;
    let (heard, mut texts) = mpsc::channel(100);
    let mut clients = Vec::new();
    for codec in [Codec::Protobuf, Codec::Json, Codec::MessagePack] {
        for compression in [
            Compression::None,
            Compression::Gzip,
            Compression::Zstd,
            Compression::Lz4,
        ] {
            let builder = Client::<Sampler>::builder(url.to_string())
                .codec(codec)
                .compress(compression);
            clients.push(
                builder
                    .handler(Listens(heard.clone()))
                    .connect()
                    .await
                    .expect("connects"),
            );
        }
    }
    // A call each, so that the server has all of them.
    for client in &clients {
        client.nothing_req().await.expect("answers");
    }
    for client in &clients {
        let text = "so much of it that it is compressed ".repeat(100);
        client
            .text_ind(Text { text: text.clone() })
            .await
            .expect("sent");
        for _ in 0..clients.len() {
            assert_eq!(soon("a text", texts.recv()).await.as_ref(), Some(&text));
        }
    }
}

#[tokio::test]
async fn what_the_codec_cannot_write_is_not_sent() {
    let url = Echo::start("mem://unwritable").await;
    let late = WellKnown {
        time: Some(prost_types::Timestamp {
            seconds: i64::MAX,
            nanos: 0,
        }),
        ..WellKnown::default()
    };
    let protobuf = Client::<Sampler>::connect(url.to_string())
        .await
        .expect("connects");
    assert_eq!(
        protobuf.well_known_req(late.clone()).await.as_ref(),
        Ok(&late)
    );
    for codec in [Codec::Json, Codec::MessagePack] {
        let client = Client::<Sampler>::builder(url.to_string())
            .codec(codec)
            .connect()
            .await
            .expect("connects");
        let error = client
            .well_known_req(late.clone())
            .await
            .expect_err("not in JSON");
        assert_eq!(
            error.to_string(),
            "cannot encode well_known_req (2): wellKnownReq.time: a Timestamp outside the \
             years 1 to 9999"
        );
        assert!(error.is_safe_to_repeat());
        assert!(matches!(
            error,
            msip_runtime::CallError::NotSent(SendError::Unwritable(_))
        ));
        client.nothing_req().await.expect("goes on");
    }
}
