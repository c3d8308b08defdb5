//! Typed clients at a topic: every shape, what comes to them, a new session, and what they are told where they cannot be.

use futures_util::{StreamExt as _, stream};
use msip_broker::{Broker as WholeBroker, access::Rights, router::Limits};
use msip_runtime::{
    CallOptions, Client, Code, ConnectError, Envelope as _, Protocol as _, Server,
    transport::UrlError,
    untyped::{
        Event, Handle, Inbound, Reply, Service, SubscribeOptions, UntypedClient, UntypedMessage,
        UntypedPeer,
    },
};
use msip_tests::{
    LabClient, Recorder, SeenByClient, SeenByServer, connected,
    lab::{self, Lab, PushClientToServer as _, SaveInd, SendClientToServer as _, ShoutReq, SumReq},
    messages::{act, count, echo, note},
    next,
    proxy::Proxy,
    recorder, soon, start,
};
use tokio::sync::mpsc;

use crate::fixture::Broker;

/// An untyped service of a topic: it passes on what comes to a server that knows nothing of brokers.
struct Instance {
    server: Handle,
    topics: Recorder<String>,
}

impl Service for Instance {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        while let Some(event) = inbound.next().await {
            match event {
                Event::Messages(messages) => {
                    for message in messages.iter() {
                        let message = self.at_no_topic(&message.to_message());
                        let sent = self.server.send(&message, &CallOptions::new()).await;
                        sent.expect("sent");
                    }
                }
                Event::Exchange(exchange) => {
                    let message = self.at_no_topic(&exchange.message);
                    let options = exchange.options();
                    let server = self.server.clone();
                    match exchange.reply {
                        Reply::Nobody => server.send(&message, &options).await.expect("sent"),
                        Reply::Delivery(delivery) => {
                            delivery.complete(server.deliver(&message, &options).await);
                        }
                        Reply::Call(responder) => {
                            let requests = exchange.requests;
                            tokio::spawn(async move {
                                let Some(requests) = requests else {
                                    let answers = server.open(&message, &options);
                                    return responder.forward(answers).await;
                                };
                                let requests = requests.filter_map(|item| async { item.ok() });
                                let answers =
                                    server.open_stream(&message, Box::pin(requests), &options);
                                responder.forward(answers).await;
                            });
                        }
                        _ => {}
                    }
                }
                _ => {}
            }
        }
    }
}

impl Instance {
    fn at_no_topic(&self, message: &UntypedMessage) -> UntypedMessage {
        self.topics.record(message.topic().to_owned());
        UntypedMessage::new(message.variant(), message.body().expect("a body"))
    }
}

/// A service of `room1`, and what its server sees.
struct Room {
    instance: UntypedClient,
    _server: UntypedClient,
    seen: mpsc::Receiver<SeenByServer>,
    topics: mpsc::Receiver<String>,
}

impl Room {
    async fn open(broker: &Broker) -> Self {
        let (url, mut seen, _) = start("tcp://127.0.0.1:0").await;
        let server = UntypedClient::builder(url.to_string(), "lab", Lab::fingerprint())
            .connect()
            .await
            .expect("connects");
        connected(&mut seen).await;
        let (topics, heard) = recorder();
        let instance = Instance {
            server: server.handle().clone(),
            topics,
        };
        let instance = UntypedClient::builder(&broker.url, "lab", Lab::fingerprint())
            .service(instance)
            .connect()
            .await
            .expect("connects");
        let spoken = SubscribeOptions::new().protocol("lab", Lab::fingerprint());
        let heard_all = instance.subscribe("room1/$in", &spoken).await;
        heard_all.expect("is allowed");
        Self {
            instance,
            _server: server,
            seen,
            topics: heard,
        }
    }

    /// The service says something to all clients.
    async fn says(&self, number: u64) {
        let message = lab::ServerToClient::NoteInd(note(number));
        let variant = &lab::ServerToClient::VARIANTS[1];
        let mut body = Vec::new();
        message.encode(&mut body);
        let message = UntypedMessage::new(variant, body);
        let message = message.to_topic("room1").expect("a topic");
        let options = CallOptions::new();
        let sent = self.instance.send(&message, &options).await;
        sent.expect("sent");
    }

    /// What came next, and that it came by the topic of the services.
    async fn next(&mut self) -> SeenByServer {
        assert_eq!(next(&mut self.topics).await, "room1/$in");
        next(&mut self.seen).await
    }
}

fn room1(broker: &Broker) -> String {
    format!("{}/room1", broker.url)
}

