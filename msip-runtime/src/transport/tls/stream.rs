//! The streams of TLS connections.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    time::timeout,
};
use tokio_rustls::TlsStream as Inner;

use super::error::{self, FIRST_LEN};

/// How many bytes TLS holds back of each direction, at most; after that a writer waits for the peer to read.
pub(super) const BUFFER_LEN: usize = 64 * 1024;

/// How long a peer whose handshake has failed has to read why, and how much of what it sends is read meanwhile.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
const CLOSE_READ_LEN: usize = 64 * 1024;

/// A stream that remembers with what its input began, which says what a peer speaks that does not speak TLS.
#[derive(Debug)]
pub(super) struct FirstBytes<S> {
    stream: S,
    first: [u8; FIRST_LEN],
    len: usize,
}

impl<S> FirstBytes<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            first: [0; FIRST_LEN],
            len: 0,
        }
    }

    pub(super) fn first(&self) -> &[u8] {
        self.first.get(..self.len).unwrap_or_default()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> FirstBytes<S> {
    /// Closes a connection whose handshake has failed, and reads on for a moment: a transport that is closed with bytes
    /// unread takes back what it has not delivered, which is the alert.
    pub(super) async fn close(&mut self) {
        let closing = async {
            self.stream.shutdown().await?;
            let mut buffer = vec![0; 4096];
            let mut discarded = 0;
            while discarded < CLOSE_READ_LEN {
                match self.stream.read(&mut buffer).await? {
                    0 => break,
                    len => discarded += len,
                }
            }
            io::Result::Ok(())
        };
        // It is over either way.
        let _ = timeout(CLOSE_TIMEOUT, closing).await;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FirstBytes<S> {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(task, buf))?;
        let Self { first, len, .. } = &mut *self;
        if *len < FIRST_LEN {
            let read = buf.filled().get(before..).unwrap_or_default();
            for (place, byte) in first.iter_mut().skip(*len).zip(read) {
                *place = *byte;
                *len += 1;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FirstBytes<S> {
    #[inline]
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(task, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(task)
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(task, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// A stream over TLS. A client's errors are [`TlsError`](super::TlsError)s where the server's alert says why: with TLS 1.3
/// a server refuses a client's certificate after the client has done its part of the handshake.
#[derive(Debug)]
pub(crate) struct TlsStream<S>(Inner<FirstBytes<S>>);

impl<S> TlsStream<S> {
    pub(super) fn new(stream: impl Into<Inner<FirstBytes<S>>>) -> Self {
        Self(stream.into())
    }

    fn in_words(&self, error: io::Error) -> io::Error {
        match &self.0 {
            Inner::Client(stream) => error::of_client(error, stream.get_ref().0.first(), false),
            Inner::Server(_) => error,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0)
            .poll_read(task, buf)
            .map_err(|error| self.in_words(error))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    #[inline]
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(task, buf)
    }

    #[inline]
    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(task)
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(task, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}
