//! Why a server cannot be attached to a broker.

use thiserror::Error;

use crate::{CallError, ConnectError, demux::TopicFilterError, error::debug_with_causes};

/// Why a server cannot be attached to a broker.
///
/// `Display` is one line, which leaves a cause to `source()`; `Debug` is that line with all causes.
#[derive(Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The broker cannot be reached, or refuses the connection; or the address or a setting makes no sense.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The URL names no topic.
    #[error(
        "{url} names no topic to serve: write it behind the address, as in `tcp://host:9000/room1`"
    )]
    NoTopic {
        /// The URL.
        url: String,
    },
    /// What the URL names is no topic of a protocol.
    #[error("`{topic}` cannot be served: {why}")]
    Topic {
        /// The topic, or the filter of topics.
        topic: String,
        /// What is wrong with it.
        why: String,
    },
    /// The connection serves some of these topics already.
    #[error(
        "`{topic}` overlaps `{other}`, which this connection serves already: a message comes to a connection once, so that only one of \
         the two could have it"
    )]
    Overlaps {
        /// The topic, or the filter of topics.
        topic: String,
        /// What is served already.
        other: String,
    },
    /// The server is no broker: it routes no messages.
    #[error("the server at {url} is no broker, and topic `{topic}` cannot be served through it")]
    NoBroker {
        /// Where it is.
        url: String,
        /// The topic, or the filter of topics.
        topic: String,
    },
    /// The broker refuses the topic, or did not answer.
    #[error("the broker does not let `{topic}` be served as `{protocol}`")]
    Refused {
        /// The topic, or the filter of topics.
        topic: String,
        /// The protocol.
        protocol: &'static str,
        /// Why.
        #[source]
        source: CallError,
    },
}

debug_with_causes!(AttachError);

impl AttachError {
    pub(super) fn topic(topic: &str, error: &TopicFilterError) -> Self {
        Self::Topic {
            topic: topic.to_owned(),
            why: error.to_string(),
        }
    }
}
