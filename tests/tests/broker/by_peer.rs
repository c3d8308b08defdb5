//! Typed traffic: an instance of a service hears each client apart.

use futures_util::{StreamExt as _, stream};
use msip_broker::access::Rights;
use msip_broker::router::Limits;
use msip_runtime::{
    CallOptions, Code, Compression, MsgKind, Variant,
    untyped::{SubscribeOptions, UntypedMessage},
    wire::{MsgId, Side},
};
use msip_session::wire::broker::{
    ClientToServer, PeerCredit, Presence, PresenceInd, ServerToClient, client_to_server,
    server_to_client,
};
use msip_tests::{attack::RawMessage, proxy::Proxy};
use prost::Message as _;

use crate::fixture::{ASK, Broker, Client, JOB, NOTE, message};

fn chat() -> SubscribeOptions {
    SubscribeOptions::new().by_peer().protocol("chat.v1", 7)
}

async fn serve(service: &Client, filter: &str) {
    let subscribed = service.client.subscribe(filter, &chat()).await;
    subscribed.expect("is allowed");
}

/// What an instance is told of a client next.
async fn introduced(service: &mut Client, topic: &str) -> PresenceInd {
    let said = service.next().await;
    let body = said.strip_prefix(&format!("$presence/{topic} "));
    let body = body.unwrap_or_else(|| panic!("{said:?} is no presence"));
    match ServerToClient::decode(body.as_bytes())
        .expect("can be read")
        .message
    {
        Some(server_to_client::Message::PresenceInd(presence)) => presence,
        other => panic!("{other:?} is no presence"),
    }
}

#[tokio::test]
async fn every_message_of_a_client_comes_at_a_topic_of_its_own() {
    let broker = Broker::start().await;
    let mut service = broker.client("service").await;
    serve(&service, "rooms/+/$in").await;
    let client = broker.client("client").await;
    let subscribed = client.client.subscribe("rooms/a", &chat()).await;
    let subscribed = subscribed.expect("is allowed");
    assert_eq!(subscribed.protocol(), Some(("chat.v1", 7)));
    let presence = introduced(&mut service, "rooms/a").await;
    assert_eq!(presence.presence(), Presence::Connected);
    assert!(presence.looks_after);
    assert_eq!(
        (&*presence.principal, &*presence.client_name),
        ("client", "client")
    );
    assert_eq!((&*presence.protocol, presence.fingerprint), ("chat.v1", 7));
    assert!(presence.address.starts_with("127.0.0.1:"), "{presence:?}");
    assert_eq!(presence.peer.len(), 16);
    let at = format!("rooms/a/$in/{}", presence.peer);

    let mut sender = client.client.sender();
    for number in 0..10 {
        let job = message(&JOB, "rooms/a/$in", &number.to_string());
        sender.push(&job).await.expect("is connected");
    }
    sender.flush().await.expect("is connected");
    for number in 0..10 {
        assert_eq!(service.next().await, format!("{at} {number}"));
    }
    let with_key = CallOptions::new().key("van");
    let job = message(&JOB, "rooms/a/$in", "with a key");
    client
        .client
        .send(&job, &with_key)
        .await
        .expect("is connected");
    assert_eq!(service.next().await, format!("{at} with a key"));
    let note = message(&NOTE, "rooms/a/$in", "delivery");
    let delivered = client.client.deliver(&note, &CallOptions::new()).await;
    delivered.expect("is queued");
    assert_eq!(service.next().await, format!("{at} delivery"));
    let ask = message(&ASK, "rooms/a/$in", "?");
    let answer = client.client.call(&ask, &CallOptions::new()).await;
    assert_eq!(&answer.expect("answered").raw_body()[..], b"service");
    assert_eq!(service.next().await, format!("{at} ?"));

    let mut client = client;
    let own = message(&NOTE, &format!("rooms/a/$to/{}", presence.peer), "own");
    service
        .client
        .send(&own, &CallOptions::new())
        .await
        .expect("is connected");
    assert!(client.next().await.ends_with(" own"));
    client
        .client
        .unsubscribe("rooms/a")
        .await
        .expect("is there");
    let gone = introduced(&mut service, "rooms/a").await;
    assert_eq!(
        (gone.peer, gone.presence),
        (presence.peer, Presence::Gone.into())
    );
}

