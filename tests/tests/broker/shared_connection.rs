//! Clients of several protocols at several topics, on one connection.

use msip_broker::{
    access::{Filters, Rights},
    router::Limits,
    topic::TopicFilter,
};
use msip_runtime::{
    BrokerConnection, CallError, CallOptions, Client, CloseReason, Code, ConnectError,
    ConnectionState, Envelope as _, Protocol as _, SendError, Status,
    untyped::{
        Event, Handle, Inbound, Reply, Service, SubscribeOptions, UntypedClient, UntypedMessage,
        UntypedPeer,
    },
};
use msip_tests::{
    Echo, HANG, LabClient, SeenByClient,
    lab::{
        self, AskReq, AskRsp, HandleServerToClient, Lab, NoteInd, PushClientToServer as _, SaveInd,
        SendClientToServer as _,
    },
    messages::{echo, note},
    next,
    proxy::Proxy,
    sampler::{Kinds, Sampler, SendClientToServer as _},
    soon, start,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::sync::Semaphore;

use crate::fixture::Broker;

/// An untyped service of a topic: it passes calls on to a server that knows nothing of brokers.
struct Instance(Handle);

impl Service for Instance {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        while let Some(event) = inbound.next().await {
            let Event::Exchange(exchange) = event else {
                continue;
            };
            if let Reply::Call(responder) = exchange.reply {
                let message = &exchange.message;
                let body = message.body().expect("a body");
                let message = UntypedMessage::new(message.variant(), body);
                let server = self.0.clone();
                tokio::spawn(async move {
                    let options = CallOptions::new();
                    let answers = server.open(&message, &options);
                    responder.forward(answers).await;
                });
            }
        }
    }
}

/// A service of a topic.
struct Room {
    instance: UntypedClient,
    topic: &'static str,
    _server: UntypedClient,
}

impl Room {
    /// One of the protocol `lab`.
    async fn lab(broker: &Broker, topic: &'static str) -> Self {
        let (url, _, _) = start("tcp://127.0.0.1:0").await;
        Self::open(broker, topic, url.to_string(), ("lab", Lab::fingerprint())).await
    }

    /// One of the protocol `sampler`.
    async fn sampler(broker: &Broker, topic: &'static str) -> Self {
        let url = Echo::start("tcp://127.0.0.1:0").await;
        let protocol = ("sampler", Sampler::fingerprint());
        Self::open(broker, topic, url.to_string(), protocol).await
    }

