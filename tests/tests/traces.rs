//! Traces: connections and exchanges appear in them, and payloads never do.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::{
    io,
    sync::{Arc, Mutex},
};

use msip_runtime::{
    CallOptions, Client, ConnectRequest, Identity, Server, Status, middleware::Tracing, wire,
};
use msip_tests::{
    LabClient, LabServer, SeenByClient, SeenByServer,
    lab::{
        AskReq, BroadcastServerToClient as _, EchoReq, Lab, NoteInd, SendClientToServer as _,
        SendServerToClient as _,
    },
    messages::act,
    raw::{self, RawPeer},
    soon, start,
};
use tracing_subscriber::fmt::MakeWriter;

/// A marker in every payload. It is searched for as text, and as the numbers of its bytes.
const MARKER: &str = "qzjxkvwy";

/// Everything traced so far.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("nobody panics")).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .expect("nobody panics")
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn marked() -> NoteInd {
    NoteInd {
        number: 1,
        ballast: MARKER.as_bytes().to_vec(),
    }
}

/// A conversation of every shape, with the marker in whatever is said.
async fn converse(settings: &str) {
    let (url, mut events, server) = start("tcp://127.0.0.1:0").await;
    let (handler, mut seen) = LabClient::new();
    let client = Client::<Lab>::builder(format!("{url}?{settings}"))
        .handler(handler)
        .incoming(Tracing::new())
        .outgoing(Tracing::new())
        .connect()
        .await
        .expect("connects");
    let SeenByServer::Connected(peer) = soon("a client", events.recv()).await.expect("lives")
    else {
        panic!("another event")
    };
    let request = EchoReq {
        text: MARKER.into(),
        ballast: MARKER.repeat(1_000).into_bytes(),
    };
    let answer = client.echo_req(request).await.expect("answers");
    assert_eq!(answer.text, MARKER);
    let known = CallOptions::new()
        .correlation_id("order-17")
        .traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .header("token", MARKER);
    let request = EchoReq::default();
    client.with(known).echo_req(request).await.expect("answers");
    client.note_ind(marked()).await.expect("sent");
    client.try_alarm_ind(marked()).expect("sent");
    client
        .with(CallOptions::new().ack())
        .note_ind(marked())
        .await
        .expect("handled");
    // Its status, too, tells what was asked for.
    client.act_req(act(MARKER)).await.expect_err("refused");
    client.act_req(act("panic")).await.expect_err("panics");
    let question = AskReq {
        question: MARKER.into(),
    };
    let answer = peer.ask_req(question).await.expect("answers");
    assert!(answer.answer.contains(MARKER));
    peer.note_ind(marked()).await.expect("sent");
    assert_eq!(peer.everyone().note_ind(marked()), 1);
    let mut notes = 0;
    while notes < 2 {
        let event = soon("a note", seen.recv()).await.expect("lives");
        notes += u8::from(matches!(event, SeenByClient::Note(1)));
    }
    client.close().await;
    server.abort();
}

/// Bodies that cannot be read, with the marker in them, for which no caller waits: these leave a trace.
async fn babble(codec: wire::Codec, bodies: &[&str]) {
    let (url, mut events, server) = start("tcp://127.0.0.1:0").await;
    let mut peer = RawPeer::dial(&url).await;
    let hello = wire::Hello {
        codecs: vec![codec.into()],
        ..raw::hello()
    };
    peer.say(&raw::hello_frame(&hello)).await;
    peer.hear_type(wire::FrameType::Ack).await;
    let SeenByServer::Connected(seen) = soon("a client", events.recv()).await.expect("lives")
    else {
        panic!("another event")
    };
    for (sequence, body) in (2..).zip(bodies) {
        let id = wire::MsgId::exchange(wire::Side::Connecting, sequence);
        let header = wire::Header {
            variant: 2,
            kind: raw::kind(&msip_tests::lab::ClientToServer::NoteInd(marked())),
            ..wire::Header::control(wire::FrameType::Publish, id)
        };
        let payload = [&[0, 0], body.as_bytes()].concat();
        peer.say(&raw::frame_of(header, &payload)).await;
    }
    peer.leave().await;
    let gone = soon("the end", events.recv()).await.expect("lives");
    assert!(matches!(gone, SeenByServer::Disconnected(_)), "{gone:?}");
    assert_eq!(seen.connection().ignored(), bodies.len() as u64);
    server.abort();
}

/// What is no HELLO, with the marker in it.
async fn no_hello(bytes: &[u8]) {
    let (url, _events, server) = start("tcp://127.0.0.1:0").await;
    let mut peer = RawPeer::dial(&url).await;
    peer.say(bytes).await;
    peer.hear_to_the_end().await;
    server.abort();
}

