//! The errors of what is sent and called.

use std::time::Duration;

use thiserror::Error;

use super::causes::WithCauses;
use crate::{BodyError, Envelope, MetadataError, Status};
use msip_session::wire::Code;

/// A message was not sent.
///
/// `Display` is one line, which leaves a cause to `source()`; `Debug` is that line with all causes, as it is what Rust prints
/// where `main` returns an error.
#[derive(Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The receiver is slower than the sender: the outgoing queue had no capacity, or there was no credit, and for
    /// `write_timeout` nothing was written or granted (for a `try_` method: at once). The connection is still open, and
    /// nothing was sent.
    #[error("no capacity to send: the receiver is slower than the sender")]
    Full,
    /// The client is connected, but its handler's `on_connected` has not returned: until then only the handle that it was given
    /// sends. The others waited for `write_timeout` (for a `try_` method: not at all); nothing was sent.
    #[error(
        "not sent: `on_connected` has not returned yet, and only its own handle sends until then"
    )]
    LoginPending,
    /// There is currently no connection; nothing was sent. A client reconnects by itself.
    #[error("not connected")]
    Disconnected,
    /// The client has been closed, or the session of the peer has ended: no handle of it can send any more. A client that
    /// connects again later is another peer.
    #[error("closed: the session has ended")]
    Closed,
    /// The server has closed the client's session with this status, and the client stays away: no handle of it can send
    /// any more.
    #[error("closed by the peer: {0}")]
    ClosedByPeer(Status),
    /// The task that ran the connection is gone, and nothing can be sent: its tokio runtime was shut down, or the future
    /// that served it was dropped.
    #[error("the task of the connection is gone: its runtime was shut down, or its server dropped")]
    RuntimeGone,
    /// The message is larger than the receiver accepts.
    #[error(
        "body of {len} bytes exceeds the limit of the receiver, {max} (its setting `max_body`)"
    )]
    TooLarge {
        /// The length of the encoded message, in bytes.
        len: usize,
        /// The receiver's limit, in bytes.
        max: usize,
    },
    /// The message cannot be encoded in the connection's codec: it contains a value that JSON cannot represent, such as a
    /// time outside the years 1 to 9999, or is nested too deep.
    #[error(transparent)]
    Unwritable(BodyError),
    /// The message was queued, and dropped in favor of newer ones before it was sent: a LOG or METRIC whose receiver is
    /// slower than the sender.
    #[error("dropped from a full queue: the receiver is slower than the sender")]
    Dropped,
    /// The message was not acknowledged: the peer's handler failed, or the outcome is unknown.
    #[error(transparent)]
    NotAcknowledged(Box<CallError>),
    /// A middleware of this side refused the message.
    #[error("refused by this side: {0}")]
    Refused(Status),
    /// The dialect of the connection cannot carry this. Nothing was sent.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The metadata is invalid: a header, an id or a trace context is malformed, or the metadata is too large.
    #[error(transparent)]
    Metadata(MetadataError),
    /// The timeout is shorter than a millisecond, the shortest possible; or a propagated deadline has passed.
    #[error("timeout of {timeout:?} is too short: the minimum is 1 ms")]
    NoTime {
        /// The requested timeout.
        timeout: Duration,
    },
}

impl SendError {
    /// Whether nothing can be sent any more by any handle of the connection.
    pub(crate) const fn is_closed(&self) -> bool {
        matches!(
            self,
            Self::Closed | Self::ClosedByPeer(_) | Self::RuntimeGone
        )
    }

    /// Whether there is no connection, for now or for good.
    pub(crate) const fn lacks_session(&self) -> bool {
        matches!(self, Self::Disconnected) || self.is_closed()
    }

    /// The code that fits best, for a handler that returns the error.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Full | Self::Dropped | Self::TooLarge { .. } => Code::ResourceExhausted,
            Self::LoginPending
            | Self::Disconnected
            | Self::Closed
            | Self::ClosedByPeer(_)
            | Self::RuntimeGone => Code::Unavailable,
            // A message that came compressed, and that a relay cannot inflate for the next connection, is its sender's fault.
            Self::Unwritable(error) => error.code(),
            Self::Metadata(MetadataError::TooLarge { .. }) => Code::ResourceExhausted,
            Self::Metadata(_) => Code::InvalidArgument,
            Self::NoTime { .. } => Code::DeadlineExceeded,
            Self::Unsupported(_) => Code::Unimplemented,
            Self::Refused(status) => status.code(),
            Self::NotAcknowledged(error) => error.code(),
        }
    }
}

