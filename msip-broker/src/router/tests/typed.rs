//! Typed traffic: instances that hear each client apart.

use super::{
    instances::{CHAT, by_peer, instance, name, told},
    *,
};
use crate::router::fault_injection::FaultInjection;

fn credit(peer: &Peer, client: &Peer, messages: u32) {
    peer.session.credit(b"a", client.session.peer(), messages);
}

#[test]
fn an_instance_is_introduced_to_a_client_before_its_first_message() {
    let router = router();
    let one = instance(&router, "+/$in");
    let mut client = Peer::new(&router);
    client.publishes(MsgKind::Command, "a", &["1", "2"]);
    client.publishes(MsgKind::Event, "a/$in", &["3"]);
    let peer = name(&client);
    assert_eq!(
        told(&one),
        [
            format!("{peer} cared for"),
            format!("a/{peer} 1"),
            format!("a/{peer} 2"),
            format!("a/{peer} 3")
        ]
    );
    let two = instance(&router, "a/$in");
    client.publishes(MsgKind::Event, "a/$in", &["4"]);
    assert_eq!(told(&one), [format!("a/{peer} 4")]);
    assert_eq!(told(&two), [format!("{peer} there"), format!("a/{peer} 4")]);
    client.end();
    assert_eq!(told(&one), [format!("{peer} gone")]);
    assert_eq!(told(&two), [format!("{peer} gone")]);
}

#[test]
fn another_instance_looks_after_the_clients_of_one_that_goes() {
    let router = router();
    let (one, two) = (instance(&router, "a/$in"), instance(&router, "a/$in"));
    let mut client = Peer::new(&router);
    client.publishes(MsgKind::Event, "a/$in", &["1"]);
    let peer = name(&client);
    let introduced = [told(&one), told(&two)];
    let cares = introduced
        .iter()
        .position(|told| told[0].ends_with("cared for"));
    let (carer, other) = match cares.expect("one of them looks after it") {
        0 => (one, two),
        _ => (two, one),
    };
    carer.end();
    assert_eq!(told(&other), [format!("{peer} handed over")]);
    other.end();
    let third = instance(&router, "a/$in");
    client.publishes(MsgKind::Event, "a/$in", &["2"]);
    assert_eq!(
        told(&third),
        [format!("{peer} cared for"), format!("a/{peer} 2")]
    );
}

#[test]
fn a_client_comes_by_subscribing_and_hears_what_is_for_it_alone() {
    let router = router();
    let (client, other) = (Peer::new(&router), Peer::new(&router));
    for peer in [&client, &other] {
        by_peer(peer, "a", CHAT).expect("a subscription");
    }
    let mut one = instance(&router, "a/$in");
    let mut came = told(&one);
    came.sort();
    let mut expected = [&client, &other].map(|peer| format!("{} cared for", name(peer)));
    expected.sort();
    assert_eq!(came, expected, "they came before it");
    let own = format!("a/$to/{}", name(&client));
    one.publishes(MsgKind::Command, &own, &["own"]);
    one.publishes(MsgKind::Command, "a", &["all"]);
    assert_eq!(client.take(), ["own", "all"]);
    assert_eq!(other.take(), ["all"]);
    client.leave("a");
    assert_eq!(told(&one), [format!("{} gone", name(&client))]);
    one.publishes(MsgKind::Command, &own, &["own"]);
    assert!(client.take().is_empty());
}

#[test]
fn only_the_broker_sends_to_an_instance_as_a_client() {
    let router = router();
    let one = instance(&router, "a/$in");
    let mut client = Peer::new(&router);
    let forged = client.publish(MsgKind::Event, "a/$in/7", &["forged"]);
    assert_eq!(forged.expect_err("nobody may").code, Code::PermissionDenied);
    assert!(told(&one).is_empty());
    let refused = client.try_subscribe("a/$in/7", None);
    assert_eq!(
        refused.expect_err("nobody may").code,
        Code::PermissionDenied
    );
    let rights = Peer::with(&router, super::client(), Dialect::Msip);
    let refused = by_peer(&rights, "a/$in", CHAT);
    assert_eq!(
        refused.expect_err("it is no service").code,
        Code::PermissionDenied
    );
}

