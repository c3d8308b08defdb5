//! Our server, with our own clients of Messi and of MSIP beside each other.

use std::time::Duration;

use msip_runtime::{CallError, CallOptions, Client, DisconnectReason, Peer, Server, Status};
use msip_tests::{
    LabClient, LabServer, Recorder, SeenByClient, SeenByServer,
    lab::{
        ActReq, AskReq, BroadcastServerToClient as _, EchoReq, Lab, NoteInd,
        SendClientToServer as _, SendServerToClient as _,
    },
    messi_chat::{
        self, Chat, ConnectReq, HandleServerToClient, MessageInd, SendClientToServer as _,
    },
    next,
    proxy::{Plan, Proxy},
    recorder, soon,
};
use tokio::sync::mpsc;

use super::chat;
use crate::certificate::Certificate;
use crate::raw::Raw;

/// A server of the laboratory for MSIP and for Messi.
async fn lab(settings: &str, messi: &str) -> (String, String, mpsc::Receiver<SeenByServer>) {
    let (handler, seen) = LabServer::new();
    let server = Server::<Lab>::builder(format!("tcp://127.0.0.1:0?{settings}"))
        .also(messi)
        .bind()
        .await
        .expect("listens");
    let urls: Vec<_> = server.local_urls().map(ToString::to_string).collect();
    tokio::spawn(server.serve(handler));
    let [native, messi] = urls.try_into().expect("listens at two");
    (native, messi, seen)
}

