//! Servers that are attached to a broker: a scripted one, which forwards for clients that are not there.

use std::sync::Arc;

use msip_runtime::{
    AttachError, AttachedServer, CallOptions, Code, Envelope, MsgKind, OutboundAll as _, Peer,
    Protocol as _, Server, Status, Variant,
    prost::Message as _,
    untyped::{
        Event, Handle, Inbound, Reply, Service, UntypedMessage, UntypedPeer, UntypedProtocol,
        UntypedServer,
    },
};
use msip_session::wire::broker::{self, Presence, PresenceInd, client_to_server, server_to_client};
use msip_tests::{
    LabServer, Recorder, SeenByServer,
    lab::{
        BroadcastServerToClient as _, ClientToServer, Lab, SaveInd, SendServerToClient as _,
        ServerToClient,
    },
    messages::{echo, note},
    next,
    proxy::Proxy,
    recorder, soon,
};
use tokio::sync::{Semaphore, mpsc};

const PRESENCE_IND: Variant = Variant::new(2, "presence_ind", MsgKind::Event);
const DISCONNECT_RSP: Variant = Variant::new(1, "disconnect_rsp", MsgKind::Command);

/// What clients are called.
const ADA: &str = "00000000000000ad";
const BOB: &str = "00000000000000b0";

/// Tells what the attached server says, and answers it.
struct Scripted {
    sessions: mpsc::Sender<UntypedPeer>,
    seen: Recorder<String>,
}

impl Service for Scripted {
    async fn serve(&self, peer: UntypedPeer, mut inbound: Inbound) {
        let _ = self.sessions.send(peer).await;
        while let Some(event) = inbound.next().await {
            match event {
                Event::Messages(messages) => {
                    for message in messages.iter() {
                        self.seen
                            .record(said(message.topic(), message.number(), message.body()));
                    }
                }
                Event::Exchange(exchange) => {
                    let message = &exchange.message;
                    let body = message.raw_body();
                    self.seen
                        .record(said(message.topic(), message.number(), body));
                    match exchange.reply {
                        Reply::Delivery(delivery) => delivery.acknowledge(),
                        Reply::Call(responder) => {
                            responder.answer(&UntypedMessage::new(&DISCONNECT_RSP, vec![]));
                        }
                        _ => {}
                    }
                }
                Event::Subscribe(request) => {
                    let (protocol, _) = request.protocol().unwrap_or_default();
                    self.seen
                        .record(format!("subscribe {} {protocol}", request.topic()));
                    if request.topic().starts_with("closed/") {
                        request.refuse(&Status::new(Code::PermissionDenied, "not here"));
                    } else {
                        request.accept();
                    }
                }
                Event::Unsubscribe(request) => {
                    self.seen.record(format!("unsubscribe {}", request.topic()));
                    request.accept();
                }
                _ => {}
            }
        }
    }
}

/// What came to a topic, in words.
fn said(topic: &str, number: u16, body: &[u8]) -> String {
    if !topic.starts_with("$broker/") {
        let message = ServerToClient::VARIANTS
            .iter()
            .find(|variant| variant.number() == number);
        return format!("{topic} {}", message.map_or("?", |variant| variant.name()));
    }
    let told = broker::ClientToServer::decode(body).expect("a message to the broker");
    match told.message {
        Some(client_to_server::Message::PeerCredit(credit)) => {
            format!("{topic} credit {} {}", credit.peer, credit.items)
        }
        Some(client_to_server::Message::DisconnectReq(request)) => {
            format!(
                "{topic} disconnect {} {} {}",
                request.peer, request.code, request.text
            )
        }
        other => format!("{topic} {other:?}"),
    }
}

/// A broker that does what the test says.
struct Broker {
    url: String,
    sessions: mpsc::Receiver<UntypedPeer>,
    seen: mpsc::Receiver<String>,
}

