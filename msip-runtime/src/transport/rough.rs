//! Transports over streams that do all that a stream may do, for tests: `rough+tcp://host:port`, `rough+mem://name`.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[cfg(feature = "tls")]
use super::tls_over_tcp::Tls;
#[cfg(feature = "websocket")]
use super::websocket::WebSocket;
use super::{
    Address, Connection, Connector, Incoming, Listen, Stream, TransportOptions,
    TransportSettingError, UrlError,
    incoming::BoxFuture,
    listen::BoxListen,
    memory::Memory,
    renamed::Renamed,
    scheme::{ListenError, Transport},
    tcp::Tcp,
};
use msip_session::wire::Side;

/// How many bytes are read or written at once, one size after the other: parts of a header, a header and one byte more,
/// and enough that large bodies take no minutes.
const SIZES: [usize; 10] = [7, 24, 3, 4099, 61, 1, 23, 16_411, 25, 65_537];

/// How many bytes are held back; after that a writer waits for the peer to read.
const BUFFER_LEN: usize = 16 * 1024;

/// Every this many calls nothing happens, and the task is woken to try again.
const DELAY_EVERY: usize = 3;

/// Another transport, over [`RoughStream`]s. Its connections are upgraded after they are accepted.
pub(super) struct Rough<T>(Renamed<T>);

pub(super) static ROUGH_TCP: Rough<Tcp> = Rough(Renamed {
    scheme: "rough+tcp",
    inner: Tcp,
});

pub(super) static ROUGH_MEMORY: Rough<Memory> = Rough(Renamed {
    scheme: "rough+mem",
    inner: Memory,
});

/// What MSIP has of TLS is rough; TLS itself is over TCP as it is.
#[cfg(feature = "tls")]
pub(super) static ROUGH_TLS: Rough<Tls> = Rough(Renamed {
    scheme: "rough+tls",
    inner: Tls::MSIP,
});

#[cfg(feature = "websocket")]
pub(super) static ROUGH_WEBSOCKET: Rough<WebSocket<Tcp>> = Rough(Renamed {
    scheme: "rough+ws",
    inner: WebSocket::over_tcp(),
});

impl<T: Transport> Transport for Rough<T> {
    fn scheme(&self) -> &'static str {
        self.0.scheme
    }

    fn path_is_topic(&self) -> bool {
        self.0.inner.path_is_topic()
    }

    fn parse(&self, authority: &str, path: &str) -> Result<Vec<Address>, UrlError> {
        self.0.parse(authority, path)
    }

    fn is_confidential(&self, address: &Address) -> bool {
        self.0.is_confidential(address)
    }

    fn settings(&self, side: Side) -> &'static [&'static str] {
        self.0.inner.settings(side)
    }

    fn connector(&self, options: &TransportOptions) -> Result<Connector, TransportSettingError> {
        self.0.connector(options, roughen)
    }

    fn listen<'a>(
        &'a self,
        address: &'a Address,
        options: &'a TransportOptions,
    ) -> BoxFuture<'a, Result<(BoxListen, Address), ListenError>> {
        Box::pin(async {
            let (listener, local) = self.0.listen(address, options).await?;
            Ok((BoxListen::new(RoughListener(listener)), local))
        })
    }
}

#[derive(Debug)]
struct RoughListener(BoxListen);

impl Listen for RoughListener {
    async fn accept(&self) -> io::Result<Incoming> {
        let accepted = self.0.accept().await?;
        let peer = accepted.peer().clone();
        Ok(Incoming::upgrading(peer, async {
            tokio::task::yield_now().await;
            accepted.upgrade().await.map(roughen)
        }))
    }

    fn is_confidential(&self) -> bool {
        self.0.is_confidential()
    }

    fn reload(&self) -> io::Result<()> {
        self.0.reload()
    }
}

fn roughen(mut connection: Connection) -> Connection {
    connection.stream = Stream::boxed(RoughStream::new(connection.stream));
    connection
}

