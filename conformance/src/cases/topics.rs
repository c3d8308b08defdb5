//! Clients at a topic of a broker, and a service behind it.

use msip_broker::Broker;
use tokio::{sync::oneshot, task::AbortHandle};

use super::hurried::{SHORT_MS, hurried};
use crate::{
    case::{Case, Group},
    end::End,
    failure::fail,
    message::{counted, item},
    pair::{Listening, Pair, serve_with, try_connect},
    protocol::conformance::{
        Count, Item,
        control::{Connect, Serve, Start, Status},
    },
};

/// What both sides have to have.
const NEEDS: &[&str] = &["client:topics", "server:services"];

/// The same, of a service that clears STATEs.
const CLEARS: &[&str] = &["client:topics", "server:services", "server:cleared-states"];

pub(super) fn cases() -> Vec<Case> {
    let mut group = Group::new("topics");
    group.pair("calls", NEEDS, calls);
    group.pair("streams", NEEDS, streams);
    group.pair("messages", NEEDS, messages);
    group.pair("to-everyone", NEEDS, to_everyone);
    group.pair("states", NEEDS, states);
    group.pair("cleared-states", CLEARS, cleared_states);
    group.pair("errors", NEEDS, errors);
    group.pair("deadline", NEEDS, deadline);
    group.pair("nobody-serves", NEEDS, nobody_serves);
    group.cases()
}

/// A broker that ends with the case.
struct Running {
    /// Where services attach.
    services: String,
    /// Where clients connect: elsewhere, where they are browsers.
    clients: String,
    task: AbortHandle,
    _stop: oneshot::Sender<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Running {
    async fn start(pair: &Pair) -> Self {
        let bound = Broker::builder()
            .listen("tcp://127.0.0.1:0")
            .listen(pair.ways.listen_url(""))
            .bind()
            .await;
        let broker = bound.unwrap_or_else(|error| fail(error));
        // The topic of the case.
        let mut topics = broker.local_urls().map(|url| {
            let url = url.to_string();
            let url = url.split('?').next().unwrap_or_default();
            format!("{url}?topic=room1")
        });
        let (services, clients) = (topics.next(), topics.next());
        let (services, clients) = (services.unwrap_or_default(), clients.unwrap_or_default());
        drop(topics);
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            broker
                .serve_until(async {
                    // That nobody says it is no reason to stop.
                    if stopped.await.is_err() {
                        std::future::pending::<()>().await;
                    }
                })
                .await;
        });
        Self {
            services,
            clients,
            task: task.abort_handle(),
            _stop: stop,
        }
    }

    async fn service(&self, pair: &Pair) -> Listening {
        let told = Serve {
            url: self.services.clone(),
            attach: true,
            ..Serve::default()
        };
        serve_with(&pair.server, told).await
    }

    async fn client(&self, pair: &Pair) -> End {
        let told = Connect {
            url: self.clients.clone(),
            ..Connect::default()
        };
        let connected = try_connect(&pair.client, told).await;
        connected.unwrap_or_else(|status| fail(format_args!("{status:?}")))
    }

    /// A service and a client, which knows it after a first call.
    async fn talk(&self, pair: &Pair) -> (End, End, Listening) {
        let service = self.service(pair).await;
        let client = self.client(pair).await;
        let call = client.start("unary_req", &item(1)).await;
        let peer = service.peer().await;
        peer.handling("unary_req").await.answer(&item(2)).await;
        assert_eq!(call.answer::<Item>().await, item(2));
        (client, peer, service)
    }
}

async fn calls(pair: Pair) {
    let broker = Running::start(&pair).await;
    let (client, peer, _) = broker.talk(&pair).await;
    for (caller, handler) in [(&client, &peer), (&peer, &client)] {
        let call = caller.start("unary_req", &item(3)).await;
        handler.handling("unary_req").await.answer(&item(4)).await;
        assert_eq!(call.answer::<Item>().await, item(4));
        let call = caller.start("unary_req", &item(3)).await;
        handler
            .handling("unary_req")
            .await
            .fail("NOT_FOUND", "no")
            .await;
        assert_eq!(call.failure().await.code, "NOT_FOUND");
        let call = caller.start("unary_req", &item(3)).await;
        let handling = handler.handling("unary_req").await;
        call.cancel().await;
        handling.dropped().await;
    }
}

async fn streams(pair: Pair) {
    let broker = Running::start(&pair).await;
    let (client, peer, _) = broker.talk(&pair).await;
    for (caller, handler) in [(&client, &peer), (&peer, &client)] {
        let call = caller.start("download_req", &item(1)).await;
        let handling = handler.handling("download_req").await;
        for number in 0..40 {
            handling.send(&item(number), 1).await;
        }
        handling.end_items().await;
        for number in 0..40 {
            assert_eq!(call.item::<Item>().await, item(number));
        }
        call.end().await;
        let call = caller.start_with("both_req", Start::default()).await;
        let handling = handler.handling("both_req").await;
        handling.read(u64::MAX).await;
        call.send(&item(1), 1).await;
        assert_eq!(handling.item().await, item(1));
        handling.send(&counted(1), 1).await;
        assert_eq!(call.item::<Count>().await, counted(1));
        call.finish().await;
        assert_eq!(handling.items_ended().await, None);
        handling.end_items().await;
        call.end().await;
    }
}

