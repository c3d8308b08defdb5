//! The admin listener of the program.

use msip_runtime::auth::ApiKey;
use msip_tests::soon;
use tokio::io::AsyncReadExt as _;

use crate::{
    mip::Peer,
    process::{Broker, get, get_with, run},
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
async fn beyond_loopback_it_answers_those_with_the_role_admin() {
    let folder = tempfile::tempdir().expect("a folder");
    let [admin_key, other] = [(); 2].map(|()| ApiKey::generate().expect("random numbers"));
    let keys = [
        admin_key.entry("ada").with_role("admin").to_string(),
        other.entry("eve").with_role("client").to_string(),
    ];
    std::fs::write(folder.path().join("keys"), keys.join("\n")).expect("is written");
    let file = folder.path().join("broker.toml");
    let text = "admin = '0.0.0.0:0?insecure=true'\n[[listener]]\nurl = 'tcp://127.0.0.1:0'\n\
                [keys]\nfile = 'keys'";
    std::fs::write(&file, text).expect("is written");
    let mut broker = Broker::start(&["--config", file.to_str().expect("text")], 1).await;
    let admin = admin(&mut broker).await.replace("0.0.0.0", "127.0.0.1");
    let bearer = |key: &ApiKey| format!("Authorization: Bearer {}\r\n", key.as_str());
    for (path, shown, expected) in [
        ("/sessions", String::new(), 401),
        ("/sessions", bearer(&other), 403),
        ("/sessions", bearer(&admin_key), 200),
        ("/healthz", String::new(), 200),
    ] {
        let answer = get_with(&admin, path, &shown).await.expect("an answer");
        assert_eq!(answer.0, expected, "{path}: {}", answer.1);
    }
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
