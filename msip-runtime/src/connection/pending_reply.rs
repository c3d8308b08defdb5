//! The pending reply: waits for the outcome of an exchange, and cancels the exchange when it is dropped.

use std::{
    future::poll_fn,
    ops::Deref,
    task::{Context, Poll},
};

use super::{ConnectionShared, exchange_table::OpenedExchange, fault_injection::FaultInjection};
use crate::{body::Encoding, sync::Ordering};
use msip_session::{Outcome, StreamSide, Token};

impl OpenedExchange {
    /// A future of the outcome, which cancels the exchange when it is dropped.
    pub(super) fn pending<C: Deref<Target = ConnectionShared>>(
        self,
        connection: C,
    ) -> PendingReply<C> {
        PendingReply {
            connection,
            exchange: self,
            is_taken: false,
        }
    }

    /// Waits for the outcome; cancels the exchange when the future is dropped.
    pub(super) async fn outcome(self, connection: &ConnectionShared) -> (Outcome, Encoding) {
        let mut pending = self.pending(connection);
        poll_fn(|task| pending.poll(task)).await
    }
}

/// A future of the outcome of an exchange, which cancels the exchange when it is dropped.
#[derive(Debug)]
pub(super) struct PendingReply<C: Deref<Target = ConnectionShared>> {
    connection: C,
    exchange: OpenedExchange,
    is_taken: bool,
}

impl<C: Deref<Target = ConnectionShared>> PendingReply<C> {
    pub(super) fn poll(&mut self, task: &mut Context<'_>) -> Poll<(Outcome, Encoding)> {
        let end = self.exchange.reply.poll_take(task);
        if end.is_ready() {
            self.is_taken = true;
            self.connection.taken.fetch_add(1, Ordering::Relaxed);
        }
        end
    }

    pub(super) fn connection(&self) -> &C {
        &self.connection
    }
}

impl<C: Deref<Target = ConnectionShared>> Drop for PendingReply<C> {
    fn drop(&mut self) {
        if self.is_taken {
            return;
        }
        let OpenedExchange { token, reply } = &self.exchange;
        if !reply.has_ended() {
            self.connection.give_up_unless(*token, || {
                reply.has_ended() && !FaultInjection::GiveUpWithoutLooking.is_on()
            });
        }
        if reply.has_ended() {
            // Nobody comes back for this one.
            self.connection.taken.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl ConnectionShared {
    /// Cancels an exchange: its outcome is not awaited any longer.
    pub(super) fn give_up(&self, token: Token) {
        self.give_up_unless(token, || false);
    }

    /// The same, unless it has ended, which is asked under the lock: the token may be another's by then.
    fn give_up_unless(&self, token: Token, has_ended: impl FnOnce() -> bool) {
        let mut state = self.lock();
        if has_ended() {
            return;
        }
        if let Some(slot) = state.exchanges.remove(token) {
            if let Some(session) = state.session() {
                session.forget(slot);
            }
            state.stream_ended(slot);
            if let Some(subscriptions) = &mut state.subscriptions {
                subscriptions.forget(token);
            }
            // The sender of its stream has gone with it.
            drop(state.stream_senders.remove(StreamSide::Caller(slot)));
        }
        state.wake_one_call();
        state.wake_driver();
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use msip_session::Slot;

    use super::{super::reply_slot::ReplySlot, *};
    use crate::settings::Settings;

    #[test]
    fn an_outcome_counts_as_returning_until_it_is_taken_or_left() {
        let connection = ConnectionShared::new(&Settings::default());
        let mut task = Context::from_waker(Waker::noop());
        let has_returning = || connection.has_returning(&connection.lock());
        let end = |token| connection.lock().complete(token, Outcome::Expired);
        let open = || {
            let opened = {
                let mut state = connection.lock();
                let entry = state.exchanges.vacant_entry();
                entry.insert_unary(Slot::from_index(0), ReplySlot::new(None))
            };
            (opened.token, opened.pending(&connection))
        };
        let ((first, mut taken), (second, left), (_, given_up)) = (open(), open(), open());
        assert!(!has_returning());
        end(first);
        end(second);
        assert!(taken.poll(&mut task).is_ready());
        assert!(has_returning(), "one has not looked");
        drop(taken);
        assert!(has_returning());
        drop(left);
        assert!(!has_returning());
        drop(given_up);
        assert!(!has_returning(), "it never ended");
    }
}