/// Clients with the marker for a credential: one that is known, and one that is not.
async fn log_in() {
    for is_known in [true, false] {
        let server = Server::<Lab>::builder("tcp://127.0.0.1:0")
            .authenticate(move |_: ConnectRequest| async move {
                if is_known {
                    Ok(Identity::new("token").with_user("ada"))
                } else {
                    Err(Status::unauthenticated("for the log alone"))
                }
            })
            .bind()
            .await
            .expect("binds");
        let url = server.local_url().to_string();
        let (handler, _events) = LabServer::new();
        let serving = tokio::spawn(server.serve(handler));
        let connecting = Client::<Lab>::builder(url).credential(MARKER).connect();
        match connecting.await {
            Ok(client) => client.close().await,
            Err(error) => tracing::info!(%error, ?error, "not known"),
        }
        serving.abort();
    }
}

#[tokio::test]
async fn payloads_and_credentials_are_never_traced() {
    let log = Log::default();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .init();

    for settings in [
        "codec=protobuf",
        "codec=json&compress=zstd",
        "codec=msgpack&compress=lz4",
    ] {
        converse(settings).await;
    }
    let wrong_type = format!(r#"{{"noteInd":{{"number":"{MARKER}"}}}}"#);
    let wrong_bytes = format!(r#"{{"noteInd":{{"ballast":"{MARKER}%"}}}}"#);
    let cut = format!(r#"{{"noteInd":{{"ballast":"{MARKER}"#);
    babble(
        wire::Codec::Json,
        &[MARKER, &wrong_type, &wrong_bytes, &cut],
    )
    .await;
    babble(wire::Codec::Protobuf, &[MARKER]).await;
    babble(wire::Codec::MessagePack, &[MARKER]).await;
    let early = raw::frame(wire::FrameType::Publish, raw::HELLO_ID, MARKER.as_bytes());
    for bytes in [
        early,
        raw::frame(
            wire::FrameType::Hello,
            raw::HELLO_ID,
            MARKER.repeat(2).as_bytes(),
        ),
        MARKER.repeat(10).into_bytes(),
    ] {
        no_hello(&bytes).await;
    }

    log_in().await;

    let text = log.text();
    for expected in [
        "client refused status=UNAUTHENTICATED: not authenticated why=\"for the log alone\"",
        "TRACE",
        "handling",
        "serving",
        "exchange{note_ind variant=2}",
        "exchange{echo_req variant=1 correlation_id=order-17 traceparent=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01}",
        "direction=\"outgoing\"",
        "direction=\"incoming\"",
        "done code=\"OK\" elapsed_us=",
        "done code=\"INTERNAL\" elapsed_us=",
        "a handler panicked variant=act_req (6)",
    ] {
        assert!(
            text.contains(expected),
            "`{expected}` was not traced: {text}"
        );
    }
    let numbers = format!("{:?}", MARKER.as_bytes());
    for form in [MARKER, numbers.trim_matches(['[', ']'])] {
        let lines: Vec<&str> = text.lines().filter(|line| line.contains(form)).collect();
        assert!(lines.is_empty(), "payloads were traced: {lines:#?}");
    }
}

/// One line about each other version of the schema, and not one for each connection.
#[tokio::test]
async fn another_version_of_a_schema_is_logged_once() {
    use msip_runtime::{Protocol as _, Server};
    use msip_tests::{rolling_new as new, rolling_old as old};

    #[derive(Debug)]
    struct Ignores;

    impl old::HandleClientToServer for Ignores {
        async fn on_fetch_req(
            &self,
            _: &msip_runtime::Peer<old::Rolling>,
            _: old::FetchReq,
        ) -> Result<old::FetchRsp, msip_runtime::Status> {
            Ok(old::FetchRsp::default())
        }

        async fn on_hint_ind(&self, _: &msip_runtime::Peer<old::Rolling>, _: old::HintInd) {}
    }

    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    // Everything here runs on this thread.
    let _subscribed = tracing::subscriber::set_default(subscriber);
    let server = Server::<old::Rolling>::bind("mem://schema-log")
        .await
        .expect("listens");
    let everyone = server.broadcast();
    let _serving = tokio::spawn(server.serve(Ignores));
    let mut clients = Vec::new();
    for _ in 0..20 {
        let client = Client::<new::Rolling>::connect("mem://schema-log")
            .await
            .expect("connects");
        let difference = soon("a comparison", client.connection().schema_compared()).await;
        assert!(difference.expect("they differ").is_compared());
        clients.push(client);
    }
    let peers = everyone.peers();
    assert_eq!(peers.len(), 20);
    for peer in peers {
        let difference = soon("a comparison", peer.schema_compared()).await;
        assert!(difference.expect("they differ").is_compared());
    }
    let text = log.text();
    let about = |peer: &str| {
        let about = format!("the {peer} has another version of the schema: harmless");
        let lines: Vec<_> = text.lines().filter(|line| line.contains(&about)).collect();
        lines.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let on_server = about("client");
    assert_eq!(on_server.len(), 1, "{text}");
    for expected in [
        &format!("ours={:016x}", old::Rolling::fingerprint()),
        &format!("theirs={:016x}", new::Rolling::fingerprint()),
        "client-to-server `forget_req` (4): only on the client [harmless]",
        " INFO ",
    ] {
        assert!(
            on_server[0].contains(expected),
            "{expected} is not in {}",
            on_server[0]
        );
    }
    // Each client has a log of its own.
    assert_eq!(about("server").len(), 20, "{text}");
}
