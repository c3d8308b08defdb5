//! Sessions that are away, come back and end; what they say about themselves.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn what_was_acknowledged_waits_for_a_session_that_is_away() {
    let router = router();
    let (one, mut publisher) = (Peer::new(&router), Peer::new(&router));
    one.subscribe("a");
    publisher
        .publish(MsgKind::Event, "a", &["before"])
        .expect("published");
    one.suspend();
    publisher
        .publish(MsgKind::Event, "a", &["away"])
        .expect("published");
    let mut unacknowledged = publisher.publication(MsgKind::Event, "a", &["lost"]);
    unacknowledged.wants_ack = false;
    let published = publisher.send(unacknowledged).expect("published");
    assert_eq!((published.receivers, published.dropped), (0, 1));
    one.resume(Rights::all());
    publisher
        .publish(MsgKind::Event, "a", &["after"])
        .expect("published");
    assert_eq!(one.take(), ["before", "away", "after"]);
    assert_eq!(one.session.dropped(), 1);
}

#[test]
fn the_last_state_waits_even_if_nobody_waits_for_it() {
    let router = router();
    let (one, mut publisher) = (Peer::new(&router), Peer::new(&router));
    one.subscribe("a");
    one.suspend();
    for body in ["1", "2"] {
        let mut publication = publisher.publication(MsgKind::State, "a", &[body]);
        publication.wants_ack = false;
        publisher.send(publication).expect("published");
    }
    one.resume(Rights::all());
    assert_eq!(one.take(), ["2"]);
}

#[test]
fn a_session_that_is_away_for_too_long_ends() {
    let router = Router::new(Limits {
        session_expiry: 10 * SECOND,
        ..Limits::default()
    });
    let (one, two) = (Peer::new(&router), Peer::new(&router));
    let mut wakes = WakeList::new();
    one.suspend();
    router.suspend(&two.session, 5 * SECOND, &mut wakes);
    assert_eq!(router.expire(9 * SECOND, &mut wakes), Some(10 * SECOND));
    assert_eq!(router.expire(10 * SECOND, &mut wakes), Some(15 * SECOND));
    assert_eq!(one.take_one(), Poll::Ready(Err(EndReason::Expired)));
    let rights = Arc::new(Rights::all());
    assert!(router.resume(&one.session, rights.clone(), NOW).is_err());
    assert!(
        router
            .resume(&two.session, rights.clone(), 15 * SECOND)
            .is_err(),
        "not in time"
    );
    assert!(router.resume(&two.session, rights, 14 * SECOND).is_ok());
    assert_eq!(router.expire(20 * SECOND, &mut wakes), None);
}

#[test]
fn a_session_that_overflows_while_it_is_away_is_ended() {
    let router = Router::new(Limits {
        session_messages: 3,
        ..Limits::default()
    });
    let (one, mut publisher) = (Peer::new(&router), Peer::new(&router));
    one.subscribe("a");
    one.suspend();
    for body in ["1", "2", "3", "4"] {
        publisher
            .publish(MsgKind::Event, "a", &[body])
            .expect("published");
    }
    assert!(
        router
            .resume(&one.session, Arc::new(Rights::all()), NOW)
            .is_err()
    );
    assert_eq!(one.take_one(), Poll::Ready(Err(EndReason::Overflow)));
    assert!(router.totals().ended.contains(&(EndReason::Overflow, 1)));
}

#[test]
fn a_member_that_is_away_is_skipped_unless_all_are() {
    let router = router();
    let (one, two) = (Peer::new(&router), Peer::new(&router));
    for member in [&one, &two] {
        member
            .try_subscribe("a", Some("workers"))
            .expect("a subscription");
    }
    let mut publisher = Peer::new(&router);
    one.suspend();
    publisher
        .publish(MsgKind::Event, "a", &["1", "2"])
        .expect("published");
    publisher
        .publish(MsgKind::Event, "a", &["3"])
        .expect("published");
    assert_eq!(two.take(), ["1", "2", "3"]);
    two.suspend();
    publisher
        .publish(MsgKind::Event, "a", &["4", "5"])
        .expect("published");
    one.resume(Rights::all());
    two.resume(Rights::all());
    assert_eq!((one.take().len(), two.take().len()), (1, 1));
}

#[test]
fn what_a_service_has_not_taken_when_it_goes_is_given_to_another() {
    let router = router();
    let (one, two, mut client) = (Peer::new(&router), Peer::new(&router), Peer::new(&router));
    one.subscribe("a/$in");
    let mut wakes = WakeList::new();
    client
        .publish(MsgKind::Command, "a", &["1", "2"])
        .expect("a service");
    let chosen = client.publisher.request(call("a"), NOW, &mut wakes);
    assert_eq!(chosen.ok(), Some(one.session.key()));
    two.subscribe("a/$in");
    one.suspend();
    let items = two.items();
    assert_eq!(items.len(), 2, "{items:?}");
    assert_eq!(two.session.open_calls(), 1);
    assert_eq!(one.session.open_calls(), 0);
    drop(items);
    two.end();
    let refused = client.publisher.request(call("a"), NOW, &mut wakes);
    assert_eq!(
        refused.map_err(|(why, _)| why.code),
        Err(Code::Unavailable),
        "one is away"
    );
}