/// A stream that does all that a stream may do: it holds written bytes back until it is flushed or has too many, reads
/// and writes odd sizes, is not ready every few calls, closes both directions together, and reports the end of input
/// as [`UnexpectedEof`](io::ErrorKind::UnexpectedEof), as TLS does after a connection that was cut.
#[derive(Debug)]
pub struct RoughStream<S> {
    /// `None` once it was shut down.
    inner: Option<S>,
    buffer: Vec<u8>,
    calls: usize,
    reads: Sizes,
    writes: Sizes,
}

impl<S> RoughStream<S> {
    /// Rough manners around `inner`.
    pub fn new(inner: S) -> Self {
        Self {
            inner: Some(inner),
            buffer: Vec::new(),
            calls: 0,
            reads: Sizes::default(),
            writes: Sizes::default(),
        }
    }

    /// Whether this call returns pending; the task is woken then.
    fn is_delayed(&mut self, task: &Context<'_>) -> bool {
        self.calls += 1;
        let is_delayed = self.calls.is_multiple_of(DELAY_EVERY);
        if is_delayed {
            task.waker().wake_by_ref();
        }
        is_delayed
    }
}

/// The sizes of one direction, in turn.
#[derive(Debug, Default)]
struct Sizes(usize);

impl Sizes {
    fn next(&mut self) -> usize {
        let size = SIZES.get(self.0 % SIZES.len()).copied().unwrap_or(1);
        self.0 += 1;
        size
    }
}

fn closed() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

impl<S: AsyncWrite + Unpin> RoughStream<S> {
    /// Writes what is held back.
    fn poll_drain(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.buffer.is_empty() {
            let len = self.writes.next().min(self.buffer.len());
            let inner = self.inner.as_mut().ok_or_else(closed)?;
            let bytes = self.buffer.get(..len).unwrap_or_default();
            match ready!(Pin::new(inner).poll_write(task, bytes))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => drop(self.buffer.drain(..written)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for RoughStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_delayed(task) {
            return Poll::Pending;
        }
        let len = self.reads.next().min(buf.remaining());
        let inner = self.inner.as_mut().ok_or_else(closed)?;
        let filled = buf.filled().len();
        let mut part = vec![0; len];
        let mut part = ReadBuf::new(&mut part);
        ready!(Pin::new(inner).poll_read(task, &mut part))?;
        buf.put_slice(part.filled());
        if buf.filled().len() == filled && len > 0 {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for RoughStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_delayed(task) {
            return Poll::Pending;
        }
        if self.inner.is_none() {
            return Poll::Ready(Err(closed()));
        }
        if self.buffer.len() >= BUFFER_LEN {
            ready!(self.poll_drain(task))?;
        }
        let room = BUFFER_LEN.saturating_sub(self.buffer.len());
        let len = self.writes.next().min(room).min(buf.len());
        self.buffer
            .extend_from_slice(buf.get(..len).unwrap_or_default());
        Poll::Ready(Ok(len))
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_delayed(task) {
            return Poll::Pending;
        }
        ready!(self.poll_drain(task))?;
        let inner = self.inner.as_mut().ok_or_else(closed)?;
        Pin::new(inner).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.inner.is_some() {
            ready!(self.poll_drain(task))?;
            self.inner = None;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn bytes_are_held_back_until_they_are_flushed() {
        let (near, mut far) = duplex(64);
        let mut near = RoughStream::new(near);
        near.write_all(b"held back").await.unwrap();
        let mut heard = [0; 9];
        let mut task = Context::from_waker(std::task::Waker::noop());
        let mut buf = ReadBuf::new(&mut heard);
        assert!(
            Pin::new(&mut far)
                .poll_read(&mut task, &mut buf)
                .is_pending()
        );
        near.flush().await.unwrap();
        far.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"held back");
    }

    #[tokio::test]
    async fn it_closes_both_directions_and_its_end_is_an_error() {
        let (near, far) = duplex(64);
        let (mut near, mut far) = (RoughStream::new(near), RoughStream::new(far));
        far.write_all(b"unread").await.unwrap();
        far.flush().await.unwrap();
        near.write_all(b"last").await.unwrap();
        near.shutdown().await.unwrap();
        assert_eq!(
            near.read_u8().await.unwrap_err().kind(),
            io::ErrorKind::NotConnected
        );
        let mut heard = Vec::new();
        let error = far.read_to_end(&mut heard).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(heard, b"last");
    }
}
