//! Signals.

use std::{fs, process::Stdio};

use msip_runtime::{
    ConnectionState,
    auth::ApiKey,
    untyped::{Event, Inbound, Reply, Service, SubscribeOptions, UntypedClient, UntypedPeer},
};
use msip_tests::soon;
use rustix::process::Signal;
use tokio::sync::mpsc;

use crate::{
    mip::{ACK_REQUIRED, CLOSE, ERROR, Peer, publish},
    process::{Broker, command, get},
};

#[tokio::test]
async fn sigterm_and_sigint_tell_the_clients_and_end_it_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let broker = Broker::plain().await;
        let mut peers = Vec::new();
        for _ in 0..20 {
            peers.push(Peer::connect(broker.address()).await);
        }
        broker.signal(signal);
        for peer in &mut peers {
            assert_eq!(peer.hear().await.expect("a goodbye").0, CLOSE);
        }
        drop(peers);
        let (code, log) = broker.end().await;
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("stopped"), "{log}");
    }
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let broker = Broker::plain().await;
    let _peer = Peer::connect(broker.address()).await;
    broker.signal(Signal::TERM);
    broker.signal(Signal::INT);
    let (code, log) = broker.end().await;
    assert_eq!(code, Some(0), "{log}");
}

#[tokio::test]
async fn sighup_reads_again_and_says_what_it_could_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, keys) = (
        folder.path().join("broker.toml"),
        folder.path().join("keys"),
    );
    let write = |rest: &str| {
        let text = format!(
            "[[listener]]\nurl = 'tcp://127.0.0.1:0?principal=plant'\n[keys]\nfile = 'keys'\n[principals.plant]\n{rest}"
        );
        fs::write(&file, text).expect("is written");
    };
    fs::write(&keys, "").expect("is written");
    write("publish = ['news']\nsubscribe = ['news']");
    let mut broker = Broker::start(&["--config", file.to_str().expect("text")], 1).await;
    let mut peer = Peer::connect(broker.address()).await;
    peer.subscribe("news").await;

    write("subscribe = ['news', 'more']");
    broker.signal(Signal::HUP);
    broker
        .logged("reloaded: keys, certificates, roles and principals")
        .await;
    let mut later = Peer::connect(broker.address()).await;
    later.subscribe("more").await;

    fs::write(&keys, "no key").expect("is written");
    broker.signal(Signal::HUP);
    broker.logged("the keys stay what they are").await;
    write("subscribe = [1]");
    broker.signal(Signal::HUP);
    broker
        .logged("cannot reload: the configuration stays what it is")
        .await;
    write("[limits]\nconnections = 5");
    broker.signal(Signal::HUP);
    broker.logged("needs a restart: limits").await;
}

