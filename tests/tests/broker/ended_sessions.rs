//! What becomes of deliveries under way to a session that the broker ends.

use std::time::Duration;

use msip_broker::{
    access::Rights,
    router::{EndReason, Limits},
};
use msip_runtime::{
    CallOptions,
    untyped::{Event, Inbound, Reply, Service, SubscribeOptions, UntypedClient, UntypedPeer},
};
use msip_tests::{Recorder, next, proxy::Proxy, recorder, soon};
use tokio::sync::mpsc;

use crate::fixture::{Broker, Client, JOB, message};

/// Tells which deliveries it hears, and never acknowledges one.
struct Hang(Recorder<String>);

impl Service for Hang {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        let mut held = Vec::new();
        while let Some(event) = inbound.next().await {
            if let Event::Exchange(exchange) = event {
                let body = String::from_utf8_lossy(exchange.message.raw_body()).into_owned();
                if let Reply::Delivery(delivery) = exchange.reply {
                    held.push(delivery);
                }
                self.0.record(body);
            }
        }
        self.0.record("the end".to_owned());
        // Nobody hears it any more.
        held.into_iter().for_each(std::mem::forget);
    }
}

/// An instance of `jobs` that hangs, and does not come back.
async fn hang(broker: &Broker) -> (UntypedClient, Proxy, mpsc::Receiver<String>) {
    let proxy = Proxy::start(broker.address()).await;
    let (seen, heard) = recorder();
    let client = UntypedClient::builder(proxy.url(), "raw", 0)
        .name("hang")
        .service(Hang(seen))
        .connect()
        .await
        .expect("connects");
    let all = SubscribeOptions::new();
    client
        .subscribe("jobs/$in", &all)
        .await
        .expect("is allowed");
    proxy.let_in(false);
    (client, proxy, heard)
}

/// A broker that has two deliveries under way to each session, and eight waiting.
async fn small_broker() -> Broker {
    let limits = Limits {
        outgoing_messages: 8,
        ..Limits::default()
    };
    let url = "tcp://127.0.0.1:0?session_deliveries=2&drain_timeout=100ms";
    Broker::listening(url, limits, |_| Rights::all()).await
}

async fn publish(publisher: &Client, number: usize, options: &CallOptions) -> Result<(), String> {
    let job = message(&JOB, "jobs", &number.to_string());
    let published = publisher.client.deliver(&job, options).await;
    published.map_err(|error| error.to_string())
}

/// Publishes six jobs, of which the instance has the first two.
async fn publish_six(
    publisher: &Client,
    heard: &mut mpsc::Receiver<String>,
    options: &CallOptions,
) {
    for number in 0..6 {
        let published = publish(publisher, number, options).await;
        published.expect("is queued");
    }
    assert_eq!(
        (next(heard).await, next(heard).await),
        ("0".into(), "1".into())
    );
}

#[tokio::test]
async fn what_was_not_sent_goes_to_another_instance_in_its_order_and_what_may_have_run_is_a_dead_letter()
 {
    let broker = small_broker().await;
    let (_hanging, _proxy, mut heard) = hang(&broker).await;
    let (publisher, mut dead) = (
        broker.client("publisher").await,
        broker.client("dead").await,
    );
    dead.hear("$dead/jobs").await;
    publish_six(&publisher, &mut heard, &CallOptions::new()).await;
    let mut other = broker.client("other").await;
    other.hear("jobs/$in").await;
    broker.withdraw("hang");
    for number in 2..6 {
        assert_eq!(other.next().await, format!("jobs {number}"));
    }
    for number in 0..2 {
        let letter = dead.next().await;
        assert!(
            letter.starts_with(&format!("$dead/jobs {number} (")),
            "{letter}"
        );
    }
}

#[tokio::test]
async fn what_may_have_run_goes_to_another_instance_where_it_may_run_again() {
    let broker = small_broker().await;
    let (_hanging, _proxy, mut heard) = hang(&broker).await;
    let publisher = broker.client("publisher").await;
    publish_six(&publisher, &mut heard, &CallOptions::new().idempotent()).await;
    let mut other = broker.client("other").await;
    other.hear("jobs/$in").await;
    broker.withdraw("hang");
    for number in [2, 3, 4, 5, 0, 1] {
        assert_eq!(other.next().await, format!("jobs {number}"));
    }
}

#[tokio::test]
async fn all_that_an_instance_has_which_takes_too_little_are_dead_letters_where_there_is_no_other()
{
    let broker = small_broker().await;
    let (_hanging, _proxy, mut heard) = hang(&broker).await;
    let publisher = broker.client("publisher").await;
    let mut published = 0;
    while publish(&publisher, published, &CallOptions::new())
        .await
        .is_ok()
    {
        published += 1;
    }
    assert!(published > 8, "{published}");
    let slow = (EndReason::SlowConsumer, 1);
    assert!(broker.router.totals().ended.contains(&slow));
    while next(&mut heard).await != "the end" {}
    // What it had is lost with its connection, which it has just left.
    let all_are_dead = async {
        while broker.router.totals().dead_letters < published as u64 {
            let pinged = publisher.client.ping(0, Duration::from_secs(60)).await;
            pinged.expect("the broker is there");
        }
    };
    soon("the last dead letter", all_are_dead).await;
    assert_eq!(broker.router.totals().dead_letters, published as u64);
}
