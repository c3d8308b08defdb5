//! A broker, and clients of it that tell what they hear.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use msip_broker::{
    access::{Filters, Principal, Rights, Role},
    msip::BrokerService,
    router::{Limits, Router, WakeList},
    topic::TopicFilter,
};
use msip_runtime::{
    MsgKind, Status, Variant,
    untyped::{
        Event, Inbound, Reply, Requests, Service, UntypedClient, UntypedMessage, UntypedPeer,
        UntypedProtocol, UntypedServer,
    },
};
use msip_tests::{Recorder, next, recorder, soon};
use tokio::{sync::mpsc, time::Instant};

pub(crate) const NOTE: Variant = Variant::new(2, "note", MsgKind::Event);
pub(crate) const PLACE: Variant = Variant::new(4, "place", MsgKind::State);
pub(crate) const JOB: Variant = Variant::new(5, "job", MsgKind::Command);
pub(crate) const ASK: Variant = Variant::new(6, "ask", MsgKind::Command).call(6);

/// A message for a topic.
pub(crate) fn message(variant: &Variant, topic: &str, body: &str) -> UntypedMessage {
    let message = UntypedMessage::new(variant, body.as_bytes().to_vec());
    message.to_topic(topic).expect("a topic")
}

/// A broker, for tests.
pub(crate) struct Broker {
    pub(crate) url: String,
    pub(crate) router: Router,
    pub(crate) service: BrokerService,
    start: Instant,
    /// The names of clients whose keys are gone.
    withdrawn: Arc<Mutex<Vec<String>>>,
}

impl Broker {
    /// Everyone may do everything.
    pub(crate) async fn start() -> Self {
        Self::with(Limits::default(), |_| Rights::all()).await
    }

    /// With these limits, where a client has the rights that go with its name.
    pub(crate) async fn with(
        limits: Limits,
        rights: impl Fn(&str) -> Rights + Send + Sync + 'static,
    ) -> Self {
        Self::listening("tcp://127.0.0.1:0", limits, rights).await
    }

    /// The same, at a URL with settings.
    pub(crate) async fn listening(
        url: &str,
        limits: Limits,
        rights: impl Fn(&str) -> Rights + Send + Sync + 'static,
    ) -> Self {
        let (router, start) = (Router::new(limits), Instant::now());
        let withdrawn = Arc::<Mutex<Vec<String>>>::default();
        let gone = Arc::clone(&withdrawn);
        let service = BrokerService::new(
            router.clone(),
            move || start.elapsed(),
            move |peer| {
                let rights = rights(peer.name());
                let gone = gone.lock().expect("no panic");
                let is_gone = gone.iter().any(|name| name == peer.name());
                (!is_gone).then(|| (Principal::new(peer.name()), Arc::new(rights)))
            },
        );
        let server = UntypedServer::builder(url)
            .untyped(UntypedProtocol::any().with_topics(), service.clone())
            .bind()
            .await
            .expect("listens");
        let url = server.local_url().to_string();
        tokio::spawn(server.serve());
        Self {
            url,
            router,
            service,
            start,
            withdrawn,
        }
    }

    /// The key of a client is gone, and the broker hears of it.
    pub(crate) fn withdraw(&self, name: &str) {
        self.withdrawn
            .lock()
            .expect("no panic")
            .push(name.to_owned());
        self.service.reauthorize();
    }

    pub(crate) fn address(&self) -> SocketAddr {
        let place = self.url.strip_prefix("tcp://").expect("a TCP address");
        place.parse().expect("an address")
    }

