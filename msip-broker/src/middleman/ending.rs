//! Why a connection of a client of MiddleMan has ended, and what its close frame says.

use std::{fmt, io};

use thiserror::Error;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::message::Malformed;
use crate::router::EndReason;

/// A rule that the client has broken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Fault {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("a message that is not text")]
    Binary,
    #[error("a text that is not UTF-8")]
    NotUtf8,
    #[error("a message of more than {max} bytes")]
    TooLarge { max: usize },
    #[error("the WebSocket protocol is broken: {what}")]
    Protocol { what: String },
    #[error("too many control frames")]
    Flood,
    #[error("the rest of a message did not come in time")]
    TimedOut,
}

/// Why a connection has ended.
#[derive(Debug)]
pub(super) enum Ending {
    Eof,
    /// By the client's close frame.
    Closed,
    Io(io::Error),
    Fault(Fault),
    WrongKey,
    NoKey,
    /// There is no place for it.
    Refused(String),
    /// Its session ends: since the router has ended it, the client takes nothing, or the broker stops.
    Ended(EndReason),
}

impl Ending {
    /// What the client is told, where it is told anything.
    pub(super) fn close_code(&self) -> Option<CloseCode> {
        Some(match self {
            Self::Eof | Self::Io(_) => return None,
            Self::Closed => CloseCode::Normal,
            Self::Fault(fault) => match fault {
                Fault::Malformed(_) | Fault::Protocol { .. } => CloseCode::Protocol,
                Fault::Binary => CloseCode::Unsupported,
                Fault::NotUtf8 => CloseCode::Invalid,
                Fault::TooLarge { .. } => CloseCode::Size,
                Fault::Flood | Fault::TimedOut => CloseCode::Policy,
            },
            Self::Ended(EndReason::Shutdown) => CloseCode::Away,
            Self::WrongKey | Self::NoKey | Self::Ended(_) => CloseCode::Policy,
            Self::Refused(_) => CloseCode::Again,
        })
    }

    /// Why the session ends.
    pub(super) fn end_reason(&self) -> EndReason {
        match self {
            Self::Ended(reason) => *reason,
            _ => EndReason::Closed,
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eof => "the connection was lost",
            Self::Closed => "closed",
            Self::Io(error) => return error.fmt(f),
            Self::Fault(fault) => return fault.fmt(f),
            Self::WrongKey => "wrong key",
            Self::NoKey => "no key came in time",
            Self::Refused(why) => why,
            Self::Ended(reason) => reason.told().1,
        })
    }
}
