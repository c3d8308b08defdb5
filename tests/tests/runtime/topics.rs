//! Topics: clients that subscribe, and a service that routes as a broker does.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use msip_runtime::{
    CallError, CallOptions, Code, MsgKind, Status, Variant,
    untyped::{
        Event, Grant, Handle, Inbound, Reply, Service, SubscribeOptions, Subscribed, UntypedClient,
        UntypedMessage, UntypedPeer, UntypedProtocol, UntypedServer,
    },
};
use msip_tests::{Recorder, next, proxy::Proxy, recorder, soon};
use tokio::{sync::mpsc, task::JoinHandle};

const NOTE: Variant = Variant::new(2, "note", MsgKind::Event);
const ASK: Variant = Variant::new(3, "ask", MsgKind::Command).call(3);

fn note(topic: &str, body: &str) -> UntypedMessage {
    let message = UntypedMessage::new(&NOTE, body.as_bytes().to_vec());
    message.to_topic(topic).expect("a topic")
}

/// A broker without rights, filters and limits: a topic is heard by those who have subscribed to it by its name.
#[derive(Clone)]
struct Naive {
    subscribers: Arc<Mutex<Vec<(String, Handle)>>>,
    seen: Recorder<String>,
    /// Whether it leaves SUBSCRIBE unanswered.
    is_silent: Arc<AtomicBool>,
    /// Whether it refuses SUBSCRIBE.
    refuses: Arc<AtomicBool>,
}

impl Naive {
    fn new() -> (Self, mpsc::Receiver<String>) {
        let (seen, events) = recorder();
        let naive = Self {
            subscribers: Arc::default(),
            seen,
            is_silent: Arc::default(),
            refuses: Arc::default(),
        };
        (naive, events)
    }

    fn subscribers(&self, topic: &str) -> Vec<Handle> {
        let subscribers = self
            .subscribers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let of_topic = subscribers.iter().filter(|(of, _)| of == topic);
        of_topic.map(|(_, handle)| handle.clone()).collect()
    }
}

impl Service for Naive {
    async fn serve(&self, peer: UntypedPeer, mut inbound: Inbound) {
        let mut silent = Vec::new();
        while let Some(event) = inbound.next().await {
            match event {
                Event::Messages(messages) => {
                    for message in messages.iter() {
                        self.seen.record(format!("message {}", message.topic()));
                        for subscriber in self.subscribers(&format!("{}/$in", message.topic())) {
                            let mut sender = subscriber.sender();
                            let topic = format!("{}/$in/7", message.topic());
                            let left_out = sender.push_frames_at(&topic, message.frame()).await;
                            assert_eq!(left_out.expect("is connected"), 0);
                        }
                        for subscriber in self.subscribers(message.topic()) {
                            let mut sender = subscriber.sender();
                            let left_out = sender.push_frames(message.frame()).await;
                            assert_eq!(left_out.expect("is connected"), 0);
                        }
                    }
                }
                Event::Exchange(exchange) => {
                    self.seen
                        .record(format!("exchange {}", exchange.message.topic()));
                    match exchange.reply {
                        Reply::Delivery(delivery) => delivery.acknowledge(),
                        Reply::Call(responder) => responder.answer(&exchange.message),
                        _ => {}
                    }
                }
                Event::Subscribe(request) if request.is_about_grant() => {
                    let grant = request.grant().expect("can be read");
                    let topic = request.topic();
                    self.seen
                        .record(format!("grant {topic} {}", grant.requests().join(" ")));
                    request.accept();
                }
                Event::Subscribe(request) if self.is_silent.load(Ordering::Relaxed) => {
                    self.seen.record("unanswered".to_owned());
                    silent.push(request);
                }
                Event::Subscribe(request) if self.refuses.load(Ordering::Relaxed) => {
                    request.refuse(&Status::permission_denied("not you"));
                }
                Event::Subscribe(request) => {
                    let (topic, group) = (request.topic().to_owned(), request.group());
                    self.seen
                        .record(format!("subscribe {topic} {}", group.unwrap_or("alone")));
                    let handle = peer.handle().clone();
                    self.subscribers
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((topic, handle));
                    if request.is_by_peer() {
                        let (protocol, fingerprint) = request.protocol().expect("it says so");
                        let strict = if request.is_strict() { "strict" } else { "any" };
                        let spoken = format!("{protocol} {strict}");
                        request.accept_with(&Subscribed::new(spoken, fingerprint + 1));
                        continue;
                    }
                    request.accept();
                }
                Event::Unsubscribe(request) => {
                    self.seen.record(format!("unsubscribe {}", request.topic()));
                    self.subscribers
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .retain(|(topic, _)| topic != request.topic());
                    request.accept();
                }
                Event::Connected => self.seen.record("connected".to_owned()),
                _ => {}
            }
        }
    }
}

