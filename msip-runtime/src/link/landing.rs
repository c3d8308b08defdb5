//! Where the end of an exchange is put for whoever waits for it.
//!
//! Each has a lock of its own, so that whoever takes an answer does not wait for those who send meanwhile. Where the
//! link's state is locked too, that is locked first.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    task::{Context, Poll, Waker},
};

use super::{Link, State, Waiter};
use crate::{
    body::Encoding,
    session::{Outcome, Slot, Token},
};

/// The place for the end of one exchange.
#[derive(Debug)]
pub(super) struct Landing(Mutex<End>);

#[derive(Debug)]
enum End {
    /// Not there yet; whom to wake.
    Awaited(Option<Waker>),
    /// The outcome, and how its session writes bodies.
    There(Outcome, Encoding),
    Taken,
}

impl Landing {
    /// A place for an end that is still to come, and whom to wake then.
    pub(super) fn new(waker: Option<Waker>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(End::Awaited(waker))))
    }

    fn lock(&self) -> MutexGuard<'_, End> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The exchange has ended. Returns whom to wake.
    pub(super) fn land(&self, outcome: Outcome, encoding: Encoding) -> Option<Waker> {
        match std::mem::replace(&mut *self.lock(), End::There(outcome, encoding)) {
            End::Awaited(waker) => waker,
            End::There(..) | End::Taken => None,
        }
    }

    /// Somebody else is to be woken when the exchange ends, which has not begun yet.
    pub(super) fn is_awaited_by(&self, waker: Waker) {
        *self.lock() = End::Awaited(Some(waker));
    }

    /// Whether the exchange has ended.
    pub(super) fn has_ended(&self) -> bool {
        !matches!(*self.lock(), End::Awaited(_))
    }

    /// Takes the outcome, which is there once.
    pub(super) fn poll_take(&self, context: &mut Context<'_>) -> Poll<(Outcome, Encoding)> {
        let mut state = self.lock();
        if let End::Awaited(waker) = &mut *state {
            match waker {
                Some(known) => known.clone_from(context.waker()),
                unknown => *unknown = Some(context.waker().clone()),
            }
            return Poll::Pending;
        }
        match std::mem::replace(&mut *state, End::Taken) {
            End::There(outcome, encoding) => Poll::Ready((outcome, encoding)),
            // Nobody polls again after that.
            End::Awaited(_) | End::Taken => {
                Poll::Ready((Outcome::Lost { sent: true }, Encoding::default()))
            }
        }
    }
}

/// An exchange that was just opened.
#[derive(Debug)]
pub(super) struct Opened {
    token: Token,
    landing: Arc<Landing>,
}

impl Opened {
    /// Somebody waits for its end, and gives it up when that is dropped.
    pub(super) fn awaited(self, link: &Link) -> Answer<'_> {
        Answer {
            link,
            opened: self,
            is_taken: false,
        }
    }

    /// Waits for its end; gives it up when the future is dropped.
    pub(super) async fn answer(self, link: &Link) -> (Outcome, Encoding) {
        let mut answer = self.awaited(link);
        poll_fn(|context| answer.poll(context)).await
    }
}

impl State {
    /// An exchange has been opened under the next free token.
    #[inline]
    pub(super) fn opened(&mut self, slot: Slot, landing: Arc<Landing>) -> Opened {
        let token = self.waiters.insert(Waiter::Waiting {
            slot,
            landing: Arc::clone(&landing),
        });
        Opened { token, landing }
    }
}

/// An exchange whose end somebody waits for; given up when it is dropped.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    link: &'a Link,
    opened: Opened,
    is_taken: bool,
}

impl Answer<'_> {
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<(Outcome, Encoding)> {
        let end = self.opened.landing.poll_take(context);
        if end.is_ready() {
            self.is_taken = true;
            self.link.taken.fetch_add(1, Ordering::Relaxed);
        }
        end
    }
}

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        if self.is_taken {
            return;
        }
        let Opened { token, landing } = &self.opened;
        if !landing.has_ended() {
            self.link.give_up_unless(*token, || landing.has_ended());
        }
        if landing.has_ended() {
            // Whoever looks for those about to come back looks for one less.
            self.link.taken.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn take(landing: &Landing) -> Poll<(Outcome, Encoding)> {
        landing.poll_take(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn an_end_is_told_to_the_last_who_asked_and_taken_once() {
        let landing = Landing::new(None);
        assert!(!landing.has_ended());
        assert!(take(&landing).is_pending());
        let waker = landing.land(Outcome::Expired, Encoding::default());
        assert!(waker.is_some(), "whoever asked is woken");
        assert!(landing.has_ended());
        assert!(matches!(take(&landing), Poll::Ready((Outcome::Expired, _))));
        assert!(landing.has_ended(), "also once it was taken");
        let again = landing.land(Outcome::Dropped, Encoding::default());
        assert!(again.is_none(), "nobody waits any more");
    }

    #[test]
    fn an_end_that_comes_before_anybody_asks_is_there_for_them() {
        let landing = Landing::new(Some(Waker::noop().clone()));
        let waker = landing.land(Outcome::NotReceived, Encoding::default());
        assert!(waker.is_some(), "whoever opened the exchange is woken");
        let end = take(&landing);
        assert!(matches!(end, Poll::Ready((Outcome::NotReceived, _))));
    }

    #[test]
    fn who_has_an_end_is_about_to_come_back_until_it_is_taken_or_left() {
        let link = Link::new(&Settings::default());
        let mut context = Context::from_waker(Waker::noop());
        let has_returning = || link.has_returning(&link.lock());
        let end = |token| link.lock().complete(token, Outcome::Expired);
        let open = || {
            let landing = Landing::new(None);
            let mut state = link.lock();
            let opened = state.opened(0, landing);
            (opened.token, opened.awaited(&link))
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
