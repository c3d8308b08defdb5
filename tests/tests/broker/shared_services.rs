//! Services of several protocols, and clients beside them, on one connection.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use msip_broker::{
    access::{Filters, Rights},
    router::Limits,
    topic::TopicFilter,
};
use msip_runtime::{
    AttachError, AttachedServer, BrokerConnection, Client, Code, ConnectError, ConnectionState,
    Peer, Protocol as _, Status,
};
use msip_tests::{
    Echo, LabClient, LabServer, SeenByClient, SeenByServer,
    lab::{
        BroadcastServerToClient as _, Lab, SaveInd, SendClientToServer as _,
        SendServerToClient as _,
    },
    messages::{act, echo, note},
    next,
    proxy::Proxy,
    rolling_new as new, rolling_old as old,
    sampler::{Kinds, Sampler, SendClientToServer as _},
    soon,
};
use tokio::sync::{Semaphore, mpsc};

use crate::fixture::Broker;

type Seen = mpsc::Receiver<SeenByServer>;

async fn connect(url: &str) -> BrokerConnection {
    let connection = soon("a connection", BrokerConnection::connect(url)).await;
    connection.expect("connects")
}

/// A service of `lab` at a topic, and what it sees.
async fn serve(connection: &BrokerConnection, topic: &str) -> (AttachedServer<Lab>, Seen) {
    let (handler, seen) = LabServer::new();
    (attach(connection, topic, handler).await, seen)
}

async fn attach(
    connection: &BrokerConnection,
    topic: &str,
    handler: LabServer,
) -> AttachedServer<Lab> {
    let attached = connection.attach::<Lab, _>(topic, handler);
    soon("a service", attached).await.expect("is attached")
}

/// A client with a connection of its own.
async fn client(broker: &Broker, topic: &str) -> (Client<Lab>, mpsc::Receiver<SeenByClient>) {
    let (client, mut seen) = LabClient::connect(format!("{}/{topic}", broker.url)).await;
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    (client, seen)
}

async fn come(seen: &mut Seen) -> Peer<Lab> {
    match next(seen).await {
        SeenByServer::Connected(peer) => peer,
        other => panic!("{other:?}"),
    }
}

async fn gone(events: &mut Seen) {
    let seen = next(events).await;
    assert!(matches!(seen, SeenByServer::Disconnected(_)), "{seen:?}");
}

async fn echoes(client: &Client<Lab>) {
    let answer = soon("an answer", client.echo_req(echo("hi"))).await;
    assert_eq!(answer.expect("is answered").text, "hi");
}

async fn samples(client: &Client<Sampler>) {
    let request = Kinds {
        a_string: "hi".into(),
        ..Kinds::default()
    };
    let answer = soon("an answer", client.kinds_req(request)).await;
    assert_eq!(answer.expect("is answered").a_string, "hi");
}

async fn sampler(broker: &Broker, topic: &str) -> Client<Sampler> {
    let url = format!("{}/{topic}", broker.url);
    let connecting = Client::<Sampler>::connect(url);
    soon("a client", connecting).await.expect("connects")
}

