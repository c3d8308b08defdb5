//! The crate `mip-client`, as its users have it.

use std::net::SocketAddr;

use mip_client::{FrameFlags, FrameType, MIPClient, MIPClientOptions};
use msip_tests::soon;
use tokio::sync::mpsc;

use crate::broker;

#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Event(u64, String, String),
    Ack(u64),
    Pong,
    Error(String),
    /// The answer to HELLO: its message id, and the number of the session.
    Welcome(u64, Vec<u8>),
    Left,
}

pub(crate) struct Peer {
    client: MIPClient,
    heard: mpsc::Receiver<Heard>,
    number: Vec<u8>,
}

impl Peer {
    pub(crate) async fn connect(address: SocketAddr, client_id: &str) -> Self {
        let options = MIPClientOptions::default()
            .client_id(client_id)
            .host(address.ip().to_string())
            .port(address.port())
            .auto_reconnect(false);
        let (hear, mut heard) = mpsc::channel(1024);
        let mut client = MIPClient::new(options);
        let to = hear.clone();
        client.on_event(move |message| {
            let _ = to.try_send(Heard::Event(
                message.header.msg_id,
                message.topic,
                message.message,
            ));
        });
        let to = hear.clone();
        client.on_frame(move |header, payload| {
            let _ = match header.frame_type {
                FrameType::Ack if payload.is_empty() => to.try_send(Heard::Ack(header.msg_id)),
                FrameType::Ack => to.try_send(Heard::Welcome(header.msg_id, payload)),
                _ => Ok(()),
            };
        });
        let to = hear.clone();
        client.on_pong(move || drop(to.try_send(Heard::Pong)));
        let to = hear.clone();
        client.on_error(move |error| drop(to.try_send(Heard::Error(error.to_string()))));
        client.on_disconnect(move || drop(hear.try_send(Heard::Left)));
        client.connect().await.expect("connects");
        let welcome = soon("the answer to HELLO", heard.recv()).await;
        let Some(Heard::Welcome(_, number)) = welcome else {
            panic!("{welcome:?}");
        };
        assert_eq!(number.len(), 8);
        Self {
            client,
            heard,
            number,
        }
    }

    async fn hears(&mut self, expected: Heard) {
        assert_eq!(self.next().await, expected);
    }

    async fn next(&mut self) -> Heard {
        let heard = soon("something", self.heard.recv()).await;
        heard.expect("it is there")
    }

    pub(crate) async fn subscribe(&mut self, topic: &str) {
        let id = self.client.subscribe(topic, true).expect("sends");
        self.hears(Heard::Ack(id)).await;
    }

    /// What another has published, under whatever id.
    pub(crate) async fn hears_body(&mut self, topic: &str, body: &str) {
        let heard = self.next().await;
        let Heard::Event(_, heard_topic, heard_body) = &heard else {
            panic!("{heard:?}");
        };
        assert_eq!((&**heard_topic, &**heard_body), (topic, body));
    }

    /// Publishes, which is acknowledged.
    pub(crate) async fn say(&mut self, topic: &str, body: &str) {
        self.publish(topic, body, FrameFlags::NONE).await;
    }

    async fn publish(&mut self, topic: &str, body: &str, flags: FrameFlags) -> Heard {
        let id = self.client.publish(topic, body, flags).expect("sends");
        self.hears(Heard::Ack(id)).await;
        Heard::Event(id, topic.to_owned(), body.to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_subscribes_publishes_pings_and_leaves() {
    let address = broker().await;
    let mut ada = Peer::connect(address, "").await;
    let mut bob = Peer::connect(address, "").await;
    assert_ne!(ada.number, bob.number);
    ada.subscribe("with/ack").await;
    ada.client.subscribe("without/ack", false).expect("sends");
    ada.client.ping().expect("sends");
    ada.hears(Heard::Pong).await;
    for topic in ["with/ack", "without/ack"] {
        for flags in [
            FrameFlags::NONE,
            FrameFlags::ACK_REQUIRED,
            FrameFlags::URGENT,
        ] {
            let event = bob.publish(topic, "hello", flags).await;
            ada.hears(event).await;
        }
    }
    let id = ada.client.unsubscribe("with/ack", true).expect("sends");
    ada.hears(Heard::Ack(id)).await;
    bob.publish("with/ack", "unheard", FrameFlags::NONE).await;
    let event = bob.publish("without/ack", "heard", FrameFlags::NONE).await;
    ada.hears(event).await;
    ada.client
        .send_raw_frame(FrameType::Close, b"", FrameFlags::NONE)
        .expect("sends");
    ada.hears(Heard::Left).await;
    bob.client.disconnect().await.expect("leaves");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_comes_back_by_its_client_id_with_its_subscriptions() {
    let address = broker().await;
    let mut first = Peer::connect(address, "robot-number-1").await;
    let mut other = Peer::connect(address, "").await;
    first.subscribe("resumed").await;
    first.client.disconnect().await.expect("leaves");
    let number = first.number.clone();
    drop(first);
    let mut again = Peer::connect(address, "robot-number-1").await;
    assert_eq!(again.number, number);
    let event = other
        .publish("resumed", "welcome back", FrameFlags::NONE)
        .await;
    again.hears(event).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_may_not_send_it_is_told() {
    let mut peer = Peer::connect(broker().await, "").await;
    peer.client
        .send_raw_frame(FrameType::Pong, b"", FrameFlags::NONE)
        .expect("sends");
    let Heard::Error(text) = peer.next().await else {
        panic!("no error");
    };
    assert!(text.contains("PONG comes from the broker"), "{text}");
    peer.hears(Heard::Left).await;
}