#[test]
fn the_first_service_says_what_a_topic_speaks() {
    let router = router();
    let subscribe = |peer: &Peer, filter: &str, protocol: &str, fingerprint| {
        let filter = Filter::Pattern(TopicFilter::new(filter).expect("a filter"));
        let request = SubscribeRequest {
            protocol: Some(protocol.to_owned()),
            fingerprint,
            ..SubscribeRequest::new(filter)
        };
        let subscribed = router.subscribe(&peer.session, request, NOW);
        let subscribed = subscribed.expect("a subscription");
        subscribed.spoken.filter(|_| subscribed.differs)
    };
    let (early, first, second, client) = (
        Peer::new(&router),
        Peer::new(&router),
        Peer::new(&router),
        Peer::new(&router),
    );
    assert_eq!(
        subscribe(&early, "a", "other.v1", 1),
        None,
        "there is no service yet"
    );
    assert_eq!(subscribe(&first, "a/$in", "fleet.v1", 7), None);
    assert_eq!(subscribe(&second, "a/$in", "fleet.v1", 7), None);
    let differs = subscribe(&client, "a", "fleet.v1", 8).expect("a difference");
    assert_eq!(
        (differs.protocol.as_str(), differs.fingerprint),
        ("fleet.v1", 7)
    );
    first.end();
    assert_eq!(
        subscribe(&second, "a/$in", "fleet.v2", 9),
        None,
        "it is the first now"
    );
}

#[test]
fn services_hear_of_clients_that_come_and_go() {
    let router = router();
    let (watcher, early, mut client) = (Peer::new(&router), Peer::new(&router), Peer::new(&router));
    watcher.subscribe("a/$in");
    early.subscribe("a");
    watcher.subscribe("$presence/a");
    let presence = |peer: &Peer| -> Vec<(String, bool)> {
        let items = peer.items().into_iter();
        let told = items.filter_map(|item| match item {
            OutboxItem::Presence(presence) => Some(presence),
            _ => None,
        });
        told.map(|told: Arc<Presence>| (told.peer.clone(), told.is_there))
            .collect()
    };
    assert_eq!(
        presence(&watcher),
        [(early.session.peer().to_owned(), true)]
    );
    client
        .publish(MsgKind::Event, "a/$in", &["1"])
        .expect("published");
    client
        .publish(MsgKind::Event, "a", &["2"])
        .expect("published");
    client.subscribe("a");
    let own = client.session.peer().to_owned();
    assert_eq!(presence(&watcher), [(own.clone(), true)], "once");
    client.end();
    assert_eq!(presence(&watcher), [(own, false)]);
}

#[test]
fn sessions_of_a_principal_share_what_they_may_send() {
    let router = router();
    let rights = || Rights {
        limits: PrincipalLimits {
            messages_per_second: Some(10),
            bytes_per_second: None,
        },
        ..Rights::all()
    };
    let (mut one, mut two) = (
        Peer::with(&router, rights(), Dialect::Msip),
        Peer::with(&router, rights(), Dialect::Mip),
    );
    let bodies = ["x"; 10];
    let published = one
        .publish(MsgKind::Event, "a", &bodies[..])
        .expect("a second's worth");
    assert!(!published.is_congested);
    let published = two
        .publish(MsgKind::Event, "a", &bodies[..])
        .expect("it is to wait");
    assert!(published.is_congested);
    let mut task = Context::from_waker(Waker::noop());
    assert!(two.publisher.poll_ready(NOW, &mut task).is_pending());
    assert_eq!(two.publisher.wait_until(), Some(SECOND));
    assert!(two.publisher.poll_ready(SECOND, &mut task).is_ready());
    one.publish(MsgKind::Event, "a", &["x"])
        .expect("it is to wait");
    let refused = one
        .publish(MsgKind::Event, "a", &["x"])
        .expect_err("it has not waited");
    assert_eq!(refused.code, Code::ResourceExhausted);
}

#[test]
fn a_mip_topic_that_is_none_of_msip_reaches_mip_alone() {
    let router = router();
    let mip = || Peer::with(&router, Rights::all(), Dialect::Mip);
    let (hears, mut publisher, all) = (mip(), mip(), Peer::new(&router));
    all.subscribe("#");
    for topic in ["", "a+b", "a/#", "a\nb"] {
        hears.subscribe(topic);
        publisher
            .publish(MsgKind::Event, topic, &["1"])
            .expect("published");
        assert_eq!(hears.take(), ["1"], "{topic:?}");
    }
    assert!(all.take().is_empty());
    hears.subscribe("+");
    publisher
        .publish(MsgKind::Event, "a", &["2"])
        .expect("published");
    assert!(hears.take().is_empty(), "literally");
    assert_eq!(all.take(), ["2"]);
}

#[test]
fn a_command_of_mip_goes_to_all_of_mip_and_to_one_service() {
    let router = router();
    let mip = || Peer::with(&router, Rights::all(), Dialect::Mip);
    let (one, two, mut publisher) = (mip(), mip(), mip());
    let (client, service) = (Peer::new(&router), Peer::new(&router));
    one.subscribe("a");
    two.subscribe("a");
    client.subscribe("a");
    publisher
        .publish(MsgKind::Command, "a", &["1"])
        .expect("MIP knows no services");
    service.subscribe("a/$in");
    publisher
        .publish(MsgKind::Command, "a", &["2"])
        .expect("published");
    assert_eq!((one.take().len(), two.take().len()), (2, 2));
    assert_eq!(service.take(), ["2"]);
    assert!(client.take().is_empty());
}
