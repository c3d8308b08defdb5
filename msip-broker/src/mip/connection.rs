//! The task of a connection of a MIP peer: reads, publishes, and writes what its session hears.

mod closing;
mod requests;

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    sync::atomic::Ordering::Relaxed,
    task::{Context, Poll},
    time::Duration,
};

use bytes::BytesMut;
use msip_runtime::{
    transport,
    untyped::{HandedOff, HandoffPermit},
};
use msip_session::wire::{Code, Escaped};
use tokio::{
    io::{AsyncReadExt as _, AsyncWrite as _},
    task::yield_now,
    time::timeout,
};

use super::{
    Admission, Inner, buffers,
    ending::Ending,
    frame::Fault,
    ids::Claimed,
    session::Session,
    writer::{TAKE_LEN, Writer},
};
use crate::{
    connections::{DeadlineTimer, Drain, OpenConnection, Partial},
    router::{EndReason, OutboxItem, Publisher, WakeList},
};

use closing::{CLOSE_TIME, close};

pub(super) use closing::refuse;

/// Beyond so many bytes of answers that the peer has not read, nothing more is read from it.
const MAX_ANSWERS: usize = 256 * 1024;

/// How often one poll may read and write before others have their turn.
const MAX_STEPS: usize = 4;

/// How many subscriptions one step may change: they are the router's, and others wait for them.
const MAX_CHANGED: usize = 256;

/// A connection, and the session that its peer has asked for.
pub(super) struct Connection<'a> {
    peers: &'a Inner,
    admission: Admission,
    transport: transport::Connection,
    permit: HandoffPermit,
    session: Session,
    /// What was read and is not used.
    buffer: BytesMut,
    partial: Partial<'a>,
    attached: Option<Attached>,
    writer: Writer,
    drain: Drain,
    timer: DeadlineTimer,
    /// Whether the publisher waits for slow subscribers.
    is_pushed_back: bool,
    /// Whether there are whole frames in the buffer, since others have their turn first.
    is_behind: bool,
}

/// The session of the peer.
struct Attached {
    claimed: Claimed,
    publisher: Publisher,
    /// The connection is listed while this is there.
    listed: OpenConnection,
}

impl<'a> Connection<'a> {
    pub(super) fn new(peers: &'a Inner, admission: Admission, peer: HandedOff) -> Self {
        let HandedOff {
            connection,
            received,
            permit,
            ..
        } = peer;
        Self {
            peers,
            admission,
            transport: connection,
            drain: Drain::new(permit.draining()),
            permit,
            session: Session::new(peers.settings.max_body),
            buffer: received,
            partial: Partial::new(&peers.partial),
            attached: None,
            writer: Writer::default(),
            timer: DeadlineTimer::default(),
            is_pushed_back: false,
            is_behind: false,
        }
    }

