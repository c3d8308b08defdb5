//! The tasks to wake once a lock is released.

use std::task::Waker;

/// Wakers that were collected under a lock. None of them is woken before the lock is released, since the task that
/// runs then may take the lock at once.
///
/// One waker is the usual case, and needs no allocation.
#[derive(Debug, Default)]
pub(crate) struct WakeList {
    /// The first one; where there is none, `more` is empty.
    first: Option<Waker>,
    more: Vec<Waker>,
}

impl WakeList {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.len()
    }

    #[inline]
    pub(crate) fn push(&mut self, waker: Waker) {
        if self.first.is_none() {
            self.first = Some(waker);
        } else {
            self.more.push(waker);
        }
    }

    /// Takes the wakers out, and keeps the memory where it can.
    #[inline]
    pub(super) fn take(&mut self) -> Self {
        if self.more.is_empty() {
            return Self {
                first: self.first.take(),
                more: Vec::new(),
            };
        }
        std::mem::take(self)
    }

    /// Takes the wakers out where they may be many: `memory`, which is empty, stays behind for the next ones.
    pub(super) fn take_leaving(&mut self, memory: Vec<Waker>) -> Self {
        Self {
            first: self.first.take(),
            more: std::mem::replace(&mut self.more, memory),
        }
    }

    /// Its memory, once all have been woken.
    pub(super) fn into_memory(self) -> Vec<Waker> {
        self.more
    }

    /// Wakes all, and keeps the memory.
    #[inline]
    pub(crate) fn wake_all(&mut self) {
        if let Some(first) = self.first.take() {
            first.wake();
            if !self.more.is_empty() {
                self.more.drain(..).for_each(Waker::wake);
            }
        }
    }

    /// Gives back the memory that a burst needed.
    pub(crate) fn release(&mut self) {
        self.more.shrink_to_fit();
    }
}

impl Extend<Waker> for WakeList {
    #[inline]
    fn extend<T: IntoIterator<Item = Waker>>(&mut self, wakers: T) {
        wakers.into_iter().for_each(|waker| self.push(waker));
    }
}

/// Stores the waker of the task to wake next, in place of the one before.
#[inline]
pub(super) fn store_waker(stored: &mut Option<Waker>, waker: &Waker) {
    match stored {
        // Clones only where it is the waker of another task.
        Some(known) => known.clone_from(waker),
        unknown => *unknown = Some(waker.clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn every_waker_is_woken_once() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        for count in 0..4 {
            let mut list = WakeList::default();
            list.extend(std::iter::repeat_n(waker.clone(), count));
            assert_eq!((list.len(), list.is_empty()), (count, count == 0));
            let mut taken = list.take();
            assert!(list.is_empty());
            taken.wake_all();
            assert!(taken.is_empty());
            assert_eq!(woken.0.swap(0, Ordering::Relaxed), count);
        }
    }

    #[test]
    fn a_stored_waker_is_replaced_by_that_of_another_task() {
        let [first, second] = [(); 2].map(|()| Waker::from(Arc::new(Woken::default())));
        let mut stored = None;
        for waker in [&first, &first, &second] {
            store_waker(&mut stored, waker);
            assert!(
                stored
                    .as_ref()
                    .is_some_and(|stored| stored.will_wake(waker))
            );
        }
    }
}
