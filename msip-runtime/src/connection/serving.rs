//! Serving the peer's calls: answering them, one or many under one lock, and their cancellation.

use tokio::task::AbortHandle;

use super::{
    ConnectionInner, ConnectionShared, Outgoing, Terms, cancellation::Cancellation,
    running_calls::CallToAnswer,
};
use crate::{Status, sync::Ordering};
use msip_session::{
    InboundSlot, Reply, Session,
    wire::{Credit, MsgId},
};

/// The result of one message's handler.
#[derive(Debug)]
pub(crate) enum Completion<Out> {
    /// A call, which is answered with a message: its variant, and the length of its body.
    Call {
        slot: InboundSlot,
        variant: u16,
        len: usize,
        answer: Out,
    },
    /// A delivery.
    Delivery {
        id: MsgId,
        urgent: bool,
        outcome: Result<(), Status>,
    },
}

impl ConnectionShared {
    /// A call's handler goes on in a task, which ends with it; at once where the caller has given it up meanwhile.
    pub(crate) fn call_runs(&self, call: CallToAnswer, task: AbortHandle) {
        let mut state = self.lock();
        let is_open = state.generation == call.generation
            && state
                .session
                .as_ref()
                .is_some_and(|session| session.is_serving(call.slot));
        state.running_calls.spawned(call.slot, task, is_open);
    }

    /// Answers a call whose handler has ended; nothing where its session has ended.
    pub(crate) fn reply(&self, call: CallToAnswer, reply: Reply<'_, impl FnOnce(&mut Vec<u8>)>) {
        let mut state = self.lock();
        if state.generation != call.generation {
            return;
        }
        let Some(session) = state.session() else {
            return;
        };
        session.reply(call.slot, reply);
        state.end_call(call.slot);
        state.wake_driver();
    }

    /// Answers what has been handled, and grants the peer `handled` again; nothing where the session has ended by which
    /// it came. Leaves `completions` empty.
    pub(crate) fn settle<Out: Outgoing>(
        &self,
        terms: &Terms,
        handled: Credit,
        completions: &mut Vec<Completion<Out>>,
    ) {
        let mut state = self.lock();
        if state.generation != terms.generation {
            completions.clear();
            return;
        }
        for completion in completions.drain(..) {
            state.settle(completion);
        }
        if let Some(session) = state.session().filter(|_| handled.items > 0) {
            session.consumed(handled, terms.connection);
        }
        state.wake_driver();
    }

    /// Whether the caller has given the call up already.
    pub(crate) fn is_cancelled(&self, call: CallToAnswer) -> bool {
        self.lock().running_calls.is_cancelled(call.slot)
    }

    /// Whether any caller may have given its call up already. Takes no lock.
    #[inline]
    pub(crate) fn has_cancelled(&self) -> bool {
        self.cancelled_calls.load(Ordering::Relaxed) > 0
    }

    /// Whether the caller still waits for the answer of this call.
    pub(crate) fn is_awaited(&self, call: CallToAnswer) -> bool {
        self.lock().is_call_awaited(call)
    }

    /// The cancellation of a call, which its handler may watch.
    pub(crate) fn cancellation(&self, call: CallToAnswer) -> Cancellation {
        let mut state = self.lock();
        if state.is_call_awaited(call) {
            state.running_calls.cancellation(call.slot)
        } else {
            Cancellation::cancelled_already()
        }
    }
}

impl ConnectionInner {
    fn settle<Out: Outgoing>(&mut self, completion: Completion<Out>) {
        let Some(session) = self.session() else {
            return;
        };
        match completion {
            Completion::Call {
                slot,
                variant,
                len,
                answer,
            } => {
                let reply = Reply::Message {
                    variant,
                    len,
                    compressed: false,
                    time_us: None,
                    encode: |buffer: &mut Vec<u8>| answer.encode(buffer),
                };
                session.reply(slot, reply);
                self.end_call(slot);
            }
            Completion::Delivery {
                id,
                urgent,
                outcome,
            } => {
                let outcome = outcome.as_ref().map(|&()| ()).map_err(Status::as_error);
                session.acknowledge(id, urgent, outcome);
            }
        }
    }

    fn is_call_awaited(&self, call: CallToAnswer) -> bool {
        let awaits = |session: &Session| session.is_awaited(call.slot, call.id);
        self.generation == call.generation && self.session.as_ref().is_some_and(awaits)
    }
}
