//! A relayed call: the outcome of an exchange of one connection answers a call of another one's peer.
//!
//! Nothing waits for such an outcome: it is passed on by whoever has found it, once the lock is released, and what was found together
//! is answered under one lock of the caller's connection. So an open call that is relayed is two entries in tables, and neither a
//! future nor a waker.

use std::{
    fmt,
    ptr::addr_eq,
    sync::{Arc, Weak},
    time::Duration,
};

use slab::Slab;

use super::{call_to_answer::CallToAnswer, permits::CallPermit, recv_buffer::RecvBuffer};
use crate::body::Encoding;
use msip_session::{InboundSlot, Outcome, Token};

/// What waits for the outcome of a relayed call.
pub(crate) trait RelayTarget: fmt::Debug + Send {
    /// Whose call it is.
    fn caller(&self) -> Caller<'_>;

    /// The connection of the caller.
    fn caller_connection(&self) -> Arc<dyn CallerConnection>;

    /// How long the outcome is waited for, before the call is made.
    fn set_timeout(&mut self, timeout: Duration);

    /// What counts the call among those of its caller, to be kept for longer than this.
    fn take_permit(&mut self) -> Option<CallPermit>;

    /// The call was answered with the message that came.
    fn answered(self: Box<Self>);

    /// Anything else has become of it, and it is to be answered still.
    fn ended(self: Box<Self>, end: RelayEnd);
}

/// The call that an outcome answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) connection: &'a dyn CallerConnection,
    pub(crate) call: CallToAnswer,
    /// It takes a body in protobuf as it comes, and nothing besides.
    pub(crate) takes_plain: bool,
}

/// The connection of a caller.
pub(crate) trait CallerConnection: fmt::Debug + Send + Sync {
    /// Answers calls of its peer with these messages.
    fn answer_all(&self, answers: &mut dyn Iterator<Item = PlainAnswer<'_>>);

    /// Calls of its peer wait for exchanges of another connection. Those come back whose callers do not wait any longer.
    fn relayed(&self, to: &Weak<dyn CalleeConnection>, calls: Vec<RelayedAs>) -> Vec<RelayedTo>;
}

/// An answer that is a message and nothing besides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlainAnswer<'a> {
    pub(super) call: CallToAnswer,
    pub(super) variant: u16,
    pub(super) body: &'a [u8],
}

/// What has become of a relayed call.
#[derive(Debug)]
pub(crate) enum RelayEnd {
    /// It has ended so, at a session that writes bodies like this.
    Outcome(Outcome, Encoding),
    /// A stream of answers begins.
    Stream(BegunStream),
    /// The caller does not wait any longer, and the exchange was given up.
    GivenUp,
}

/// The answers to a call of which it was not known that they are a stream.
#[derive(Debug)]
pub(crate) struct BegunStream {
    pub(super) token: Token,
    pub(super) recv_buffer: Arc<RecvBuffer>,
    pub(super) encoding: Encoding,
}

/// The connection to which a call was relayed.
pub(crate) trait CalleeConnection: fmt::Debug + Send + Sync {
    /// Cancels the relayed call of this number, unless it has ended, or is answered by a stream.
    fn give_up_relayed(&self, token: Token, number: u64);
}

/// A call, and the exchange that answers it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RelayedAs {
    pub(super) call: CallToAnswer,
    pub(super) token: Token,
    pub(super) number: u64,
}

/// Where a call of this connection's peer was relayed to, to be cancelled there.
#[derive(Debug)]
pub(crate) struct RelayedTo {
    pub(super) connection: Weak<dyn CalleeConnection>,
    pub(super) token: Token,
    pub(super) number: u64,
}

impl RelayedTo {
    /// The caller does not wait for the answer any longer.
    pub(super) fn give_up(self) {
        if let Some(connection) = self.connection.upgrade() {
            connection.give_up_relayed(self.token, self.number);
        }
    }
}

/// What is done for relayed calls once the lock is released under which it was found.
pub(super) enum Relay {
    Ended(Box<dyn RelayTarget>, RelayEnd),
    Cancelled(RelayedTo),
    /// A call has ended that others of its caller may wait for.
    Returned(CallPermit),
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(target, end) => f.debug_tuple("Ended").field(target).field(end).finish(),
            Self::Cancelled(to) => f.debug_tuple("Cancelled").field(to).finish(),
            Self::Returned(_) => f.debug_tuple("Returned").finish(),
        }
    }
}

