//! Who may do what: what recent brokers' advisories were about, by name.

use super::*;

fn with(router: &Router, rights: Rights) -> Peer {
    Peer::with(router, rights, Dialect::Msip)
}

fn filter(text: &str) -> TopicFilter {
    TopicFilter::new(text).expect("a filter")
}

fn code<T: std::fmt::Debug>(result: Result<T, Refused>) -> Option<Code> {
    result.err().map(|refused| refused.code)
}

#[test]
fn a_deny_wins_over_an_allow_that_overlaps_it_also_in_a_group() {
    let router = router();
    let rights = Rights {
        role: Role::Client,
        subscribe: filters(&["a/#"], &["a/secret/+"]),
        ..Rights::none()
    };
    let one = with(&router, rights);
    for group in [None, Some("workers")] {
        for asked in [
            "a/#",
            "a/+/x",
            "a/secret/#",
            "a/secret/1",
            "+/secret/1",
            "#",
        ] {
            let refused = one.try_subscribe(asked, group);
            assert_eq!(
                code(refused),
                Some(Code::PermissionDenied),
                "{asked} {group:?}"
            );
        }
        for asked in ["a/b", "a/+", "a/secret", "a/b/#"] {
            one.try_subscribe(asked, group).expect(asked);
        }
    }
}

#[test]
fn what_is_kept_is_not_replayed_after_the_right_is_withdrawn() {
    let router = router();
    let service = with(&router, service(&["a/#"]));
    router
        .grant(&service.session, filter("a/#"), ALL, NOW)
        .expect("a grant");
    let mut publisher = Peer::new(&router);
    publisher
        .publish(MsgKind::State, "a/b", &["1"])
        .expect("kept");
    let one = with(&router, client());
    assert_eq!(one.subscribe("a/b").replayed, 1);
    // It is queued, and not taken yet.
    assert!(router.revoke(&service.session, &filter("a/#"), NOW));
    assert!(one.take().is_empty(), "taken out of the queue");
    assert!(router.subscriptions(&one.session).is_empty());
    assert_eq!(
        code(one.try_subscribe("a/b", None)),
        Some(Code::PermissionDenied)
    );
    publisher
        .publish(MsgKind::Event, "a/b", &["2"])
        .expect("published");
    assert!(one.take().is_empty());
}

#[test]
fn what_waits_for_a_session_that_is_away_is_checked_again_when_it_resumes() {
    let router = router();
    let (one, mut publisher) = (Peer::new(&router), Peer::new(&router));
    one.subscribe("a/b");
    one.subscribe("a/c");
    one.suspend();
    publisher
        .publish(MsgKind::Event, "a/b", &["1"])
        .expect("published");
    publisher
        .publish(MsgKind::Event, "a/c", &["2"])
        .expect("published");
    one.resume(Rights {
        subscribe: filters(&["#"], &["a/b"]),
        ..Rights::all()
    });
    assert_eq!(one.take(), ["2"]);
    publisher
        .publish(MsgKind::Event, "a/b", &["3"])
        .expect("published");
    assert!(one.take().is_empty());
}

#[test]
fn rights_that_change_count_at_once() {
    let router = router();
    let (one, mut publisher) = (Peer::new(&router), Peer::new(&router));
    one.subscribe("a/b");
    publisher
        .publish(MsgKind::Event, "a/b", &["1"])
        .expect("published");
    assert!(router.reauthorize(&one.session, Arc::new(Rights::none()), NOW));
    assert!(router.reauthorize(&publisher.session, Arc::new(Rights::none()), NOW));
    assert!(one.take().is_empty());
    let refused = publisher.publish(MsgKind::Event, "a/b", &["2"]);
    assert_eq!(code(refused), Some(Code::PermissionDenied));
}

/// Of clients and of MIP's peers alike.
#[test]
fn the_levels_of_the_broker_are_beyond_what_rights_of_clients_cover() {
    let router = router();
    for dialect in [Dialect::Msip, Dialect::Mip] {
        let rights = Rights {
            role: Role::Client,
            serve: Filters::default(),
            ..Rights::all()
        };
        let mut one = Peer::with(&router, rights, dialect);
        let own = format!("a/$to/{}", one.session.peer());
        for asked in [
            "a/$in",
            "$presence/a",
            "$dead/a",
            "a/$to/999",
            "$SYS/x",
            "a/$x",
            "$in",
        ] {
            let refused = one.try_subscribe(asked, None);
            assert_eq!(
                code(refused),
                Some(Code::PermissionDenied),
                "{dialect:?} {asked}"
            );
        }
        one.subscribe(&own);
        for topic in [
            own.as_str(),
            "a/$to/999",
            "$presence/a",
            "$dead/a",
            "$SYS/x",
            "a/$x",
        ] {
            let refused = one.publish(MsgKind::Event, topic, &["1"]);
            assert_eq!(
                code(refused),
                Some(Code::PermissionDenied),
                "{dialect:?} {topic}"
            );
        }
        one.publish(MsgKind::Event, "a/$in", &["1"])
            .expect("publish of `a` covers it");
    }
}

