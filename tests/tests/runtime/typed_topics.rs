//! Typed clients at a topic, and a scripted broker.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use msip_runtime::{
    BrokerConnection, CallOptions, Client, Code, ConnectError, ConnectionState, MsgKind,
    Protocol as _, SendError, Status, Variant,
    untyped::{
        Event, Inbound, Reply, Service, Subscribed, UntypedMessage, UntypedPeer, UntypedProtocol,
        UntypedServer,
    },
};
use msip_session::wire::broker::{self, server_to_client};
use msip_tests::{
    LabClient, Recorder, SeenByClient,
    lab::{Lab, SendClientToServer as _},
    messages::note,
    next,
    proxy::Proxy,
    recorder, soon,
};
use prost::Message as _;
use tokio::sync::mpsc;

const TOPIC_IND: Variant = Variant::new(4, "topic_ind", MsgKind::Event);

const ENDED_IND: Variant = Variant::new(10, "subscription_ended_ind", MsgKind::Event);

/// The variant at which the subscription ends.
const ALARM: u16 = 5;

/// The fingerprint of a schema that is not that of `lab`.
const OTHER: u64 = 7;

/// A broker of one session at a time that tells what it is asked.
#[derive(Clone)]
struct Scripted {
    seen: Recorder<String>,
    /// What is spoken, it says.
    spoken: Subscribed,
    /// It refuses to be subscribed to.
    refuses: Arc<AtomicBool>,
}

impl Scripted {
    fn new(spoken: Subscribed) -> (Self, mpsc::Receiver<String>) {
        let (seen, told) = recorder();
        let scripted = Self {
            seen,
            spoken,
            refuses: Arc::default(),
        };
        (scripted, told)
    }

    async fn start(&self) -> Proxy {
        let server = UntypedServer::builder("tcp://127.0.0.1:0?session_expiry=0s")
            .untyped(UntypedProtocol::any().with_topics(), self.clone())
            .bind()
            .await
            .expect("listens");
        let address = server.local_url().address().authority().parse();
        tokio::spawn(server.serve());
        Proxy::start(address.expect("an address")).await
    }
}

impl Service for Scripted {
    async fn serve(&self, peer: UntypedPeer, mut inbound: Inbound) {
        while let Some(event) = inbound.next().await {
            match event {
                Event::Connected => self.seen.record("connected".to_owned()),
                Event::Subscribe(request) => {
                    let (protocol, fingerprint) = request.protocol().expect("says what it speaks");
                    let is_known = fingerprint == Lab::fingerprint() && request.is_by_peer();
                    let topic = request.topic();
                    self.seen
                        .record(format!("subscribe {topic} {protocol} {is_known}"));
                    if self.refuses.load(Ordering::Relaxed) {
                        request.refuse(&Status::new(Code::PermissionDenied, "not you"));
                    } else {
                        request.accept_with(&self.spoken);
                    }
                }
                Event::Messages(messages) => {
                    for message in messages.iter() {
                        let (topic, number) = (message.topic(), message.number());
                        self.seen.record(format!("message {topic} {number}"));
                        tell(&peer, "$presence/room1").await;
                    }
                }
                Event::Exchange(exchange) => {
                    let (topic, number) = (exchange.message.topic(), exchange.message.number());
                    self.seen.record(format!("call {topic} {number}"));
                    if number == ALARM {
                        end(&peer, "room1").await;
                    }
                    if let Reply::Call(responder) = exchange.reply {
                        responder.fail(&Status::unimplemented_variant(number));
                    }
                }
                _ => {}
            }
        }
    }
}

/// Tells a client what is spoken at its topic, and that twice.
async fn tell(peer: &UntypedPeer, topic: &str) {
    let told = broker::ServerToClient {
        message: Some(server_to_client::Message::TopicInd(broker::TopicInd {
            topic: "room1".to_owned(),
            protocol: "lab".to_owned(),
            fingerprint: OTHER,
        })),
    };
    let told = UntypedMessage::new(&TOPIC_IND, told.encode_to_vec());
    let told = told.to_topic(topic).expect("a topic");
    let options = [CallOptions::new(), CallOptions::new().header("a", "b")];
    for options in options {
        peer.send(&told, &options).await.expect("sent");
    }
}

/// Ends the subscription to a topic.
async fn end(peer: &UntypedPeer, topic: &str) {
    let ended = broker::SubscriptionEndedInd {
        topic: topic.to_owned(),
        ..broker::SubscriptionEndedInd::default()
    };
    let told = broker::ServerToClient {
        message: Some(server_to_client::Message::SubscriptionEndedInd(ended)),
    };
    let told = UntypedMessage::new(&ENDED_IND, told.encode_to_vec());
    let told = told.to_topic("$broker").expect("a topic");
    let sent = peer.send(&told, &CallOptions::new()).await;
    sent.expect("sent");
}

