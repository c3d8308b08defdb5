//! The reasons why a connection ended, and why there is no other one.

use std::{io, sync::Arc, time::Duration};

use thiserror::Error;

use crate::Status;

/// The reason why a connection ended.
#[derive(Clone, Error)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The other side closed the connection, with this status.
    #[error("closed by the peer: {0}")]
    ClosedByPeer(Status),
    /// This side closed it.
    #[error("closed by this side")]
    ClosedByUs,
    /// Nothing was received for two ping intervals.
    #[error("nothing received for {silence:?}")]
    KeepaliveTimeout {
        /// For how long.
        silence: Duration,
    },
    /// The other side violated the protocol.
    #[error("protocol error: {rule}")]
    Protocol {
        /// The rule that it violated, with the offending value.
        rule: String,
    },
    /// The other side reports that this side violated the protocol.
    #[error("the peer reports a protocol error: {0}")]
    ProtocolReportedByPeer(Status),
    /// The other side announced a payload over the limit of this side.
    #[error("payload of {len} bytes exceeds the limit of {max} (setting `max_body`)")]
    TooLarge {
        /// The announced length, in bytes.
        len: u64,
        /// The limit, in bytes.
        max: u64,
    },
    /// The other side read nothing for too long.
    #[error("the peer read nothing for {stalled:?}")]
    WriteStalled {
        /// For how long nothing could be written.
        stalled: Duration,
    },
    /// The client has resumed its session on a newer connection.
    #[error("the session was resumed on a newer connection")]
    TakenOver,
    /// The other side closed the transport without a graceful close.
    #[error("the peer closed the connection without GOODBYE")]
    Eof,
    /// The transport failed.
    #[error("transport error")]
    Transport(#[source] Arc<io::Error>),
}

impl From<io::Error> for DisconnectReason {
    fn from(error: io::Error) -> Self {
        Self::Transport(Arc::new(error))
    }
}