    async fn open(
        broker: &Broker,
        topic: &'static str,
        url: String,
        (protocol, fingerprint): (&'static str, u64),
    ) -> Self {
        let server = UntypedClient::builder(url, protocol, fingerprint).connect();
        let server = server.await.expect("connects");
        let instance = UntypedClient::builder(&broker.url, protocol, fingerprint)
            .service(Instance(server.handle().clone()))
            .connect()
            .await
            .expect("connects");
        let spoken = SubscribeOptions::new().protocol(protocol, fingerprint);
        let subscribed = instance.subscribe(&format!("{topic}/$in"), &spoken).await;
        subscribed.expect("is allowed");
        Self {
            instance,
            topic,
            _server: server,
        }
    }

    /// The service says something to all clients of a topic of `lab`.
    async fn says(&self, number: u64) {
        let mut body = Vec::new();
        lab::ServerToClient::NoteInd(note(number)).encode(&mut body);
        let message = UntypedMessage::new(&lab::ServerToClient::VARIANTS[1], body);
        let message = message.to_topic(self.topic).expect("a topic");
        let sent = self.instance.send(&message, &CallOptions::new()).await;
        sent.expect("sent");
    }
}

fn kinds(text: &str) -> Kinds {
    Kinds {
        a_string: text.into(),
        ..Kinds::default()
    }
}

async fn echoes(client: &Client<Lab>) {
    let answer = soon("an answer", client.echo_req(echo("hi"))).await;
    assert_eq!(answer.expect("answered").text, "hi");
}

async fn samples(client: &Client<Sampler>) {
    let answer = soon("an answer", client.kinds_req(kinds("hi"))).await;
    assert_eq!(answer.expect("answered").a_string, "hi");
}

/// Skips what came before: it is connected again.
async fn connected_again(seen: &mut tokio::sync::mpsc::Receiver<SeenByClient>) {
    while !matches!(next(seen).await, SeenByClient::Connected) {}
}

#[tokio::test]
async fn clients_of_two_protocols_share_a_connection_and_one_is_closed_alone() {
    let broker = Broker::start().await;
    let room = Room::lab(&broker, "room1").await;
    let other_room = Room::lab(&broker, "room2").await;
    let _probes = Room::sampler(&broker, "probes").await;
    let connection = BrokerConnection::connect(&broker.url)
        .await
        .expect("connects");
    let (handler, mut seen) = LabClient::new();
    let (other_handler, mut other_seen) = LabClient::new();
    let lab = connection.client_with::<Lab, _>("room1", handler).await;
    let lab = lab.expect("is allowed");
    let other = connection
        .client_with::<Lab, _>("room2", other_handler)
        .await;
    let other = other.expect("is allowed");
    let sampler = connection.client::<Sampler>("probes").await;
    let sampler = sampler.expect("is allowed");
    assert_eq!(lab.connection().topic(), Some("room1"));
    assert_eq!(lab.connection().peer_id(), sampler.connection().peer_id());
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    assert!(matches!(
        next(&mut other_seen).await,
        SeenByClient::Connected
    ));

    echoes(&lab).await;
    samples(&sampler).await;
    room.says(1).await;
    assert!(matches!(next(&mut seen).await, SeenByClient::Note(1)));
    other_room.says(2).await;
    assert!(matches!(next(&mut other_seen).await, SeenByClient::Note(2)));

    let again = connection.client::<Lab>("room1").await;
    match again.expect_err("is in use") {
        ConnectError::TopicInUse { topic } => assert_eq!(topic, "room1"),
        error => panic!("{error}"),
    }
    echoes(&lab).await;

    let mut pushed = lab.sender();
    pushed.note_ind(note(3)).await.expect("buffered");
    soon("the end", lab.close()).await;
    assert_eq!(lab.connection().state(), ConnectionState::Closed);
    assert!(matches!(
        lab.connection().closed(),
        Some(CloseReason::ClosedByUs)
    ));
    let sent = lab.note_ind(note(4)).await;
    assert!(matches!(sent, Err(SendError::Closed)), "{sent:?}");
    let called = lab.echo_req(echo("hi")).await;
    assert!(
        matches!(called, Err(CallError::NotSent(SendError::Closed))),
        "{called:?}"
    );
    let flushed = pushed.flush().await;
    assert!(matches!(flushed, Err(SendError::Closed)), "{flushed:?}");
    assert!(matches!(
        next(&mut seen).await,
        SeenByClient::Disconnected(_)
    ));
    // It hears nothing any more, and the others go on.
    room.says(5).await;
    other_room.says(6).await;
    assert!(matches!(next(&mut other_seen).await, SeenByClient::Note(6)));
    assert!(seen.try_recv().is_err());
    samples(&sampler).await;

    // The topic is free for another one.
    let (handler, mut seen) = LabClient::new();
    let lab = connection.client_with::<Lab, _>("room1", handler).await;
    let lab = lab.expect("is free");
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    echoes(&lab).await;
    room.says(7).await;
    assert!(matches!(next(&mut seen).await, SeenByClient::Note(7)));

    // The connection is there as long as one of them is.
    drop(connection);
    drop(lab);
    drop(other);
    samples(&sampler).await;
    let mut state = sampler.connection().watch();
    drop(sampler);
    let closed = state.wait_for(|state| *state == ConnectionState::Closed);
    soon("the end", closed).await.expect("is told");
}

#[tokio::test]
async fn closing_the_connection_closes_its_clients() {
    let broker = Broker::start().await;
    let _room = Room::lab(&broker, "room1").await;
    let _probes = Room::sampler(&broker, "probes").await;
    let connection = BrokerConnection::connect(&broker.url)
        .await
        .expect("connects");
    let (handler, mut seen) = LabClient::new();
    let lab = connection.client_with::<Lab, _>("room1", handler).await;
    let lab = lab.expect("is allowed");
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    let mut state = lab.connection().watch();
    soon("the end", connection.close()).await;
    let closed = state.wait_for(|state| *state == ConnectionState::Closed);
    soon("the end", closed).await.expect("is told");
    assert!(matches!(
        next(&mut seen).await,
        SeenByClient::Disconnected(_)
    ));
    let sent = lab.note_ind(note(1)).await;
    assert!(matches!(sent, Err(SendError::Closed)), "{sent:?}");
    let late = connection.client::<Sampler>("probes").await;
    assert!(matches!(late, Err(ConnectError::Closed)), "{late:?}");
}

/// The rights of a client that may hear these topics, and ask all of their services.
fn hears(topics: &[&str]) -> Rights {
    let filter = |topic: &&str| TopicFilter::new(topic).expect("a filter");
    Rights {
        subscribe: Filters {
            allow: topics.iter().map(filter).collect(),
            ..Filters::default()
        },
        ..Rights::all()
    }
}

#[tokio::test]
async fn in_a_new_session_each_is_subscribed_again_and_a_refused_one_is_closed_alone() {
    let is_narrow = Arc::new(AtomicBool::new(false));
    let narrow = Arc::clone(&is_narrow);
    let broker = Broker::with(Limits::default(), move |name| match name {
        "fleet" if narrow.load(Ordering::SeqCst) => hears(&["room1"]),
        _ => Rights::all(),
    })
    .await;
    let room = Room::lab(&broker, "room1").await;
    let _other = Room::lab(&broker, "room2").await;
    let proxy = Proxy::start(broker.address()).await;
    let connection = BrokerConnection::builder(proxy.url())
        .name("fleet")
        .connect();
    let connection = connection.await.expect("connects");
    let (handler, mut seen) = LabClient::new();
    let (other_handler, mut other_seen) = LabClient::new();
    let lab = connection.client_with::<Lab, _>("room1", handler).await;
    let lab = lab.expect("is allowed");
    let other = connection
        .client_with::<Lab, _>("room2", other_handler)
        .await;
    let other = other.expect("is allowed");
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    assert!(matches!(
        next(&mut other_seen).await,
        SeenByClient::Connected
    ));
    let mut lost = lab.connection().lost_sessions();

    proxy.let_in(false);
    proxy.cut();
    assert!(matches!(
        next(&mut seen).await,
        SeenByClient::Disconnected(_)
    ));
    assert!(matches!(
        next(&mut other_seen).await,
        SeenByClient::Disconnected(_)
    ));
    is_narrow.store(true, Ordering::SeqCst);
    broker.expire().await;
    proxy.let_in(true);
    soon("a new session", lost.wait_for(Option::is_some))
        .await
        .expect("there is one");
    loop {
        match next(&mut seen).await {
            SeenByClient::Connected => room.says(1).await,
            SeenByClient::Note(1) => break,
            _ => {}
        }
    }
    loop {
        if let SeenByClient::Failed(ConnectError::TopicRefused { topic, status, .. }, _) =
            next(&mut other_seen).await
        {
            assert_eq!((&*topic, status.code()), ("room2", Code::PermissionDenied));
            break;
        }
    }
    let mut state = other.connection().watch();
    let closed = state.wait_for(|state| *state == ConnectionState::Closed);
    soon("the end of one", closed).await.expect("is told");
    assert!(matches!(
        other.connection().closed(),
        Some(CloseReason::GaveUp(_))
    ));
    soon("a connection", async {
        let mut state = lab.connection().watch();
        let connected = state.wait_for(|state| *state == ConnectionState::Connected);
        connected.await.expect("is told");
    })
    .await;
    echoes(&lab).await;
    let refused = connection.client::<Lab>("room2").await;
    assert!(
        matches!(refused, Err(ConnectError::TopicRefused { .. })),
        "{refused:?}"
    );
    connection.close().await;
}

#[tokio::test]
async fn a_connection_that_is_resumed_tells_all_clients_and_loses_nothing() {
    let broker = Broker::start().await;
    let room = Room::lab(&broker, "room1").await;
    let _probes = Room::sampler(&broker, "probes").await;
    let proxy = Proxy::start(broker.address()).await;
    let connection = BrokerConnection::connect(proxy.url())
        .await
        .expect("connects");
    let (handler, mut seen) = LabClient::new();
    let lab = connection.client_with::<Lab, _>("room1", handler).await;
    let lab = lab.expect("is allowed");
    let sampler = connection.client::<Sampler>("probes").await;
    let sampler = sampler.expect("is allowed");
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    proxy.let_in(false);
    proxy.cut();
    assert!(matches!(
        next(&mut seen).await,
        SeenByClient::Disconnected(_)
    ));
    proxy.let_in(true);
    connected_again(&mut seen).await;
    room.says(1).await;
    assert!(matches!(next(&mut seen).await, SeenByClient::Note(1)));
    let mut state = lab.connection().watch();
    let connected = state.wait_for(|state| *state == ConnectionState::Connected);
    soon("a connection", connected).await.expect("is told");
    assert!(lab.connection().resumed());
    echoes(&lab).await;
    samples(&sampler).await;
    connection.close().await;
}

/// Handles nothing until it may.
struct Held(Arc<Semaphore>);

impl HandleServerToClient for Held {
    async fn on_note_ind(&self, _: &Client<Lab>, _: NoteInd) {
        let permit = self.0.acquire().await;
        permit.expect("is open").forget();
    }

