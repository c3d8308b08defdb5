//! Our client, against a server of Messi that is written from its wire.

use std::time::Duration;

use msip_runtime::{
    CallError, CallOptions, Client, ConnectError, DisconnectReason, Reconnect, SendError, Status,
    untyped::UntypedClient,
};
use msip_tests::{
    LabClient, Recorder, SeenByClient, advance,
    lab::{CountReq, EchoReq, Lab, NoteInd, SaveInd, SendClientToServer as _},
    messi_chat::{Chat, ConnectReq, HandleServerToClient, MessageInd, SendClientToServer as _},
    next,
    proxy::Proxy,
    recorder, soon,
};
use tokio::{io::AsyncReadExt as _, sync::mpsc};

use super::Fake;
use crate::raw::bytes;

const ERIK: &str = "01 00 00 08 0a 06 0a 04 45 72 69 6b";
const WELCOME: &str = "02 00 00 02 0a 00";
const PING: &str = "03 00 00 00";
const PONG: &str = "04 00 00 00";

/// What happened to the client.
#[derive(Debug)]
enum Seen {
    Connected,
    Said(MessageInd),
    Disconnected(DisconnectReason),
}

struct Tell(Recorder<Seen>);

impl HandleServerToClient for Tell {
    async fn on_message_ind(&self, _: &Client<Chat>, message: MessageInd) {
        self.0.record(Seen::Said(message));
    }

    async fn on_connected(&self, _: &Client<Chat>) -> Result<(), Status> {
        self.0.record(Seen::Connected);
        Ok(())
    }

    async fn on_disconnected(&self, _: &Client<Chat>, reason: DisconnectReason) {
        self.0.record(Seen::Disconnected(reason));
    }

    async fn on_connect_failure(&self, _: &ConnectError, _: u32) -> Reconnect {
        Reconnect::Backoff
    }
}

async fn connect(url: &str) -> (Client<Chat>, mpsc::Receiver<Seen>) {
    let (seen, mut events) = recorder();
    let connecting = Client::<Chat>::builder(url).handler(Tell(seen)).connect();
    let client = soon("a client", connecting).await.expect("connects");
    assert!(matches!(next(&mut events).await, Seen::Connected));
    (client, events)
}

fn erik() -> ConnectReq {
    ConnectReq {
        user: "Erik".into(),
    }
}

fn hello() -> MessageInd {
    MessageInd {
        user: "Erik".into(),
        text: "Hello".into(),
    }
}

#[tokio::test]
async fn a_conversation_is_byte_for_byte_that_of_messis_own_client() {
    let fake = Fake::start().await;
    let url = fake.url("");
    let ((client, mut seen), mut server) = tokio::join!(connect(&url), fake.accept());
    let answering = async {
        server.hears_hex(ERIK).await;
        server.say_hex(WELCOME).await;
    };
    let (answered, ()) = tokio::join!(client.connect_req(erik()), answering);
    answered.expect("is answered");
    client.message_ind(hello()).await.expect("is connected");
    server
        .hears_hex("01 00 00 0f 12 0d 0a 04 45 72 69 6b 12 05 48 65 6c 6c 6f")
        .await;
    let empty = MessageInd::default();
    client.message_ind(empty).await.expect("is connected");
    server.hears_hex("01 00 00 02 12 00").await;
    // What is unknown is ignored.
    server
        .say_hex("05 00 00 01 00 02 00 00 00 02 00 00 02 7a 00")
        .await;
    server
        .say_hex("02 00 00 11 12 0f 0a 04 c3 85 73 61 12 07 48 65 6a 20 e2 9a bd")
        .await;
    let Seen::Said(said) = next(&mut seen).await else {
        panic!("a message");
    };
    assert_eq!((&*said.user, &*said.text), ("Åsa", "Hej ⚽"));
    server.hears_hex(PING).await;
    server.say_hex(PONG).await;
    // Nothing is said at a close.
    let closing = async { soon("the end", client.close()).await };
    tokio::join!(closing, server.is_let_go());
}

