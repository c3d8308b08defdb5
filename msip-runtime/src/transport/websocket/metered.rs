//! The stream below a WebSocket: read in large pieces, and with a limit for the bytes between two messages.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{error::Violation, read_ahead::ReadAhead};

/// How many bytes a peer may send until HELLO was sent and answered.
const MAX_FIRST: usize = 64 * 1024;

/// How many bytes a peer may send until a message is complete: fragments that hold next to nothing would otherwise be read
/// without end.
const MAX_BETWEEN: usize = 128 * 1024;

/// A stream that is read only so far while nothing comes of it.
#[derive(Debug)]
pub(super) struct Metered<S> {
    io: S,
    ahead: ReadAhead,
    /// How many bytes were handed on since the last message.
    read_len: usize,
    is_established: bool,
}

impl<S> Metered<S> {
    /// Bytes that were received before count too.
    pub(super) fn new(io: S, early_len: usize) -> Self {
        Self {
            io,
            ahead: ReadAhead::default(),
            read_len: early_len,
            is_established: false,
        }
    }

    /// The stream itself.
    pub(super) const fn stream(&mut self) -> &mut S {
        &mut self.io
    }

    /// The HELLO of MSIP was sent and answered.
    pub(super) const fn establish(&mut self) {
        self.is_established = true;
    }

    /// A message was complete.
    pub(super) const fn message_read(&mut self) {
        if self.is_established {
            self.read_len = 0;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let max = if this.is_established {
            MAX_BETWEEN
        } else {
            MAX_FIRST
        };
        let len = this.read_len;
        if len >= max {
            return Poll::Ready(Err(Violation::Overhead { len, max }.into()));
        }
        let before = buf.filled().len();
        // Nothing is read ahead of a peer that nobody knows: it would cost memory.
        ready!(if this.is_established {
            this.ahead.poll_read(&mut this.io, task, buf)
        } else {
            Pin::new(&mut this.io).poll_read(task, buf)
        })?;
        this.read_len += buf.filled().len().saturating_sub(before);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(task, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(task)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(task, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
