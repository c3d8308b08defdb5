//! What is published: to whom it goes, by topic, kind and group.

use msip_runtime::{CallOptions, Code, untyped::SubscribeOptions};

use crate::fixture::{Broker, Client, JOB, NOTE, PLACE, message, of_client, of_service};

#[tokio::test]
async fn a_message_goes_to_whoever_has_a_filter_that_matches() {
    let broker = Broker::start().await;
    let (mut one, mut all, mut other) = (
        broker.client("one").await,
        broker.client("all").await,
        broker.client("other").await,
    );
    one.hear("fleet/+/position").await;
    all.hear("fleet/#").await;
    other.hear("depot/#").await;
    let publisher = broker.client("publisher").await;
    let mut sender = publisher.client.sender();
    for (topic, body) in [
        ("fleet/7/position", "a"),
        ("fleet/7/position", "b"),
        ("fleet/7/fuel", "c"),
        ("depot/1", "d"),
        ("fleet/8/position", "e"),
    ] {
        let pushed = sender.push(&message(&NOTE, topic, body)).await;
        pushed.expect("is connected");
    }
    sender.flush().await.expect("is connected");
    for expected in [
        "fleet/7/position a",
        "fleet/7/position b",
        "fleet/8/position e",
    ] {
        assert_eq!(one.next().await, expected);
    }
    for expected in [
        "fleet/7/position a",
        "fleet/7/position b",
        "fleet/7/fuel c",
        "fleet/8/position e",
    ] {
        assert_eq!(all.next().await, expected);
    }
    assert_eq!(other.next().await, "depot/1 d");
}

#[tokio::test]
async fn metadata_and_the_identity_of_the_sender_go_with_a_message() {
    let broker = Broker::start().await;
    let mut heard = broker.client("heard").await;
    heard.hear("a").await;
    let publisher = broker.client("publisher").await;
    let options = CallOptions::new().header("dead-text", "said by the sender");
    let note = message(&NOTE, "a", "x");
    let sent = publisher.client.send(&note, &options).await;
    sent.expect("is connected");
    assert_eq!(heard.next().await, "a x (said by the sender)");
}

#[tokio::test]
async fn a_compressed_body_is_inflated_once_for_all_who_take_it_uncompressed() {
    let broker = Broker::start().await;
    let settings = "?compress=zstd&compress_threshold=1";
    let url = format!("{}{settings}", broker.url);
    let mut heard = Vec::new();
    for name in ["one", "two", "three"] {
        heard.push(broker.client(name).await);
    }
    for client in &heard {
        client.hear("a").await;
    }
    let mut compressed = Client::connect(&url, "compressed").await;
    compressed.hear("a").await;
    let publisher = Client::connect(&url, "publisher").await;
    let body = "x".repeat(10_000);
    for number in 1..=2 {
        let note = message(&NOTE, "a", &body);
        let sent = publisher.client.deliver(&note, &CallOptions::new()).await;
        sent.expect("is queued");
        for client in &mut heard {
            assert_eq!(client.next().await, format!("a {body}"));
        }
        assert_ne!(compressed.next().await, format!("a {body}"), "as it is");
        assert_eq!(broker.router.totals().inflated, number);
    }
}

#[tokio::test]
async fn a_group_shares_what_comes() {
    let broker = Broker::start().await;
    let (mut one, mut two) = (broker.client("one").await, broker.client("two").await);
    for member in [&one, &two] {
        let shared = SubscribeOptions::new().group("workers");
        let subscribed = member.client.subscribe("jobs/#", &shared).await;
        subscribed.expect("is allowed");
    }
    let publisher = broker.client("publisher").await;
    // Further ones would go to whoever has fewer that wait, which depends on who reads faster.
    for number in 0..2 {
        let job = message(&NOTE, "jobs/1", &number.to_string());
        let sent = publisher.client.deliver(&job, &CallOptions::new()).await;
        sent.expect("is queued");
    }
    let mut all = vec![one.next().await, two.next().await];
    all.sort();
    assert_eq!(all, ["jobs/1 0", "jobs/1 1"]);
}

