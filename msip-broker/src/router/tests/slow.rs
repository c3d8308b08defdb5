//! A subscriber that is slower than the others, and one that is merely slower than its publisher.

use super::*;

const TOPIC: &str = "a";

/// Subscribers that each take so many messages a millisecond, and a publisher that could send 10.
struct Race {
    router: Router,
    publisher: Peer,
    subscribers: Vec<(Peer, usize)>,
    taken: Vec<usize>,
    now: Duration,
}

impl Race {
    fn new(rates: &[usize]) -> Self {
        let router = Router::new(Limits {
            outgoing_messages: 400,
            ..Limits::default()
        });
        let subscribers = rates.iter().map(|rate| {
            let one = Peer::new(&router);
            one.subscribe(TOPIC);
            (one, *rate)
        });
        Self {
            subscribers: subscribers.collect(),
            publisher: Peer::new(&router),
            taken: vec![0; rates.len()],
            router,
            now: NOW,
        }
    }

    /// A millisecond passes: the publisher sends if it may, and each subscriber takes what it can.
    fn tick(&mut self) {
        let mut task = Context::from_waker(Waker::noop());
        self.now += Duration::from_millis(1);
        let (now, publisher) = (self.now, &mut self.publisher);
        if publisher.publisher.poll_ready(now, &mut task).is_ready() {
            for _ in 0..10 {
                let publication = publisher.publication(MsgKind::Event, TOPIC, &["1"]);
                let mut wakes = WakeList::new();
                let published = publisher.publisher.publish(publication, now, &mut wakes);
                published.expect("published");
            }
        }
        for ((one, rate), taken) in self.subscribers.iter().zip(&mut self.taken) {
            for _ in 0..*rate {
                if let Poll::Ready(Ok(())) = one.take_one_at(now) {
                    *taken += 1;
                }
            }
        }
    }

    fn is_cut(&self, at: usize) -> bool {
        let (one, _) = &self.subscribers[at];
        one.take_one_at(self.now) == Poll::Ready(Err(EndReason::SlowConsumer))
    }
}

#[test]
fn a_slow_subscriber_costs_the_others_a_tenth_at_most_and_is_cut() {
    let mut race = Race::new(&[20, 20, 20, 20, 1]);
    for _ in 0..2000 {
        race.tick();
    }
    assert!(race.is_cut(4), "it takes a tenth of what is published");
    for at in 0..4 {
        assert!(!race.is_cut(at));
        assert!(race.taken[at] >= 2000 * 10 * 9 / 10, "{:?}", race.taken);
    }
}

#[test]
fn one_that_is_slower_than_its_publisher_alone_sets_the_pace() {
    let mut race = Race::new(&[1]);
    for _ in 0..5000 {
        race.tick();
    }
    assert!(!race.is_cut(0));
    assert_eq!(race.taken[0], 5000, "and is never idle");
}

#[test]
fn subscribers_that_are_as_slow_as_each_other_set_the_pace() {
    let mut race = Race::new(&[3, 3, 3, 3]);
    for _ in 0..5000 {
        race.tick();
    }
    for at in 0..4 {
        assert!(!race.is_cut(at));
        assert_eq!(race.taken[at], 15_000);
    }
}

#[test]
fn who_hears_other_topics_of_the_publisher_waits_no_longer_either() {
    let mut race = Race::new(&[1]);
    let other = Peer::new(&race.router);
    other.subscribe("b");
    let mut heard = 0;
    for _ in 0..2000 {
        race.tick();
        let mut task = Context::from_waker(Waker::noop());
        let publisher = &mut race.publisher;
        if publisher
            .publisher
            .poll_ready(race.now, &mut task)
            .is_ready()
        {
            let publication = publisher.publication(MsgKind::Event, "b", &["1"]);
            let mut wakes = WakeList::new();
            let published = publisher
                .publisher
                .publish(publication, race.now, &mut wakes);
            published.expect("published");
        }
        heard += other.items_at(race.now).len();
    }
    assert!(race.is_cut(0));
    assert!(heard >= 2000 * 9 / 10, "{heard}");
}

#[test]
fn messages_that_are_dropped_give_a_stuck_subscriber_no_more_time() {
    let router = Router::new(Limits {
        outgoing_messages: 10,
        droppable_bytes: 400,
        ..Limits::default()
    });
    let (one, mut publisher) = (Peer::new(&router), Peer::new(&router));
    one.subscribe(TOPIC);
    let mut send = |kind: MsgKind, bodies: &[&str], now: Duration| {
        let mut publication = publisher.publication(kind, TOPIC, bodies);
        publication.pinned = 100 * bodies.len();
        let mut wakes = WakeList::new();
        let published = publisher.publisher.publish(publication, now, &mut wakes);
        published.expect("published").is_congested
    };
    assert!(!send(MsgKind::Event, &["1", "2", "3"], NOW));
    assert!(send(MsgKind::Log, &["1", "2", "3"], NOW));
    let late = NOW + router.limits().push_back;
    assert!(!send(MsgKind::Log, &["4", "5"], late), "five wait");
    assert!(
        !send(MsgKind::Log, &["6", "7"], late),
        "seven, and nobody takes any"
    );
    assert_eq!(one.session.waiting(), 7);
}
