//! Tests of interleavings: publishers, takers, and those who change subscriptions and rights, in many orders.
//!
//! Under `--cfg shuttle` the orders are chosen (`.ci/interleavings`): each test also runs with a deliberate fault, and fails
//! unless that is found. Otherwise they are those of threads.

#[cfg(not(shuttle))]
use std::thread;

#[cfg(shuttle)]
use shuttle::thread;
use std::sync::atomic::Ordering::SeqCst;

use super::*;
use crate::router::{
    fault_injection::FaultInjection,
    sync::{AtomicUsize, Mutex, lock},
};

/// How many messages a publisher sends.
const COUNT: usize = 3;

/// Runs a scenario in many orders, without a fault and with one that has to be found.
#[cfg(not(shuttle))]
fn check(_fault: Option<FaultInjection>, scenario: fn()) {
    const ROUNDS: usize = 300;
    for _ in 0..ROUNDS {
        scenario();
    }
}

#[cfg(shuttle)]
fn check(fault: Option<FaultInjection>, scenario: fn()) {
    use shuttle::scheduler::{PctScheduler, RandomScheduler};

    /// How many schedules are tried without a fault, for each of two schedulers.
    const SCHEDULES: usize = 500;
    /// How many are tried at most until a fault is found.
    const SCHEDULES_TO_FIND: usize = 20_000;
    let run = |schedules| {
        let config = || {
            let mut config = shuttle::Config::new();
            config.failure_persistence = shuttle::FailurePersistence::None;
            config.stack_size = 512 * 1024;
            config
        };
        // Few changes of priority find most faults, and find them soon.
        let priorities = PctScheduler::new(3, schedules);
        shuttle::Runner::new(priorities, config()).run(scenario);
        let random = RandomScheduler::new(schedules);
        shuttle::Runner::new(random, config()).run(scenario);
    };
    run(SCHEDULES);
    if fault.is_some() {
        FaultInjection::switch(fault);
        let found = std::panic::catch_unwind(|| run(SCHEDULES_TO_FIND));
        FaultInjection::switch(None);
        assert!(found.is_err(), "{fault:?} was not found");
    }
}

/// Publishes the numbers from 1 on a thread of its own. The second one that is returned says which it has begun with.
fn publish_all(
    mut publisher: Peer,
    kind: MsgKind,
    topic: &'static str,
) -> (thread::JoinHandle<()>, Arc<AtomicUsize>) {
    let begun = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&begun);
    let publishing = thread::spawn(move || {
        for number in 1..=COUNT {
            counter.store(number, SeqCst);
            let published = publisher.publish(kind, topic, &[&number.to_string()]);
            published.expect("published");
        }
    });
    (publishing, begun)
}

fn all() -> Vec<String> {
    (1..=COUNT).map(|number| number.to_string()).collect()
}

