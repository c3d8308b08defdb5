//! Reading ahead: large reads of a stream for a library that asks for little at a time.

use std::{
    cell::Cell,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, ReadBuf};

/// How much is read at once.
pub(super) const LEN: usize = 64 * 1024;

thread_local! {
    /// The buffer that whichever connection the thread runs reads into.
    static SPARE: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// What was read from a stream and has not been asked for. Only while there is something it holds a buffer.
#[derive(Debug, Default)]
pub(super) struct ReadAhead {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl ReadAhead {
    /// Fills `buf` with what was read ahead, or else with what `io` has.
    pub(super) fn poll_read(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        task: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.start == self.end {
            ready!(self.poll_fill(io, task))?;
        }
        let unread = self.buffer.get(self.start..self.end).unwrap_or_default();
        let len = unread.len().min(buf.remaining());
        buf.put_slice(unread.get(..len).unwrap_or_default());
        self.start += len;
        if self.start == self.end {
            give_back(std::mem::take(&mut self.buffer));
        }
        Poll::Ready(Ok(()))
    }

    /// Reads what `io` has; nothing at its end.
    fn poll_fill(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        task: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        // A thread that is ending has no spare one any more.
        let spare = SPARE.try_with(Cell::take).ok().flatten();
        let mut buffer = spare.unwrap_or_else(|| vec![0; LEN].into_boxed_slice());
        let mut read = ReadBuf::new(&mut buffer);
        let polled = Pin::new(io).poll_read(task, &mut read);
        (self.start, self.end) = (0, read.filled().len());
        if self.end == 0 {
            give_back(buffer);
        } else {
            self.buffer = buffer;
        }
        polled
    }
}

fn give_back(buffer: Box<[u8]>) {
    if !buffer.is_empty() {
        let _ = SPARE.try_with(|spare| spare.set(Some(buffer)));
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;

    /// Reads so much, if that is there.
    fn read(
        ahead: &mut ReadAhead,
        io: &mut (impl AsyncRead + Unpin),
        len: usize,
    ) -> Poll<io::Result<Vec<u8>>> {
        let mut bytes = vec![0; len];
        let mut buf = ReadBuf::new(&mut bytes);
        let mut task = Context::from_waker(Waker::noop());
        ready!(ahead.poll_read(io, &mut task, &mut buf))?;
        Poll::Ready(Ok(buf.filled().to_vec()))
    }

    #[tokio::test]
    async fn all_that_is_there_is_read_at_once_and_a_buffer_is_held_until_it_was_asked_for() {
        let (mut here, mut there) = duplex(LEN);
        let mut ahead = ReadAhead::default();
        assert!(read(&mut ahead, &mut here, 2).is_pending());
        assert!(ahead.buffer.is_empty(), "there was nothing to read");
        there.write_all(b"abcde").await.unwrap();
        assert!(matches!(read(&mut ahead, &mut here, 2), Poll::Ready(Ok(bytes)) if bytes == b"ab"));
        drop(there);
        assert_eq!(ahead.buffer.len(), LEN);
        assert!(
            matches!(read(&mut ahead, &mut here, 9), Poll::Ready(Ok(bytes)) if bytes == b"cde")
        );
        assert!(ahead.buffer.is_empty(), "it was asked for");
        assert!(
            matches!(read(&mut ahead, &mut here, 9), Poll::Ready(Ok(bytes)) if bytes.is_empty())
        );
        assert!(SPARE.take().is_some(), "the next connection gets it");
    }
}
