//! MSIP peers of the program.

use msip_runtime::{
    CallOptions, Code, MsgKind, Variant,
    untyped::{
        Event, Inbound, Service, SubscribeOptions, UntypedClient, UntypedMessage, UntypedPeer,
    },
};
use msip_tests::soon;
use tokio::sync::mpsc;

use crate::{
    mip::{EVENT, Peer},
    process::{Broker, get},
};

const NOTE: Variant = Variant::new(2, "note", MsgKind::Event);

/// Tells the bodies that it hears.
pub(crate) struct Tell(pub(crate) mpsc::Sender<Vec<u8>>);

impl Service for Tell {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        while let Some(event) = inbound.next().await {
            let mut bodies = Vec::new();
            match event {
                Event::Messages(messages) => {
                    bodies.extend(messages.iter().map(|message| message.body().to_vec()));
                }
                Event::Exchange(exchange) => {
                    bodies.push(exchange.message.body().expect("as it is").to_vec());
                }
                _ => {}
            }
            for body in bodies {
                let _ = self.0.send(body).await;
            }
        }
    }
}

#[tokio::test]
async fn msip_and_mip_peers_hear_each_other() {
    let arguments = ["--listen", "tcp://127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let mut broker = Broker::start(&arguments, 1).await;
    let admin = broker.line().await.replace("admin on http://", "");
    let (tell, mut heard) = mpsc::channel(16);
    let client = UntypedClient::builder(&broker.urls[0], "raw", 0).service(Tell(tell));
    let client = client.connect().await.expect("connects");
    let options = SubscribeOptions::new();
    client
        .subscribe("news/+", &options)
        .await
        .expect("is allowed");
    let mut mip = Peer::connect(broker.address()).await;
    mip.subscribe("notes").await;

    mip.publish(1, "news/today", b"hello").await;
    assert_eq!(
        soon("a message", heard.recv()).await.as_deref(),
        Some(&b"hello"[..])
    );
    let note = UntypedMessage::new(&NOTE, &b"hi"[..])
        .to_topic("notes")
        .expect("a topic");
    client
        .send(&note, &CallOptions::new())
        .await
        .expect("is sent");
    assert_eq!(mip.hear().await.expect("a message").0, EVENT);

    let (_, connections) = get(&admin, "/connections?sort=id")
        .await
        .expect("an answer");
    for dialect in ["msip", "mip"] {
        let entry = format!("\"dialect\":\"{dialect}\",\"principal\":\"anonymous\"");
        assert!(connections.contains(&entry), "{connections}");
    }
    broker.stop().await;
    drop(client);
}

#[tokio::test]
async fn a_body_at_the_limit_is_delivered_with_the_metadata_of_the_broker() {
    let arguments = ["--listen", "tcp://127.0.0.1:0", "--max-body", "16KiB"];
    let broker = Broker::start(&arguments, 1).await;
    let url = format!("{}?max_body=16KiB", broker.urls[0]);
    let (tell, mut heard) = mpsc::channel(16);
    let subscriber = UntypedClient::builder(&url, "raw", 0).service(Tell(tell));
    let subscriber = subscriber.connect().await.expect("connects");
    let subscribed = subscriber
        .subscribe("large", &SubscribeOptions::new())
        .await;
    subscribed.expect("is allowed");
    let publisher = UntypedClient::builder(&url, "raw", 0).connect().await;
    let publisher = publisher.expect("connects");
    let mut mip = Peer::connect(broker.address()).await;
    mip.subscribe("large").await;
    let large = |len: usize| {
        let message = UntypedMessage::new(&NOTE, vec![b'x'; len]).to_topic("large");
        message.expect("a topic")
    };
    let with_headers = || CallOptions::new().header("about", "x".repeat(4000));
    for options in [CallOptions::new(), with_headers()] {
        let sent = publisher.send(&large(16 * 1024), &options).await;
        sent.expect("is sent");
        let delivered = publisher.deliver(&large(16 * 1024), &options).await;
        delivered.expect("is taken over");
        for _ in 0..2 {
            let body = soon("a message", heard.recv()).await.expect("it is there");
            assert_eq!(body.len(), 16 * 1024);
            let (frame_type, _, payload) = mip.hear().await.expect("a message");
            assert_eq!((frame_type, payload.len()), (EVENT, 2 + 5 + 16 * 1024));
        }
    }
    let over = publisher.send(&large(16 * 1024 + 1), &with_headers()).await;
    assert_eq!(
        over.expect_err("is too large").code(),
        Code::ResourceExhausted
    );
    broker.stop().await;
}

const ASK: Variant = Variant::new(6, "ask", MsgKind::Command).call(6);

#[tokio::test]
async fn what_is_over_the_max_body_of_a_receiver_is_counted_and_a_call_is_refused() {
    let arguments = ["--listen", "tcp://127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let mut broker = Broker::start(&arguments, 1).await;
    let admin = broker.line().await.replace("admin on http://", "");
    let small = format!("{}?max_body=1KiB", broker.urls[0]);
    let (tell, mut heard) = mpsc::channel(16);
    let subscriber = UntypedClient::builder(&small, "raw", 0).service(Tell(tell));
    let subscriber = subscriber.connect().await.expect("connects");
    for topic in ["news", "ask/$in"] {
        let subscribed = subscriber.subscribe(topic, &SubscribeOptions::new()).await;
        subscribed.expect("is allowed");
    }
    let publisher = UntypedClient::builder(&broker.urls[0], "raw", 0)
        .connect()
        .await;
    let publisher = publisher.expect("connects");
    let message = |variant, topic, len: usize| {
        let message = UntypedMessage::new(variant, vec![b'x'; len]).to_topic(topic);
        message.expect("a topic")
    };
    let plain = CallOptions::new();
    for (len, options) in [
        (2000, plain.clone()),
        (2000, plain.clone().header("a", "b")),
    ] {
        let sent = publisher.send(&message(&NOTE, "news", len), &options).await;
        sent.expect("is sent");
    }
    let sent = publisher.send(&message(&NOTE, "news", 1000), &plain).await;
    sent.expect("is sent");
    let body = soon("a message", heard.recv()).await.expect("it is there");
    assert_eq!(body.len(), 1000);
    let metrics = get(&admin, "/metrics").await.expect("an answer").1;
    let counted = "msip_broker_dropped_messages_total 2";
    assert!(metrics.lines().any(|line| line == counted), "{metrics}");
    let refused = publisher.call(&message(&ASK, "ask", 2000), &plain).await;
    let refused = refused.expect_err("is too large for its receiver");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    broker.stop().await;
}
