//! How many calls an instance has that have not ended.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicU64, AtomicUsize,
            Ordering::{AcqRel, Acquire, Relaxed},
        },
    },
    task::Waker,
    time::Duration,
};

use super::{
    fault_injection::FaultInjection,
    peer_sizes::PeerSizes,
    sync::{Mutex, lock},
};

/// For how long half of the calls count on that ended without an answer.
const HALF_LIFE: Duration = Duration::from_secs(10);

/// How many calls an instance has been given that have not ended.
#[derive(Debug, Default)]
pub(super) struct OpenCalls(Arc<EndedCalls>);

/// What became of calls. Each [`OpenCall`] holds it, and so counts as open.
#[derive(Debug, Default)]
struct EndedCalls {
    /// Calls that ended without an answer since the last one, such as by their deadline: an instance that hangs gets no others
    /// in their place.
    unanswered: AtomicUsize,
    /// When the last of these ended, in milliseconds.
    unanswered_at: AtomicU64,
}

impl OpenCalls {
    pub(super) fn count(&self) -> usize {
        match FaultInjection::ForgetOpenCalls.is_on() {
            true => 0,
            false => Arc::strong_count(&self.0) - 1,
        }
    }

    /// How busy the instance is: its open calls, and those that it has left unanswered.
    pub(super) fn load(&self, now: Duration) -> usize {
        let unanswered = self.0.unanswered.load(Relaxed);
        if unanswered == 0 || FaultInjection::ForgetUnanswered.is_on() {
            return self.count();
        }
        let at = Duration::from_millis(self.0.unanswered_at.load(Relaxed));
        let halved = now.saturating_sub(at).as_secs() / HALF_LIFE.as_secs();
        let halved = u32::try_from(halved).unwrap_or(u32::MAX);
        self.count() + unanswered.checked_shr(halved).unwrap_or(0)
    }
}

/// Counts a call as open at its instance, while it exists.
#[derive(Debug)]
pub struct OpenCall {
    calls: Arc<EndedCalls>,
    permit: Option<ClientPermit>,
}

impl OpenCall {
    pub(super) fn new(calls: &OpenCalls) -> Self {
        Self {
            calls: calls.0.clone(),
            permit: None,
        }
    }

    /// It counts among the calls of its client too.
    pub(super) fn of_client(&mut self, client: &Arc<ClientCalls>) {
        self.permit = Some(ClientPermit::new(client));
    }

    /// What counts it among the calls of its client, if anything does: it goes on to count there while this exists.
    pub fn take_permit(&mut self) -> Option<ClientPermit> {
        self.permit.take()
    }

    /// The instance has answered it.
    pub fn answered(&self) {
        if self.calls.unanswered.load(Relaxed) > 0 {
            self.calls.unanswered.store(0, Relaxed);
        }
    }

    /// It ends without an answer, though the instance was there: by its deadline, or since nobody waits for it any more.
    pub fn unanswered(&self, now: Duration) {
        let at = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        self.calls.unanswered.fetch_add(1, Relaxed);
        self.calls.unanswered_at.store(at, Relaxed);
    }
}

/// Counts a call among those of its client at an instance, while it exists: also when it was given up, until the instance has ended
/// it.
#[derive(Debug)]
pub struct ClientPermit(Arc<ClientCalls>);

impl ClientPermit {
    fn new(client: &Arc<ClientCalls>) -> Self {
        client.open.fetch_add(1, AcqRel);
        Self(client.clone())
    }
}

impl Drop for ClientPermit {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The open calls of one client at an instance.
#[derive(Debug, Default)]
pub(super) struct ClientCalls {
    open: AtomicUsize,
    waker: Mutex<Option<Waker>>,
}

impl ClientCalls {
    /// Whether there may be no more of them.
    pub(super) fn is_full(&self) -> bool {
        self.open.load(Acquire) >= PeerSizes::current().max_calls
            && !FaultInjection::CallWithoutLimit.is_on()
    }

    /// Wakes `waker` when one of them ends.
    pub(super) fn wake_when_one_ends(&self, waker: &Waker) {
        *lock(&self.waker) = Some(waker.clone());
    }

    fn end(&self) {
        if self.open.fetch_sub(1, AcqRel) >= PeerSizes::current().max_calls
            && let Some(waker) = lock(&self.waker).take()
        {
            waker.wake();
        }
    }
}