    async fn on_save_ind(&self, _: &Client<Lab>, _: SaveInd) -> Result<(), Status> {
        Ok(())
    }

    async fn on_ask_req(&self, _: &Client<Lab>, _: AskReq) -> Result<AskRsp, Status> {
        Err(Status::new(Code::Unimplemented, "is not asked"))
    }
}

#[tokio::test]
async fn what_waits_for_the_handler_of_one_client_does_not_hold_up_the_calls_of_another() {
    let broker = Broker::start().await;
    let room = Room::lab(&broker, "room1").await;
    let other_room = Room::lab(&broker, "room2").await;
    let _probes = Room::sampler(&broker, "probes").await;
    let connection = BrokerConnection::connect(&broker.url)
        .await
        .expect("connects");
    let gate = Arc::new(Semaphore::new(0));
    let held = connection.client_with::<Lab, _>("room1", Held(Arc::clone(&gate)));
    let held = held.await.expect("is allowed");
    let (handler, mut seen) = LabClient::new();
    let _other = connection.client_with::<Lab, _>("room2", handler).await;
    let _other = _other.expect("is allowed");
    let sampler = connection.client::<Sampler>("probes").await;
    let sampler = sampler.expect("is allowed");
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    // More than the window of the session.
    for number in 0..3000 {
        room.says(number).await;
    }
    other_room.says(1).await;
    assert!(matches!(next(&mut seen).await, SeenByClient::Note(1)));
    samples(&sampler).await;
    let hanging = sampler.with(CallOptions::new());
    let hanging = hanging.kinds_req(kinds(HANG));
    tokio::select! {
        answer = hanging => panic!("answered: {answer:?}"),
        () = samples(&sampler) => {}
    }
    gate.add_permits(Semaphore::MAX_PERMITS / 2);
    soon("the end", held.close()).await;
    connection.close().await;
}

/// Lets nobody in.
struct Refuses;

impl HandleServerToClient for Refuses {
    async fn on_connected(&self, _: &Client<Lab>) -> Result<(), Status> {
        Err(Status::new(Code::Unauthenticated, "no key"))
    }

