//! Open work of a session: calls and deliveries that wait for their answers, polled by the session's own task.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// So many free slots are kept while nothing is open.
const KEPT_SLOTS: usize = 8;

/// Futures that were begun and go on when they are woken. A task of each would cost its own memory, and a turn of the
/// scheduler for each answer: here the answers that were read together are passed on together, in one turn of the task that
/// read them.
///
/// Each future has a slot, whose waker outlives it: the slot is used again.
#[derive(Default)]
pub(super) struct OpenWork {
    slots: Vec<Slot>,
    free: Vec<usize>,
    ready: Arc<ReadySlots>,
    /// The memory for the numbers of slots that are polled together.
    polled: Vec<usize>,
    /// Who waits until there are fewer.
    waiting: Option<Waker>,
}

struct Slot {
    work: Option<Work>,
    waker: Arc<SlotWaker>,
}

/// The slots that were woken.
#[derive(Default)]
struct ReadySlots(Mutex<Ready>);

#[derive(Default)]
struct Ready {
    slots: Vec<usize>,
    /// Work that was begun elsewhere.
    begun: Vec<Work>,
    /// The task that polls them, while it waits for one.
    task: Option<Waker>,
    /// Nobody polls them any more.
    is_over: bool,
}

/// Begins work from wherever it is found, without the lock of what is open.
#[derive(Clone)]
pub(super) struct WorkStarter(Arc<ReadySlots>);

impl WorkStarter {
    /// Hands it to the task that polls what is open. It is dropped where that has ended.
    pub(super) fn begin(&self, work: impl Future<Output = ()> + Send + 'static) {
        let task = {
            let mut ready = self.0.lock();
            if ready.is_over {
                return;
            }
            ready.begun.push(Box::pin(work));
            ready.task.take()
        };
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl fmt::Debug for WorkStarter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkStarter").finish_non_exhaustive()
    }
}

impl ReadySlots {
    fn lock(&self) -> MutexGuard<'_, Ready> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct SlotWaker {
    number: usize,
    is_ready: AtomicBool,
    ready: Arc<ReadySlots>,
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.is_ready.swap(true, Ordering::AcqRel) {
            return;
        }
        let task = {
            let mut ready = self.ready.lock();
            ready.slots.push(self.number);
            ready.task.take()
        };
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl OpenWork {
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Begins some work at once, so that what it sends keeps its turn; the rest of it is done by [`poll`](Self::poll), whose
    /// task is woken for it.
    pub(super) fn begin(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.begin_boxed(Box::pin(work));
    }

    /// What begins work from elsewhere.
    pub(super) fn starter(&self) -> WorkStarter {
        WorkStarter(Arc::clone(&self.ready))
    }

    fn begin_boxed(&mut self, work: Work) {
        let number = self.free.pop().unwrap_or_else(|| {
            let number = self.slots.len();
            let waker = SlotWaker {
                number,
                is_ready: AtomicBool::new(false),
                ready: Arc::clone(&self.ready),
            };
            self.slots.push(Slot {
                work: None,
                waker: Arc::new(waker),
            });
            number
        });
        if let Some(slot) = self.slots.get_mut(number) {
            slot.work = Some(work);
        }
        self.poll_slot(number);
    }

    /// Polls what was woken. Ready once nothing is open.
    pub(super) fn poll(&mut self, task: &mut Context<'_>) -> Poll<()> {
        let begun = {
            let mut ready = self.ready.lock();
            std::mem::swap(&mut ready.slots, &mut self.polled);
            std::mem::take(&mut ready.begun)
        };
        let mut polled = std::mem::take(&mut self.polled);
        for number in polled.drain(..) {
            self.poll_slot(number);
        }
        self.polled = polled;
        for work in begun {
            self.begin_boxed(work);
        }
        if self.len() == 0 {
            self.release();
        }
        let mut ready = self.ready.lock();
        if ready.slots.is_empty() && ready.begun.is_empty() {
            match &mut ready.task {
                Some(known) => known.clone_from(task.waker()),
                unknown => *unknown = Some(task.waker().clone()),
            }
        } else {
            // What was woken meanwhile has its turn after others.
            drop(ready);
            task.waker().wake_by_ref();
        }
        match self.len() {
            0 => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }

    /// Ready where fewer than so many are open; else the task is woken when one has ended.
    pub(super) fn poll_fewer_than(&mut self, count: usize, task: &Context<'_>) -> Poll<()> {
        if self.len() < count {
            return Poll::Ready(());
        }
        self.waiting = Some(task.waker().clone());
        Poll::Pending
    }

    fn poll_slot(&mut self, number: usize) {
        // One that was woken late may have ended.
        let Some(slot) = self.slots.get_mut(number) else {
            return;
        };
        slot.waker.is_ready.store(false, Ordering::Release);
        let Some(work) = &mut slot.work else {
            return;
        };
        let waker = Waker::from(Arc::clone(&slot.waker));
        if work
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
        {
            return;
        }
        slot.work = None;
        self.free.push(number);
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
    }

    /// Gives back memory that a burst needed. Nothing is open.
    fn release(&mut self) {
        if self.slots.len() > KEPT_SLOTS {
            self.slots.truncate(KEPT_SLOTS);
            self.slots.shrink_to_fit();
            self.free = (0..self.slots.len()).collect();
            self.polled = Vec::new();
        }
    }
}

impl Drop for OpenWork {
    fn drop(&mut self) {
        let begun = {
            let mut ready = self.ready.lock();
            ready.is_over = true;
            std::mem::take(&mut ready.begun)
        };
        // Outside of the lock: whoever waits for it is told.
        drop(begun);
    }
}

impl fmt::Debug for OpenWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenWork")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        sync::atomic::{AtomicUsize, Ordering::Relaxed},
    };

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    /// Work that waits until it is ended from outside.
    #[derive(Clone, Default)]
    struct Gate(Arc<Mutex<(bool, Option<Waker>)>>);