/// What wakes a thread.
struct Unpark(thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Sleeps until the thread is woken; for ever, if it is not.
fn park() {
    #[cfg(shuttle)]
    thread::park();
    #[cfg(not(shuttle))]
    thread::park_timeout(Duration::from_secs(60));
}

#[test]
fn what_is_published_after_a_subscription_is_heard_by_it() {
    check(Some(FaultInjection::OldRoutes), || {
        let router = router();
        let mut publisher = Peer::new(&router);
        let published = publisher.publish(MsgKind::Event, "a", &["0"]);
        published.expect("it knows the route");
        let (publishing, begun) = publish_all(publisher, MsgKind::Event, "a");
        let one = Peer::new(&router);
        one.subscribe("a");
        let before = begun.load(SeqCst);
        publishing.join().expect("no panic");
        let heard = one.take();
        assert!(all().ends_with(&heard), "{heard:?}");
        assert!(heard.len() >= COUNT - before, "{heard:?} after {before}");
    });
}

#[test]
fn who_subscribes_while_states_are_published_has_the_last_one() {
    check(Some(FaultInjection::KeepByOldRoute), || {
        let router = router();
        let mut publisher = Peer::new(&router);
        let published = publisher.publish(MsgKind::State, "a", &["0"]);
        published.expect("it is kept");
        let (publishing, _) = publish_all(publisher, MsgKind::State, "a");
        let one = Peer::new(&router);
        one.subscribe("#");
        publishing.join().expect("no panic");
        assert_eq!(one.take(), all()[COUNT - 1..]);
    });
}

#[test]
fn nothing_is_heard_by_a_grant_that_was_withdrawn() {
    check(Some(FaultInjection::TakeByOldRights), || {
        let router = router();
        let giver = Peer::with(&router, service(&["a/#"]), Dialect::Msip);
        let filter = TopicFilter::new("a/#").expect("a filter");
        let granted = router.grant(&giver.session, filter.clone(), ALL, NOW);
        granted.expect("a grant");
        let one = Peer::with(&router, client(), Dialect::Msip);
        one.subscribe("a/b");
        let (publishing, _) = publish_all(Peer::new(&router), MsgKind::Event, "a/b");
        assert!(router.revoke(&giver.session, &filter, NOW));
        publishing.join().expect("no panic");
        assert!(one.take().is_empty());
    });
}

#[test]
fn whose_rights_change_and_still_allow_it_hears_all() {
    check(None, || {
        let router = router();
        let one = Peer::new(&router);
        one.subscribe("a");
        let (publishing, _) = publish_all(Peer::new(&router), MsgKind::Event, "a");
        assert!(router.reauthorize(&one.session, Arc::new(Rights::all()), NOW));
        publishing.join().expect("no panic");
        assert_eq!(one.take(), all());
    });
}

/// One of two services goes while COMMANDs are published: each of these is with the other, or with the first as it left.
fn a_service_goes(goes: fn(&Peer)) {
    let router = router();
    let services = [Peer::new(&router), Peer::new(&router)];
    for service in &services {
        service.subscribe("a/$in");
    }
    let (publishing, _) = publish_all(Peer::new(&router), MsgKind::Command, "a");
    goes(&services[0]);
    publishing.join().expect("no panic");
    assert!(services[0].take().is_empty(), "another one is there");
    let mut heard = services[1].take();
    heard.sort();
    assert_eq!(heard, all());
}

#[test]
fn what_is_published_to_a_service_that_ends_goes_to_another() {
    check(Some(FaultInjection::LoseLeft), || {
        a_service_goes(Peer::end);
    });
}

#[test]
fn what_is_published_to_a_service_that_loses_its_connection_goes_to_another() {
    check(Some(FaultInjection::ChooseAway), || {
        a_service_goes(Peer::suspend);
    });
}

/// A call that notes that it was refused.
#[derive(Debug)]
struct Noted(Arc<Mutex<usize>>);

impl Exchange for Noted {
    fn pinned(&self) -> usize {
        1
    }

    fn refuse(self: Box<Self>, _why: Refused) {
        *lock(&self.0) += 1;
    }
}

#[test]
fn each_call_has_one_outcome_while_its_services_go() {
    check(Some(FaultInjection::LoseLeft), || {
        let router = router();
        let services = [Peer::new(&router), Peer::new(&router)];
        for service in &services {
            service.subscribe("a/$in");
        }
        let refused = Arc::new(Mutex::new(0));
        let (mut caller, noted) = (Peer::new(&router), Arc::clone(&refused));
        let calling = thread::spawn(move || {
            for _ in 0..COUNT {
                let request = Request {
                    topic: Bytes::from_static(b"a"),
                    exchange: Box::new(Noted(Arc::clone(&noted))),
                    tried: Vec::new(),
                };
                let mut wakes = WakeList::new();
                if let Err((why, request)) = caller.publisher.request(request, NOW, &mut wakes) {
                    request.exchange.refuse(why);
                }
            }
        });
        services[0].suspend();
        services[1].end();
        calling.join().expect("no panic");
        assert!(services.iter().all(|one| one.items().is_empty()));
        assert_eq!(*lock(&refused), COUNT);
        assert!(services.iter().all(|one| one.session.open_calls() == 0));
    });
}

#[test]
fn a_taker_that_waits_is_woken() {
    check(Some(FaultInjection::WakeNobody), || {
        let router = router();
        let one = Peer::new(&router);
        one.subscribe("a");
        let (publishing, _) = publish_all(Peer::new(&router), MsgKind::Event, "a");
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut task = Context::from_waker(&waker);
        let mut taken = Vec::new();
        while taken.len() < COUNT {
            match one.session.poll_take(NOW, 1, &mut taken, &mut task) {
                Poll::Pending => park(),
                Poll::Ready(outcome) => outcome.expect("the session"),
            }
        }
        publishing.join().expect("no panic");
    });
}

#[test]
fn a_publisher_that_is_pushed_back_is_woken_by_who_takes() {
    check(None, || {
        let router = Router::new(Limits {
            outgoing_messages: 2,
            ..Limits::default()
        });
        let one = Peer::new(&router);
        one.subscribe("a");
        let mut publisher = Peer::new(&router);
        let publishing = thread::spawn(move || {
            let waker = Waker::from(Arc::new(Unpark(thread::current())));
            let mut task = Context::from_waker(&waker);
            for _ in 0..2 * COUNT {
                let published = publisher.publish(MsgKind::Event, "a", &["1"]);
                published.expect("published");
                while publisher.publisher.poll_ready(NOW, &mut task).is_pending() {
                    park();
                }
            }
        });
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut task = Context::from_waker(&waker);
        let mut taken = Vec::new();
        while taken.len() < 2 * COUNT {
            match one.session.poll_take(NOW, 1, &mut taken, &mut task) {
                Poll::Pending => park(),
                Poll::Ready(outcome) => outcome.expect("not slow: it is waited for"),
            }
        }
        publishing.join().expect("no panic");
    });
}
