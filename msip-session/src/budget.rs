//! The memory budget that many sessions share (docs/operations.md, "Memory").
//!
//! A session reports what it holds to its [`Share`], which reports it to the budget in steps of 64 KiB: the one number that
//! all connections write is written once for thousands of messages. Over the limit, sessions without a connection are
//! evicted, the oldest first; where that is not enough, each session learns that memory is short.
//!
//! What running calls are expected to be answered with is added up beside that: where both together are over the limit, each
//! session begins fewer calls.

mod answer_lengths;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use answer_lengths::AnswerLengths;

/// A memory budget: how much sessions may hold together, and how much they hold.
#[derive(Debug)]
pub struct Budget {
    max: usize,
    held: AtomicUsize,
    /// What the running calls of all sessions are expected to be answered with.
    expected: AtomicUsize,
    answer_lengths: AnswerLengths,
    /// What of it belongs to sessions that are being evicted.
    evicting: AtomicUsize,
    detached: Mutex<DetachedSessions>,
}

/// The sessions that have no connection, in the order in which they lost it.
#[derive(Debug, Default)]
struct DetachedSessions {
    evictable: BTreeMap<u64, Detached>,
    /// What those hold that were evicted, and have not ended yet.
    evicting: BTreeMap<u64, usize>,
    next: u64,
}

/// Asks a session without a connection to end; called once, from any thread.
pub type Evict = Box<dyn FnOnce() + Send>;

struct Detached {
    held: usize,
    evict: Evict,
}

impl fmt::Debug for Detached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detached")
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

impl Budget {
    /// By how much what a session holds must have changed to be reported, in bytes: 64 KiB.
    pub const STEP: usize = 64 * 1024;

    /// What each connection may hold whatever others do, in bytes: 64 KiB. So no peer is locked out, and nothing
    /// deadlocks.
    pub const FLOOR: usize = 64 * 1024;

    /// The size of [`Budget::of_process`], in bytes: 1 GiB.
    pub const OF_PROCESS: usize = 1024 * 1024 * 1024;

    /// A budget of this many bytes.
    #[must_use]
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            held: AtomicUsize::new(0),
            expected: AtomicUsize::new(0),
            answer_lengths: AnswerLengths::default(),
            evicting: AtomicUsize::new(0),
            detached: Mutex::default(),
        })
    }

    /// The budget that all sessions of the process share that have none of their own.
    pub fn of_process() -> Arc<Self> {
        static OF_ALL: LazyLock<Arc<Budget>> = LazyLock::new(|| Budget::new(Budget::OF_PROCESS));
        Arc::clone(&OF_ALL)
    }

    /// How much may be held, in bytes.
    pub fn max(&self) -> usize {
        self.max
    }

    /// How much is held, in bytes, as far as it was reported.
    pub fn held(&self) -> usize {
        // It is a sum of reports, and orders nothing.
        self.held.load(Ordering::Relaxed)
    }

    /// Whether more is held than may be, without the sessions that are being evicted.
    fn is_short(&self) -> bool {
        let held = self.held();
        held > self.max && held.saturating_sub(self.evicting.load(Ordering::Relaxed)) > self.max
    }

    /// Whether more is held than may be once the running calls are answered.
    fn is_tight(&self) -> bool {
        let evicting = self.evicting.load(Ordering::Relaxed);
        let expected = self.expected.load(Ordering::Relaxed);
        self.held()
            .saturating_sub(evicting)
            .saturating_add(expected)
            > self.max
    }

    /// Evicts sessions without a connection until memory is not short, or none is left that holds any.
    fn relieve(&self) {
        while self.is_short() {
            let Some(evict) = self.take_oldest() else {
                return;
            };
            evict();
        }
    }

    fn take_oldest(&self) -> Option<Evict> {
        let mut detached = self.lock();
        let (&number, _) = detached.evictable.iter().find(|(_, it)| it.held > 0)?;
        let Detached { held, evict } = detached.evictable.remove(&number)?;
        detached.evicting.insert(number, held);
        self.evicting.fetch_add(held, Ordering::Relaxed);
        Some(evict)
    }

    fn lock(&self) -> MutexGuard<'_, DetachedSessions> {
        self.detached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One session's share of a budget. What it has reported is subtracted when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    reported: usize,
    /// What its running calls are expected to be answered with, as far as it was reported.
    expected: usize,
    /// Its number among the sessions that may be evicted.
    number: Option<u64>,
    is_short: bool,
    is_tight: bool,
}

