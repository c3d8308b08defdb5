//! What a peer of a WebSocket may do wrong.

use std::io;

use thiserror::Error;
use tokio_tungstenite::tungstenite::{
    self,
    error::{CapacityError, ProtocolError},
    protocol::frame::coding::CloseCode,
};

/// A rule of the WebSocket protocol, or of MSIP over it, that the peer has broken. The connection ends.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Violation {
    #[error("the peer sent a text message over a WebSocket, and MSIP is sent in binary ones")]
    Text,
    #[error("the peer sent a WebSocket message of {len} bytes: {max} are allowed")]
    TooLong { len: usize, max: usize },
    #[error(
        "the peer sent too many WebSocket frames that carry nothing: {burst} at once and {per_second} a second are \
         allowed"
    )]
    Flood { burst: u32, per_second: u32 },
    #[error(
        "the peer sent {len} bytes of WebSocket frames, and no message is complete: {max} are allowed"
    )]
    Overhead { len: usize, max: usize },
    #[error("the peer breaks the WebSocket protocol: {rule}")]
    Protocol { rule: String },
}

impl Violation {
    /// What the close frame tells the peer (RFC 6455, section 7.4.1).
    pub(super) const fn close_code(&self) -> CloseCode {
        match self {
            Self::Text => CloseCode::Unsupported,
            Self::TooLong { .. } => CloseCode::Size,
            Self::Flood { .. } | Self::Overhead { .. } => CloseCode::Policy,
            Self::Protocol { .. } => CloseCode::Protocol,
        }
    }
}

impl From<Violation> for io::Error {
    fn from(violation: Violation) -> Self {
        Self::new(io::ErrorKind::InvalidData, violation)
    }
}

/// How reading from a WebSocket ends.
#[derive(Debug)]
pub(super) enum ReadEnd {
    /// The peer has closed, with or without a close frame.
    Eof,
    Violation(Violation),
    Io(io::Error),
}

impl From<tungstenite::Error> for ReadEnd {
    fn from(error: tungstenite::Error) -> Self {
        use tungstenite::Error;
        match error {
            Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Protocol(
                ProtocolError::ResetWithoutClosingHandshake | ProtocolError::ReceivedAfterClosing,
            ) => Self::Eof,
            Error::Io(error) => {
                // Our own, from the layer below.
                let violation = error
                    .get_ref()
                    .and_then(|own| own.downcast_ref::<Violation>());
                match violation.cloned() {
                    Some(violation) => Self::Violation(violation),
                    None => Self::Io(error),
                }
            }
            Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
                Self::Violation(Violation::TooLong {
                    len: size,
                    max: max_size,
                })
            }
            error => Self::Violation(Violation::Protocol {
                rule: error.to_string(),
            }),
        }
    }
}

/// An error of writing.
pub(super) fn write_error(error: tungstenite::Error) -> io::Error {
    match error {
        tungstenite::Error::Io(error) => error,
        tungstenite::Error::ConnectionClosed
        | tungstenite::Error::AlreadyClosed
        | tungstenite::Error::Protocol(ProtocolError::SendAfterClosing) => {
            io::ErrorKind::BrokenPipe.into()
        }
        error => io::Error::other(error),
    }
}
