//! The memory that the queues and sessions of many connections may hold together (docs/operations.md, "Memory").
//!
//! A session tells its [`Share`] what it holds, and the share reports it in steps of 64 KiB: what all connections
//! touch, one number, is written once for thousands of messages. When it is over the limit, sessions without a
//! connection are ended, the oldest first; where that is not enough, every session that asks is told that memory is short.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// By how much what a session holds must have changed to be reported.
pub const STEP: usize = 64 * 1024;

/// What each connection may hold whatever others do, so that nobody is locked out and nothing locks up.
pub const FLOOR: usize = 64 * 1024;

/// What all clients and servers of the process that say nothing else may hold together.
pub const OF_PROCESS: usize = 1024 * 1024 * 1024;

/// What may be held, and what is.
#[derive(Debug)]
pub struct Budget {
    max: usize,
    held: AtomicUsize,
    /// What of it belongs to sessions that are being ended.
    ending: AtomicUsize,
    kept: Mutex<Kept>,
}

/// The sessions that have no connection, in the order in which they lost it.
#[derive(Debug, Default)]
struct Kept {
    waiting: BTreeMap<u64, Detached>,
    /// What those hold that were asked to end, and have not yet.
    ending: BTreeMap<u64, usize>,
    next: u64,
}

/// Asks a session without a connection to end.
pub type End = Box<dyn FnOnce() + Send>;

struct Detached {
    held: usize,
    end: End,
}

impl fmt::Debug for Detached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detached")
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

impl Budget {
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            held: AtomicUsize::new(0),
            ending: AtomicUsize::new(0),
            kept: Mutex::default(),
        })
    }

    /// The one that all clients and servers share that do not ask for their own.
    pub fn of_process() -> Arc<Self> {
        static OF_ALL: LazyLock<Arc<Budget>> = LazyLock::new(|| Budget::new(OF_PROCESS));
        Arc::clone(&OF_ALL)
    }

    pub fn max(&self) -> usize {
        self.max
    }

    pub fn held(&self) -> usize {
        // It is a sum of reports, and orders nothing.
        self.held.load(Ordering::Relaxed)
    }

    /// Whether more is held than may be, those sessions aside that are being ended.
    fn is_short(&self) -> bool {
        let held = self.held();
        held > self.max && held.saturating_sub(self.ending.load(Ordering::Relaxed)) > self.max
    }

    /// Ends sessions without a connection until memory is not short, or none is left that holds any.
    fn relieve(&self) {
        while self.is_short() {
            let Some(end) = self.take_oldest() else {
                return;
            };
            end();
        }
    }

    fn take_oldest(&self) -> Option<End> {
        let mut kept = self.lock();
        let (&number, _) = kept.waiting.iter().find(|(_, it)| it.held > 0)?;
        let Detached { held, end } = kept.waiting.remove(&number)?;
        kept.ending.insert(number, held);
        self.ending.fetch_add(held, Ordering::Relaxed);
        Some(end)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part of a budget that one session has. What it has reported is given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    reported: usize,
    /// Its place among the sessions that may be ended.
    place: Option<u64>,
    is_short: bool,
}

impl Share {
    pub fn new(budget: Arc<Budget>) -> Self {
        Self {
            budget,
            reported: 0,
            place: None,
            is_short: false,
        }
    }

    /// This is held now.
    pub fn report(&mut self, held: usize) {
        if held.abs_diff(self.reported) >= STEP {
            self.change(held);
        }
        self.is_short = self.budget.is_short();
    }

    /// Whether memory was short at the last report.
    #[inline]
    pub fn is_short(&self) -> bool {
        self.is_short
    }

    /// What all sessions of the budget may hold.
    pub fn max(&self) -> usize {
        self.budget.max
    }

    #[cold]
    fn change(&mut self, held: usize) {
        let before = std::mem::replace(&mut self.reported, held);
        let total = &self.budget.held;
        if held < before {
            total.fetch_sub(before - held, Ordering::Relaxed);
        } else {
            total.fetch_add(held - before, Ordering::Relaxed);
        }
        if let Some(place) = self.place {
            let mut kept = self.budget.lock();
            if let Some(waiting) = kept.waiting.get_mut(&place) {
                waiting.held = held;
            } else if let Some(ending) = kept.ending.get_mut(&place) {
                let before = std::mem::replace(ending, held);
                self.budget.ending.fetch_sub(before, Ordering::Relaxed);
                self.budget.ending.fetch_add(held, Ordering::Relaxed);
            }
        }
        if held > before {
            self.budget.relieve();
        }
    }

    /// The session has no connection from here on, and may be ended by calling `end`.
    pub fn may_be_ended(&mut self, end: End) {
        self.is_needed();
        let held = self.reported;
        {
            let mut kept = self.budget.lock();
            kept.next += 1;
            let place = kept.next;
            kept.waiting.insert(place, Detached { held, end });
            self.place = Some(place);
        }
        self.budget.relieve();
    }

