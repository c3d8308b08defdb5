//! The stream below a WebSocket: how much is read of it while no message comes, and how much is written to it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use msip_runtime::transport::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that is read only so far while nothing comes of it: fragments that hold nothing would otherwise be read without end.
#[derive(Debug)]
pub(super) struct Metered {
    stream: Stream,
    /// How many bytes were read since the last message.
    unused: usize,
    /// How many there may be.
    most: usize,
    /// How many bytes were written in all.
    pub(super) written: u64,
}

impl Metered {
    pub(super) fn new(stream: Stream, early: usize, most: usize) -> Self {
        Self {
            stream,
            unused: early,
            most,
            written: 0,
        }
    }

    /// How many bytes were read of which no message has come.
    pub(super) const fn unused(&self) -> usize {
        self.unused
    }

    /// A message has come. From here on there may be so many bytes to the next.
    pub(super) const fn message_read(&mut self, most: usize) {
        self.unused = 0;
        self.most = most;
    }
}

/// More was read than a message may have.
#[derive(Debug, thiserror::Error)]
#[error("{0} bytes without a complete message")]
pub(super) struct Overhead(usize);

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unused >= self.most {
            let overhead = Overhead(self.unused);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, overhead)));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(task, buf))?;
        self.unused += buf.filled().len().saturating_sub(before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(task, buf))?;
        self.written += u64::try_from(written).unwrap_or_default();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(task)
    }
}
