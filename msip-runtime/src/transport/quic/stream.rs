//! The bytes of a connection: its one bidirectional stream.

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use quinn::{ConnectionError, ReadError, RecvStream, SendStream, StoppedError, VarInt, WriteError};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    config::RECEIVE_WINDOW,
    endpoint::{CLOSED, Endpoint},
    error,
};

/// The stream of a connection. Dropping it closes the connection, after what was written before its shutdown has arrived.
pub(super) struct QuicStream {
    send: SendStream,
    recv: RecvStream,
    connection: quinn::Connection,
    end: WriteEnd,
    has_written: bool,
    endpoint: Endpoint,
}

/// Completes once the peer has acknowledged all that was written.
type Delivered = Pin<Box<dyn Future<Output = Result<Option<VarInt>, StoppedError>> + Send + Sync>>;

/// How far the end of what is written has come.
enum WriteEnd {
    Open,
    Finishing(Delivered),
    Delivered,
}

impl QuicStream {
    pub(super) fn new(
        (send, recv): (SendStream, RecvStream),
        connection: quinn::Connection,
        endpoint: Endpoint,
    ) -> Self {
        Self {
            send,
            recv,
            connection,
            end: WriteEnd::Open,
            has_written: false,
            endpoint,
        }
    }
}

impl AsyncRead for QuicStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(match ready!(self.recv.poll_read_buf(task, buf)) {
            Ok(()) => Ok(()),
            // The peer has closed, after all that it had to say.
            Err(ReadError::ConnectionLost(error)) if is_closed(&error) => Ok(()),
            Err(ReadError::ConnectionLost(error)) => Err(error::of(self.connection.side(), error)),
            Err(error) => Err(error.into()),
        })
    }
}

impl AsyncWrite for QuicStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.send).poll_write(task, buf));
        if !self.has_written {
            self.has_written = true;
            // An accepting side writes first when it has the HELLO: from here on the peer is no stranger.
            self.connection.set_receive_window(RECEIVE_WINDOW);
        }
        Poll::Ready(match written {
            Ok(len) => Ok(len),
            Err(WriteError::ConnectionLost(error)) if is_closed(&error) => {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            Err(WriteError::ConnectionLost(error)) => Err(error::of(self.connection.side(), error)),
            Err(error) => Err(error.into()),
        })
    }

    /// What was written leaves by itself, and the send window limits what the peer has not acknowledged.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ends this direction, and waits until the peer has all of it: closing the connection earlier would take it back.
    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.end {
                WriteEnd::Open => {
                    // It fails where the stream has ended already, and then there is nothing to end.
                    let _ = self.send.finish();
                    self.end = WriteEnd::Finishing(Box::pin(self.send.stopped()));
                }
                WriteEnd::Finishing(delivered) => {
                    let outcome = ready!(delivered.as_mut().poll(task));
                    self.end = WriteEnd::Delivered;
                    return Poll::Ready(match outcome {
                        Err(StoppedError::ConnectionLost(error)) if !is_closed(&error) => {
                            Err(error.into())
                        }
                        // The peer wants nothing more.
                        _ => Ok(()),
                    });
                }
                WriteEnd::Delivered => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl Drop for QuicStream {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.end, WriteEnd::Delivered) {
            WriteEnd::Finishing(delivered) => {
                self.endpoint
                    .close_later(self.connection.clone(), delivered);
            }
            WriteEnd::Open | WriteEnd::Delivered => self.connection.close(CLOSED, b""),
        }
    }
}

impl fmt::Debug for QuicStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuicStream")
            .field("peer", &self.connection.remote_address())
            .finish_non_exhaustive()
    }
}

/// Whether the peer has closed the connection as it should.
fn is_closed(error: &ConnectionError) -> bool {
    matches!(error, ConnectionError::ApplicationClosed(close) if close.error_code == CLOSED)
}
