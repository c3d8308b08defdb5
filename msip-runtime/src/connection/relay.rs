//! Relaying calls: opening the exchange that answers the call of another connection's peer, answering it, and cancelling it.

use std::{
    ptr::addr_eq,
    sync::{Arc, Weak},
    time::Duration,
};

use super::{
    ConnectionInner, ConnectionShared, Outgoing,
    capacity::NotSent,
    deadline::PROTOCOL_TIMEOUT,
    fault_injection::FaultInjection,
    outgoing::OutgoingMessage,
    recv_stream::RecvStream,
    relayed_call::{
        BegunStream, CalleeConnection, Caller, CallerConnection, PlainAnswer, Relay, RelayEnd,
        RelayTarget, RelayedAs, RelayedTo,
    },
    serving::reply_with_metadata,
    stream::Answers,
};
use crate::{CallError, CallOptions, SendError, dialect::Feature, sync::Ordering};
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
        let mut opened = OpenedRelays::new(self, calls.len());
        let mut failed = Vec::new();
        let mut is_full = false;
        let now = self.now();
        let mut locked = None;
        for call in calls {
            if is_full {
                failed.push((call, NotRelayed::NoCapacity));
                continue;
            }
            let relayed = match self.bare_limit(&*call, now) {
                Some(limit) => {
                    let state = locked.get_or_insert_with(|| self.lock());
                    state.relay_bare(call, limit, &mut opened)
                }
                None => Err(call),
            };
            let Err(call) = relayed else {
                continue;
            };
            // What has to be done to it, or said of it, is done without the lock.
            locked = None;
            if let Err((call, why)) = self.relay_unusual(call, &mut opened) {
                is_full = matches!(why, NotRelayed::NoCapacity);
                failed.push((call, why));
            }
        }
        drop(locked);
        opened.tell_callers();
        for (call, why) in failed {
            not_relayed(call, why);
        }
    }

    /// How long a call may take from `now` on, and until when, where it has nothing but a topic and a body: opening it takes no lock
    /// but that under which it is opened.
    fn bare_limit<T: CallToOpen>(&self, call: &T, now: Duration) -> Option<(Duration, Duration)> {
        let message = call.message();
        let variant = message.variant()?;
        let is_bare = message.is_bare()
            && call.options().has_caller_alone()
            && !variant.urgent
            && self.correlation_ids.is_none()
            && self.is_plain.load(Ordering::Relaxed);
        let timeout = self.usual_timeout(variant).filter(|_| is_bare)?;
        Some((timeout, now.saturating_add(timeout)))
    }

    /// Opens the exchange of a call of any kind. Nobody waits for its outcome yet.
    #[inline(never)]
    fn relay_unusual<T: CallToOpen>(
        &self,
        mut call: Box<T>,
        opened: &mut OpenedRelays,
    ) -> Result<(), (Box<T>, NotRelayed)> {
        let prepared = || {
            self.check_carried(Feature::Streams)?;
            let outgoing = OutgoingMessage::new(self, call.message(), call.options())?;
            let deadline = self.deadline(outgoing.variant, call.options())?;
            Ok::<_, SendError>((outgoing.at(call.topic()), deadline))
        };
        let (outgoing, deadline) = match prepared() {
            Ok(prepared) => prepared,
            Err(error) => return Err((call, NotRelayed::Failed(error.into()))),
        };
        let mut state = self.lock();
        if !state.call_queue.is_empty() {
            return Err((call, NotRelayed::NoCapacity));
        }
        let (token, number) = match outgoing.call_unattended(&mut state, deadline) {
            Ok(exchange) => exchange,
            Err(NotSent::NoCapacity | NotSent::Held) => return Err((call, NotRelayed::NoCapacity)),
            Err(NotSent::Failed(error)) => return Err((call, NotRelayed::Failed(error.into()))),
        };
        call.set_timeout(deadline.timeout.unwrap_or(PROTOCOL_TIMEOUT));
        opened.push(&*call, token, number);
        state.exchanges.relay(token, number, call);
        state.wake_driver();
        Ok(())
    }
}

