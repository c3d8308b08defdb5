//! The limits of the file, each met by peers of the program: one that is not wired through is not there.

use msip_runtime::{
    CallOptions, MsgKind, Variant,
    transport::ServiceUrl,
    untyped::{
        Event, Grant, Inbound, Reply, Service, SubscribeOptions, UntypedClient, UntypedMessage,
        UntypedPeer,
    },
    wire::{Codec, FrameType, Hello, SECRET_LEN, parse_welcome},
};
use msip_tests::{
    proxy::Proxy,
    raw::{self, RawPeer},
    soon,
};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::{
    mip::{ACK, ACK_REQUIRED, CLOSE, ERROR, EVENT, HELLO, Peer, SUBSCRIBE, frame, publish},
    process::{Broker, get},
};

const KIND_STATE: u8 = 3;
const KIND_LOG: u8 = 4;

/// A broker whose file says this of `[limits]`, and more tables after it.
struct Limited {
    broker: Broker,
    admin: String,
    _folder: TempDir,
}

impl Limited {
    async fn start(limits: &str) -> Self {
        let listener = "[[listener]]\nurl = 'tcp://127.0.0.1:0'";
        Self::of_file(&format!("{listener}\n[limits]\n{limits}")).await
    }

    /// A broker with this file, which has one listener.
    async fn of_file(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("broker.toml");
        std::fs::write(&file, text).expect("is written");
        let file = file.to_str().expect("text");
        let arguments = ["--config", file, "--admin", "127.0.0.1:0"];
        let mut broker = Broker::start(&arguments, 1).await;
        let admin = broker.line().await.replace("admin on http://", "");
        Self {
            broker,
            admin,
            _folder: folder,
        }
    }

    async fn peer(&self) -> Peer {
        Peer::connect(self.broker.address()).await
    }

    /// One that names its session by this number.
    async fn numbered(&self, number: u64) -> Peer {
        Peer::numbered(self.broker.address(), number).await
    }

    /// Waits until the metrics have this line.
    async fn counts(&self, line: &str) {
        let is_counted = async {
            loop {
                let metrics = get(&self.admin, "/metrics").await.expect("an answer").1;
                if metrics.lines().any(|other| other == line) {
                    break;
                }
            }
        };
        soon(line, is_counted).await;
    }

    /// Waits until one session is without a connection.
    async fn has_one_away(&self) {
        self.counts("msip_broker_sessions{state=\"away\"} 1").await;
    }
}

/// The same message of another kind.
fn of_kind(kind: u8, mut message: Vec<u8>) -> Vec<u8> {
    message[9] = kind;
    message
}

/// Sends a frame that is refused, for this reason.
async fn is_refused(peer: &mut Peer, frame: &[u8], why: &str) {
    peer.send(frame).await.expect("is written");
    let (frame_type, _, text) = peer.hear().await.expect("an answer");
    let text = String::from_utf8_lossy(&text).into_owned();
    assert_eq!((frame_type, &*text), (ERROR, why));
}

/// Sends a frame that is acknowledged.
async fn is_taken(peer: &mut Peer, frame: &[u8]) {
    peer.send(frame).await.expect("is written");
    let (frame_type, _, text) = peer.hear().await.expect("an answer");
    assert_eq!(frame_type, ACK, "{}", String::from_utf8_lossy(&text));
}

#[tokio::test]
async fn connections() {
    let mut limited = Limited::start("connections = 1").await;
    let _first = limited.peer().await;
    // A client is told in words of its own, and the operator in those of the broker.
    let refused = UntypedClient::builder(&limited.broker.urls[0], "raw", 0).connect();
    let refused = refused.await.expect_err("is one too many").to_string();
    let told =
        "RESOURCE_EXHAUSTED: too many connections: this server takes 1 at once, try again later";
    assert!(refused.contains(told), "{refused}");
    let logged = "as many are connected as max_connections allows";
    limited.broker.logged(logged).await;
    let second = Peer::silent(limited.broker.address()).await;
    let why =
        "RESOURCE_EXHAUSTED: too many connections: this server takes 1 at once, try again later";
    is_refused(
        &mut second.expect("connects"),
        &frame(HELLO, 0, 1, b""),
        why,
    )
    .await;
}

