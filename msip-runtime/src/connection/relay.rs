//! Relaying calls: opening the exchange that answers the call of another connection's peer, answering it, and cancelling it.

use std::{
    ptr::addr_eq,
    sync::{Arc, Weak},
    time::Duration,
};

use super::{
    ConnectionInner, ConnectionShared, Outgoing,
    call_to_answer::CallToAnswer,
    capacity::NotSent,
    deadline::PROTOCOL_TIMEOUT,
    fault_injection::FaultInjection,
    outgoing::OutgoingMessage,
    recv_stream::RecvStream,
    relayed_call::{
        BegunStream, CalleeConnection, Caller, CallerConnection, PlainAnswer, Relay, RelayEnd,
        RelayTarget, RelayedTo,
    },
    serving::reply_with_metadata,
    shared::ConnectionGuard,
    stream::Answers,
};
use crate::{CallError, CallOptions, SendError, dialect::Feature};
use msip_session::{Reply, Token, wire::Topic};

/// Why a call was not relayed.
#[derive(Debug)]
pub(crate) enum NotRelayed {
    /// There is no capacity for it now.
    NoCapacity,
    Failed(CallError),
}

impl BegunStream {
    /// The answers, which come by this connection and within this time.
    pub(crate) fn answers(self, connection: &Arc<ConnectionShared>, timeout: Duration) -> Answers {
        let Self {
            token,
            recv_buffer,
            encoding,
        } = self;
        let recv_stream = RecvStream::new(recv_buffer);
        Answers::begun(connection, recv_stream, token, timeout, encoding)
    }
}

/// A call that is to be relayed, and what waits for its outcome.
pub(crate) trait CallToOpen: RelayTarget + 'static {
    type Message: Outgoing;

    /// What is sent.
    fn message(&self) -> &Self::Message;

    /// Where it is sent to, if that is not the topic of the message.
    fn topic(&self) -> Option<&Topic>;

    fn options(&self) -> &CallOptions;
}

impl ConnectionShared {
    /// Makes calls whose outcomes go to who they are for: those that have nothing but a body under one lock, and told to their
    /// callers' connections under one lock each. What was not relayed goes to `not_relayed`, and where there is no capacity for
    /// one there is none for those behind it.
    pub(crate) fn relay_all<T: CallToOpen>(
        self: &Arc<Self>,
        calls: Vec<Box<T>>,
        mut not_relayed: impl FnMut(Box<T>, NotRelayed),
    ) {
        let mut opened = OpenedRelays::default();
        let mut failed = Vec::new();
        let mut is_full = false;
        let mut locked = None;
        for mut call in calls {
            if is_full {
                failed.push((call, NotRelayed::NoCapacity));
                continue;
            }
            if !self.is_bare_call(&*call) {
                // What has to be done to it is done without the lock.
                locked = None;
            }
            match self.open_relayed(&mut locked, &*call) {
                Ok(exchange) => {
                    call.set_timeout(exchange.timeout);
                    let to = RelayedTo {
                        connection: Arc::downgrade(self) as Weak<dyn CalleeConnection>,
                        token: exchange.token,
                        number: exchange.number,
                    };
                    opened.push(&*call, to);
                    if let Some(state) = &mut locked {
                        state.exchanges.relay(exchange.token, exchange.number, call);
                    }
                }
                Err(why) => {
                    is_full = matches!(why, NotRelayed::NoCapacity);
                    failed.push((call, why));
                }
            }
        }
        drop(locked);
        opened.tell_callers();
        for (call, why) in failed {
            not_relayed(call, why);
        }
    }

    /// Whether opening this call takes no lock but that under which it is opened.
    fn is_bare_call<T: CallToOpen>(&self, call: &T) -> bool {
        let message = call.message();
        let variant = message.variant();
        message.is_bare() && variant.is_some_and(|variant| self.is_bare(variant, call.options()))
    }

