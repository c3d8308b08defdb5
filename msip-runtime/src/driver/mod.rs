//! The driver: the task of a connection, which moves its bytes and its time.
//!
//! It reads big chunks and cuts them into frames in place, runs the handlers, and writes what is queued, one chunk a
//! write. Then it sleeps until a byte, a sender, a handler or the clock wakes it.

mod buffer_pool;
mod datagrams;
mod ending;
mod handshake;
mod reading;
mod share;
mod sleeping;
mod slow_read;
mod work_limit;
mod writing;

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Sleep, timeout};

pub(crate) use ending::{ConnectionEnd, Ending, GracefulClose};
pub(crate) use handshake::{
    HandshakeError, first_bytes, handshake, nothing_early, refuse, refuse_at_once, while_deciding,
};
pub(crate) use share::TurnQueue;

use reading::Received;
use share::Share;
use slow_read::SlowRead;
use work_limit::WorkLimit;
use writing::Flush;

use crate::{
    connection::{ConnectionShared, SuspendedTimer},
    instruments::OmittedLine,
    log_rate::{LimitedLog, LogRate},
    service::Inbox,
    transport::Stream,
};
use msip_session::{Transmit, wire::Decoder};

/// How many turns the driver takes before it lets other tasks run.
const TURNS: u8 = 32;

/// A connection that has been idle for so long gives back the memory that a burst needed.
const IDLE: Duration = Duration::from_millis(100);

/// The same of one that has not been idle yet: where many come at once, as few as can be hold what they need to begin.
const FIRST_IDLE: Duration = Duration::from_millis(10);

/// Runs the handlers of a session, polled by its driver; it ends only after its inbox is closed.
pub(crate) type HandlerTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The handlers of a session that has nothing for them to do, and no connection: nothing is held for them.
pub(crate) fn no_handlers() -> HandlerTask {
    Box::pin(std::future::poll_fn(|_| Poll::Ready(())))
}

/// Handlers that did not end after their sessions, of all clients and servers of the process.
static DROPPED_HANDLERS: LimitedLog = LimitedLog::new(
    OmittedLine::Handlers,
    LogRate {
        burst: 20,
        interval: Duration::from_secs(1),
    },
);

/// Lets the handlers of a session that is over finish, for so long at most.
pub(crate) async fn drain(handlers: HandlerTask, limit: Duration) {
    if timeout(limit, handlers).await.is_err()
        && let Some(unsaid) = DROPPED_HANDLERS.may_log()
    {
        tracing::warn!(
            ?limit,
            unsaid,
            "handlers of a session that is over did not end and were dropped"
        );
    }
}

/// Runs the handlers and the clock of a session without a connection until `work` is done. `None` where the session is
/// over first.
pub(crate) async fn run_suspended<T>(
    connection: &ConnectionShared,
    handlers: &mut HandlerTask,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut timer = SuspendedTimer::new();
    let mut work = pin!(work);
    std::future::poll_fn(|task| {
        let _ = handlers.as_mut().poll(task);
        if let Poll::Ready(value) = work.as_mut().poll(task) {
            return Poll::Ready(Some(value));
        }
        timer.poll(connection, task).map(|()| None)
    })
    .await
}