async fn serve(protocol: UntypedProtocol, service: Naive) -> (String, JoinHandle<()>) {
    let server = UntypedServer::builder("tcp://127.0.0.1:0")
        .untyped(protocol, service)
        .bind()
        .await
        .expect("listens");
    let url = server.local_url().to_string();
    (url, tokio::spawn(server.serve()))
}

async fn broker() -> (String, Naive, mpsc::Receiver<String>) {
    let (naive, seen) = Naive::new();
    let (url, _) = serve(UntypedProtocol::any().with_topics(), naive.clone()).await;
    (url, naive, seen)
}

/// Tells what a client hears.
struct Ear(Recorder<String>);

impl Service for Ear {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        while let Some(event) = inbound.next().await {
            match event {
                Event::Messages(messages) => {
                    for message in messages.iter() {
                        let body = String::from_utf8_lossy(message.body()).into_owned();
                        self.0.record(format!("{} {body}", message.topic()));
                    }
                }
                Event::SubscriptionLost { topic, status } => {
                    self.0.record(format!("lost {topic}: {status}"));
                }
                Event::Exchange(exchange) => {
                    self.0
                        .record(format!("exchange {}", exchange.message.topic()));
                }
                Event::Connected => self.0.record("connected".to_owned()),
                _ => {}
            }
        }
    }
}

async fn listener(url: &str) -> (UntypedClient, mpsc::Receiver<String>) {
    let (heard, mut events) = recorder();
    let client = UntypedClient::builder(url, "raw", 0)
        .service(Ear(heard))
        .connect()
        .await;
    assert_eq!(next(&mut events).await, "connected");
    (client.expect("connects"), events)
}

fn address(url: &str) -> SocketAddr {
    let place = url.strip_prefix("tcp://").expect("a TCP address");
    place.parse().expect("an address")
}

#[tokio::test]
async fn what_is_published_comes_to_who_has_subscribed_with_its_topic() {
    let (url, _, mut seen) = broker().await;
    let (subscriber, mut heard) = listener(&url).await;
    assert_eq!(next(&mut seen).await, "connected");
    subscriber
        .subscribe("a", &SubscribeOptions::new())
        .await
        .expect("accepted");
    assert_eq!(next(&mut seen).await, "subscribe a alone");
    let publisher = UntypedClient::builder(&url, "raw", 0)
        .connect()
        .await
        .expect("connects");
    let mut sender = publisher.sender();
    for number in 0..200 {
        let topic = if number % 2 == 0 { "a" } else { "b" };
        let pushed = sender.push(&note(topic, &number.to_string())).await;
        pushed.expect("is connected");
    }
    sender.flush().await.expect("is connected");
    assert_eq!(next(&mut seen).await, "connected");
    for number in 0..200 {
        let topic = if number % 2 == 0 { "a" } else { "b" };
        assert_eq!(next(&mut seen).await, format!("message {topic}"));
    }
    for number in (0..200).step_by(2) {
        assert_eq!(next(&mut heard).await, format!("a {number}"));
    }
    subscriber.unsubscribe("a").await.expect("accepted");
    assert_eq!(next(&mut seen).await, "unsubscribe a");
}