#[tokio::test]
async fn services_of_two_protocols_share_a_connection_and_one_ends_alone() {
    let broker = Broker::start().await;
    let connection = connect(&broker.url).await;
    let (room, mut in_room) = serve(&connection, "room1").await;
    let (devices, mut of_devices) = serve(&connection, "devices/+").await;
    let probes = connection.attach::<Sampler, _>("probes", Echo).await;
    let probes = probes.expect("is attached");
    let (ada, mut to_ada) = client(&broker, "room1").await;
    let of_ada = come(&mut in_room).await;
    let (seven, _to_seven) = client(&broker, "devices/7").await;
    let of_seven = come(&mut of_devices).await;
    assert_eq!(of_ada.topic(), Some("room1"));
    assert_eq!(of_seven.topic(), Some("devices/7"));
    let probe = sampler(&broker, "probes").await;
    echoes(&ada).await;
    echoes(&seven).await;
    samples(&probe).await;
    let broadcast = room.broadcast().expect("one topic");
    assert_eq!(broadcast.note_ind(note(1)), 1);
    assert!(matches!(next(&mut to_ada).await, SeenByClient::Note(1)));

    for (topic, other) in [
        ("room1", "room1"),
        ("devices/7", "devices/+"),
        ("+", "room1"),
    ] {
        let (handler, _seen) = LabServer::new();
        let refused = connection.attach::<Lab, _>(topic, handler).await;
        match refused.expect_err("overlaps") {
            AttachError::Overlaps {
                topic: asked,
                other: served,
            } => assert_eq!((&*asked, &*served), (topic, other)),
            error => panic!("{error}"),
        }
    }

    // One is shut down, and one is dropped.
    soon("the end", room.shutdown()).await;
    gone(&mut in_room).await;
    let unserved = soon("a refusal", ada.echo_req(echo("hi"))).await;
    assert_eq!(
        unserved.expect_err("nobody serves it").code(),
        Code::Unavailable
    );
    echoes(&seven).await;
    samples(&probe).await;
    drop(devices);
    gone(&mut of_devices).await;
    let unserved = soon("a refusal", seven.echo_req(echo("hi"))).await;
    assert_eq!(
        unserved.expect_err("nobody serves it").code(),
        Code::Unavailable
    );
    samples(&probe).await;

    // Their topics are free.
    let (_devices, mut of_devices) = serve(&connection, "+/7").await;
    echoes(&seven).await;
    come(&mut of_devices).await;
    // The connection is there as long as one of them is.
    drop(connection);
    samples(&probe).await;
    echoes(&seven).await;
    soon("the end", probes.shutdown()).await;
    echoes(&seven).await;
}

#[tokio::test]
async fn a_service_and_a_client_of_its_topic_share_a_connection() {
    let broker = Broker::start().await;
    let connection = connect(&broker.url).await;
    let (room, mut in_room) = serve(&connection, "room1").await;
    let (handler, mut seen) = LabClient::new();
    let own = connection.client_with::<Lab, _>("room1", handler).await;
    let own = own.expect("is allowed");
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    let of_own = come(&mut in_room).await;
    assert_eq!(own.connection().server_fingerprint(), Lab::fingerprint());
    let (ada, mut to_ada) = client(&broker, "room1").await;
    let of_ada = come(&mut in_room).await;
    echoes(&own).await;
    own.save_ind(SaveInd { number: 1 }).await.expect("is kept");
    assert!(matches!(next(&mut in_room).await, SeenByServer::Save(1)));
    for number in 0..300 {
        own.note_ind(note(number)).await.expect("is sent");
    }
    for number in 0..300 {
        assert!(matches!(next(&mut in_room).await, SeenByServer::Note(heard) if heard == number));
    }
    // The service asks it, in a call of it.
    let answer = soon("an answer", own.act_req(act("ask"))).await;
    assert_eq!(answer.expect("is answered").done, "who? me");
    assert!(matches!(next(&mut in_room).await, SeenByServer::Act(_)));
    room.broadcast().expect("one topic").note_ind(note(1));
    of_own.note_ind(note(2)).await.expect("is sent");
    of_ada.note_ind(note(3)).await.expect("is sent");
    for number in [1, 2] {
        let heard = next(&mut seen).await;
        assert!(
            matches!(heard, SeenByClient::Note(heard) if heard == number),
            "{heard:?}"
        );
    }
    for number in [1, 3] {
        assert!(matches!(next(&mut to_ada).await, SeenByClient::Note(heard) if heard == number));
    }
    soon("the end", own.close()).await;
    gone(&mut in_room).await;
    echoes(&ada).await;
    soon("the end", connection.close()).await;
    gone(&mut in_room).await;
}

