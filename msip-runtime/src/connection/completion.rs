//! What handlers have come to, many of them under one lock.

use std::task::Waker;

use super::{ConnectionInner, ConnectionShared, Outgoing, Terms};
use crate::Status;
use msip_session::{
    InboundSlot, Reply,
    wire::{Credit, MsgId},
};

/// What the handler of one message has come to.
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
    /// Answers what has been handled, and grants the other side `handled` again; nothing where the session is gone by
    /// which it came. Leaves `settled` empty.
    pub(crate) fn settle<Out: Outgoing>(
        &self,
        terms: &Terms,
        handled: Credit,
        settled: &mut Vec<Completion<Out>>,
    ) {
        let mut readers: Vec<Waker> = Vec::new();
        let driver = {
            let mut state = self.lock();
            if state.generation != terms.generation {
                settled.clear();
                return;
            }
            for settled in settled.drain(..) {
                readers.extend(state.settle(settled));
            }
            if let Some(session) = state.session().filter(|_| handled.items > 0) {
                session.consumed(handled, terms.connection);
            }
            state.driver_to_wake()
        };
        readers.into_iter().chain(driver).for_each(Waker::wake);
    }
}

impl ConnectionInner {
    /// Returns whom to wake.
    fn settle<Out: Outgoing>(&mut self, settled: Completion<Out>) -> Vec<Waker> {
        let Some(session) = self.session.as_mut() else {
            return Vec::new();
        };
        match settled {
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
                self.end_call(slot)
            }
            Completion::Delivery {
                id,
                urgent,
                outcome,
            } => {
                session.acknowledge(
                    id,
                    urgent,
                    outcome.as_ref().map(|&()| ()).map_err(Status::as_error),
                );
                Vec::new()
            }
        }
    }
}