/// A connection whose handshake is done.
pub(crate) struct Driver {
    stream: Stream,
    decoder: Decoder,
    connection: Arc<ConnectionShared>,
    inbox: Arc<Inbox>,
    writing: Option<(Transmit, usize)>,
    /// Since when not a byte could be written or flushed.
    stalled_since: Option<Duration>,
    flush: Flush,
    /// Since when a partial frame is buffered.
    frame_begun: Option<Duration>,
    slow_read: SlowRead,
    /// Received bytes were not decoded yet: together with the end of the handshake, or beyond the work limit.
    has_leftover: bool,
    /// It reads although the peer's requests could wait: nothing was written for long.
    reads_on: bool,
    release_at: Option<Duration>,
    /// It has been idle, and has given back what it had.
    has_been_idle: bool,
    timer: Pin<Box<Sleep>>,
    armed_for: Duration,
    /// How many turns it has taken since it looked at the clock.
    turns: u8,
    /// It waits for a byte, a sender, a handler or the clock.
    is_asleep: bool,
    /// Polled by its waker instead of a task; where that is the worker thread itself, no work can be deferred to it.
    is_run_by_wakers: bool,
    /// Several callers were woken and may call again at once: they run before more is written.
    is_yielding: bool,
    /// The peer has sent something by this connection, after the handshake.
    has_received: bool,
    work_limit: WorkLimit,
    share: Share,
    /// Not there while the connection is silent.
    received: Option<Box<Received>>,
}

impl Driver {
    pub(crate) fn new(
        stream: Stream,
        decoder: Decoder,
        connection: Arc<ConnectionShared>,
        inbox: Arc<Inbox>,
    ) -> Self {
        inbox.set_driven(true);
        let mut driver = Self {
            stream,
            decoder,
            connection,
            inbox,
            writing: None,
            stalled_since: None,
            flush: Flush::Done,
            frame_begun: None,
            slow_read: SlowRead::default(),
            has_leftover: true,
            reads_on: false,
            release_at: None,
            has_been_idle: false,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            armed_for: Duration::ZERO,
            turns: 0,
            is_asleep: false,
            is_run_by_wakers: false,
            is_yielding: false,
            has_received: false,
            work_limit: WorkLimit::of_runtime(),
            share: Share::default(),
            received: None,
        };
        driver.allow_datagrams();
        driver
    }

    /// The same, one of the connections that share this queue.
    pub(crate) fn sharing(mut self, queue: &TurnQueue) -> Self {
        self.share = Share::of(queue.clone());
        self
    }

    /// The same, to be polled by its waker instead of a task.
    #[cfg(feature = "testing")]
    pub(crate) fn run_by_wakers(mut self) -> Self {
        self.is_run_by_wakers = true;
        self
    }

    /// Runs the connection until it is to end, and the handlers with it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: run it again, or end the connection.
    pub(crate) async fn run(&mut self, handlers: &mut HandlerTask) -> Ending {
        std::future::poll_fn(|task| self.poll(task, handlers)).await
    }

    /// As [`run`](Self::run).
    pub(crate) fn poll(
        &mut self,
        task: &mut Context<'_>,
        handlers: &mut HandlerTask,
    ) -> Poll<Ending> {
        let connection = &self.connection;
        if self
            .share
            .poll_begin(task, || connection.now())
            .is_pending()
        {
            return Poll::Pending;
        }
        self.inbox.set_may_cost(self.share.may_cost());
        let polled = self.poll_turns(task, handlers);
        if !self.is_asleep {
            self.wake_flush_waiters();
        }
        let connection = &self.connection;
        let is_busy = self.share.end(self.inbox.take_busy(), || connection.now());
        if is_busy && polled.is_pending() {
            return self.yield_to_senders(task);
        }
        polled
    }

    /// Wakes the senders that wait until the driver has written, or has had its turn.
    fn wake_flush_waiters(&self) {
        self.connection.lock().driver_has_run();
    }

    fn poll_turns(&mut self, task: &mut Context<'_>, handlers: &mut HandlerTask) -> Poll<Ending> {
        let is_first = std::mem::take(&mut self.is_asleep);
        let are_returning = {
            let mut state = self.connection.lock();
            if let Some(session) = state.session()
                && session.needs_buffers()
            {
                session.lend_buffers(buffer_pool::borrow_chunks());
            }
            self.connection.note_backlog(&mut state);
            state.driver_awakes(task.waker()) && self.connection.has_returning(&state)
        };
        if is_first && are_returning {
            return self.yield_to_senders(task);
        }
        for turn in 0..TURNS {
            self.turns = self.turns.saturating_add(1);
            match self.turn(task, handlers, turn == 0) {
                Ok(Turn::Busy) => {}
                Ok(Turn::Yielding | Turn::Over) => break,
                Ok(Turn::Idle) => {
                    self.is_asleep = true;
                    return Poll::Pending;
                }
                Err(ending) => return Poll::Ready(ending),
            }
        }
        self.yield_to_senders(task)
    }