#[tokio::test]
async fn a_service_that_drains_answers_what_is_open_while_another_one_serves_on() {
    let broker = Broker::start().await;
    let connection = connect(&broker.url).await;
    let (handler, mut in_room) = LabServer::new();
    let gate = Arc::new(Semaphore::new(0));
    let room = attach(&connection, "room1", handler.gated(&gate)).await;
    let (_other, mut in_other) = serve(&connection, "room2").await;
    let (ada, _to_ada) = client(&broker, "room1").await;
    come(&mut in_room).await;
    let (bob, _to_bob) = client(&broker, "room2").await;
    come(&mut in_other).await;
    // A call that waits, and a note with what comes after it.
    let open = tokio::spawn({
        let ada = ada.clone();
        async move { ada.act_req(act("wait")).await }
    });
    assert!(matches!(next(&mut in_room).await, SeenByServer::Act(_)));
    ada.note_ind(note(1)).await.expect("is sent");
    ada.save_ind(SaveInd { number: 2 }).await.expect("is kept");
    // Another instance, on a connection of its own.
    let elsewhere = connect(&broker.url).await;
    let (_elsewhere, in_elsewhere) = serve(&elsewhere, "room1").await;
    let draining = room.draining();
    let stopping = tokio::spawn(room.shutdown());
    soon("the drain", draining).await;
    // What is new goes to the other one, and nothing waits for what is open.
    while in_elsewhere.is_empty() {
        echoes(&ada).await;
        echoes(&bob).await;
    }
    assert!(!stopping.is_finished());
    gate.add_permits(2);
    let answer = soon("an answer", open).await.expect("no panic");
    assert_eq!(answer.expect("is answered").done, "waited");
    soon("the end", stopping).await.expect("no panic");
    assert!(matches!(next(&mut in_room).await, SeenByServer::Note(1)));
    assert!(matches!(next(&mut in_room).await, SeenByServer::Save(2)));
    gone(&mut in_room).await;
    echoes(&bob).await;
    echoes(&ada).await;
}

#[tokio::test]
async fn a_call_that_hangs_ends_with_the_time_of_a_drain() {
    let broker = Broker::start().await;
    let url = format!("{}?drain_timeout=50ms", broker.url);
    let connection = connect(&url).await;
    let (room, mut in_room) = serve(&connection, "room1").await;
    let (_other, _in_other) = serve(&connection, "room2").await;
    let (ada, _to_ada) = client(&broker, "room1").await;
    come(&mut in_room).await;
    let (bob, _to_bob) = client(&broker, "room2").await;
    let open = tokio::spawn(async move { ada.act_req(act("hang")).await });
    assert!(matches!(next(&mut in_room).await, SeenByServer::Act(_)));
    soon("the end", room.shutdown()).await;
    let answer = soon("an answer", open).await.expect("no panic");
    assert!(answer.is_err(), "{answer:?}");
    assert!(matches!(next(&mut in_room).await, SeenByServer::Dropped(_)));
    echoes(&bob).await;
}

