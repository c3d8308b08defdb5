//! Clients that instances hear apart, where they come and go at odd times: what the simulation found.

use super::{
    instances::{CHAT, by_peer, instance, name, told},
    *,
};

#[test]
fn an_instance_that_is_a_client_of_its_topic_hears_what_is_for_clients_as_others_do() {
    let router = router();
    let one = instance(&router, "a/$in");
    one.subscribe("a");
    let mut other = Peer::new(&router);
    let publication = other.publication(MsgKind::Event, "a", &["for clients"]);
    other.send(publication).expect("it is heard");
    assert_eq!(told(&one), ["for clients"]);
}

#[test]
fn a_delivery_for_which_an_instance_has_no_place_is_refused() {
    let limits = Limits {
        outgoing_messages: 16,
        ..Limits::default()
    };
    let router = Router::new(limits);
    let one = instance(&router, "a/$in");
    let mut client = Peer::new(&router);
    let refused = (0..100).find_map(|_| client.publish(MsgKind::Event, "a/$in", &["v"]).err());
    let refused = refused.expect("there is no place for a hundred");
    assert_eq!(refused.code, Code::ResourceExhausted);
    let state = client.publish(MsgKind::State, "a/$in", &["1"]);
    assert_eq!(state.expect_err("full").code, Code::ResourceExhausted);
    told(&one);
    client.publishes(MsgKind::State, "a/$in", &["1"]);
    while client.publish(MsgKind::Event, "a/$in", &["v"]).is_ok() {}
    // It has the place of the older one.
    client.publishes(MsgKind::State, "a/$in", &["2"]);
    let said = told(&one);
    assert!(said.iter().any(|said| said.ends_with(" 2")), "{said:?}");
}

#[test]
fn what_has_expired_of_a_client_that_has_gone_takes_no_place() {
    let limits = Limits {
        outgoing_messages: 16,
        ..Limits::default()
    };
    let router = Router::new(limits);
    let one = instance(&router, "a/$in");
    for _ in 0..10 {
        let mut client = Peer::new(&router);
        client.publishes(MsgKind::Event, "a/$in", &["now"]);
        told(&one);
        for _ in 0..5 {
            let mut publication = client.publication(MsgKind::Event, "a/$in", &["soon"]);
            publication.expires_at = Some(Duration::from_secs(1));
            client.send(publication).expect("there is place");
        }
        client.end();
        let at = Duration::from_secs(5);
        let items = one.items_at(at);
        assert!(
            matches!(items[..], [OutboxItem::Presence(_)]),
            "told that it has gone, and nothing else"
        );
        assert_eq!(one.session.waiting_bytes(), 0);
    }
}

#[test]
fn a_client_that_comes_again_before_an_instance_hears_that_it_had_gone_goes_in_the_end() {
    let router = router();
    let one = instance(&router, "a/$in");
    let mut client = Peer::new(&router);
    by_peer(&client, "a", CHAT).expect("a subscription");
    let peer = name(&client);
    assert_eq!(told(&one), [format!("{peer} cared for")]);
    client.leave("a");
    client.publishes(MsgKind::Event, "a/$in", &["1"]);
    assert_eq!(
        told(&one),
        [format!("{peer} cared for"), format!("a/{peer} 1")]
    );
    client.end();
    assert_eq!(told(&one), [format!("{peer} gone")]);
}

#[test]
fn an_instance_that_gets_what_another_had_of_a_client_that_has_gone_is_told_so() {
    let router = router();
    let one = instance(&router, "a/$in");
    let mut client = Peer::new(&router);
    client.publishes(MsgKind::Command, "a", &["1"]);
    let peer = name(&client);
    client.end();
    let two = instance(&router, "a/$in");
    one.end();
    let said = told(&two);
    assert_eq!(said.len(), 3, "{said:?}");
    assert_eq!(said[1..], [format!("a/{peer} 1"), format!("{peer} gone")]);
}

#[test]
fn what_cannot_be_told_whose_it_is_goes_to_the_dead() {
    let router = router();
    let one = Peer::new(&router);
    one.subscribe("a/$in");
    let mut client = Peer::new(&router);
    client.publishes(MsgKind::Command, "a", &["1"]);
    client.end();
    let dead = Peer::new(&router);
    dead.subscribe("$dead/a");
    let two = instance(&router, "a/$in");
    one.end();
    assert!(told(&two).is_empty());
    assert_eq!(dead.items().len(), 1);
}

#[test]
fn a_state_that_is_kept_of_a_client_comes_as_what_that_says() {
    let router = router();
    let (mut client, mut other) = (Peer::new(&router), Peer::new(&router));
    client.publishes(MsgKind::State, "a/$in", &["1"]);
    other.publishes(MsgKind::State, "b/$in", &["2"]);
    other.end();
    let one = instance(&router, "+/$in");
    let peer = name(&client);
    assert_eq!(
        told(&one),
        [format!("{peer} cared for"), format!("a/{peer} 1")],
        "nobody could say whose the other one is"
    );
}

#[test]
fn a_subscription_that_is_not_by_peer_any_more_knows_no_clients() {
    let router = router();
    let one = instance(&router, "a/$in");
    let mut client = Peer::new(&router);
    client.publishes(MsgKind::Event, "a/$in", &["1"]);
    one.subscribe("a/$in");
    client.publishes(MsgKind::Event, "a/$in", &["2"]);
    client.end();
    assert_eq!(told(&one), ["2"]);
}