impl Broker {
    async fn start() -> Self {
        let (seen, events) = recorder();
        let (opened, sessions) = mpsc::channel(8);
        let service = Scripted {
            sessions: opened,
            seen,
        };
        let server = UntypedServer::builder("tcp://127.0.0.1:0")
            .untyped(UntypedProtocol::any().with_topics(), service)
            .bind()
            .await
            .expect("listens");
        let url = server.local_url().to_string();
        tokio::spawn(server.serve());
        Self {
            url,
            sessions,
            seen: events,
        }
    }

    /// A server that is attached to it at this topic, and the broker's side of it.
    async fn attach(&mut self, topic: &str, handler: LabServer) -> (AttachedServer<Lab>, Instance) {
        let url = format!("{}/{topic}", self.url);
        let attached = Server::<Lab>::attach(url, handler)
            .await
            .expect("is attached");
        assert_eq!(self.next().await, format!("subscribe {topic}/$in lab"));
        let instance = self.instance().await;
        (attached, instance)
    }

    async fn instance(&mut self) -> Instance {
        Instance(next(&mut self.sessions).await.handle().clone())
    }

    /// What the attached server says next.
    async fn next(&mut self) -> String {
        next(&mut self.seen).await
    }
}

/// The broker's side of an attached server.
struct Instance(Handle);

impl Instance {
    async fn tell(&self, about: PresenceInd) {
        let topic = format!("$presence/{}", about.topic);
        let told = broker::ServerToClient {
            message: Some(server_to_client::Message::PresenceInd(about)),
        };
        let message = UntypedMessage::new(&PRESENCE_IND, told.encode_to_vec());
        let message = message.to_topic(topic).expect("a topic");
        self.0
            .send(&message, &CallOptions::new())
            .await
            .expect("is sent");
    }

    /// A client has come, and this instance looks after it.
    async fn introduce(&self, topic: &str, peer: &str) {
        self.tell(presence(topic, peer, Presence::Connected, true))
            .await;
    }

    async fn gone(&self, topic: &str, peer: &str) {
        self.tell(presence(topic, peer, Presence::Gone, true)).await;
    }

    /// A client says this.
    async fn say(&self, topic: &str, peer: &str, message: ClientToServer) {
        let message = of_client(topic, peer, &message);
        self.0
            .send(&message, &CallOptions::new())
            .await
            .expect("is sent");
    }
}

fn presence(topic: &str, peer: &str, presence: Presence, looks_after: bool) -> PresenceInd {
    PresenceInd {
        topic: topic.to_owned(),
        peer: peer.to_owned(),
        presence: presence.into(),
        principal: format!("principal of {peer}"),
        user: "ada".to_owned(),
        roles: vec!["operator".to_owned()],
        address: "tcp://192.0.2.7:50211".to_owned(),
        client_name: "tester".to_owned(),
        fingerprint: Lab::fingerprint(),
        looks_after,
        ..PresenceInd::default()
    }
}

/// A message of a client, as the broker forwards it.
fn of_client(topic: &str, peer: &str, message: &ClientToServer) -> UntypedMessage {
    let variant = &ClientToServer::VARIANTS[message.index()];
    let mut body = Vec::new();
    message.encode(&mut body);
    let message = UntypedMessage::new(variant, body);
    message
        .to_topic(format!("{topic}/$in/{peer}"))
        .expect("a topic")
}