#[tokio::test]
async fn a_connection_that_is_resumed_or_begun_anew_has_its_services_again() {
    let broker = Broker::start().await;
    let proxy = Proxy::start(broker.address()).await;
    let connection = connect(&format!("{}?reconnect_max=10ms", proxy.url())).await;
    let (_room, mut in_room) = serve(&connection, "room1").await;
    let (_devices, mut of_devices) = serve(&connection, "devices/+").await;
    let (ada, _to_ada) = client(&broker, "room1").await;
    let of_ada = come(&mut in_room).await;
    let (seven, _to_seven) = client(&broker, "devices/7").await;
    come(&mut of_devices).await;

    let mut state = connection.connection().watch();
    proxy.cut();
    let lost = state.wait_for(|state| *state != ConnectionState::Connected);
    soon("the cut", lost).await.expect("is told");
    let back = state.wait_for(|state| *state == ConnectionState::Connected);
    soon("a connection", back).await.expect("is told");
    ada.save_ind(SaveInd { number: 1 }).await.expect("is kept");
    assert!(matches!(next(&mut in_room).await, SeenByServer::Save(1)));
    seven.save_ind(SaveInd { number: 2 }).await.expect("kept");
    assert!(matches!(next(&mut of_devices).await, SeenByServer::Save(2)));
    assert!(!of_ada.connection().is_gone());

    // The broker forgets the session.
    proxy.let_in(false);
    proxy.cut();
    let lost = state.wait_for(|state| *state != ConnectionState::Connected);
    soon("the cut", lost).await.expect("is told");
    broker.expire().await;
    proxy.let_in(true);
    gone(&mut in_room).await;
    gone(&mut of_devices).await;
    let back = state.wait_for(|state| *state == ConnectionState::Connected);
    soon("a connection", back).await.expect("is told");
    while ada.save_ind(SaveInd { number: 3 }).await.is_err() {}
    come(&mut in_room).await;
    while seven.save_ind(SaveInd { number: 4 }).await.is_err() {}
    come(&mut of_devices).await;
    echoes(&ada).await;
    echoes(&seven).await;
    assert!(of_ada.connection().is_gone());
}

/// The rights of a service of these topics.
fn serves(topics: &[&str]) -> Rights {
    let filter = |topic: &&str| TopicFilter::new(topic).expect("a filter");
    Rights {
        serve: Filters {
            allow: topics.iter().map(filter).collect(),
            ..Filters::default()
        },
        ..Rights::all()
    }
}

#[tokio::test]
async fn a_service_that_the_broker_does_not_accept_again_ends_alone() {
    let is_narrow = Arc::new(AtomicBool::new(false));
    let narrow = Arc::clone(&is_narrow);
    let broker = Broker::with(Limits::default(), move |name| match name {
        "hub" if narrow.load(Ordering::SeqCst) => serves(&["room1"]),
        _ => Rights::all(),
    })
    .await;
    let proxy = Proxy::start(broker.address()).await;
    let connection = BrokerConnection::builder(proxy.url()).name("hub").connect();
    let connection = connection.await.expect("connects");
    let (room, mut in_room) = serve(&connection, "room1").await;
    let (other, mut in_other) = serve(&connection, "room2").await;
    let (ada, _to_ada) = client(&broker, "room1").await;
    come(&mut in_room).await;
    proxy.let_in(false);
    proxy.cut();
    lost(&connection).await;
    is_narrow.store(true, Ordering::SeqCst);
    broker.expire().await;
    proxy.let_in(true);
    soon("the end of one", other.closed()).await;
    let refused = other.refused().expect("is told why");
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(room.refused().is_none());
    // Its going before its coming, although each session has handlers of its own.
    gone(&mut in_room).await;
    come(&mut in_room).await;
    echoes(&ada).await;
    soon("the end", other.shutdown()).await;
    let (handler, _seen) = LabServer::new();
    let refused = connection.attach::<Lab, _>("room2", handler).await;
    assert!(
        matches!(refused, Err(AttachError::Refused { .. })),
        "{refused:?}"
    );
    assert!(in_other.try_recv().is_err());
    soon("the end", connection.close()).await;
    let (handler, _seen) = LabServer::new();
    let late = connection.attach::<Lab, _>("room3", handler).await;
    assert!(
        matches!(late, Err(AttachError::Connect(ConnectError::Closed))),
        "{late:?}"
    );
}

/// Waits until a connection is lost.
async fn lost(connection: &BrokerConnection) {
    let mut state = connection.connection().watch();
    let lost = state.wait_for(|state| *state != ConnectionState::Connected);
    soon("the cut", lost).await.expect("is told");
}

/// A service of a release of `rolling`, which tells of its clients.
struct Newer(mpsc::Sender<Peer<new::Rolling>>);