impl Relay {
    /// The answer, where that is a message and nothing besides, and is passed on unchanged.
    fn plain_answer(&self) -> Option<(&dyn CallerConnection, PlainAnswer<'_>)> {
        let Self::Ended(target, RelayEnd::Outcome(outcome, encoding)) = self else {
            return None;
        };
        let Outcome::Answer {
            variant,
            body,
            compressed: false,
            metadata: None,
        } = outcome
        else {
            return None;
        };
        let Caller {
            connection,
            call,
            takes_plain,
        } = target.caller();
        // A body without bytes is the end of a stream.
        let is_plain = takes_plain && encoding.is_identity() && !body.is_empty();
        let answer = PlainAnswer {
            call,
            variant: *variant,
            body,
        };
        is_plain.then_some((connection, answer))
    }
}

/// Passes on what was found under a lock that has been released.
#[inline(never)]
pub(super) fn pass_on(relays: Vec<Relay>) {
    answer_all(&relays);
    for relay in relays {
        let was_answered = relay.plain_answer().is_some();
        match relay {
            Relay::Ended(target, _) if was_answered => target.answered(),
            Relay::Ended(target, end) => target.ended(end),
            Relay::Cancelled(to) => to.give_up(),
            Relay::Returned(permit) => drop(permit),
        }
    }
}

/// Answers what is answered with a message and nothing besides; those of one caller that follow one another together.
fn answer_all(relays: &[Relay]) {
    let mut answers = relays.iter().filter_map(Relay::plain_answer).peekable();
    while let Some((connection, first)) = answers.next() {
        let is_same = |(other, _): &(&dyn CallerConnection, _)| addr_eq(*other, connection);
        let mut first = Some(first);
        let mut of_one = std::iter::from_fn(|| {
            let next = || answers.next_if(is_same).map(|(_, answer)| answer);
            first.take().or_else(next)
        });
        connection.answer_all(&mut of_one);
    }
}

/// Where the calls of a connection's peer were relayed to, by their slots.
#[derive(Debug, Default)]
pub(super) struct RelayedCalls {
    slots: Vec<Option<InCallee>>,
    /// The connections that they went to: each once, and no reference to it is counted for a call.
    callees: Slab<Callee>,
    /// Which of these had one last.
    last: usize,
}

/// The exchange of a call.
#[derive(Debug)]
struct InCallee {
    callee: usize,
    token: Token,
    number: u64,
}

#[derive(Debug)]
struct Callee {
    connection: Weak<dyn CalleeConnection>,
    /// How many calls it has.
    calls: usize,
}

impl RelayedCalls {
    /// These calls went to one connection.
    pub(super) fn insert(&mut self, to: &Weak<dyn CalleeConnection>, calls: &[RelayedAs]) {
        let callee = self.callee(to);
        for call in calls {
            let index = call.call.slot.index();
            if index >= self.slots.len() {
                self.slots.resize_with(index + 1, || None);
            }
            let replaced = self.slots.get_mut(index).and_then(|entry| {
                entry.replace(InCallee {
                    callee,
                    token: call.token,
                    number: call.number,
                })
            });
            if let Some(callee) = self.callees.get_mut(callee) {
                callee.calls += 1;
            }
            if let Some(replaced) = replaced {
                self.leave(replaced.callee);
            }
        }
        self.forget_if_unused(callee);
    }

    /// The number of a connection.
    fn callee(&mut self, to: &Weak<dyn CalleeConnection>) -> usize {
        let is_same = |callee: &Callee| addr_eq(callee.connection.as_ptr(), to.as_ptr());
        if !self.callees.get(self.last).is_some_and(is_same) {
            let known = self.callees.iter().find(|(_, callee)| is_same(callee));
            self.last = match known {
                Some((known, _)) => known,
                None => self.callees.insert(Callee {
                    connection: Weak::clone(to),
                    calls: 0,
                }),
            };
        }
        self.last
    }

