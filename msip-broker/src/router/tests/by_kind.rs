//! Delivery by kind.

use super::*;

#[test]
fn an_event_goes_to_everyone_once_however_many_of_their_filters_match() {
    let router = router();
    let (one, two, other) = (Peer::new(&router), Peer::new(&router), Peer::new(&router));
    one.subscribe("a/b");
    one.subscribe("a/#");
    one.subscribe("+/b");
    two.subscribe("#");
    other.subscribe("a/c");
    let mut publisher = Peer::new(&router);
    let published = publisher
        .publish(MsgKind::Event, "a/b", &["1", "2"])
        .expect("published");
    assert_eq!(published.receivers, 2);
    assert_eq!(one.take(), ["1", "2"]);
    assert_eq!(two.take(), ["1", "2"]);
    assert!(other.take().is_empty());
}

#[test]
fn a_subscription_that_is_revoked_hears_nothing_more() {
    let router = router();
    let (one, mut publisher) = (Peer::new(&router), Peer::new(&router));
    one.subscribe("a/+");
    publisher
        .publish(MsgKind::Event, "a/b", &["1"])
        .expect("published");
    let filter = Filter::Pattern(TopicFilter::new("a/+").expect("a filter"));
    assert!(router.unsubscribe(&one.session, &filter));
    assert!(!router.unsubscribe(&one.session, &filter), "there is none");
    let published = publisher
        .publish(MsgKind::Event, "a/b", &["2"])
        .expect("published");
    assert_eq!(published.receivers, 0);
    assert_eq!(one.take(), ["1"]);
}

#[test]
fn a_command_goes_to_one_service_by_turn() {
    let router = router();
    let services = [Peer::new(&router), Peer::new(&router)];
    let client = Peer::new(&router);
    client.subscribe("a");
    let mut publisher = Peer::new(&router);
    let refused = publisher.publish(MsgKind::Command, "a", &["0"]);
    assert_eq!(
        refused.map_err(|refused| refused.code),
        Err(Code::Unavailable)
    );
    for service in &services {
        service.subscribe("a/$in");
    }
    for (topic, body) in [("a", "1"), ("a/$in", "2"), ("a", "3"), ("a", "4")] {
        publisher
            .publish(MsgKind::Command, topic, &[body])
            .expect("a service");
    }
    publisher
        .publish(MsgKind::Command, "a", &["5", "6"])
        .expect("a service");
    let taken = services.each_ref().map(|service| service.take().len());
    assert_eq!(taken, [3, 3]);
    assert!(client.take().is_empty());
}

#[test]
fn a_command_of_a_service_goes_to_its_clients() {
    let router = router();
    let (mut service, client) = (Peer::new(&router), Peer::new(&router));
    service.subscribe("a/$in");
    client.subscribe("a");
    let own = format!("a/$to/{}", client.session.peer());
    client.subscribe(&own);
    service
        .publish(MsgKind::Command, "a", &["all"])
        .expect("published");
    service
        .publish(MsgKind::Command, &own, &["one"])
        .expect("published");
    assert_eq!(client.take(), ["all", "one"]);
    assert!(service.take().is_empty());
}

#[test]
fn a_call_goes_to_the_service_with_the_fewest_open_ones() {
    let router = router();
    let services = [Peer::new(&router), Peer::new(&router), Peer::new(&router)];
    for service in &services {
        service.subscribe("a/$in");
    }
    let mut client = Peer::new(&router);
    let mut wakes = WakeList::new();
    for _ in 0..7 {
        client
            .publisher
            .request(call("a"), NOW, &mut wakes)
            .expect("a service");
    }
    let mut open = services
        .each_ref()
        .map(|service| service.session.open_calls());
    open.sort_unstable();
    assert_eq!(open, [2, 2, 3]);
    let busy = services
        .iter()
        .max_by_key(|one| one.session.open_calls())
        .expect("one");
    drop(busy.items());
    let chosen = client.publisher.request(call("a"), NOW, &mut wakes);
    assert_eq!(
        chosen.ok(),
        Some(busy.session.key()),
        "it has none open now"
    );
}

#[test]
fn a_state_is_kept_by_variant_and_key_and_cleared_by_an_empty_body() {
    let router = router();
    let mut publisher = Peer::new(&router);
    let mut oil = publisher.publication(MsgKind::State, "a", &["oil 1"]);
    if let Some(state) = &mut oil.state {
        state.key = Bytes::from_static(b"oil");
    }
    publisher.send(oil).expect("published");
    publisher
        .publish(MsgKind::State, "a", &["1"])
        .expect("published");
    publisher
        .publish(MsgKind::State, "a", &["2"])
        .expect("published");
    let late = Peer::new(&router);
    assert_eq!(late.subscribe("#").replayed, 2);
    publisher
        .publish(MsgKind::State, "a", &["3"])
        .expect("published");
    assert_eq!(late.take(), ["3", "oil 1"], "the newest of each key");
    publisher
        .publish(MsgKind::State, "a", &[""])
        .expect("published");
    assert_eq!(late.take(), [""], "who knows it is told that it is cleared");
    assert_eq!(Peer::new(&router).subscribe("a").replayed, 1);
}

#[test]
fn a_message_to_a_group_goes_to_one_of_it() {
    let router = router();
    let members = [Peer::new(&router), Peer::new(&router), Peer::new(&router)];
    for member in &members {
        member
            .try_subscribe("a/#", Some("workers"))
            .expect("a subscription");
    }
    let all = Peer::new(&router);
    all.subscribe("a/b");
    let mut publisher = Peer::new(&router);
    let bodies: Vec<String> = (0..9).map(|number| number.to_string()).collect();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    publisher
        .publish(MsgKind::Event, "a/b", &bodies)
        .expect("published");
    let shares = members.each_ref().map(Peer::take);
    assert_eq!(shares.each_ref().map(Vec::len), [3, 3, 3]);
    let mut together = shares.concat();
    together.sort_unstable();
    assert_eq!(together, bodies);
    assert_eq!(all.take(), bodies);
}

#[test]
fn a_session_ends_and_is_told_why() {
    let router = router();
    let (one, mut publisher) = (Peer::new(&router), Peer::new(&router));
    one.subscribe("a");
    router.end(&one.session, EndReason::Shutdown, NOW, &mut WakeList::new());
    publisher
        .publish(MsgKind::Event, "a", &["1"])
        .expect("published");
    let mut task = Context::from_waker(Waker::noop());
    let taken = one.session.poll_take(NOW, 1, &mut Vec::new(), &mut task);
    assert_eq!(taken, Poll::Ready(Err(EndReason::Shutdown)));
}
