//! Clients that share a session: what each hears has a window of its own.

use super::{instances::CHAT, *};

/// A session with a client at each of these topics.
fn clients(router: &Router, topics: &[&str]) -> Peer {
    let peer = Peer::new(router);
    for topic in topics {
        join(&peer, topic, true);
    }
    peer
}

fn join(peer: &Peer, topic: &str, has_own_window: bool) -> Subscribed {
    let filter = Filter::Pattern(TopicFilter::new(topic).expect("a filter"));
    let request = SubscribeRequest {
        protocol: Some(CHAT.0.to_owned()),
        fingerprint: CHAT.1,
        is_by_peer: true,
        has_own_window,
        ..SubscribeRequest::new(filter)
    };
    let subscribed = peer.router.subscribe(&peer.session, request, NOW);
    subscribed.expect("a subscription")
}

fn is_ready(peer: &mut Peer, now: Duration) -> bool {
    let mut task = Context::from_waker(Waker::noop());
    peer.publisher.poll_ready(now, &mut task).is_ready()
}

#[test]
fn a_client_that_handles_nothing_holds_up_no_other_of_its_session() {
    let router = router();
    let (one, mut publisher) = (clients(&router, &["a", "b"]), Peer::new(&router));
    publisher.publishes(MsgKind::Event, "a", &["slow"; 300]);
    publisher.publishes(MsgKind::Event, "b", &["1", "2"]);
    let own = format!("a/$to/{}", one.session.peer());
    publisher.publishes(MsgKind::Event, &own, &["own"]);
    let taken = one.take();
    let of_a = taken.iter().filter(|body| *body == "slow").count();
    assert_eq!(of_a, 256, "its window");
    assert_eq!(taken.len(), 256 + 2);
    assert_eq!(one.session.waiting(), 44 + 1);
    publisher.publishes(MsgKind::Event, "b", &["3"]);
    assert_eq!(one.take(), ["3"]);
    one.session.credit(b"b", "", 100);
    assert!(one.take().is_empty(), "the other's credit");
    one.session.credit(b"a", "", 10);
    assert_eq!(one.take(), ["slow"; 10]);
    one.session.credit(b"a", "", 246);
    assert_eq!(
        one.take().last().map(|last| &**last),
        Some("own"),
        "in order"
    );
    assert_eq!(one.session.waiting(), 0);
}

#[test]
fn a_client_is_sent_as_many_ahead_as_it_asks_for_until_its_connection_is_lost() {
    let router = router();
    let (one, mut publisher) = (clients(&router, &["a"]), Peer::new(&router));
    let mut send = |count: usize| {
        publisher.publishes(MsgKind::Event, "a", &vec!["x"; count]);
    };
    send(1000);
    assert_eq!(one.take().len(), 256);
    one.session.widen(b"a", "", 500);
    one.session.credit(b"a", "", 1);
    assert_eq!(one.take().len(), 500 - 255);
    one.session.widen(b"a", "", 0);
    one.session.credit(b"a", "", 100);
    assert!(
        one.take().is_empty(),
        "256 at least, of which 400 are there"
    );
    one.session.widen(b"a", "", u32::MAX);
    one.session.credit(b"a", "", 400);
    assert_eq!(one.take().len(), 1000 - 501);
    send(4096);
    assert_eq!(one.take().len(), 4096 - 499, "4096 at most");
    one.suspend();
    one.resume(Rights::all());
    send(1000);
    assert_eq!(one.take().len(), 256, "as at first");
}

#[test]
fn what_is_handled_in_time_is_waited_for_and_nothing_is_lost() {
    let router = router();
    let (one, mut publisher) = (clients(&router, &["a"]), Peer::new(&router));
    let (mut sent, mut taken, mut now) = (0, 0, NOW);
    while sent < 20_000 {
        if is_ready(&mut publisher, now) {
            let publication = publisher.publication(MsgKind::Event, "a", &["1"; 100]);
            let mut wakes = WakeList::new();
            let published = publisher.publisher.publish(publication, now, &mut wakes);
            published.expect("published");
            sent += 100;
            continue;
        }
        now += Duration::from_millis(1);
        taken += one.items_at(now).len();
        one.session.credit(b"a", "", 10);
    }
    let mut rest = 0;
    while one.session.waiting() > 0 {
        rest += one.take().len();
        one.session.credit(b"a", "", 256);
    }
    assert!(taken > 0);
    assert!(rest > 0 && one.take_one().is_pending());
}

