//! The one place where session, transport and clock meet: the task of a connection.
//!
//! It reads big chunks and cuts them into frames in place, lets the handlers see what came, and writes what is
//! queued, one chunk a write. Then it sleeps until a byte, a sender, a handler or the clock wakes it.

mod buffer_pool;
mod ending;
mod handshake;
mod reading;
mod slow_read;
mod work_limit;

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    io::AsyncWrite as _,
    time::{Instant, Sleep, timeout},
};

pub(crate) use ending::{ConnectionEnd, Ending, GracefulClose, bid_farewell};
pub(crate) use handshake::{HandshakeError, graceful_close, handshake};

use slow_read::SlowRead;
use work_limit::WorkLimit;

use crate::{
    connection::{ConnectionShared, ReceivedItems, SuspendedTimer},
    dispatch::{Inbox, ReceivedMessages},
    transport::Stream,
};
use msip_session::{
    Fault, Transmit,
    wire::{Decoder, ErrorText, FrameRange, MsgId},
};

/// How often a task goes around before it lets others run.
const TURNS: u8 = 32;

/// A connection on which nothing has happened for so long gives back the memory that a burst needed.
const IDLE: Duration = Duration::from_millis(100);

/// What handles the messages of a session; it ends only after its inbox is closed.
pub(crate) type Handlers = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Lets the handlers of a session that is over come to their end.
pub(crate) async fn drain(handlers: Handlers, limit: Duration) {
    if timeout(limit, handlers).await.is_err() {
        tracing::warn!(
            ?limit,
            "handlers of a session that is over did not end and were dropped"
        );
    }
}

