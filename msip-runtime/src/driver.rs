//! The one place where session, transport and clock meet: the task of a connection.
//!
//! It reads big chunks and cuts them into frames in place, lets the handlers see what came, and writes what is
//! queued, one chunk a write. Then it sleeps until a byte, a sender, a handler or the clock wakes it.

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::{Instant, Sleep, timeout},
};

use crate::{
    DisconnectReason,
    dispatch::Inbox,
    link::{Link, Watch},
    session::{
        Event, Fault, FaultKind, Incoming, Lost, Outcome, ReplyTo, Session, Suspended, TimedOut,
        Transmit, first_frame,
    },
    transport::Stream,
    wire::{Code, DecodeError, Decoder, ErrorText, Frame, HeaderError, MsgId, write_close},
};

/// How often a task goes around before it lets others run.
const TURNS: usize = 32;

/// How long, and for how many bytes, a connection that is over is read on, so that the last text arrives
/// (docs/protocol.md, "Errors and close").
const FAREWELL: Duration = Duration::from_secs(1);
const FAREWELL_LEN: usize = 64 * 1024;

/// A frame that was begun must be complete within this, and a second more for each 16 KiB of it.
const FRAME_TIMEOUT: Duration = Duration::from_secs(30);
const FRAME_RATE: u64 = 16 * 1024;

/// A connection on which nothing has happened for so long gives back the memory that a burst needed.
const IDLE: Duration = Duration::from_millis(500);

/// Why the driver stopped.
#[derive(Debug)]
pub(crate) enum Ending {
    /// All that was open has finished.
    Finished,
    Eof,
    Io(io::Error),
    Fault(Fault),
    TimedOut(TimedOut),
    WriteStalled(Duration),
    /// A newer connection has claimed the session.
    TakenOver,
}

/// What handles the messages of a session; it ends only after its inbox is closed.
pub(crate) type Handlers = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How a connection ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) reason: DisconnectReason,
    /// Whether the session waits for another connection; else it has ended too.
    pub(crate) is_suspended: bool,
    /// The exchanges that were lost.
    pub(crate) lost: Vec<Lost>,
    /// How many exchanges of either side were cut off.
    pub(crate) cut_off: usize,
    pub(crate) farewell: Farewell,
}

/// A connection that is over, but for its last words.
#[derive(Debug)]
pub(crate) struct Farewell {
    stream: Stream,
    chunks: Option<Vec<Vec<u8>>>,
}

impl Farewell {
    /// Says the last words, where there are any, and closes.
    pub(crate) async fn bid(mut self) {
        if let Some(chunks) = self.chunks.take() {
            bid_farewell(&mut self.stream, chunks).await;
        }
    }
}

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
pub(crate) async fn tend<T>(
    link: &Link,
    handlers: &mut Handlers,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut watch = Watch::new();
    let mut work = pin!(work);
    std::future::poll_fn(|task| {
        let _ = handlers.as_mut().poll(task);
        if let Poll::Ready(value) = work.as_mut().poll(task) {
            return Poll::Ready(Some(value));
        }
        watch.poll(link, task).map(|()| None)
    })
    .await
}

/// A connection whose handshake is done.
pub(crate) struct Driver {
    stream: Stream,
    decoder: Decoder,
    link: Arc<Link>,
    inbox: Arc<Inbox>,
    writing: Option<(Transmit, usize)>,
    /// Since when not a byte could be written.
    stalled_since: Option<Duration>,
    write_timeout: Duration,
    frame_deadline: Option<Duration>,
    /// Bytes that came together with the end of the handshake have not been looked at.
    has_leftover: bool,
    release_at: Option<Duration>,
    timer: Pin<Box<Sleep>>,
    armed_for: Duration,
    /// Several senders were woken and will send at once: let them, before writing.
    is_gathering: bool,
    /// What the other side said when it closed, or blamed us for.
    goodbye: Option<ErrorText>,
    blame: Option<ErrorText>,
    frames: Vec<Frame>,
    incoming: Vec<Incoming>,
    wakers: Vec<Waker>,
}

