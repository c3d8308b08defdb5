//! Who gets which session.

use std::{
    collections::BTreeSet,
    task::{Context, Poll, Waker},
};

use msip_session::MsgKind;

use super::{table::MAX_SHARING, *};
use crate::router::{Limits, Publication, Publisher, WakeList};

const EXPIRY: Duration = Duration::from_secs(100);

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn hello(name: Name, msg_id: u64) -> Hello {
    Hello { name, msg_id }
}

fn text(text: &str) -> Name {
    Name::Text(Bytes::copy_from_slice(text.as_bytes()))
}

struct Fixture {
    sessions: Sessions,
    router: Router,
    rights: Arc<Rights>,
}

impl Fixture {
    fn new() -> Self {
        Self::with_subscriptions(Limits::default().subscriptions)
    }

    fn with_subscriptions(subscriptions: usize) -> Self {
        let router = Router::new(Limits {
            session_expiry: EXPIRY,
            session_messages: 10,
            subscriptions,
            ..Limits::default()
        });
        Self {
            sessions: Sessions::new(router.clone(), 2),
            router,
            rights: Arc::new(Rights::all()),
        }
    }

    fn claim(&self, name: Name, msg_id: u64, now: Duration) -> Claimed {
        self.claim_as("ada", name, msg_id, now)
    }

    fn claim_as(&self, who: &str, name: Name, msg_id: u64, now: Duration) -> Claimed {
        let who = Principal::new(who);
        let hello = hello(name, msg_id);
        self.sessions
            .claim(&hello, &who, &self.rights, true, now)
            .unwrap()
    }

    /// What somebody who is not given a session is told.
    fn refused(&self, name: Name) -> String {
        let hello = hello(name, 1);
        let who = Principal::new("ada");
        let claimed = self.sessions.claim(&hello, &who, &self.rights, true, at(0));
        match claimed {
            Err(NotClaimed::Refused(refused)) => refused.to_string(),
            other => panic!("{other:?}"),
        }
    }

    fn subscribe(&self, claimed: &Claimed, topic: &'static str) {
        let topic = Bytes::from_static(topic.as_bytes());
        self.sessions.subscribe(claimed, &topic, at(0)).unwrap();
    }

    /// How many hear a message of this topic now.
    fn publish(&self, topic: &'static str) -> u32 {
        let session = self
            .router
            .connect(Principal::new("bob"), self.rights.clone(), Dialect::Mip);
        let mut publication = Publication::new(
            session.key(),
            Bytes::from_static(topic.as_bytes()),
            MsgKind::Event,
            Bytes::from_static(&[0; 24]),
            1,
        );
        publication.wants_ack = true;
        let mut publisher = Publisher::new(&self.router, &session);
        let published = publisher.publish(publication, at(1), &mut WakeList::new());
        self.router
            .end(&session, EndReason::Closed, at(1), &mut WakeList::new());
        published.unwrap().receivers
    }

    /// How many messages wait for it, or why it has ended.
    fn queued(claimed: &Claimed) -> Result<usize, EndReason> {
        let mut taken = Vec::new();
        let mut task = Context::from_waker(Waker::noop());
        match claimed
            .session
            .poll_take(at(1), usize::MAX, &mut taken, &mut task)
        {
            Poll::Ready(Err(reason)) => Err(reason),
            _ => Ok(taken.len()),
        }
    }
}

#[test]
fn ids_of_new_sessions_are_random() {
    let desk = Fixture::new();
    let numbers: BTreeSet<_> = (0..20)
        .map(|id| desk.claim(Name::New, id, at(0)).number)
        .collect();
    assert_eq!(numbers.len(), 20);
    let near = numbers.iter().zip(numbers.iter().skip(1));
    assert!(
        near.clone().all(|(one, next)| next - one > 1000),
        "they are not counted"
    );
}

#[test]
fn a_session_is_there_again_by_its_number_with_its_subscriptions_and_its_queue() {
    let desk = Fixture::new();
    let first = desk.claim(Name::New, 1, at(0));
    desk.subscribe(&first, "t");
    let number = first.number;
    desk.sessions.leave(first, None, at(0));
    assert_eq!(desk.publish("t"), 1, "it is kept for it");
    let again = desk.claim(Name::Number(number), 2, at(99));
    assert_eq!((again.number, Fixture::queued(&again)), (number, Ok(1)));
    assert_eq!(desk.publish("t"), 1);
}

#[test]
fn a_number_that_nobody_has_begins_a_session_of_that_number() {
    let desk = Fixture::new();
    assert_eq!(desk.claim(Name::Number(0), 1, at(0)).number, 0);
    assert_eq!(desk.claim(Name::Number(77), 1, at(0)).number, 77);
}