#[test]
fn a_topic_of_which_too_much_waits_ends_alone() {
    let router = Router::new(Limits {
        outgoing_messages: 1000,
        ..Limits::default()
    });
    let (one, mut publisher) = (clients(&router, &["a", "b"]), Peer::new(&router));
    let mut other = Peer::new(&router);
    let mut now = NOW;
    let mut waited = false;
    for _ in 0..30 {
        while !is_ready(&mut publisher, now) {
            waited = true;
            now += Duration::from_millis(10);
        }
        let publication = publisher.publication(MsgKind::Event, "a", &["slow"; 100]);
        let mut wakes = WakeList::new();
        let published = publisher.publisher.publish(publication, now, &mut wakes);
        published.expect("published");
        other.publishes(MsgKind::Event, "b", &["1"]);
        assert!(
            is_ready(&mut other, now),
            "who sends elsewhere waits for nobody"
        );
        let of_b = one.items_at(now).into_iter().filter(|item| match item {
            OutboxItem::Publication(delivery) => delivery.publication.topic == "b",
            _ => false,
        });
        if of_b.count() == 0 {
            break;
        }
        one.session.credit(b"b", "", 1);
    }
    assert!(waited, "publishers wait for a while");
    // It was told at once, and before all else.
    assert_eq!(router.subscriptions(&one.session).len(), 1);
    other.publishes(MsgKind::Event, "b", &["2"]);
    assert!(one.take().iter().all(|body| body != "slow"));
    assert!(one.session.is_connected());
    publisher.publishes(MsgKind::Event, "a", &["nobody"]);
    assert!(one.take().is_empty());
}

#[test]
fn the_client_of_a_topic_that_ends_is_told_why() {
    let router = Router::new(Limits {
        outgoing_messages: 10,
        ..Limits::default()
    });
    let (one, mut publisher) = (clients(&router, &["a", "b"]), Peer::new(&router));
    publisher.publishes(MsgKind::Event, "b", &["1"; 5]);
    for _ in 0..30 {
        publisher.publishes(MsgKind::Event, "a", &["slow"]);
    }
    let items = one.items();
    match &items[..] {
        [
            OutboxItem::SubscriptionEnded(Filter::Pattern(filter), SubscriptionEnd::SlowConsumer),
            rest @ ..,
        ] => {
            assert_eq!(filter.as_str(), "a");
            assert_eq!(rest.len(), 1, "what waits for the other stays");
        }
        other => panic!("{other:?}"),
    }
    join(&one, "a", true);
    publisher.publishes(MsgKind::Event, "a", &["again"]);
    assert_eq!(one.take(), ["again"]);
}

#[test]
fn with_each_connection_the_windows_are_full() {
    let router = router();
    let (one, mut publisher) = (clients(&router, &["a"]), Peer::new(&router));
    publisher.publishes(MsgKind::Event, "a", &["1"; 400]);
    assert_eq!(one.take().len(), 256);
    one.suspend();
    assert_eq!(
        one.session.waiting(),
        144,
        "they wait for an acknowledgment"
    );
    one.resume(Rights::all());
    assert_eq!(one.take().len(), 144);
}

#[test]
fn calls_take_no_window_and_keep_their_place() {
    let router = router();
    let (one, mut service) = (clients(&router, &["a"]), Peer::new(&router));
    let own = format!("a/$to/{}", one.session.peer());
    service.publishes(MsgKind::Event, "a", &["1"; 256]);
    assert_eq!(one.take().len(), 256);
    let mut wakes = WakeList::new();
    let asked = service.publisher.request(call(&own), NOW, &mut wakes);
    asked.expect("somebody answers");
    assert!(matches!(&one.items()[..], [OutboxItem::Exchange(_)]));
    service.publishes(MsgKind::Event, "a", &["2"]);
    let asked = service.publisher.request(call(&own), NOW, &mut wakes);
    asked.expect("somebody answers");
    assert!(one.items().is_empty(), "the message comes first");
    one.session.credit(b"a", "", 1);
    assert!(matches!(
        &one.items()[..],
        [OutboxItem::Publication(_), OutboxItem::Exchange(_)]
    ));
}

#[test]
fn what_waits_at_a_topic_that_is_left_is_dropped_and_counted() {
    let router = router();
    let (one, mut publisher) = (clients(&router, &["a"]), Peer::new(&router));
    publisher.publishes(MsgKind::Event, "a", &["1"; 300]);
    assert_eq!(one.take().len(), 256);
    one.leave("a");
    assert_eq!(one.session.waiting(), 0);
    assert_eq!(one.session.dropped(), 44);
    join(&one, "a", false);
    publisher.publishes(MsgKind::Event, "a", &["2"; 300]);
    assert_eq!(one.take().len(), 300, "it has no window now");
}
