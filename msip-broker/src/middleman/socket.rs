//! The WebSocket of a client: how it is made, what its library says, and how it is closed.

use std::{future::poll_fn, pin::Pin, time::Duration};

use futures_util::{Sink as _, Stream as _};
use msip_runtime::transport::Stream;
use tokio::{io::AsyncWriteExt as _, time::timeout};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Utf8Bytes,
        error::{CapacityError, ProtocolError},
        protocol::{CloseFrame, Message, Role, WebSocketConfig},
    },
};

use super::{
    ending::{Ending, Fault},
    metered::{Metered, Overhead},
};

/// How much is read of a client until its key is known, and how much of messages of which nothing comes besides one message.
const MAX_FIRST: usize = 64 * 1024;
const MAX_BETWEEN: usize = 128 * 1024;

/// How much the library reads at once.
const READ_LEN: usize = 8 * 1024;

/// How long a connection that is over is read, so that the last text arrives.
const CLOSE_TIME: Duration = Duration::from_secs(1);
const CLOSE_MESSAGES: usize = 64;

pub(super) type Socket = WebSocketStream<Metered>;

/// The socket of a client whose key is not known, with what was read besides its request.
pub(super) async fn open(stream: Stream, early: Vec<u8>, max_message: usize) -> Box<Socket> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_LEN)
        .write_buffer_size(READ_LEN)
        .max_write_buffer_size(usize::MAX)
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message))
        .accept_unmasked_frames(false);
    let metered = Metered::new(stream, early.len(), MAX_FIRST);
    let socket = WebSocketStream::from_partially_read(metered, early, Role::Server, Some(config));
    Box::new(socket.await)
}

/// The first text.
pub(super) async fn first_text(socket: &mut Socket) -> Result<Utf8Bytes, Ending> {
    loop {
        let next = poll_fn(|task| Pin::new(&mut *socket).poll_next(task)).await;
        match received(next, MAX_FIRST)? {
            Message::Text(text) => return Ok(text),
            Message::Binary(_) => return Err(Ending::Fault(Fault::Binary)),
            _ => {}
        }
    }
}

/// A text has come: from here on as much may be read as a message may have, and some besides.
pub(super) fn text_read(socket: &mut Socket, max_message: usize) {
    socket.get_mut().message_read(max_message + MAX_BETWEEN);
}

/// A message of those that the library yields; a close frame is an end.
pub(super) fn received(
    next: Option<Result<Message, Error>>,
    max: usize,
) -> Result<Message, Ending> {
    let error = match next {
        None => return Err(Ending::Eof),
        Some(Ok(Message::Close(_))) => return Err(Ending::Closed),
        Some(Ok(message)) => return Ok(message),
        Some(Err(error)) => error,
    };
    Err(match error {
        Error::ConnectionClosed | Error::AlreadyClosed => Ending::Eof,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Ending::Eof,
        Error::Io(error) if error.get_ref().is_some_and(|cause| cause.is::<Overhead>()) => {
            Ending::Fault(Fault::TooLarge { max })
        }
        Error::Io(error) => Ending::Io(error),
        Error::Capacity(CapacityError::MessageTooLong { max_size, .. }) => {
            Ending::Fault(Fault::TooLarge { max: max_size })
        }
        Error::Utf8(_) => Ending::Fault(Fault::NotUtf8),
        error => Ending::Fault(Fault::Protocol {
            what: error.to_string(),
        }),
    })
}

/// The end where something could not be written.
pub(super) fn write_failed(error: Error) -> Ending {
    match error {
        Error::Io(error) => Ending::Io(error),
        // The other end has closed meanwhile.
        _ => Ending::Eof,
    }
}

/// Says why the connection ends, and reads what the client still sends: else that may be lost.
pub(super) async fn close(mut socket: Box<Socket>, ending: Ending) {
    let Some(code) = ending.close_code() else {
        return;
    };
    let closing = async {
        if !matches!(ending, Ending::Closed) {
            let mut reason = ending.to_string();
            // That of a close frame has 123 bytes at most.
            while reason.len() > 123 {
                reason.pop();
            }
            let reason = reason.into();
            socket.close(Some(CloseFrame { code, reason })).await?;
        } else {
            poll_fn(|task| Pin::new(&mut *socket).poll_flush(task)).await?;
        }
        for _ in 0..CLOSE_MESSAGES {
            let next = poll_fn(|task| Pin::new(&mut *socket).poll_next(task)).await;
            if !matches!(next, Some(Ok(_))) {
                break;
            }
        }
        socket.get_mut().shutdown().await?;
        Ok::<_, Error>(())
    };
    // It is over either way.
    let _ = timeout(CLOSE_TIME, closing).await;
}
