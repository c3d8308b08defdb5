//! Deliveries that are answered with an error, and limits of what is kept.

use super::*;

/// Services of `a`, and somebody who hears its dead letters.
fn services<const N: usize>(router: &Router) -> ([Peer; N], Peer) {
    let services = std::array::from_fn(|_| Peer::new(router));
    for service in &services {
        service.subscribe("a/$in");
    }
    let watcher = Peer::new(router);
    watcher.subscribe("$dead/a");
    (services, watcher)
}

fn has_one<const N: usize>(services: &[Peer; N]) -> Option<&Peer> {
    services.iter().find(|one| one.session.waiting() > 0)
}

#[test]
fn an_idempotent_message_is_given_to_three_others_and_then_buried() {
    let router = router();
    let (services, watcher) = services::<6>(&router);
    let mut client = Peer::new(&router);
    let mut publication = client.publication(MsgKind::Command, "a", &["work"]);
    publication.is_idempotent = true;
    client.send(publication).expect("a service");
    let mut tried = Vec::new();
    while let Some(service) = has_one(&services) {
        let delivery = service.delivery();
        assert!(
            !tried.contains(&service.session.key()),
            "it has failed already"
        );
        tried.push(service.session.key());
        service.fail(&delivery);
    }
    assert_eq!(tried.len(), 4);
    let letter = watcher.delivery().publication;
    assert!(letter.frames.ends_with(b"work"));
    let totals = router.totals();
    assert_eq!(
        (totals.failed, totals.handed_over, totals.dead_letters),
        (4, 3, 1)
    );
}

#[test]
fn a_dead_letter_has_the_reason_in_its_metadata() {
    use prost::Message as _;

    let router = router();
    let (services, watcher) = services::<2>(&router);
    let mut client = Peer::new(&router);
    client
        .publish(MsgKind::Command, "a", &["work"])
        .expect("a service");
    let service = has_one(&services).expect("one");
    service.fail(&service.delivery());
    assert!(has_one(&services).is_none(), "it may not run twice");
    let letter = watcher.delivery().publication;
    let header = Header::parse(letter.frames.first_chunk().expect("a header")).expect("a header");
    assert!(header.flags.contains(Flags::META));
    assert_eq!(header.variant, 1);
    let payload = msip_session::wire::Payload::parse(
        msip_session::wire::Frame {
            header,
            payload: letter.frames.slice(HEADER_LEN..),
        },
        &msip_session::wire::Limits::default(),
    );
    let payload = payload.expect("a payload");
    assert_eq!(payload.topic.as_str(), "$dead/a");
    assert_eq!(payload.body.as_ref(), b"work");
    let metadata = payload.metadata.expect("metadata");
    let metadata = msip_session::wire::Metadata::decode(metadata).expect("metadata");
    let header = |name: &str| metadata.headers.get(name).map(String::as_str);
    assert_eq!(header(DEAD_TOPIC), Some("a"));
    assert_eq!(header(DEAD_CODE), Some("INTERNAL"));
    assert_eq!(header(DEAD_TEXT), Some("it broke"));
}

#[test]
fn a_dead_letter_expires_with_its_message() {
    for (taken_at, has_expired) in [(9, false), (11, true)] {
        let router = router();
        let ([service], watcher) = services::<1>(&router);
        let mut client = Peer::new(&router);
        let mut publication = client.publication(MsgKind::Command, "a", &["work"]);
        publication.expires_at = Some(Duration::from_secs(10));
        client.send(publication).expect("a service");
        service.fail(&service.delivery());
        let letters = watcher.items_at(Duration::from_secs(taken_at));
        assert_eq!(letters.is_empty(), has_expired, "taken at {taken_at} s");
        let totals = router.totals();
        let dropped = u64::from(has_expired);
        assert_eq!((totals.dead_letters, totals.dropped), (1, dropped));
    }
}

#[test]
fn a_message_for_everyone_is_not_buried_when_one_of_them_fails() {
    let router = router();
    let (_services, watcher) = services::<1>(&router);
    let (one, mut publisher) = (Peer::new(&router), Peer::new(&router));
    one.subscribe("a");
    publisher
        .publish(MsgKind::Event, "a", &["1"])
        .expect("published");
    let delivery = one.delivery();
    assert_eq!(delivery.target, Target::Everyone);
    one.fail(&delivery);
    assert!(watcher.items().is_empty());
    assert_eq!(router.totals().failed, 1);
}

#[test]
fn a_failed_dead_letter_is_not_buried_again() {
    let router = router();
    let (services, watcher) = services::<1>(&router);
    let mut client = Peer::new(&router);
    client
        .publish(MsgKind::Command, "a", &["work"])
        .expect("a service");
    let [service] = &services;
    service.fail(&service.delivery());
    watcher.fail(&watcher.delivery());
    assert!(watcher.items().is_empty());
}

#[test]
fn work_that_waits_for_a_service_which_ends_is_buried_where_there_is_no_other() {
    let router = router();
    let (services, watcher) = services::<1>(&router);
    let mut client = Peer::new(&router);
    client
        .publish(MsgKind::Command, "a", &["1", "2"])
        .expect("a service");
    let [service] = &services;
    service.end();
    assert_eq!(watcher.items().len(), 2, "a letter for each");
}