async fn connected(events: &mut mpsc::Receiver<SeenByServer>) -> Peer<Lab> {
    match next(events).await {
        SeenByServer::Connected(peer) => peer,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_client_of_a_topic_is_a_peer_as_on_a_direct_connection() {
    let mut broker = Broker::start().await;
    let (handler, mut events) = LabServer::new();
    let (attached, instance) = broker.attach("devices/+", handler).await;
    instance.introduce("devices/7", ADA).await;
    let peer = connected(&mut events).await;
    assert_eq!(peer.id().to_string(), ADA);
    assert_eq!(peer.topic(), Some("devices/7"));
    assert_eq!(peer.connection().topic(), Some("devices/7"));
    assert_eq!(
        peer.address().ip().map(|ip| ip.to_string()).as_deref(),
        Some("192.0.2.7")
    );
    assert_eq!(peer.connection().client_name(), "tester");
    assert_eq!(peer.connection().client_fingerprint(), Lab::fingerprint());
    let identity = peer.identity().expect("is authenticated");
    assert_eq!((&*identity.user, identity.peer), ("ada", Some(peer.id())));
    assert!(peer.connection().is_open() && !peer.connection().is_gone() && !peer.resumed());

    for number in 0..3 {
        instance
            .say("devices/7", ADA, ClientToServer::NoteInd(note(number)))
            .await;
    }
    for number in 0..3 {
        assert!(matches!(next(&mut events).await, SeenByServer::Note(seen) if seen == number));
    }
    let save = of_client(
        "devices/7",
        ADA,
        &ClientToServer::SaveInd(SaveInd { number: 13 }),
    );
    let kept = instance.0.deliver(&save, &CallOptions::new()).await;
    assert_eq!(
        kept.expect_err("is refused").to_string(),
        "FAILED_PRECONDITION: not thirteen"
    );
    let ask = of_client("devices/7", ADA, &ClientToServer::EchoReq(echo("hello")));
    let answer = instance
        .0
        .call(&ask, &CallOptions::new())
        .await
        .expect("is answered");
    assert!(
        answer
            .raw_body()
            .windows(5)
            .any(|window| window == b"hello")
    );

    peer.note_ind(note(1)).await.expect("is sent");
    assert_eq!(broker.next().await, format!("devices/7/$to/{ADA} note_ind"));
    peer.save_ind(SaveInd { number: 1 }).await.expect("is kept");
    assert_eq!(broker.next().await, format!("devices/7/$to/{ADA} save_ind"));
    peer.disconnect(Status::new(Code::PermissionDenied, "enough"));
    let asked = format!("$broker/devices/7 disconnect {ADA} PERMISSION_DENIED enough");
    assert_eq!(broker.next().await, asked);

    let draining = peer.draining();
    instance.gone("devices/7", ADA).await;
    assert!(matches!(next(&mut events).await, SeenByServer::Save(13)));
    assert!(matches!(
        next(&mut events).await,
        SeenByServer::Disconnected(_)
    ));
    assert!(peer.connection().is_gone() && !peer.connection().is_open());
    soon("the end of the peer", draining).await;
    assert!(attached.peers().is_empty());
}

#[tokio::test]
async fn one_message_reaches_every_client_of_a_topic() {
    let mut broker = Broker::start().await;
    let (handler, mut events) = LabServer::new();
    let (attached, instance) = broker.attach("T", handler).await;
    instance.introduce("T", ADA).await;
    let ada = connected(&mut events).await;
    instance.introduce("T", BOB).await;
    let bob = connected(&mut events).await;
    assert_eq!(ada.everyone().note_ind(note(1)), 2);
    assert_eq!(broker.next().await, "T note_ind");
    let everyone = attached.broadcast().expect("one topic");
    assert_eq!(everyone.send_all(ServerToClient::NoteInd(note(2))), 2);
    assert_eq!(broker.next().await, "T note_ind");
    assert_eq!(ada.others().note_ind(note(3)), 1);
    assert_eq!(broker.next().await, format!("T/$to/{BOB} note_ind"));
    let room = everyone.room("north");
    room.join(&ada).expect("is there");
    assert_eq!(bob.everyone().room("north").note_ind(note(4)), 1);
    assert_eq!(broker.next().await, format!("T/$to/{ADA} note_ind"));
    instance.gone("T", ADA).await;
    assert!(matches!(
        next(&mut events).await,
        SeenByServer::Disconnected(_)
    ));
    assert!(attached.broadcast_at("U").is_none());
    assert_eq!(everyone.peers().len(), 1);
}

#[tokio::test]
async fn a_client_whose_handlers_wait_holds_up_no_other_and_is_not_granted_more() {
    let mut broker = Broker::start().await;
    let (handler, mut events) = LabServer::new();
    let gate = Arc::new(Semaphore::new(0));
    let (_attached, instance) = broker.attach("T", handler.gated(&gate)).await;
    instance.introduce("T", ADA).await;
    connected(&mut events).await;
    instance.introduce("T", BOB).await;
    connected(&mut events).await;
    // More than the connection's own window of messages: it is granted again although none is handled.
    for number in 0..256 {
        instance
            .say("T", ADA, ClientToServer::NoteInd(note(number)))
            .await;
    }
    let ask = of_client("T", BOB, &ClientToServer::EchoReq(echo("hello")));
    let options = CallOptions::new();
    soon("an answer", instance.0.call(&ask, &options))
        .await
        .expect("is answered");
    gate.add_permits(128);
    for number in 0..128 {
        assert!(matches!(next(&mut events).await, SeenByServer::Note(seen) if seen == number));
    }
    assert_eq!(broker.next().await, format!("$broker/T credit {ADA} 128"));
    // Its window was used up and is twice as large from here on; a broker that does not know of that sends 256 ahead still.
    for number in 256..384 {
        instance
            .say("T", ADA, ClientToServer::NoteInd(note(number)))
            .await;
    }
    gate.add_permits(256);
    for number in 128..384 {
        assert!(matches!(next(&mut events).await, SeenByServer::Note(seen) if seen == number));
    }
    assert_eq!(broker.next().await, format!("$broker/T credit {ADA} 256"));
}

#[tokio::test]
async fn who_looks_after_a_client_is_told_of_it_and_nobody_else() {
    let mut broker = Broker::start().await;
    let (handler, mut events) = LabServer::new();
    let (_attached, instance) = broker.attach("T", handler).await;
    instance
        .tell(presence("T", ADA, Presence::Connected, false))
        .await;
    instance
        .say("T", ADA, ClientToServer::NoteInd(note(1)))
        .await;
    assert!(matches!(next(&mut events).await, SeenByServer::Note(1)));
    instance
        .tell(presence("T", BOB, Presence::Connected, false))
        .await;
    instance.gone("T", BOB).await;
    // The instance that looked after it has gone.
    instance
        .tell(presence("T", ADA, Presence::LookedAfter, true))
        .await;
    let peer = connected(&mut events).await;
    assert_eq!(peer.id().to_string(), ADA);
    instance.gone("T", ADA).await;
    assert!(matches!(
        next(&mut events).await,
        SeenByServer::Disconnected(_)
    ));
}

#[tokio::test]
async fn what_nobody_serves_is_refused() {
    let mut broker = Broker::start().await;
    let (handler, _events) = LabServer::new();
    let (_attached, instance) = broker.attach("T", handler).await;
    let ask = of_client("U", BOB, &ClientToServer::EchoReq(echo("hello")));
    let answer = instance.0.call(&ask, &CallOptions::new()).await;
    let error = answer.expect_err("nobody is there").to_string();
    assert_eq!(
        error,
        "NOT_FOUND: no endpoint of this connection hears the topic"
    );
}

#[tokio::test]
async fn a_session_that_is_resumed_keeps_its_clients_and_another_one_begins_without() {
    let mut broker = Broker::start().await;
    let target = broker
        .url
        .strip_prefix("tcp://")
        .expect("TCP")
        .parse()
        .expect("an address");
    let proxy = Proxy::start(target).await;
    let (handler, mut events) = LabServer::new();
    let url = format!("tcp://{}/T?reconnect_max=10ms", proxy.address());
    let attached = Server::<Lab>::attach(&url, handler)
        .await
        .expect("is attached");
    assert_eq!(broker.next().await, "subscribe T/$in lab");
    let instance = broker.instance().await;
    instance.introduce("T", ADA).await;
    let peer = connected(&mut events).await;

    proxy.cut();
    // Waits for the next connection.
    let options = CallOptions::new();
    let ask = of_client("T", ADA, &ClientToServer::EchoReq(echo("hello")));
    let answered = soon("another connection", async {
        loop {
            match instance.0.call(&ask, &options).await {
                Ok(answer) => return answer,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    });
    answered.await;
    assert!(peer.connection().is_open());

    // The broker forgets the session.
    instance
        .0
        .disconnect(Status::new(Code::Unavailable, "restarts"));
    assert!(matches!(
        next(&mut events).await,
        SeenByServer::Disconnected(_)
    ));
    assert!(peer.connection().is_gone());
    assert_eq!(broker.next().await, "subscribe T/$in lab");
    let instance = broker.instance().await;
    instance.introduce("T", ADA).await;
    let again = connected(&mut events).await;
    assert_eq!(again.id(), peer.id());
    assert_eq!(attached.peers().len(), 1);
}

#[tokio::test]
async fn a_server_that_shuts_down_handles_what_it_was_given() {
    let mut broker = Broker::start().await;
    let (handler, mut events) = LabServer::new();
    let gate = Arc::new(Semaphore::new(0));
    let (attached, instance) = broker.attach("T", handler.gated(&gate)).await;
    instance.introduce("T", ADA).await;
    connected(&mut events).await;
    instance
        .say("T", ADA, ClientToServer::NoteInd(note(1)))
        .await;
    // It waits behind the note.
    let save = of_client("T", ADA, &ClientToServer::SaveInd(SaveInd { number: 2 }));
    let broker_side = instance.0.clone();
    let kept = tokio::spawn(async move { broker_side.deliver(&save, &CallOptions::new()).await });
    let ask = of_client("T", ADA, &ClientToServer::EchoReq(echo("hello")));
    let broker_side = instance.0.clone();
    let answer = tokio::spawn(async move { broker_side.call(&ask, &CallOptions::new()).await });
    // Both have been sent before the answer of this.
    instance
        .0
        .ping(8, std::time::Duration::from_secs(10))
        .await
        .expect("is there");
    let stopping = tokio::spawn(attached.shutdown());
    assert_eq!(broker.next().await, "unsubscribe T/$in");
    gate.add_permits(1);
    soon("the acknowledgment", kept)
        .await
        .expect("no panic")
        .expect("is kept");
    soon("the answer", answer)
        .await
        .expect("no panic")
        .expect("is answered");
    soon("the end", stopping).await.expect("no panic");
    assert!(matches!(next(&mut events).await, SeenByServer::Note(1)));
    assert!(matches!(next(&mut events).await, SeenByServer::Save(2)));
    assert!(matches!(
        next(&mut events).await,
        SeenByServer::Disconnected(_)
    ));
}

#[tokio::test]
async fn why_a_server_is_not_attached_says_what_to_do() {
    let broker = Broker::start().await;
    let attach = async |url: String| {
        let (handler, _events) = LabServer::new();
        Server::<Lab>::attach(url, handler)
            .await
            .expect_err("is refused")
    };
    let error = attach(broker.url.clone()).await;
    assert!(matches!(error, AttachError::NoTopic { .. }), "{error:?}");
    let error = attach(format!("{}/a/$in", broker.url)).await;
    assert!(matches!(error, AttachError::Topic { .. }), "{error:?}");
    let error = attach(format!("{}/closed", broker.url)).await;
    assert!(matches!(error, AttachError::Refused { .. }), "{error:?}");
    let (handler, _events) = LabServer::new();
    let direct = Server::<Lab>::bind("tcp://127.0.0.1:0")
        .await
        .expect("listens");
    let url = direct.local_url().to_string();
    tokio::spawn(direct.serve(handler));
    let error = attach(format!("{url}/T")).await;
    assert!(
        matches!(
            error,
            AttachError::NoBroker { .. } | AttachError::Connect(_)
        ),
        "{error:?}"
    );
}
