//! How sending, calling and connecting fail, and why a connection ended.

use std::{io, sync::Arc, time::Duration};

use thiserror::Error;

use crate::{BodyError, Envelope, MetadataError, Status, transport::UrlError};
use msip_session::wire::Code;

/// Why a message was not sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The receiver takes messages more slowly than they are sent: there was no room in the outgoing queue, or
    /// no credit from the receiver, for as long as `write_timeout` allows (for a `try_` form: at once). The
    /// connection lives, and nothing was sent.
    #[error("no room to send: the receiver is slower than the sender")]
    Full,
    /// There is no connection at the moment. A client connects again by itself; nothing was sent.
    #[error("not connected")]
    Disconnected,
    /// This client has been closed for good, or this peer's session has ended: nothing can be sent any more, by any handle
    /// of it. A client that comes back after that is another peer.
    #[error("closed: the session has ended for good")]
    Closed,
    /// The message is larger than the receiver accepts.
    #[error("a body of {len} bytes, where the receiver accepts {max} (its setting `max_body`)")]
    TooLarge {
        /// The length of the encoded message, in bytes.
        len: usize,
        /// What the receiver announced, in bytes.
        max: usize,
    },
    /// The message cannot be written in the connection's codec: it holds something that JSON has no form for, such as
    /// a time outside of the years 1 to 9999, or is nested too deep.
    #[error("{0}")]
    Unwritable(#[source] BodyError),
    /// It was taken, and made room for newer ones before it was sent: a LOG or METRIC whose receiver is slower than
    /// the sender.
    #[error("dropped unsent to make room: the receiver is slower than the sender")]
    Dropped,
    /// It was sent for acknowledgment, and none came: the other side's handler failed, or its fate is unknown.
    #[error("not acknowledged: {0}")]
    NotAcknowledged(#[source] Box<CallError>),
    /// A middleware of this side does not let it pass.
    #[error("refused by this side: {0}")]
    Refused(Status),
    /// What was to go beside the message cannot be sent: a header, an id or a trace context is malformed, or all of it
    /// together is too large.
    #[error("{0}")]
    Metadata(#[source] MetadataError),
    /// It was to be answered in less than a millisecond, which is the shortest deadline there is; or nothing remained
    /// of a deadline that was passed on.
    #[error("a timeout of {timeout:?} leaves no time for an answer: the shortest is 1 ms")]
    NoTime {
        /// The timeout that was asked for.
        timeout: Duration,
    },
}

impl SendError {
    /// The code that fits best, for a handler that passes the failure on.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Full | Self::Dropped | Self::TooLarge { .. } => Code::ResourceExhausted,
            Self::Disconnected | Self::Closed => Code::Unavailable,
            Self::Unwritable(_) => Code::Internal,
            Self::Metadata(MetadataError::TooLarge { .. }) => Code::ResourceExhausted,
            Self::Metadata(_) => Code::InvalidArgument,
            Self::NoTime { .. } => Code::DeadlineExceeded,
            Self::Refused(status) => status.code(),
            Self::NotAcknowledged(error) => error.code(),
        }
    }
}

/// Why a call, or a message sent for acknowledgment, has no good outcome.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CallError {
    /// The other side's handler, or the other side itself, answered with an error.
    #[error("{0}")]
    Status(Status),
    /// No answer came in time. The handler may have run all the same.
    #[error("no answer within {timeout:?}")]
    DeadlineExceeded {
        /// How long the call waited.
        timeout: Duration,
    },
    /// It was never sent, so that it is safe to try again.
    #[error("the request was not sent: {0}")]
    NotSent(#[source] SendError),
    /// The connection was lost, and the other side says that the request has not reached it, so that it is safe to try
    /// again.
    #[error("the connection was lost before the request was received: it has not run")]
    NotReceived,
    /// The connection was lost after the request had been handed to it: it may have run.
    #[error("the connection was lost before the answer: the request may have run")]
    ConnectionLost,
    /// The answer could not be read.
    #[error("the answer cannot be read")]
    Answer(#[source] BodyError),
    /// The other side answered with a message that does not answer this request.
    #[error("answered with `{found}`, which does not answer this request")]
    UnexpectedAnswer {
        /// The name of the message.
        found: &'static str,
    },
}

impl CallError {
    /// The error for an answer of the wrong variant.
    pub fn unexpected_answer<E: Envelope>(answer: &E) -> Self {
        let found = E::VARIANTS
            .get(answer.index())
            .map_or("an unknown message", |variant| variant.name);
        Self::UnexpectedAnswer { found }
    }

    /// The code that fits best: the peer's own for [`Status`](Self::Status), and `UNKNOWN` where the request may
    /// have run.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Status(status) => status.code(),
            Self::DeadlineExceeded { .. } => Code::DeadlineExceeded,
            Self::NotSent(error) => error.code(),
            Self::NotReceived => Code::Unavailable,
            Self::ConnectionLost => Code::Unknown,
            Self::Answer(_) | Self::UnexpectedAnswer { .. } => Code::Internal,
        }
    }

    /// Whether the request certainly has not run, so that it may be made again whatever it does.
    #[must_use]
    pub const fn is_safe_to_repeat(&self) -> bool {
        matches!(self, Self::NotSent(_) | Self::NotReceived)
    }
}

