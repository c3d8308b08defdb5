//! The errors of sending, calling and connecting, and the reasons for a disconnect.

use std::{io, sync::Arc, time::Duration};

use thiserror::Error;

use crate::{
    BodyError, Envelope, MetadataError, Status,
    transport::{TransportSettingError, UrlError},
};
use msip_session::wire::Code;

#[cfg(test)]
mod tests;

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

/// A connection could not be established.
///
/// `Display` and `Debug` are as those of [`SendError`].
#[derive(Clone, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is invalid.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A setting, in the URL or the builder, is invalid.
    #[error(transparent)]
    Setting(#[from] crate::SettingError),
    /// A setting of the URL's transport cannot be used.
    #[error(transparent)]
    TransportSetting(#[from] TransportSettingError),
    /// A channel, in the URL or the builder, makes no sense.
    #[error(transparent)]
    Channel(#[from] crate::ChannelError),
    /// The network or the operating system failed to connect.
    #[error("cannot reach {url}")]
    Transport {
        /// The URL.
        url: String,
        /// The cause.
        #[source]
        source: Arc<io::Error>,
    },
    /// The two cannot speak TLS with each other.
    #[cfg(feature = "tls")]
    #[error("no TLS connection to {url}")]
    Tls {
        /// The URL.
        url: String,
        /// What is wrong, and what to do.
        source: crate::transport::TlsError,
    },
    /// The server speaks TLS, and the URL is of a transport without it.
    #[error("{url} speaks TLS: connect to tls:// instead")]
    TlsPeer {
        /// The URL.
        url: String,
    },
    /// The other side accepted the connection but did not complete the handshake in time.
    #[error("{url} did not answer within {timeout:?}")]
    TimedOut {
        /// The URL.
        url: String,
        /// The timeout.
        timeout: Duration,
    },
    /// The other side refused the connection.
    #[error("refused by {url}: {status}")]
    Refused {
        /// The URL.
        url: String,
        /// Its status.
        status: Status,
    },
    /// The broker refused the subscription to the topic of the URL: what is spoken there is another protocol or schema, or the
    /// client may not hear it.
    #[error("the broker at {url} refused the topic {topic:?}: {status}")]
    TopicRefused {
        /// The URL.
        url: String,
        /// The topic.
        topic: String,
        /// The status of the broker.
        status: Status,
    },
    /// The connection has a client at this topic already: what comes there goes to one handler. Clone that client, or close it first.
    #[error("the connection has a client at the topic {topic:?}: clone that, or close it first")]
    TopicInUse {
        /// The topic.
        topic: String,
    },
    /// The URL names a topic, and the server is no broker.
    #[error(
        "the URL names the topic {topic:?}, and the server at {url} is no broker: leave the topic out to speak with it directly"
    )]
    NoBroker {
        /// The URL.
        url: String,
        /// The topic.
        topic: String,
    },
    /// The server is a broker, and the URL names no topic.
    #[error(
        "the server at {url} is a broker, and the URL names no topic: append the one at which `{protocol}` is spoken, such as {url}/room1"
    )]
    NoTopic {
        /// The URL.
        url: String,
        /// The protocol of the client.
        protocol: String,
    },
    /// The other side speaks MIP, not MSIP. Use a `mip://` URL to speak MIP.
    #[error("{url} speaks MIP, not MSIP")]
    MipPeer {
        /// The URL.
        url: String,
    },
    /// The client is to do what the dialect of its URL cannot carry: a credential, compression, a channel. Nothing was tried.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The other side does not speak the dialect of the URL.
    #[error("{url} does not speak {dialect}: {rule}")]
    Dialect {
        /// The URL.
        url: String,
        /// The name of the dialect.
        dialect: &'static str,
        /// The rule that it violated.
        rule: String,
    },
    /// The other side violated the protocol.
    #[error("{url} does not speak MSIP: {rule}")]
    Protocol {
        /// The URL.
        url: String,
        /// The rule that it violated.
        rule: String,
    },
    /// The connection was there, and the handler's `on_connected` failed with this status.
    #[error("the login failed: {status}")]
    Login {
        /// What `on_connected` returned.
        status: Status,
    },
    /// The connection was there, and the handler's `on_connected` did not return in time.
    #[error("`on_connected` did not return within {timeout:?} (setting `login_timeout`)")]
    LoginTimedOut {
        /// The setting.
        timeout: Duration,
    },
    /// The connection ended before the handler's `on_connected` had returned.
    #[error("the connection ended before `on_connected` had returned")]
    LostInLogin {
        /// Why it ended.
        #[source]
        reason: DisconnectReason,
    },
    /// The client has a credential, and others could read it on the way: it was not sent.
    #[error(
        "the connection to {url} is not confidential, and the credential was not sent: encrypt the connection, or set `insecure`"
    )]
    NotConfidential {
        /// The URL.
        url: String,
    },
    /// The function that yields the client's credential has failed.
    #[error("the client's credential could not be obtained")]
    Credential {
        /// Its error.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The client's credential is too long.
    #[error("credential of {len} bytes exceeds the limit of {max}")]
    CredentialTooLarge {
        /// Its length, in bytes.
        len: usize,
        /// The limit, in bytes.
        max: usize,
    },
    /// None of the addresses of the service could be connected to.
    #[error("cannot connect to any of {} addresses: {}", failures.len(), in_one_line(failures))]
    NoAddress {
        /// The error of each, in the order in which they were tried.
        failures: Vec<ConnectError>,
    },
    /// The client was closed in the meantime.
    #[error("closed before it was connected")]
    Closed,
}

/// Several errors with their causes.
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

/// `Debug` of errors: what Rust prints where `main` returns one is for people.
macro_rules! debug_with_causes {
    ($($ty:ty),* $(,)?) => {$(
        impl ::std::fmt::Debug for $ty {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&$crate::error::WithCauses(self), f)
            }
        }
    )*};
}
pub(crate) use debug_with_causes;

debug_with_causes!(
    SendError,
    CallError,
    ConnectError,
    CloseReason,
    DisconnectReason,
    BodyError,
    MetadataError,
    crate::ChannelError,
    crate::SettingError,
    TransportSettingError,
    UrlError,
);

#[cfg(feature = "tls")]
debug_with_causes!(crate::transport::TlsError);

impl ConnectError {
    /// The error after every address has been tried.
    pub(crate) fn of_addresses(mut failures: Vec<Self>) -> Self {
        match failures.pop() {
            Some(only) if failures.is_empty() => only,
            Some(last) => {
                failures.push(last);
                Self::NoAddress { failures }
            }
            // There was no attempt.
            None => Self::Closed,
        }
    }

    /// Whether any server refused with this code.
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
        #[cfg(feature = "tls")]
        if let Some(tls) = source.get_ref().and_then(|error| error.downcast_ref()) {
            return Self::Tls {
                url: url.to_string(),
                source: crate::transport::TlsError::clone(tls),
            };
        }
        Self::Transport {
            url: url.to_string(),
            source: Arc::new(source),
        }
    }
}

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