async fn connect(proxy: &Proxy) -> (Client<Lab>, mpsc::Receiver<SeenByClient>) {
    LabClient::connect(format!("{}/room1?reconnect_min=10ms", proxy.url())).await
}

#[tokio::test]
async fn each_session_is_subscribed_before_anything_else() {
    let spoken = Subscribed::new("lab", Lab::fingerprint());
    let (scripted, mut told) = Scripted::new(spoken);
    let proxy = scripted.start().await;
    let (client, mut seen) = connect(&proxy).await;
    for _ in 0..2 {
        assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
        client.note_ind(note(1)).await.expect("sent");
        for expected in [
            "connected",
            "subscribe room1 lab true",
            "message room1/$in 2",
        ] {
            assert_eq!(next(&mut told).await, expected);
        }
        proxy.cut();
        while !matches!(next(&mut seen).await, SeenByClient::Disconnected(_)) {}
    }
    client.close().await;
}

#[tokio::test]
async fn what_the_broker_tells_of_a_topic_is_no_message_of_the_protocol() {
    let (scripted, mut told) = Scripted::new(Subscribed::default());
    let proxy = scripted.start().await;
    let (client, mut seen) = connect(&proxy).await;
    assert_eq!(client.connection().server_fingerprint(), 0);
    assert!(client.connection().schema_difference().is_none());
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    client.note_ind(note(1)).await.expect("sent");
    for expected in [
        "connected",
        "subscribe room1 lab true",
        "message room1/$in 2",
        // Its schema is asked for.
        "call room1/$in 65535",
    ] {
        assert_eq!(next(&mut told).await, expected);
    }
    let difference = soon("a comparison", client.connection().schema_compared()).await;
    let difference = difference.expect("another schema").to_string();
    assert!(
        difference.contains("the server does not describe its schema"),
        "{difference}"
    );
    assert_eq!(client.connection().server_fingerprint(), OTHER);
    client.close().await;
    // Nothing came to its handler.
    while let Some(seen) = seen.recv().await {
        assert!(matches!(seen, SeenByClient::Disconnected(_)), "{seen:?}");
    }
}

#[tokio::test]
async fn another_schema_at_the_topic_is_told_once_connected() {
    let (scripted, _told) = Scripted::new(Subscribed::new("lab", OTHER));
    let proxy = scripted.start().await;
    let (client, _seen) = connect(&proxy).await;
    assert_eq!(client.connection().server_fingerprint(), OTHER);
    let difference = soon("a comparison", client.connection().schema_compared()).await;
    assert!(difference.is_some());
    client.close().await;
}

#[tokio::test]
async fn a_topic_that_is_refused_in_a_new_session_is_a_failed_attempt() {
    let (scripted, _told) = Scripted::new(Subscribed::default());
    let proxy = scripted.start().await;
    let (client, mut seen) = connect(&proxy).await;
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    scripted.refuses.store(true, Ordering::Relaxed);
    proxy.cut();
    loop {
        match next(&mut seen).await {
            SeenByClient::Failed(ConnectError::TopicRefused { topic, status, .. }, _) => {
                assert_eq!((&*topic, status.message()), ("room1", "not you"));
                break;
            }
            SeenByClient::Connected => panic!("it may not"),
            _ => {}
        }
    }
    scripted.refuses.store(false, Ordering::Relaxed);
    while !matches!(next(&mut seen).await, SeenByClient::Connected) {}
    client.close().await;
}

#[tokio::test]
async fn a_client_of_a_shared_connection_is_closed_alone_where_its_subscription_ends() {
    let (scripted, _told) = Scripted::new(Subscribed::new("lab", OTHER));
    let proxy = scripted.start().await;
    let connection = BrokerConnection::connect(proxy.url()).await;
    let connection = connection.expect("connects");
    let (handler, mut seen) = LabClient::new();
    let client = connection.client_with::<Lab, _>("room1", handler).await;
    let client = client.expect("is allowed");
    let other = connection.client::<Lab>("room2").await;
    let other = other.expect("is allowed");
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    assert_eq!(client.connection().server_fingerprint(), OTHER);
    let difference = soon("a comparison", client.connection().schema_compared()).await;
    assert!(difference.is_some());

    let mut state = client.connection().watch();
    client.alarm_ind(note(1)).await.expect("sent");
    match next(&mut seen).await {
        SeenByClient::ClosedByServer(status) => {
            assert_eq!(status.code(), Code::PermissionDenied);
        }
        event => panic!("{event:?}"),
    }
    let closed = state.wait_for(|state| *state == ConnectionState::Closed);
    soon("the end", closed).await.expect("is told");
    let sent = client.note_ind(note(2)).await;
    assert!(matches!(sent, Err(SendError::ClosedByPeer(_))), "{sent:?}");
    other.note_ind(note(3)).await.expect("goes on");
    connection.close().await;
}