#[test]
fn another_protocol_is_refused_and_another_schema_where_the_first_service_is_strict() {
    let router = router();
    let first = Peer::new(&router);
    let subscribed = by_peer(&first, "a/$in", CHAT).expect("a subscription");
    assert_eq!(subscribed.spoken, None);
    let client = Peer::new(&router);
    let spoken = by_peer(&client, "a", ("chat.v1", 8))
        .expect("it is told")
        .spoken;
    let spoken = spoken.expect("there is a service");
    assert_eq!((&*spoken.protocol, spoken.fingerprint), CHAT);
    for filter in ["a", "a/$in"] {
        let refused = by_peer(&client, filter, ("fleet.v1", 7)).expect_err("another protocol");
        assert_eq!(refused.code, Code::FailedPrecondition);
        assert!(refused.text.contains("chat.v1") && refused.text.contains("fleet.v1"));
    }
    let strict = SubscribeRequest {
        protocol: Some("chat.v1".to_owned()),
        fingerprint: 7,
        is_by_peer: true,
        is_strict: true,
        ..SubscribeRequest::new(Filter::Pattern(
            TopicFilter::new("b/$in").expect("a filter"),
        ))
    };
    let subscribed = router.subscribe(&first.session, strict, NOW);
    subscribed.expect("a subscription");
    let refused = by_peer(&client, "b", ("chat.v1", 8)).expect_err("another schema");
    assert_eq!(refused.code, Code::FailedPrecondition);
    by_peer(&client, "b", CHAT).expect("the same schema");
}

#[test]
fn one_of_a_thousand_clients_floods_and_waits_alone() {
    let router = router();
    let one = instance(&router, "a/$in");
    let mut flood = Peer::new(&router);
    let mut clients: Vec<_> = (0..999).map(|_| Peer::new(&router)).collect();
    let body = "x".repeat(1000);
    let bodies = vec![&*body; 100];
    let mut sent = 0;
    loop {
        let published = flood.publish(MsgKind::Command, "a", &bodies);
        sent += 100;
        if published.expect("there is place").is_congested {
            break;
        }
    }
    let mut task = Context::from_waker(Waker::noop());
    assert!(flood.publisher.poll_ready(NOW, &mut task).is_pending());
    for client in &mut clients {
        let published = client.publish(MsgKind::Command, "a", &["1"]);
        assert!(!published.expect("there is place").is_congested);
        assert!(client.publisher.poll_ready(NOW, &mut task).is_ready());
    }
    let said = told(&one);
    let of_flood = format!("a/{} ", name(&flood));
    let flooded = said
        .iter()
        .filter(|said| said.starts_with(&of_flood))
        .count();
    assert_eq!(flooded, 256, "its window");
    for client in &clients {
        let all: Vec<_> = said
            .iter()
            .filter(|said| said.contains(&format!("{} ", name(client))))
            .collect();
        assert!(all.len() >= 2, "introduced, and heard: {all:?}");
    }
    // Where the instance has finished with them it gets as many again, and no more for more than were sent.
    credit(&one, &flood, 100_000);
    assert_eq!(told(&one).len(), 256);
    credit(&one, &flood, 10);
    assert_eq!(told(&one).len(), 10);
    let mut taken = 256 + 256 + 10;
    while taken < sent {
        credit(&one, &flood, 256);
        taken += told(&one).len();
    }
    assert_eq!(taken, sent);
    assert!(flood.publisher.poll_ready(NOW, &mut task).is_ready());
}

#[test]
fn a_client_gets_its_turn_before_all_that_another_has_sent() {
    let router = router();
    let one = instance(&router, "a/$in");
    let (mut flood, mut client) = (Peer::new(&router), Peer::new(&router));
    let body = "x".repeat(1000);
    for _ in 0..100 {
        flood.publishes(MsgKind::Command, "a", &[&body]);
    }
    client.publishes(MsgKind::Command, "a", &["1"]);
    let said = told(&one);
    let turn = format!("a/{} 1", name(&client));
    let at = said.iter().position(|said| *said == turn);
    assert!(at.expect("it is there") < 60, "{at:?}");
}