    /// Comes back when the worker has run what else is ready: what that sends leaves together. The driver is awake
    /// meanwhile, so that no sender wakes it.
    fn yield_to_senders<T>(&self, task: &mut Context<'_>) -> Poll<T> {
        if self.is_run_by_wakers {
            task.waker().wake_by_ref();
        } else {
            // It wakes the task once, and does nothing else.
            let _ = pin!(tokio::task::yield_now()).poll(task);
        }
        Poll::Pending
    }

    /// Reads once, lets handlers run, and writes all that can be written. `is_first`: of a poll, which the handlers may have
    /// been woken for.
    fn turn(
        &mut self,
        task: &mut Context<'_>,
        handlers: &mut HandlerTask,
        is_first: bool,
    ) -> Result<Turn, Ending> {
        let now = self.connection.now();
        if self.share.is_over(now) {
            return Ok(Turn::Over);
        }
        // The senders that ran first have sent what they had to: it goes out before more is read.
        let has_yielded = std::mem::take(&mut self.is_yielding);
        let has_read = has_yielded || self.poll_read(task, now)?;
        let has_read = self.poll_datagrams(task) || has_read;
        // A peer whose bytes were received and not yet read is not declared dead.
        if self.turns >= TURNS && !has_yielded {
            self.check_clock(now)?;
        }
        // In later turns they have nothing to do where they wait for what is received: what else wakes them polls this task anew.
        let mut has_more = false;
        if is_first || !self.inbox.is_awaited() {
            // It ends only after the inbox is closed.
            let _ = handlers.as_mut().poll(task);
            has_more = self.inbox.take_turn_over();
        }
        if self.is_yielding {
            return Ok(Turn::Yielding);
        }
        let has_written = match self.poll_write(task, now) {
            Err(ending @ Ending::Io(_)) => {
                // What the peer said before it closed is worth more than that we cannot write; and where it has closed,
                // that is the reason, whichever of the two is seen first.
                loop {
                    match self.poll_read(task, now) {
                        Ok(true) => {}
                        Err(Ending::Eof) => return Err(Ending::Eof),
                        Ok(false) | Err(_) => return Err(ending),
                    }
                }
            }
            written => written?,
        };
        if has_more {
            return Ok(Turn::Over);
        }
        if has_read || has_written {
            let idle = if self.has_been_idle { IDLE } else { FIRST_IDLE };
            self.release_at = Some(now + idle);
            return Ok(Turn::Busy);
        }
        self.sleep(task, now)
    }

    /// Does what is due in a driver that has been busy for long.
    fn check_clock(&mut self, now: Duration) -> Result<(), Ending> {
        self.turns = 0;
        let in_time = self.connection.lock().expire(now);
        in_time.map_err(Ending::TimedOut)
    }
}

/// Whether a turn found anything to do.
enum Turn {
    Busy,
    /// Tasks were woken that will send something: it goes out together.
    Yielding,
    /// There is more to do, and others of the thread have their turn first.
    Over,
    Idle,
}

#[cfg(test)]
mod tests {
    use msip_session::IdleSession;

    use super::*;

    #[test]
    fn what_every_idle_connection_holds_is_small() {
        let held = [
            ("driver", size_of::<Driver>(), 392),
            ("connection", size_of::<ConnectionShared>(), 544),
            ("silent session", size_of::<IdleSession>(), 384),
            ("inbox", size_of::<Inbox>(), 96),
        ];
        for (what, size, most) in held {
            assert!(size <= most, "{what}: {size} bytes, and {most} are allowed");
        }
    }
}