    /// Ends the session that is away, once it is, as if its time had come.
    pub(crate) async fn expire(&self) {
        let mut wakes = WakeList::new();
        soon("a session is away", async {
            while self.router.expire(Duration::ZERO, &mut wakes).is_none() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let later = self.start.elapsed() + Duration::from_secs(100_000);
        self.router.expire(later, &mut wakes);
    }

    /// A client that tells what it hears, and answers calls with its name.
    pub(crate) async fn client(&self, name: &'static str) -> Client {
        Client::connect(&self.url, name).await
    }
}

/// The rights of a client that may do nothing but what services enable.
pub(crate) fn of_client() -> Rights {
    Rights {
        role: Role::Client,
        ..Rights::none()
    }
}

/// The rights of a service of these topics.
pub(crate) fn of_service(filter: &str) -> Rights {
    let filter = TopicFilter::new(filter).expect("a filter");
    Rights {
        role: Role::Service,
        serve: Filters {
            allow: vec![filter],
            ..Filters::default()
        },
        ..Rights::none()
    }
}

/// A client of a broker.
pub(crate) struct Client {
    pub(crate) client: UntypedClient,
    heard: mpsc::Receiver<String>,
}

impl Client {
    pub(crate) async fn connect(url: &str, name: &'static str) -> Self {
        let (seen, heard) = recorder();
        let client = UntypedClient::builder(url, "raw", 0)
            .name(name)
            .service(Tell { name, seen })
            .connect()
            .await
            .expect("connects");
        let mut client = Self { client, heard };
        assert_eq!(client.next().await, "connected");
        client
    }

    /// What it hears next.
    pub(crate) async fn next(&mut self) -> String {
        next(&mut self.heard).await
    }

    /// Subscribes, which is allowed.
    pub(crate) async fn hear(&self, filter: &str) {
        let options = msip_runtime::untyped::SubscribeOptions::new();
        self.client
            .subscribe(filter, &options)
            .await
            .expect("is allowed");
    }
}

/// Tells what a client hears. A delivery with the body "fail" fails.
struct Tell {
    name: &'static str,
    seen: Recorder<String>,
}

impl Service for Tell {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        while let Some(event) = inbound.next().await {
            match event {
                Event::Messages(messages) => {
                    for message in messages.iter() {
                        let body = String::from_utf8_lossy(message.body()).into_owned();
                        self.seen.record(format!("{} {body}", message.topic()));
                    }
                }
                Event::Exchange(exchange) => {
                    let message = &exchange.message;
                    let body = String::from_utf8_lossy(message.raw_body()).into_owned();
                    let of = exchange
                        .metadata()
                        .header("dead-text")
                        .map(|why| format!(" ({why})"));
                    let said = format!("{} {body}{}", message.topic(), of.unwrap_or_default());
                    match exchange.reply {
                        Reply::Call(responder) if exchange.requests.is_some() => {
                            let said = self.read(exchange.requests).await;
                            responder.answer(&UntypedMessage::new(&ASK, said));
                            continue;
                        }
                        Reply::Delivery(delivery) if body == "fail" => {
                            delivery.fail(Status::not_found("no such thing"));
                        }
                        Reply::Delivery(delivery) => delivery.acknowledge(),
                        Reply::Call(responder) if body == "hang" => {
                            self.seen.record(said);
                            responder.cancellation().cancelled().await;
                            self.seen.record("cancelled".to_owned());
                            continue;
                        }
                        Reply::Call(responder) => {
                            responder.answer(&UntypedMessage::new(&ASK, self.name.as_bytes()));
                        }
                        _ => {}
                    }
                    self.seen.record(said);
                }
                Event::Connected => self.seen.record("connected".to_owned()),
                Event::Disconnected(_) => self.seen.record("disconnected".to_owned()),
                Event::SubscriptionLost { topic, status } => {
                    self.seen.record(format!("lost {topic}: {status}"));
                }
                _ => {}
            }
        }
    }
}

impl Tell {
    /// Tells what comes by a stream of requests, one after the other and how it ends, and returns it.
    async fn read(&self, requests: Option<Requests>) -> Vec<u8> {
        let mut all = Vec::new();
        let mut requests = requests.expect("a stream");
        while let Some(request) = requests.next().await {
            let Ok(request) = request else {
                self.seen.record("broken off".to_owned());
                return all;
            };
            let body = request.raw_body();
            self.seen.record(String::from_utf8_lossy(body).into_owned());
            all.extend_from_slice(body);
        }
        self.seen.record("the end".to_owned());
        all
    }
}