#[tokio::test]
async fn subscriptions_grants_and_kept_values() {
    let limits = "subscriptions = 2\ngrants = 1\nkept_values = 2\nkept_bytes = '1000'";
    let limited = Limited::start(limits).await;
    let mut peer = limited.peer().await;
    for topic in ["a", "b"] {
        peer.subscribe(topic).await;
    }
    let third = frame(SUBSCRIBE, ACK_REQUIRED, 2, b"c");
    let why = "RESOURCE_EXHAUSTED: too many subscriptions: a session has 2 at most, unsubscribe from others first";
    is_refused(&mut peer, &third, why).await;

    let state =
        |topic: &str, len: usize| of_kind(KIND_STATE, publish(0, 3, topic, &vec![b'x'; len]));
    is_taken(&mut peer, &state("kept/1", 100)).await;
    let why = "RESOURCE_EXHAUSTED: too many bytes of kept STATEs: the broker keeps 1000 at most, clear others by an empty body";
    is_refused(&mut peer, &state("kept/2", 1000), why).await;
    is_taken(&mut peer, &state("kept/2", 100)).await;
    let why = "RESOURCE_EXHAUSTED: too many kept STATEs: the broker keeps 2 at most, clear others by an empty body";
    is_refused(&mut peer, &state("kept/3", 1), why).await;

    let service = UntypedClient::builder(&limited.broker.urls[0], "raw", 0);
    let service = service.connect().await.expect("connects");
    let grant = |topic: &'static str| {
        let service = service.clone();
        async move {
            let serves = format!("{topic}/$in");
            let serves = service.subscribe(&serves, &SubscribeOptions::new()).await;
            serves.expect("is allowed");
            service.grant(topic, &Grant::new().subscribe(topic)).await
        }
    };
    grant("orders").await.expect("is one");
    let refused = grant("bills").await.expect_err("is one too many");
    let why = "too many grants: a session gives 1 at most, revoke others first";
    assert!(refused.to_string().contains(why), "{refused}");
}

/// What is kept for a session that is away: over its limits it ends, and hears from its return on.
#[tokio::test]
async fn messages_and_bytes_of_sessions_that_are_away() {
    for (limits, len) in [
        ("session_messages = 3", 10),
        ("session_bytes = '4KiB'", 1500),
    ] {
        let limited = Limited::start(limits).await;
        let mut subscriber = limited.numbered(7).await;
        subscriber.subscribe("news").await;
        drop(subscriber);
        limited.has_one_away().await;
        let mut publisher = limited.peer().await;
        let body = vec![b'x'; len];
        publisher.publish(1, "news", &body).await;
        let mut subscriber = limited.numbered(7).await;
        assert_eq!(
            subscriber.hear().await.expect("it was kept").1,
            1,
            "{limits}"
        );
        drop(subscriber);
        limited.has_one_away().await;
        for id in 2..6 {
            publisher.publish(id, "news", &body).await;
        }
        let ended = "msip_broker_sessions_ended_total{reason=\"overflow\"} 1";
        limited.counts(ended).await;
        let mut subscriber = limited.numbered(7).await;
        publisher.publish(6, "news", &body).await;
        let (frame_type, id, _) = subscriber.hear().await.expect("a message");
        assert_eq!((frame_type, id), (EVENT, 6), "{limits}");
    }
}

#[tokio::test]
async fn sessions_that_are_away_and_what_of_log_is_kept_for_one() {
    let limited = Limited::start("detached_sessions = 1\ndroppable_bytes = '4KiB'").await;
    let mut publisher = limited.peer().await;
    let mut first = limited.numbered(1).await;
    first.subscribe("news").await;
    drop(first);
    limited.has_one_away().await;
    publisher.publish(1, "news", b"for the first").await;
    let mut second = limited.numbered(2).await;
    second.subscribe("news").await;
    drop(second);
    // The one that has been away for longest ends.
    let ended = "msip_broker_sessions_ended_total{reason=\"expired\"} 1";
    limited.counts(ended).await;
    for id in 2..12 {
        let log = of_kind(KIND_LOG, publish(0, id, "news", &[b'x'; 1000]));
        is_taken(&mut publisher, &log).await;
    }
    let mut second = limited.numbered(2).await;
    let mut first = limited.numbered(1).await;
    publisher.publish(12, "news", b"for whoever is there").await;
    // The oldest LOGs have made place for the others.
    let mut heard = Vec::new();
    while heard.last() != Some(&12) {
        heard.push(second.hear().await.expect("a message").1);
    }
    assert!(heard.len() < 6 && heard.contains(&11), "{heard:?}");
    // It was ended and begins anew: without what it had subscribed to.
    is_taken(&mut first, &frame(SUBSCRIBE, ACK_REQUIRED, 3, b"last")).await;
    publisher.publish(13, "last", b"").await;
    assert_eq!(first.hear().await.expect("a message").1, 13);
}

/// A client that tells of its sessions and their connections, and of what comes, and whose connection can be cut.
struct Away {
    client: UntypedClient,
    proxy: Proxy,
    told: mpsc::Receiver<String>,
}

struct Witness(mpsc::Sender<String>);