#[test]
fn a_text_has_the_same_number_while_its_session_lives() {
    let desk = Fixture::new();
    let first = desk.claim(text("robot-number-1"), 1, at(0));
    let number = first.number;
    desk.sessions.leave(first, None, at(0));
    let again = desk.claim(text("robot-number-1"), 2, at(50));
    assert_eq!(again.number, number);
    desk.sessions.leave(again, None, at(50));
    assert_ne!(
        desk.claim(text("robot-number-1"), 3, at(151)).number,
        number
    );
    assert_ne!(desk.claim(text("robot-number-2"), 4, at(0)).number, number);
}

#[test]
fn the_decimal_text_of_the_last_hello_names_its_session_and_of_those_before_it_does_not() {
    let desk = Fixture::new();
    let first = desk.claim(Name::New, 1_764_000_000_000_001, at(0));
    desk.subscribe(&first, "t");
    let number = first.number;
    desk.sessions.leave(first, None, at(0));
    let second = desk.claim(text("1764000000000001"), 1_764_000_000_000_099, at(1));
    assert_eq!(second.number, number);
    desk.sessions.leave(second, None, at(1));
    let wrong = [
        "1764000000000001",
        "01764000000000099",
        "+1764000000000099",
        "1764000000000098",
    ];
    for text_of_before in wrong {
        assert_ne!(
            desk.claim(text(text_of_before), 5, at(2)).number,
            number,
            "{text_of_before}"
        );
    }
    let third = desk.claim(text("1764000000000099"), 6, at(2));
    assert_eq!(third.number, number);
    // A further HELLO by the same connection counts too.
    desk.sessions.greeted_again(&third, 12_345_678);
    desk.sessions.leave(third, None, at(2));
    assert_eq!(desk.claim(text("12345678"), 7, at(3)).number, number);
}

#[test]
fn who_claims_a_number_has_the_session_alone_and_the_one_before_is_told() {
    let desk = Fixture::new();
    let first = desk.claim(Name::New, 1, at(0));
    desk.subscribe(&first, "t");
    let number = first.number;
    let second = desk.claim(Name::Number(number), 2, at(0));
    assert!(first.takeover().unwrap().has_happened());
    assert!(!second.takeover().unwrap().has_happened());
    assert_eq!(desk.publish("t"), 1, "once, and not for both");
    // That the old connection ends takes nothing from the new one.
    desk.sessions.leave(first, None, at(0));
    assert_eq!(Fixture::queued(&second), Ok(1));
    assert_eq!(desk.publish("t"), 1);
}

#[test]
fn several_connections_of_one_text_share_its_subscriptions() {
    let desk = Fixture::new();
    let first = desk.claim(text("the-same-text"), 1, at(0));
    desk.subscribe(&first, "before");
    let second = desk.claim(text("the-same-text"), 2, at(0));
    assert_eq!(first.number, second.number);
    assert!(!first.takeover().unwrap().has_happened());
    desk.subscribe(&second, "after");
    assert_eq!((desk.publish("before"), desk.publish("after")), (2, 2));
    desk.sessions
        .unsubscribe(&first, &Bytes::from_static(b"before"));
    assert_eq!(desk.publish("before"), 0);
    desk.sessions.leave(first, None, at(0));
    assert_eq!(desk.publish("after"), 1);
    desk.sessions.leave(second, None, at(0));
    assert_eq!(desk.publish("after"), 1, "the last one's queue is kept");
    let third = desk.claim(text("the-same-text"), 3, at(1));
    assert!(Fixture::queued(&third).unwrap() >= 1);
}

#[test]
fn connections_of_one_text_have_no_more_subscriptions_together_than_one_may_have() {
    let desk = Fixture::with_subscriptions(6);
    let first = desk.claim(text("the-same-text"), 1, at(0));
    for topic in ["a", "b", "c"] {
        desk.subscribe(&first, topic);
    }
    let second = desk.claim(text("the-same-text"), 2, at(0));
    let told = "RESOURCE_EXHAUSTED: too many subscriptions of connections that share a session: they have 6 at \
                most together";
    assert_eq!(desk.refused(text("the-same-text")), told);
    let refused = desk
        .sessions
        .subscribe(&second, &Bytes::from_static(b"d"), at(0));
    assert_eq!(refused.unwrap_err().to_string(), told);
    // What the session has it may have again, and others have theirs.
    desk.subscribe(&second, "a");
    let other = desk.claim(text("another-text"), 3, at(0));
    desk.subscribe(&other, "d");
    desk.sessions.leave(second, None, at(0));
    desk.subscribe(&first, "d");
    assert_eq!((desk.publish("a"), desk.publish("d")), (1, 2));
}

