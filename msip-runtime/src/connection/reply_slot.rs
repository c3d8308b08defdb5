//! The reply slot of an exchange: where its outcome is put for the caller.
//!
//! Each has a lock of its own, so that a caller that takes a reply does not wait for senders. Where the connection is
//! locked too, it is locked first.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};

use super::{
    fault_injection::FaultInjection,
    wake_list::{WakeList, store_waker},
};
use crate::{
    body::Encoding,
    sync::{Mutex, MutexGuard, lock},
};
use msip_session::Outcome;

/// The slot for the outcome of one exchange.
#[derive(Debug)]
pub(super) struct ReplySlot(Mutex<ReplyState>);

#[derive(Debug)]
enum ReplyState {
    /// The exchange is open; the waker to call when it ends.
    Pending(Option<Waker>),
    /// The outcome, and how its session writes bodies.
    Ready(Outcome, Encoding),
    Taken,
}

impl ReplySlot {
    /// A slot for an outcome that is still to come, and the waker to call then.
    pub(super) fn new(waker: Option<Waker>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(ReplyState::Pending(waker))))
    }

    fn lock(&self) -> MutexGuard<'_, ReplyState> {
        lock(&self.0)
    }

    /// The exchange has ended.
    #[inline]
    pub(super) fn fill(&self, outcome: Outcome, encoding: Encoding, wakes: &mut WakeList) {
        let before = std::mem::replace(&mut *self.lock(), ReplyState::Ready(outcome, encoding));
        if let ReplyState::Pending(Some(waker)) = before {
            wakes.push(waker);
        }
    }

    /// Whom to wake when the exchange ends, which has not begun yet.
    pub(super) fn set_waker(&self, waker: Waker) {
        *self.lock() = ReplyState::Pending(Some(waker));
    }

    /// Whether the exchange has ended.
    pub(super) fn has_ended(&self) -> bool {
        !matches!(*self.lock(), ReplyState::Pending(_))
    }

    /// Takes the outcome, which is there once.
    pub(super) fn poll_take(&self, task: &mut Context<'_>) -> Poll<(Outcome, Encoding)> {
        let mut state = self.lock();
        if let ReplyState::Pending(waker) = &mut *state {
            if FaultInjection::StoreReplyWakerLate.is_on() {
                drop(state);
                if let ReplyState::Pending(waker) = &mut *self.lock() {
                    store_waker(waker, task.waker());
                }
                return Poll::Pending;
            }
            store_waker(waker, task.waker());
            return Poll::Pending;
        }
        match std::mem::replace(&mut *state, ReplyState::Taken) {
            ReplyState::Ready(outcome, encoding) => Poll::Ready((outcome, encoding)),
            // Nobody polls again after that.
            ReplyState::Pending(_) | ReplyState::Taken => {
                Poll::Ready((Outcome::Lost { sent: true }, Encoding::default()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(reply: &ReplySlot) -> Poll<(Outcome, Encoding)> {
        reply.poll_take(&mut Context::from_waker(Waker::noop()))
    }

    /// Fills the slot, and returns how many tasks that wakes.
    fn fill(reply: &ReplySlot, outcome: Outcome) -> usize {
        let mut wakes = WakeList::default();
        reply.fill(outcome, Encoding::default(), &mut wakes);
        wakes.len()
    }

    #[test]
    fn an_outcome_wakes_the_last_task_that_asked_and_is_taken_once() {
        let reply = ReplySlot::new(None);
        assert!(!reply.has_ended());
        assert!(take(&reply).is_pending());
        assert_eq!(fill(&reply, Outcome::Expired), 1, "whoever asked is woken");
        assert!(reply.has_ended());
        assert!(matches!(take(&reply), Poll::Ready((Outcome::Expired, _))));
        assert!(reply.has_ended(), "also once it was taken");
        assert_eq!(fill(&reply, Outcome::Dropped), 0, "nobody waits any more");
    }

    #[test]
    fn an_outcome_that_comes_before_anybody_asks_is_there_for_them() {
        let reply = ReplySlot::new(Some(Waker::noop().clone()));
        let woken = fill(&reply, Outcome::NotReceived);
        assert_eq!(woken, 1, "whoever opened the exchange is woken");
        let end = take(&reply);
        assert!(matches!(end, Poll::Ready((Outcome::NotReceived, _))));
    }
}