#[tokio::test]
async fn an_answer_that_comes_late_is_that_of_its_own_question() {
    let fake = Fake::start().await;
    let limit = Duration::from_secs(5);
    let url = fake.url("keepalive_interval=1h&keepalive_timeout=1h");
    let ((client, _seen), mut server) = tokio::join!(connect(&url), fake.accept());
    let short = client.with(CallOptions::new().timeout(limit));
    let (late, ()) = tokio::join!(short.connect_req(erik()), async {
        server.hears_hex(ERIK).await;
        advance(limit).await;
    });
    assert!(
        matches!(late, Err(CallError::DeadlineExceeded { .. })),
        "{late:?}"
    );
    let mut call = Box::pin(client.connect_req(erik()));
    tokio::select! {
        biased;
        answered = &mut call => panic!("{answered:?}"),
        () = server.hears_hex(ERIK) => {}
    }
    server.say_hex(WELCOME).await;
    // The answer to a ping has come behind it.
    let pong = async {
        server.hears_hex(PING).await;
        server.say_hex(PONG).await;
    };
    let (round_trip, ()) = tokio::join!(client.ping(0, Duration::from_secs(60)), pong);
    round_trip.expect("is answered");
    tokio::select! {
        biased;
        answered = &mut call => panic!("that was the answer to the first question: {answered:?}"),
        () = tokio::task::yield_now() => {}
    }
    server.say_hex(WELCOME).await;
    soon("an answer", call).await.expect("is answered");
}

#[tokio::test]
async fn a_server_that_answers_no_ping_is_given_up_and_half_a_frame_of_it_forgotten() {
    let fake = Fake::start().await;
    // All pings of the loop fit into the timeout: a pong may be read later than the clock has moved on.
    let (interval, timeout) = (Duration::from_secs(1), Duration::from_secs(20));
    let url = fake.url("keepalive_interval=1s&keepalive_timeout=20s&reconnect_min=1ms");
    let ((client, mut seen), mut server) = tokio::join!(connect(&url), fake.accept());
    for _ in 0..3 {
        advance(interval).await;
        server.hears_hex(PING).await;
        server.say_hex(PONG).await;
    }
    // In the middle of a frame.
    server.say_hex("02 00 00 11 12 0f 0a").await;
    advance(interval).await;
    server.hears_hex(PING).await;
    advance(timeout).await;
    let Seen::Disconnected(reason) = next(&mut seen).await else {
        panic!("it is given up");
    };
    assert_eq!(
        reason.to_string(),
        "protocol error: no pong for 20s (keepalive_timeout)"
    );
    let mut server = fake.accept().await;
    assert!(matches!(next(&mut seen).await, Seen::Connected));
    let answering = async {
        // Pings may come first.
        loop {
            let mut head = [0; 4];
            soon("a frame", server.0.read_exact(&mut head))
                .await
                .expect("is connected");
            if head[0] == 3 {
                server.say_hex(PONG).await;
                continue;
            }
            let mut rest = [0; 8];
            soon("a frame", server.0.read_exact(&mut rest))
                .await
                .expect("is connected");
            assert_eq!([&head[..], &rest].concat(), bytes(ERIK));
            break server.say_hex(WELCOME).await;
        }
    };
    let (answered, ()) = tokio::join!(client.connect_req(erik()), answering);
    answered.expect("is answered");
}

#[tokio::test]
async fn a_connection_that_is_cut_fails_what_is_open_and_comes_back() {
    let fake = Fake::start().await;
    let proxy = Proxy::start(fake.address()).await;
    let url = format!("messi://{}?reconnect_min=1ms", proxy.address());
    let ((client, mut seen), mut server) = tokio::join!(connect(&url), fake.accept());
    let losing = async {
        server.hears_hex(ERIK).await;
        proxy.cut();
    };
    let (lost, ()) = tokio::join!(client.connect_req(erik()), losing);
    assert_eq!(lost.map(drop), Err(CallError::ConnectionLost));
    assert!(matches!(next(&mut seen).await, Seen::Disconnected(_)));
    let mut server = fake.accept().await;
    assert!(matches!(next(&mut seen).await, Seen::Connected));
    let answering = async {
        server.hears_hex(ERIK).await;
        server.say_hex(WELCOME).await;
    };
    let (answered, ()) = tokio::join!(client.connect_req(erik()), answering);
    answered.expect("is answered");
}

#[tokio::test]
async fn what_a_server_sends_that_cannot_be_read_ends_the_connection() {
    for (bad, why) in [
        (
            "02 00 00 04 ff ff ff ff",
            "a payload that cannot be decoded",
        ),
        (
            "02 00 00 05 12 03 0a 01 ff",
            "a payload that cannot be decoded",
        ),
        ("02 ff ff ff", "a frame of type 2 announces 16777215 bytes"),
    ] {
        let fake = Fake::start().await;
        let url = fake.url("max_body=1KiB&reconnect_min=1ms");
        let ((_client, mut seen), mut server) = tokio::join!(connect(&url), fake.accept());
        server.say_hex("02 00 00 02 12 00").await;
        server.say_hex(bad).await;
        assert!(matches!(next(&mut seen).await, Seen::Said(_)), "{bad}");
        let Seen::Disconnected(reason) = next(&mut seen).await else {
            panic!("{bad}");
        };
        assert!(reason.to_string().contains(why), "{bad}: {reason}");
    }
}