impl Service for Witness {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        let _ = self.0.send("a session".to_owned()).await;
        while let Some(event) = inbound.next().await {
            let mut said = Vec::new();
            match event {
                Event::Connected => said.push("connected".to_owned()),
                Event::Disconnected(_) => said.push("disconnected".to_owned()),
                Event::Messages(messages) => said.extend(
                    messages
                        .iter()
                        .map(|message| String::from_utf8_lossy(message.body()).into_owned()),
                ),
                Event::Exchange(exchange) => {
                    let body = exchange.message.raw_body();
                    said.push(String::from_utf8_lossy(body).into_owned());
                    if let Reply::Delivery(delivery) = exchange.reply {
                        delivery.acknowledge();
                    }
                }
                _ => {}
            }
            for said in said {
                let _ = self.0.send(said).await;
            }
        }
    }
}

impl Away {
    /// One that has subscribed to this topic.
    async fn connect(broker: &Broker, topic: &str) -> Self {
        let proxy = Proxy::start(broker.address().parse().expect("an address")).await;
        let (tell, told) = mpsc::channel(64);
        let client = UntypedClient::builder(proxy.url(), "raw", 0).service(Witness(tell));
        let client = client.connect().await.expect("connects");
        let subscribed = client.subscribe(topic, &SubscribeOptions::new()).await;
        subscribed.expect("is allowed");
        let mut away = Self {
            client,
            proxy,
            told,
        };
        away.hears(&["a session", "connected"]).await;
        away
    }

    async fn hears(&mut self, expected: &[&str]) {
        for expected in expected {
            let told = soon(expected, self.told.recv()).await;
            assert_eq!(told.as_deref(), Some(*expected));
        }
    }

    /// Its connection is lost, and no other one is let in.
    async fn cut(&mut self) {
        self.proxy.let_in(false);
        self.proxy.cut();
        self.hears(&["disconnected"]).await;
    }
}

/// MSIP sessions are counted by themselves. The one that has been away for longest ends; its client is told by a new session, the
/// operator by the log, and who comes back to the other one has what was acknowledged meanwhile.
#[tokio::test]
async fn msip_sessions_that_are_away() {
    let mut limited = Limited::start("detached_sessions = 1").await;
    let mut publisher = limited.peer().await;
    let mut first = Away::connect(&limited.broker, "first").await;
    let mut second = Away::connect(&limited.broker, "second").await;
    first.cut().await;
    limited.has_one_away().await;
    publisher.publish(1, "first", b"is lost").await;
    second.cut().await;
    let ended = "msip_broker_sessions_ended_total{reason=\"expired\"} 1";
    limited.counts(ended).await;
    let why = "session ended: too many sessions without a connection (max_detached_sessions)";
    limited.broker.logged(why).await;
    limited.has_one_away().await;
    publisher.publish(2, "second", b"is kept").await;
    second.proxy.let_in(true);
    second.hears(&["connected", "is kept"]).await;
    first.proxy.let_in(true);
    first.hears(&["a session", "connected"]).await;
    // It subscribes again by itself.
    limited.counts("msip_broker_subscriptions 2").await;
    publisher.publish(3, "first", b"from now on").await;
    first.hears(&["from now on"]).await;
    drop((first.client, second.client));
    limited.broker.stop().await;
}

/// A session without a connection ends, and its number is that of another one then. MSIP clients are told how long that takes.
#[tokio::test]
async fn how_long_a_session_is_kept() {
    let listener = "[[listener]]\nurl = 'tcp://127.0.0.1:0'";
    for (said, expiry) in [("", 300_000), ("session_expiry = '7s'", 7000)] {
        let limited = Limited::of_file(&format!("{said}\n{listener}")).await;
        let url = ServiceUrl::parse(&limited.broker.urls[0]).expect("a URL");
        let mut raw = RawPeer::dial(&url).await;
        let hello = Hello {
            protocol: "raw".to_owned(),
            codecs: vec![Codec::Protobuf.into()],
            session_secret: vec![7; SECRET_LEN],
            ..Hello::default()
        };
        raw.say(&raw::resuming_frame(&hello)).await;
        let welcome = raw.hear_type(FrameType::Ack).await.payload;
        let told = parse_welcome(welcome).expect("a Welcome").welcome;
        assert_eq!(told.session_expiry_ms, expiry, "{said}");
    }

    let limited = Limited::of_file(&format!("session_expiry = '0s'\n{listener}")).await;
    let mut first = limited.numbered(7).await;
    first.subscribe("news").await;
    drop(first);
    let ended = "msip_broker_sessions_ended_total{reason=\"expired\"} 1";
    limited.counts(ended).await;
    limited.counts("msip_broker_subscriptions 0").await;
}