#[tokio::test]
async fn a_stream_of_requests_of_a_service_reaches_the_one_client_that_it_is_for() {
    let broker = Broker::start().await;
    let mut service = broker.client("service").await;
    serve(&service, "rooms/a/$in").await;
    let mut clients = [broker.client("ann").await, broker.client("bob").await];
    let mut peers = Vec::new();
    for client in &clients {
        let subscribed = client.client.subscribe("rooms/a", &chat()).await;
        subscribed.expect("is allowed");
        peers.push(introduced(&mut service, "rooms/a").await.peer);
    }
    for (client, peer) in clients.iter_mut().zip(&peers) {
        let head = message(&ASK, &format!("rooms/a/$to/{peer}"), "");
        let said = ["one ", "two ", "three"].map(|text| UntypedMessage::new(&ASK, text.as_bytes()));
        let requests = stream::iter(said.clone());
        let options = CallOptions::new();
        let opened = service.client.open_stream(&head, requests, &options).await;
        let answer = opened.expect("is opened").next().await.expect("an answer");
        let answer = answer.expect("an answer");
        assert_eq!(&answer.raw_body()[..], b"one two three");
        for expected in ["one ", "two ", "three", "the end"] {
            assert_eq!(client.next().await, expected);
        }
        // One that is given up breaks off over there.
        let requests = stream::iter(said).chain(stream::pending());
        let opened = service.client.open_stream(&head, requests, &options).await;
        let mut answers = opened.expect("is opened");
        for expected in ["one ", "two ", "three"] {
            let sent = async {
                tokio::select! {
                    _ = answers.next() => panic!("there is no answer"),
                    said = client.next() => said,
                }
            };
            assert_eq!(sent.await, expected);
        }
        drop(answers);
        assert_eq!(client.next().await, "broken off");
    }
}

#[tokio::test]
async fn another_protocol_is_refused_by_name() {
    let broker = Broker::start().await;
    let service = broker.client("service").await;
    serve(&service, "a/$in").await;
    let client = broker.client("client").await;
    let other = SubscribeOptions::new().by_peer().protocol("fleet.v1", 7);
    let refused = client.client.subscribe("a", &other).await;
    let error = refused.expect_err("it speaks something else");
    assert_eq!(error.code(), Code::FailedPrecondition, "{error}");
    let text = error.to_string();
    assert!(
        text.contains("chat.v1") && text.contains("fleet.v1"),
        "{text}"
    );
}

#[tokio::test]
async fn a_client_gets_as_far_as_its_window_and_on_with_credit() {
    const CREDIT: Variant = Variant::new(3, "peer_credit", MsgKind::Event);
    let broker = Broker::with(Limits::default(), |_| Rights::all()).await;
    let mut service = broker.client("service").await;
    serve(&service, "a/$in").await;
    let (flood, client) = (broker.client("flood").await, broker.client("client").await);
    let mut sender = flood.client.sender();
    for number in 0..400 {
        let job = message(&JOB, "a", &number.to_string());
        sender.push(&job).await.expect("is connected");
    }
    sender.flush().await.expect("is connected");
    let peer = introduced(&mut service, "a").await.peer;
    for number in 0..256 {
        assert_eq!(service.next().await, format!("a/$in/{peer} {number}"));
    }
    // Another one is not held up.
    let job = message(&JOB, "a", "other");
    client
        .client
        .send(&job, &CallOptions::new())
        .await
        .expect("is connected");
    let other = introduced(&mut service, "a").await.peer;
    assert_eq!(service.next().await, format!("a/$in/{other} other"));
    let credit = ClientToServer {
        message: Some(client_to_server::Message::PeerCredit(PeerCredit {
            peer: peer.clone(),
            items: 256,
            window: 0,
        })),
    };
    let credit = UntypedMessage::new(&CREDIT, credit.encode_to_vec());
    let credit = credit.to_topic("$broker/a").expect("a topic");
    service
        .client
        .send(&credit, &CallOptions::new())
        .await
        .expect("is connected");
    for number in 256..400 {
        assert_eq!(service.next().await, format!("a/$in/{peer} {number}"));
    }
}