impl Share {
    pub(crate) fn new(budget: Arc<Budget>) -> Self {
        Self {
            budget,
            reported: 0,
            expected: 0,
            number: None,
            is_short: false,
            is_tight: false,
        }
    }

    /// Reports how much is held now, in bytes.
    #[inline]
    pub(crate) fn report(&mut self, held: usize) {
        if held.abs_diff(self.reported) >= Budget::STEP {
            self.change(held);
        }
        self.look();
    }

    /// Looks at whether memory is short, or tight. Where all that is held and expected fits, it is neither, whatever is being
    /// evicted.
    #[inline]
    fn look(&mut self) {
        let held = self.budget.held.load(Ordering::Relaxed);
        let expected = self.budget.expected.load(Ordering::Relaxed);
        if held.saturating_add(expected) <= self.budget.max {
            self.is_short = false;
            self.is_tight = false;
        } else {
            self.look_closely();
        }
    }

    #[cold]
    fn look_closely(&mut self) {
        self.is_short = self.budget.is_short();
        self.is_tight = self.is_short || self.budget.is_tight();
    }

    /// Reports what the running calls are expected to be answered with, in bytes; to be followed by a
    /// [`report`](Self::report).
    #[inline]
    pub(crate) fn report_expected(&mut self, expected: usize) {
        if expected != self.expected
            && (expected == 0 || expected.abs_diff(self.expected) >= Budget::STEP)
        {
            self.change_expected(expected);
        }
    }

    #[inline(never)]
    fn change_expected(&mut self, expected: usize) {
        let before = std::mem::replace(&mut self.expected, expected);
        let total = &self.budget.expected;
        if expected < before {
            total.fetch_sub(before - expected, Ordering::Relaxed);
        } else if expected > before {
            total.fetch_add(expected - before, Ordering::Relaxed);
        }
    }

    /// What a call of this variant is expected to be answered with, in bytes; the floor, where nothing is known of it.
    pub(crate) fn expected_answer(&self, variant: u16) -> usize {
        let known = self.budget.answer_lengths.expected(variant);
        known.map_or(Budget::FLOOR, |len| len as usize)
    }

    /// A call of this variant that has run for some time was answered with so many bytes.
    pub(crate) fn note_answer(&self, variant: u16, len: usize) {
        self.budget.answer_lengths.note(variant, len);
    }

    /// Reports how much is held now, to the byte: of a session without a connection, for there may be many.
    pub(crate) fn report_exactly(&mut self, held: usize) {
        if held != self.reported {
            self.change(held);
        }
        self.look();
    }

    /// Whether memory was short at the last report.
    #[inline]
    pub(crate) fn is_short(&self) -> bool {
        self.is_short
    }

    /// Whether memory was short at the last report, or will be once the running calls are answered.
    #[inline]
    pub(crate) fn is_tight(&self) -> bool {
        self.is_tight
    }

    /// How much all sessions of the budget may hold.
    pub(crate) fn max(&self) -> usize {
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
        if let Some(number) = self.number {
            let mut detached = self.budget.lock();
            if let Some(evictable) = detached.evictable.get_mut(&number) {
                evictable.held = held;
            } else if let Some(evicting) = detached.evicting.get_mut(&number) {
                let before = std::mem::replace(evicting, held);
                self.budget.evicting.fetch_sub(before, Ordering::Relaxed);
                self.budget.evicting.fetch_add(held, Ordering::Relaxed);
            }
        }
        if held > before {
            self.budget.relieve();
        }
    }

    /// The session has no connection from here on, and may be evicted.
    pub(crate) fn allow_eviction(&mut self, evict: Evict) {
        self.forbid_eviction();
        let held = self.reported;
        {
            let mut detached = self.budget.lock();
            detached.next += 1;
            let number = detached.next;
            detached.evictable.insert(number, Detached { held, evict });
            self.number = Some(number);
        }
        self.budget.relieve();
    }

