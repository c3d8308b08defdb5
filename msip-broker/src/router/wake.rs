//! Whom to wake, once a turn.

use std::task::Waker;

/// The connections that were given something, woken together: by [`WakeList::wake`], or when it is dropped.
#[derive(Debug, Default)]
pub struct WakeList(Vec<Waker>);

impl WakeList {
    /// Nobody.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn push(&mut self, waker: Option<Waker>) {
        self.0.extend(waker);
    }

    /// Wakes them. The list is empty afterwards, and keeps its memory.
    pub fn wake(&mut self) {
        for waker in self.0.drain(..) {
            waker.wake();
        }
    }
}

impl Drop for WakeList {
    fn drop(&mut self) {
        self.wake();
    }
}
