//! The tasks of an endpoint: quinn's drivers, which belong to whoever holds the endpoint and end with it.

use std::{
    fmt,
    future::{Future, poll_fn},
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Instant,
};

use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime};
use slab::Slab;
use tokio::{
    runtime::Handle,
    task::{AbortHandle, unconstrained},
    time::{Sleep, sleep_until},
};

type TaskFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A future that its task and the list can both reach. `None` once it has ended.
type SharedFuture = Arc<Mutex<Option<TaskFuture>>>;

/// The tasks of one endpoint. Dropping it ends all of them; each is polled once more, so that what is to be sent with the end
/// of a connection leaves.
pub(super) struct Tasks(Arc<TaskList>);

struct TaskList {
    runtime: Handle,
    running: Mutex<Slab<Running>>,
    /// The tasks are polled for the last time, maybe when their runtime has no clock any more.
    is_ending: Arc<AtomicBool>,
}

struct Running {
    future: SharedFuture,
    task: AbortHandle,
}

impl Tasks {
    /// No tasks, of the runtime whose context this is called in.
    pub(super) fn new() -> io::Result<Self> {
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        Ok(Self(Arc::new(TaskList {
            runtime,
            running: Mutex::default(),
            is_ending: Arc::default(),
        })))
    }

    /// What quinn spawns its tasks by.
    pub(super) fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::new(OwnedRuntime {
            list: Arc::downgrade(&self.0),
            is_ending: Arc::clone(&self.0.is_ending),
        })
    }

    pub(super) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(Box::pin(future));
    }

    /// How many have not ended.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.0.running().len()
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        let running = std::mem::take(&mut *self.0.running());
        // None is dropped before all were polled: a connection without its endpoint sends nothing any more.
        let mut ended = Vec::with_capacity(running.len());
        self.0.is_ending.store(true, Ordering::Relaxed);
        for (_, Running { future, task }) in running {
            task.abort();
            // Another thread may be polling it just now. This one is not: no future of the list has what keeps the list.
            let last = lock(&future).take();
            if let Some(mut last) = last {
                let _ = Pin::new(&mut unconstrained(last.as_mut()))
                    .poll(&mut Context::from_waker(Waker::noop()));
                ended.push(last);
            }
        }
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tasks")
    }
}

impl TaskList {
    fn spawn(self: &Arc<Self>, future: TaskFuture) {
        let future = Arc::new(Mutex::new(Some(future)));
        let mut running = self.running();
        let place = running.vacant_entry();
        let key = place.key();
        let list = Arc::downgrade(self);
        let polled = Arc::clone(&future);
        let task = self.runtime.spawn(poll_fn(move |task| {
            let mut slot = lock(&polled);
            if let Some(future) = slot.as_mut()
                && future.as_mut().poll(task).is_pending()
            {
                return Poll::Pending;
            }
            let ended = slot.take();
            drop(slot);
            drop(ended);
            if let Some(list) = list.upgrade() {
                // Dropped when the list is not locked any more.
                let _ = list.running().try_remove(key);
            }
            Poll::Ready(())
        }));
        place.insert(Running {
            future,
            task: task.abort_handle(),
        });
    }

    fn running(&self) -> MutexGuard<'_, Slab<Running>> {
        lock(&self.running)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a task that has panicked leaves behind is dropped, and nothing else.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tokio, with tasks that belong to a list.
#[derive(Debug)]
struct OwnedRuntime {
    list: Weak<TaskList>,
    is_ending: Arc<AtomicBool>,
}

impl fmt::Debug for TaskList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaskList")
    }
}

impl Runtime for OwnedRuntime {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        let sleep = (!self.is_ending.load(Ordering::Relaxed)).then(|| sleep_until(at.into()));
        Box::pin(OwnedTimer {
            sleep,
            is_ending: Arc::clone(&self.is_ending),
        })
    }

    fn spawn(&self, future: TaskFuture) {
        // Where the list is gone the endpoint is being dropped.
        if let Some(list) = self.list.upgrade() {
            list.spawn(future);
        }
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        TokioRuntime.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}

pin_project_lite::pin_project! {
    /// A timer that is left alone once its tasks end.
    #[derive(Debug)]
    struct OwnedTimer {
        #[pin]
        sleep: Option<Sleep>,
        is_ending: Arc<AtomicBool>,
    }
}

impl AsyncTimer for OwnedTimer {
    fn reset(self: Pin<&mut Self>, at: Instant) {
        let timer = self.project();
        if !timer.is_ending.load(Ordering::Relaxed)
            && let Some(sleep) = timer.sleep.as_pin_mut()
        {
            Sleep::reset(sleep, at.into());
        }
    }

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<()> {
        let timer = self.project();
        match timer.sleep.as_pin_mut() {
            Some(sleep) if !timer.is_ending.load(Ordering::Relaxed) => Future::poll(sleep, task),
            _ => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_leaves_the_list() {
        let tasks = Tasks::new().unwrap();
        let (sender, receiver) = oneshot::channel();
        tasks.spawn(async move {
            let _ = receiver.await;
        });
        assert_eq!(tasks.count(), 1);
        sender.send(()).unwrap();
        while tasks.count() > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn tasks_are_polled_once_more_and_end_with_the_list() {
        let tasks = Tasks::new().unwrap();
        let polls = Arc::new(AtomicUsize::new(0));
        let (polled, dropped) = (Arc::clone(&polls), Arc::downgrade(&polls));
        tasks.spawn(poll_fn(move |_| {
            polled.fetch_add(1, Ordering::Relaxed);
            Poll::Pending
        }));
        drop(polls);
        tokio::task::yield_now().await;
        let polls = dropped.upgrade().unwrap();
        let before = polls.load(Ordering::Relaxed);
        drop(tasks);
        assert_eq!(polls.load(Ordering::Relaxed), before + 1);
        tokio::task::yield_now().await;
        drop(polls);
        assert!(dropped.upgrade().is_none(), "the future was dropped");
    }
}
