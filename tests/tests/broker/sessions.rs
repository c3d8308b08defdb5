//! Sessions: what is kept for one that is away, and what ends it.

use std::time::Duration;

use msip_broker::{access::Rights, router::Limits};
use msip_runtime::{CallOptions, MsgKind, Variant, untyped::UntypedMessage};
use msip_session::wire::broker::{
    ClientToServer, DisconnectReq, PresenceInd, ServerToClient, client_to_server, server_to_client,
};
use msip_tests::{proxy::Proxy, soon};
use prost::Message as _;

use crate::fixture::{ASK, Broker, Client, NOTE, message, of_service};

#[tokio::test]
async fn what_was_acknowledged_is_kept_for_a_session_that_is_away() {
    let broker = Broker::start().await;
    let proxy = Proxy::start(broker.address()).await;
    let mut away = Client::connect(&proxy.url(), "away").await;
    away.hear("a").await;
    let publisher = broker.client("publisher").await;
    proxy.let_in(false);
    proxy.cut();
    assert_eq!(away.next().await, "disconnected");
    for number in 0..20 {
        let note = message(&NOTE, "a", &number.to_string());
        let sent = publisher.client.deliver(&note, &CallOptions::new()).await;
        sent.expect("is queued");
    }
    proxy.let_in(true);
    assert_eq!(away.next().await, "connected");
    for number in 0..20 {
        assert_eq!(away.next().await, format!("a {number}"));
    }
}

#[tokio::test]
async fn a_session_that_is_away_for_too_long_is_told_when_it_comes_back() {
    let broker = Broker::start().await;
    let proxy = Proxy::start(broker.address()).await;
    let mut away = Client::connect(&proxy.url(), "away").await;
    away.hear("a").await;
    proxy.let_in(false);
    proxy.cut();
    assert_eq!(away.next().await, "disconnected");
    let publisher = broker.client("publisher").await;
    let note = message(&NOTE, "a", "lost");
    let sent = publisher.client.deliver(&note, &CallOptions::new()).await;
    sent.expect("is queued");
    broker.expire().await;
    proxy.let_in(true);
    // It begins another session, and subscribes there again.
    let mut said = away.next().await;
    while said == "connected" || said == "disconnected" {
        let note = message(&NOTE, "a", "after");
        let _ = publisher.client.deliver(&note, &CallOptions::new()).await;
        let next = tokio::time::timeout(Duration::from_millis(20), away.next()).await;
        said = next.unwrap_or_else(|_| "connected".to_owned());
    }
    assert_eq!(said, "a after");
}

#[tokio::test]
async fn a_subscriber_that_takes_nothing_is_cut_and_others_lose_nothing() {
    let limits = Limits {
        outgoing_bytes: 256 * 1024,
        push_back: Duration::ZERO,
        ..Limits::default()
    };
    let broker = Broker::with(limits, |_| Rights::all()).await;
    let stuck = stuck(&broker).await;
    let mut well = broker.client("well").await;
    well.hear("a").await;
    let publisher = broker.client("publisher").await;
    let body = "x".repeat(1000);
    let mut sender = publisher.client.sender();
    let mut draining = std::pin::pin!(stuck.draining());
    let mut sent = 0_u32;
    loop {
        let pushed = sender.push(&message(&NOTE, "a", &body)).await;
        pushed.expect("is connected");
        sent += 1;
        if sent.is_multiple_of(100) {
            sender.flush().await.expect("is connected");
            for _ in 0..100 {
                assert_eq!(well.next().await.len(), 1002);
            }
            if tokio::time::timeout(Duration::from_millis(1), draining.as_mut())
                .await
                .is_ok()
            {
                break;
            }
        }
    }
}

/// A client that has subscribed, and handles nothing.
async fn stuck(broker: &Broker) -> msip_runtime::untyped::UntypedClient {
    use msip_runtime::untyped::{
        Event, Inbound, Service, SubscribeOptions, UntypedClient, UntypedPeer,
    };
    struct Stuck;
    impl Service for Stuck {
        async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
            while let Some(event) = inbound.next().await {
                if let Event::Messages(_) | Event::Exchange(_) = event {
                    std::future::pending::<()>().await;
                }
            }
        }
    }
    let client = UntypedClient::builder(&broker.url, "raw", 0)
        .name("stuck")
        .service(Stuck)
        .connect()
        .await
        .expect("connects");
    let subscribed = client.subscribe("a", &SubscribeOptions::new()).await;
    subscribed.expect("is allowed");
    client
}

