//! The task of a connection of a MIP peer: reads, publishes, and writes what its session hears.

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::BytesMut;
use msip_runtime::{
    Draining, Status,
    transport::{self, Stream},
    untyped::{HandedOff, HandoffPermit},
};
use msip_session::wire::{Code, Escaped};
use tokio::{
    io::{AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _},
    task::yield_now,
    time::{Sleep, sleep_until, timeout},
};

use super::{
    Admission, Inner, buffers,
    ending::Ending,
    frame::{Fault, write_close, write_error},
    ids::Claimed,
    partial::Partial,
    session::{Hello, Input, Session},
    writer::{TAKE_LEN, Writer},
};
use crate::{
    connections::OpenConnection,
    router::{EndReason, OutboxItem, Publisher, WakeList},
};

/// Beyond so many bytes of answers that the peer has not read, nothing more is read from it.
const MAX_ANSWERS: usize = 256 * 1024;

/// How often one poll may read and write before others have their turn.
const MAX_STEPS: usize = 4;

/// How many turns may pass until it is asked whether the broker stops.
const DRAIN_TURNS: u32 = 64;

/// How long, and for how many bytes, a connection that is over is read, so that the last text arrives.
const CLOSE_TIME: Duration = Duration::from_secs(1);
const CLOSE_READ_LEN: usize = 64 * 1024;

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
    draining: Draining,
    /// When it is closed, since the broker stops.
    drain_at: Option<Duration>,
    /// How many turns have passed since it was asked whether the broker stops.
    turns: u32,
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether the publisher waits for slow subscribers.
    is_pushed_back: bool,
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
            draining: permit.draining(),
            permit,
            session: Session::new(peers.settings.max_body),
            buffer: received,
            partial: Partial::new(&peers.partial),
            attached: None,
            writer: Writer::default(),
            drain_at: None,
            turns: 0,
            timer: None,
            is_pushed_back: false,
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
                self.peers.counters.ended();
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
        let mut has_worked = false;
        // What came with the first bytes was read by the server.
        if self.attached.is_none() && !self.buffer.is_empty() {
            has_worked |= self.handle_received(now)?;
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
                return self.park(has_worked, now, task);
            }
            has_worked = true;
        }
        self.turns = self.turns.wrapping_add(1);
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
            if let Some(OutboxItem::SubscriptionEnded(_)) = writer.taken.first() {
                return Err(Ending::SubscriptionEnded);
            }
        }
        let max_body = self.peers.settings.max_body;
        let count = writer.fill(&self.peers.router, max_body);
        let dropped = std::mem::take(&mut writer.dropped);
        let dropped = usize::try_from(dropped).unwrap_or(usize::MAX);
        attached.claimed.session.count_dropped(dropped);
        self.peers.counters.delivered(count);
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
        loop {
            match self.session.poll_input(&mut self.buffer, now) {
                Ok(None) => return self.count_partial(),
                Ok(Some(input)) => self.handle(input, now, &mut wakes)?,
                Err(fault) => return Err(Ending::Fault(fault)),
            }
        }
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
        let text = format!("frames that are not complete have more than {most} bytes (memory)");
        self.session.fail(Code::ResourceExhausted, &text);
        Err(Ending::Fault(Fault::new(Code::ResourceExhausted, text, 0)))
    }

    fn handle(&mut self, input: Input, now: Duration, wakes: &mut WakeList) -> Result<(), Ending> {
        let Some(attached) = &mut self.attached else {
            // The session lets nothing else pass before HELLO.
            return match input {
                Input::Hello(hello) => self.attach(&hello, now),
                _ => Err(Ending::Closed),
            };
        };
        let sessions = &self.peers.sessions;
        match input {
            Input::Publish(publication) => {
                let frames = publication.frames.clone();
                self.peers.counters.received(publication.count);
                match attached.publisher.publish(publication, now, wakes) {
                    Ok(published) => self.is_pushed_back |= published.is_congested,
                    Err(refused) => self.session.refuse(frames, &refused),
                }
            }
            Input::Subscribe(request) => {
                let outcome = sessions.subscribe(&attached.claimed, &request.topic, now);
                self.session.answer(&request, outcome.as_ref().copied());
            }
            Input::Unsubscribe(request) => {
                sessions.unsubscribe(&attached.claimed, &request.topic);
                self.session.answer(&request, Ok(()));
            }
            Input::Hello(hello) => {
                sessions.greeted_again(&attached.claimed, hello.msg_id);
                let Claimed {
                    session, number, ..
                } = &attached.claimed;
                self.session.welcome(&hello, session.key(), *number);
            }
            Input::Close => return Err(Ending::Closed),
        }
        Ok(())
    }

    /// Gives the peer the session that it has asked for.
    fn attach(&mut self, hello: &Hello, now: Duration) -> Result<(), Ending> {
        let refused = match self.permit.greeted() {
            Ok(()) => {
                let Admission {
                    principal,
                    rights,
                    may_resume,
                } = &self.admission;
                let sessions = &self.peers.sessions;
                match sessions.claim(hello, principal, rights, *may_resume, now) {
                    Ok(claimed) => {
                        self.attached = Some(self.attached_to(hello, claimed));
                        return Ok(());
                    }
                    Err(error) => (Code::Internal, format!("no random numbers: {error}")),
                }
            }
            Err(status) => (status.code(), status.message().to_owned()),
        };
        self.session.refuse_hello(hello, refused.0, &refused.1);
        Err(Ending::Refused)
    }

    fn attached_to(&mut self, hello: &Hello, claimed: Claimed) -> Attached {
        let session = &claimed.session;
        self.session.welcome(hello, session.key(), claimed.number);
        self.peers.counters.begun();
        if self.permit.may_log(&self.transport.peer) {
            let principal = session.principal().name();
            tracing::info!(session = %session.key(), principal, "a MIP peer is here");
        }
        let publisher = Publisher::new(&self.peers.router, session);
        let listed = self.peers.settings.connections.opened_at(
            &self.transport.peer,
            Some(self.transport.local.clone()),
            session,
        );
        // From here on it is found when rights change: what has changed since it was admitted is looked up.
        if let Ok(admission) = (self.peers.admit)(&self.transport) {
            let now = self.peers.now();
            self.peers
                .router
                .reauthorize(session, admission.rights, now);
        }
        Attached {
            claimed,
            publisher,
            listed,
        }
    }

    /// There is nothing to do until something happens: gives back what is not needed meanwhile.
    fn park(
        &mut self,
        has_worked: bool,
        now: Duration,
        task: &mut Context<'_>,
    ) -> Poll<Result<(), Ending>> {
        self.turns = self.turns.wrapping_add(1);
        // The broker's stop wakes the task too. The signal is shared by all connections, so that it is asked when nothing else
        // explains why it was woken, and now and then.
        let may_be_drained = !has_worked || self.turns.is_multiple_of(DRAIN_TURNS);
        if may_be_drained
            && self.drain_at.is_none()
            && Pin::new(&mut self.draining).poll(task).is_ready()
        {
            // A millisecond for each of them is enough.
            let connected = Duration::from_millis(self.peers.counters.connected());
            let spread = self.peers.settings.drain_spread.min(connected);
            self.drain_at = Some(now.saturating_add(random_part(spread)));
        }
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
        ready!(self.poll_timer(now, task)?);
        Poll::Pending
    }

    /// Waits for the next time at which something is due; pending where nothing is.
    fn poll_timer(&mut self, now: Duration, task: &mut Context<'_>) -> Poll<Result<(), Ending>> {
        loop {
            let stalled_at = self.writer.blocked_since;
            let stalled_at =
                stalled_at.map(|at| at.saturating_add(self.peers.settings.write_timeout));
            let publisher = self.attached.as_ref().filter(|_| self.is_pushed_back);
            let ready_at = publisher.and_then(|attached| attached.publisher.wait_until());
            let times = [self.session.deadline(), stalled_at, self.drain_at, ready_at];
            let Some(next) = times.into_iter().flatten().min() else {
                // One that is set stays: most often another time is near.
                return Poll::Pending;
            };
            if next <= now {
                if self.drain_at.is_some_and(|at| at <= now) {
                    return Poll::Ready(Err(Ending::Shutdown));
                }
                if stalled_at.is_some_and(|at| at <= now) {
                    return Poll::Ready(Err(Ending::WriteStalled));
                }
                if self.session.deadline().is_some_and(|at| at <= now) {
                    self.session.close();
                    return Poll::Ready(Err(Ending::FrameTimedOut));
                }
                // The publisher has waited for long enough.
                task.waker().wake_by_ref();
                return Poll::Pending;
            }
            let at = self.peers.began + next;
            match &mut self.timer {
                Some(timer) if timer.deadline() <= at => {}
                Some(timer) => timer.as_mut().reset(at),
                none => *none = Some(Box::pin(sleep_until(at))),
            }
            let Some(timer) = &mut self.timer else {
                return Poll::Pending;
            };
            ready!(timer.as_mut().poll(task));
            self.timer = None;
            if self.peers.now() >= next {
                // With another clock reading.
                task.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    /// Leaves the session, tells the peer what is to be told, and closes the connection.
    async fn end(mut self, ending: Ending) {
        let now = self.peers.now();
        let ended = match &ending {
            Ending::WriteStalled => Some(EndReason::SlowConsumer),
            Ending::Ended(reason) => Some(*reason),
            Ending::Shutdown => Some(EndReason::Shutdown),
            _ => None,
        };
        if let Some(attached) = self.attached {
            self.peers.sessions.leave(attached.claimed, ended, now);
            attached.listed.closed(&ending);
        }
        match ending {
            Ending::Io(_) => return,
            Ending::WriteStalled
            | Ending::Ended(_)
            | Ending::TakenOver
            | Ending::SubscriptionEnded
            | Ending::Shutdown => {
                self.session.close();
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

/// Tells a peer that it may not come in, and closes the connection.
pub(super) async fn refuse(mut peer: HandedOff, status: Status) {
    let mut last = Vec::new();
    write_error(&mut last, status.code(), status.message(), 0);
    write_close(&mut last);
    let closing = close(&mut peer.connection.stream, &last);
    // It is over either way.
    let _ = timeout(CLOSE_TIME, closing).await;
}

/// Writes the last bytes, and reads what the peer still sends: else they may be lost with it.
async fn close(stream: &mut Stream, last: &[u8]) -> io::Result<()> {
    stream.write_all(last).await?;
    stream.shutdown().await?;
    let mut left = CLOSE_READ_LEN;
    let mut discarded = [0; 1024];
    while left > 0 {
        match stream.read(&mut discarded).await? {
            0 => break,
            len => left = left.saturating_sub(len),
        }
    }
    Ok(())
}

/// A random part of a time.
fn random_part(most: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    most.mul_f64(f64::from(random) / f64::from(u32::MAX))
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
        assert!(connection <= 760, "{connection} bytes");
        let future = returned_len(Connection::<'static>::serve);
        assert!(
            future <= connection + 100,
            "{future} bytes, of which the connection is {connection}"
        );
    }
}
