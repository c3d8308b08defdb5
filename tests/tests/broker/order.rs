//! The order of deliveries whose receiver loses its connection, or dies.

use futures_util::future::join_all;
use msip_broker::{access::Rights, router::Limits};
use msip_runtime::{
    CallOptions,
    untyped::{
        Event, Inbound, Reply, Service, SubscribeOptions, UntypedClient, UntypedMessage,
        UntypedPeer,
    },
};
use msip_tests::{Recorder, next, proxy::Proxy, recorder};
use tokio::sync::mpsc;

use crate::fixture::{ASK, Broker, Client, NOTE, message};

/// Tells which deliveries it hears, and acknowledges them only once it has lost its connection, but for those of "at once".
struct Hold(Recorder<String>);

impl Service for Hold {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        let mut held = Some(Vec::new());
        while let Some(event) = inbound.next().await {
            match event {
                Event::Exchange(exchange) => {
                    let body = String::from_utf8_lossy(exchange.message.raw_body()).into_owned();
                    match exchange.reply {
                        Reply::Delivery(delivery) => {
                            match &mut held {
                                Some(held) if body != "at once" => held.push(delivery),
                                _ => delivery.acknowledge(),
                            }
                            self.0.record(body);
                        }
                        Reply::Call(responder) => {
                            responder.answer(&UntypedMessage::new(&ASK, Vec::new()));
                        }
                        _ => {}
                    }
                }
                Event::Disconnected(_) => {
                    for delivery in held.take().unwrap_or_default() {
                        delivery.acknowledge();
                    }
                    self.0.record("disconnected".to_owned());
                }
                _ => {}
            }
        }
    }
}

/// A client that tells what it hears, and holds what it has not acknowledged.
async fn hold(url: &str) -> (UntypedClient, mpsc::Receiver<String>) {
    let (seen, heard) = recorder();
    let client = UntypedClient::builder(url, "raw", 0)
        .name("hold")
        .service(Hold(seen))
        .connect()
        .await
        .expect("connects");
    (client, heard)
}

async fn with_settings(settings: &str) -> Broker {
    let url = format!("tcp://127.0.0.1:0?{settings}");
    Broker::listening(&url, Limits::default(), |_| Rights::all()).await
}

/// Publishes these numbers for acknowledgment, together.
async fn publish(publisher: &Client, topic: &str, bodies: &[String], options: &CallOptions) {
    let notes: Vec<_> = bodies
        .iter()
        .map(|body| message(&NOTE, topic, body))
        .collect();
    let sent = notes
        .iter()
        .map(|note| publisher.client.deliver(note, options));
    for sent in join_all(sent).await {
        sent.expect("is queued");
    }
}

fn numbers(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

async fn take(heard: &mut mpsc::Receiver<String>, count: usize) -> Vec<String> {
    let mut taken = Vec::with_capacity(count);
    while taken.len() < count {
        let said = next(heard).await;
        if said != "disconnected" {
            taken.push(said);
        }
    }
    taken
}

#[tokio::test]
async fn what_waits_to_be_sent_goes_before_what_comes_while_its_receiver_is_away() {
    let broker = with_settings("session_deliveries=2").await;
    let proxy = Proxy::start(broker.address()).await;
    let (away, mut heard) = hold(&proxy.url()).await;
    let all = SubscribeOptions::new();
    away.subscribe("a", &all).await.expect("is allowed");
    away.subscribe("b/$in", &all).await.expect("is allowed");
    let publisher = broker.client("publisher").await;
    let options = CallOptions::new();
    publish(&publisher, "a", &numbers(0..6), &options).await;
    // The broker has taken them out of the outbox by then: two are sent, and four wait.
    let ask = message(&ASK, "b", "");
    let asked = publisher.client.call(&ask, &options).await;
    asked.expect("is answered");
    assert_eq!(take(&mut heard, 2).await, numbers(0..2));
    proxy.let_in(false);
    proxy.cut();
    assert_eq!(next(&mut heard).await, "disconnected");
    publish(&publisher, "a", &numbers(6..20), &options).await;
    proxy.let_in(true);
    assert_eq!(take(&mut heard, 18).await, numbers(2..20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_keep_their_order_when_connections_are_lost_under_them() {
    let broker = Broker::start().await;
    let proxy = Proxy::start(broker.address()).await;
    let url = format!("{}?reconnect_min=1ms&reconnect_max=10ms", proxy.url());
    let mut away = Client::connect(&url, "away").await;
    away.hear("a").await;
    let publisher = broker.client("publisher").await;
    for round in 0..50 {
        let all = numbers(0..20);
        let sent = async { publish(&publisher, "a", &all, &CallOptions::new()).await };
        tokio::join!(sent, async { proxy.cut() });
        let mut taken = Vec::new();
        while taken.len() < all.len() {
            if let Some(body) = away.next().await.strip_prefix("a ") {
                taken.push(body.to_owned());
            }
        }
        assert_eq!(taken, all, "{round}");
    }
}

#[tokio::test]
async fn open_deliveries_of_an_instance_that_dies_go_to_another_in_their_order() {
    let broker = with_settings("session_expiry=0s").await;
    let proxy = Proxy::start(broker.address()).await;
    let (dying, mut heard) = hold(&proxy.url()).await;
    let of_group = SubscribeOptions::new().group("workers");
    dying.subscribe("a", &of_group).await.expect("is allowed");
    let publisher = broker.client("publisher").await;
    let options = CallOptions::new().idempotent();
    // Those that follow use their slots again, in another order.
    let before = vec!["at once".to_owned(); 20];
    publish(&publisher, "a", &before, &options).await;
    assert_eq!(take(&mut heard, 20).await, before);
    publish(&publisher, "a", &numbers(0..20), &options).await;
    assert_eq!(take(&mut heard, 20).await, numbers(0..20));
    let mut other = broker.client("other").await;
    let joined = other.client.subscribe("a", &of_group).await;
    joined.expect("is allowed");
    proxy.let_in(false);
    proxy.cut();
    for number in 0..20 {
        assert_eq!(other.next().await, format!("a {number}"));
    }
}
