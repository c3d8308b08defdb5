//! The error of a connection that could not be established.

use std::{io, sync::Arc, time::Duration};

use thiserror::Error;

use super::{DisconnectReason, Unsupported, causes::WithCauses};
use crate::{
    Status,
    transport::{TransportSettingError, UrlError},
};
use msip_session::wire::Code;

/// A connection could not be established.
///
/// `Display` and `Debug` are as those of [`SendError`](crate::SendError).
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

/// Several errors with their causes.
fn in_one_line(failures: &[ConnectError]) -> String {
    let texts: Vec<String> = failures
        .iter()
        .map(|failure| WithCauses(failure).to_string())
        .collect();
    texts.join("; ")
}