    /// Serves the peer until the connection ends, and ends it.
    #[expect(
        clippy::manual_async_fn,
        reason = "the future of an `async fn` holds the connection twice"
    )]
    pub(super) fn serve(mut self) -> impl Future<Output = ()> + Send + use<'a> {
        async move {
            let ending = loop {
                match poll_fn(|task| self.poll_steps(task)).await {
                    // Unlike a wake, it lets tokio look at the sockets of others first.
                    Ok(()) => yield_now().await,
                    Err(ending) => break ending,
                }
            };
            if self.attached.is_some() {
                self.peers.connected.ended();
            }
            if self.permit.may_log(&self.transport.peer) {
                tracing::info!(reason = %Escaped::new(&ending.to_string()), "a MIP peer has left");
            }
            // In a box, since most of its life a connection is silent.
            Box::pin(self.end(ending)).await;
        }
    }

    /// Reads and writes until there is nothing to do, or others have their turn.
    fn poll_steps(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Ending>> {
        let now = self.peers.now();
        // What came with the first bytes was read by the server.
        if self.attached.is_none() && !self.buffer.is_empty() {
            self.handle_received(now)?;
        }
        for _ in 0..MAX_STEPS {
            if let Some(attached) = &self.attached
                && attached
                    .claimed
                    .takeover()
                    .is_some_and(|takeover| takeover.has_happened())
            {
                return Poll::Ready(Err(Ending::TakenOver));
            }
            let mut has_progress = self.fill(now, task)?;
            has_progress |= self.write(now, task)?;
            has_progress |= self.read(now, task)?;
            if !has_progress {
                return self.park(now, task);
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Takes messages out of the outbox, once all that was taken before is written.
    fn fill(&mut self, now: Duration, task: &mut Context<'_>) -> Result<bool, Ending> {
        let Some(attached) = &self.attached else {
            return Ok(false);
        };
        let writer = &mut self.writer;
        if writer.len > 0 {
            return Ok(false);
        }
        if writer.taken.is_empty() && writer.translation.is_none() {
            let session = &attached.claimed.session;
            match session.poll_take(now, TAKE_LEN, &mut writer.taken, task) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Err(reason)) => return Err(Ending::Ended(reason)),
                Poll::Ready(Ok(())) => writer.taken.reverse(),
            }
            // They come alone. A MIP peer can be told by nothing but the end of its connection.
            if let Some(OutboxItem::SubscriptionEnded(..)) = writer.taken.first() {
                return Err(Ending::SubscriptionEnded);
            }
        }
        let max_body = self.peers.settings.max_body;
        let count = writer.fill(&self.peers.router, max_body);
        let dropped = std::mem::take(&mut writer.dropped);
        let dropped = usize::try_from(dropped).unwrap_or(usize::MAX);
        attached.claimed.session.count_dropped(dropped);
        self.peers.delivered.fetch_add(count, Relaxed);
        Ok(true)
    }

    /// Writes what there is, in one call.
    fn write(&mut self, now: Duration, task: &mut Context<'_>) -> Result<bool, Ending> {
        let answers = self.session.output();
        let mut has_progress = false;
        let len = self.writer.len;
        while self.writer.has_bytes(answers) {
            match self
                .writer
                .poll_write(&mut self.transport.stream, answers, task)
            {
                Poll::Ready(Ok(())) => {
                    self.writer.blocked_since = None;
                    has_progress = true;
                }
                Poll::Ready(Err(error)) => return Err(Ending::Io(error)),
                Poll::Pending => {
                    self.writer.blocked_since.get_or_insert(now);
                    if let Some(attached) = &self.attached
                        && self.writer.len < len
                    {
                        let written = len - self.writer.len;
                        attached.claimed.session.wrote(written, now);
                    }
                    return Ok(has_progress);
                }
            }
        }
        if self.writer.needs_flush {
            match Pin::new(&mut self.transport.stream).poll_flush(task) {
                Poll::Ready(Ok(())) => {
                    self.writer.needs_flush = false;
                    self.writer.blocked_since = None;
                }
                Poll::Ready(Err(error)) => return Err(Ending::Io(error)),
                Poll::Pending => {
                    self.writer.blocked_since.get_or_insert(now);
                }
            }
        }
        Ok(has_progress)
    }

    /// Reads once, and does what the peer asks for.
    fn read(&mut self, now: Duration, task: &mut Context<'_>) -> Result<bool, Ending> {
        // First, so that the time at which it is looked again is not in the past.
        if self.is_pushed_back
            && let Some(attached) = &mut self.attached
        {
            if attached.publisher.poll_ready(now, task).is_pending() {
                return Ok(false);
            }
            self.is_pushed_back = false;
        }
        if self.session.output().len() - self.writer.answers_offset > MAX_ANSWERS {
            return Ok(false);
        }
        if self.is_behind {
            return self.handle_received(now);
        }
        let missing = self.session.partial_len().saturating_sub(self.buffer.len());
        buffers::make_place(&mut self.buffer, missing);
        match pin!(self.transport.stream.read_buf(&mut self.buffer)).poll(task) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(0)) => Err(Ending::Eof),
            // Streams with a closing message of their own end so when they are cut off.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(Ending::Eof)
            }
            Poll::Ready(Err(error)) => Err(Ending::Io(error)),
            Poll::Ready(Ok(_)) => self.handle_received(now),
        }
    }

    /// Does what the peer asks for, as far as it was received.
    fn handle_received(&mut self, now: Duration) -> Result<bool, Ending> {
        // All who are given something are woken at the end.
        let mut wakes = WakeList::new();
        let mut changed = 0;
        self.is_behind = false;
        while changed < MAX_CHANGED && !self.is_pushed_back {
            match self.session.poll_input(&mut self.buffer, now) {
                Ok(None) => return self.count_partial(),
                Ok(Some(input)) => changed += self.handle(input, now, &mut wakes)?,
                Err(fault) => return Err(Ending::Fault(fault)),
            }
        }
        self.is_behind = true;
        self.count_partial()
    }

    /// Counts what is there of a frame that has not come whole.
    fn count_partial(&mut self) -> Result<bool, Ending> {
        let len = match self.session.partial_len() {
            0 => 0,
            _ => self.buffer.len(),
        };
        let most = self.peers.settings.max_memory;
        if self.partial.set(len, most) {
            return Ok(true);
        }
        tracing::debug!(
            limit = "memory",
            most,
            "refused: frames that are not complete"
        );
        let text = "too much is kept of frames that are not complete: try again later";
        self.session.fail(Code::ResourceExhausted, text);
        Err(Ending::Fault(Fault::new(
            Code::ResourceExhausted,
            text.to_owned(),
            0,
        )))
    }

    /// There is nothing to do until something happens: gives back what is not needed meanwhile.
    fn park(&mut self, now: Duration, task: &mut Context<'_>) -> Poll<Result<(), Ending>> {
        let (connected, spread) = (&self.peers.connected, self.peers.settings.drain_spread);
        self.drain.look(connected, spread, now, task);
        if let Some(attached) = &self.attached
            && attached
                .claimed
                .takeover()
                .is_some_and(|takeover| takeover.poll(task))
        {
            return Poll::Ready(Err(Ending::TakenOver));
        }
        // The outbox is not asked while what was taken before cannot be written.
        if self.writer.len > 0
            && let Some(attached) = &self.attached
            && let Poll::Ready(reason) = attached.claimed.session.poll_ended(task)
        {
            return Poll::Ready(Err(Ending::Ended(reason)));
        }
        buffers::release(&mut self.buffer);
        self.writer.release(self.session.output());
        self.check_deadlines(now, task)?;
        Poll::Pending
    }

    /// Ends what has taken too long, and has the task woken at the next time at which something is due.
    fn check_deadlines(&mut self, now: Duration, task: &mut Context<'_>) -> Result<(), Ending> {
        let stalled_at = self.writer.blocked_since;
        let stalled_at = stalled_at.map(|at| at.saturating_add(self.peers.settings.write_timeout));
        let frame_at = self.session.deadline();
        let publisher = self.attached.as_ref().filter(|_| self.is_pushed_back);
        let ready_at = publisher.and_then(|attached| attached.publisher.wait_until());
        let is_due = |at: Option<Duration>| at.is_some_and(|at| at <= now);
        if is_due(self.drain.at()) {
            return Err(Ending::Ended(EndReason::Shutdown));
        }
        if is_due(stalled_at) {
            return Err(Ending::Ended(EndReason::SlowConsumer));
        }
        if is_due(frame_at) {
            self.session.close();
            return Err(Ending::FrameTimedOut);
        }
        let times = [frame_at, stalled_at, self.drain.at(), ready_at];
        self.timer.wake_at_first(times, self.peers.began, now, task);
        Ok(())
    }

    /// Leaves the session, tells the peer what is to be told, and closes the connection.
    async fn end(mut self, ending: Ending) {
        let now = self.peers.now();
        let ended = match &ending {
            Ending::Ended(reason) => Some(*reason),
            _ => None,
        };
        if let Some(attached) = self.attached {
            self.peers.sessions.leave(attached.claimed, ended, now);
            attached.listed.closed(&ending);
        }
        match ending {
            Ending::Io(_) => return,
            Ending::Ended(_) | Ending::TakenOver | Ending::SubscriptionEnded => {
                self.session.close()
            }
            Ending::Eof
            | Ending::Closed
            | Ending::Fault(_)
            | Ending::FrameTimedOut
            | Ending::Refused => {}
        }
        let last = self.writer.last(self.session.output());
        // It is over either way.
        let _ = timeout(CLOSE_TIME, close(&mut self.transport.stream, &last)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of what a function returns.
    fn returned_len<T, R>(_: impl Fn(T) -> R) -> usize {
        size_of::<R>()
    }

    #[test]
    fn what_every_idle_connection_holds_is_small() {
        let connection = size_of::<Connection<'_>>();
        assert!(connection <= 728, "{connection} bytes");
        let future = returned_len(Connection::<'static>::serve);
        assert!(
            future <= connection + 100,
            "{future} bytes, of which the connection is {connection}"
        );
    }
}
