//! The buffer pool of a thread: buffers that the connection in use borrows while the thread runs it.
//!
//! A connection that sleeps holds none: thousands of them that are active one after the other need one
//! buffer for each direction and thread, and leave no holes behind where each had its own.

use std::{
    cell::Cell,
    future::Future as _,
    io,
    pin::pin,
    task::{Context, Poll},
};

use bytes::BytesMut;
use tokio::io::AsyncReadExt as _;

use crate::transport::Stream;
use msip_session::wire::Decoder;

/// The largest buffer for reading that a thread takes back. Large frames make larger ones, which stay with their
/// connection until it is idle.
const MAX_READING: usize = 128 * 1024;

thread_local! {
    static READING: Cell<Option<BytesMut>> = const { Cell::new(None) };
    static WRITING: Cell<Vec<Vec<u8>>> = const { Cell::new(Vec::new()) };
}

/// Reads what there is; no bytes are the end of input. Where there is nothing, the buffer goes back to the pool, unless a
/// part of a frame is in it, or
/// what has been read from it is still in use.
pub(super) fn poll_read(
    stream: &mut Stream,
    decoder: &mut Decoder,
    task: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    if !decoder.has_buffer() {
        // A thread that is ending has no pool any more.
        if let Some(buffer) = READING.try_with(Cell::take).ok().flatten() {
            decoder.lend_buffer(buffer);
        }
    }
    let read = pin!(stream.read_buf(decoder.buffer())).poll(task);
    if read.is_pending()
        && let Some(buffer) = decoder.return_buffer(MAX_READING)
    {
        let _ = READING.try_with(|kept| keep(kept, buffer));
    }
    match read {
        // Streams with a closing message of their own, such as TLS, end so when cut off: an end like any other here.
        Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Poll::Ready(Ok(0))
        }
        read => read,
    }
}

/// Keeps the larger one of two.
fn keep(kept: &Cell<Option<BytesMut>>, buffer: BytesMut) {
    let before = kept.take();
    let before = before.filter(|before| before.capacity() >= buffer.capacity());
    kept.set(Some(before.unwrap_or(buffer)));
}

/// Takes the buffers for writing out of the pool; none where they are lent already.
pub(super) fn borrow_chunks() -> Vec<Vec<u8>> {
    WRITING.try_with(Cell::take).unwrap_or_default()
}

/// Puts them back.
pub(super) fn return_buffers(chunks: Vec<Vec<u8>>) {
    let _ = WRITING.try_with(|kept| {
        let before = kept.take();
        let are_more = before.len() > chunks.len();
        kept.set(if are_more { before } else { chunks });
    });
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;
    use msip_session::wire::{Flags, MsgId, write_ack};

    /// A connection over which three frames were received.
    async fn busy() -> (Stream, Decoder) {
        let (mut there, here) = duplex(1024);
        let mut bytes = Vec::new();
        for number in 1..=3 {
            write_ack(&mut bytes, Flags::NONE, MsgId::new(number));
        }
        there.write_all(&bytes).await.unwrap();
        // Open, so that there is nothing to read, rather than an end.
        std::mem::forget(there);
        (here.into(), Decoder::new(1024))
    }

    /// Reads all that was received, and returns where it was read to.
    async fn read(stream: &mut Stream, decoder: &mut Decoder) -> usize {
        let len = poll_fn(|task| poll_read(stream, decoder, task))
            .await
            .unwrap();
        assert_eq!(len, 72);
        let place = decoder.buffer().as_ptr().addr();
        while decoder.decode().unwrap().is_some() {}
        poll_fn(|task| {
            assert!(poll_read(stream, decoder, task).is_pending());
            Poll::Ready(())
        })
        .await;
        place
    }

    #[tokio::test]
    async fn a_connection_with_nothing_to_read_holds_no_buffer_and_the_next_gets_it() {
        let (mut stream, mut decoder) = busy().await;
        let first = read(&mut stream, &mut decoder).await;
        assert_eq!(decoder.capacity(), 0);
        let (mut stream, mut decoder) = busy().await;
        assert_eq!(read(&mut stream, &mut decoder).await, first);
    }

    #[test]
    fn chunks_are_lent_once() {
        return_buffers(vec![Vec::with_capacity(10)]);
        let lent = borrow_chunks();
        assert_eq!(lent.len(), 1);
        assert_eq!(borrow_chunks().len(), 0, "they are lent");
        return_buffers(lent);
        return_buffers(Vec::new());
        assert_eq!(borrow_chunks().len(), 1, "the more are kept");
    }
}