/// How one-way messages are sent that an instance cannot have.
#[derive(Debug, Clone, Copy)]
enum Way {
    Pushed,
    WithKey,
    Compressed,
    Corrupt,
    Delivered,
}

#[tokio::test]
async fn what_an_instance_cannot_be_sent_takes_nothing_of_its_clients_window() {
    for way in [
        Way::Pushed,
        Way::WithKey,
        Way::Compressed,
        Way::Corrupt,
        Way::Delivered,
    ] {
        let broker = Broker::start().await;
        let url = format!("{}?max_body=1KiB", broker.url);
        let mut small = Client::connect(&url, "small").await;
        serve(&small, "a/$in").await;
        let client = match way {
            Way::Pushed | Way::WithKey => broker.client("client").await,
            _ => {
                let settings = "?compress=zstd&compress_threshold=1KiB";
                Client::connect(&format!("{}{settings}", broker.url), "client").await
            }
        };
        let too_large = message(&JOB, "a", &"x".repeat(2048));
        let (client, options) = (&client.client, CallOptions::new());
        let mut sender = client.sender();
        // More than the window.
        for _ in 0..300 {
            match way {
                Way::Pushed => sender.push(&too_large).await.expect("is connected"),
                Way::WithKey => {
                    let with_key = CallOptions::new().key("van");
                    let sent = client.send(&too_large, &with_key).await;
                    sent.expect("is connected");
                }
                Way::Compressed => {
                    let sent = client.send(&too_large, &options).await;
                    sent.expect("is connected");
                }
                Way::Corrupt => {
                    let sent = client.send(&corrupt("a/$in"), &options).await;
                    sent.expect("is connected");
                }
                Way::Delivered => {
                    let delivered = client.deliver(&too_large, &options).await;
                    delivered.expect("is queued: compressed it fits");
                }
            }
        }
        sender.flush().await.expect("is connected");
        let fits = message(&JOB, "a", "fits");
        client.send(&fits, &options).await.expect("is connected");
        let peer = introduced(&mut small, "a").await.peer;
        let heard = small.next().await;
        assert_eq!(heard, format!("a/$in/{peer} fits"), "{way:?}");
    }
}

/// A message whose body is said to be compressed with zstd, and cannot be inflated.
fn corrupt(topic: &str) -> UntypedMessage {
    let garbage = RawMessage::one_way(JOB.number(), []).compressed(b"\x02garbage".to_vec());
    let frame = garbage
        .topic(topic.as_bytes())
        .frame(Side::Connecting, MsgId::CONNECTION);
    let message = UntypedMessage::from_frame(frame.into(), Compression::Zstd, 1024);
    message.expect("is a message").0
}

#[tokio::test]
async fn a_call_in_an_instance_that_is_lost_may_have_run_and_an_idempotent_one_goes_to_another() {
    for is_idempotent in [false, true] {
        let broker = Broker::start().await;
        let proxy = Proxy::start(broker.address()).await;
        let mut dying = Client::connect(&proxy.url(), "dying").await;
        serve(&dying, "a/$in").await;
        let caller = broker.client("caller").await;
        let asking = {
            let caller = caller.client.clone();
            tokio::spawn(async move {
                let options = CallOptions::new();
                let options = match is_idempotent {
                    true => options.idempotent(),
                    false => options,
                };
                caller.call(&message(&ASK, "a", "hang"), &options).await
            })
        };
        introduced(&mut dying, "a").await;
        assert!(dying.next().await.ends_with(" hang"));
        let mut other = broker.client("other").await;
        serve(&other, "a/$in").await;
        proxy.let_in(false);
        proxy.cut();
        if is_idempotent {
            introduced(&mut other, "a").await;
            assert!(other.next().await.ends_with(" hang"));
            asking.abort();
            continue;
        }
        let error = asking.await.expect("ends").expect_err("it is lost");
        assert_eq!(error.code(), Code::Unknown, "{error}");
    }
}
