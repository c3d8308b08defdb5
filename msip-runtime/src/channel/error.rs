//! The error of a channel that makes no sense.

use thiserror::Error;

use crate::{
    SettingError,
    transport::{TransportSettingError, UrlError},
};

/// The kinds that a channel takes.
const ALLOWED: &str =
    "expected one or more of `event`, `state`, `log` and `metric`, separated by commas";

/// A channel of a client, in its URL or its builder, makes no sense.
///
/// `Display` is one line, which leaves a cause to `source()`; `Debug` is that line with all causes.
#[derive(Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// The setting is not kinds, a colon and a URL.
    #[error(
        "setting `channel`: expected kinds and a URL, such as `log,metric:quic://host:7400`, found `{value}`"
    )]
    Malformed {
        /// The value of the setting.
        value: String,
    },
    /// There is no such kind.
    #[error("setting `channel`: there is no kind `{kind}`: {ALLOWED}")]
    UnknownKind {
        /// The kind.
        kind: String,
    },
    /// A COMMAND cannot go by a channel: it is a call, or may become one, and calls stay on the connection of the client.
    #[error("a channel takes no COMMAND: {ALLOWED}")]
    Command,
    /// No kind was given.
    #[error("the channel to {url} is for no kind: {ALLOWED}")]
    NoKinds {
        /// The URL of the channel.
        url: String,
    },
    /// A kind was given twice.
    #[error("the kind `{kind}` is given to a channel twice: it goes by one")]
    RepeatedKind {
        /// The kind.
        kind: String,
    },
    /// The URL is invalid.
    #[error("the channel to {url} cannot be used")]
    Url {
        /// The URL of the channel.
        url: String,
        /// What is wrong with it.
        source: UrlError,
    },
    /// The setting is that of a client, or of a server, or unknown.
    #[error("the channel to {url} takes no setting `{name}`: expected one of {known}{}", is_for(.is_clients))]
    Setting {
        /// The URL of the channel.
        url: String,
        /// The name of the setting.
        name: String,
        /// The names that a channel takes.
        known: String,
        /// Whether a client has it.
        is_clients: bool,
    },
    /// A setting has a value that it cannot have.
    #[error("the channel to {url} cannot be used")]
    Value {
        /// The URL of the channel.
        url: String,
        /// What is wrong with it.
        source: SettingError,
    },
    /// A setting of the transport cannot be used.
    #[error("the channel to {url} cannot be used")]
    Transport {
        /// The URL of the channel.
        url: String,
        /// What is wrong with it.
        source: TransportSettingError,
    },
    /// Datagrams carry LOG and METRIC alone.
    #[error(
        "the channel to {url} sends datagrams, which are for `log` and `metric`: give `{kind}` to another one"
    )]
    KindOfDatagrams {
        /// The URL of the channel.
        url: String,
        /// The kind that it is for.
        kind: String,
    },
    /// There is a channel of datagrams already.
    #[error("the channel to {url} is a second one of datagrams: give `log` and `metric` to one")]
    SecondOfDatagrams {
        /// The URL of the channel.
        url: String,
    },
    /// The key of datagrams comes by the client's connection, where others could read it.
    #[error(
        "the channel to {url} cannot be used: others could read its key on the client's connection: encrypt \
         that, or set `insecure`"
    )]
    KeyNotConfidential {
        /// The URL of the channel.
        url: String,
    },
    /// Datagrams are not encrypted, and would leave this machine.
    #[error(
        "the channel to {url} cannot be used: datagrams are not encrypted, and others could read them on the way: \
         send them to this machine, or set `insecure`"
    )]
    NotEncrypted {
        /// The URL of the channel.
        url: String,
    },
    /// The client is untyped: its service consumes one connection.
    #[error("an untyped client has no channels: leave the setting `channel` out")]
    Untyped,
}

fn is_for(is_clients: &bool) -> &'static str {
    if *is_clients {
        " (it is set for the client and all of its channels, in the URL of the client)"
    } else {
        ""
    }
}
