//! The handshake: from a new stream to the first event of its session.

use std::{
    future::{Future, poll_fn},
    io,
    pin::pin,
    task::{Poll, ready},
    time::Duration,
};

use tokio::{io::AsyncWriteExt as _, time::timeout};

use super::{
    buffer_pool,
    ending::{close_at_once, close_gracefully},
};
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

/// Reads until the bytes show what the connection begins with: until `decide` has an answer, which is returned. What was read
/// stays in the decoder.
pub(crate) async fn first_bytes(
    stream: &mut Stream,
    decoder: &mut Decoder,
    decide: impl Fn(&[u8]) -> Option<bool>,
) -> Result<bool, HandshakeError> {
    loop {
        match poll_fn(|task| buffer_pool::poll_read(stream, decoder, task)).await {
            Ok(0) => return Err(HandshakeError::Eof),
            Ok(_) => {}
            Err(error) => return Err(HandshakeError::Io(error)),
        }
        if let Some(decision) = decide(decoder.buffer()) {
            return Ok(decision);
        }
    }
}

/// Waits for `work`, which decides about a HELLO. The client may not send anything meanwhile, and may leave: then there is
/// nothing more to decide.
pub(crate) async fn while_deciding<T>(
    stream: &mut Stream,
    decoder: &mut Decoder,
    session: &mut Session,
    connection: &ConnectionShared,
    work: impl Future<Output = T>,
) -> Result<T, HandshakeError> {
    let mut work = pin!(work);
    poll_fn(|task| {
        if let Poll::Ready(decision) = work.as_mut().poll(task) {
            return Poll::Ready(Ok(decision));
        }
        loop {
            match ready!(buffer_pool::poll_read(stream, decoder, task)) {
                Ok(0) => return Poll::Ready(Err(HandshakeError::Eof)),
                Ok(_) => {
                    nothing_early(decoder, session, connection).map_err(HandshakeError::Fault)?
                }
                Err(error) => return Poll::Ready(Err(HandshakeError::Io(error))),
            }
        }
    })
    .await
}

/// Checks that the client sent nothing after its HELLO, as far as it has arrived.
pub(crate) fn nothing_early(
    decoder: &mut Decoder,
    session: &mut Session,
    connection: &ConnectionShared,
) -> Result<(), Fault> {
    match decoder.decode()? {
        Some(frame) => session.handle_frame(frame, connection.now()).map(|_| ()),
        None => Ok(()),
    }
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
    close_gracefully(stream, last_words(session)).await;
}

/// The same without waiting for the peer: it is told why where that can be written at once.
pub(crate) fn refuse_at_once(stream: &mut Stream, session: &mut Session) {
    close_at_once(stream, last_words(session));
}

fn last_words(session: &mut Session) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| Some(session.poll_transmit()?.bytes)).collect()
}