#[tokio::test]
async fn sighup_withdraws_the_rights_of_those_who_are_connected_and_tells_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("broker.toml");
    let write = |topics: &str| {
        let text = format!(
            "[[listener]]\nurl = 'tcp://127.0.0.1:0?principal=plant'\n[keys]\nfile = 'keys'\n\
             [roles.reader]\nsubscribe = {topics}\n\
             [principals.plant]\nsubscribe = {topics}\npublish = {topics}"
        );
        fs::write(&file, text).expect("is written");
    };
    let keys = ["ada", "bob"].map(|name| (name, ApiKey::generate().expect("random numbers")));
    let write_keys = |keys: &[(&str, ApiKey)]| {
        let lines = keys.iter();
        let lines = lines.map(|(name, key)| key.entry(*name).with_role("reader").to_string());
        let text = lines.collect::<Vec<_>>().join("\n");
        fs::write(folder.path().join("keys"), text).expect("is written");
    };
    write_keys(&keys);
    write("['news', 'more']");
    let mut broker = Broker::start(&["--config", file.to_str().expect("text")], 1).await;
    let [ada, bob] = &keys;
    let mut ada = Told::connect(&broker.urls[0], &ada.1).await;
    let mut bob = Told::connect(&broker.urls[0], &bob.1).await;
    let mut mip = Peer::connect(broker.address()).await;
    for topic in ["news", "more"] {
        ada.subscribe(topic).await;
        bob.subscribe(topic).await;
        mip.subscribe(topic).await;
    }

    write("['news']");
    write_keys(&keys[..1]);
    broker.signal(Signal::HUP);
    assert_eq!(
        ada.next("the end of a subscription").await,
        "lost more: PERMISSION_DENIED"
    );
    let end = "closed by the peer: PERMISSION_DENIED: the principal has lost its rights";
    assert_eq!(bob.next("the end of a session").await, end);
    assert_eq!(mip.hear().await.expect("a goodbye").0, CLOSE);

    let mut publisher = Peer::connect(broker.address()).await;
    let refused = publish(ACK_REQUIRED, 1, "more", b"refused");
    publisher.send(&refused).await.expect("is written");
    assert_eq!(publisher.hear().await.expect("an answer").0, ERROR);
    publisher.publish(2, "news", b"allowed").await;
    assert_eq!(ada.next("a message").await, "news allowed");

    // What has not changed ends nothing.
    broker.signal(Signal::HUP);
    broker.logged_times("reloaded: keys", 2).await;
    publisher.publish(3, "news", b"again").await;
    assert_eq!(ada.next("another message").await, "news again");

    // A file that cannot be read keeps nobody in whose key is gone.
    fs::write(&file, "no such thing").expect("is written");
    write_keys(&[]);
    broker.signal(Signal::HUP);
    assert_eq!(ada.next("the end of a session").await, end);
    broker
        .logged("cannot reload: the configuration stays what it is")
        .await;
    broker.stop().await;
}

/// At publish, at delivery and at resume: MIP peers that were there before.
#[tokio::test]
async fn sighup_withdraws_the_rights_of_mip_peers_that_have_said_hello() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("broker.toml");
    let write = |topics: &str| {
        let text = format!(
            "[[listener]]\nurl = 'tcp://127.0.0.1:0?principal=plant'\n\
             [principals.plant]\nsubscribe = {topics}\npublish = {topics}"
        );
        fs::write(&file, text).expect("is written");
    };
    write("['news', 'more']");
    let file = file.to_str().expect("text");
    let mut broker = Broker::start(&["--config", file, "--admin", "127.0.0.1:0"], 1).await;
    let admin = broker.line().await.replace("admin on http://", "");
    let address = broker.address().to_owned();
    let mut publisher = Peer::connect(&address).await;
    let mut reader = Peer::numbered(&address, 7).await;
    let mut away = Peer::numbered(&address, 8).await;
    for peer in [&mut reader, &mut away] {
        peer.subscribe("news").await;
        peer.subscribe("more").await;
    }
    drop(away);
    let is_away = async {
        let line = "msip_broker_sessions{state=\"away\"} 1";
        while !get(&admin, "/metrics")
            .await
            .expect("an answer")
            .1
            .contains(line)
        {}
    };
    soon("a session that is away", is_away).await;
    publisher.publish(2, "more", b"for a moment").await;
    publisher.publish(3, "news", b"as ever").await;
    for id in [2, 3] {
        assert_eq!(reader.hear().await.expect("a message").1, id);
    }

    write("['news']");
    broker.signal(Signal::HUP);
    broker.logged("reloaded: keys").await;
    assert_eq!(reader.hear().await.expect("a goodbye").0, CLOSE);
    let refused = publish(ACK_REQUIRED, 4, "more", b"refused");
    publisher.send(&refused).await.expect("is written");
    let (frame_type, id, why) = publisher.hear().await.expect("an answer");
    assert_eq!((frame_type, id), (ERROR, 4));
    assert!(why.starts_with(b"PERMISSION_DENIED: "), "{why:?}");
    publisher.publish(5, "news", b"as ever").await;

    // What was queued by the right that it had is gone, and so is the subscription, which it is told in the same way.
    let mut away = Peer::numbered(&address, 8).await;
    assert_eq!(away.hear().await.expect("a goodbye").0, CLOSE);
    let mut away = Peer::numbered(&address, 8).await;
    let mut reader = Peer::numbered(&address, 7).await;
    for (peer, ids) in [(&mut away, &[3, 5][..]), (&mut reader, &[5])] {
        for id in ids {
            assert_eq!(peer.hear().await.expect("a message").1, *id);
        }
    }
    write("['news', 'more']");
    broker.signal(Signal::HUP);
    broker.logged_times("reloaded: keys", 2).await;
    publisher.publish(6, "more", b"for nobody").await;
    publisher.publish(7, "news", b"as ever").await;
    for peer in [&mut away, &mut reader] {
        assert_eq!(peer.hear().await.expect("a message").1, 7);
    }
    broker.stop().await;
}