#[test]
fn more_states_than_may_be_kept_are_refused() {
    let router = Router::new(Limits {
        kept_values: 2,
        kept_bytes: 200,
        ..Limits::default()
    });
    let mut publisher = Peer::new(&router);
    publisher
        .publish(MsgKind::State, "a", &["1"])
        .expect("kept");
    publisher
        .publish(MsgKind::State, "b", &["1"])
        .expect("kept");
    let refused = publisher
        .publish(MsgKind::State, "c", &["1"])
        .expect_err("too many");
    assert_eq!(refused.code, Code::ResourceExhausted);
    assert_eq!(
        refused.text,
        "too many kept STATEs: the broker keeps 2 at most, clear others by an empty body"
    );
    let long = "x".repeat(200);
    let refused = publisher
        .publish(MsgKind::State, "a", &[&long])
        .expect_err("too long");
    assert_eq!(refused.code, Code::ResourceExhausted);
    publisher
        .publish(MsgKind::State, "a", &["2"])
        .expect("in its place");
    publisher
        .publish(MsgKind::State, "b", &[""])
        .expect("cleared");
    publisher
        .publish(MsgKind::State, "c", &["1"])
        .expect("there is place");
    assert_eq!(router.totals().kept_values, 2);
    publisher
        .publish(MsgKind::State, "a", &[""])
        .expect("cleared");
    publisher
        .publish(MsgKind::State, "c", &[""])
        .expect("cleared");
    let totals = router.totals();
    assert_eq!((totals.kept_values, totals.kept_bytes), (0, 0));
}

#[test]
fn a_subscription_gets_all_that_is_kept_or_is_refused() {
    let router = Router::new(Limits {
        outgoing_messages: 2,
        ..Limits::default()
    });
    let (mut publisher, late) = (Peer::new(&router), Peer::new(&router));
    for topic in ["a/1", "a/2", "a/3", "a/4", "a/5"] {
        publisher
            .publish(MsgKind::State, topic, &["1"])
            .expect("kept");
    }
    let refused = late.try_subscribe("a/#", None).expect_err("too many");
    assert_eq!(refused.code, Code::ResourceExhausted);
    assert!(router.subscriptions(&late.session).is_empty());
    late.items();
    assert_eq!(late.subscribe("a/1").replayed, 1);
}

#[test]
fn topics_of_which_nothing_is_kept_are_forgotten() {
    let router = router();
    let mut publisher = Peer::new(&router);
    for number in 0..3000 {
        let topic = format!("a/{number}");
        publisher
            .publish(MsgKind::State, &topic, &["1"])
            .expect("kept");
        publisher
            .publish(MsgKind::State, &topic, &[""])
            .expect("cleared");
    }
    assert!(router.topics(None, usize::MAX).len() <= 1024);
}

#[test]
fn a_session_has_a_bounded_number_of_subscriptions() {
    let router = Router::new(Limits {
        subscriptions: 2,
        ..Limits::default()
    });
    let one = Peer::new(&router);
    one.subscribe("a");
    one.subscribe("b");
    assert!(one.subscribe("b").is_repeated);
    let refused = one.try_subscribe("c", None).expect_err("too many");
    assert_eq!(refused.code, Code::ResourceExhausted);
    assert_eq!(
        refused.text,
        "too many subscriptions: a session has 2 at most, unsubscribe from others first"
    );
}

#[test]
fn what_everyone_has_too_small_a_limit_for_is_refused() {
    let router = router();
    let (small, large) = (Peer::new(&router), Peer::new(&router));
    small.subscribe("a");
    small.session.accepts_up_to(10);
    let mut sender = Peer::new(&router);
    let refused = sender.publish(MsgKind::Event, "a", &["eleven byte"]);
    assert_eq!(
        refused.expect_err("nobody can have it").to_string(),
        "RESOURCE_EXHAUSTED: a body of 11 bytes: the receiver accepts 10 (its setting `max_body`)"
    );
    let sent = sender.publish(MsgKind::Event, "a", &["ten bytes."]);
    assert_eq!(sent.expect("it fits").receivers, 1);
    large.subscribe("a");
    let sent = sender
        .publish(MsgKind::Event, "a", &["eleven byte"])
        .expect("one can have it");
    assert_eq!((sent.receivers, sent.dropped), (1, 1));
    assert_eq!((small.take().len(), large.take().len()), (1, 1));
    assert_eq!(small.session.dropped(), 2);
    // Of instances another one has it.
    for service in [&small, &large] {
        service.subscribe("b/$in");
    }
    for _ in 0..2 {
        sender
            .publish(MsgKind::Command, "b", &["eleven byte"])
            .expect("one can have it");
    }
    assert_eq!((small.take().len(), large.take().len()), (0, 2));
    // A STATE is kept for others.
    sender
        .publish(MsgKind::State, "c", &["eleven byte"])
        .expect("it is kept");
}