#[test]
fn wildcards_do_not_reach_the_levels_of_the_broker() {
    let router = router();
    let (all, mut publisher) = (Peer::new(&router), Peer::new(&router));
    all.subscribe("#");
    all.subscribe("a/#");
    all.subscribe("a/+");
    for topic in ["a/$in", "a/$to/7"] {
        publisher
            .publish(MsgKind::Event, topic, &["1"])
            .expect("published");
    }
    assert!(all.take().is_empty());
}

#[test]
fn a_service_sends_to_what_it_serves_and_nowhere_else() {
    let router = router();
    let mut one = with(&router, service(&["a/#"]));
    for asked in ["a/b/$in", "$presence/a/+", "$dead/a/#", "a/+/$in"] {
        one.subscribe(asked);
    }
    for topic in ["a/b", "a/b/$to/7"] {
        one.publish(MsgKind::Event, topic, &["1"]).expect(topic);
    }
    for topic in ["b", "a/b/$in", "b/$to/7", "$presence/a", "$dead/a"] {
        let refused = one.publish(MsgKind::Event, topic, &["1"]);
        assert_eq!(code(refused), Some(Code::PermissionDenied), "{topic}");
    }
    for asked in ["a/b", "#", "b/$in", "$dead/#"] {
        let refused = one.try_subscribe(asked, None);
        assert_eq!(code(refused), Some(Code::PermissionDenied), "{asked}");
    }
}

#[test]
fn a_grant_lies_wholly_within_what_its_giver_serves() {
    let router = Router::new(Limits {
        grants: 2,
        ..Limits::default()
    });
    let rights = Rights {
        serve: filters(&["a/#"], &["a/private/#"]),
        ..service(&[])
    };
    let giver = with(&router, rights);
    for asked in [
        "#",
        "b",
        "+/b",
        "a/#",
        "a/private/x",
        "a/+",
        "a/b/$in",
        "$dead/a",
    ] {
        let refused = router.grant(&giver.session, filter(asked), ALL, NOW);
        let expected = Some(Code::PermissionDenied);
        assert_eq!(code(refused), expected, "{asked}");
    }
    router
        .grant(&giver.session, filter("a/b/#"), ALL, NOW)
        .expect("a grant");
    router
        .grant(&giver.session, filter("a/c"), ALL, NOW)
        .expect("a grant");
    router
        .grant(&giver.session, filter("a/c"), ALL, NOW)
        .expect("the same again");
    let refused = router.grant(&giver.session, filter("a/d"), ALL, NOW);
    assert_eq!(code(refused), Some(Code::ResourceExhausted));
    let client = with(&router, client());
    assert_eq!(
        code(router.grant(&client.session, filter("a/b"), ALL, NOW)),
        Some(Code::PermissionDenied)
    );
}

#[test]
fn a_grant_never_overrides_a_deny_and_each_use_is_enabled_apart() {
    let router = router();
    let giver = with(&router, service(&["#"]));
    let publish = Grant {
        publish: true,
        ..Grant::default()
    };
    router
        .grant(&giver.session, filter("a/#"), publish, NOW)
        .expect("a grant");
    let denied = Rights {
        publish: filters(&[], &["a/secret"]),
        ..client()
    };
    let mut one = with(&router, denied);
    one.publish(MsgKind::Event, "a/b", &["1"]).expect("enabled");
    one.publish(MsgKind::Event, "a/b/$in", &["1"])
        .expect("it covers what belongs to it");
    let refused = one.publish(MsgKind::Event, "a/secret", &["1"]);
    assert_eq!(code(refused), Some(Code::PermissionDenied));
    assert_eq!(
        code(one.try_subscribe("a/b", None)),
        Some(Code::PermissionDenied)
    );
    let refused = one
        .publisher
        .request(call("a/b"), NOW, &mut WakeList::new());
    assert_eq!(
        code(refused.map_err(|(why, _)| why)),
        Some(Code::PermissionDenied)
    );
    router
        .grant(&giver.session, filter("a/#"), ALL, NOW)
        .expect("a grant");
    one.subscribe("a/#");
    let refused = one
        .publisher
        .request(call("a/b"), NOW, &mut WakeList::new());
    assert_eq!(
        code(refused.map_err(|(why, _)| why)),
        Some(Code::Unavailable),
        "no service"
    );
}