    /// The session has a connection again, or is gone.
    pub fn is_needed(&mut self) {
        let Some(place) = self.place.take() else {
            return;
        };
        let mut kept = self.budget.lock();
        if kept.waiting.remove(&place).is_none()
            && let Some(held) = kept.ending.remove(&place)
        {
            self.budget.ending.fetch_sub(held, Ordering::Relaxed);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // First, so that what is being ended never seems to be more than what is held.
        self.is_needed();
        self.budget.held.fetch_sub(self.reported, Ordering::Relaxed);
    }
}

/// How much memory the queues and sessions hold that share a limit; from [`Server::memory`](crate::Server::memory) or
/// [`ConnectionInfo::memory`](crate::ConnectionInfo::memory).
#[derive(Debug, Clone)]
pub struct MemoryUse {
    budget: Arc<Budget>,
}

impl MemoryUse {
    pub fn of(budget: &Arc<Budget>) -> Self {
        Self {
            budget: Arc::clone(budget),
        }
    }

    /// What they hold now, in bytes, as far as it was reported: each does when what it holds has changed by 64 KiB.
    #[must_use]
    pub fn held(&self) -> usize {
        self.budget.held()
    }

    /// What they may hold, in bytes: the setting `max_memory`.
    #[must_use]
    pub fn max(&self) -> usize {
        self.budget.max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Ended = Arc<Mutex<Vec<&'static str>>>;

    fn ending(ended: &Ended, name: &'static str) -> End {
        let ended = Arc::clone(ended);
        Box::new(move || ended.lock().unwrap().push(name))
    }

    #[test]
    fn small_changes_are_not_reported() {
        let budget = Budget::new(10 * STEP);
        let mut share = Share::new(Arc::clone(&budget));
        share.report(STEP - 1);
        assert_eq!(budget.held(), 0);
        share.report(STEP);
        share.report(2 * STEP - 1);
        share.report(1);
        assert_eq!(budget.held(), STEP);
        share.report(0);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn what_was_reported_is_given_back() {
        let budget = Budget::new(10 * STEP);
        let mut shares: Vec<Share> = (0..4).map(|_| Share::new(Arc::clone(&budget))).collect();
        for share in &mut shares {
            share.report(3 * STEP + 5);
        }
        assert_eq!(budget.held(), 4 * (3 * STEP + 5));
        shares[0].report(0);
        assert!(!shares[0].is_short(), "9 of 10 steps, and a little");
        let mut other = Share::new(Arc::clone(&budget));
        other.report(STEP);
        assert!(other.is_short());
        drop(other);
        let panicking = std::thread::spawn(move || {
            let _shares = shares;
            panic!("as a handler may");
        });
        assert!(panicking.join().is_err());
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn sessions_without_a_connection_end_oldest_first_and_no_more_than_needed() {
        let budget = Budget::new(10 * STEP);
        let ended = Ended::default();
        let share = |held: usize| {
            let mut share = Share::new(Arc::clone(&budget));
            share.report(held);
            share
        };
        let [mut empty, mut first, mut back, mut second, mut third] =
            [0, 3, 2, 2, 2].map(|steps| share(steps * STEP));
        empty.may_be_ended(ending(&ended, "empty"));
        back.may_be_ended(ending(&ended, "back"));
        first.may_be_ended(ending(&ended, "first"));
        second.may_be_ended(ending(&ended, "second"));
        third.may_be_ended(ending(&ended, "third"));
        back.is_needed();
        let mut busy = share(STEP);
        assert!(ended.lock().unwrap().is_empty(), "10 steps are allowed");
        busy.report(2 * STEP);
        assert_eq!(*ended.lock().unwrap(), ["first"]);
        assert!(!busy.is_short(), "what is being ended does not count");
        busy.report(4 * STEP);
        assert_eq!(*ended.lock().unwrap(), ["first"], "3 steps come back");
        busy.report(7 * STEP);
        assert_eq!(*ended.lock().unwrap(), ["first", "second", "third"]);
        assert!(!busy.is_short());
        busy.report(9 * STEP);
        assert!(busy.is_short(), "nobody is left who holds any");
        drop((first, second, third, back, empty));
        busy.report(9 * STEP);
        assert!(!busy.is_short());
        drop(busy);
        assert_eq!(budget.held(), 0);
        assert_eq!(budget.ending.load(Ordering::Relaxed), 0);
        let kept = budget.lock();
        assert!(kept.waiting.is_empty() && kept.ending.is_empty());
    }

    #[test]
    fn one_that_grows_without_a_connection_may_be_ended_too() {
        let budget = Budget::new(4 * STEP);
        let ended = Ended::default();
        let mut growing = Share::new(Arc::clone(&budget));
        growing.may_be_ended(ending(&ended, "growing"));
        growing.report(3 * STEP);
        assert!(ended.lock().unwrap().is_empty());
        growing.report(5 * STEP);
        assert_eq!(*ended.lock().unwrap(), ["growing"]);
        growing.report(7 * STEP);
        assert!(!growing.is_short(), "all of it is being ended");
        growing.is_needed();
        growing.report(7 * STEP);
        assert!(growing.is_short(), "a connection came before it ended");
    }
}