#[test]
fn windows_are_full_again_with_the_next_connection() {
    let router = router();
    let one = instance(&router, "a/$in");
    let mut client = Peer::new(&router);
    let bodies = vec!["x"; 300];
    client.publishes(MsgKind::Event, "a/$in", &bodies);
    assert_eq!(told(&one).len(), 1 + 256);
    one.suspend();
    one.resume(Rights::all());
    assert_eq!(told(&one).len(), 44);
}

#[derive(Debug)]
struct Of(SessionHandle, Option<&'static str>);

impl Exchange for Of {
    fn pinned(&self) -> usize {
        100
    }

    fn caller(&self) -> Option<super::super::SessionKey> {
        Some(self.0.key())
    }

    fn sticky_key(&self) -> Option<&str> {
        self.1
    }

    fn refuse(self: Box<Self>, _why: Refused) {}
}

fn ask(client: &mut Peer, key: Option<&'static str>) {
    let request = Request {
        topic: Bytes::from_static(b"a"),
        exchange: Box::new(Of(client.session.clone(), key)),
        tried: Vec::new(),
    };
    let mut wakes = WakeList::new();
    let asked = client.publisher.request(request, NOW, &mut wakes);
    asked.expect("a service is there");
}

#[test]
fn the_open_calls_of_a_client_are_limited_at_an_instance() {
    let router = router();
    let one = instance(&router, "a/$in");
    let mut client = Peer::new(&router);
    for _ in 0..300 {
        ask(&mut client, None);
    }
    let mut items = one.items();
    assert_eq!(items.len(), 1 + 256);
    assert!(one.items().is_empty());
    items.truncate(1 + 250);
    assert_eq!(one.items().len(), 6, "as many as have ended");
}

#[test]
fn a_key_stays_at_one_instance_and_moves_when_that_goes() {
    let router = router();
    let mut instances: Vec<_> = (0..3).map(|_| instance(&router, "a/$in")).collect();
    let mut client = Peer::new(&router);
    let holder = |client: &mut Peer, instances: &[Peer], kind| {
        for _ in 0..5 {
            let mut publication = client.publication(kind, "a/$in", &["v"]);
            publication.sticky_key = Some(Bytes::from_static(b"van-7"));
            client.send(publication).expect("a service is there");
        }
        ask(client, Some("van-7"));
        let got: Vec<_> = instances
            .iter()
            .map(|one| {
                let told = told(one).into_iter();
                told.filter(|told| told.ends_with(" v") || told.starts_with("call"))
                    .count()
            })
            .collect();
        let at = got
            .iter()
            .position(|count| *count > 0)
            .expect("one has them");
        assert_eq!(got.iter().sum::<usize>(), 6);
        assert_eq!(got[at], 6, "{got:?}");
        at
    };
    let first = holder(&mut client, &instances, MsgKind::Command);
    assert_eq!(holder(&mut client, &instances, MsgKind::Event), first);
    // Another one that goes moves nothing.
    let kept = instances[first].session.key();
    let other = (first + 1) % 3;
    instances.remove(other).end();
    let at = holder(&mut client, &instances, MsgKind::Command);
    assert_eq!(instances[at].session.key(), kept);
    instances.remove(at).end();
    holder(&mut client, &instances, MsgKind::Command);
}

#[test]
fn an_instance_that_leaves_hands_over_what_waits() {
    let router = router();
    let one = instance(&router, "a/$in");
    let mut client = Peer::new(&router);
    client.publishes(MsgKind::Command, "a", &["1"]);
    ask(&mut client, None);
    let two = instance(&router, "a/$in");
    one.leave("a/$in");
    assert!(told(&one).is_empty());
    let peer = name(&client);
    let mut said = told(&two);
    said.sort();
    let mut expected = [
        format!("{peer} handed over"),
        format!("a/{peer} 1"),
        format!("call of {peer}"),
    ];
    expected.sort();
    let expected_new = said
        .iter()
        .filter(|said| said.ends_with("cared for"))
        .count();
    assert!(
        said.len() == 3 && (expected_new == 1 || said == expected),
        "{said:?}"
    );
}

#[test]
fn clients_are_told_what_the_first_service_speaks_that_comes_after_them() {
    let router = router();
    let early = Peer::new(&router);
    by_peer(&early, "a", CHAT).expect("a subscription");
    let raw = Peer::new(&router);
    raw.subscribe("a");
    let elsewhere = Peer::new(&router);
    by_peer(&elsewhere, "b", CHAT).expect("a subscription");
    let _first = instance(&router, "a/$in");
    assert_eq!(told(&early), ["a speaks chat.v1 7"]);
    let _second = instance(&router, "+/$in");
    assert_eq!(told(&early), [""; 0], "it knows");
    assert_eq!(told(&elsewhere), ["b speaks chat.v1 7"]);
    assert_eq!(told(&raw), [""; 0], "it is no typed client");
}

#[test]
fn a_client_that_resumes_gets_what_is_for_it_alone_by_the_route_of_before() {
    let router = router();
    let mut service = instance(&router, "a/$in");
    let client = Peer::new(&router);
    by_peer(&client, "a", CHAT).expect("a subscription");
    let topic = format!("a/$to/{}", name(&client));
    for body in ["before", "after"] {
        service.publishes(MsgKind::Event, &topic, &[body]);
        assert_eq!(told(&client), [body]);
        client.suspend();
        client.resume(Rights::all());
    }
}

#[test]
fn calls_that_are_left_unanswered_count_which_a_deliberate_fault_shows() {
    let given = |fault| {
        FaultInjection::switch(fault);
        let router = router();
        let (one, two) = (instance(&router, "a/$in"), instance(&router, "a/$in"));
        let mut client = Peer::new(&router);
        let mut hung = 0;
        for _ in 0..20 {
            ask(&mut client, None);
            for (peer, hangs) in [(&one, true), (&two, false)] {
                for item in peer.items() {
                    if let OutboxItem::Exchange(assigned) = item {
                        let open = assigned.into_parts().1;
                        if hangs {
                            open.unanswered(NOW);
                            hung += 1;
                        } else {
                            open.answered();
                        }
                    }
                }
            }
        }
        FaultInjection::switch(None);
        hung
    };
    assert_eq!(given(None), 1);
    assert!(given(Some(FaultInjection::ForgetUnanswered)) > 5);
}

#[test]
fn an_instance_that_leaves_calls_unanswered_gets_no_others_in_their_place() {
    let router = router();
    let (one, two) = (instance(&router, "a/$in"), instance(&router, "a/$in"));
    let mut client = Peer::new(&router);
    let calls = |peer: &Peer| {
        let items = peer.items().into_iter();
        items
            .filter_map(|item| match item {
                OutboxItem::Exchange(assigned) => Some(assigned.into_parts().1),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    let (mut hung, mut answered) = (0, 0);
    for _ in 0..20 {
        ask(&mut client, None);
        for open in calls(&one) {
            open.unanswered(NOW);
            hung += 1;
        }
        for open in calls(&two) {
            open.answered();
            answered += 1;
        }
    }
    assert_eq!((hung, answered), (1, 19));
    // In time it is tried again.
    for open in calls(&one) {
        drop(open);
    }
}

#[test]
fn credit_for_more_than_was_sent_is_worth_what_was_sent() {
    let router = router();
    let one = instance(&router, "a/$in");
    let mut client = Peer::new(&router);
    for messages in [u32::MAX, 1] {
        credit(&one, &client, messages);
        one.session.credit(b"a", "nobody", messages);
        one.session
            .credit(b"nowhere", client.session.peer(), messages);
    }
    for _ in 0..600 {
        client.publishes(MsgKind::Command, "a", &["job"]);
    }
    assert_eq!(told(&one).len(), 1 + 256, "the window, and who it is");
    for _ in 0..3 {
        credit(&one, &client, u32::MAX);
    }
    assert_eq!(told(&one).len(), 256, "one window more");
}

#[test]
fn clients_that_come_and_go_unheard_leave_nothing() {
    let router = router();
    let one = instance(&router, "+/$in");
    for _ in 0..1000 {
        let client = Peer::new(&router);
        by_peer(&client, "a", CHAT).expect("a subscription");
        client.end();
    }
    let mut stays = Peer::new(&router);
    by_peer(&stays, "a", CHAT).expect("a subscription");
    stays.publishes(MsgKind::Command, "a", &["1"]);
    let peer = name(&stays);
    assert_eq!(
        told(&one),
        [format!("{peer} cared for"), format!("a/{peer} 1")]
    );
    stays.end();
    assert_eq!(told(&one), [format!("{peer} gone")]);
}

#[test]
fn more_clients_than_an_instance_takes_note_of_are_refused_until_it_does() {
    let router = router();
    let one = instance(&router, "a/$in");
    let mut clients: Vec<_> = (0..=16 * 1024).map(|_| Peer::new(&router)).collect();
    let mut last = clients.pop().expect("many");
    for client in &mut clients {
        client.publishes(MsgKind::Command, "a", &["job"]);
    }
    let refused = last.publish(MsgKind::Command, "a", &["job"]);
    assert_eq!(refused.expect_err("too many").code, Code::ResourceExhausted);
    assert_eq!(told(&one).len(), 2 * clients.len());
    last.publishes(MsgKind::Command, "a", &["job"]);
    assert_eq!(told(&one).len(), 2);
}

#[test]
fn a_client_takes_part_in_so_many_topics_and_no_more() {
    let router = Router::new(Limits {
        subscriptions: 3,
        ..Limits::default()
    });
    let one = instance(&router, "+/$in");
    let mut client = Peer::new(&router);
    for topic in ["a", "b", "c"] {
        client.publishes(MsgKind::Command, topic, &["job"]);
    }
    for _ in 0..2 {
        let refused = client.publish(MsgKind::Command, "d", &["job"]);
        let refused = refused.expect_err("too many");
        assert_eq!(
            refused.to_string(),
            "RESOURCE_EXHAUSTED: too many topics of typed services: a session sends to 3 at most"
        );
    }
    client.publishes(MsgKind::Command, "a", &["job"]);
    assert_eq!(told(&one).len(), 3 + 4);
}

#[test]
fn a_session_that_serves_a_topic_is_a_client_of_it_like_any_other() {
    let router = router();
    let mut both = instance(&router, "a/$in");
    let other = instance(&router, "a/$in");
    let subscribed = by_peer(&both, "a", CHAT).expect("a subscription");
    let spoken = subscribed.spoken.expect("its own service is the first one");
    assert_eq!((&*spoken.protocol, spoken.fingerprint), CHAT);
    let refused = by_peer(&both, "a", ("news.v1", 7));
    assert_eq!(
        refused.map_err(|refused| refused.code),
        Err(Code::FailedPrecondition)
    );
    told(&both);
    told(&other);

    // What it says as a client goes to one of the instances, itself or another one.
    both.publishes(MsgKind::Command, "a/$in", &["1"]);
    both.publishes(MsgKind::Command, "a/$in", &["2"]);
    let heard = [told(&both), told(&other)].concat();
    let of_it = |body: &str| format!("a/{} {body}", name(&both));
    let of_it = [of_it("1"), of_it("2")];
    assert!(of_it.iter().all(|one| heard.contains(one)), "{heard:?}");
    let bodies = heard.iter().filter(|one| one.starts_with("a/"));
    assert_eq!(bodies.count(), 2, "{heard:?}");

    // What it says as a service comes to it as it is, and to no instance.
    both.publishes(MsgKind::Event, "a", &["3"]);
    both.publishes(MsgKind::Command, "a", &["4"]);
    let own = format!("a/$to/{}", name(&both));
    both.publishes(MsgKind::Event, &own, &["5"]);
    assert_eq!(told(&both), ["3", "4", "5"]);
    assert!(told(&other).is_empty());
}
