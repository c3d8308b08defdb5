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
mod slow_read;
mod work_limit;

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::AsyncWrite as _,
    time::{Instant, Sleep, timeout},
};

pub(crate) use ending::{ConnectionEnd, Ending, GracefulClose};
pub(crate) use handshake::{
    HandshakeError, first_bytes, handshake, nothing_early, refuse, refuse_at_once, while_deciding,
};
pub(crate) use share::TurnQueue;

use reading::Received;
use share::Share;
use slow_read::SlowRead;
use work_limit::WorkLimit;

use crate::{
    connection::{ConnectionShared, DriverStep, SuspendedTimer},
    instruments::OmittedLine,
    log_rate::{LimitedLog, LogRate},
    service::Inbox,
    transport::Stream,
};
use msip_session::{
    Fault, Transmit,
    wire::{Decoder, MsgId},
};

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
    write_timeout: Duration,
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
        write_timeout: Duration,
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
            write_timeout,
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

    fn poll_write(&mut self, task: &mut Context<'_>, now: Duration) -> Result<bool, Ending> {
        let written = self.write_chunks(task, now);
        if !matches!(written, Ok(false)) {
            self.wake_flush_waiters();
        }
        written
    }

    fn write_chunks(&mut self, task: &mut Context<'_>, now: Duration) -> Result<bool, Ending> {
        let mut has_written = false;
        // While a flush is pending nothing is added to what the stream holds back, or it might never end.
        if self.flush == Flush::Pending && !self.poll_flush(task, now)? {
            return Ok(false);
        }
        if self.writing.is_none() {
            let chunk = self.connection.lock().poll_transmit();
            self.writing = chunk.map(|chunk| (chunk, 0));
        }
        loop {
            let Some((chunk, written)) = &mut self.writing else {
                if self.flush != Flush::Done {
                    self.poll_flush(task, now)?;
                }
                return Ok(has_written);
            };
            let rest = chunk.bytes.get(*written..).unwrap_or_default();
            match Pin::new(&mut self.stream).poll_write(task, rest) {
                Poll::Pending => {
                    self.stalled_since.get_or_insert(now);
                    if has_written {
                        self.connection.lock().written(now);
                    }
                    return Ok(has_written);
                }
                Poll::Ready(Err(error)) => return Err(Ending::Io(error)),
                Poll::Ready(Ok(0)) => return Err(Ending::Io(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(len)) => {
                    has_written = true;
                    self.stalled_since = None;
                    self.flush = Flush::Due;
                    *written += len;
                    if *written >= chunk.bytes.len() {
                        self.complete_chunk(now);
                    }
                }
            }
        }
    }

    /// Flushes the stream, which may hold back what it has taken. Whether all of it is out.
    fn poll_flush(&mut self, task: &mut Context<'_>, now: Duration) -> Result<bool, Ending> {
        match Pin::new(&mut self.stream).poll_flush(task) {
            Poll::Pending => {
                self.flush = Flush::Pending;
                self.stalled_since.get_or_insert(now);
                Ok(false)
            }
            Poll::Ready(Err(error)) => Err(Ending::Io(error)),
            Poll::Ready(Ok(())) => {
                self.flush = Flush::Done;
                self.stalled_since = None;
                Ok(true)
            }
        }
    }

    /// A chunk has been written: the next one is there, if any.
    fn complete_chunk(&mut self, now: Duration) {
        if let Some((chunk, _)) = self.writing.take() {
            let mut state = self.connection.lock();
            state.transmitted(chunk, now);
            self.connection.note_backlog(&mut state);
            self.writing = state.poll_transmit().map(|chunk| (chunk, 0));
        }
    }

    /// Nothing can be read or written now: does what is due, and sleeps unless a sender came meanwhile.
    fn sleep(&mut self, task: &mut Context<'_>, now: Duration) -> Result<Turn, Ending> {
        self.turns = 0;
        let frame_deadline = self.frame_deadline();
        if frame_deadline.is_some_and(|deadline| now >= deadline) {
            let rule = format!(
                "a frame of {} bytes was not complete in time",
                self.decoder.pending_len()
            );
            return Err(Ending::Fault(Fault::exhausted(MsgId::CONNECTION, rule)));
        }
        if let Some(since) = self.stalled_since
            && now >= since + self.write_timeout
        {
            return Err(Ending::WriteStalled(now.saturating_sub(since)));
        }
        let is_idle = self.release_at.is_some_and(|at| now >= at);
        if is_idle {
            self.release_at = None;
            self.has_been_idle = true;
            self.decoder.release();
            self.received.take_if(|received| received.is_empty());
            self.inbox.release();
        }
        let lane = self.stream.lane().map(|lane| lane.waits());
        let mut state = self.connection.lock();
        if state.report_dropped() {
            return Ok(Turn::Busy);
        }
        if is_idle {
            state.release();
            if state.session().is_some() {
                // The handlers give back what they have.
                return Ok(Turn::Busy);
            }
        }
        let mut backlog_check_at = None;
        if let Some(session) = state.session() {
            session.set_read_memory(self.decoder.held());
            backlog_check_at = session.relax_backlog(now);
            if lane.is_some_and(|waits| waits.is_over(session)) {
                return Ok(Turn::Busy);
            }
        }
        if self.connection.has_backlog_ended(&mut state) {
            // The handlers may begin more.
            return Ok(Turn::Busy);
        }
        let next =
            match state.try_sleep(now, self.writing.is_some() || self.flush == Flush::Pending) {
                DriverStep::Finished => return Err(Ending::Finished),
                DriverStep::Write => return Ok(Turn::Busy),
                DriverStep::Expire => {
                    let in_time = state.expire(now);
                    return in_time.map(|()| Turn::Busy).map_err(Ending::TimedOut);
                }
                DriverStep::Sleep { until } => until,
            };
        let observe_at = state.observe(now);
        let lent = state.session().and_then(|session| session.return_buffers());
        state.driver_has_run();
        if self.release_at.is_none() && self.writing.is_none() && self.flush == Flush::Done {
            state.rest();
        }
        drop(state);
        if let Some(chunks) = lent {
            buffer_pool::return_buffers(chunks);
        }
        let mut next = next;
        let mut wake_at = |at: Option<Duration>| {
            if let Some(at) = at {
                next = next.min(at);
            }
        };
        wake_at(frame_deadline);
        if let Some(since) = self.stalled_since {
            wake_at(Some(since + self.write_timeout));
            wake_at(self.reads_on_at(now));
        }
        wake_at(self.release_at);
        wake_at(self.slow_read.check_at());
        wake_at(backlog_check_at);
        wake_at(observe_at);
        Ok(self.arm(task, next, now))
    }

    /// Sleeps until `next`, or a little earlier: a timer that is set already is left to go off.
    fn arm(&mut self, task: &mut Context<'_>, next: Duration, now: Duration) -> Turn {
        if next < self.armed_for || self.armed_for <= now {
            // A time beyond the range of the clock never comes.
            let at = self
                .connection
                .instant(next)
                .unwrap_or_else(|| Instant::now() + Duration::from_secs(86_400));
            self.timer.as_mut().reset(at);
            self.armed_for = next;
        }
        if self.timer.as_mut().poll(task).is_ready() {
            Turn::Busy
        } else {
            Turn::Idle
        }
    }
}

/// Whether the stream may hold back what was written to it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flush {
    Done,
    /// Something was written since the last flush.
    Due,
    /// A flush has begun.
    Pending,
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
            ("driver", size_of::<Driver>(), 416),
            ("connection", size_of::<ConnectionShared>(), 576),
            ("silent session", size_of::<IdleSession>(), 464),
            ("inbox", size_of::<Inbox>(), 128),
        ];
        for (what, size, most) in held {
            assert!(size <= most, "{what}: {size} bytes, and {most} are allowed");
        }
    }
}
