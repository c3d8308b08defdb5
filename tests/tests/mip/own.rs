//! Our own client at `mip://`, against the broker, beside the published clients, and against brokers that behave badly.

use std::net::SocketAddr;

use msip_broker::Broker;
use msip_runtime::{
    CallError, CallOptions, Client, Code, ConnectError, MsgKind, SendError, Server, Variant,
    transport::{Listener, UrlError},
    untyped::{
        Event, Grant, Inbound, Service, SubscribeOptions, UntypedClient, UntypedMessage,
        UntypedPeer,
    },
    wire::{FrameType, HEADER_LEN, RawHeader},
};
use msip_tests::{
    Authority, LabClient, LabServer, Recorder, SeenByClient, advance,
    lab::{
        ClientToServer, CountReq, EchoReq, Lab, NoteInd, SaveInd, SendClientToServer as _,
        ServerToClient,
    },
    next, raw, recorder, soon,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use crate::{Bytes, broker, rust::Peer};

const NOTE: Variant = Variant::new(2, "note", MsgKind::Event);
const ASK: Variant = Variant::new(6, "ask", MsgKind::Command).call(6);

fn message(topic: &str, body: &str) -> UntypedMessage {
    let message = UntypedMessage::new(&NOTE, body.as_bytes().to_vec());
    message.to_topic(topic).expect("a topic")
}

/// Tells what it hears.
struct Tell(Recorder<String>);

impl Service for Tell {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        while let Some(event) = inbound.next().await {
            match event {
                Event::Messages(messages) => {
                    for message in messages.iter() {
                        let body = String::from_utf8_lossy(message.body());
                        self.0.record(format!("{} {body}", message.topic()));
                    }
                }
                Event::Exchange(exchange) => {
                    let body = String::from_utf8_lossy(exchange.message.raw_body()).into_owned();
                    self.0
                        .record(format!("{} {body}", exchange.message.topic()));
                }
                Event::Connected => self.0.record("connected".to_owned()),
                Event::Disconnected(_) => self.0.record("disconnected".to_owned()),
                Event::SubscriptionLost { topic, status } => {
                    self.0.record(format!("lost {topic}: {status}"));
                }
                _ => {}
            }
        }
    }
}

/// An untyped client, and what it hears.
async fn untyped(url: &str) -> (UntypedClient, mpsc::Receiver<String>) {
    let (seen, mut heard) = recorder();
    let client = UntypedClient::builder(url, "raw", 0)
        .service(Tell(seen))
        .connect();
    let client = soon("a connection", client).await.expect("connects");
    assert_eq!(next(&mut heard).await, "connected");
    (client, heard)
}

async fn subscribe(client: &UntypedClient, topic: &str) {
    let options = SubscribeOptions::new();
    let subscribed = client.subscribe(topic, &options);
    soon("an answer", subscribed).await.expect("is allowed");
}

async fn deliver(client: &UntypedClient, topic: &str, body: &str) {
    let (message, options) = (message(topic, body), CallOptions::new());
    let delivered = client.deliver(&message, &options);
    soon("an answer", delivered).await.expect("is acknowledged");
}

/// An envelope, as a body.
fn envelope(number: u64) -> String {
    let note = ServerToClient::NoteInd(NoteInd {
        number,
        ..NoteInd::default()
    });
    String::from_utf8(raw::body(&note)).expect("is text, by chance")
}

