//! Why a connection of a MIP peer has ended.

use std::{fmt, io};

use super::frame::Fault;
use crate::router::EndReason;

/// Why a connection has ended.
#[derive(Debug)]
pub(super) enum Ending {
    Eof,
    /// By the peer's CLOSE.
    Closed,
    Io(io::Error),
    /// The peer has broken a rule.
    Fault(Fault),
    /// The rest of a frame has not come in time.
    FrameTimedOut,
    /// Its session ends: since the router has ended it, the peer takes nothing, or the broker stops.
    Ended(EndReason),
    TakenOver,
    /// The peer may not hear any longer what it has subscribed to.
    SubscriptionEnded,
    /// The peer was refused.
    Refused,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eof => "the connection was lost",
            Self::Closed => "closed",
            Self::Io(error) => return error.fmt(f),
            Self::Fault(fault) => return write!(f, "{}: {}", fault.code, fault.text),
            Self::FrameTimedOut => "the rest of a frame did not come in time",
            Self::Ended(reason) => reason.name(),
            Self::TakenOver => "another connection has taken the session over",
            Self::SubscriptionEnded => "it may not hear any longer what it has subscribed to",
            Self::Refused => "refused",
        })
    }
}
