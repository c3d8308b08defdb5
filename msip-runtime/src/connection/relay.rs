//! Relaying calls: opening the exchange that answers the call of another connection's peer, answering it, and cancelling it.

use std::{sync::Arc, time::Duration};

use super::{
    ConnectionInner, ConnectionShared, Outgoing,
    call_to_answer::CallToAnswer,
    capacity::Queue,
    deadline::PROTOCOL_TIMEOUT,
    fault_injection::FaultInjection,
    outgoing::OutgoingMessage,
    recv_stream::RecvStream,
    relayed_call::{
        BegunStream, CalleeConnection, CallerConnection, PlainAnswer, Relay, RelayEnd, RelayTarget,
        RelayedTo,
    },
    serving::reply_with_metadata,
    stream::Answers,
};
use crate::{CallError, CallOptions, SendError, dialect::Feature};
use msip_session::{Reply, Token};

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

impl ConnectionShared {
    /// Makes a call whose outcome goes to `target`, which comes back where there is none to come.
    pub(crate) fn relay<E: Outgoing, T: RelayTarget + 'static>(
        self: &Arc<Self>,
        message: &E,
        options: &CallOptions,
        caller: &Arc<Self>,
        mut target: Box<T>,
    ) -> Result<(), (Box<T>, NotRelayed)> {
        let prepared = || {
            self.check_carried(Feature::Streams)?;
            let outgoing = OutgoingMessage::new(self, message, options)?;
            let deadline = self.deadline(outgoing.variant, options)?;
            Ok::<_, SendError>((outgoing, deadline))
        };
        let (outgoing, deadline) = match prepared() {
            Ok(prepared) => prepared,
            Err(error) => return Err((target, NotRelayed::Failed(error.into()))),
        };
        let call = target.caller().call;
        target.set_timeout(deadline.timeout.unwrap_or(PROTOCOL_TIMEOUT));
        let mut target = Some(target);
        let opened = self.try_now(Queue::Calls, true, |state| {
            outgoing.call_relayed(state, deadline, &mut target)
        });
        let not_relayed = match opened {
            Some(Ok((token, number))) => {
                let to = Arc::downgrade(self);
                let to = RelayedTo {
                    connection: to,
                    token,
                    number,
                };
                if let Err(to) = caller.relayed(call, to) {
                    to.give_up();
                }
                return Ok(());
            }
            Some(Err(error)) => NotRelayed::Failed(error.into()),
            None => NotRelayed::NoCapacity,
        };
        match target {
            Some(target) => Err((target, not_relayed)),
            // Only an exchange that was opened has taken it.
            None => Ok(()),
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

    fn relayed(&self, call: CallToAnswer, to: RelayedTo) -> Result<(), RelayedTo> {
        let mut state = self.lock();
        if !state.is_call_awaited(call) && !FaultInjection::RelayWithoutLooking.is_on() {
            return Err(to);
        }
        state.running_calls.relayed(call.slot, to);
        Ok(())
    }
}

impl CalleeConnection for ConnectionShared {
    fn give_up_relayed(&self, token: Token, number: u64) {
        let mut state = self.lock();
        let Some((slot, target)) = state.exchanges.take_relayed(token, number) else {
            return;
        };
        if let Some(session) = state.session() {
            session.forget(slot);
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
