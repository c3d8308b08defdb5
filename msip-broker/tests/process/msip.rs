//! MSIP peers of the program.

use msip_runtime::{
    CallOptions, MsgKind, Variant,
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
struct Tell(mpsc::Sender<Vec<u8>>);

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