// The published client is for a runtime with several threads.
#[tokio::test(flavor = "multi_thread")]
async fn it_publishes_and_subscribes_beside_the_published_client() {
    let address = broker().await;
    let url = format!("mip://{address}");
    let mut ada = Peer::connect(address, "").await;
    let (bob, mut heard) = untyped(&url).await;
    ada.subscribe("to/ada").await;
    subscribe(&bob, "to/bob").await;
    for body in ["one", "two"] {
        deliver(&bob, "to/ada", body).await;
        ada.hears_body("to/ada", body).await;
        ada.say("to/bob", body).await;
        assert_eq!(next(&mut heard).await, format!("to/bob {body}"));
    }
    // Without an acknowledgment, and many at once.
    let mut sender = bob.sender();
    for number in 0..5000 {
        let pushed = sender.push(&message("to/bob", &number.to_string())).await;
        pushed.expect("is connected");
    }
    sender.flush().await.expect("is connected");
    for number in 0..5000 {
        assert_eq!(next(&mut heard).await, format!("to/bob {number}"));
    }
    let unsubscribed = soon("an answer", bob.unsubscribe("to/bob")).await;
    unsubscribed.expect("is allowed");
    deliver(&bob, "to/bob", "unheard").await;
    subscribe(&bob, "to/bob").await;
    deliver(&bob, "to/bob", "heard").await;
    assert_eq!(next(&mut heard).await, "to/bob heard");
    soon("a PONG", bob.ping(0, std::time::Duration::from_secs(30)))
        .await
        .expect("is answered");
    soon("the end", bob.close()).await;
}

#[tokio::test]
async fn the_topic_of_its_url_is_that_of_messages_without_one() {
    let address = broker().await;
    let (bob, mut heard) = untyped(&format!("mip://{address}/room%2F1")).await;
    subscribe(&bob, "room/1").await;
    let note = UntypedMessage::new(&NOTE, &b"hi"[..]);
    let options = CallOptions::new();
    let delivered = bob.deliver(&note, &options);
    soon("an answer", delivered).await.expect("is acknowledged");
    assert_eq!(next(&mut heard).await, "room/1 hi");
}

#[tokio::test]
async fn messages_of_a_schema_go_to_the_topic_of_the_url_and_come_from_it() {
    let address = broker().await;
    let url = format!("mip://{address}/room1");
    let (observer, mut observed) = untyped(&format!("mip://{address}")).await;
    subscribe(&observer, "room1").await;
    let (client, mut seen) = LabClient::connect(&url).await;
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    let save = client.save_ind(SaveInd { number: 7 });
    soon("an answer", save).await.expect("is acknowledged");
    let sent = ClientToServer::SaveInd(SaveInd { number: 7 });
    let body = String::from_utf8_lossy(&raw::body(&sent)).into_owned();
    assert_eq!(next(&mut observed).await, format!("room1 {body}"));
    let note = client.note_ind(NoteInd {
        number: 8,
        ..NoteInd::default()
    });
    note.await.expect("is connected");
    // What it has said itself is not what the others say: the first that it hears is this.
    deliver(&observer, "room1", &envelope(9)).await;
    assert!(matches!(next(&mut seen).await, SeenByClient::Note(9)));
    deliver(&observer, "room1", "no envelope").await;
    deliver(&observer, "room1", "").await;
    deliver(&observer, "room1", &envelope(10)).await;
    assert!(matches!(next(&mut seen).await, SeenByClient::Note(10)));
    soon("the end", client.close()).await;
}