#[test]
fn what_a_service_enabled_is_held_while_it_is_away_and_ends_with_it() {
    let router = router();
    let giver = with(&router, service(&["a/#"]));
    router
        .grant(&giver.session, filter("a/#"), ALL, NOW)
        .expect("a grant");
    let (mut one, mut publisher) = (with(&router, client()), Peer::new(&router));
    one.subscribe("a/b");
    giver.suspend();
    let refused = one.publish(MsgKind::Event, "a/b", &["1"]);
    assert_eq!(code(refused), Some(Code::Unavailable));
    let refused = one
        .publisher
        .request(call("a/b"), NOW, &mut WakeList::new());
    assert_eq!(
        code(refused.map_err(|(why, _)| why)),
        Some(Code::Unavailable)
    );
    publisher
        .publish(MsgKind::Event, "a/b", &["held"])
        .expect("published");
    assert_eq!(one.take(), ["held"]);
    router
        .resume(&giver.session, Arc::new(service(&["a/#"])), NOW)
        .expect("it is back");
    one.publish(MsgKind::Event, "a/b", &["2"])
        .expect("enabled again");
    giver.suspend();
    router.expire(router.limits().session_expiry, &mut WakeList::new());
    let absent = one
        .publish(MsgKind::Event, "never/was", &["3"])
        .expect_err("nobody enabled it");
    let refused = one
        .publish(MsgKind::Event, "a/b", &["3"])
        .expect_err("it is enabled no longer");
    assert_eq!(refused, absent, "one text");
    one.items();
    publisher
        .publish(MsgKind::Event, "a/b", &["4"])
        .expect("published");
    assert!(one.take().is_empty());
}

#[test]
fn a_grant_ends_with_the_right_to_serve() {
    let router = router();
    let giver = with(&router, service(&["a/#"]));
    router
        .grant(&giver.session, filter("a/#"), ALL, NOW)
        .expect("a grant");
    let one = with(&router, client());
    one.subscribe("a/b");
    assert!(router.reauthorize(&giver.session, Arc::new(service(&["b/#"])), NOW));
    assert!(router.subscriptions(&one.session).is_empty());
}

/// What a session is told of subscriptions that have ended.
fn told(one: &Peer) -> Vec<String> {
    let items = one.items().into_iter();
    let ended = items.filter_map(|item| match item {
        OutboxItem::SubscriptionEnded(Filter::Pattern(filter), _) => {
            Some(filter.as_str().to_owned())
        }
        OutboxItem::SubscriptionEnded(Filter::Literal(topic), _) => {
            Some(String::from_utf8_lossy(&topic).into_owned())
        }
        _ => None,
    });
    ended.collect()
}

#[test]
fn a_session_is_told_of_subscriptions_that_end() {
    let router = router();
    let some = || Rights {
        subscribe: filters(&["a", "b"], &[]),
        ..client()
    };
    let less = || Rights {
        subscribe: filters(&["a"], &[]),
        ..client()
    };
    let one = with(&router, some());
    one.subscribe("a");
    one.subscribe("b");
    router.reauthorize(&one.session, Arc::new(less()), NOW);
    assert_eq!(told(&one), ["b"]);
    router.reauthorize(&one.session, Arc::new(less()), NOW);
    assert!(told(&one).is_empty(), "once");

    // While it is away it is told when it comes back.
    router.reauthorize(&one.session, Arc::new(some()), NOW);
    one.subscribe("b");
    one.suspend();
    one.resume(less());
    assert_eq!(told(&one), ["b"]);

    // Not of one that it has again.
    router.reauthorize(&one.session, Arc::new(some()), NOW);
    one.subscribe("b");
    router.reauthorize(&one.session, Arc::new(less()), NOW);
    router.reauthorize(&one.session, Arc::new(some()), NOW);
    one.subscribe("b");
    assert!(told(&one).is_empty());
}

#[test]
fn a_client_is_told_when_its_service_takes_a_grant_back() {
    let router = router();
    let giver = with(&router, service(&["a/#"]));
    let give = || router.grant(&giver.session, filter("a/#"), ALL, NOW);
    give().expect("a grant");
    let one = with(&router, client());
    one.subscribe("a/b");
    assert!(router.revoke(&giver.session, &filter("a/#"), NOW));
    assert_eq!(told(&one), ["a/b"]);
    give().expect("a grant");
    one.subscribe("a/b");
    giver.end();
    assert_eq!(told(&one), ["a/b"]);
}
