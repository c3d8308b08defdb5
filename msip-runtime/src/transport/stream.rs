//! The byte stream of a connection, in both directions.

use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use super::Lane;

/// The byte stream that carries a connection: bytes in order, in both directions.
///
/// It may read and write less than it is asked to, and may hold written bytes back until it is flushed: the writer
/// flushes. The end of input is a read of no bytes, or the error
/// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof). It should hold no more than 64 KiB back, since the peer then takes
/// longer to be found stalled.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + ?Sized> Io for T {}

/// The stream of a [`Connection`](super::Connection). TCP, Unix and in-memory streams are called directly; any other is made
/// into one by [`Stream::boxed`], and is called through a virtual call.
pub struct Stream {
    inner: Inner,
    /// The datagrams beside it, where the transport has some.
    lane: Option<Box<Lane>>,
}

enum Inner {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    Memory(DuplexStream),
    Boxed(Box<dyn Io>),
}

impl Stream {
    /// A stream of your own.
    pub fn boxed(io: impl Io + 'static) -> Self {
        Inner::Boxed(Box::new(io)).into()
    }

    /// The same, with datagrams beside it.
    #[cfg(any(feature = "datagram", feature = "quic"))]
    pub(crate) fn with_lane(mut self, lane: Lane) -> Self {
        self.lane = Some(Box::new(lane));
        self
    }

    /// Ends the datagrams beside it.
    pub(crate) fn end_lane(&mut self) {
        self.lane = None;
    }

    /// The datagrams beside it.
    #[inline]
    pub(crate) fn lane(&mut self) -> Option<&mut Lane> {
        self.lane.as_deref_mut()
    }
}

impl From<Inner> for Stream {
    fn from(inner: Inner) -> Self {
        Self { inner, lane: None }
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Inner::Tcp(stream).into()
    }
}

#[cfg(unix)]
impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Inner::Unix(stream).into()
    }
}

impl From<DuplexStream> for Stream {
    fn from(stream: DuplexStream) -> Self {
        Inner::Memory(stream).into()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.inner {
            Inner::Tcp(_) => "Stream(tcp)",
            #[cfg(unix)]
            Inner::Unix(_) => "Stream(unix)",
            Inner::Memory(_) => "Stream(mem)",
            Inner::Boxed(_) => "Stream(boxed)",
        })
    }
}

/// Forwards a call to whatever carries the stream.
macro_rules! each {
    ($self:ident, $stream:ident => $call:expr) => {
        match &mut $self.get_mut().inner {
            Inner::Tcp($stream) => $call,
            #[cfg(unix)]
            Inner::Unix($stream) => $call,
            Inner::Memory($stream) => $call,
            Inner::Boxed($stream) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_read(context, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => Pin::new(stream).poll_write(context, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_shutdown(context))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => Pin::new(stream).poll_write_vectored(context, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.inner {
            Inner::Tcp(stream) => stream.is_write_vectored(),
            #[cfg(unix)]
            Inner::Unix(stream) => stream.is_write_vectored(),
            Inner::Memory(stream) => stream.is_write_vectored(),
            Inner::Boxed(stream) => stream.is_write_vectored(),
        }
    }
}
