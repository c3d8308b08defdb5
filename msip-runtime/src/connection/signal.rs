//! A signal: raised once, and waited for by any number of tasks.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use slab::Slab;

use super::wake_list::WakeList;
use crate::sync::{AtomicBool, Mutex, MutexGuard, Ordering, lock};

/// Raised once, and never lowered.
///
/// Where the connection is locked too, it is locked first.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    /// Set under the lock of those who wait, and read without it: many may ask that share the signal.
    is_raised: AtomicBool,
    waiting: Mutex<Slab<Waker>>,
}

impl Signal {
    fn lock(&self) -> MutexGuard<'_, Slab<Waker>> {
        lock(&self.waiting)
    }

    /// Notifies all who wait, and all who will ask.
    pub(super) fn raise_with(&self, wakes: &mut WakeList) {
        let mut waiting = self.lock();
        self.is_raised.store(true, Ordering::Release);
        let waiting = std::mem::take(&mut *waiting);
        wakes.extend(waiting.into_iter().map(|(_, waker)| waker));
    }

    /// The same, where no lock is held.
    pub(crate) fn raise(&self) {
        let mut wakes = WakeList::default();
        self.raise_with(&mut wakes);
        wakes.wake_all();
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.is_raised.load(Ordering::Acquire)
    }
}

/// A future that is ready once a signal is raised. Dropping it loses nothing.
#[derive(Debug)]
pub(crate) struct Raised {
    signal: Arc<Signal>,
    /// Where it waits.
    key: Option<usize>,
}

impl Raised {
    pub(crate) fn of(signal: &Arc<Signal>) -> Self {
        Self {
            signal: Arc::clone(signal),
            key: None,
        }
    }

    pub(super) fn is_raised(&self) -> bool {
        self.signal.is_raised()
    }
}

impl Future for Raised {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<()> {
        let Self { signal, key } = &mut *self;
        let mut waiting = signal.lock();
        if signal.is_raised() {
            return Poll::Ready(());
        }
        match key.and_then(|key| waiting.get_mut(key)) {
            Some(known) => known.clone_from(task.waker()),
            None => *key = Some(waiting.insert(task.waker().clone())),
        }
        Poll::Pending
    }
}

impl Clone for Raised {
    fn clone(&self) -> Self {
        Self::of(&self.signal)
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        let Some(key) = self.key else {
            return;
        };
        let mut waiting = self.signal.lock();
        // Once it is raised nobody waits.
        if !self.signal.is_raised() {
            waiting.try_remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(raised: &mut Raised) -> Poll<()> {
        Pin::new(raised).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn one_that_is_dropped_leaves_the_others_waiting() {
        let signal = Arc::<Signal>::default();
        let mut first = Raised::of(&signal);
        let mut second = first.clone();
        assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending());
        assert!(poll(&mut first).is_pending(), "it waits once");
        assert_eq!(signal.lock().len(), 2);
        drop(first);
        assert_eq!(signal.lock().len(), 1);
        let mut wakes = WakeList::default();
        signal.raise_with(&mut wakes);
        assert_eq!(wakes.len(), 1);
        assert!(second.is_raised() && poll(&mut second).is_ready());
        assert!(poll(&mut second.clone()).is_ready());
    }
}