#[tokio::test]
async fn what_messi_has_not_is_refused_by_name() {
    let fake = Fake::start().await;
    let url = fake.url("");
    let ((client, _seen), mut server) = tokio::join!(LabClient::connect(&url), fake.accept());
    let refused = |what: &str| format!("the Messi dialect has no {what}");
    let note = |number| NoteInd {
        number,
        ..NoteInd::default()
    };
    let saved = client.save_ind(SaveInd::default()).await;
    let error = saved.expect_err("it wants an acknowledgment");
    assert_eq!(error.to_string(), refused("acknowledgments"));
    let acked = client
        .with(CallOptions::new().ack())
        .note_ind(note(1))
        .await;
    let error = acked.expect_err("it wants an acknowledgment");
    assert!(matches!(error, SendError::Unsupported(_)), "{error}");
    let header = CallOptions::new().header("a", "b");
    let error = client.with(header).note_ind(note(1)).await;
    assert_eq!(error.expect_err("headers").to_string(), refused("headers"));
    let with_nul = EchoReq {
        text: "a\0b".into(),
        ..EchoReq::default()
    };
    let error = client.echo_req(with_nul).await.expect_err("a NUL");
    assert!(matches!(error, CallError::Unsupported(_)), "{error}");
    assert_eq!(error.to_string(), refused("text with NUL characters"));
    let error = match soon("an outcome", client.count_req(CountReq::default())).await {
        Ok(_) => panic!("there are no streams"),
        Err(error) => error,
    };
    assert_eq!(error.to_string(), refused("streams"));
    let pinged = client.ping(1, Duration::from_secs(60)).await;
    assert_eq!(
        pinged.expect_err("bytes").to_string(),
        refused("payloads of PINGs")
    );
    // None of it was sent.
    client.note_ind(note(7)).await.expect("is connected");
    server.hears_hex("01 00 00 04 12 02 08 07").await;
}

#[tokio::test]
async fn what_messi_has_not_is_refused_when_a_client_is_built() {
    for (settings, what) in [
        ("topic=room", "topics"),
        ("token_env=TOKEN", "credentials"),
        ("codec=json", "codecs but protobuf"),
        ("compress=zstd", "compression"),
        ("channel=log:tcp://127.0.0.1:1", "channels"),
    ] {
        let url = format!("messi://127.0.0.1:1?{settings}");
        let connected = Client::<Lab>::connect(&url).await.map(drop);
        let error = connected.expect_err(settings);
        assert!(matches!(error, ConnectError::Unsupported(_)), "{error}");
        assert_eq!(
            error.to_string(),
            format!("the Messi dialect has no {what}")
        );
    }
    let untyped = UntypedClient::builder("messi://127.0.0.1:1", "raw", 0).connect();
    let error = untyped.await.map(drop).expect_err("it has no schema");
    assert_eq!(
        error.to_string(),
        "the Messi dialect has no clients without a schema"
    );
    for (setting, text) in [
        (
            "keepalive_interval=soon",
            "setting `keepalive_interval`: expected a time",
        ),
        (
            "keepalive_timeout=1ms",
            "setting `keepalive_timeout`: 1ms is out of range",
        ),
        ("principal=ada", "unknown setting `principal`"),
    ] {
        let url = format!("messi://127.0.0.1:1?{setting}");
        let error = Client::<Lab>::connect(&url)
            .await
            .map(drop)
            .expect_err(setting);
        assert!(error.to_string().starts_with(text), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_accepts_and_closes_is_asked_again_with_growing_pauses() {
    let fake = Fake::start().await;
    let url = fake.url("reconnect_min=1ms");
    let connecting = LabClient::connect(&url);
    let ((_client, mut seen), server) = tokio::join!(connecting, fake.accept());
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    drop(server);
    for _ in 0..4 {
        assert!(matches!(
            next(&mut seen).await,
            SeenByClient::Disconnected(_)
        ));
        drop(fake.accept().await);
        assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    }
}
