//! Calls of one connection's peer that are relayed to another's: answered, given up and made again at the same time.

use std::{sync::Arc, time::Duration};

use msip_session::{
    Outcome, Reply, Token,
    wire::{Code, ErrorRef, Topic},
};
use shuttle::{future::block_on, thread};

use super::{
    ask, check, join,
    network::{HELD, Network, Say},
};
use crate::{
    CallOptions, Envelope as _,
    body::Body,
    connection::{
        CallPermit, CallToAnswer, CallToOpen, Caller, RelayEnd, RelayTarget,
        fault_injection::FaultInjection, relayed_call::CallerConnection,
    },
    options::NO_OPTIONS,
};

/// A call of the peer of this network.
#[derive(Debug)]
struct Target {
    network: Arc<Network>,
    call: CallToAnswer,
    said: Say,
    /// Says when it is dropped.
    permit: Option<Arc<()>>,
}

impl CallToOpen for Target {
    type Message = Say;

    fn message(&self) -> &Say {
        &self.said
    }

    fn topic(&self) -> Option<&Topic> {
        None
    }

    fn options(&self) -> &CallOptions {
        &NO_OPTIONS
    }
}

impl RelayTarget for Target {
    fn caller(&self) -> Caller<'_> {
        let connection: &dyn CallerConnection = &*self.network.client;
        Caller {
            connection,
            call: self.call,
            takes_plain: true,
        }
    }

    fn caller_connection(&self) -> Arc<dyn CallerConnection> {
        Arc::clone(&self.network.client) as Arc<dyn CallerConnection>
    }

    fn set_timeout(&mut self, _: Duration) {}

    fn take_permit(&mut self) -> Option<CallPermit> {
        Some(Box::new(self.permit.take()?))
    }

    fn answered(self: Box<Self>) {
        self.network.relay_ended();
    }

    fn ended(self: Box<Self>, end: RelayEnd) {
        match end {
            RelayEnd::GivenUp | RelayEnd::Outcome(Outcome::Expired | Outcome::Lost { .. }, _) => {}
            other => panic!("{other:?}"),
        }
        let error = ErrorRef::new(Code::Cancelled, "there is no answer");
        let reply = Reply::<fn(&mut Vec<u8>)>::Error(error);
        self.network.client.reply(self.call, reply, None);
        self.network.relay_ended();
    }
}

/// Relays a call of the peer of `from`, as this one. `false` where there is nowhere to relay it to.
fn relay(from: &Arc<Network>, call: CallToAnswer, to: &Network, said: Say) -> bool {
    let network = Arc::clone(from);
    relay_with(network, call, to, said, None)
}

/// The same with a permit.
fn relay_with(
    network: Arc<Network>,
    call: CallToAnswer,
    to: &Network,
    said: Say,
    permit: Option<Arc<()>>,
) -> bool {
    let target = Box::new(Target {
        network,
        call,
        said,
        permit,
    });
    let mut is_relayed = true;
    to.client.relay_all(vec![target], |_, _| is_relayed = false);
    is_relayed
}

/// Relays the next call of the peer of `from`, as this one.
fn relay_next(from: &Arc<Network>, to: &Network, said: Say) {
    assert!(relay(from, from.next_call(), to, said));
}

/// Both calls have ended, the second with its own answer.
fn check_ends(from: &Network, to: &Network) {
    from.wait_until(|peer| {
        let is_second = |(token, _): &(Token, Outcome)| *token == Token::new(2);
        peer.relays_ended >= 2 && peer.outcomes.iter().any(is_second)
    });
    {
        let peer = from.peer();
        assert_eq!(peer.relays_ended, 2, "each of them once");
        for (token, outcome) in &peer.outcomes {
            let Outcome::Answer { variant, body, .. } = outcome else {
                panic!("{token}: {outcome:?}");
            };
            let Ok(Say::Ask(number)) = Say::decode(*variant, Body::from(body)) else {
                panic!("{token}: {body:?}");
            };
            let is_second = *token == Token::new(2);
            assert_eq!(number == 2, is_second, "{token}: {number}");
        }
    }
    assert_eq!(to.client.lock().open_exchanges(), 0);
    for network in [from, to] {
        network.stop();
    }
}