#[tokio::test]
async fn what_mip_cannot_carry_is_refused_by_name() {
    let address = broker().await;
    let (bob, mut heard) = untyped(&format!("mip://{address}")).await;
    subscribe(&bob, "a").await;
    let (note, options) = (message("a", "x"), CallOptions::new());
    let ask = UntypedMessage::new(&ASK, &b""[..])
        .to_topic("a")
        .expect("a topic");
    let grant = Grant::new().publish("a");
    let group = SubscribeOptions::new().group("workers");
    let protocol = SubscribeOptions::new().protocol("chat", 7);
    let plain = SubscribeOptions::new();
    let refused: [(&str, Result<(), CallError>); 8] = [
        ("calls", bob.call(&ask, &options).await.map(drop)),
        ("groups", bob.subscribe("a", &group).await.map(drop)),
        (
            "protocols of subscriptions",
            bob.subscribe("a", &protocol).await.map(drop),
        ),
        ("wildcards", bob.subscribe("a/#", &plain).await.map(drop)),
        ("grants", bob.grant("a", &grant).await),
        (
            "headers",
            bob.deliver(&note, &CallOptions::new().header("a", "b"))
                .await,
        ),
        (
            "keys of STATEs",
            bob.deliver(&note, &CallOptions::new().key("b")).await,
        ),
        (
            "payloads of PINGs",
            bob.ping(1, std::time::Duration::from_secs(30))
                .await
                .map(drop),
        ),
    ];
    for (what, refused) in refused {
        let error = refused.expect_err(what);
        assert!(
            matches!(error, CallError::Unsupported(_)),
            "{what}: {error}"
        );
        assert_eq!(error.to_string(), format!("the MIP dialect has no {what}"));
        assert_eq!(error.code(), Code::Unimplemented);
    }
    let with = |options: CallOptions| {
        let (bob, note) = (bob.clone(), note.clone());
        async move { bob.send(&note, &options).await }
    };
    for (what, options) in [
        ("correlation ids", CallOptions::new().correlation_id("c")),
        (
            "correlation ids",
            CallOptions::new().correlation_id("c").ack(),
        ),
    ] {
        let error = with(options).await.expect_err(what);
        assert!(matches!(error, SendError::Unsupported(_)), "{error}");
        assert_eq!(error.to_string(), format!("the MIP dialect has no {what}"));
    }
    // A deadline ends the waiting here, and need not be carried.
    let in_time = CallOptions::new().timeout(std::time::Duration::from_secs(50));
    let first = message("a", "first");
    let delivered = bob.deliver(&first, &in_time);
    soon("an answer", delivered).await.expect("is acknowledged");
    assert_eq!(next(&mut heard).await, "a first", "nothing was sent before");

    let client = Client::<Lab>::connect(format!("mip://{address}/room1")).await;
    let client = client.expect("connects");
    let refused = client.echo_req(EchoReq::default()).await.map(drop);
    let error = refused.expect_err("there are no calls");
    assert_eq!(error.to_string(), "the MIP dialect has no calls");
    let mut numbers = Box::pin(client.count_req(CountReq::default()));
    let error = match soon("an outcome", &mut numbers).await {
        Ok(_) => panic!("there are no streams"),
        Err(error) => error,
    };
    assert_eq!(error.to_string(), "the MIP dialect has no streams");
}

#[tokio::test]
async fn settings_that_mip_cannot_carry_are_refused_when_it_is_built() {
    let connect = |url: &'static str| async move {
        let connected = UntypedClient::builder(url, "raw", 0).connect().await;
        connected.map(drop).expect_err(url).to_string()
    };
    for (url, text) in [
        (
            "mip://127.0.0.1:1?token_env=TOKEN",
            "the MIP dialect has no credentials",
        ),
        (
            "mip://127.0.0.1:1?correlation_ids=true",
            "the MIP dialect has no correlation ids",
        ),
        (
            "tcp://127.0.0.1:1?channel=log:mip://127.0.0.1:1",
            "the MIP dialect has no channels",
        ),
        (
            "mip://127.0.0.1:1?channel=log:tcp://127.0.0.1:1",
            "the MIP dialect has no channels",
        ),
    ] {
        assert_eq!(connect(url).await, text, "{url}");
    }
    let error = UntypedClient::builder("mip://127.0.0.1:1", "raw", 0)
        .credential("a secret")
        .connect()
        .await
        .map(drop)
        .expect_err("there are no credentials");
    assert!(matches!(error, ConnectError::Unsupported(_)), "{error}");
    let error = Client::<Lab>::connect("mip://127.0.0.1:1").await.map(drop);
    let error = error.expect_err("there is no topic");
    assert!(
        matches!(error, ConnectError::Url(UrlError::NoTopic)),
        "{error}"
    );
    let (handler, _seen) = LabServer::new();
    let attached = Server::<Lab>::attach("mip://127.0.0.1:1/room1", handler).await;
    let error = attached.map(drop).expect_err("it is for services of MSIP");
    assert_eq!(
        error.to_string(),
        "the MIP dialect has no servers or clients of a broker's typed topics"
    );
    let place = "mip://127.0.0.1:0".parse().expect("a URL");
    let bound = Listener::bind(&place);
    let error = bound.await.map(drop).expect_err("it is for clients");
    assert_eq!(
        error.to_string(),
        "mip:// is for clients: a broker hears MIP where it listens at tcp://"
    );
}

