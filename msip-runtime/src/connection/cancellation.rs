//! Cancellation of a call that is served: notifies its handler that the answer is not awaited any longer.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use slab::Slab;

use super::wake_list::WakeList;
use crate::sync::{Mutex, MutexGuard, lock};

/// Notifies a handler when its call is cancelled; from [`Call::cancellation`](crate::Call::cancellation).
///
/// Clones tell the same. It does not say why: the caller may have given up, its deadline may have passed, its session
/// may have ended, or the call may have been answered.
#[derive(Debug, Clone)]
pub struct Cancellation(Option<Arc<CancelFlag>>);

impl Cancellation {
    /// Of something that cannot be cancelled.
    pub(crate) const fn never() -> Self {
        Self(None)
    }

    /// Of a call that is open.
    pub(super) fn of(flag: &Arc<CancelFlag>) -> Self {
        Self(Some(Arc::clone(flag)))
    }

    /// Of a call that was cancelled before.
    pub(super) fn cancelled_already() -> Self {
        let flag = CancelFlag::default();
        flag.lock().is_cancelled = true;
        Self(Some(Arc::new(flag)))
    }

    /// Whether the call is cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.as_ref().is_some_and(|flag| flag.lock().is_cancelled)
    }

    /// Waits until the call is cancelled: its answer is not awaited any longer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn cancelled(&self) {
        match &self.0 {
            Some(flag) => {
                let mut waiting = Waiting { flag, key: None };
                poll_fn(|task| waiting.poll(task)).await;
            }
            None => std::future::pending().await,
        }
    }
}

/// Whether a call was cancelled, and the tasks that wait for it.
#[derive(Debug, Default)]
pub(super) struct CancelFlag(Mutex<CancelState>);

#[derive(Debug, Default)]
struct CancelState {
    is_cancelled: bool,
    waiting: Slab<Waker>,
}

impl CancelFlag {
    fn lock(&self) -> MutexGuard<'_, CancelState> {
        lock(&self.0)
    }

    pub(super) fn cancel(&self, wakes: &mut WakeList) {
        let mut state = self.lock();
        state.is_cancelled = true;
        wakes.extend(
            std::mem::take(&mut state.waiting)
                .into_iter()
                .map(|(_, waker)| waker),
        );
    }
}

/// A task that waits for the flag, and leaves when this is dropped.
struct Waiting<'a> {
    flag: &'a CancelFlag,
    key: Option<usize>,
}

impl Waiting<'_> {
    fn poll(&mut self, task: &Context<'_>) -> Poll<()> {
        let mut state = self.flag.lock();
        if state.is_cancelled {
            self.key = None;
            return Poll::Ready(());
        }
        match self.key.and_then(|key| state.waiting.get_mut(key)) {
            Some(known) => known.clone_from(task.waker()),
            None => self.key = Some(state.waiting.insert(task.waker().clone())),
        }
        Poll::Pending
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.flag.lock();
        // Once the flag is raised its list is empty.
        if let Some(key) = self.key.filter(|_| !state.is_cancelled) {
            state.waiting.try_remove(key);
        }
    }
}
