//! The share of a connection: how its turns are rationed where it is busy and others are too.
//!
//! The driver works for [`TURN`] at most, and then lets other tasks run. That alone would let a hundred busy peers hold up a
//! quiet one for a hundred turns. So busy connections of a server take turns in a [`TurnQueue`]: as many at once as the
//! runtime has threads, each until the thread has looked for what else is ready. A connection that is not busy never waits
//! there.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
};

use crate::service::{BUSY_LEN, TURN};

/// A connection counts as busy for so long after a turn in which it did much.
const BUSY_TIME: Duration = Duration::from_secs(1);

/// The queue of the busy connections of a server.
#[derive(Debug, Clone)]
pub(crate) struct TurnQueue(Arc<Semaphore>);

impl TurnQueue {
    /// A queue for connections of the runtime that this is called on.
    pub(crate) fn of_runtime() -> Self {
        let threads = Handle::try_current().map_or(1, |runtime| runtime.metrics().num_workers());
        Self(Arc::new(Semaphore::new(threads.max(1))))
    }
}

/// What a connection has had of its thread.
#[derive(Debug, Default)]
pub(super) struct Share {
    /// `None` where there are no others to share with.
    queue: Option<TurnQueue>,
    /// There while it counts as busy.
    busy: Option<Box<Busy>>,
    /// When its turn is over; zero before that is known.
    over_at: Duration,
    /// How many bytes were read in this turn.
    read_len: u32,
}

#[derive(Debug)]
struct Busy {
    until: Duration,
    /// It has done much since it was in the queue, however long ago that was.
    has_worked: bool,
    queued: Queued,
}

type Acquiring = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

#[derive(Default)]
enum Queued {
    /// It is not in the queue.
    #[default]
    No,
    Waiting(Acquiring),
    /// It has its turn.
    Turn(#[expect(dead_code, reason = "given back when it is dropped")] OwnedSemaphorePermit),
}

impl fmt::Debug for Queued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::No => "No",
            Self::Waiting(_) => "Waiting",
            Self::Turn(_) => "Turn",
        })
    }
}

impl Share {
    pub(super) fn of(queue: TurnQueue) -> Self {
        Self {
            queue: Some(queue),
            ..Self::default()
        }
    }

    /// Begins a turn, once it is there. A connection that is not busy does not wait.
    #[inline]
    pub(super) fn poll_begin(
        &mut self,
        task: &mut Context<'_>,
        now: impl FnOnce() -> Duration,
    ) -> Poll<()> {
        self.over_at = Duration::ZERO;
        match (&mut self.busy, &self.queue) {
            (Some(busy), Some(queue)) if busy.has_worked || busy.until > now() => {
                busy.poll_turn(task, queue)
            }
            (Some(_), _) => {
                self.busy = None;
                Poll::Ready(())
            }
            (None, _) => Poll::Ready(()),
        }
    }

    /// Whether what costs much may be done in this turn: it is one of the busy connections, or there are no others.
    #[inline]
    pub(super) fn may_cost(&self) -> bool {
        self.queue.is_none()
            || matches!(&self.busy, Some(busy) if matches!(busy.queued, Queued::Turn(_)))
    }

    /// Bytes were read.
    pub(super) fn read(&mut self, len: usize) {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        self.read_len = self.read_len.saturating_add(len);
    }

    /// Whether the turn is over.
    #[inline]
    pub(super) fn is_over(&mut self, now: Duration) -> bool {
        if self.over_at == Duration::ZERO {
            self.over_at = now.saturating_add(TURN);
            return false;
        }
        now >= self.over_at
    }

    /// Ends the turn, in which the service was busy or not. Whether the connection is to let its thread look for what else is
    /// ready, since it has done much.
    #[inline]
    pub(super) fn end(&mut self, was_busy: bool, now: impl FnOnce() -> Duration) -> bool {
        let read_len = usize::try_from(std::mem::take(&mut self.read_len)).unwrap_or(usize::MAX);
        if was_busy || read_len >= BUSY_LEN {
            return self.end_busy(now());
        }
        if let Some(busy) = &mut self.busy {
            // It had little to do: others need not wait until the thread has looked around.
            busy.queued = Queued::No;
        }
        false
    }

