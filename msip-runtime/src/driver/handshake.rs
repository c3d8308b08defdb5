//! From a new stream to the first event of its session.

use std::{future::poll_fn, io, time::Duration};

use tokio::{io::AsyncWriteExt as _, time::timeout};

use super::{buffer_pool, ending::bid_farewell};
use crate::{connection::ConnectionShared, transport::Stream};
use msip_session::{Event, Fault, Session, wire::Decoder};

/// Why a handshake did not come to an end.
#[derive(Debug)]
pub(crate) enum HandshakeError {
    Eof,
    Io(io::Error),
    Fault(Fault),
    TimedOut,
}

/// Brings a new connection to the first event of its session: the HELLO, or the answer to it.
pub(crate) async fn handshake(
    stream: &mut Stream,
    decoder: &mut Decoder,
    session: &mut Session,
    connection: &ConnectionShared,
    limit: Duration,
) -> Result<Event, HandshakeError> {
    let first = async {
        let mut is_flushed = true;
        loop {
            while let Some(chunk) = session.poll_transmit() {
                stream
                    .write_all(&chunk.bytes)
                    .await
                    .map_err(HandshakeError::Io)?;
                session.transmitted(chunk);
                is_flushed = false;
            }
            if !is_flushed {
                stream.flush().await.map_err(HandshakeError::Io)?;
                is_flushed = true;
            }
            while let Some(frame) = decoder
                .decode()
                .map_err(|error| HandshakeError::Fault(error.into()))?
            {
                if let Some(event) = session
                    .handle_frame(frame, connection.now())
                    .map_err(HandshakeError::Fault)?
                {
                    return Ok(event);
                }
            }
            match poll_fn(|task| buffer_pool::poll_read(stream, decoder, task)).await {
                Ok(0) => return Err(HandshakeError::Eof),
                Ok(_) => {}
                Err(error) => return Err(HandshakeError::Io(error)),
            }
        }
    };
    let outcome = timeout(limit, first)
        .await
        .unwrap_or(Err(HandshakeError::TimedOut));
    if let Err(HandshakeError::Fault(fault)) = &outcome {
        session.handle_fault(fault);
        graceful_close(stream, session).await;
    }
    outcome
}

/// Says the last of a session that will not be.
pub(crate) async fn graceful_close(stream: &mut Stream, session: &mut Session) {
    let chunks = std::iter::from_fn(|| Some(session.poll_transmit()?.bytes)).collect();
    bid_farewell(stream, chunks).await;
}