impl Driver {
    pub(crate) fn new(
        stream: Stream,
        decoder: Decoder,
        link: Arc<Link>,
        inbox: Arc<Inbox>,
        write_timeout: Duration,
    ) -> Self {
        Self {
            stream,
            decoder,
            link,
            inbox,
            writing: None,
            stalled_since: None,
            write_timeout,
            frame_deadline: None,
            has_leftover: true,
            release_at: None,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            armed_for: Duration::ZERO,
            is_gathering: false,
            goodbye: None,
            blame: None,
            frames: Vec::new(),
            incoming: Vec::new(),
            wakers: Vec::new(),
        }
    }

    /// Runs the connection until it is to end, and the handlers with it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: run it again, or end the connection.
    pub(crate) async fn run(&mut self, handlers: &mut Handlers) -> Ending {
        std::future::poll_fn(|task| self.poll(task, handlers)).await
    }

    /// Ends the connection, and with it the session, unless that can go on with another one.
    pub(crate) fn end(mut self, ending: Ending) -> Ended {
        let mut ended = Ended {
            reason: DisconnectReason::ClosedByUs,
            is_suspended: false,
            lost: Vec::new(),
            cut_off: 0,
            farewell: Farewell {
                stream: self.stream,
                chunks: None,
            },
        };
        let in_flight = self
            .writing
            .as_ref()
            .map(|(chunk, written)| (chunk, *written));
        let begun = in_flight.map(|(chunk, written)| rest_of_frame(&chunk.bytes, written));
        let mut state = self.link.lock();
        let mut wakers = Vec::new();
        if let Some(session) = state.session() {
            if ending.leaves_session() && self.blame.is_none() && session.is_resumable() {
                ended.is_suspended = true;
                let Suspended { lost, cancelled } = session.suspend(in_flight);
                ended.lost = lost;
                if matches!(ending, Ending::TakenOver) {
                    let mut last = begun.unwrap_or_default().to_vec();
                    write_close(&mut last, Code::Aborted, "session taken over");
                    ended.farewell.chunks = Some(vec![last]);
                }
                wakers = state.detach(&ended.lost);
                wakers.extend(state.cancel_all(cancelled));
            } else {
                if let Ending::Fault(fault) = &ending {
                    session.handle_fault(fault);
                }
                ended.cut_off = session.open_exchanges();
                ended.lost = session.lost(in_flight);
                if ending.is_polite() {
                    let begun = in_flight
                        .map(|(chunk, written)| chunk.bytes.get(written..).unwrap_or_default());
                    let queued = std::iter::from_fn(|| Some(session.poll_transmit()?.bytes));
                    let chunks = begun.map(<[u8]>::to_vec).into_iter().chain(queued);
                    ended.farewell.chunks = Some(chunks.collect());
                }
                wakers = state.end_session(&ended.lost);
            }
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        ended.reason = reason(ending, self.goodbye.take(), self.blame.take());
        ended
    }

    fn poll(&mut self, task: &mut Context<'_>, handlers: &mut Handlers) -> Poll<Ending> {
        if std::mem::take(&mut self.is_gathering) {
            task.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.link.lock().driver_awakes(task.waker());
        for _ in 0..TURNS {
            match self.turn(task, handlers) {
                Ok(Turn::Busy) => {}
                Ok(Turn::Idle) => return Poll::Pending,
                Err(ending) => return Poll::Ready(ending),
            }
        }
        task.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads once, lets handlers run, and writes all that can be written.
    fn turn(&mut self, task: &mut Context<'_>, handlers: &mut Handlers) -> Result<Turn, Ending> {
        let now = self.link.now();
        let has_read = self.poll_read(task, now)?;
        // It ends only after the inbox is closed.
        let _ = handlers.as_mut().poll(task);
        let has_written = match self.poll_write(task, now) {
            Err(ending @ Ending::Io(_)) => {
                // What the other side said before it went away is worth more than that we cannot write.
                while self.poll_read(task, now).is_ok_and(|has_read| has_read) {}
                return Err(ending);
            }
            written => written?,
        };
        if has_read || has_written {
            self.release_at = Some(now + IDLE);
            return Ok(Turn::Busy);
        }
        self.rest(task, now)
    }

    fn poll_read(&mut self, task: &mut Context<'_>, now: Duration) -> Result<bool, Ending> {
        if self
            .link
            .lock()
            .session()
            .is_some_and(|session| session.is_over_queue())
        {
            return Ok(false);
        }
        if std::mem::take(&mut self.has_leftover) && self.decoder.is_mid_frame() {
            return self.handle_received(now).map(|()| true);
        }
        let read = pin!(self.stream.read_buf(self.decoder.buffer())).poll(task);
        match read {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(0)) => Err(Ending::Eof),
            Poll::Ready(Err(error)) => Err(Ending::Io(error)),
            Poll::Ready(Ok(_)) => self.handle_received(now).map(|()| true),
        }
    }

    /// Cuts what was read into frames, and hands them to the session under one lock.
    fn handle_received(&mut self, now: Duration) -> Result<(), Ending> {
        let broken = loop {
            match self.decoder.decode() {
                Ok(Some(frame)) => self.frames.push(frame),
                Ok(None) => break None,
                Err(error) => break Some(Fault::from(error)),
            }
        };
        if !self.decoder.is_mid_frame() {
            self.frame_deadline = None;
        } else if self.frame_deadline.is_none() || !self.frames.is_empty() {
            let len = u64::try_from(self.decoder.pending_len()).unwrap_or(u64::MAX);
            self.frame_deadline = Some(now + FRAME_TIMEOUT + Duration::from_secs(len / FRAME_RATE));
        }
        let fault = self.handle_frames(now).err().or(broken);
        if !self.incoming.is_empty() {
            self.inbox.extend(&mut self.incoming);
        }
        self.is_gathering = self.wakers.len() > 1;
        self.wakers.drain(..).for_each(Waker::wake);
        fault.map_or(Ok(()), |fault| Err(Ending::Fault(fault)))
    }

    fn handle_frames(&mut self, now: Duration) -> Result<(), Fault> {
        let mut state = self.link.lock();
        let Some(session) = state.session() else {
            return Ok(());
        };
        session.received(now);
        let mut has_room = false;
        for frame in self.frames.drain(..) {
            let Some(session) = state.session() else {
                break;
            };
            match session.handle_frame(frame, now)? {
                Some(Event::Incoming(incoming)) => {
                    if let (true, ReplyTo::Call(slot)) = (incoming.is_stream, incoming.reply) {
                        state.begin_requests(slot, incoming.first_item());
                    }
                    self.incoming.push(incoming);
                }
                Some(Event::Item { token, item }) => {
                    self.wakers.extend(state.push_item(token, item));
                }
                Some(Event::RequestItem {
                    slot,
                    item,
                    is_last,
                }) => {
                    self.wakers.extend(state.push_request(slot, item, is_last));
                }
                Some(Event::Cancelled(slot)) => {
                    self.wakers.extend(state.end_requests(slot));
                    state.cancel(slot);
                }
                Some(Event::StreamRoom) => self.wakers.extend(state.stream_room()),
                Some(Event::Answered { token, outcome }) => {
                    has_room = true;
                    self.wakers.extend(state.complete(token, outcome));
                }
                Some(Event::Room) => has_room = true,
                Some(Event::Closing(text)) => {
                    self.goodbye = Some(text);
                    // Senders who wait have to hear that nothing more goes out.
                    has_room = true;
                }
                Some(Event::Blamed(text)) => self.blame = Some(text),
                // Only a handshake has them, and that is over.
                Some(Event::Hello(_) | Event::Welcome(_) | Event::Refused(_)) | None => {}
            }
        }
        if has_room && state.is_awaited() {
            self.wakers.extend(state.room());
        }
        Ok(())
    }

    fn poll_write(&mut self, task: &mut Context<'_>, now: Duration) -> Result<bool, Ending> {
        let mut has_written = false;
        loop {
            if self.writing.is_none() {
                let chunk = self
                    .link
                    .lock()
                    .session()
                    .and_then(|session| session.poll_transmit());
                self.writing = chunk.map(|chunk| (chunk, 0));
            }
            let Some((chunk, written)) = &mut self.writing else {
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
                    *written += len;
                    if *written >= chunk.bytes.len() {
                        self.complete_chunk();
                    }
                }
            }
        }
    }

    fn complete_chunk(&mut self) {
        let Some((chunk, _)) = self.writing.take() else {
            return;
        };
        let mut state = self.link.lock();
        if let Some(session) = state.session() {
            session.transmitted(chunk);
        }
        if state.is_awaited() {
            let room: Vec<Waker> = state.room().collect();
            drop(state);
            room.into_iter().for_each(Waker::wake);
        }
    }

    /// Nothing can be read or written now: does what is due, and sleeps unless a sender came meanwhile.
    fn rest(&mut self, task: &mut Context<'_>, now: Duration) -> Result<Turn, Ending> {
        if self.frame_deadline.is_some_and(|deadline| now >= deadline) {
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
            self.incoming = Vec::new();
            self.wakers = Vec::new();
        }
        let mut state = self.link.lock();
        let Some(session) = state.session() else {
            return Err(Ending::Finished);
        };
        if is_idle {
            session.release_memory();
        }
        if session.is_finished() && self.writing.is_none() {
            return Err(Ending::Finished);
        }
        if session.poll_timeout() <= now {
            let mut expired = Vec::new();
            let in_time = session.handle_timeout(now, &mut expired);
            let has_expired = !expired.is_empty();
            for token in expired {
                self.wakers.extend(state.complete(token, Outcome::Expired));
            }
            if has_expired {
                self.wakers.extend(state.room());
            }
            drop(state);
            self.wakers.drain(..).for_each(Waker::wake);
            return in_time.map(|()| Turn::Busy).map_err(Ending::TimedOut);
        }
        if session.has_transmit() && self.writing.is_none() {
            return Ok(Turn::Busy);
        }
        let next = [
            self.frame_deadline,
            self.stalled_since.map(|since| since + self.write_timeout),
            self.release_at,
        ]
        .into_iter()
        .flatten()
        .fold(session.poll_timeout(), Duration::min);
        state.driver_sleeps();
        drop(state);
        Ok(self.arm(task, next, now))
    }

    /// Sleeps until `next`, or a little earlier: a timer that is set already is left to go off.
    fn arm(&mut self, task: &mut Context<'_>, next: Duration, now: Duration) -> Turn {
        if next < self.armed_for || self.armed_for <= now {
            // What no clock can tell is far enough away never to come.
            let at = self
                .link
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

impl Ending {
    /// Whether the other side may be there still, and come back.
    fn leaves_session(&self) -> bool {
        matches!(
            self,
            Self::Eof
                | Self::Io(_)
                | Self::TimedOut(TimedOut::Silence(_))
                | Self::WriteStalled(_)
                | Self::TakenOver
        )
    }

    /// Whether what is queued is said before the connection is closed.
    fn is_polite(&self) -> bool {
        matches!(
            self,
            Self::Fault(_) | Self::Finished | Self::TimedOut(TimedOut::Drain)
        )
    }
}

/// What the user is told.
fn reason(
    ending: Ending,
    goodbye: Option<ErrorText>,
    blame: Option<ErrorText>,
) -> DisconnectReason {
    match ending {
        Ending::Fault(Fault {
            kind: FaultKind::TooLarge { len, max },
            ..
        }) => DisconnectReason::TooLarge {
            len: len.into(),
            max: max.into(),
        },
        Ending::Fault(fault) => DisconnectReason::Protocol { rule: fault.rule },
        Ending::TimedOut(TimedOut::Silence(silence)) => {
            DisconnectReason::KeepaliveTimeout { silence }
        }
        Ending::WriteStalled(stalled) => DisconnectReason::WriteStalled { stalled },
        Ending::TakenOver => DisconnectReason::TakenOver,
        Ending::Finished | Ending::Eof | Ending::Io(_) | Ending::TimedOut(_) => {
            match (blame, goodbye, ending) {
                (Some(blame), _, _) => DisconnectReason::ProtocolReportedByPeer(blame.into()),
                (None, Some(goodbye), _) => DisconnectReason::ClosedByPeer(goodbye.into()),
                (None, None, Ending::Eof) => DisconnectReason::Eof,
                (None, None, Ending::Io(error)) => error.into(),
                (None, None, _) => DisconnectReason::ClosedByUs,
            }
        }
    }
}

/// What is still to be written of the frame in which the first `written` bytes of a chunk end.
fn rest_of_frame(chunk: &[u8], written: usize) -> &[u8] {
    let mut end = 0;
    while end < written {
        match chunk.get(end..).and_then(first_frame) {
            Some(frame) => end += frame.len(),
            None => break,
        }
    }
    chunk.get(written..end).unwrap_or_default()
}

/// Whether there was anything to do.
enum Turn {
    Busy,
    Idle,
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        let rule = error.to_string();
        match error {
            DecodeError::PayloadTooLarge {
                len, max, msg_id, ..
            } => Self {
                kind: FaultKind::TooLarge { len, max },
                ..Self::exhausted(msg_id, rule)
            },
            DecodeError::Header(HeaderError::BadMagic { .. }) => Self {
                kind: FaultKind::Foreign,
                ..Self::new(MsgId::CONNECTION, rule)
            },
            _ => Self::new(MsgId::CONNECTION, rule),
        }
    }
}

/// Why a handshake did not come to an end.
#[derive(Debug)]
pub(crate) enum HandshakeError {
    Eof,
    Io(io::Error),
    Fault(Fault),
    TimedOut,
}

/// Brings a new connection to the first event of its session: the HELLO, or the answer to it.
pub(crate) async fn shake_hands(
    stream: &mut Stream,
    decoder: &mut Decoder,
    session: &mut Session,
    link: &Link,
    limit: Duration,
) -> Result<Event, HandshakeError> {
    let first = async {
        loop {
            while let Some(chunk) = session.poll_transmit() {
                stream
                    .write_all(&chunk.bytes)
                    .await
                    .map_err(HandshakeError::Io)?;
                session.transmitted(chunk);
            }
            while let Some(frame) = decoder
                .decode()
                .map_err(|error| HandshakeError::Fault(error.into()))?
            {
                if let Some(event) = session
                    .handle_frame(frame, link.now())
                    .map_err(HandshakeError::Fault)?
                {
                    return Ok(event);
                }
            }
            match stream.read_buf(decoder.buffer()).await {
                Ok(0) => return Err(HandshakeError::Eof),
                Ok(_) => {}
                Err(error) => return Err(HandshakeError::Io(error)),
            }
        }
    };
    let outcome = timeout(limit, first)
        .await
        .unwrap_or(Err(HandshakeError::TimedOut));
    if let Err(HandshakeError::Fault(fault)) = &outcome {
        session.handle_fault(fault);
        part(stream, session).await;
    }
    outcome
}

/// Says the last of a session that will not be.
pub(crate) async fn part(stream: &mut Stream, session: &mut Session) {
    let chunks = std::iter::from_fn(|| Some(session.poll_transmit()?.bytes)).collect();
    bid_farewell(stream, chunks).await;
}

/// Writes the last bytes, and reads on for a moment: a transport that is closed with bytes unread takes back what
/// it has not delivered.
pub(crate) async fn bid_farewell(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    chunks: Vec<Vec<u8>>,
) {
    let farewell = async {
        for chunk in chunks {
            stream.write_all(&chunk).await?;
        }
        stream.shutdown().await?;
        let mut discarded = 0;
        let mut buffer = vec![0; 4096];
        while discarded < FAREWELL_LEN {
            match stream.read(&mut buffer).await? {
                0 => break,
                len => discarded += len,
            }
        }
        io::Result::Ok(())
    };
    // It is over either way.
    let _ = timeout(FAREWELL, farewell).await;
}