/// A client with a key that tells what it is told.
struct Told {
    client: UntypedClient,
    heard: mpsc::Receiver<String>,
}

struct Tell(mpsc::Sender<String>);

impl Service for Tell {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        while let Some(event) = inbound.next().await {
            let said: Vec<String> = match event {
                Event::Messages(messages) => messages
                    .iter()
                    .map(|message| {
                        let body = String::from_utf8_lossy(message.body());
                        format!("{} {body}", message.topic())
                    })
                    .collect(),
                Event::Exchange(exchange) => {
                    let body = String::from_utf8_lossy(exchange.message.raw_body()).into_owned();
                    let said = format!("{} {body}", exchange.message.topic());
                    if let Reply::Delivery(delivery) = exchange.reply {
                        delivery.acknowledge();
                    }
                    vec![said]
                }
                Event::SubscriptionLost { topic, status } => {
                    vec![format!("lost {topic}: {}", status.code())]
                }
                _ => Vec::new(),
            };
            for said in said {
                let _ = self.0.send(said).await;
            }
        }
    }
}

impl Told {
    async fn connect(url: &str, key: &ApiKey) -> Self {
        let (told, heard) = mpsc::channel(16);
        let client = UntypedClient::builder(url, "raw", 0)
            .credential(key.as_str())
            .service(Tell(told));
        let client = client.connect().await.expect("connects");
        Self { client, heard }
    }

    async fn subscribe(&self, topic: &str) {
        let subscribed = self.client.subscribe(topic, &SubscribeOptions::new()).await;
        subscribed.expect("is allowed");
    }

    /// What it is told next, or why its connection has ended.
    async fn next(&mut self, what: &str) -> String {
        let connection = self.client.connection();
        let mut states = connection.watch();
        let closed = async {
            let state = states.wait_for(|state| *state == ConnectionState::Closed);
            drop(state.await.expect("the client is there"));
            connection
                .closed()
                .map_or_else(String::new, |end| end.to_string())
        };
        soon(what, async {
            tokio::select! {
                Some(said) = self.heard.recv() => said,
                end = closed => end,
            }
        })
        .await
    }
}

#[tokio::test]
async fn it_goes_on_where_its_output_is_closed() {
    let mut child = command()
        .args(["--listen", "tcp://127.0.0.1:0"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut errors = child.stderr.take().expect("is piped");
    let mut first = [0; 1];
    let read = tokio::io::AsyncReadExt::read(&mut errors, &mut first);
    assert_eq!(soon("a line", read).await.expect("is read"), 1);
    drop(errors);
    let id = i32::try_from(child.id().expect("it runs")).expect("an id");
    let id = rustix::process::Pid::from_raw(id).expect("an id");
    rustix::process::kill_process(id, Signal::TERM).expect("it runs");
    let status = soon("its end", child.wait()).await.expect("a status");
    assert_eq!(status.code(), Some(0));
}