#[tokio::test]
async fn a_subscription_by_peer_is_answered_with_what_is_spoken_and_heard_at_another_topic() {
    let (url, _, _seen) = broker().await;
    let (service, mut heard) = listener(&url).await;
    let options = SubscribeOptions::new().by_peer().protocol("chat.v1", 7);
    let subscribed = service.subscribe("a/$in", &options.clone().strict()).await;
    let subscribed = subscribed.expect("accepted");
    assert_eq!(subscribed.protocol(), Some(("chat.v1 strict", 8)));
    let subscribed = service.subscribe("b/$in", &options).await;
    assert_eq!(
        subscribed.expect("accepted").protocol(),
        Some(("chat.v1 any", 8))
    );
    let plain = service.subscribe("c", &SubscribeOptions::new()).await;
    assert_eq!(plain.expect("accepted"), Subscribed::default());
    let mut sender = service.sender();
    for number in 0..20 {
        let pushed = sender.push(&note("a", &number.to_string())).await;
        pushed.expect("is connected");
    }
    sender.flush().await.expect("is connected");
    for number in 0..20 {
        assert_eq!(next(&mut heard).await, format!("a/$in/7 {number}"));
    }
    let too_long = "x".repeat(256);
    let pushed = sender.push_frames_at(&too_long, &[]).await;
    let error = pushed.expect_err("no topic").to_string();
    assert!(error.contains("256"), "{error}");
}

#[tokio::test]
async fn deliveries_and_calls_have_their_topics_too() {
    let (url, _, mut seen) = broker().await;
    let client = UntypedClient::builder(&url, "raw", 0)
        .connect()
        .await
        .expect("connects");
    client
        .deliver(&note("deliveries", ""), &CallOptions::new())
        .await
        .expect("acknowledged");
    let ask = UntypedMessage::new(&ASK, b"question".to_vec());
    let ask = ask.to_topic("calls").expect("a topic");
    let answer = client.call(&ask, &CallOptions::new()).await;
    assert_eq!(&answer.expect("answered").raw_body()[..], b"question");
    for expected in ["connected", "exchange deliveries", "exchange calls"] {
        assert_eq!(next(&mut seen).await, expected);
    }
}

#[tokio::test]
async fn a_group_and_a_grant_come_to_the_broker() {
    let (url, _, mut seen) = broker().await;
    let (client, _) = listener(&url).await;
    let options = SubscribeOptions::new()
        .group("workers")
        .protocol("fleet.v1", 7);
    client.subscribe("a/+", &options).await.expect("accepted");
    let grant = Grant::new().request("orders").request("orders/+");
    client.grant("orders", &grant).await.expect("accepted");
    client.withdraw_grant("orders").await.expect("accepted");
    for expected in [
        "connected",
        "subscribe a/+ workers",
        "grant orders orders orders/+",
        "unsubscribe orders",
    ] {
        assert_eq!(next(&mut seen).await, expected);
    }
}

