//! What is queued is written, one chunk a write.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::io::AsyncWrite as _;

use super::{Driver, Ending};

/// Whether the stream may hold back what was written to it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flush {
    Done,
    /// Something was written since the last flush.
    Due,
    /// A flush has begun.
    Pending,
}

impl Driver {
    pub(super) fn poll_write(
        &mut self,
        task: &mut Context<'_>,
        now: Duration,
    ) -> Result<bool, Ending> {
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
}
