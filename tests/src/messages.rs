//! Messages of the `lab` protocol.

use crate::lab::{ActReq, CountReq, EchoReq, NoteInd};

/// A note with this number.
#[must_use]
pub fn note(number: u64) -> NoteInd {
    NoteInd {
        number,
        ..NoteInd::default()
    }
}

/// A request that asks [`LabServer`](crate::LabServer) to behave in this way.
#[must_use]
pub fn act(what: &str) -> ActReq {
    ActReq { what: what.into() }
}

/// A request to send this text back.
#[must_use]
pub fn echo(text: &str) -> EchoReq {
    EchoReq {
        text: text.into(),
        ..EchoReq::default()
    }
}

/// A request to count, without `to` itself.
#[must_use]
pub const fn count(from: u64, to: u64) -> CountReq {
    CountReq {
        from,
        to,
        ballast_len: 0,
    }
}