async fn messages(pair: Pair) {
    let broker = Running::start(&pair).await;
    let (client, peer, _) = broker.talk(&pair).await;
    for (sender, handler) in [(&client, &peer), (&peer, &client)] {
        for member in [
            "note_ind",
            "order_cmd",
            "place_state",
            "trace_log",
            "save_ind",
        ] {
            sender.send(member, &item(5)).await;
            assert_eq!(handler.handling(member).await.item_number(), 5);
        }
    }
}

async fn to_everyone(pair: Pair) {
    let broker = Running::start(&pair).await;
    let (client, _, service) = broker.talk(&pair).await;
    let second = broker.client(&pair).await;
    service.end.broadcast("note_ind", &item(6)).await;
    for client in [&client, &second] {
        assert_eq!(client.handling("note_ind").await.item_number(), 6);
    }
}

fn state(key: &str) -> Item {
    Item {
        key: key.to_owned(),
        ..item(8)
    }
}

/// Which STATE a handler is told next.
async fn next_state(client: &End) -> (String, bool) {
    let handling = client.handling("place_state").await;
    (handling.message::<Item>().key, handling.told.cleared)
}

fn set(key: &str) -> (String, bool) {
    (key.to_owned(), false)
}

/// A broker keeps the last STATE of each key, and gives it to whoever comes later, before what is new.
async fn states(pair: Pair) {
    let broker = Running::start(&pair).await;
    let (client, _, service) = broker.talk(&pair).await;
    for key in ["oil", "gas", "oil"] {
        service.end.broadcast("place_state", &state(key)).await;
        assert_eq!(next_state(&client).await, set(key));
    }
    let late = broker.client(&pair).await;
    let mut kept = [next_state(&late).await, next_state(&late).await];
    kept.sort();
    assert_eq!(kept, [set("gas"), set("oil")]);
    service.end.broadcast("place_state", &state("coal")).await;
    assert_eq!(next_state(&late).await, set("coal"));
}

/// What was cleared is given to nobody who comes later. Those who are there are told.
async fn cleared_states(pair: Pair) {
    let broker = Running::start(&pair).await;
    let (client, _, service) = broker.talk(&pair).await;
    for key in ["oil", "gas"] {
        service.end.broadcast("place_state", &state(key)).await;
        assert_eq!(next_state(&client).await, set(key));
    }
    let oil = Item {
        key: "oil".to_owned(),
        ..Item::default()
    };
    service.end.broadcast_clearing("place_state", &oil).await;
    if pair.client.has("cleared-states") {
        assert_eq!(next_state(&client).await, ("oil".to_owned(), true));
    }
    // By now the broker has heard of it.
    service.end.broadcast("note_ind", &item(9)).await;
    client.handling("note_ind").await;
    let late = broker.client(&pair).await;
    assert_eq!(next_state(&late).await, set("gas"));
    service.end.broadcast("place_state", &state("coal")).await;
    for client in [&late, &client] {
        assert_eq!(next_state(client).await, set("coal"));
    }
}

/// What an error carries goes through a broker.
async fn errors(pair: Pair) {
    let broker = Running::start(&pair).await;
    let (client, peer, _) = broker.talk(&pair).await;
    let refusal = Status {
        code: "RESOURCE_EXHAUSTED".to_owned(),
        message: "too many orders".to_owned(),
        headers: [("tenant".to_owned(), "north".to_owned())].into(),
        details: [("shop.v1.RetryInfo".to_owned(), vec![8, 0xf4, 3])].into(),
    };
    for (caller, handler) in [(&client, &peer), (&peer, &client)] {
        let call = caller.start("unary_req", &item(1)).await;
        let handling = handler.handling("unary_req").await;
        handling.fail_with(refusal.clone()).await;
        assert_eq!(call.failure().await, refusal);
    }
}

async fn deadline(pair: Pair) {
    let broker = Running::start(&pair).await;
    let (client, peer, _) = broker.talk(&pair).await;
    for (caller, handler) in [(&client, &peer), (&peer, &client)] {
        let mut limit_ms = SHORT_MS;
        let (call, handling) = hurried(caller, handler, "unary_req", &mut limit_ms).await;
        let left = handling.told.remaining_ms;
        assert!((1..=limit_ms).contains(&left), "{left} of {limit_ms} ms");
        assert_eq!(call.failure().await.code, "DEADLINE_EXCEEDED");
        handling.dropped().await;
    }
}

async fn nobody_serves(pair: Pair) {
    let broker = Running::start(&pair).await;
    let client = broker.client(&pair).await;
    let call = client.start("unary_req", &item(1)).await;
    assert_eq!(call.failure().await.code, "UNAVAILABLE");
}