/// Goes on with the handlers and the clock of a session without a connection until `work` is done. `None` where the
/// session is over first.
pub(crate) async fn run_suspended<T>(
    connection: &ConnectionShared,
    handlers: &mut Handlers,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut watch = SuspendedTimer::new();
    let mut work = pin!(work);
    std::future::poll_fn(|task| {
        let _ = handlers.as_mut().poll(task);
        if let Poll::Ready(value) = work.as_mut().poll(task) {
            return Poll::Ready(Some(value));
        }
        watch.poll(connection, task).map(|()| None)
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
    /// Since when a part of a frame has come.
    frame_begun: Option<Duration>,
    slow_read: SlowRead,
    /// Bytes have come that were not looked at: together with the end of the handshake, or more than one work_limit.
    has_leftover: bool,
    release_at: Option<Duration>,
    timer: Pin<Box<Sleep>>,
    armed_for: Duration,
    /// How many turns it has taken since it looked at the clock.
    turns: u8,
    /// It waits for a byte, a sender, a handler or the clock.
    is_asleep: bool,
    /// Not a task runs it, but whoever wakes it; the worker may do that too, and then nothing can be put off to it.
    is_run_by_wakers: bool,
    /// Several callers were woken and may call again at once: let them, before writing.
    is_gathering: bool,
    work_limit: WorkLimit,
    /// What the other side said when it closed, or blamed us for.
    goodbye: Option<ErrorText>,
    blame: Option<ErrorText>,
    /// Where those lie that were cut from what was read, on their way to the session.
    frames: Vec<FrameRange>,
    /// What has been read for the handlers, on its way to the inbox.
    received: ReceivedMessages,
    /// The same, for those who take the items of a stream.
    arrivals: ReceivedItems,
    wakers: Vec<Waker>,
}

impl Driver {
    pub(crate) fn new(
        stream: Stream,
        decoder: Decoder,
        connection: Arc<ConnectionShared>,
        inbox: Arc<Inbox>,
        write_timeout: Duration,
    ) -> Self {
        Self {
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
            release_at: None,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            armed_for: Duration::ZERO,
            turns: 0,
            is_asleep: false,
            is_run_by_wakers: false,
            is_gathering: false,
            work_limit: WorkLimit::of_runtime(),
            goodbye: None,
            blame: None,
            frames: Vec::new(),
            received: ReceivedMessages::default(),
            arrivals: ReceivedItems::default(),
            wakers: Vec::new(),
        }
    }

    /// The same, to be run by whoever wakes it.
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
    pub(crate) async fn run(&mut self, handlers: &mut Handlers) -> Ending {
        std::future::poll_fn(|task| self.poll(task, handlers)).await
    }

    fn poll(&mut self, task: &mut Context<'_>, handlers: &mut Handlers) -> Poll<Ending> {
        let polled = self.poll_turns(task, handlers);
        self.let_senders_go();
        polled
    }

    /// Wakes those who wait until the driver has written, or has had its turn.
    fn let_senders_go(&self) {
        let behind = self.connection.lock().driver_has_run();
        behind.into_iter().for_each(Waker::wake);
    }

    fn poll_turns(&mut self, task: &mut Context<'_>, handlers: &mut Handlers) -> Poll<Ending> {
        let is_first = std::mem::take(&mut self.is_asleep);
        let are_returning = {
            let mut state = self.connection.lock();
            if let Some(session) = state.session()
                && session.needs_chunks()
            {
                session.lend_chunks(buffer_pool::borrow_chunks());
            }
            state.driver_awakes(task.waker()) && self.connection.has_returning(&state)
        };
        if is_first && are_returning {
            return self.yield_to_senders(task);
        }
        for _ in 0..TURNS {
            self.turns = self.turns.saturating_add(1);
            match self.turn(task, handlers) {
                Ok(Turn::Busy) => {}
                Ok(Turn::Gathering) => break,
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
    /// meanwhile, so that nobody who sends wakes it.
    fn yield_to_senders<T>(&self, task: &mut Context<'_>) -> Poll<T> {
        if self.is_run_by_wakers {
            task.waker().wake_by_ref();
        } else {
            // It wakes the task once, and does nothing else.
            let _ = pin!(tokio::task::yield_now()).poll(task);
        }
        Poll::Pending
    }

    /// Reads once, lets handlers run, and writes all that can be written.
    fn turn(&mut self, task: &mut Context<'_>, handlers: &mut Handlers) -> Result<Turn, Ending> {
        let now = self.connection.now();
        // Those who were let go first have sent what they had to: it goes out before more is read.
        let has_gathered = std::mem::take(&mut self.is_gathering);
        let has_read = has_gathered || self.poll_read(task, now)?;
        // Nobody is to be declared dead whose bytes have come and were not read.
        if self.turns >= TURNS && !has_gathered {
            self.look_at_clock(now)?;
        }
        // It ends only after the inbox is closed.
        let _ = handlers.as_mut().poll(task);
        if self.is_gathering {
            return Ok(Turn::Gathering);
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
        if has_read || has_written {
            self.release_at = Some(now + IDLE);
            return Ok(Turn::Busy);
        }
        self.rest(task, now)
    }

    /// Does what is due in a driver that has not come to rest for long.
    fn look_at_clock(&mut self, now: Duration) -> Result<(), Ending> {
        self.turns = 0;
        let in_time = self.connection.lock().expire(now, &mut self.wakers);
        self.wakers.drain(..).for_each(Waker::wake);
        in_time.map_err(Ending::TimedOut)
    }

    fn poll_write(&mut self, task: &mut Context<'_>, now: Duration) -> Result<bool, Ending> {
        let written = self.write_chunks(task, now);
        if !matches!(written, Ok(false)) {
            self.let_senders_go();
        }
        written
    }

    fn write_chunks(&mut self, task: &mut Context<'_>, now: Duration) -> Result<bool, Ending> {
        let mut has_written = false;
        // While a flush is pending nothing is added to what the stream holds back, or it might never end.
        if self.flush == Flush::Pending && !self.poll_flush(task, now)? {
            return Ok(false);
        }
        loop {
            if self.writing.is_none() {
                let chunk = self.connection.lock().poll_transmit();
                self.writing = chunk.map(|chunk| (chunk, 0));
            }
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
                        self.complete_chunk();
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

    fn complete_chunk(&mut self) {
        let Some((chunk, _)) = self.writing.take() else {
            return;
        };
        let mut state = self.connection.lock();
        if let Some(session) = state.session() {
            session.transmitted(chunk);
        }
        if state.is_awaited() {
            let room = state.capacity();
            drop(state);
            room.into_iter().for_each(Waker::wake);
        }
    }

    /// Nothing can be read or written now: does what is due, and sleeps unless a sender came meanwhile.
    fn rest(&mut self, task: &mut Context<'_>, now: Duration) -> Result<Turn, Ending> {
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
            self.decoder.release();
            self.frames = Vec::new();
            self.received = ReceivedMessages::default();
            self.arrivals = ReceivedItems::default();
            self.inbox.release();
            self.wakers = Vec::new();
        }
        let mut state = self.connection.lock();
        let told = state.tell_dropped();
        if !told.is_empty() {
            drop(state);
            told.into_iter().for_each(Waker::wake);
            return Ok(Turn::Busy);
        }
        if is_idle {
            state.release();
        }
        let next_deadline = state.next_deadline();
        let Some(session) = state.session() else {
            return Err(Ending::Finished);
        };
        if is_idle {
            // The handlers give back what they have.
            return Ok(Turn::Busy);
        }
        session.is_reading_into(self.decoder.held());
        if session.is_finished() && self.writing.is_none() {
            return Err(Ending::Finished);
        }
        if session.poll_timeout() <= now || next_deadline <= now {
            let in_time = state.expire(now, &mut self.wakers);
            drop(state);
            self.wakers.drain(..).for_each(Waker::wake);
            return in_time.map(|()| Turn::Busy).map_err(Ending::TimedOut);
        }
        if session.has_transmit() && self.writing.is_none() && self.flush != Flush::Pending {
            return Ok(Turn::Busy);
        }
        let next = [
            frame_deadline,
            self.stalled_since.map(|since| since + self.write_timeout),
            self.release_at,
            self.slow_read.look_at,
            Some(next_deadline),
        ]
        .into_iter()
        .flatten()
        .fold(session.poll_timeout(), Duration::min);
        let lent = session.return_chunks();
        state.driver_sleeps();
        drop(state);
        if let Some(chunks) = lent {
            buffer_pool::return_chunks(chunks);
        }
        Ok(self.arm(task, next, now))
    }

    /// Sleeps until `next`, or a little earlier: a timer that is set already is left to go off.
    fn arm(&mut self, task: &mut Context<'_>, next: Duration, now: Duration) -> Turn {
        if next < self.armed_for || self.armed_for <= now {
            // What no clock can tell is far enough away never to come.
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

/// Whether there was anything to do.
enum Turn {
    Busy,
    /// Others were woken that will send something to go out together.
    Gathering,
    Idle,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_idle_connection_holds_is_small() {
        let held = [
            ("driver", size_of::<Driver>(), 544),
            (
                "connection, and the session in it",
                size_of::<ConnectionShared>(),
                2304,
            ),
            ("inbox", size_of::<Inbox>(), 128),
        ];
        for (what, size, most) in held {
            assert!(size <= most, "{what}: {size} bytes, and {most} are allowed");
        }
    }
}
