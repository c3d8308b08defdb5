//! Where the end of an exchange is put for whoever waits for it.
//!
//! Each has a lock of its own, so that whoever takes an answer does not wait for those who send meanwhile. Where the
//! connection's state is locked too, that is locked first.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    task::{Context, Poll, Waker},
};

use super::{ConnectionShared, Waiter, token_table::VacantToken};
use crate::body::Encoding;
use msip_session::{Outcome, Slot, Token};

/// The place for the end of one exchange.
#[derive(Debug)]
pub(super) struct ReplySlot(Mutex<ReplyState>);

#[derive(Debug)]
enum ReplyState {
    /// Not there yet; whom to wake.
    Awaited(Option<Waker>),
    /// The outcome, and how its session writes bodies.
    There(Outcome, Encoding),
    Taken,
}

impl ReplySlot {
    /// A place for an end that is still to come, and whom to wake then.
    pub(super) fn new(waker: Option<Waker>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(ReplyState::Awaited(waker))))
    }

    fn lock(&self) -> MutexGuard<'_, ReplyState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The exchange has ended. Returns whom to wake.
    pub(super) fn land(&self, outcome: Outcome, encoding: Encoding) -> Option<Waker> {
        match std::mem::replace(&mut *self.lock(), ReplyState::There(outcome, encoding)) {
            ReplyState::Awaited(waker) => waker,
            ReplyState::There(..) | ReplyState::Taken => None,
        }
    }

    /// Somebody else is to be woken when the exchange ends, which has not begun yet.
    pub(super) fn is_awaited_by(&self, waker: Waker) {
        *self.lock() = ReplyState::Awaited(Some(waker));
    }

    /// Whether the exchange has ended.
    pub(super) fn has_ended(&self) -> bool {
        !matches!(*self.lock(), ReplyState::Awaited(_))
    }

    /// Takes the outcome, which is there once.
    pub(super) fn poll_take(&self, context: &mut Context<'_>) -> Poll<(Outcome, Encoding)> {
        let mut state = self.lock();
        if let ReplyState::Awaited(waker) = &mut *state {
            match waker {
                Some(known) => known.clone_from(context.waker()),
                unknown => *unknown = Some(context.waker().clone()),
            }
            return Poll::Pending;
        }
        match std::mem::replace(&mut *state, ReplyState::Taken) {
            ReplyState::There(outcome, encoding) => Poll::Ready((outcome, encoding)),
            // Nobody polls again after that.
            ReplyState::Awaited(_) | ReplyState::Taken => {
                Poll::Ready((Outcome::Lost { sent: true }, Encoding::default()))
            }
        }
    }
}

/// An exchange that was just opened.
#[derive(Debug)]
pub(super) struct OpenedExchange {
    token: Token,
    reply_slot: Arc<ReplySlot>,
}

impl OpenedExchange {
    /// Somebody waits for its end, and gives it up when that is dropped.
    pub(super) fn awaited(self, connection: &ConnectionShared) -> PendingReply<'_> {
        PendingReply {
            connection,
            outbound: self,
            is_taken: false,
        }
    }

    /// Waits for its end; gives it up when the future is dropped.
    pub(super) async fn answer(self, connection: &ConnectionShared) -> (Outcome, Encoding) {
        let mut answer = self.awaited(connection);
        poll_fn(|context| answer.poll(context)).await
    }
}

impl VacantToken<'_, Waiter> {
    /// An exchange has been opened under this token.
    #[inline]
    pub(super) fn register(self, slot: Slot, reply_slot: Arc<ReplySlot>) -> OpenedExchange {
        let token = self.insert(Waiter::Waiting {
            slot,
            reply_slot: Arc::clone(&reply_slot),
        });
        OpenedExchange { token, reply_slot }
    }
}

/// An exchange whose end somebody waits for; given up when it is dropped.
#[derive(Debug)]
pub(super) struct PendingReply<'a> {
    connection: &'a ConnectionShared,
    outbound: OpenedExchange,
    is_taken: bool,
}

impl PendingReply<'_> {
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<(Outcome, Encoding)> {
        let end = self.outbound.reply_slot.poll_take(context);
        if end.is_ready() {
            self.is_taken = true;
            self.connection.taken.fetch_add(1, Ordering::Relaxed);
        }
        end
    }
}

impl Drop for PendingReply<'_> {
    fn drop(&mut self) {
        if self.is_taken {
            return;
        }
        let OpenedExchange { token, reply_slot } = &self.outbound;
        if !reply_slot.has_ended() {
            self.connection
                .give_up_unless(*token, || reply_slot.has_ended());
        }
        if reply_slot.has_ended() {
            // Whoever looks for those about to come back looks for one less.
            self.connection.taken.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn take(reply_slot: &ReplySlot) -> Poll<(Outcome, Encoding)> {
        reply_slot.poll_take(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn an_end_is_told_to_the_last_who_asked_and_taken_once() {
        let reply_slot = ReplySlot::new(None);
        assert!(!reply_slot.has_ended());
        assert!(take(&reply_slot).is_pending());
        let waker = reply_slot.land(Outcome::Expired, Encoding::default());
        assert!(waker.is_some(), "whoever asked is woken");
        assert!(reply_slot.has_ended());
        assert!(matches!(
            take(&reply_slot),
            Poll::Ready((Outcome::Expired, _))
        ));
        assert!(reply_slot.has_ended(), "also once it was taken");
        let again = reply_slot.land(Outcome::Dropped, Encoding::default());
        assert!(again.is_none(), "nobody waits any more");
    }

    #[test]
    fn an_end_that_comes_before_anybody_asks_is_there_for_them() {
        let reply_slot = ReplySlot::new(Some(Waker::noop().clone()));
        let waker = reply_slot.land(Outcome::NotReceived, Encoding::default());
        assert!(waker.is_some(), "whoever opened the exchange is woken");
        let end = take(&reply_slot);
        assert!(matches!(end, Poll::Ready((Outcome::NotReceived, _))));
    }

    #[test]
    fn who_has_an_end_is_about_to_come_back_until_it_is_taken_or_left() {
        let connection = ConnectionShared::new(&Settings::default());
        let mut context = Context::from_waker(Waker::noop());
        let has_returning = || connection.has_returning(&connection.lock());
        let end = |token| connection.lock().complete(token, Outcome::Expired);
        let open = || {
            let reply_slot = ReplySlot::new(None);
            let mut state = connection.lock();
            let opened = state
                .waiters
                .vacant()
                .register(Slot::from_index(0), reply_slot);
            (opened.token, opened.awaited(&connection))
        };
        let ((first, mut taken), (second, left), (_, given_up)) = (open(), open(), open());
        assert!(!has_returning());
        end(first);
        end(second);
        assert!(taken.poll(&mut context).is_ready());
        assert!(has_returning(), "one has not looked");
        drop(taken);
        assert!(has_returning());
        drop(left);
        assert!(!has_returning());
        drop(given_up);
        assert!(!has_returning(), "it never had an end");
    }
}