async fn connected(seen: &mut mpsc::Receiver<SeenByServer>) -> Peer<Lab> {
    match next(seen).await {
        SeenByServer::Connected(peer) => peer,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn both_sides_ask_and_the_server_knows_what_is_spoken() {
    let (native, messi, mut seen) = lab("", "messi://127.0.0.1:0").await;
    for (url, dialect) in [(&messi, Some("Messi")), (&native, None)] {
        let (client, _events) = LabClient::connect(url).await;
        let peer = connected(&mut seen).await;
        assert_eq!(peer.connection().dialect(), dialect);
        assert_eq!(peer.identity(), None);
        let echo = client.echo_req(EchoReq {
            text: "hi".into(),
            ..EchoReq::default()
        });
        assert_eq!(
            soon("an answer", echo).await.expect("is answered").text,
            "hi"
        );
        // The handler asks the client, before it answers.
        let ask = client.act_req(ActReq { what: "ask".into() });
        let done = soon("an answer", ask).await.expect("is answered");
        assert_eq!(done.done, "who? me");
        assert!(matches!(next(&mut seen).await, SeenByServer::Act(_)));
        soon("the end", client.close()).await;
        assert!(matches!(
            next(&mut seen).await,
            SeenByServer::Disconnected(_)
        ));
    }
}

#[tokio::test]
async fn what_a_client_of_messi_cannot_be_told_is_refused_by_name() {
    let (_, messi, mut seen) = lab("", "messi://127.0.0.1:0").await;
    let (_client, mut events) = LabClient::connect(&messi).await;
    assert!(matches!(next(&mut events).await, SeenByClient::Connected));
    let peer = connected(&mut seen).await;
    let note = || NoteInd {
        number: 7,
        ..NoteInd::default()
    };
    let refused = |what: &str| format!("the Messi dialect has no {what}");
    let acked = peer.with(CallOptions::new().ack()).note_ind(note()).await;
    assert_eq!(
        acked.expect_err("acknowledged").to_string(),
        refused("acknowledgments")
    );
    let question = "a\0b".to_owned();
    let asked = peer.ask_req(AskReq { question }).await;
    let error = asked.expect_err("a NUL");
    assert!(matches!(error, CallError::Unsupported(_)), "{error}");
    assert_eq!(error.to_string(), refused("text with NUL characters"));
    let pinged = peer.ping(0, Duration::from_secs(60)).await;
    assert_eq!(
        pinged.expect_err("a ping").to_string(),
        refused("pings from this side")
    );
    // None of it was sent.
    assert_eq!(peer.everyone().note_ind(note()), 1);
    assert!(matches!(next(&mut events).await, SeenByClient::Note(7)));
}

/// What a client of the chat hears.
struct Hear(Recorder<String>);

impl HandleServerToClient for Hear {
    async fn on_message_ind(&self, _: &Client<Chat>, message: MessageInd) {
        self.0.record(message.text);
    }
}

#[tokio::test]
async fn a_broadcast_with_a_nul_in_its_text_skips_those_who_cannot_read_it() {
    let (native, messi) = chat("").await;
    let (seen, mut heard) = recorder();
    let messi = format!("messi://{messi}");
    let hearing = Client::<Chat>::builder(&messi)
        .handler(Hear(seen))
        .connect();
    let hearing = soon("a client", hearing).await.expect("connects");
    // It is among those who hear a broadcast.
    let greeting = hearing.connect_req(ConnectReq::default());
    soon("an answer", greeting).await.expect("is answered");
    let (seen, mut heard_too) = recorder();
    let speaking = Client::<Chat>::builder(&native)
        .handler(Hear(seen))
        .connect();
    let speaking = soon("a client", speaking).await.expect("connects");
    for text in ["a\0b", "c"] {
        let message = MessageInd {
            text: text.into(),
            ..MessageInd::default()
        };
        speaking.message_ind(message).await.expect("is connected");
    }
    assert_eq!(next(&mut heard).await, "c");
    assert_eq!(next(&mut heard_too).await, "a\0b");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_hear_a_broadcast_in_one_order_whatever_they_speak() {
    const EACH: usize = 200;
    let (native, messi) = chat("").await;
    let mut clients = Vec::new();
    for url in [native, format!("messi://{messi}")] {
        for _ in 0..2 {
            let (seen, heard) = recorder();
            let connecting = Client::<Chat>::builder(&url).handler(Hear(seen)).connect();
            let client = soon("a client", connecting).await.expect("connects");
            // It is among those who hear a broadcast.
            let greeting = client.connect_req(ConnectReq::default());
            soon("an answer", greeting).await.expect("is answered");
            clients.push((client, heard));
        }
    }
    let mut speaking = tokio::task::JoinSet::new();
    for (name, (client, _)) in clients.iter().enumerate() {
        let client = client.clone();
        speaking.spawn(async move {
            for number in 0..EACH {
                let message = MessageInd {
                    text: format!("{name} {number}"),
                    ..MessageInd::default()
                };
                client.message_ind(message).await.expect("is connected");
            }
        });
    }
    while let Some(spoken) = speaking.join_next().await {
        spoken.expect("no panic");
    }
    let mut orders = Vec::new();
    for (_, heard) in &mut clients {
        let mut order = Vec::new();
        for _ in 0..4 * EACH {
            order.push(next(heard).await);
        }
        orders.push(order);
    }
    for order in &orders {
        assert_eq!(*order, orders[0]);
    }
}

// On one thread, so that nothing is written before all of it is sent.
#[tokio::test]
async fn a_burst_of_broadcasts_is_bounded_by_its_bytes() {
    const BURST: u64 = 5_000;
    let (_, messi, mut seen) = lab("", "messi://127.0.0.1:0").await;
    let (client, mut events) = LabClient::connect(&messi).await;
    assert!(matches!(next(&mut events).await, SeenByClient::Connected));
    let peer = connected(&mut seen).await;
    let echo = client.echo_req(EchoReq::default());
    soon("an answer", echo).await.expect("is answered");
    let everyone = peer.everyone();
    for number in 0..BURST {
        let note = NoteInd {
            number,
            ..NoteInd::default()
        };
        assert_eq!(everyone.note_ind(note), 1, "note {number}");
    }
    for number in 0..BURST {
        let heard = next(&mut events).await;
        assert!(
            matches!(heard, SeenByClient::Note(heard) if heard == number),
            "{heard:?} for {number}"
        );
    }
}

#[tokio::test]
async fn a_session_ends_with_its_connection_and_has_its_listeners_principal() {
    let (handler, mut seen) = LabServer::new();
    let server = Server::<Lab>::builder("tcp://127.0.0.1:0")
        .also("messi://127.0.0.1:0?principal=plant")
        .authenticate(|_: msip_runtime::ConnectRequest| async {
            Err::<msip_runtime::Identity, _>(Status::unauthenticated("nobody"))
        })
        .bind()
        .await
        .expect("listens");
    let messi = server.local_urls().nth(1).expect("listens").to_string();
    tokio::spawn(server.serve(handler));
    let proxy_to = messi.strip_prefix("messi://").expect("is Messi's");
    let proxy_to = proxy_to.split('?').next().unwrap_or_default();
    let proxy = Proxy::start(proxy_to.parse().expect("an address")).await;
    let url = format!("messi://{}?reconnect_min=1ms", proxy.address());
    let (_client, _events) = LabClient::connect(&url).await;
    let peer = connected(&mut seen).await;
    let identity = peer.identity().expect("has one");
    assert_eq!(
        (&*identity.method, identity.subject()),
        ("listener", "plant")
    );
    proxy.cut();
    assert!(matches!(
        next(&mut seen).await,
        SeenByServer::Disconnected(_)
    ));
    // It comes back as another one, and the one before is gone for good.
    let again = connected(&mut seen).await;
    assert_ne!(again.id(), peer.id());
    assert!(!again.resumed());
    assert!(peer.connection().is_gone());
}

#[tokio::test]
async fn connections_that_fall_silent_or_break_are_given_up_by_both_sides() {
    // Resets, ends in the middle of a frame, and silence of either side and of both.
    const TROUBLED: usize = 7;
    let (_, messi, mut seen) = lab("", "messi://127.0.0.1:0?keepalive_timeout=300ms").await;
    let address = messi.strip_prefix("messi://").expect("is Messi's");
    let address = address.split('?').next().unwrap_or_default();
    let plan = Plan::seeded(17, TROUBLED as u64, 100);
    let proxy = Proxy::with_plan(address.parse().expect("an address"), plan).await;
    let settings = "keepalive_interval=20ms&keepalive_timeout=200ms&reconnect_min=1ms";
    let url = format!("messi://{}?{settings}", proxy.address());
    let (client, mut events) = LabClient::connect(&url).await;
    let is_answered = async || {
        let echo = client.echo_req(EchoReq::default());
        soon("an outcome", echo).await.is_ok()
    };
    let mut reasons = Vec::new();
    while reasons.len() < TROUBLED {
        match next(&mut events).await {
            SeenByClient::Connected => while is_answered().await {},
            SeenByClient::Disconnected(reason) => reasons.push(reason.to_string()),
            other => panic!("{other:?}"),
        }
    }
    let no_pong = "no pong for 200ms (keepalive_timeout)";
    assert!(
        reasons.iter().any(|reason| reason.ends_with(no_pong)),
        "{reasons:?}"
    );
    // The client has closed connections whose end does not get through either.
    let no_ping = "no ping for 300ms (keepalive_timeout)";
    loop {
        if let SeenByServer::Disconnected(reason) = next(&mut seen).await
            && reason.to_string().ends_with(no_ping)
        {
            break;
        }
    }
    let recovered = async {
        while !is_answered().await {
            tokio::task::yield_now().await;
        }
    };
    soon("an answer", recovered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_holds_little_and_is_cut_off() {
    let settings = "write_timeout=300ms&outgoing_queue=1MiB";
    let (_, messi, mut seen) = lab(settings, "messi://127.0.0.1:0?keepalive_timeout=60s").await;
    let address = messi.strip_prefix("messi://").expect("is Messi's").parse();
    let _slow = Raw::dial(address.expect("an address")).await;
    let peer = connected(&mut seen).await;
    let note = NoteInd {
        ballast: vec![0; 64 * 1024],
        ..NoteInd::default()
    };
    let everyone = peer.everyone();
    let mut taken = 0_usize;
    // What the system's buffers take is beyond what this side does.
    let reason = loop {
        taken += everyone.note_ind(note.clone());
        assert!(peer.connection().queued() <= 2 * 1024 * 1024);
        match seen.try_recv() {
            Ok(SeenByServer::Disconnected(reason)) => break reason,
            Ok(other) => panic!("{other:?}"),
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert!(
        matches!(reason, DisconnectReason::WriteStalled { .. }),
        "{reason}"
    );
    assert!(taken > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_one_client_holds_up_no_other() {
    let (_, messi) = chat("").await;
    let mut flooding = Raw::dial(messi).await;
    let flood = tokio::spawn(async move {
        // Questions whose answers are not read.
        let questions = "01 00 00 02 0a 00 ".repeat(1000);
        loop {
            flooding.say_hex(&questions).await;
        }
    });
    let url = format!("messi://{messi}");
    let client = Client::<Chat>::connect(&url).await.expect("connects");
    for _ in 0..100 {
        let call = messi_chat::SendClientToServer::connect_req(&client, ConnectReq::default());
        soon("an answer", call).await.expect("is answered");
    }
    flood.abort();
}

#[tokio::test]
async fn the_longest_payload_goes_both_ways_and_no_longer_one() {
    // Its length, which has three bytes, counts the envelope.
    const LEN: usize = 0xff_ff_ff - 1 - 4 - 1 - 4;
    let settings = "max_body=16MiB&outgoing_queue=64MiB";
    let (_, messi, _seen) = lab(settings, "messi://127.0.0.1:0?keepalive_timeout=60s").await;
    let url = format!("{messi}?{settings}&keepalive_timeout=60s&call_timeout=60s");
    let (client, _events) = LabClient::connect(&url).await;
    let text = |len: usize| EchoReq {
        text: "x".repeat(len),
        ..EchoReq::default()
    };
    let longest = client.echo_req(text(LEN));
    let answered = soon("an answer", longest).await.expect("is answered");
    assert_eq!(answered.text.len(), LEN);
    let error = client
        .echo_req(text(LEN + 1))
        .await
        .expect_err("is too long");
    assert!(error.to_string().contains("16777215"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn it_is_spoken_over_a_unix_socket_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("messi.sock").display().to_string();
    let (_, messi, _seen) = lab("", &format!("messi+unix://{path}")).await;
    assert_eq!(messi, format!("messi+unix://{path}"));
    let (client, _events) = LabClient::connect(&messi).await;
    let echo = client.echo_req(EchoReq::default());
    soon("an answer", echo).await.expect("is answered");
}

#[tokio::test]
async fn it_is_spoken_over_tls_too() {
    let certificate = Certificate::issue();
    let (_, messi, _seen) = lab("", &certificate.url("messi+tls")).await;
    let client = Client::<Lab>::builder(&messi)
        .tls(certificate.authority.client_tls())
        .connect();
    let client = soon("a client", client).await.expect("connects");
    let echo = client.echo_req(EchoReq::default());
    soon("an answer", echo).await.expect("is answered");
}