#[tokio::test]
async fn a_service_hears_of_its_clients_and_may_disconnect_one() {
    let broker = Broker::start().await;
    let mut service = broker.client("service").await;
    service.hear("orders/$in").await;
    service.hear("$presence/orders").await;
    let client = broker.client("client").await;
    client.hear("orders").await;
    let peer = next_presence(&mut service, "orders").await.peer;
    let ask = disconnect("orders", &peer);
    let answer = service.client.call(&ask, &CallOptions::new()).await;
    answer.expect("it serves the topic");
    soon("the end", client.client.draining()).await;
    let gone = next_presence(&mut service, "orders").await;
    assert_eq!((gone.peer, gone.presence), (peer, 2));
}

fn presence(body: &[u8]) -> PresenceInd {
    match ServerToClient::decode(body).expect("can be read").message {
        Some(server_to_client::Message::PresenceInd(presence)) => presence,
        other => panic!("{other:?} is no presence"),
    }
}

/// Asks the broker to disconnect a client of a topic.
fn disconnect(topic: &str, peer: &str) -> UntypedMessage {
    let request = ClientToServer {
        message: Some(client_to_server::Message::DisconnectReq(DisconnectReq {
            peer: peer.to_owned(),
            code: "PERMISSION_DENIED".to_owned(),
            text: "not here".to_owned(),
        })),
    };
    let ask = Variant::new(1, "disconnect_req", MsgKind::Command).call(1);
    let ask = UntypedMessage::new(&ask, request.encode_to_vec());
    ask.to_topic(format!("$broker/{topic}")).expect("a topic")
}

/// What `$presence` of a topic tells next.
async fn next_presence(service: &mut Client, topic: &str) -> PresenceInd {
    let said = service.next().await;
    let body = said.strip_prefix(&format!("$presence/{topic} "));
    presence(body.expect("presence").as_bytes())
}

#[tokio::test]
async fn a_service_disconnects_no_client_that_takes_no_part_in_its_topic() {
    let rights = |name: &str| match name {
        "orders" => of_service("orders"),
        "other" => of_service("other"),
        _ => Rights::all(),
    };
    let broker = Broker::with(Limits::default(), rights).await;
    let mut orders = broker.client("orders").await;
    orders.hear("orders/$in").await;
    orders.hear("$presence/orders").await;
    let other = broker.client("other").await;
    other.hear("other/$in").await;
    let mut client = broker.client("client").await;
    client.hear("orders").await;
    let peer = next_presence(&mut orders, "orders").await.peer;
    // A client of another topic, all that there are, and some that there are not.
    for name in [&peer, "1", "2", "3", "4", "18446744073709551615", ""] {
        let ask = disconnect("other", name);
        let answer = other.client.call(&ask, &CallOptions::new()).await;
        let refused = answer.expect_err(name).to_string();
        assert!(
            refused.contains("no such client of this topic"),
            "{refused}"
        );
    }
    let well = message(&NOTE, "orders", "well");
    let sent = orders.client.deliver(&well, &CallOptions::new()).await;
    sent.expect("is queued");
    assert_eq!(client.next().await, "orders well");
    // Whoever subscribes to a topic is a client of it, whether the service hears of that or not.
    client.hear("other").await;
    let ask = disconnect("other", &peer);
    let answer = other.client.call(&ask, &CallOptions::new()).await;
    answer.expect("it is a client of the topic");
    soon("the end", client.client.draining()).await;
}

#[tokio::test]
async fn a_service_may_disconnect_a_client_that_has_only_sent_something() {
    let broker = Broker::start().await;
    let mut service = broker.client("service").await;
    service.hear("orders/$in").await;
    service.hear("$presence/orders").await;
    let client = broker.client("client").await;
    let ask = message(&ASK, "orders", "who");
    let answer = client.client.call(&ask, &CallOptions::new()).await;
    answer.expect("is answered");
    let peer = next_presence(&mut service, "orders").await.peer;
    let ask = disconnect("orders", &peer);
    let answer = service.client.call(&ask, &CallOptions::new()).await;
    answer.expect("it has sent something");
    soon("the end", client.client.draining()).await;
}