impl From<SendError> for CallError {
    fn from(error: SendError) -> Self {
        Self::NotSent(error)
    }
}

impl From<Status> for CallError {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

/// Why a connection could not be made.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address makes no sense.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A setting, in the address or the builder, makes no sense.
    #[error(transparent)]
    Setting(#[from] crate::SettingError),
    /// The network or the operating system refused.
    #[error("cannot reach {url}")]
    Transport {
        /// Where it was to go.
        url: String,
        /// What the operating system says.
        #[source]
        source: Arc<io::Error>,
    },
    /// The other side took the connection and then did not answer in time.
    #[error("{url} did not answer within {timeout:?}")]
    TimedOut {
        /// Where it was to go.
        url: String,
        /// How long the attempt lasted.
        timeout: Duration,
    },
    /// The other side refused, in these words.
    #[error("refused by {url}: {status}")]
    Refused {
        /// Where it was to go.
        url: String,
        /// The other side's words.
        status: Status,
    },
    /// The other side speaks MIP, not MSIP. Use `mip://` to speak MIP with it.
    #[error("{url} speaks MIP, not MSIP")]
    MipPeer {
        /// Where it was to go.
        url: String,
    },
    /// The other side's answer breaks the protocol.
    #[error("{url} does not speak MSIP: {rule}")]
    Protocol {
        /// Where it was to go.
        url: String,
        /// The rule that it broke.
        rule: String,
    },
    /// The service has several addresses, and none of them could be connected to.
    #[error("none of {} addresses could be connected to: {}", failures.len(), in_one_line(failures))]
    NoAddress {
        /// What each of them came to, in the order in which they were tried.
        failures: Vec<ConnectError>,
    },
    /// The client was closed meanwhile.
    #[error("closed before it was connected")]
    Closed,
}

/// Errors with their causes.
fn in_one_line(failures: &[ConnectError]) -> String {
    let texts: Vec<String> = failures
        .iter()
        .map(|failure| WithCauses(failure).to_string())
        .collect();
    texts.join("; ")
}

/// An error with its causes, in one line.
pub(crate) struct WithCauses<'a>(pub(crate) &'a dyn std::error::Error);

impl std::fmt::Display for WithCauses<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl ConnectError {
    /// What came of trying every address.
    pub(crate) fn of_addresses(mut failures: Vec<Self>) -> Self {
        match failures.pop() {
            Some(only) if failures.is_empty() => only,
            Some(last) => {
                failures.push(last);
                Self::NoAddress { failures }
            }
            // Nothing was tried at all.
            None => Self::Closed,
        }
    }

    /// Whether any server has refused with this code.
    pub(crate) fn is_refused_with(&self, code: Code) -> bool {
        match self {
            Self::Refused { status, .. } => status.code() == code,
            Self::NoAddress { failures } => {
                failures.iter().any(|failure| failure.is_refused_with(code))
            }
            _ => false,
        }
    }

    pub(crate) fn transport(url: impl ToString, source: io::Error) -> Self {
        Self::Transport {
            url: url.to_string(),
            source: Arc::new(source),
        }
    }
}

/// Why a connection ended.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The other side said goodbye, in these words.
    #[error("closed by the peer: {0}")]
    ClosedByPeer(Status),
    /// This side closed it.
    #[error("closed by this side")]
    ClosedByUs,
    /// Not a byte came for two ping intervals.
    #[error("nothing heard for {silence:?}")]
    KeepaliveTimeout {
        /// How long nothing came.
        silence: Duration,
    },
    /// The other side broke the protocol.
    #[error("protocol error: {rule}")]
    Protocol {
        /// The rule that it broke, with the offending value.
        rule: String,
    },
    /// The other side says that this side broke the protocol.
    #[error("the peer reports a protocol error: {0}")]
    ProtocolReportedByPeer(Status),
    /// The other side announced a payload over the limit.
    #[error(
        "a payload of {len} bytes was announced, where {max} are accepted (setting `max_body`)"
    )]
    TooLarge {
        /// What was announced, in bytes.
        len: u64,
        /// What is accepted, in bytes.
        max: u64,
    },
    /// The other side took no byte for this long.
    #[error("the peer took no byte for {stalled:?}")]
    WriteStalled {
        /// How long nothing could be written.
        stalled: Duration,
    },
    /// The client has come back by a newer connection, which goes on with its session.
    #[error("a newer connection has taken the session over")]
    TakenOver,
    /// The other side closed the transport without saying goodbye.
    #[error("the peer closed the connection without a goodbye")]
    Eof,
    /// The network or the operating system broke the connection.
    #[error("the connection broke")]
    Transport(#[source] Arc<io::Error>),
}

impl From<io::Error> for DisconnectReason {
    fn from(error: io::Error) -> Self {
        Self::Transport(Arc::new(error))
    }
}

impl From<CallError> for Status {
    /// A peer's own status passes unchanged, so that the first cause reaches the first caller.
    fn from(error: CallError) -> Self {
        match error {
            CallError::Status(status) => status,
            other => Self::new(other.code(), other.to_string()),
        }
    }
}

impl From<SendError> for Status {
    fn from(error: SendError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