impl ConnectionInner {
    /// Opens the exchange of a call that has nothing but a topic and a body, with this time limit. The call comes back where it is
    /// for the slow path to say why it cannot be opened now, and nothing has happened.
    #[inline]
    fn relay_bare<T: CallToOpen>(
        &mut self,
        mut call: Box<T>,
        (timeout, deadline): (Duration, Duration),
        opened: &mut OpenedRelays,
    ) -> Result<(), Box<T>> {
        if self.is_gated || !self.encoding.is_identity() || !self.call_queue.is_empty() {
            return Err(call);
        }
        let Self {
            session, exchanges, ..
        } = self;
        let message = call.message();
        let (Some(session), Some(variant)) = (session.as_mut(), message.variant()) else {
            return Err(call);
        };
        let number = exchanges.next_relayed();
        let entry = exchanges.vacant_entry();
        let token = entry.token();
        let head = variant.bare_head(call.topic().or(message.topic()));
        let slot = session.call_for(
            call.options().caller,
            &head,
            token,
            deadline,
            message.encoded_len(),
            |buffer| message.encode(buffer),
        );
        let Some(slot) = slot else {
            return Err(call);
        };
        call.set_timeout(timeout);
        opened.push(&*call, token, number);
        entry.insert_relayed(slot, number, call);
        self.wake_driver();
        Ok(())
    }
}

/// The calls of one caller.
type OfCaller = (Arc<dyn CallerConnection>, Vec<RelayedAs>);

/// Where calls were relayed to, for their callers' connections: those of one that follow one another together.
struct OpenedRelays {
    callee: Weak<dyn CalleeConnection>,
    of_callers: Vec<OfCaller>,
    /// How many there may be.
    count: usize,
}

impl OpenedRelays {
    fn new(callee: &Arc<ConnectionShared>, count: usize) -> Self {
        Self {
            callee: Arc::downgrade(callee) as Weak<dyn CalleeConnection>,
            of_callers: Vec::new(),
            count,
        }
    }

    fn push(&mut self, target: &impl RelayTarget, token: Token, number: u64) {
        let Caller {
            connection, call, ..
        } = target.caller();
        let relayed = RelayedAs {
            call,
            token,
            number,
        };
        match self.of_callers.last_mut() {
            Some((known, calls)) if addr_eq(Arc::as_ptr(known), connection) => {
                calls.push(relayed);
            }
            _ => {
                // Most likely all of them are of the first caller.
                let is_first = self.of_callers.is_empty();
                let mut calls = Vec::with_capacity(if is_first { self.count } else { 1 });
                calls.push(relayed);
                self.of_callers.push((target.caller_connection(), calls));
            }
        }
    }

    /// Tells them. A call that is not awaited any longer ends where it went.
    fn tell_callers(self) {
        for (connection, calls) in self.of_callers {
            for to in connection.relayed(&self.callee, calls) {
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

    fn relayed(
        &self,
        to: &Weak<dyn CalleeConnection>,
        mut calls: Vec<RelayedAs>,
    ) -> Vec<RelayedTo> {
        let mut state = self.lock();
        let is_awaited = |one: &mut RelayedAs| {
            state.is_call_awaited(one.call) || FaultInjection::RelayWithoutLooking.is_on()
        };
        let given_up = calls.extract_if(.., |one| !is_awaited(one));
        let given_up = given_up.map(|one| RelayedTo {
            connection: Weak::clone(to),
            token: one.token,
            number: one.number,
        });
        let given_up = given_up.collect();
        state.running_calls.relayed(to, &calls);
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
        if FaultInjection::KeepPermitLate.is_on() && state.is_given_up(slot) {
            state.wake_driver();
            drop(state);
            state = self.lock();
            if let Some(permit) = permit {
                state.keep_permit(slot, permit);
            }
        } else {
            state.keep_permit_if_given_up(slot, permit);
        }
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