#[test]
fn a_call_that_is_given_up_while_it_is_relayed_ends_where_it_goes() {
    check(FaultInjection::RelayWithoutLooking, || {
        let (from, to) = (Network::start(), Network::start());
        let first = from.peer_asks(Token::new(1), Say::Ask(HELD));
        let [caller, answering] = [&from, &to].map(Arc::clone);
        let caller = thread::spawn(move || {
            caller.peer_gives_up(first);
            // It may have the place of the first.
            let _ = caller.peer_asks(Token::new(2), Say::Ask(2));
        });
        let answering = thread::spawn(move || answering.answer_held());
        relay_next(&from, &to, Say::Ask(HELD));
        relay_next(&from, &to, Say::Ask(2));
        join([caller, answering]);
        check_ends(&from, &to);
    });
}

#[test]
fn a_call_that_is_given_up_takes_none_with_it_that_has_its_place() {
    check(FaultInjection::GiveUpRelayedByToken, || {
        let (from, to) = (Network::start(), Network::start());
        let first = from.peer_asks(Token::new(1), Say::Ask(1));
        let _ = from.peer_asks(Token::new(2), Say::Ask(2));
        let caller = Arc::clone(&from);
        let caller = thread::spawn(move || caller.peer_gives_up(first));
        relay_next(&from, &to, Say::Ask(1));
        relay_next(&from, &to, Say::Ask(2));
        join([caller]);
        check_ends(&from, &to);
    });
}

#[test]
fn the_permit_of_a_call_that_is_given_up_comes_back_when_the_peer_has_ended_it() {
    check(FaultInjection::KeepPermitLate, || {
        let (from, to) = (Network::start(), Network::start());
        let first = from.peer_asks(Token::new(1), Say::Ask(HELD));
        let (call, permit) = (from.next_call(), Arc::new(()));
        let caller = Arc::clone(&from);
        let caller = thread::spawn(move || caller.peer_gives_up(first));
        let kept = Some(Arc::clone(&permit));
        assert!(relay_with(
            Arc::clone(&from),
            call,
            &to,
            Say::Ask(HELD),
            kept
        ));
        join([caller]);
        from.wait_until(|peer| peer.relays_ended > 0);
        // The peer has said before what has become of the first.
        let answer = block_on(ask(&to, 2));
        assert!(matches!(answer, Ok(Say::Ask(2))));
        assert_eq!(Arc::strong_count(&permit), 1, "it is kept no longer");
        for network in [from, to] {
            network.stop();
        }
    });
}

#[test]
fn an_answer_and_a_deadline_end_a_relayed_call_once() {
    check(FaultInjection::ExpireSilently, || {
        let (from, to) = (Network::start(), Network::start());
        let _ = from.peer_asks(Token::new(1), Say::Ask(HELD));
        relay_next(&from, &to, Say::Ask(HELD));
        to.wait_until(|peer| peer.has_held());
        let [clock, peer] = [(); 2].map(|()| Arc::clone(&to));
        let clock = thread::spawn(move || clock.advance(Duration::from_secs(31)));
        let peer = thread::spawn(move || peer.answer_held());
        join([clock, peer]);
        from.wait_until(|peer| peer.relays_ended > 0 && !peer.outcomes.is_empty());
        to.assert_idle();
        for network in [&from, &to] {
            network.stop();
        }
        let peer = from.peer();
        assert_eq!((peer.relays_ended, peer.outcomes.len()), (1, 1));
    });
}

#[test]
fn calls_that_are_relayed_in_both_directions_end_with_either_connection() {
    check(FaultInjection::LoseSilently, || {
        let networks = [Network::start(), Network::start()];
        let relaying = [(0, 1), (1, 0)].map(|(from, to)| {
            let (from, to) = (Arc::clone(&networks[from]), Arc::clone(&networks[to]));
            let _ = from.peer_asks(Token::new(1), Say::Ask(HELD));
            let call = from.next_call();
            thread::spawn(move || {
                if !relay(&from, call, &to, Say::Ask(HELD)) {
                    from.relay_ended();
                }
            })
        });
        let cut = Arc::clone(&networks[0]);
        let cut = thread::spawn(move || cut.cut());
        join(relaying);
        join([cut]);
        for network in &networks {
            network.wait_until(|peer| peer.relays_ended > 0);
        }
        for network in &networks {
            network.stop();
            assert_eq!(network.client.lock().open_exchanges(), 0);
            assert_eq!(network.peer().relays_ended, 1);
        }
    });
}