/// Whoever knows the number of a session has it, unless the listener says otherwise.
#[tokio::test]
async fn a_session_is_taken_over_by_its_number_where_that_is_allowed() {
    for (settings, is_allowed) in [("", true), ("?mip_resume=false", false)] {
        let file = format!("[[listener]]\nurl = 'tcp://127.0.0.1:0{settings}'");
        let limited = Limited::of_file(&file).await;
        let mut owner = Peer::silent(limited.broker.address())
            .await
            .expect("connects");
        let hello = |id: &[u8]| frame(HELLO, 0, 1, id);
        owner.send(&hello(b"")).await.expect("is written");
        let (_, _, number) = owner.hear().await.expect("a welcome");
        owner.subscribe("news").await;
        let mut thief = Peer::silent(limited.broker.address())
            .await
            .expect("connects");
        thief.send(&hello(&number)).await.expect("is written");
        let (_, _, other) = thief.hear().await.expect("a welcome");
        assert_eq!(other == number, is_allowed, "{settings}");
        limited.peer().await.publish(9, "news", b"secret").await;
        let heard = match is_allowed {
            true => thief.hear().await,
            false => owner.hear().await,
        };
        assert_eq!(heard.expect("a message").0, EVENT, "{settings}");
        if is_allowed {
            assert_eq!(owner.hear().await.expect("a goodbye").0, CLOSE);
        }
    }
}

/// A subscriber that takes nothing is cut by the number of messages too.
#[tokio::test]
async fn messages_of_a_session_that_is_connected() {
    let limited = Limited::start("outgoing_messages = 16\noutgoing_bytes = '1GiB'").await;
    let mut stuck = limited.peer().await;
    stuck.subscribe("flood").await;
    let mut publisher = limited.peer().await;
    let body = vec![b'x'; 256 * 1024];
    // What the system takes of it is some MiB.
    for id in 0..100 {
        publisher.publish(id, "flood", &body).await;
    }
    limited
        .counts("msip_broker_sessions_ended_total{reason=\"slow_consumer\"} 1")
        .await;
}

/// What a principal may send is shared by its sessions; whoever sends more is read more slowly, and others are not.
#[tokio::test]
async fn messages_and_bytes_of_a_principal() {
    for limit in ["messages_per_second = 10", "bytes_per_second = '1KiB'"] {
        let principals = format!(
            "connections = 100\n[[listener]]\nurl = 'tcp://127.0.0.1:0?principal=slow'\n\
             [principals.slow]\npublish = ['#']\n{limit}"
        );
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("broker.toml");
        let text = format!("[[listener]]\nurl = 'tcp://127.0.0.1:0'\n[limits]\n{principals}");
        std::fs::write(&file, text).expect("is written");
        let broker = Broker::start(&["--config", file.to_str().expect("text")], 2).await;
        let (_, address) = broker.urls[1].split_once("://").expect("a URL");
        let mut slow = Peer::connect(address.trim_end_matches('/')).await;
        let mut other = Peer::connect(broker.address()).await;
        // Much more than one of them may in a second, and each message by itself.
        let both = ["news", "more"].map(|topic| publish(ACK_REQUIRED, 1, topic, &[b'x'; 100]));
        let all = both.concat().repeat(200);
        slow.send(&all).await.expect("is written");
        other.send(&all).await.expect("is written");
        for _ in 0..400 {
            assert_eq!(other.hear().await.expect("an answer").0, ACK);
        }
        // What the slow one was answered by now: it is read more slowly, and nothing of it is refused.
        assert_eq!(slow.hear().await.expect("an answer").0, ACK, "{limit}");
        let mut answers = vec![0; 64 * 1024];
        let len = slow.stream.try_read(&mut answers).unwrap_or(0);
        assert!(len < 24 * 399, "{limit}: all are answered at once");
        let mut types = answers[..len].chunks_exact(24).map(|answer| answer[7]);
        assert!(
            types.all(|frame_type| u16::from(frame_type) == ACK),
            "{limit}"
        );
        broker.stop().await;
    }
}

#[tokio::test]
async fn messages_that_have_expired_are_not_delivered() {
    const NOTE: Variant = Variant::new(2, "note", MsgKind::Event);
    let limited = Limited::start("connections = 100").await;
    let mut subscriber = limited.numbered(7).await;
    subscriber.subscribe("news").await;
    drop(subscriber);
    limited.has_one_away().await;
    let publisher = UntypedClient::builder(&limited.broker.urls[0], "raw", 0);
    let publisher = publisher.connect().await.expect("connects");
    for (ttl, body) in [("0", "late"), ("3600000", "in time")] {
        let note = UntypedMessage::new(&NOTE, body).to_topic("news");
        let options = CallOptions::new().header("ttl", ttl);
        let delivered = publisher.deliver(&note.expect("a topic"), &options).await;
        delivered.expect("is taken over");
    }
    let mut subscriber = limited.numbered(7).await;
    let (_, _, payload) = subscriber.hear().await.expect("a message");
    assert_eq!(payload, b"\0\x04newsin time");
    limited.counts("msip_broker_dropped_messages_total 1").await;
}
