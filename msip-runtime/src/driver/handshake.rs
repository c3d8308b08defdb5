//! The handshake: from a new stream to the first event of its session.

use std::{future::poll_fn, io, time::Duration};

use tokio::{io::AsyncWriteExt as _, time::timeout};

use super::{buffer_pool, ending::close_gracefully};
use crate::{connection::ConnectionShared, transport::Stream};
use msip_session::{Event, Fault, Session, wire::Decoder};

/// Why a handshake failed.
#[derive(Debug)]
pub(crate) enum HandshakeError {
    Eof,
    Io(io::Error),
    Fault(Fault),
    TimedOut,
}

/// Reads and writes until the first event of the session: the HELLO, or the answer to it.
pub(crate) async fn handshake(
    stream: &mut Stream,
    decoder: &mut Decoder,
    session: &mut Session,
    connection: &ConnectionShared,
    limit: Duration,
) -> Result<Event, HandshakeError> {
    let first = async {
        // A peer that has refused us, and closed, may have said why.
        let mut broken = None;
        loop {
            if broken.is_none() {
                broken = write_all(stream, session).await.err();
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
                Err(error) => return Err(HandshakeError::Io(broken.unwrap_or(error))),
            }
        }
    };
    let outcome = timeout(limit, first)
        .await
        .unwrap_or(Err(HandshakeError::TimedOut));
    if let Err(HandshakeError::Fault(fault)) = &outcome {
        session.handle_fault(fault);
        refuse(stream, session).await;
    }
    outcome
}

/// Writes what is queued, and flushes it.
async fn write_all(stream: &mut Stream, session: &mut Session) -> io::Result<()> {
    let mut has_written = false;
    while let Some(chunk) = session.poll_transmit() {
        stream.write_all(&chunk.bytes).await?;
        session.transmitted(chunk);
        has_written = true;
    }
    if has_written {
        stream.flush().await?;
    }
    Ok(())
}

/// Closes a connection whose handshake was refused: writes what its session has to say, which is why.
pub(crate) async fn refuse(stream: &mut Stream, session: &mut Session) {
    let chunks = std::iter::from_fn(|| Some(session.poll_transmit()?.bytes)).collect();
    close_gracefully(stream, chunks).await;
}