#[test]
fn so_many_connections_share_a_text_and_no_more() {
    let desk = Fixture::new();
    let mut sharing: Vec<_> = (0..MAX_SHARING as u64)
        .map(|id| desk.claim(text("the-same-text"), id, at(0)))
        .collect();
    let told = "RESOURCE_EXHAUSTED: too many connections share this session: 64 are allowed";
    assert_eq!(desk.refused(text("the-same-text")), told);
    // One that has gone leaves its place, and whoever names the number has the session alone.
    let gone = sharing.pop().unwrap();
    let number = gone.number;
    desk.sessions.leave(gone, None, at(0));
    sharing.push(desk.claim(text("the-same-text"), 100, at(0)));
    desk.claim(Name::Number(number), 101, at(0));
    assert!(
        sharing
            .iter()
            .all(|one| one.takeover().unwrap().has_happened())
    );
}

#[test]
fn another_principal_finds_nothing_by_any_id() {
    let desk = Fixture::new();
    let victim = desk.claim(text("robot-number-1"), 12_345_678, at(0));
    desk.subscribe(&victim, "t");
    let number = victim.number;
    for name in [
        Name::Number(number),
        text("robot-number-1"),
        text("12345678"),
    ] {
        let thief = desk.claim_as("eve", name, 12_345_678, at(0));
        assert_eq!(desk.publish("t"), 1, "the victim alone hears it");
        desk.sessions.leave(thief, None, at(0));
    }
    assert!(!victim.takeover().unwrap().has_happened());
    assert_eq!(desk.claim(text("12345678"), 1, at(0)).number, number);
}

#[test]
fn without_resumption_every_hello_has_a_new_session_and_nothing_is_kept() {
    let desk = Fixture::new();
    let who = Principal::new("ada");
    let claim = |name, may_resume| {
        let hello = hello(name, 12_345_678);
        desk.sessions
            .claim(&hello, &who, &desk.rights, may_resume, at(0))
            .unwrap()
    };
    let first = claim(text("robot-number-1"), false);
    desk.subscribe(&first, "t");
    let number = first.number;
    desk.sessions.leave(first, None, at(0));
    assert_eq!(desk.publish("t"), 0);
    for name in [
        Name::Number(number),
        text("robot-number-1"),
        text("12345678"),
    ] {
        assert_ne!(claim(name, false).number, number);
    }
    assert_eq!(desk.sessions.counts(), (0, 0, 0));
}

#[test]
fn what_is_away_too_long_ends_and_leaves_nothing_behind() {
    let desk = Fixture::new();
    let claimed = desk.claim(text("robot-number-1"), 1, at(0));
    desk.subscribe(&claimed, "t");
    desk.sessions.leave(claimed, None, at(10));
    assert_eq!(desk.sessions.expire(at(109)), Some(at(110)));
    assert_eq!(desk.sessions.counts(), (1, 1, 1));
    assert_eq!(desk.sessions.expire(at(110)), None);
    assert_eq!(desk.sessions.counts(), (0, 0, 0));
    assert_eq!(desk.publish("t"), 0);
}

#[test]
fn so_many_sessions_are_away_at_most_and_the_oldest_end_first() {
    let desk = Fixture::new();
    let mut numbers = Vec::new();
    for number in 0..3 {
        let claimed = desk.claim(Name::New, number, at(number));
        desk.subscribe(&claimed, "t");
        numbers.push(claimed.number);
        desk.sessions.leave(claimed, None, at(number));
    }
    assert_eq!(desk.publish("t"), 2);
    // Coming and going for ever leaves no trace either.
    for round in 0..1000 {
        let again = desk.claim(Name::Number(numbers[2]), 1000 + round, at(3));
        desk.sessions.leave(again, None, at(3));
    }
    assert!(desk.sessions.lock().away.len() <= 2 * 2 + 64);
    assert_eq!(desk.sessions.counts(), (2, 0, 2));
}

#[test]
fn a_session_that_was_over_its_limits_is_there_again_without_what_it_lost() {
    let desk = Fixture::new();
    let claimed = desk.claim(Name::New, 1, at(0));
    desk.subscribe(&claimed, "t");
    let number = claimed.number;
    desk.sessions.leave(claimed, None, at(0));
    for _ in 0..12 {
        desk.publish("t");
    }
    let again = desk.claim(Name::Number(number), 2, at(2));
    assert_eq!((again.number, Fixture::queued(&again)), (number, Ok(0)));
    assert_eq!(desk.publish("t"), 1, "it hears what it did");
    // So does one that was too slow.
    desk.sessions
        .leave(again, Some(EndReason::SlowConsumer), at(2));
    assert_eq!(desk.publish("t"), 0, "nothing is queued for it meanwhile");
    let again = desk.claim(Name::Number(number), 3, at(3));
    assert_eq!((again.number, desk.publish("t")), (number, 1));
}
