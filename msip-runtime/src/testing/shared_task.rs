//! A task that a test can also run itself, to see all of its effects at once.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, ThreadId},
};

/// A future that a spawned task polls, and a test whenever it needs the result.
pub(super) struct SharedTask {
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    /// The waker of the spawned task.
    task: Mutex<Option<Waker>>,
    /// The thread that polls it now.
    runner: Mutex<Option<ThreadId>>,
    is_due: AtomicBool,
    is_stopped: AtomicBool,
}

/// How many polls in a row must make no progress before the future counts as idle: a driver yields once before it writes,
/// so that more messages join the write.
const IDLE_POLLS: u32 = 3;

impl SharedTask {
    pub(super) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Arc<Self> {
        // A poll from a test must not consume the test's budget.
        let future = tokio::task::unconstrained(future);
        let shared = Arc::new(Self {
            future: Mutex::new(Some(Box::pin(future))),
            task: Mutex::default(),
            runner: Mutex::default(),
            is_due: AtomicBool::new(false),
            is_stopped: AtomicBool::new(false),
        });
        let _ = shared.run();
        let polled = Arc::clone(&shared);
        // It ends when `stop` is called, which the connection does when it is dropped.
        tokio::spawn(poll_fn(move |task| {
            *lock(&polled.task) = Some(task.waker().clone());
            polled.run()
        }));
        shared
    }

    /// Polls the future until it is idle. If this thread is polling it already, since an answer reads the recording, that
    /// outer poll runs once more instead.
    pub(super) fn run(self: &Arc<Self>) -> Poll<()> {
        self.is_due.store(true, Ordering::SeqCst);
        let this_thread = thread::current().id();
        // At least once: the thread that polls it now may already have taken the flag, and be in the middle of a poll.
        loop {
            if *lock(&self.runner) == Some(this_thread) {
                return Poll::Pending;
            }
            let mut future = lock(&self.future);
            let _guard = RunnerGuard::new(self, this_thread);
            let waker = Waker::from(Arc::clone(self));
            let mut task = Context::from_waker(&waker);
            let mut idle_polls = 0;
            while idle_polls < IDLE_POLLS {
                let Some(pending) = future.as_mut() else {
                    return Poll::Ready(());
                };
                let was_due = self.is_due.swap(false, Ordering::SeqCst);
                idle_polls = if was_due { 0 } else { idle_polls + 1 };
                if self.is_stopped.load(Ordering::SeqCst)
                    || pending.as_mut().poll(&mut task).is_ready()
                {
                    *future = None;
                }
            }
            if !self.is_due.load(Ordering::SeqCst) {
                return Poll::Pending;
            }
        }
    }

    /// Drops the future.
    pub(super) fn stop(self: &Arc<Self>) {
        self.is_stopped.store(true, Ordering::SeqCst);
        // It is done after this, whatever it returns.
        let _ = self.run();
        self.wake_by_ref();
    }
}

/// Records which thread polls the future, until dropped.
struct RunnerGuard<'a>(&'a SharedTask);

impl<'a> RunnerGuard<'a> {
    fn new(shared: &'a SharedTask, thread: ThreadId) -> Self {
        *lock(&shared.runner) = Some(thread);
        Self(shared)
    }
}

impl Drop for RunnerGuard<'_> {
    fn drop(&mut self) {
        *lock(&self.0.runner) = None;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is a single assignment, so a panic leaves the value consistent.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wake for SharedTask {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_due.store(true, Ordering::SeqCst);
        let task = lock(&self.task).take();
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl fmt::Debug for SharedTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedTask")
            .field("is_stopped", &self.is_stopped)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_run_sees_what_was_sent_before_it_while_another_thread_polls() {
        let sent = Arc::new(AtomicUsize::new(0));
        let seen = Arc::new(AtomicUsize::new(0));
        let task = {
            let (sent, seen) = (Arc::clone(&sent), Arc::clone(&seen));
            SharedTask::spawn(poll_fn(move |_| {
                let found = sent.load(Ordering::SeqCst);
                // Another thread looks while this poll is in the middle.
                thread::yield_now();
                seen.store(found, Ordering::SeqCst);
                Poll::Pending
            }))
        };
        for number in 1..=20_000 {
            sent.store(number, Ordering::SeqCst);
            task.wake_by_ref();
            let _ = task.run();
            assert_eq!(seen.load(Ordering::SeqCst), number);
        }
        task.stop();
    }
}
