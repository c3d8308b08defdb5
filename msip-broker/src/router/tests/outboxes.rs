//! The queues of sessions: limits, slow consumers, pressure on publishers.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// Limits of a few messages.
fn few() -> Router {
    Router::new(Limits {
        outgoing_messages: 10,
        session_messages: 5,
        droppable_bytes: 400,
        ..Limits::default()
    })
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

/// Publishes each number by itself.
fn publish_each(publisher: &mut Peer, kind: MsgKind, topic: &str, count: usize) {
    for body in numbers(count) {
        publisher.publish(kind, topic, &[&body]).expect("published");
    }
}

struct Wakes(AtomicUsize);

impl std::task::Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_connection_that_waits_is_woken_once_by_what_comes_together() {
    let router = router();
    let (one, mut publisher) = (Peer::new(&router), Peer::new(&router));
    one.subscribe("a");
    let count = Arc::new(Wakes(AtomicUsize::new(0)));
    let waker = Waker::from(count.clone());
    let mut task = Context::from_waker(&waker);
    let mut taken = Vec::new();
    assert!(
        one.session
            .poll_take(NOW, 1, &mut taken, &mut task)
            .is_pending()
    );
    let mut wakes = WakeList::new();
    for _ in 0..3 {
        let publication = publisher.publication(MsgKind::Event, "a", &["1"]);
        publisher
            .publisher
            .publish(publication, NOW, &mut wakes)
            .expect("published");
    }
    assert_eq!(count.0.load(Ordering::Relaxed), 0, "at the end of the turn");
    wakes.wake();
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
}

#[test]
fn log_and_metric_are_dropped_oldest_first_and_counted() {
    let router = few();
    let (one, mut publisher) = (Peer::new(&router), Peer::new(&router));
    one.subscribe("a");
    publisher
        .publish(MsgKind::Event, "a", &["event"])
        .expect("published");
    publish_each(&mut publisher, MsgKind::Log, "a", 30);
    let taken = one.take();
    assert_eq!(taken.first().map(String::as_str), Some("event"));
    assert_eq!(taken.last().map(String::as_str), Some("29"), "{taken:?}");
    assert_eq!(one.session.dropped() as usize, 31 - taken.len());
    assert!(taken.len() > 5, "{taken:?}");
    assert!(matches!(one.take_one(), Poll::Pending), "it is not slow");
}

#[test]
fn a_log_makes_place_for_an_event() {
    let router = few();
    let (one, mut publisher) = (Peer::new(&router), Peer::new(&router));
    one.subscribe("#");
    // It is in the middle of writing.
    publisher
        .publish(MsgKind::Event, "a", &["first"])
        .expect("published");
    assert!(one.take_one().is_ready());
    publish_each(&mut publisher, MsgKind::Log, "log", 5);
    publish_each(&mut publisher, MsgKind::Event, "a", 10);
    assert_eq!(one.take(), numbers(10));
    assert_eq!(one.session.dropped(), 5);
}

#[test]
fn logs_that_wait_are_not_dropped_for_one_that_has_no_place_either() {
    let router = few();
    let (one, mut publisher) = (Peer::new(&router), Peer::new(&router));
    one.subscribe("a");
    publish_each(&mut publisher, MsgKind::Event, "a", 18);
    publisher
        .publish(MsgKind::Log, "a", &["waits"])
        .expect("published");
    publisher
        .publish(MsgKind::Log, "a", &["1", "2", "3"])
        .expect("published");
    assert_eq!(one.take().last().map(String::as_str), Some("waits"));
    assert_eq!(one.session.dropped(), 3);
}

#[test]
fn a_subscriber_that_is_over_its_limit_while_it_writes_is_ended_and_told() {
    let router = few();
    let (slow, other, mut publisher) = (Peer::new(&router), Peer::new(&router), Peer::new(&router));
    slow.subscribe("a");
    other.subscribe("a");
    publisher
        .publish(MsgKind::Event, "a", &["first"])
        .expect("published");
    assert!(slow.take_one().is_ready());
    publish_each(&mut publisher, MsgKind::Event, "a", 11);
    assert_eq!(slow.take_one(), Poll::Ready(Err(EndReason::SlowConsumer)));
    assert_eq!(
        EndReason::SlowConsumer.told(),
        (Code::ResourceExhausted, "slow consumer")
    );
    assert_eq!(other.take().len(), 12, "others lose nothing");
    let totals = router.totals();
    assert!(
        totals.ended.contains(&(EndReason::SlowConsumer, 1)),
        "{totals:?}"
    );
    assert_eq!(totals.sessions, 2);
    assert_eq!(totals.dropped, 10, "what waited is counted");
}

#[test]
fn one_that_has_not_had_its_turn_is_not_slow() {
    let router = few();
    let (one, mut publisher) = (Peer::new(&router), Peer::new(&router));
    one.subscribe("a");
    publish_each(&mut publisher, MsgKind::Event, "a", 15);
    assert_eq!(one.take().len(), 15);
}

#[test]
fn but_what_waits_for_its_turn_is_bounded_too() {
    let router = few();
    let (one, mut publisher) = (Peer::new(&router), Peer::new(&router));
    one.subscribe("a");
    publish_each(&mut publisher, MsgKind::Event, "a", 21);
    assert_eq!(one.take_one(), Poll::Ready(Err(EndReason::SlowConsumer)));
}

#[test]
fn a_publisher_waits_for_a_long_queue_but_not_for_ever() {
    let router = few();
    let (one, mut publisher) = (Peer::new(&router), Peer::new(&router));
    one.subscribe("a");
    let mut task = Context::from_waker(Waker::noop());
    publish_each(&mut publisher, MsgKind::Event, "a", 5);
    assert!(publisher.publisher.poll_ready(NOW, &mut task).is_ready());
    let published = publisher
        .publish(MsgKind::Event, "a", &["5"])
        .expect("published");
    assert!(published.is_congested);
    let count = Arc::new(Wakes(AtomicUsize::new(0)));
    let waker = Waker::from(count.clone());
    let mut task = Context::from_waker(&waker);
    assert!(publisher.publisher.poll_ready(NOW, &mut task).is_pending());
    let until = publisher.publisher.wait_until().expect("a time");
    assert_eq!(until, router.limits().push_back);
    assert_eq!(one.take().len(), 6);
    assert_eq!(count.0.load(Ordering::Relaxed), 1, "it is woken");
    assert!(publisher.publisher.poll_ready(NOW, &mut task).is_ready());

    publish_each(&mut publisher, MsgKind::Event, "a", 6);
    assert!(publisher.publisher.poll_ready(NOW, &mut task).is_pending());
    assert!(publisher.publisher.poll_ready(until, &mut task).is_ready());
}

#[test]
fn a_subscriber_that_goes_on_taking_is_waited_for_and_never_cut() {
    let router = few();
    let (one, mut publisher) = (Peer::new(&router), Peer::new(&router));
    one.subscribe("a");
    let mut task = Context::from_waker(Waker::noop());
    let push_back = router.limits().push_back;
    publish_each(&mut publisher, MsgKind::Event, "a", 9);
    let mut now = NOW;
    for _ in 0..100 {
        // It needs nearly too long, each time.
        now += push_back * 9 / 10;
        assert!(publisher.publisher.poll_ready(now, &mut task).is_pending());
        assert_eq!(
            publisher.publisher.wait_until().expect("a time"),
            now + push_back / 10
        );
        assert!(one.take_one_at(now).is_ready());
        assert!(publisher.publisher.poll_ready(now, &mut task).is_pending());
        let publication = publisher.publication(MsgKind::Event, "a", &["more"]);
        let published = publisher
            .publisher
            .publish(publication, now, &mut WakeList::new());
        assert!(published.expect("published").is_congested);
    }
    assert!(one.session.is_connected());
}

#[test]
fn nobody_waits_for_a_subscriber_that_has_stopped_until_it_takes_again() {
    let router = few();
    let (stuck, other) = (Peer::new(&router), Peer::new(&router));
    let mut publisher = Peer::new(&router);
    stuck.subscribe("a");
    other.subscribe("a");
    let mut task = Context::from_waker(Waker::noop());
    let late = NOW + router.limits().push_back;
    let mut publish_at = |now, body| {
        let publication = publisher.publication(MsgKind::Event, "a", &[body]);
        let published = publisher
            .publisher
            .publish(publication, now, &mut WakeList::new());
        (
            published.expect("published").is_congested,
            publisher.publisher.poll_ready(now, &mut task).is_pending(),
        )
    };
    // It writes the first, and never returns for more.
    publish_at(NOW, "first");
    assert!(stuck.take_one().is_ready());
    for _ in 0..5 {
        other.take();
        assert_eq!(publish_at(NOW, "next"), (false, false));
    }
    other.take();
    assert_eq!(publish_at(NOW, "long"), (true, true));
    assert_eq!(publish_at(late, "not waited for"), (false, false));
    // What is written of the first is progress, if it is enough.
    stuck.session.wrote(100, late);
    assert_eq!(publish_at(late, "too little"), (false, false));
    stuck.session.wrote(64 * 1024, late);
    assert_eq!(publish_at(late, "it goes on"), (true, true));
    // And stops again.
    let later = late + router.limits().push_back;
    assert_eq!(publish_at(later, "the last that fits"), (false, false));
    other.take();
    assert_eq!(publish_at(later, "too much"), (false, false));
    assert_eq!(stuck.take_one(), Poll::Ready(Err(EndReason::SlowConsumer)));
    assert_eq!(other.take(), ["too much"]);
}

#[test]
fn one_that_was_short_meanwhile_has_its_time_again() {
    let router = few();
    let (one, mut publisher) = (Peer::new(&router), Peer::new(&router));
    one.subscribe("a");
    publish_each(&mut publisher, MsgKind::Event, "a", 7);
    one.take();
    let late = NOW + 2 * router.limits().push_back;
    let publication = publisher.publication(MsgKind::Event, "a", &["1"; 7]);
    let published = publisher
        .publisher
        .publish(publication, late, &mut WakeList::new());
    assert!(published.expect("published").is_congested);
}

#[test]
fn a_writer_that_cannot_go_on_is_woken_by_the_end() {
    let router = few();
    let (one, mut publisher) = (Peer::new(&router), Peer::new(&router));
    one.subscribe("a");
    let count = Arc::new(Wakes(AtomicUsize::new(0)));
    let waker = Waker::from(count.clone());
    let mut task = Context::from_waker(&waker);
    publisher
        .publish(MsgKind::Event, "a", &["first"])
        .expect("published");
    assert!(one.take_one().is_ready());
    assert!(one.session.poll_ended(&mut task).is_pending());
    publish_each(&mut publisher, MsgKind::Event, "a", 10);
    assert_eq!(count.0.load(Ordering::Relaxed), 0, "it cannot write");
    publisher
        .publish(MsgKind::Event, "a", &["too much"])
        .expect("published");
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert_eq!(
        one.session.poll_ended(&mut task),
        Poll::Ready(EndReason::SlowConsumer)
    );
}

#[test]
fn urgent_messages_go_first_and_leave_half_of_the_bytes() {
    let router = router();
    let (one, mut publisher) = (Peer::new(&router), Peer::new(&router));
    one.subscribe("a");
    publish_each(&mut publisher, MsgKind::Event, "a", 3);
    for body in ["u1", "u2", "u3"] {
        let mut publication = publisher.publication(MsgKind::Event, "a", &[body]);
        publication.urgent = true;
        publisher.send(publication).expect("published");
    }
    assert_eq!(one.take(), ["u1", "0", "1", "u2", "2", "u3"]);
}

#[test]
fn what_has_expired_is_not_delivered() {
    let router = router();
    let (one, mut publisher) = (Peer::new(&router), Peer::new(&router));
    one.subscribe("a");
    for (body, seconds) in [("soon", 1), ("late", 9)] {
        let mut publication = publisher.publication(MsgKind::Event, "a", &[body]);
        publication.expires_at = Some(Duration::from_secs(seconds));
        publisher.send(publication).expect("published");
    }
    assert_eq!(one.items_at(Duration::from_secs(5)).len(), 1);
    assert_eq!(one.session.dropped(), 1);
}

#[test]
fn a_small_run_counts_for_the_buffer_that_it_keeps() {
    let router = Router::new(Limits {
        outgoing_bytes: 1000,
        ..Limits::default()
    });
    let (one, mut publisher) = (Peer::new(&router), Peer::new(&router));
    one.subscribe("a");
    let mut publication = publisher.publication(MsgKind::Event, "a", &["1"]);
    publication.pinned = 600;
    assert!(publisher.send(publication).expect("published").is_congested);
    assert_eq!(one.session.waiting_bytes(), 600);
    drop(one.items());
    assert_eq!(one.session.waiting_bytes(), 0);
}
