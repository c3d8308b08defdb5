//! Clients at a topic of a broker, and a service behind it.

use msip_broker::Broker;
use tokio::{sync::oneshot, task::AbortHandle};

use crate::{
    case::{Case, Group},
    end::{End, counted, item},
    pair::{Listening, Pair, serve_with, try_connect},
    protocol::conformance::{
        Count, Item,
        control::{Connect, Serve, Start},
    },
};

/// What both sides have to have.
const NEEDS: &[&str] = &["client:topics", "server:services"];

pub(super) fn cases() -> Vec<Case> {
    let mut group = Group::new("topics");
    group.pair("calls", NEEDS, |pair| Box::pin(calls(pair)));
    group.pair("streams", NEEDS, |pair| Box::pin(streams(pair)));
    group.pair("messages", NEEDS, |pair| Box::pin(messages(pair)));
    group.pair("to-everyone", NEEDS, |pair| Box::pin(to_everyone(pair)));
    group.pair("nobody-serves", NEEDS, |pair| Box::pin(nobody_serves(pair)));
    group.cases()
}

/// A broker that ends with the case.
struct Running {
    url: String,
    task: AbortHandle,
    _stop: oneshot::Sender<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Running {
    async fn start() -> Self {
        let bound = Broker::builder().listen("tcp://127.0.0.1:0").bind().await;
        let broker = bound.unwrap_or_else(|error| panic!("{error}"));
        let url = broker.local_urls().next().map(ToString::to_string);
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
            url: url.unwrap_or_default(),
            task: task.abort_handle(),
            _stop: stop,
        }
    }

    /// The topic of the case.
    fn topic(&self) -> String {
        let url = self.url.split('?').next().unwrap_or_default();
        format!("{url}/room1")
    }

    async fn service(&self, pair: &Pair) -> Listening {
        let told = Serve {
            url: self.topic(),
            attach: true,
            ..Serve::default()
        };
        serve_with(&pair.server, told).await
    }

    async fn client(&self, pair: &Pair) -> End {
        let told = Connect {
            url: self.topic(),
            ..Connect::default()
        };
        let connected = try_connect(&pair.client, told).await;
        connected.unwrap_or_else(|status| panic!("{status:?}"))
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
    let broker = Running::start().await;
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
    let broker = Running::start().await;
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
    let broker = Running::start().await;
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
    let broker = Running::start().await;
    let (client, _, service) = broker.talk(&pair).await;
    let second = broker.client(&pair).await;
    service.end.broadcast("note_ind", &item(6)).await;
    for client in [&client, &second] {
        assert_eq!(client.handling("note_ind").await.item_number(), 6);
    }
}

async fn nobody_serves(pair: Pair) {
    let broker = Running::start().await;
    let client = broker.client(&pair).await;
    let call = client.start("unary_req", &item(1)).await;
    assert_eq!(call.failure().await.code, "UNAVAILABLE");
}
