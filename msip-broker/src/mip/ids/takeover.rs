//! A session of a MIP peer goes from one connection to another.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Waker},
};

/// What tells a connection that another one has its session now.
#[derive(Debug, Default)]
pub(in crate::mip) struct Takeover {
    has_happened: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Takeover {
    /// Whether it has happened.
    pub(in crate::mip) fn has_happened(&self) -> bool {
        self.has_happened.load(Ordering::Acquire)
    }

    /// The same, and the task is woken when it happens.
    pub(in crate::mip) fn poll(&self, task: &Context<'_>) -> bool {
        let mut waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *waker {
            Some(known) => known.clone_from(task.waker()),
            none => *none = Some(task.waker().clone()),
        }
        drop(waker);
        self.has_happened()
    }

    pub(super) fn happen(&self) {
        self.has_happened.store(true, Ordering::Release);
        let mut waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        let waker = waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
