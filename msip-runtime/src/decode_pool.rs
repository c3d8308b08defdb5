//! The decode pool of a runtime: bodies that would hold up a worker thread are read on its blocking threads, a few at a time.
//!
//! A peer occupies one thread at most, and peers take turns. A job is queued here rather than by its waiter, so that one whose
//! future is not polled holds up nobody.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    thread,
};

use tokio::{
    runtime::{Handle, Id},
    sync::oneshot,
};

/// A body of more bytes than this is read by the pool, and so is one that inflates to more. So much takes up to 2 ms:
/// where each two bytes are a message of its own. Programs cut what is long into pieces of 64 KiB: one of these fits, with
/// the message around it, and does not pay for a change of threads each.
pub(crate) const INLINE_LEN: usize = 66 * 1024;

/// How many threads of a runtime read bodies at once: its workers keep the other half of the processors.
static MAX_THREADS: LazyLock<usize> = LazyLock::new(|| {
    let count = thread::available_parallelism().map_or(1, usize::from);
    (count / 2).max(1)
});

/// The pool of each runtime that has something to read. One runtime never waits for another: its clock may stand still until
/// its own blocking threads are done.
static POOLS: LazyLock<Mutex<HashMap<Id, Pool>>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Pool {
    /// How many threads read a body.
    running: usize,
    /// The peers that have a body to be read, and none that is being read.
    ready: VecDeque<Arc<PeerJobs>>,
    /// A thread looks for what can begin; others leave it to that one.
    is_dispatching: bool,
}

/// The bodies of one peer that wait to be read.
#[derive(Debug, Clone, Default)]
pub(crate) struct DecodeQueue(Arc<PeerJobs>);

#[derive(Debug, Default)]
struct PeerJobs(Mutex<PeerState>);

#[derive(Debug, Default)]
struct PeerState {
    jobs: VecDeque<Job>,
    /// One of its bodies is being read, or it is among those that are ready.
    is_scheduled: bool,
}

