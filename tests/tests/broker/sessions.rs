//! Sessions: what is kept for one that is away, and what ends it.

use std::time::Duration;

use msip_broker::router::Limits;
use msip_runtime::{CallOptions, MsgKind, Variant, untyped::UntypedMessage};
use msip_session::wire::broker::{
    ClientToServer, DisconnectReq, PresenceInd, ServerToClient, client_to_server, server_to_client,
};
use msip_tests::{proxy::Proxy, soon};
use prost::Message as _;

use crate::fixture::{Broker, Client, NOTE, message};

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
    soon("the session is away", async {
        while broker
            .router
            .expire(Duration::ZERO, &mut msip_broker::router::WakeList::new())
            .is_none()
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
    broker.expire();
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
    let broker = Broker::with(limits, |_| msip_broker::access::Rights::all()).await;
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
    let said = service.next().await;
    let body = said.strip_prefix("$presence/orders ").expect("presence");
    let peer = presence(body.as_bytes()).peer;
    let disconnect = ClientToServer {
        message: Some(client_to_server::Message::DisconnectReq(DisconnectReq {
            peer: peer.clone(),
            code: "PERMISSION_DENIED".to_owned(),
            text: "not here".to_owned(),
        })),
    };
    let ask = Variant::new(1, "disconnect_req", MsgKind::Command).call(1);
    let ask = UntypedMessage::new(&ask, disconnect.encode_to_vec())
        .to_topic("$broker/orders")
        .expect("a topic");
    let answer = service.client.call(&ask, &CallOptions::new()).await;
    answer.expect("it serves the topic");
    soon("the end", client.client.draining()).await;
    let said = service.next().await;
    let body = said.strip_prefix("$presence/orders ").expect("presence");
    let gone = presence(body.as_bytes());
    assert_eq!((gone.peer, gone.presence), (peer, 2));
}

fn presence(body: &[u8]) -> PresenceInd {
    match ServerToClient::decode(body).expect("can be read").message {
        Some(server_to_client::Message::PresenceInd(presence)) => presence,
        other => panic!("{other:?} is no presence"),
    }
}