    /// The session has a connection again, or has ended.
    pub(crate) fn forbid_eviction(&mut self) {
        let Some(number) = self.number.take() else {
            return;
        };
        let mut detached = self.budget.lock();
        if detached.evictable.remove(&number).is_none()
            && let Some(held) = detached.evicting.remove(&number)
        {
            self.budget.evicting.fetch_sub(held, Ordering::Relaxed);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // First, so that what is being evicted never seems to be more than what is held.
        self.forbid_eviction();
        self.budget.held.fetch_sub(self.reported, Ordering::Relaxed);
        self.change_expected(0);
    }
}

/// How much memory the queues and sessions hold that share a limit: a server's, or those of a client's connection and all
/// that share its budget.
#[derive(Debug, Clone)]
pub struct MemoryUse {
    budget: Arc<Budget>,
}

impl MemoryUse {
    /// The use of this budget.
    #[must_use]
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

    fn evict(ended: &Ended, name: &'static str) -> Evict {
        let ended = Arc::clone(ended);
        Box::new(move || ended.lock().unwrap().push(name))
    }

    #[test]
    fn small_changes_are_not_reported() {
        let budget = Budget::new(10 * Budget::STEP);
        let mut share = Share::new(Arc::clone(&budget));
        share.report(Budget::STEP - 1);
        assert_eq!(budget.held(), 0);
        share.report(Budget::STEP);
        share.report(2 * Budget::STEP - 1);
        share.report(1);
        assert_eq!(budget.held(), Budget::STEP);
        share.report(0);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn a_dropped_share_is_subtracted() {
        let budget = Budget::new(10 * Budget::STEP);
        let mut shares: Vec<Share> = (0..4).map(|_| Share::new(Arc::clone(&budget))).collect();
        for share in &mut shares {
            share.report(3 * Budget::STEP + 5);
        }
        assert_eq!(budget.held(), 4 * (3 * Budget::STEP + 5));
        shares[0].report(0);
        assert!(!shares[0].is_short(), "9 of 10 steps, and a little");
        let mut other = Share::new(Arc::clone(&budget));
        other.report(Budget::STEP);
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
    fn the_oldest_detached_sessions_are_evicted_and_no_more_than_needed() {
        let budget = Budget::new(10 * Budget::STEP);
        let ended = Ended::default();
        let share = |held: usize| {
            let mut share = Share::new(Arc::clone(&budget));
            share.report(held);
            share
        };
        let [mut empty, mut first, mut back, mut second, mut third] =
            [0, 3, 2, 2, 2].map(|steps| share(steps * Budget::STEP));
        empty.allow_eviction(evict(&ended, "empty"));
        back.allow_eviction(evict(&ended, "back"));
        first.allow_eviction(evict(&ended, "first"));
        second.allow_eviction(evict(&ended, "second"));
        third.allow_eviction(evict(&ended, "third"));
        back.forbid_eviction();
        let mut busy = share(Budget::STEP);
        assert!(ended.lock().unwrap().is_empty(), "10 steps are allowed");
        busy.report(2 * Budget::STEP);
        assert_eq!(*ended.lock().unwrap(), ["first"]);
        assert!(!busy.is_short(), "what is being evicted does not count");
        busy.report(4 * Budget::STEP);
        assert_eq!(*ended.lock().unwrap(), ["first"], "3 steps come back");
        busy.report(7 * Budget::STEP);
        assert_eq!(*ended.lock().unwrap(), ["first", "second", "third"]);
        assert!(!busy.is_short());
        busy.report(9 * Budget::STEP);
        assert!(busy.is_short(), "nobody is left who holds any");
        drop((first, second, third, back, empty));
        busy.report(9 * Budget::STEP);
        assert!(!busy.is_short());
        drop(busy);
        assert_eq!(budget.held(), 0);
        assert_eq!(budget.evicting.load(Ordering::Relaxed), 0);
        let detached = budget.lock();
        assert!(detached.evictable.is_empty() && detached.evicting.is_empty());
    }

    #[test]
    fn a_detached_session_that_grows_may_be_evicted() {
        let budget = Budget::new(4 * Budget::STEP);
        let ended = Ended::default();
        let mut growing = Share::new(Arc::clone(&budget));
        growing.allow_eviction(evict(&ended, "growing"));
        growing.report(3 * Budget::STEP);
        assert!(ended.lock().unwrap().is_empty());
        growing.report(5 * Budget::STEP);
        assert_eq!(*ended.lock().unwrap(), ["growing"]);
        growing.report(7 * Budget::STEP);
        assert!(!growing.is_short(), "all of it is being evicted");
        growing.forbid_eviction();
        growing.report(7 * Budget::STEP);
        assert!(growing.is_short(), "a connection came before it ended");
    }
}