    impl Gate {
        async fn wait(self, ended: Arc<AtomicUsize>) {
            poll_fn(|task| {
                let mut state = self.0.lock().expect("no panic");
                state.1 = Some(task.waker().clone());
                if state.0 {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
            ended.fetch_add(1, Relaxed);
        }

        fn open(&self) {
            let mut state = self.0.lock().expect("no panic");
            state.0 = true;
            let waker = state.1.take();
            drop(state);
            waker.expect("it has begun").wake();
        }
    }

    #[test]
    fn what_is_woken_together_is_polled_together_and_its_slots_are_used_again() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut task = Context::from_waker(&waker);
        let ended = Arc::new(AtomicUsize::new(0));
        let mut open = OpenWork::default();
        for round in 0..3 {
            let gates: Vec<Gate> = (0..5).map(|_| Gate::default()).collect();
            for gate in &gates {
                open.begin(gate.clone().wait(Arc::clone(&ended)));
            }
            assert_eq!((open.len(), open.slots.len()), (5, 5), "{round}");
            assert!(open.poll(&mut task).is_pending());
            gates[1..].iter().for_each(Gate::open);
            assert_eq!(woken.0.swap(0, Relaxed), 1, "once for all of them");
            assert!(open.poll(&mut task).is_pending());
            assert_eq!((open.len(), ended.swap(0, Relaxed)), (1, 4));
            gates[0].open();
            assert!(open.poll(&mut task).is_ready(), "nothing is open");
            assert_eq!(ended.swap(0, Relaxed), 1);
            woken.0.store(0, Relaxed);
        }
    }

    #[test]
    fn memory_of_a_burst_is_given_back() {
        let mut task = Context::from_waker(Waker::noop());
        let ended = Arc::new(AtomicUsize::new(0));
        let mut open = OpenWork::default();
        let gates: Vec<Gate> = (0..1000).map(|_| Gate::default()).collect();
        for gate in &gates {
            open.begin(gate.clone().wait(Arc::clone(&ended)));
        }
        assert!(open.poll_fewer_than(1000, &task).is_pending());
        gates.iter().for_each(Gate::open);
        assert!(open.poll(&mut task).is_ready());
        assert!(open.poll_fewer_than(1000, &task).is_ready());
        assert_eq!(ended.load(Relaxed), 1000);
        assert!(open.slots.capacity() <= KEPT_SLOTS && open.free.len() <= KEPT_SLOTS);
    }

    #[test]
    fn work_that_is_begun_elsewhere_wakes_the_task_and_is_dropped_where_that_has_ended() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut task = Context::from_waker(&waker);
        let ended = Arc::<AtomicUsize>::default();
        let mut open = OpenWork::default();
        let starter = open.starter();
        assert!(open.poll(&mut task).is_ready(), "nothing is open");
        let gate = Gate::default();
        starter.begin(gate.clone().wait(Arc::clone(&ended)));
        assert_eq!(woken.0.load(Relaxed), 1, "the task that has looked");
        assert!(open.poll(&mut task).is_pending());
        gate.open();
        assert!(open.poll(&mut task).is_ready());
        assert_eq!(ended.load(Relaxed), 1);
        let held = Arc::new(());
        let of_work = Arc::clone(&held);
        starter.begin(async move { drop(of_work) });
        assert_eq!(Arc::strong_count(&held), 2, "it has not been polled");
        drop(open);
        assert_eq!(Arc::strong_count(&held), 1, "nobody polls it");
        let of_work = Arc::clone(&held);
        starter.begin(async move { drop(of_work) });
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[test]
    fn what_ends_at_once_leaves_nothing_open() {
        let mut open = OpenWork::default();
        open.begin(async {});
        assert_eq!(open.len(), 0);
    }
}
