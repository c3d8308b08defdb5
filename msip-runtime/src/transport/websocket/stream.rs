//! The bytes of MSIP as the payload of a WebSocket's binary messages.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::{Sink as _, Stream as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig, frame::coding::CloseCode},
};
use tracing::debug;

use super::{
    error::{ReadEnd, Violation, write_error},
    metered::Metered,
    token_bucket::TokenBucket,
};

/// The longest message that is sent. It is there twice while it is written: here, and as frames in the library.
pub(super) const MAX_SENT_LEN: usize = 32 * 1024;

/// The longest message that is received (docs/protocol.md, "WebSocket").
pub(super) const MAX_RECEIVED_LEN: usize = 64 * 1024;

/// How much the library takes at once of what was read. Every connection has a buffer of this length; a longer frame makes it
/// longer.
const READ_LEN: usize = 4 * 1024;

/// How long all control frames together may be that wait behind a message.
const MAX_CONTROL_LEN: usize = 4 * 1024;

/// A WebSocket as a stream of bytes: what is written between two flushes is a message, or as many as its length takes.
///
/// Pings are answered by whoever reads.
#[derive(Debug)]
pub(super) struct ByteStream<S> {
    socket: WebSocketStream<Metered<S>>,
    /// What is left of the message that was received last.
    unread: Bytes,
    /// What was written and is no message yet.
    batch: BytesMut,
    control_frames: TokenBucket,
    /// Whether this end has sent anything, and whether the peer has.
    has_sent: bool,
    has_received: bool,
    /// Why there is nothing more to read.
    end: Option<End>,
    /// The error that the next read returns: bytes were received before it.
    read_error: Option<io::Error>,
    /// Whether a close frame was sent.
    has_closed: bool,
}

#[derive(Debug, Clone)]
enum End {
    Eof,
    Violation(Violation),
}

impl<S: AsyncRead + AsyncWrite + Unpin> ByteStream<S> {
    /// A WebSocket over `io`, whose upgrade is done. `early` was received already.
    pub(super) async fn new(io: S, role: Role, early: Vec<u8>) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_LEN)
            .write_buffer_size(0)
            .max_write_buffer_size(MAX_SENT_LEN + MAX_CONTROL_LEN)
            .max_message_size(Some(MAX_RECEIVED_LEN))
            .max_frame_size(Some(MAX_RECEIVED_LEN))
            .accept_unmasked_frames(false);
        let io = Metered::new(io, early.len());
        let socket = WebSocketStream::from_partially_read(io, early, role, Some(config)).await;
        Self {
            socket,
            unread: Bytes::new(),
            batch: BytesMut::new(),
            control_frames: TokenBucket::new(),
            has_sent: false,
            has_received: false,
            end: None,
            read_error: None,
            has_closed: false,
        }
    }

    /// Sends a close frame, if that can be done at once.
    fn close_at_once(&mut self, task: &mut Context<'_>, code: CloseCode) {
        if self.has_closed {
            return;
        }
        self.has_closed = true;
        let close = Message::Close(Some(CloseFrame {
            code,
            reason: "".into(),
        }));
        let mut socket = Pin::new(&mut self.socket);
        if socket.as_mut().start_send(close).is_ok() {
            let _ = socket.poll_flush(task);
        }
    }

    /// Sends what was written as a message. While one is on its way, it waits.
    fn poll_send(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.batch.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let mut socket = Pin::new(&mut self.socket);
        ready!(socket.as_mut().poll_flush(task)).map_err(write_error)?;
        let message = Message::Binary(std::mem::take(&mut self.batch).freeze());
        socket.start_send(message).map_err(write_error)?;
        self.has_sent = true;
        self.note_established();
        Poll::Ready(Ok(()))
    }

    /// More may be received once MSIP was spoken both ways.
    fn note_established(&mut self) {
        if self.has_sent && self.has_received {
            self.socket.get_mut().establish();
        }
    }

    /// Handles what was received. `Ok` if there is more to come.
    fn handle(&mut self, message: Message) -> Result<(), End> {
        match message {
            Message::Binary(payload) if !payload.is_empty() => {
                self.unread = payload;
                self.has_received = true;
                self.note_established();
                self.socket.get_mut().message_read();
                Ok(())
            }
            Message::Text(_) => Err(End::Violation(Violation::Text)),
            Message::Close(close) => {
                debug!(?close, "the peer has closed its WebSocket");
                Err(End::Eof)
            }
            // The library answers pings.
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {
                self.control_frames.take(1).map_err(End::Violation)
            }
        }
    }

    /// What was received and is not consumed, once there is anything; nothing at the end.
    fn poll_unread(&mut self, task: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        if let Some(error) = self.read_error.take() {
            return Poll::Ready(Err(error));
        }
        while self.unread.is_empty() {
            match &self.end {
                Some(End::Eof) => return Poll::Ready(Ok(&[])),
                Some(End::Violation(violation)) => {
                    return Poll::Ready(Err(violation.clone().into()));
                }
                None => {}
            }
            let received = ready!(Pin::new(&mut self.socket).poll_next(task));
            let handled = match received {
                Some(Ok(message)) => self.handle(message),
                Some(Err(error)) => match ReadEnd::from(error) {
                    ReadEnd::Eof => Err(End::Eof),
                    ReadEnd::Violation(violation) => Err(End::Violation(violation)),
                    ReadEnd::Io(error) => return Poll::Ready(Err(error)),
                },
                None => Err(End::Eof),
            };
            if let Err(end) = handled {
                match &end {
                    End::Violation(violation) => self.close_at_once(task, violation.close_code()),
                    // The library has the answer to a close frame ready.
                    End::Eof => {
                        let _ = Pin::new(&mut self.socket).poll_flush(task);
                    }
                }
                self.end = Some(end);
            }
        }
        Poll::Ready(Ok(&self.unread))
    }

    fn consume(&mut self, len: usize) {
        self.unread.advance(len);
        if self.unread.is_empty() {
            // Its memory is a part of what the socket reads into.
            self.unread = Bytes::new();
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for ByteStream<S> {
    /// Fills `buf` from as many messages as are there: where a peer sends small ones, many are handled together.
    fn poll_read(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        while buf.remaining() > 0 {
            match this.poll_unread(task) {
                Poll::Ready(Ok([])) => break,
                Poll::Ready(Ok(unread)) => {
                    let len = unread.len().min(buf.remaining());
                    buf.put_slice(unread.get(..len).unwrap_or_default());
                    this.consume(len);
                }
                Poll::Ready(Err(error)) if buf.filled().len() > before => {
                    this.read_error = Some(error);
                    break;
                }
                Poll::Pending if buf.filled().len() > before => break,
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ByteStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.has_closed || this.end.is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if this.batch.len() >= MAX_SENT_LEN {
            ready!(this.poll_send(task))?;
        }
        let len = buf.len().min(MAX_SENT_LEN - this.batch.len());
        this.batch
            .extend_from_slice(buf.get(..len).unwrap_or_default());
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(task))?;
        Pin::new(&mut this.socket)
            .poll_flush(task)
            .map_err(write_error)
    }

    /// Sends what was written and a close frame, and closes the stream below.
    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.end.is_none() {
            ready!(this.poll_send(task))?;
            ready!(Pin::new(&mut this.socket).poll_flush(task)).map_err(write_error)?;
            this.close_at_once(task, CloseCode::Normal);
        }
        // Where the peer has closed first, there is nothing to flush.
        let _ = ready!(Pin::new(&mut this.socket).poll_flush(task));
        Pin::new(this.socket.get_mut().stream()).poll_shutdown(task)
    }
}