#[tokio::test]
async fn every_shape_goes_to_the_topic_of_the_url() {
    let broker = Broker::start().await;
    let mut room = Room::open(&broker).await;
    let client = Client::<Lab>::connect(room1(&broker))
        .await
        .expect("connects");
    assert_eq!(client.connection().topic(), Some("room1"));

    client.note_ind(note(1)).await.expect("sent");
    assert!(matches!(room.next().await, SeenByServer::Note(1)));
    let tagged = CallOptions::new().header("tenant", "north");
    let view = client.with(tagged.clone());
    view.note_ind(note(2)).await.expect("sent");
    assert!(matches!(room.next().await, SeenByServer::Note(2)));
    client.save_ind(SaveInd { number: 3 }).await.expect("taken");
    assert!(matches!(room.next().await, SeenByServer::Save(3)));
    let mut sender = client.sender();
    for number in 4..8 {
        sender.note_ind(note(number)).await.expect("buffered");
    }
    sender.flush().await.expect("sent");
    for expected in 4..8 {
        assert!(matches!(room.next().await, SeenByServer::Note(number) if number == expected));
    }
    client.alarm_ind(note(8)).await.expect("sent");
    assert!(matches!(room.next().await, SeenByServer::Alarm(8)));

    for view in [client.with(CallOptions::new()), client.with(tagged)] {
        let answer = soon("an answer", view.echo_req(echo("hi"))).await;
        assert_eq!(answer.expect("answered").text, "hi");
        let mut counted = view.count_req(count(1, 4)).await.expect("opened");
        let mut numbers = Vec::new();
        while let Some(item) = counted.next().await {
            numbers.push(item.expect("a number").number);
        }
        assert_eq!(numbers, [1, 2, 3]);
        let requests = stream::iter((1..5).map(|number| SumReq { number }));
        let sum = soon("the sum", view.sum_req(requests)).await;
        assert_eq!(sum.expect("answered").sum, 10);
        let said = stream::iter(["a", "b"].map(|text| ShoutReq { text: text.into() }));
        let mut shouted = view.shout_req(said).await.expect("opened");
        for expected in ["A", "B"] {
            let heard = shouted.next().await.expect("an item").expect("a shout");
            assert_eq!(heard.text, expected);
        }
        assert!(shouted.next().await.is_none());
    }
    let failed = client.act_req(act("fail")).await.expect_err("fails");
    assert_eq!(failed.code(), Code::NotFound);
    soon("the end", client.close()).await;
}

#[tokio::test]
async fn what_a_service_says_comes_to_the_handler_and_in_a_new_session_too() {
    let broker = Broker::start().await;
    let room = Room::open(&broker).await;
    let proxy = Proxy::start(broker.address()).await;
    let url = format!("{}/room1", proxy.url());
    let (client, mut seen) = LabClient::connect(&url).await;
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    room.says(1).await;
    assert!(matches!(next(&mut seen).await, SeenByClient::Note(1)));

    proxy.let_in(false);
    proxy.cut();
    assert!(matches!(
        next(&mut seen).await,
        SeenByClient::Disconnected(_)
    ));
    let mut lost = client.connection().lost_sessions();
    broker.expire().await;
    proxy.let_in(true);
    soon("a new session", lost.wait_for(Option::is_some))
        .await
        .expect("there is one");
    // It is subscribed before the handler is told. The session that is lost may have had a connection before that.
    loop {
        match next(&mut seen).await {
            SeenByClient::Connected => room.says(2).await,
            SeenByClient::Note(2) => break,
            _ => {}
        }
    }
    client.close().await;
}

#[tokio::test]
async fn a_server_that_is_no_broker_is_told_apart_from_one_that_is() {
    let (url, _seen, _serving) = start("tcp://127.0.0.1:0").await;
    let error = Client::<Lab>::connect(format!("{url}/room1")).await;
    let error = error.expect_err("is no broker");
    assert!(matches!(error, ConnectError::NoBroker { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        format!(
            "the URL names the topic \"room1\", and the server at {url} is no broker: leave the topic out to speak with it directly"
        )
    );
    let broker = Broker::start().await;
    let error = Client::<Lab>::connect(&broker.url).await;
    let error = error.expect_err("is a broker");
    assert!(matches!(error, ConnectError::NoTopic { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        format!(
            "the server at {url} is a broker, and the URL names no topic: append the one at which `lab` is spoken, such as {url}/room1",
            url = broker.url
        )
    );
}

#[tokio::test]
async fn a_topic_that_the_broker_refuses_is_an_error_of_connecting() {
    let broker = Broker::with(Limits::default(), |_| Rights::none()).await;
    let error = Client::<Lab>::connect(room1(&broker)).await;
    match error.expect_err("has no rights") {
        ConnectError::TopicRefused { topic, status, .. } => {
            assert_eq!((&*topic, status.code()), ("room1", Code::PermissionDenied));
        }
        error => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_topic_at_which_no_client_can_speak_is_an_error_of_the_url() {
    let long = "x".repeat(240);
    for topic in [
        "fleet/%2B",
        "fleet/%23",
        "room1/$in",
        "$presence/room1",
        &long,
    ] {
        let error = Client::<Lab>::connect(format!("tcp://127.0.0.1:1/{topic}")).await;
        let error = error.expect_err("refused");
        assert!(
            matches!(error, ConnectError::Url(UrlError::NotSpokenAt { .. })),
            "{error}"
        );
    }
    let error = Server::<Lab>::bind("tcp://127.0.0.1:0/room1").await;
    let error = error.expect_err("a server listens at no topic");
    assert!(error.to_string().contains("room1"), "{error}");
}

#[tokio::test]
async fn a_broker_takes_bodies_in_protobuf_alone() {
    let broker = WholeBroker::builder()
        .listen("tcp://127.0.0.1:0")
        .bind()
        .await
        .expect("listens");
    let url = broker.local_urls().next().expect("a URL").to_string();
    let serving = tokio::spawn(broker.serve_until(std::future::pending::<()>()));
    let error = Client::<Lab>::connect(format!("{url}/room1?codec=json")).await;
    let error = error.expect_err("speaks another codec");
    assert_eq!(
        error.to_string(),
        format!(
            "refused by {url}: UNIMPLEMENTED: no codec in common: the client offers json, this server takes protobuf (codecs)"
        )
    );
    serving.abort();
}