/// A call, or a message sent for acknowledgment, failed.
///
/// `Display` and `Debug` are as those of [`SendError`].
#[derive(Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CallError {
    /// The other side, or its handler, answered with an error.
    #[error(transparent)]
    Status(Status),
    /// No response arrived in time. The handler may have run all the same.
    #[error("no response within {timeout:?}")]
    DeadlineExceeded {
        /// The timeout of the call.
        timeout: Duration,
    },
    /// The request was never sent, so it is safe to retry.
    #[error(transparent)]
    NotSent(SendError),
    /// The dialect of the connection cannot carry this. The request was not sent, and never can be by this connection.
    #[error(transparent)]
    Unsupported(Unsupported),
    /// The connection was lost, and the peer reports that the request did not reach it, so it is safe to retry.
    #[error("connection lost before the request was received: it did not run")]
    NotReceived,
    /// The peer is closing the connection, as a server does that shuts down, and had begun to before the request reached it:
    /// it has refused the request, so it is safe to retry, on the next connection.
    #[error("the peer is closing and did not accept the request: it did not run")]
    NotAccepted,
    /// The connection was lost after the request was handed to it: the request may have run.
    #[error("connection lost before the response: the request may have run")]
    ConnectionLost,
    /// The task that ran the connection is gone, as by [`SendError::RuntimeGone`], after the request was handed to it: the
    /// request may have run.
    #[error(
        "the task of the connection is gone: its runtime was shut down before the response; the request may have run"
    )]
    RuntimeGone,
    /// The response could not be decoded.
    #[error("cannot decode the response")]
    Answer(#[source] BodyError),
    /// An item of a stream cannot be read, or is of a variant that does not belong to the call: an item of the answers, or one
    /// of the requests that a handler reads. The side that has sent it is at fault.
    #[error("item {item} of the {} cannot be read", if *.is_request { "requests" } else { "answers" })]
    Item {
        /// Which item, counted from 1.
        item: u64,
        /// Whether it is an item of a request, so that its caller is at fault: [`code`](Self::code) is that of `source`. The
        /// code of a bad answer is `INTERNAL`.
        is_request: bool,
        /// What is wrong with it.
        source: BodyError,
    },
    /// The other side answered with a message that is not the response of this request.
    #[error("unexpected response: `{found}` does not answer this request")]
    UnexpectedAnswer {
        /// The name of the message.
        found: &'static str,
    },
}

impl CallError {
    /// The error for a response of the wrong variant.
    pub fn unexpected_answer<E: Envelope>(answer: &E) -> Self {
        let found = E::VARIANTS
            .get(answer.index())
            .map_or("an unknown message", |variant| variant.name);
        Self::UnexpectedAnswer { found }
    }

    /// The code that fits best: the peer's own for [`Status`](Self::Status), and `UNKNOWN` if the request may have run.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Status(status) => status.code(),
            Self::DeadlineExceeded { .. } => Code::DeadlineExceeded,
            Self::NotSent(error) => error.code(),
            Self::Unsupported(_) => Code::Unimplemented,
            Self::NotReceived | Self::NotAccepted => Code::Unavailable,
            Self::ConnectionLost | Self::RuntimeGone => Code::Unknown,
            Self::Item {
                is_request: true,
                source,
                ..
            } => source.code(),
            Self::Answer(_) | Self::UnexpectedAnswer { .. } | Self::Item { .. } => Code::Internal,
        }
    }

    /// The same of an item of a stream.
    #[cold]
    pub(crate) fn of_item(self, item: u64, is_request: bool) -> Self {
        let source = match self {
            Self::Answer(source) => source,
            Self::UnexpectedAnswer { found } => BodyError::OtherVariant { found },
            other => return other,
        };
        Self::Item {
            item,
            is_request,
            source,
        }
    }

    /// Whether the request has certainly not run, so that even one that is not idempotent can be retried.
    #[must_use]
    pub const fn is_safe_to_repeat(&self) -> bool {
        matches!(
            self,
            Self::NotSent(_) | Self::Unsupported(_) | Self::NotReceived | Self::NotAccepted
        )
    }
}

impl From<SendError> for CallError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Unsupported(unsupported) => Self::Unsupported(unsupported),
            error => Self::NotSent(error),
        }
    }
}

impl From<Unsupported> for CallError {
    fn from(unsupported: Unsupported) -> Self {
        Self::Unsupported(unsupported)
    }
}

impl From<Status> for CallError {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

/// What the dialect of a connection, such as MIP, cannot carry; see docs/protocol.md, "Dialects".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the {dialect} dialect has no {what}")]
#[non_exhaustive]
pub struct Unsupported {
    /// The name of the dialect.
    pub dialect: &'static str,
    /// What it does not have.
    pub what: &'static str,
}

impl From<CallError> for Status {
    /// The status of a peer is kept unchanged, so that the original cause reaches the first caller.
    fn from(error: CallError) -> Self {
        match error {
            CallError::Status(status) => status,
            other => Self::new(other.code(), WithCauses(&other).to_string()),
        }
    }
}

impl From<SendError> for Status {
    fn from(error: SendError) -> Self {
        match error {
            SendError::NotAcknowledged(error) => (*error).into(),
            error => Self::new(error.code(), WithCauses(&error).to_string()),
        }
    }
}