#[tokio::test]
async fn a_refusal_says_why() {
    let (url, naive, _) = broker().await;
    naive.refuses.store(true, Ordering::Relaxed);
    let (client, _) = listener(&url).await;
    let refused = client.subscribe("a", &SubscribeOptions::new()).await;
    let error = refused.expect_err("refused");
    assert_eq!(error.code(), Code::PermissionDenied, "{error}");
    for (filter, text) in [
        ("", "the empty topic"),
        ("a\nb", "control character"),
        (&*"x".repeat(256), "256 bytes"),
    ] {
        let error = client
            .subscribe(filter, &SubscribeOptions::new())
            .await
            .expect_err("is no topic");
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
    let long = SubscribeOptions::new().group("x".repeat(9000));
    let error = client.subscribe("a", &long).await.expect_err("too long");
    assert_eq!(error.code(), Code::InvalidArgument, "{error}");
}

#[tokio::test]
async fn a_server_without_topics_refuses_to_be_subscribed_to() {
    let (naive, mut seen) = Naive::new();
    let (url, _) = serve(UntypedProtocol::any(), naive).await;
    let (client, _) = listener(&url).await;
    let refused = client.subscribe("a", &SubscribeOptions::new()).await;
    let error = refused.expect_err("there is no broker");
    assert_eq!(error.code(), Code::Unimplemented, "{error}");
    let refused = client.deliver(&note("a", ""), &CallOptions::new()).await;
    let error = refused.expect_err("topics are refused");
    assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    assert_eq!(next(&mut seen).await, "connected");
    client.close().await;
}

/// A broker whose sessions end with their connections, behind a proxy.
async fn forgetful() -> (Proxy, Naive, mpsc::Receiver<String>) {
    let (naive, seen) = Naive::new();
    let server = UntypedServer::builder("tcp://127.0.0.1:0?session_expiry=0s")
        .untyped(UntypedProtocol::any().with_topics(), naive.clone())
        .bind()
        .await
        .expect("listens");
    let url = server.local_url().to_string();
    tokio::spawn(server.serve());
    let address = address(url.split('?').next().expect("an address"));
    (Proxy::start(address).await, naive, seen)
}

#[tokio::test]
async fn a_new_session_subscribes_before_anything_is_sent() {
    let (proxy, _, mut seen) = forgetful().await;
    let client = UntypedClient::builder(proxy.url(), "raw", 0)
        .on_connected(|broker| async move {
            let first = broker.send(&note("login", ""), &CallOptions::new()).await;
            first.map_err(Status::from)
        })
        .connect()
        .await
        .expect("connects");
    for expected in ["connected", "exchange login"] {
        assert_eq!(next(&mut seen).await, expected);
    }
    for topic in ["b", "a", "gone"] {
        let options = SubscribeOptions::new().group("workers");
        client.subscribe(topic, &options).await.expect("accepted");
        assert_eq!(next(&mut seen).await, format!("subscribe {topic} workers"));
    }
    client.unsubscribe("gone").await.expect("accepted");
    assert_eq!(next(&mut seen).await, "unsubscribe gone");
    proxy.cut();
    for expected in [
        "connected",
        "subscribe a workers",
        "subscribe b workers",
        "exchange login",
    ] {
        assert_eq!(next(&mut seen).await, expected);
    }
    client.close().await;
}

#[tokio::test]
async fn a_subscription_that_is_refused_in_a_new_session_is_an_event() {
    let (proxy, naive, mut seen) = forgetful().await;
    let (client, mut heard) = listener(&proxy.url()).await;
    client
        .subscribe("a", &SubscribeOptions::new())
        .await
        .expect("accepted");
    naive.refuses.store(true, Ordering::Relaxed);
    proxy.cut();
    assert_eq!(next(&mut heard).await, "connected");
    assert_eq!(next(&mut heard).await, "lost a: PERMISSION_DENIED: not you");
    naive.refuses.store(false, Ordering::Relaxed);
    proxy.cut();
    assert_eq!(next(&mut heard).await, "connected");
    for expected in ["connected", "subscribe a alone", "connected", "connected"] {
        // It is not asked for again.
        assert_eq!(next(&mut seen).await, expected);
    }
    client
        .subscribe("b", &SubscribeOptions::new())
        .await
        .expect("accepted");
    assert_eq!(next(&mut seen).await, "subscribe b alone");
    client.close().await;
}

#[tokio::test]
async fn a_session_that_is_resumed_asks_again_what_was_not_answered() {
    let (naive, mut seen) = Naive::new();
    let (url, _) = serve(UntypedProtocol::any().with_topics(), naive.clone()).await;
    let proxy = Proxy::start(address(&url)).await;
    let (client, mut heard) = listener(&proxy.url()).await;
    assert_eq!(next(&mut seen).await, "connected");
    client
        .subscribe("kept", &SubscribeOptions::new())
        .await
        .expect("accepted");
    assert_eq!(next(&mut seen).await, "subscribe kept alone");
    naive.is_silent.store(true, Ordering::Relaxed);
    let asking = {
        let client = client.clone();
        tokio::spawn(async move { client.subscribe("late", &SubscribeOptions::new()).await })
    };
    assert_eq!(next(&mut seen).await, "unanswered");
    naive.is_silent.store(false, Ordering::Relaxed);
    proxy.cut();
    assert_eq!(next(&mut seen).await, "connected");
    assert_eq!(next(&mut seen).await, "subscribe late alone");
    let asked: Result<_, CallError> = soon("an answer", asking).await.expect("it ends");
    asked.expect("accepted");
    assert_eq!(next(&mut heard).await, "connected");
    // What was accepted before is the session's still.
    let publisher = UntypedClient::builder(&url, "raw", 0)
        .connect()
        .await
        .expect("connects");
    for topic in ["kept", "late"] {
        let sent = publisher.send(&note(topic, "x"), &CallOptions::new()).await;
        sent.expect("is connected");
        assert_eq!(next(&mut heard).await, format!("{topic} x"));
    }
    client.close().await;
}