    async fn on_note_ind(&self, _: &Client<Lab>, _: NoteInd) {}

    async fn on_save_ind(&self, _: &Client<Lab>, _: SaveInd) -> Result<(), Status> {
        Ok(())
    }

    async fn on_ask_req(&self, _: &Client<Lab>, _: AskReq) -> Result<AskRsp, Status> {
        Err(Status::new(Code::Unimplemented, "is not asked"))
    }
}

#[tokio::test]
async fn a_client_that_cannot_log_in_is_an_error_and_leaves_its_topic() {
    let broker = Broker::start().await;
    let _room = Room::lab(&broker, "room1").await;
    let connection = BrokerConnection::connect(&broker.url)
        .await
        .expect("connects");
    let refused = connection.client_with::<Lab, _>("room1", Refuses).await;
    match refused.expect_err("does not log in") {
        ConnectError::Login { status } => assert_eq!(status.code(), Code::Unauthenticated),
        error => panic!("{error}"),
    }
    let lab = connection.client::<Lab>("room1").await.expect("is free");
    echoes(&lab).await;
    let url = format!("{}/room1", broker.url);
    let error = BrokerConnection::connect(&url).await;
    let error = error.expect_err("clients name their topics");
    assert!(matches!(error, ConnectError::Url(_)), "{error}");
    connection.close().await;
}
