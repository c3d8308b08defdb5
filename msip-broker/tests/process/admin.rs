//! The admin listener of the program.

use msip_tests::soon;
use tokio::io::AsyncReadExt as _;

use crate::{
    mip::Peer,
    process::{Broker, get, run},
};

async fn admin(broker: &mut Broker) -> String {
    let line = broker.line().await;
    line.strip_prefix("admin on http://")
        .expect("an address")
        .to_owned()
}

#[tokio::test]
async fn it_tells_what_there_is() {
    let mut broker = Broker::start(
        &["--listen", "tcp://127.0.0.1:0", "--admin", "127.0.0.1:0"],
        1,
    )
    .await;
    let admin = admin(&mut broker).await;
    let mut subscriber = Peer::connect(broker.address()).await;
    subscriber.subscribe("news").await;
    let mut publisher = Peer::connect(broker.address()).await;
    publisher.publish(1, "news", b"hello").await;
    subscriber.hear().await.expect("a message");

    assert_eq!(
        get(&admin, "/readyz").await.expect("an answer"),
        (200, "ready\n".to_owned())
    );
    let (_, metrics) = get(&admin, "/metrics").await.expect("an answer");
    for line in [
        "msip_broker_connections{dialect=\"mip\"} 2",
        "msip_broker_published_messages_total 1",
        "msip_broker_queued_messages_total 1",
        "msip_broker_subscriptions 1",
    ] {
        assert!(
            metrics.lines().any(|other| other == line),
            "{line}: {metrics}"
        );
    }
    let (_, connections) = get(&admin, "/connections").await.expect("an answer");
    assert!(connections.starts_with("{\"total\":2,"), "{connections}");
    let (_, topics) = get(&admin, "/topics").await.expect("an answer");
    assert!(
        topics.contains("\"topic\":\"news\",\"subscriptions\":1"),
        "{topics}"
    );

    let mut stranger = Peer::silent(broker.address()).await.expect("connects");
    stranger
        .send(b"GET / HTTP/1.1\r\n\r\n")
        .await
        .expect("is written");
    let mut rest = Vec::new();
    // What is wrong is said, unless its request crosses the end of the connection.
    let _ = soon("it is closed", stranger.stream.read_to_end(&mut rest)).await;
    let refused = "msip_handshakes_refused_total{reason=\"protocol\"} 1";
    let is_counted = async {
        loop {
            let metrics = get(&admin, "/metrics").await.expect("an answer").1;
            if metrics.contains(refused) {
                break;
            }
        }
    };
    soon("what the runtime counts", is_counted).await;

    drop(subscriber);
    let closed = loop {
        let (_, closed) = get(&admin, "/connections?state=closed")
            .await
            .expect("an answer");
        if !closed.starts_with("{\"total\":0") {
            break closed;
        }
    };
    assert!(
        closed.contains("\"why\":\"the connection was lost\""),
        "{closed}"
    );
    broker.stop().await;
}

#[tokio::test]
async fn beyond_loopback_it_is_refused_without_keys() {
    for (address, expected) in [
        ("0.0.0.0:0", "others could read what is sent, keys included"),
        (
            "0.0.0.0:0?insecure=true",
            "beyond loopback it needs API keys",
        ),
    ] {
        let (code, _, told) = run(&["--listen", "tcp://127.0.0.1:0", "--admin", address]).await;
        assert_eq!(code, 2, "{told}");
        assert!(told.contains(expected), "{told}");
    }
}
