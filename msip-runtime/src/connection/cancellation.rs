//! What tells work that nobody waits for it any more.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use slab::Slab;

use super::{CallToAnswer, ConnectionInner, ConnectionShared};
use msip_session::InboundSlot;

/// Tells when nobody waits for the answer of a call any more; from [`Call::cancellation`](crate::Call::cancellation).
///
/// A clone tells the same. It says nothing of who is to blame: the caller gave up, its deadline has passed, its session
/// has ended, or the call has been answered.
#[derive(Debug, Clone)]
pub struct Cancellation(Option<Arc<Flag>>);

impl Cancellation {
    /// Of something that nobody can cancel.
    pub(crate) const fn never() -> Self {
        Self(None)
    }

    /// Whether nobody waits any more.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.as_ref().is_some_and(|flag| flag.lock().is_raised)
    }

    /// Waits until nobody waits any more.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn cancelled(&self) {
        match &self.0 {
            Some(flag) => {
                let mut watching = Watching { flag, place: None };
                poll_fn(|task| watching.poll(task)).await;
            }
            None => std::future::pending().await,
        }
    }
}

/// Whether a call is over, and who waits to hear it.
#[derive(Debug, Default)]
pub(super) struct Flag(Mutex<Raised>);

#[derive(Debug, Default)]
struct Raised {
    is_raised: bool,
    watching: Slab<Waker>,
}

impl Flag {
    fn lock(&self) -> MutexGuard<'_, Raised> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whom to wake.
    fn raise(&self) -> Slab<Waker> {
        let mut raised = self.lock();
        raised.is_raised = true;
        std::mem::take(&mut raised.watching)
    }
}

/// Somebody who waits for the flag, and leaves when it is dropped.
struct Watching<'a> {
    flag: &'a Flag,
    place: Option<usize>,
}

impl Watching<'_> {
    fn poll(&mut self, task: &Context<'_>) -> Poll<()> {
        let mut raised = self.flag.lock();
        if raised.is_raised {
            self.place = None;
            return Poll::Ready(());
        }
        match self.place.and_then(|place| raised.watching.get_mut(place)) {
            Some(known) => known.clone_from(task.waker()),
            None => self.place = Some(raised.watching.insert(task.waker().clone())),
        }
        Poll::Pending
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        let mut raised = self.flag.lock();
        // Once the flag is raised nobody is in its list.
        if let Some(place) = self.place.filter(|_| !raised.is_raised) {
            raised.watching.try_remove(place);
        }
    }
}

impl ConnectionShared {
    /// Whether somebody waits for the answer of this call.
    pub(crate) fn is_awaited(&self, call: CallToAnswer) -> bool {
        self.lock().is_call_awaited(call)
    }

    /// What tells when nobody does any more.
    pub(crate) fn cancellation(&self, call: CallToAnswer) -> Cancellation {
        let mut state = self.lock();
        if state.is_call_awaited(call) {
            let flag = state.watched.entry(call.slot).or_default();
            return Cancellation(Some(Arc::clone(flag)));
        }
        let over = Flag::default();
        over.lock().is_raised = true;
        Cancellation(Some(Arc::new(over)))
    }
}

impl ConnectionInner {
    fn is_call_awaited(&self, call: CallToAnswer) -> bool {
        self.generation == call.generation
            && self
                .session
                .as_ref()
                .is_some_and(|session| session.is_awaited(call.slot, call.id))
    }

    /// Nobody waits for this call any more. Returns whom to wake.
    pub(super) fn unwatch(&mut self, slot: InboundSlot) -> Vec<Waker> {
        if self.watched.is_empty() {
            return Vec::new();
        }
        let flag = self.watched.remove(&slot);
        flag.map_or_else(Vec::new, |flag| wakers(&flag))
    }

    /// Nobody waits for any call any more. Returns whom to wake.
    pub(super) fn unwatch_all(&mut self) -> Vec<Waker> {
        let flags = self.watched.drain();
        flags.flat_map(|(_, flag)| wakers(&flag)).collect()
    }
}

fn wakers(flag: &Flag) -> Vec<Waker> {
    flag.raise().into_iter().map(|(_, waker)| waker).collect()
}
