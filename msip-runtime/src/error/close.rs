//! The reason why a client is closed for good.

use std::sync::Arc;

use thiserror::Error;

use super::connect::ConnectError;
use crate::Status;

/// Why a client is closed for good; from [`ConnectionInfo::closed`](crate::ConnectionInfo::closed).
#[derive(Clone, Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// This side closed it: by `close`, or by dropping the last handle.
    #[error("closed by this side")]
    ClosedByUs,
    /// The other side closed it with this status, and the client stays away.
    #[error("closed by the peer: {0}")]
    ClosedByPeer(Status),
    /// An attempt to connect again failed, and the client's handler answered
    /// [`Reconnect::Stop`](crate::Reconnect::Stop).
    #[error("gave up connecting")]
    GaveUp(#[source] Arc<ConnectError>),
    /// The task that ran the connection is gone: its tokio runtime was shut down.
    #[error("the task of the connection is gone: its runtime was shut down")]
    RuntimeGone,
}
