//! Which routes a change concerns.

use super::*;

/// Publishes once to each topic. Returns those whose route had to be looked up.
fn looked_up(publisher: &mut Peer, topics: &[&'static str]) -> Vec<&'static str> {
    let mut found = Vec::new();
    for topic in topics {
        let before = publisher.router.resolved();
        publisher
            .publish(MsgKind::Event, topic, &["1"])
            .expect("published");
        if publisher.router.resolved() > before {
            found.push(*topic);
        }
    }
    found
}

#[test]
fn a_subscription_concerns_the_routes_that_may_lead_to_it_and_no_others() {
    const TOPICS: [&str; 7] = ["a", "a/b", "a/b/$in", "a/b/$to/7", "ab", "c/d", "c/d/$in"];
    let table: [(&str, &[&str]); 13] = [
        ("a/b", &["a/b"]),
        ("x", &[]),
        ("a/b/$in", &["a/b", "a/b/$in"]),
        ("$presence/c/d", &["c/d", "c/d/$in"]),
        ("$dead/c/d", &[]),
        ("+", &["a", "ab"]),
        ("a/+", &["a/b"]),
        ("a/#", &["a", "a/b"]),
        ("#", &["a", "a/b", "ab", "c/d"]),
        ("a/+/$in", &["a/b", "a/b/$in"]),
        ("+/+/$in", &["a/b", "a/b/$in", "c/d", "c/d/$in"]),
        ("$presence/a/#", &["a", "a/b", "a/b/$in"]),
        ("x/+", &[]),
    ];
    let router = router();
    let mut publisher = Peer::new(&router);
    assert_eq!(looked_up(&mut publisher, &TOPICS), TOPICS, "at first");
    assert!(
        looked_up(&mut publisher, &TOPICS).is_empty(),
        "and then known"
    );
    for (filter, concerned) in table {
        let one = Peer::new(&router);
        one.subscribe(filter);
        assert_eq!(looked_up(&mut publisher, &TOPICS), concerned, "{filter}");
        let pattern = Filter::Pattern(TopicFilter::new(filter).expect("a filter"));
        assert!(router.unsubscribe(&one.session, &pattern));
        assert_eq!(
            looked_up(&mut publisher, &TOPICS),
            concerned,
            "not {filter}"
        );
        one.subscribe(filter);
        assert_eq!(looked_up(&mut publisher, &TOPICS), concerned, "{filter}");
        one.end();
        assert_eq!(
            looked_up(&mut publisher, &TOPICS),
            concerned,
            "the end, {filter}"
        );
    }
}

#[test]
fn clients_that_come_concern_no_route_but_their_own() {
    let router = router();
    let mut service = Peer::new(&router);
    service.subscribe("t/$in");
    service.subscribe("$presence/t");
    let topics: Vec<String> = (0..50).map(|number| format!("device/{number}")).collect();
    let clients: Vec<_> = (0..200).map(|_| Peer::new(&router)).collect();
    let own = |client: &Peer| format!("t/$to/{}", client.session.peer());
    let say = |service: &mut Peer| {
        let own = clients.iter().map(own);
        for topic in topics.iter().cloned().chain(own) {
            service
                .publish(MsgKind::Event, &topic, &["1"])
                .expect("published");
        }
    };
    say(&mut service);
    let before = router.resolved();
    for client in &clients {
        client.subscribe(&own(client));
    }
    say(&mut service);
    assert_eq!(router.resolved() - before, clients.len(), "each its own");
    let before = router.resolved();
    for _ in 0..clients.len() {
        Peer::new(&router).subscribe("elsewhere/+");
    }
    say(&mut service);
    assert_eq!(router.resolved(), before);
    assert!(clients.iter().all(|client| client.take().len() == 2));
}

#[test]
fn an_instance_of_several_that_enable_the_same_goes_without_a_trace_at_the_clients() {
    let router = router();
    let services: [_; 2] = std::array::from_fn(|_| {
        let one = Peer::with(&router, service(&["a/#"]), Dialect::Msip);
        let granted = router.grant(&one.session, filter("a/#"), ALL, NOW);
        granted.expect("a grant");
        one
    });
    let one = Peer::with(&router, client(), Dialect::Msip);
    one.subscribe("a/b");
    let mut publisher = Peer::new(&router);
    publisher
        .publish(MsgKind::Event, "a/b", &["1"])
        .expect("published");
    services[0].end();
    publisher
        .publish(MsgKind::Event, "a/b", &["2"])
        .expect("published");
    assert_eq!(one.take(), ["1", "2"]);
    publisher
        .publish(MsgKind::Event, "a/b", &["3"])
        .expect("published");
    services[1].end();
    assert!(
        one.take().is_empty(),
        "the last one takes the right with it"
    );
    assert!(router.subscriptions(&one.session).is_empty());
}

fn filter(text: &str) -> TopicFilter {
    TopicFilter::new(text).expect("a filter")
}

#[test]
fn what_waits_for_a_service_that_may_serve_no_longer_goes_to_another() {
    let router = router();
    let services = [Peer::new(&router), Peer::new(&router)];
    for service in &services {
        service.subscribe("a/$in");
    }
    let mut publisher = Peer::new(&router);
    for body in ["1", "2"] {
        publisher
            .publish(MsgKind::Command, "a", &[body])
            .expect("a service");
    }
    for _ in 0..2 {
        let mut wakes = WakeList::new();
        let requested = publisher.publisher.request(call("a"), NOW, &mut wakes);
        requested.expect("a service");
    }
    let [one, two] = &services;
    assert!(router.reauthorize(&one.session, Arc::new(Rights::none()), NOW));
    // It is told that it serves no longer, and nothing else.
    let left = one.items();
    assert!(
        matches!(&left[..], [OutboxItem::SubscriptionEnded(..)]),
        "{left:?}"
    );
    assert_eq!(two.items().len(), 4);
    assert_eq!(one.session.open_calls(), 0);
}

#[test]
fn kept_values_that_have_expired_leave_their_place_to_others() {
    let router = Router::new(Limits {
        kept_values: 2,
        ..Limits::default()
    });
    let mut publisher = Peer::new(&router);
    let mut keep = |topic: &str, now: Duration, expires_at: Option<Duration>| {
        let mut publication = publisher.publication(MsgKind::State, topic, &["1"]);
        publication.expires_at = expires_at;
        let published = publisher
            .publisher
            .publish(publication, now, &mut WakeList::new());
        published.map_err(|refused| refused.code)
    };
    let at = Duration::from_secs;
    keep("a", at(0), Some(at(5))).expect("kept");
    keep("b", at(0), Some(at(10))).expect("kept");
    assert_eq!(keep("c", at(4), None), Err(Code::ResourceExhausted));
    keep("c", at(5), None).expect("in the place of the first");
    assert_eq!(router.totals().kept_values, 2);
    router.expire(at(9), &mut WakeList::new());
    assert_eq!(router.totals().kept_values, 2);
    router.expire(at(10), &mut WakeList::new());
    assert_eq!(router.totals().kept_values, 1);
    let totals = router.totals();
    let one = Peer::new(&router);
    assert_eq!(one.subscribe("#").replayed, 1);
    let left = one.items_at(at(10));
    assert_eq!((left.len(), totals.kept_bytes > 0), (1, true));
}
