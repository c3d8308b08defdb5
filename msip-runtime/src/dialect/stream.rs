//! The stream that a dialect is wrapped around: MSIP inside, another framing outside.

use std::{
    fmt,
    future::Future as _,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::BytesMut;
use msip_session::wire::{HEADER_LEN, Header};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use super::{Dialect, Output, output::Pending};

/// How much is read at once.
const READ_LEN: usize = 16 * 1024;

/// How much may wait for the peer before the session is held up; and how much of what answers it before no more is read of it.
const MAX_UNWRITTEN: usize = 64 * 1024;

/// The peer has broken a rule of its dialect, or has kept silent for too long. The connection ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule}")]
pub(crate) struct DialectError {
    /// The name of the dialect.
    pub(crate) dialect: &'static str,
    /// What is wrong.
    pub(crate) rule: String,
}

impl DialectError {
    /// The error in this, where a [`DialectStream`] has failed with it.
    pub(crate) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<DialectError> for io::Error {
    fn from(error: DialectError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// A stream of MSIP frames over a stream `S` of another framing.
///
/// It holds back up to 64 KiB that are not written, one message more, and what the dialect itself keeps. It is driven by one task, which
/// reads and writes.
pub(crate) struct DialectStream<S, D> {
    inner: S,
    dialect: D,
    since: Instant,
    /// Frames of the session that are not complete.
    outgoing: BytesMut,
    /// Messages of the peer that are not complete, or that the dialect does not want yet.
    incoming: BytesMut,
    to_peer: Pending,
    to_session: Pending,
    /// How much of what waits for the peer answers what was read.
    answers_len: usize,
    /// More was handed to the dialect than it has wanted.
    has_leftover: bool,
    end: Option<End>,
    is_shut_down: bool,
    /// Nothing can be written any more.
    is_broken: bool,
    is_flushed: bool,
    reader: Option<Waker>,
    timer: Option<Pin<Box<Sleep>>>,
}

/// Why nothing more is read.
enum End {
    Eof,
    Failed(DialectError),
}

impl<S, D: Dialect> DialectStream<S, D> {
    pub(crate) fn new(inner: S, dialect: D) -> Self {
        let mut stream = Self {
            inner,
            dialect,
            since: Instant::now(),
            outgoing: BytesMut::new(),
            incoming: BytesMut::new(),
            to_peer: Pending::default(),
            to_session: Pending::default(),
            answers_len: 0,
            has_leftover: false,
            end: None,
            is_shut_down: false,
            is_broken: false,
            is_flushed: true,
            reader: None,
            timer: None,
        };
        // It cannot fail.
        let _ = stream.with_dialect(|dialect, now, output| {
            dialect.handle_start(now, output);
            Ok(())
        });
        stream
    }

    fn now(&self) -> Duration {
        self.since.elapsed()
    }

    /// Lets the dialect work, and takes what it answers.
    fn with_dialect(
        &mut self,
        work: impl FnOnce(&mut D, Duration, &mut Output) -> Result<(), DialectError>,
    ) -> Result<(), DialectError> {
        let now = self.now();
        let mut output = Output {
            to_peer: std::mem::take(&mut self.to_peer.bytes),
            to_session: std::mem::take(&mut self.to_session.bytes),
        };
        let worked = work(&mut self.dialect, now, &mut output);
        self.to_peer.bytes = output.to_peer;
        self.to_session.bytes = output.to_session;
        if !self.to_peer.is_empty() {
            self.is_flushed = false;
        }
        worked
    }

    /// Translates what was read.
    fn translate_incoming(&mut self) {
        let mut incoming = std::mem::take(&mut self.incoming);
        let waiting = self.to_peer.rest().len();
        let translated = self
            .with_dialect(|dialect, now, output| dialect.handle_bytes(&mut incoming, now, output));
        let answers_len = self.to_peer.rest().len().saturating_sub(waiting);
        self.answers_len = self.answers_len.saturating_add(answers_len);
        if !incoming.is_empty() {
            // Else its memory is given back.
            self.incoming = incoming;
        }
        self.has_leftover = !self.dialect.wants_bytes();
        if let Err(error) = translated {
            self.end = Some(End::Failed(error));
        }
    }

    /// Translates the frames that are complete.
    fn translate_outgoing(&mut self) -> Result<(), DialectError> {
        while let Some(head) = self.outgoing.first_chunk::<HEADER_LEN>() {
            let Ok(header) = Header::parse(head) else {
                // The session of this side writes no other.
                self.outgoing.clear();
                return Ok(());
            };
            let len =
                HEADER_LEN.saturating_add(header.payload_len.try_into().unwrap_or(usize::MAX));
            if self.outgoing.len() < len {
                self.outgoing.reserve(len - self.outgoing.len());
                return Ok(());
            }
            let frame = self.outgoing.split_to(len);
            let payload = frame.get(HEADER_LEN..).unwrap_or_default();
            self.with_dialect(|dialect, now, output| {
                dialect.handle_frame(&header, payload, now, output)
            })?;
        }
        if self.outgoing.is_empty() {
            // Its memory is given back.
            self.outgoing = BytesMut::new();
        }
        Ok(())
    }

    fn wake_reader(&mut self) {
        let has_something = !self.to_session.is_empty()
            || self.end.is_some()
            || self.dialect.is_over()
            || (self.has_leftover && self.dialect.wants_bytes());
        if has_something && let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl<S: AsyncWrite + Unpin, D: Dialect> DialectStream<S, D> {
    /// Writes what waits for the peer.
    fn poll_drain(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.to_peer.is_empty() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(task, self.to_peer.rest()))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.to_peer.advance(written);
        }
        self.answers_len = 0;
        Poll::Ready(Ok(()))
    }

    /// Writes what waits for the peer, and flushes it.
    fn poll_all_written(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(task))?;
        ready!(Pin::new(&mut self.inner).poll_flush(task))?;
        self.is_flushed = true;
        Poll::Ready(Ok(()))
    }

    /// Writes, as far as that can be done now, what reading has led to.
    fn write_answers(&mut self, task: &mut Context<'_>) {
        if self.is_flushed || self.is_broken {
            return;
        }
        if let Poll::Ready(Err(_)) = self.poll_all_written(task) {
            // The peer may have said why, and whoever writes hears of it.
            self.is_broken = true;
            self.to_peer = Pending::default();
            self.answers_len = 0;
        }
    }
}

impl<S: AsyncRead + Unpin, D: Dialect> DialectStream<S, D> {
    /// Reads what has come, and translates it.
    fn poll_receive(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(poll_read_some(&mut self.inner, &mut self.incoming, task))? {
            0 => self.end = Some(End::Eof),
            _ => self.translate_incoming(),
        }
        Poll::Ready(Ok(()))
    }

    /// Whether more is read of the peer. It has to read its answers, too.
    fn may_receive(&self) -> bool {
        self.dialect.wants_bytes() && self.answers_len < MAX_UNWRITTEN
    }

    /// Runs what is due, after reading what has come: a task that did not run for a while takes no peer for dead.
    fn poll_timer(&mut self, task: &mut Context<'_>) -> io::Result<()> {
        let mut has_read = false;
        while let Some(at) = self.dialect.poll_timeout() {
            let Some(at) = self.since.checked_add(at) else {
                return Ok(());
            };
            match &mut self.timer {
                Some(timer) if timer.deadline() == at => {}
                Some(timer) => timer.as_mut().reset(at),
                None => self.timer = Some(Box::pin(sleep_until(at))),
            }
            let is_due =
                (self.timer.as_mut()).is_some_and(|timer| timer.as_mut().poll(task).is_ready());
            if !is_due {
                return Ok(());
            }
            if !std::mem::replace(&mut has_read, true) && self.may_receive() {
                match self.poll_receive(task) {
                    Poll::Ready(Ok(())) if self.end.is_none() => continue,
                    Poll::Ready(received) => return received,
                    Poll::Pending => {}
                }
            }
            let handled =
                self.with_dialect(|dialect, now, output| dialect.handle_timeout(now, output));
            if let Err(error) = handled {
                self.end = Some(End::Failed(error));
                return Ok(());
            }
        }
        self.timer = None;
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, D: Dialect> AsyncRead for DialectStream<S, D> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.end.is_none() {
                this.poll_timer(task)?;
            }
            if this.has_leftover && this.dialect.wants_bytes() && this.end.is_none() {
                this.translate_incoming();
            }
            this.write_answers(task);
            let waiting = this.to_session.rest();
            if !waiting.is_empty() {
                let len = waiting.len().min(buf.remaining());
                buf.put_slice(waiting.get(..len).unwrap_or_default());
                this.to_session.advance(len);
                return Poll::Ready(Ok(()));
            }
            match &this.end {
                Some(End::Eof) => return Poll::Ready(Ok(())),
                Some(End::Failed(error)) => return Poll::Ready(Err(error.clone().into())),
                None if this.dialect.is_over() => return Poll::Ready(Ok(())),
                None => {}
            }
            this.reader = Some(task.waker().clone());
            if !this.may_receive() {
                return Poll::Pending;
            }
            ready!(this.poll_receive(task))?;
        }
    }
}

/// Reads once, behind what is in the buffer. An idle connection keeps no memory.
fn poll_read_some<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut BytesMut,
    task: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let mut bytes = [MaybeUninit::uninit(); READ_LEN];
    let mut read = ReadBuf::uninit(&mut bytes);
    ready!(Pin::new(stream).poll_read(task, &mut read))?;
    buffer.extend_from_slice(read.filled());
    Poll::Ready(Ok(read.filled().len()))
}

impl<S: AsyncRead + AsyncWrite + Unpin, D: Dialect> AsyncWrite for DialectStream<S, D> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.to_peer.rest().len() >= MAX_UNWRITTEN {
            ready!(this.poll_drain(task))?;
        }
        this.outgoing.extend_from_slice(buf);
        this.translate_outgoing()?;
        this.wake_reader();
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_all_written(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.is_shut_down {
            this.is_shut_down = true;
            this.with_dialect(|dialect, now, output| {
                dialect.handle_shutdown(now, output);
                Ok(())
            })?;
        }
        ready!(this.poll_all_written(task))?;
        Pin::new(&mut this.inner).poll_shutdown(task)
    }
}

impl<S, D> fmt::Debug for DialectStream<S, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DialectStream").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
