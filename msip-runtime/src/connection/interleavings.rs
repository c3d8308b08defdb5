//! Tests of interleavings: `shuttle` runs senders, the driver, and what ends either of them, in many orders.
//!
//! Each test also runs with a deliberate fault, and fails unless the fault is found. A task that waits for ever is found
//! as a deadlock: all threads wait.
//!
//! Run them by `.ci/interleavings`.

mod network;
mod relays;

use std::{
    future::Future,
    panic::catch_unwind,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use shuttle::{
    future::block_on,
    scheduler::{PctScheduler, RandomScheduler},
    thread,
};

use super::fault_injection::FaultInjection;
use crate::{CallError, CallOptions, SendError, Status, wire::Code};
use network::{HELD, Network, Say, note};

/// How many schedules are tried without a fault, for each of two schedulers.
const SCHEDULES: usize = 250;

/// How many are tried at most until a fault is found.
const SCHEDULES_TO_FIND: usize = 20_000;

/// Runs a scenario in many orders, without a fault and with one that has to be found.
pub(crate) fn check(fault: FaultInjection, scenario: fn()) {
    // Timers need a runtime, whose clock is never driven: the time is the network's. It is leaked, since it would
    // wake the tasks of a schedule that has failed.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let runtime: &tokio::runtime::Runtime = Box::leak(Box::new(runtime));
    let _in_runtime = runtime.enter();
    FaultInjection::switch_on(None);
    let run = |schedules| {
        let config = || {
            let mut config = shuttle::Config::new();
            config.failure_persistence = shuttle::FailurePersistence::None;
            // Of each thread: a debug build of what they run needs more than the default.
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
    FaultInjection::switch_on(Some(fault));
    let found = catch_unwind(|| run(SCHEDULES_TO_FIND));
    FaultInjection::switch_on(None);
    assert!(found.is_err(), "{fault:?} was not found");
}

/// Asks for an answer, on the fast path.
async fn ask(network: &Network, number: u32) -> Result<Say, CallError> {
    let options = CallOptions::new();
    network.client.call(&Say::Ask(number), &options).await
}

/// The same on the slow path.
async fn ask_within(network: &Network, number: u32, timeout: Duration) -> Result<Say, CallError> {
    let options = CallOptions::new().timeout(timeout);
    network.client.call(&Say::Ask(number), &options).await
}

/// Polls a future that is dropped later, or awaited.
fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn what_is_sent_is_written_although_the_driver_falls_asleep() {
    check(FaultInjection::SleepWithoutLooking, || {
        let network = Network::start();
        let senders = [1, 2].map(|number| {
            let network = Arc::clone(&network);
            thread::spawn(move || {
                let sent = network.client.try_send(&note(number), &CallOptions::new());
                assert_eq!(sent, Ok(()));
            })
        });
        network.wait_until(|peer| peer.notes.len() == 2);
        join(senders);
        network.stop();
    });
}

#[test]
fn each_answer_reaches_its_caller() {
    check(FaultInjection::StoreReplyWakerLate, || {
        let network = Network::start();
        let other = Arc::clone(&network);
        let fast = thread::spawn(move || {
            let answer = block_on(ask(&other, 1));
            assert!(matches!(answer, Ok(Say::Ask(1))));
        });
        let answer = block_on(ask_within(&network, 2, Duration::from_secs(90)));
        assert!(matches!(answer, Ok(Say::Ask(2))));
        join([fast]);
        network.assert_idle();
        network.stop();
    });
}

#[test]
fn a_call_that_is_given_up_takes_no_other_call_with_it() {
    check(FaultInjection::GiveUpWithoutLooking, || {
        let network = Network::start();
        let (one, other) = (Arc::clone(&network), Arc::clone(&network));
        let given_up = thread::spawn(move || {
            let call = ask(&one, 1);
            let mut call = Box::pin(call);
            let _ = poll_once(call.as_mut());
            drop(call);
        });
        let answered = thread::spawn(move || {
            for number in [2, 3] {
                let answer = block_on(ask(&other, number));
                assert!(matches!(answer, Ok(Say::Ask(n)) if n == number));
            }
        });
        join([given_up, answered]);
        network.assert_idle();
        network.stop();
    });
}

#[test]
fn capacity_that_nobody_takes_goes_to_the_next_in_the_queue() {
    check(FaultInjection::LeaveWithoutWaking, || {
        let network = Network::with_max_calls(1);
        let [one, two, three] = [(); 3].map(|()| Arc::clone(&network));
        let first = thread::spawn(move || {
            assert!(block_on(ask(&one, 1)).is_ok());
        });
        let given_up = thread::spawn(move || {
            let mut call = Box::pin(ask(&two, 2));
            let _ = poll_once(call.as_mut());
            thread::yield_now();
            drop(call);
        });
        let last = thread::spawn(move || {
            assert!(block_on(ask(&three, 3)).is_ok());
        });
        join([first, given_up, last]);
        network.assert_idle();
        network.stop();
    });
}

#[test]
fn a_call_that_waits_for_capacity_ends_at_its_deadline() {
    check(FaultInjection::JoinWithoutDriver, || {
        let network = Network::with_max_calls(1);
        let open = Arc::clone(&network);
        let open = thread::spawn(move || {
            let answer = block_on(ask_within(&open, HELD, Duration::from_secs(300)));
            assert!(matches!(answer, Ok(Say::Ask(HELD))));
        });
        network.wait_until(|peer| peer.has_held());
        {
            let mut waiting = pin!(ask(&network, 1));
            assert!(poll_once(waiting.as_mut()).is_pending());
            let clock = Arc::clone(&network);
            let clock = thread::spawn(move || clock.advance(Duration::from_secs(31)));
            let ended = block_on(waiting);
            assert!(matches!(ended, Err(CallError::DeadlineExceeded { .. })));
            join([clock]);
        }
        network.answer_held();
        join([open]);
        network.assert_idle();
        network.stop();
    });
}

#[test]
fn an_answer_and_a_deadline_end_a_call_once() {
    check(FaultInjection::ExpireSilently, || {
        let network = Network::start();
        let [caller, clock, peer] = [(); 3].map(|()| Arc::clone(&network));
        let caller = thread::spawn(move || match block_on(ask(&caller, HELD)) {
            Ok(Say::Ask(HELD)) | Err(CallError::DeadlineExceeded { .. }) => {}
            other => panic!("{other:?}"),
        });
        network.wait_until(|peer| peer.has_held());
        let clock = thread::spawn(move || clock.advance(Duration::from_secs(31)));
        let peer = thread::spawn(move || peer.answer_held());
        join([caller, clock, peer]);
        let answer = block_on(ask(&network, 2));
        assert!(matches!(answer, Ok(Say::Ask(2))));
        network.assert_idle();
        network.stop();
    });
}

#[test]
fn what_waits_for_capacity_ends_when_the_connection_closes() {
    check(FaultInjection::CloseSilently, || {
        let network = Network::with_max_calls(1);
        let [open, closing] = [(); 2].map(|()| Arc::clone(&network));
        let open = thread::spawn(move || {
            let answer = block_on(ask(&open, HELD));
            assert!(matches!(answer, Ok(Say::Ask(HELD))));
        });
        network.wait_until(|peer| peer.has_held());
        let [one, two, three, four] = [(); 4].map(|()| {
            let network = Arc::clone(&network);
            thread::spawn(move || {
                let ended = block_on(ask(&network, 1));
                assert!(
                    matches!(ended, Err(CallError::NotSent(SendError::Disconnected))),
                    "{ended:?}"
                );
            })
        });
        let closing = thread::spawn(move || {
            closing
                .client
                .begin_close(&Status::new(Code::Aborted, "done"));
        });
        join([one, two, three, four, closing]);
        network.answer_held();
        join([open]);
        network.assert_idle();
        network.stop();
    });
}

#[test]
fn who_waits_for_a_drain_hears_of_it() {
    check(FaultInjection::DrainSilently, || {
        let network = Network::start();
        let [one, two, closing] = [(); 3].map(|()| Arc::clone(&network));
        let waiting = [one, two].map(|network| {
            thread::spawn(move || {
                let draining = network.client.draining();
                block_on(draining.clone());
                assert!(draining.is_draining());
            })
        });
        let closing = thread::spawn(move || {
            closing
                .client
                .begin_close(&Status::new(Code::Aborted, "done"));
        });
        join(waiting);
        join([closing]);
        network.stop();
    });
}

#[test]
fn credit_wakes_the_messages_that_wait_for_it() {
    check(FaultInjection::IgnoreCredit, || {
        let network = Network::start();
        let senders = [10, 20].map(|number| {
            let network = Arc::clone(&network);
            thread::spawn(move || {
                for number in [number, number + 1, number + 2] {
                    let sent = block_on(network.client.send(&note(number), &CallOptions::new()));
                    assert_eq!(sent, Ok(()));
                }
            })
        });
        join(senders);
        network.wait_until(|peer| peer.notes.len() == 6);
        for from in [10, 20] {
            let notes = network.peer().notes.clone();
            let of_sender = notes.into_iter().filter(|note| note / 10 == from / 10);
            assert!(of_sender.eq(from..from + 3), "in order");
        }
        network.stop();
    });
}

#[test]
fn everything_ends_when_the_connection_is_lost() {
    check(FaultInjection::LoseSilently, || {
        let network = Network::with_max_calls(1);
        let [one, two, cut] = [(); 3].map(|()| Arc::clone(&network));
        let callers = [one, two].map(|network| {
            thread::spawn(move || {
                let ended = block_on(ask(&network, HELD));
                assert!(matches!(
                    ended,
                    Err(CallError::ConnectionLost | CallError::NotSent(SendError::Disconnected))
                ));
            })
        });
        let cut = thread::spawn(move || cut.cut());
        join(callers);
        join([cut]);
        network.stop();
        assert_eq!(network.client.lock().open_exchanges(), 0);
    });
}

fn join<const N: usize>(threads: [thread::JoinHandle<()>; N]) {
    for thread in threads {
        thread.join().unwrap();
    }
}