    #[cold]
    fn end_busy(&mut self, now: Duration) -> bool {
        if self.queue.is_none() {
            return false;
        }
        let until = now.saturating_add(BUSY_TIME);
        match &mut self.busy {
            Some(busy) => {
                busy.until = until;
                busy.has_worked = true;
            }
            None => {
                self.busy = Some(Box::new(Busy {
                    until,
                    has_worked: true,
                    queued: Queued::No,
                }));
            }
        }
        true
    }
}

impl Busy {
    #[cold]
    fn poll_turn(&mut self, task: &mut Context<'_>, TurnQueue(queue): &TurnQueue) -> Poll<()> {
        if let Queued::No | Queued::Turn(_) = self.queued {
            // The thread has looked for what else is ready: others may be next.
            self.queued = Queued::No;
            self.queued = match Arc::clone(queue).try_acquire_owned() {
                Ok(turn) => Queued::Turn(turn),
                Err(_) => Queued::Waiting(Box::pin(Arc::clone(queue).acquire_owned())),
            };
        }
        if let Queued::Waiting(waiting) = &mut self.queued {
            self.queued = match waiting.as_mut().poll(task) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(turn)) => Queued::Turn(turn),
                // Nobody closes it.
                Poll::Ready(Err(_)) => Queued::No,
            };
        }
        self.has_worked = false;
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    const AT: Duration = Duration::from_secs(1);

    /// Whether it has its turn at this time.
    fn begins(share: &mut Share, now: Duration) -> bool {
        let mut task = Context::from_waker(Waker::noop());
        share.poll_begin(&mut task, || now).is_ready()
    }

    /// A turn in which it has read so much. Whether it lets others run.
    fn ends(share: &mut Share, read_len: usize, now: Duration) -> bool {
        share.read(read_len);
        share.end(false, || now)
    }

    #[tokio::test]
    async fn busy_connections_take_turns_and_a_quiet_one_never_waits() {
        let queue = TurnQueue::of_runtime();
        let [mut first, mut second, mut quiet] = [(); 3].map(|()| Share::of(queue.clone()));
        for share in [&mut first, &mut second] {
            assert!(begins(share, AT), "nobody knows that it is busy");
            assert!(!share.may_cost());
            assert!(ends(share, BUSY_LEN, AT));
        }
        assert!(begins(&mut first, AT));
        assert!(first.may_cost());
        assert!(!begins(&mut second, AT));
        for _ in 0..10 {
            assert!(begins(&mut quiet, AT));
            assert!(!ends(&mut quiet, BUSY_LEN - 1, AT));
        }
        assert!(ends(&mut first, BUSY_LEN, AT));
        assert!(!begins(&mut second, AT), "the thread has not looked around");
        assert!(!begins(&mut first, AT), "now it is the turn of the other");
        assert!(begins(&mut second, AT));
        assert!(!ends(&mut second, 0, AT), "it had nothing to do");
        assert!(begins(&mut first, AT));
        assert!(ends(&mut first, BUSY_LEN, AT));
        let later = AT + 2 * BUSY_TIME;
        assert!(begins(&mut second, later), "it is quiet again");
        assert!(ends(&mut second, BUSY_LEN, later));
        assert!(
            !begins(&mut second, later + 2 * BUSY_TIME),
            "it has not waited yet"
        );
    }

    #[test]
    fn a_turn_is_over_when_its_time_is_up() {
        let mut share = Share::default();
        assert!(begins(&mut share, AT));
        assert!(!share.is_over(AT));
        assert!(!share.is_over(AT + TURN / 2));
        assert!(share.is_over(AT + TURN));
        assert!(!ends(&mut share, BUSY_LEN, AT), "there are no others");
        assert!(begins(&mut share, AT));
        assert!(!share.is_over(AT + TURN));
    }
}