/// A broker of MIP that does what a test says.
struct Fake {
    listener: TcpListener,
}

impl Fake {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        Self { listener }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("listens")
    }

    async fn accept(&self) -> Conversation {
        let accepted = soon("a connection", self.listener.accept()).await;
        Conversation(accepted.expect("accepts").0)
    }

    /// Accepts a connection, and answers its HELLO.
    async fn greet(&self) -> Conversation {
        let mut conversation = self.accept().await;
        let hello = conversation.hear(FrameType::Hello).await;
        assert_eq!(hello.payload_len, 0, "a new session");
        conversation
            .say(FrameType::Ack, hello.msg_id, &[7; 8])
            .await;
        conversation
    }
}

struct Conversation(TcpStream);

impl Conversation {
    /// The next frame, which has to be of this type. Its payload is dropped.
    async fn hear(&mut self, frame_type: FrameType) -> RawHeader {
        let mut header = [0; HEADER_LEN];
        let read = soon("a frame", self.0.read_exact(&mut header)).await;
        read.expect("is connected");
        let header = RawHeader::split(&header);
        assert!(header.is_frame(), "{header:?}");
        let mut payload = vec![0; usize::try_from(header.payload_len).expect("is short")];
        let read = soon("a payload", self.0.read_exact(&mut payload)).await;
        read.expect("is connected");
        assert_eq!(header.frame_type, frame_type.number(), "{header:?}");
        header
    }

    async fn say(&mut self, frame_type: FrameType, id: u64, payload: &[u8]) {
        let header = RawHeader {
            kind: 3,
            payload_len: u32::try_from(payload.len()).expect("is short"),
            ..RawHeader::new(frame_type, id)
        };
        let frame = [&header.join()[..], payload].concat();
        self.0.write_all(&frame).await.expect("is connected");
    }

    /// The other end is closed, after nothing more.
    async fn ends(&mut self) {
        let mut rest = Vec::new();
        let _ = soon("the end", self.0.read_to_end(&mut rest)).await;
        assert!(rest.is_empty(), "{}", rest.escape_ascii());
    }
}

#[tokio::test]
async fn a_lost_connection_is_a_lost_session_and_its_subscriptions_are_made_again() {
    let broker = Fake::start().await;
    let url = format!("mip://{}?reconnect_min=1ms", broker.address());
    let (connected, mut conversation) = tokio::join!(untyped(&url), broker.greet());
    let (client, mut heard) = connected;
    let mut lost = client.connection().lost_sessions();
    let subscribing = subscribe(&client, "news");
    let answering = async {
        let asked = conversation.hear(FrameType::Subscribe).await;
        assert_eq!(asked.flags, 1);
        conversation.say(FrameType::Ack, asked.msg_id, &[]).await;
    };
    tokio::join!(subscribing, answering);
    let (note, options) = (message("news", "x"), CallOptions::new());
    let delivering = client.deliver(&note, &options);
    let losing = async {
        let published = conversation.hear(FrameType::Publish).await;
        assert_eq!(published.flags, 1);
        drop(conversation);
        let mut conversation = broker.greet().await;
        let asked = conversation.hear(FrameType::Subscribe).await;
        conversation.say(FrameType::Ack, asked.msg_id, &[]).await;
        conversation
    };
    let (outcome, mut conversation) =
        soon("an outcome", async { tokio::join!(delivering, losing) }).await;
    let error = outcome.expect_err("its acknowledgment was lost");
    assert_eq!(error, CallError::ConnectionLost);
    soon("the session's end", lost.wait_for(Option::is_some))
        .await
        .expect("the client is there");
    // The next session is another one, whose service is told of it anew.
    assert_eq!(next(&mut heard).await, "connected");
    let close = async {
        let leaving = conversation.hear(FrameType::Close).await;
        assert_eq!((leaving.kind, leaving.payload_len), (3, 0));
        conversation.ends().await;
    };
    tokio::join!(client.close(), close);
}