    /// Opens the exchange of a call under the lock, which is taken where it is not. Nobody waits for its outcome yet.
    fn open_relayed<'s, T: CallToOpen>(
        &'s self,
        locked: &mut Option<ConnectionGuard<'s>>,
        call: &T,
    ) -> Result<OpenedRelay, NotRelayed> {
        let prepared = || {
            self.check_carried(Feature::Streams)?;
            let outgoing = OutgoingMessage::new(self, call.message(), call.options())?;
            let deadline = self.deadline(outgoing.variant, call.options())?;
            Ok::<_, SendError>((outgoing.at(call.topic()), deadline))
        };
        let (outgoing, deadline) = prepared().map_err(|error| NotRelayed::Failed(error.into()))?;
        let state = locked.get_or_insert_with(|| self.lock());
        if !state.call_queue.is_empty() {
            return Err(NotRelayed::NoCapacity);
        }
        match outgoing.call_unattended(state, deadline) {
            Ok((token, number)) => {
                state.wake_driver();
                Ok(OpenedRelay {
                    token,
                    number,
                    timeout: deadline.timeout.unwrap_or(PROTOCOL_TIMEOUT),
                })
            }
            Err(NotSent::NoCapacity | NotSent::Held) => Err(NotRelayed::NoCapacity),
            Err(NotSent::Failed(error)) => Err(NotRelayed::Failed(error.into())),
        }
    }
}

/// An exchange that was opened for a call that is relayed.
struct OpenedRelay {
    token: Token,
    number: u64,
    timeout: Duration,
}

/// The calls of one caller.
type OfCaller = (Arc<dyn CallerConnection>, Vec<(CallToAnswer, RelayedTo)>);

/// Where calls were relayed to, for their callers' connections: those of one that follow one another together.
#[derive(Default)]
struct OpenedRelays(Vec<OfCaller>);

impl OpenedRelays {
    fn push(&mut self, target: &impl RelayTarget, to: RelayedTo) {
        let Caller {
            connection, call, ..
        } = target.caller();
        match self.0.last_mut() {
            Some((known, calls)) if addr_eq(Arc::as_ptr(known), connection) => {
                calls.push((call, to));
            }
            _ => {
                let one = (target.caller_connection(), vec![(call, to)]);
                self.0.push(one);
            }
        }
    }

    /// Tells them. A call that is not awaited any longer ends where it went.
    fn tell_callers(self) {
        for (connection, calls) in self.0 {
            for to in connection.relayed(calls) {
                to.give_up();
            }
        }
    }
}

impl CallerConnection for ConnectionShared {
    fn answer_all(&self, answers: &mut dyn Iterator<Item = PlainAnswer<'_>>) {
        let mut state = self.lock();
        for answer in answers {
            state.answer_relayed(answer);
        }
        self.note_backlog(&mut state);
        state.wake_driver();
    }

    fn relayed(&self, calls: Vec<(CallToAnswer, RelayedTo)>) -> Vec<RelayedTo> {
        let mut state = self.lock();
        let mut given_up = Vec::new();
        for (call, to) in calls {
            if state.is_call_awaited(call) || FaultInjection::RelayWithoutLooking.is_on() {
                state.running_calls.relayed(call.slot, to);
            } else {
                given_up.push(to);
            }
        }
        given_up
    }
}

impl CalleeConnection for ConnectionShared {
    fn give_up_relayed(&self, token: Token, number: u64) {
        let mut state = self.lock();
        let Some((slot, mut target)) = state.exchanges.take_relayed(token, number) else {
            return;
        };
        if let Some(session) = state.session() {
            session.forget(slot);
        }
        let permit = target.take_permit();
        state.keep_permit_if_given_up(slot, permit);
        state.relays.push(Relay::Ended(target, RelayEnd::GivenUp));
        state.wake_one_call();
        state.wake_driver();
    }
}

impl ConnectionInner {
    /// Answers a call of the peer with a message that is passed on unchanged; nothing where its session has ended.
    fn answer_relayed(&mut self, answer: PlainAnswer<'_>) {
        let PlainAnswer {
            call,
            variant,
            body,
        } = answer;
        if self.generation != call.generation {
            return;
        }
        let metadata = self.running_calls.take_answer_metadata(call.slot);
        let Some(session) = self.session() else {
            return;
        };
        let reply = Reply::message(variant, body.len(), |buffer: &mut Vec<u8>| {
            buffer.extend_from_slice(body);
        });
        match metadata {
            None => session.reply(call.slot, reply),
            Some(mut metadata) => reply_with_metadata(session, call.slot, reply, &mut metadata),
        }
        self.end_call(call.slot);
    }
}