    /// A call of this connection has ended.
    #[inline]
    fn leave(&mut self, callee: usize) {
        if let Some(known) = self.callees.get_mut(callee) {
            known.calls = known.calls.saturating_sub(1);
        }
        self.forget_if_unused(callee);
    }

    #[inline]
    fn forget_if_unused(&mut self, callee: usize) {
        if self.callees.get(callee).is_some_and(|it| it.calls == 0) {
            self.callees.remove(callee);
        }
    }

    /// A call has ended that may have been relayed.
    #[inline]
    pub(super) fn forget(&mut self, slot: InboundSlot) {
        let entry = self.slots.get_mut(slot.index());
        if let Some(ended) = entry.and_then(Option::take) {
            self.leave(ended.callee);
        }
    }

    pub(super) fn take(&mut self, slot: InboundSlot) -> Option<RelayedTo> {
        let taken = self.slots.get_mut(slot.index())?.take()?;
        let callee = self.callees.get(taken.callee)?;
        let to = taken.at(&callee.connection);
        self.leave(taken.callee);
        Some(to)
    }

    pub(super) fn into_all(self) -> impl Iterator<Item = RelayedTo> {
        let Self { slots, callees, .. } = self;
        let all = slots.into_iter().flatten();
        all.filter_map(move |call| Some(call.at(&callees.get(call.callee)?.connection)))
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.callees.is_empty()
    }
}

impl InCallee {
    fn at(&self, connection: &Weak<dyn CalleeConnection>) -> RelayedTo {
        RelayedTo {
            connection: Weak::clone(connection),
            token: self.token,
            number: self.number,
        }
    }
}

#[cfg(test)]
mod tests {
    use msip_session::wire::{MsgId, Side};

    use super::*;

    #[derive(Debug)]
    struct Nowhere;

    impl CalleeConnection for Nowhere {
        fn give_up_relayed(&self, _: Token, _: u64) {}
    }

    fn call(slot: usize) -> RelayedAs {
        RelayedAs {
            call: CallToAnswer {
                slot: InboundSlot::from_index(slot),
                generation: 1,
                id: MsgId::exchange(Side::Connecting, 1),
            },
            token: Token::new(slot),
            number: slot as u64,
        }
    }

    #[test]
    fn each_call_is_known_by_its_slot_until_it_ends() {
        let connections: [Arc<dyn CalleeConnection>; 2] = [Arc::new(Nowhere), Arc::new(Nowhere)];
        let [one, other] = connections.each_ref().map(Arc::downgrade);
        let slot = InboundSlot::from_index;
        let mut calls = RelayedCalls::default();
        calls.insert(&one, &[call(3), call(0)]);
        calls.insert(&other, &[call(1)]);
        calls.insert(&one, &[call(2)]);
        let goes_to = |to: Option<RelayedTo>, connection, number| {
            to.is_some_and(|to| to.number == number && Weak::ptr_eq(&to.connection, connection))
        };
        assert!(goes_to(calls.take(slot(3)), &one, 3));
        assert!(calls.take(slot(3)).is_none(), "once");
        calls.forget(slot(0));
        assert!(goes_to(calls.take(slot(1)), &other, 1));
        assert_eq!(calls.callees.len(), 1, "nothing goes there any more");
        // Its place is that of a call that was not seen to end.
        calls.insert(&other, &[call(2)]);
        assert_eq!(calls.callees.len(), 1);
        assert!(!calls.is_empty());
        let all: Vec<_> = calls.into_all().collect();
        assert!(all.len() == 1 && goes_to(all.into_iter().next(), &other, 2));
    }

    #[test]
    fn a_connection_that_has_no_calls_is_held_no_longer() {
        let connection: Arc<dyn CalleeConnection> = Arc::new(Nowhere);
        let to = Arc::downgrade(&connection);
        let mut calls = RelayedCalls::default();
        for _ in 0..3 {
            calls.insert(&to, &[call(0), call(1)]);
            assert_eq!(Arc::weak_count(&connection), 2, "one for all of its calls");
            calls.forget(InboundSlot::from_index(0));
            calls.forget(InboundSlot::from_index(1));
            calls.forget(InboundSlot::from_index(1));
            assert_eq!(Arc::weak_count(&connection), 1);
            assert!(calls.is_empty());
        }
    }
}