#[tokio::test]
async fn a_topic_with_wildcards_is_not_one_to_send_to() {
    let broker = Broker::start().await;
    let publisher = broker.client("publisher").await;
    let options = CallOptions::new();
    for topic in ["fleet/+", "#"] {
        let note = message(&NOTE, topic, "x");
        let refused = publisher.client.deliver(&note, &options).await;
        let error = refused.expect_err("no subscriber could hear it");
        assert_eq!(error.code(), Code::InvalidArgument);
        let refused = publisher.client.call(&note, &options).await;
        let error = refused.expect_err("no service could hear it");
        assert_eq!(error.code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn the_last_state_of_each_key_comes_to_whoever_subscribes_later() {
    let broker = Broker::start().await;
    let publisher = broker.client("publisher").await;
    for (key, body) in [
        ("7", "old"),
        ("8", "b"),
        ("7", "new"),
        ("9", "gone"),
        ("9", ""),
    ] {
        let state = message(&PLACE, "places", body);
        let sent = publisher
            .client
            .deliver(&state, &CallOptions::new().key(key))
            .await;
        sent.expect("is kept");
    }
    let mut late = broker.client("late").await;
    late.hear("places").await;
    let mut kept = vec![late.next().await, late.next().await];
    kept.sort();
    assert_eq!(kept, ["places b", "places new"]);
    let sent = publisher
        .client
        .deliver(
            &message(&PLACE, "places", "live"),
            &CallOptions::new().key("9"),
        )
        .await;
    sent.expect("is kept");
    assert_eq!(late.next().await, "places live");
}

#[tokio::test]
async fn a_command_goes_to_one_service_by_turn() {
    let broker = Broker::start().await;
    let (mut one, mut two) = (broker.client("one").await, broker.client("two").await);
    for service in [&one, &two] {
        service.hear("orders/$in").await;
    }
    let client = broker.client("client").await;
    for number in 0..2 {
        let job = message(&JOB, "orders", &number.to_string());
        let sent = client.client.deliver(&job, &CallOptions::new()).await;
        sent.expect("a service is there");
    }
    let mut taken = [one.next().await, two.next().await];
    taken.sort();
    assert_eq!(taken, ["orders 0", "orders 1"]);
    let nobody = message(&JOB, "bills", "x");
    let error = client
        .client
        .deliver(&nobody, &CallOptions::new())
        .await
        .expect_err("no service is there");
    assert_eq!(error.code(), Code::Unavailable, "{error}");
}

#[tokio::test]
async fn what_a_service_cannot_handle_goes_to_the_dead_letters() {
    let broker = Broker::start().await;
    let mut service = broker.client("service").await;
    service.hear("orders/$in").await;
    let mut undertaker = broker.client("undertaker").await;
    undertaker.hear("$dead/orders").await;
    let client = broker.client("client").await;
    let job = message(&JOB, "orders", "fail");
    let sent = client.client.deliver(&job, &CallOptions::new()).await;
    sent.expect("it is queued");
    assert_eq!(service.next().await, "orders fail");
    assert_eq!(undertaker.next().await, "$dead/orders fail (no such thing)");
}

#[tokio::test]
async fn a_client_may_do_what_a_service_enables_and_no_more() {
    use msip_runtime::untyped::Grant;
    let rights = |name: &str| match name {
        "service" => of_service("orders/#"),
        _ => of_client(),
    };
    let broker = Broker::with(msip_broker::router::Limits::default(), rights).await;
    let service = broker.client("service").await;
    let mut client = broker.client("client").await;
    let handle = client.client.clone();
    let hear = |filter: &'static str| {
        let client = handle.clone();
        async move { client.subscribe(filter, &SubscribeOptions::new()).await }
    };
    let absent = hear("orders/status/1").await.expect_err("not enabled");
    assert_eq!(absent.code(), Code::PermissionDenied, "{absent}");
    let beyond = Grant::new().subscribe("bills");
    let refused = service.client.grant("orders", &beyond).await;
    assert_eq!(
        refused.expect_err("is not its own").code(),
        Code::PermissionDenied
    );
    let grant = Grant::new().subscribe("orders/status/+");
    let granted = service.client.grant("orders", &grant).await;
    granted.expect("is its own");
    hear("orders/status/1").await.expect("enabled");
    let wider = hear("orders/#").await.expect_err("not all of it");
    assert_eq!(wider.to_string(), absent.to_string(), "one text for both");
    let sent = service
        .client
        .deliver(&message(&NOTE, "orders/status/1", "a"), &CallOptions::new())
        .await;
    sent.expect("it serves the topic");
    assert_eq!(client.next().await, "orders/status/1 a");
    let publish = client
        .client
        .deliver(&message(&NOTE, "orders/status/1", "x"), &CallOptions::new())
        .await
        .expect_err("not enabled");
    assert_eq!(publish.to_string(), absent.to_string());
    service.client.withdraw_grant("orders").await.expect("ok");
    let again = hear("orders/status/2").await.expect_err("withdrawn");
    assert_eq!(again.to_string(), absent.to_string());
    for malformed in ["a/#/b", "a+"] {
        let error = hear(malformed).await.expect_err("is no filter");
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    }
}

#[tokio::test]
async fn a_delivery_that_is_too_large_for_all_who_hear_it_is_refused() {
    let broker = Broker::start().await;
    let mut small = Client::connect(&format!("{}?max_body=1KiB", broker.url), "small").await;
    small.hear("notes").await;
    let publisher = broker.client("publisher").await;
    let deliver = async |len: usize| {
        let note = message(&NOTE, "notes", &"x".repeat(len));
        publisher.client.deliver(&note, &CallOptions::new()).await
    };
    let error = deliver(1025).await.expect_err("nobody can have it");
    assert_eq!(error.code(), Code::ResourceExhausted, "{error}");
    assert!(error.to_string().contains("max_body"), "{error}");
    deliver(1024).await.expect("it fits");
    assert_eq!(small.next().await.len(), "notes ".len() + 1024);
    let mut large = broker.client("large").await;
    large.hear("notes").await;
    deliver(1025).await.expect("one of them can have it");
    assert_eq!(large.next().await.len(), "notes ".len() + 1025);
}