#[tokio::test]
async fn it_leaves_when_all_that_it_has_sent_is_acknowledged() {
    let broker = Fake::start().await;
    let url = format!("mip://{}/news", broker.address());
    let (connected, mut conversation) = tokio::join!(untyped(&url), broker.greet());
    let (client, _heard) = connected;
    let (note, options) = (message("news", "x"), CallOptions::new());
    let delivering = client.deliver(&note, &options);
    let serving = async {
        let published = conversation.hear(FrameType::Publish).await;
        let closing = client.close();
        let answering = async {
            // It has said all that it will say before it hears this.
            let mut byte = [0];
            let early = conversation.0.try_read(&mut byte);
            assert!(early.is_err(), "{early:?}");
            conversation
                .say(FrameType::Ack, published.msg_id, &[])
                .await;
            conversation.hear(FrameType::Close).await;
            conversation.ends().await;
        };
        tokio::join!(closing, answering);
    };
    let (delivered, ()) = tokio::join!(delivering, serving);
    delivered.expect("is acknowledged");
}

#[tokio::test]
async fn a_broker_that_keeps_silent_is_given_up() {
    let broker = Fake::start().await;
    let interval = std::time::Duration::from_secs(20);
    let url = format!("mip://{}/room?ping_interval=20s", broker.address());
    let serving = async {
        let mut conversation = broker.greet().await;
        let asked = conversation.hear(FrameType::Subscribe).await;
        conversation.say(FrameType::Ack, asked.msg_id, &[]).await;
        conversation
    };
    let ((_client, mut seen), mut conversation) = tokio::join!(LabClient::connect(&url), serving);
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    advance(interval).await;
    let ping = conversation.hear(FrameType::Ping).await;
    assert_eq!(ping.payload_len, 0);
    advance(interval).await;
    let seen = next(&mut seen).await;
    let SeenByClient::Disconnected(reason) = seen else {
        panic!("{seen:?}");
    };
    assert!(
        reason.to_string().contains("nothing received for"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_peer_that_is_no_broker_of_mip_is_told_by_name() {
    let fake = Fake::start().await;
    let url = format!("mip://{}", fake.address());
    let connect = || UntypedClient::builder(&url, "raw", 0).connect();
    let serving = async {
        let mut conversation = fake.accept().await;
        conversation.hear(FrameType::Hello).await;
        conversation
            .0
            .write_all(b"HTTP/1.1 400\r\n\r\n")
            .await
            .expect("is connected");
        conversation
    };
    let (connected, _conversation) = tokio::join!(connect(), serving);
    let error = connected.map(drop).expect_err("it speaks HTTP");
    assert!(matches!(error, ConnectError::Dialect { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.ends_with("does not speak MIP: what came is no frame: each begins with 4d53495001"),
        "{text}"
    );
    let refusing = async {
        let mut conversation = fake.accept().await;
        let hello = conversation.hear(FrameType::Hello).await;
        conversation
            .say(FrameType::Error, hello.msg_id, b"UNIMPLEMENTED: not here")
            .await;
        conversation
    };
    let (connected, _conversation) = tokio::join!(connect(), refusing);
    let error = connected.map(drop).expect_err("it is refused");
    assert!(
        error.to_string().ends_with("UNIMPLEMENTED: not here"),
        "{error}"
    );
}

#[tokio::test]
async fn when_the_broker_stops_it_says_so_and_the_client_looks_for_the_next() {
    let bind = async |url: &str| {
        let bound = Broker::builder().listen(url).bind().await;
        let bound = bound.expect("listens");
        let url = bound.local_urls().next().expect("listens").to_string();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(bound.serve_until(async { drop(stopped.await) }));
        (url, stop, serving)
    };
    let (first, stop, serving) = bind("tcp://127.0.0.1:0").await;
    let (second, _stop, _serving) = bind("tcp://127.0.0.1:0").await;
    let place = |url: &str| {
        url.strip_prefix("tcp://")
            .expect("is one of TCP")
            .to_owned()
    };
    let (first, second) = (place(&first), place(&second));
    let url = format!("mip://{first},{second}/room?reconnect_min=1ms");
    let (client, mut seen) = LabClient::connect(&url).await;
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    drop(stop);
    let seen_first = next(&mut seen).await;
    let SeenByClient::Disconnected(reason) = seen_first else {
        panic!("{seen_first:?}");
    };
    assert!(
        reason
            .to_string()
            .contains("the MIP broker closes the connection"),
        "{reason}"
    );
    let _ = soon("its end", serving).await;
    loop {
        match next(&mut seen).await {
            SeenByClient::Connected => break,
            SeenByClient::Failed(..) => {}
            other => panic!("{other:?}"),
        }
    }
    let save = client.save_ind(SaveInd::default());
    soon("an answer", save).await.expect("is acknowledged");
}

#[tokio::test]
async fn the_session_is_new_each_time_and_nobody_else_can_name_it() {
    let address = broker().await;
    let (client, mut heard) = untyped(&format!("mip://{address}")).await;
    subscribe(&client, "secrets").await;
    // What the client for TypeScript would say to come back as one that has sent 1, or 2, with its HELLO.
    for name in [&b"1"[..], b"2"] {
        let mut thief = Bytes::dial(address).await;
        let mut hello = b"MSIP\x01\x00\x00\x01\x00\x01\x00\x00\x00\x00\x00\x01".to_vec();
        hello.extend(9_u64.to_be_bytes());
        hello.extend(name);
        thief.say(&hello).await;
        let mut ack = b"MSIP\x01\x00\x00\x06\x00\x03\x00\x00\x00\x00\x00\x08".to_vec();
        ack.extend(9_u64.to_be_bytes());
        thief.hears(&ack).await;
    }
    deliver(&client, "secrets", "mine").await;
    assert_eq!(next(&mut heard).await, "secrets mine");
}

#[cfg(unix)]
#[tokio::test]
async fn it_speaks_over_a_unix_socket_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("broker.sock");
    let path = path.to_str().expect("is text");
    let bound = Broker::builder()
        .listen(format!("unix://{path}"))
        .bind()
        .await;
    tokio::spawn(bound.expect("listens").serve_until(std::future::pending()));
    let (client, mut heard) = untyped(&format!("mip+unix://{path}?topic=room")).await;
    subscribe(&client, "room").await;
    deliver(&client, "", "hi").await;
    assert_eq!(next(&mut heard).await, "room hi");
}

#[tokio::test]
async fn it_speaks_over_tls_too() {
    let authority = Authority::new("authority");
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let issued = authority.issue_local();
    issued.write(folder.path(), "broker").expect("written");
    let (cert, key) = (path("broker.pem"), path("broker.key"));
    let bound = Broker::builder()
        .listen(format!("tls://127.0.0.1:0?cert={cert}&key={key}"))
        .bind()
        .await
        .expect("listens");
    let url = bound.local_urls().next().expect("listens").to_string();
    tokio::spawn(bound.serve_until(std::future::pending()));
    let place = url.strip_prefix("tls://").expect("is one of TLS");
    let place = place.split('?').next().unwrap_or(place);
    let (seen, mut heard) = recorder();
    let client = UntypedClient::builder(format!("mip+tls://{place}/room"), "raw", 0)
        .tls(authority.client_tls())
        .service(Tell(seen))
        .connect();
    let client = soon("a connection", client).await.expect("connects");
    assert_eq!(next(&mut heard).await, "connected");
    subscribe(&client, "room").await;
    deliver(&client, "", "hi").await;
    assert_eq!(next(&mut heard).await, "room hi");
}
