//! The login of an untyped client: who sends before it is done, and what waits for it.

use std::sync::Arc;

use msip_runtime::{
    CallOptions, ConnectError, MsgKind, SendError, Status, Variant,
    untyped::{Event, Inbound, Service, UntypedClient, UntypedMessage, UntypedPeer},
    wire::{Flags, FrameType, MsgId, Side},
};
use msip_tests::{
    Recorder, at,
    lab::{NoteInd, ServerToClient},
    raw::{self, RawPeer},
    recorder, soon, start,
};
use tokio::{net::TcpListener, sync::Semaphore};

const NOTE_IND: Variant = Variant::new(2, "note_ind", MsgKind::Event);
const LOGIN_IND: Variant = Variant::new(5, "alarm_ind", MsgKind::Event);

/// A note, of which only the number of its variant counts.
fn note(variant: &Variant) -> UntypedMessage {
    let body = vec![(variant.number() << 3 | 2) as u8, 0];
    UntypedMessage::new(variant, body)
}

/// Tells what it hears.
struct Ear(Recorder<&'static str>);

impl Service for Ear {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        while let Some(event) = inbound.next().await {
            self.0.record(match event {
                Event::Connected => "connected",
                Event::Messages(_) | Event::Exchange(_) => "message",
                _ => "other",
            });
        }
    }
}

/// Takes the next client, and welcomes it.
async fn welcome(listener: &TcpListener) -> RawPeer {
    let (stream, _) = soon("a client", listener.accept()).await.expect("accepts");
    let mut raw = RawPeer::new(stream);
    raw.welcome().await;
    raw
}

#[tokio::test]
async fn only_the_login_sends_and_what_the_server_says_waits() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("has one");
    let permits = Arc::new(Semaphore::new(1));
    let (seen, mut told) = recorder();
    let gate = Arc::clone(&permits);
    let connecting = UntypedClient::builder(at!(format!("tcp://{address}")), "lab", 0)
        .service(Ear(seen))
        .on_connected(move |server| {
            let gate = Arc::clone(&gate);
            async move {
                let options = CallOptions::new();
                server.send(&note(&LOGIN_IND), &options).await?;
                gate.acquire().await.expect("open").forget();
                server.clone().try_send(&note(&LOGIN_IND), &options)?;
                Ok(())
            }
        })
        .connect();
    let (client, mut raw) = tokio::join!(connecting, async {
        let mut raw = welcome(&listener).await;
        for _ in 0..2 {
            let frame = raw.hear_type(FrameType::Publish).await;
            assert_eq!(frame.header.variant, LOGIN_IND.number());
        }
        raw
    });
    let client = client.expect("connects");
    assert_eq!(soon("it", told.recv()).await, Some("connected"));
    client
        .send(&note(&NOTE_IND), &CallOptions::new())
        .await
        .expect("sent");
    let frame = raw.hear_type(FrameType::Publish).await;
    assert_eq!(frame.header.variant, NOTE_IND.number());

    // Another connection, and another login, which waits.
    drop(raw);
    let mut raw = welcome(&listener).await;
    let frame = raw.hear_type(FrameType::Publish).await;
    assert_eq!(frame.header.variant, LOGIN_IND.number());
    let early = client.try_send(&note(&NOTE_IND), &CallOptions::new());
    assert_eq!(early, Err(SendError::LoginPending));
    let said = ServerToClient::NoteInd(NoteInd::default());
    let id = |number| MsgId::exchange(Side::Accepting, number);
    raw.say(&raw::message(Side::Accepting, Flags::NONE, id(1), &said))
        .await;
    raw.say(&raw::frame(FrameType::Ping, id(2), b"")).await;
    raw.hear_type(FrameType::Pong).await;
    assert!(told.try_recv().is_err(), "it waits for the login");
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.send(&note(&NOTE_IND), &CallOptions::new()).await }
    });
    permits.add_permits(1);
    for expected in [LOGIN_IND.number(), NOTE_IND.number()] {
        let frame = raw.hear_type(FrameType::Publish).await;
        assert_eq!(frame.header.variant, expected);
    }
    soon("sent", waiting)
        .await
        .expect("no panic")
        .expect("after the login");
    for expected in ["connected", "message"] {
        assert_eq!(soon("it", told.recv()).await, Some(expected));
    }
}

#[tokio::test]
async fn a_login_that_fails_or_never_ends_fails_the_attempt() {
    let (url, _events, _serving) = start("tcp://127.0.0.1:0").await;
    let refused = UntypedClient::builder(url.to_string(), "lab", 0)
        .on_connected(|_| async { Err(Status::permission_denied("not you")) })
        .connect();
    match soon("an end", refused).await {
        Err(ConnectError::Login { status }) => assert_eq!(status.message(), "not you"),
        other => panic!("{other:?}"),
    }
    let slow = UntypedClient::builder(at!(format!("{url}?login_timeout=50ms")), "lab", 0)
        .on_connected(|_| std::future::pending())
        .connect();
    let error = soon("an end", slow).await.expect_err("never ends");
    assert!(
        matches!(error, ConnectError::LoginTimedOut { .. }),
        "{error:?}"
    );
}