impl new::HandleClientToServer for Newer {
    async fn on_fetch_req(
        &self,
        _: &Peer<new::Rolling>,
        request: new::FetchReq,
    ) -> Result<new::FetchRsp, Status> {
        Ok(new::FetchRsp {
            value: request.name,
            age: None,
        })
    }

    async fn on_forget_req(
        &self,
        _: &Peer<new::Rolling>,
        _: new::ForgetReq,
    ) -> Result<new::ForgetRsp, Status> {
        Ok(new::ForgetRsp {})
    }

    async fn on_keep_ind(&self, _: &Peer<new::Rolling>, _: new::NudgeInd) -> Result<(), Status> {
        Ok(())
    }

    async fn on_client_connected(&self, peer: &Peer<new::Rolling>) {
        let _ = self.0.send(peer.clone()).await;
    }
}

#[tokio::test]
async fn what_differs_in_the_schema_of_a_client_is_told_in_words() {
    let broker = Broker::start().await;
    let connection = connect(&broker.url).await;
    let (_room, _in_room) = serve(&connection, "room1").await;
    let (come, mut clients) = mpsc::channel(64);
    let service = connection.attach::<new::Rolling, _>("news", Newer(come));
    let _service = service.await.expect("is attached");
    let shared = connect(&broker.url).await;
    let direct = Client::<old::Rolling>::connect(format!("{}/news", broker.url)).await;
    let direct = direct.expect("connects");
    let on_shared = shared.client::<old::Rolling>("news").await;
    let on_shared = on_shared.expect("is allowed");
    for client in [&direct, &on_shared] {
        let peer = soon("a client", clients.recv()).await.expect("one comes");
        let difference = soon("a comparison", peer.schema_compared()).await;
        let difference = difference.expect("another schema");
        assert!(difference.is_compared(), "{difference}");
        assert!(
            difference.to_string().contains("on the server"),
            "{difference}"
        );
        assert!(peer.schema_difference().is_some());
        let theirs = soon("a comparison", client.connection().schema_compared()).await;
        let theirs = theirs.expect("another schema");
        assert!(theirs.is_compared(), "{theirs}");
    }
    // One of the same release.
    let same = shared.client::<new::Rolling>("other").await;
    drop(same.expect("is allowed"));
    let same = Client::<new::Rolling>::connect(format!("{}/news", broker.url)).await;
    let _same = same.expect("connects");
    let peer = soon("a client", clients.recv()).await.expect("one comes");
    assert!(peer.schema_compared().await.is_none());
}

#[tokio::test]
async fn a_strict_service_refuses_clients_with_another_schema_whenever_they_came() {
    use old::SendClientToServer as _;
    let broker = Broker::start().await;
    let early = Client::<old::Rolling>::connect(format!("{}/news", broker.url)).await;
    let early = early.expect("connects");
    let connection = connect(&broker.url).await;
    let (come, mut clients) = mpsc::channel(64);
    let service = connection
        .attach_builder::<new::Rolling>("news")
        .strict_schema()
        .attach(Newer(come));
    let _service = service.await.expect("is attached");
    let mut state = early.connection().watch();
    let closed = state.wait_for(|state| *state == ConnectionState::Closed);
    soon("the end", closed).await.expect("is told");
    let asked = early.fetch_req(old::FetchReq::default()).await;
    assert!(asked.is_err(), "{asked:?}");
    let late = Client::<old::Rolling>::connect(format!("{}/news", broker.url)).await;
    match late.expect_err("is refused") {
        ConnectError::TopicRefused { status, .. } => {
            assert_eq!(status.code(), Code::FailedPrecondition);
        }
        error => panic!("{error}"),
    }
    let same = Client::<new::Rolling>::connect(format!("{}/news", broker.url)).await;
    let _same = same.expect("connects");
    let peer = soon("a client", clients.recv()).await.expect("one comes");
    assert!(peer.schema_difference().is_none());
}
