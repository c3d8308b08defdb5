//! The state of the driver, as senders see it: whether it sleeps, and whether it should write before more is sent.

use std::task::Waker;

use super::wake_list::{WakeList, store_waker};

/// The state of the driver, as senders see it.
#[derive(Debug, Default)]
pub(super) struct DriverState {
    waker: Option<Waker>,
    is_awake: bool,
    /// It is handing bytes to the transport. Who sees that runs on another thread.
    is_writing: bool,
    /// Senders that let it write before they send more.
    flush_waiters: Vec<Waker>,
}

impl DriverState {
    /// The driver runs, and will check for all work before it sleeps. Returns whether it was marked as awake before,
    /// which it is where a sender woke it.
    pub(super) fn awakes(&mut self, waker: &Waker) -> bool {
        store_waker(&mut self.waker, waker);
        std::mem::replace(&mut self.is_awake, true)
    }

    /// The driver has looked at everything.
    pub(super) fn sleeps(&mut self) {
        self.is_awake = false;
    }

    pub(super) fn is_awake(&self) -> bool {
        self.is_awake
    }

    /// Wakes the driver, unless it is awake.
    #[inline]
    pub(super) fn wake(&mut self, wakes: &mut WakeList) {
        if !std::mem::replace(&mut self.is_awake, true)
            && let Some(waker) = self.waker.take()
        {
            wakes.push(waker);
        }
    }

    pub(super) fn is_writing(&self) -> bool {
        self.is_writing
    }

    pub(super) fn set_writing(&mut self, is_writing: bool) {
        self.is_writing = is_writing;
    }

    /// A sender waits until the driver has written.
    pub(super) fn wait_for_flush(&mut self, waker: &Waker) {
        self.flush_waiters.push(waker.clone());
    }

    /// The driver has had its turn, or has written all it can.
    #[inline]
    pub(super) fn has_run(&mut self, wakes: &mut WakeList) {
        self.is_writing = false;
        if !self.flush_waiters.is_empty() {
            wakes.extend(self.flush_waiters.drain(..));
        }
    }

    /// The driver has ended with its connection.
    pub(super) fn detach(&mut self, wakes: &mut WakeList) {
        self.waker = None;
        self.is_awake = false;
        self.has_run(wakes);
    }

    /// Gives back the memory that a burst needed.
    pub(super) fn release(&mut self) {
        self.flush_waiters.shrink_to_fit();
    }
}