struct Job {
    run: Box<dyn FnOnce() + Send>,
    runtime: Handle,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl DecodeQueue {
    /// Has `read` run on a blocking thread, when it is this peer's turn; here and now where there is no runtime.
    ///
    /// Dropping the future abandons it: it is not begun any more, or its result is dropped.
    pub(crate) fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Decoding<T> {
        let Ok(runtime) = Handle::try_current() else {
            return Decoding(State::Done(Some(read())));
        };
        let (sender, receiver) = oneshot::channel();
        let pool = runtime.id();
        let run = Box::new(move || {
            if !sender.is_closed() {
                // Nothing is used after a panic but its payload, which goes to whoever waits.
                let _ = sender.send(catch_unwind(AssertUnwindSafe(read)));
            }
        });
        let is_first = {
            let mut state = lock(&self.0.0);
            state.jobs.push_back(Job { run, runtime });
            !std::mem::replace(&mut state.is_scheduled, true)
        };
        if is_first {
            schedule(Arc::clone(&self.0), pool);
        }
        Decoding(State::Waiting(receiver))
    }
}

/// Has the next body of a peer read in this pool, when it is its turn.
fn schedule(peer: Arc<PeerJobs>, pool: Id) {
    lock(&POOLS).entry(pool).or_default().ready.push_back(peer);
    dispatch(pool);
}

/// Begins what can begin in a pool.
fn dispatch(pool: Id) {
    {
        let mut pools = lock(&POOLS);
        let is_dispatching = &mut pools.entry(pool).or_default().is_dispatching;
        if std::mem::replace(is_dispatching, true) {
            return;
        }
    }
    while let Some((thread, Job { run, runtime })) = next(pool) {
        // The pool counts it, and what waits for its result hears of its panic. A runtime that has shut down drops it.
        drop(runtime.spawn_blocking(move || {
            run();
            drop(thread);
        }));
    }
}

/// Takes the next body, where a thread may read it; else dispatching is over.
fn next(id: Id) -> Option<(PoolThread, Job)> {
    let mut pools = lock(&POOLS);
    let pool = pools.entry(id).or_default();
    while pool.running < *MAX_THREADS {
        let Some(peer) = pool.ready.pop_front() else {
            break;
        };
        let job = lock(&peer.0).jobs.pop_front();
        // One that is ready has a body.
        if let Some(job) = job {
            pool.running += 1;
            return Some((PoolThread { peer, pool: id }, job));
        }
    }
    pool.is_dispatching = false;
    if pool.running == 0 && pool.ready.is_empty() {
        pools.remove(&id);
    }
    None
}

/// A thread that reads a body of this peer, or will.
struct PoolThread {
    peer: Arc<PeerJobs>,
    pool: Id,
}

impl Drop for PoolThread {
    fn drop(&mut self) {
        {
            let mut pools = lock(&POOLS);
            let pool = pools.entry(self.pool).or_default();
            pool.running = pool.running.saturating_sub(1);
        }
        let following = {
            let mut state = lock(&self.peer.0);
            let following = state.jobs.front().map(|job| job.runtime.id());
            state.is_scheduled = following.is_some();
            following
        };
        if let Some(pool) = following {
            schedule(Arc::clone(&self.peer), pool);
        }
        if following != Some(self.pool) {
            dispatch(self.pool);
        }
    }
}

/// A future of a body that is being read. `None` where the runtime of the reader has shut down.
#[derive(Debug)]
pub(crate) struct Decoding<T>(State<T>);

#[derive(Debug)]
enum State<T> {
    Waiting(oneshot::Receiver<thread::Result<T>>),
    Done(Option<T>),
}

impl<T> Unpin for Decoding<T> {}

impl<T> Future for Decoding<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<T>> {
        match &mut self.get_mut().0 {
            State::Done(value) => Poll::Ready(value.take()),
            State::Waiting(receiver) => Poll::Ready(match ready!(Pin::new(receiver).poll(task)) {
                Ok(Ok(value)) => Some(value),
                Ok(Err(panic)) => resume_unwind(panic),
                Err(_) => None,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_peer_occupies_one_thread_and_its_bodies_keep_their_order() {
        let queue = DecodeQueue::default();
        let running = Arc::new(AtomicUsize::new(0));
        let order = Arc::new(Mutex::new(Vec::new()));
        let jobs: Vec<_> = (0..100)
            .map(|number| {
                let (running, order) = (Arc::clone(&running), Arc::clone(&order));
                queue.read(move || {
                    assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0);
                    lock(&order).push(number);
                    running.fetch_sub(1, Ordering::SeqCst);
                    number
                })
            })
            .collect();
        for (number, job) in jobs.into_iter().enumerate() {
            assert_eq!(job.await, Some(number));
        }
        assert_eq!(*lock(&order), (0..100).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_waiter_that_is_not_polled_or_has_gone_holds_up_nobody() {
        let (go_on, wait) = mpsc::channel::<()>();
        let (queue, other) = (DecodeQueue::default(), DecodeQueue::default());
        let first = queue.read(move || wait.recv().is_ok());
        let unpolled = queue.read(|| 2);
        let abandoned = queue.read(|| panic!("nobody waits for it"));
        drop::<Decoding<()>>(abandoned);
        let last = queue.read(|| 4);
        go_on.send(()).unwrap();
        assert_eq!(other.read(|| 5).await, Some(5));
        assert_eq!(last.await, Some(4));
        assert_eq!(first.await, Some(true));
        assert_eq!(unpolled.await, Some(2));
    }

    #[tokio::test]
    async fn a_panic_goes_to_whoever_waits() {
        let queue = DecodeQueue::default();
        let job = queue.read(|| -> u8 { panic!("in a body") });
        let panic = tokio::spawn(job).await.unwrap_err();
        assert!(panic.is_panic());
        assert_eq!(queue.read(|| 1).await, Some(1), "others go on");
    }

    // The clock runs on where the runtime waits for nothing of its own.
    #[tokio::test(start_paused = true)]
    async fn a_runtime_does_not_wait_for_another_one() {
        let other = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let (go_on, wait) = mpsc::channel::<()>();
        let busy: Vec<_> = {
            let _entered = other.enter();
            let wait = Arc::new(Mutex::new(wait));
            let jobs = (0..*MAX_THREADS).map(|_| {
                let wait = Arc::clone(&wait);
                DecodeQueue::default().read(move || lock(&wait).recv().is_ok())
            });
            jobs.collect()
        };
        let read = DecodeQueue::default().read(|| 1);
        let read = tokio::time::timeout(Duration::from_secs(3600), read);
        assert_eq!(read.await, Ok(Some(1)));
        drop(go_on);
        for job in busy {
            assert_eq!(job.await, Some(false));
        }
        other.shutdown_background();
    }

    #[test]
    fn a_runtime_that_shuts_down_leaves_the_pool_to_others() {
        let runtime = || {
            tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap()
        };
        let (queue, other) = (DecodeQueue::default(), DecodeQueue::default());
        let ended = runtime();
        let handle = ended.handle().clone();
        ended.shutdown_background();
        let job = {
            let _entered = handle.enter();
            queue.read(|| 1)
        };
        let alive = runtime();
        assert_eq!(alive.block_on(job), None);
        assert_eq!(alive.block_on(other.read(|| 2)), Some(2));
        assert_eq!(alive.block_on(queue.read(|| 3)), Some(3));
    }

    #[test]
    fn without_a_runtime_it_is_read_at_once() {
        let mut job = DecodeQueue::default().read(|| 1);
        let mut task = Context::from_waker(std::task::Waker::noop());
        assert_eq!(Pin::new(&mut job).poll(&mut task), Poll::Ready(Some(1)));
    }
}
