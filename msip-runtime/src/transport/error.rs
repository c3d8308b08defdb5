//! Errors of URLs.

use thiserror::Error;

/// Why a text is not the URL of a service.
#[derive(Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UrlError {
    /// The text has no scheme.
    #[error("{url:?} has no scheme: write tcp://host:port")]
    NoScheme {
        /// The text.
        url: String,
    },
    /// No transport has this scheme.
    #[error("unknown scheme {scheme:?}: there are {known}")]
    UnknownScheme {
        /// The scheme.
        scheme: String,
        /// The schemes there are.
        known: String,
    },
    /// The transport of this scheme needs features of this crate that are off.
    #[error("the scheme {scheme:?} needs {needs} of msip-runtime, to be listed in Cargo.toml")]
    SchemeNotBuilt {
        /// The scheme.
        scheme: String,
        /// What it needs.
        needs: &'static str,
    },
    /// The URL names several addresses, where a server is to listen at one.
    #[error("the URL names {count} addresses: a server listens at one")]
    SeveralAddresses {
        /// How many.
        count: usize,
    },
    /// There is a port but no host.
    #[error("{address:?} has no host: write 0.0.0.0 or [::] to listen on every address")]
    NoHost {
        /// The address.
        address: String,
    },
    /// The host is neither a name nor an address.
    #[error("{host:?} is not a host name, an IPv4 address or an IPv6 address in brackets")]
    BadHost {
        /// The host.
        host: String,
    },
    /// An IPv6 address is not in brackets.
    #[error("{host:?} looks like an IPv6 address: write it in brackets, such as tcp://[::1]:4000")]
    BareIpv6 {
        /// The host.
        host: String,
    },
    /// There is no port; none is assumed.
    #[error("{address:?} has no port: write tcp://host:port")]
    NoPort {
        /// The address.
        address: String,
    },
    /// The port is not a number from 0 to 65535.
    #[error("{port:?} is not a port: 0 to 65535 are")]
    BadPort {
        /// The port.
        port: String,
    },
    /// The name of an in-memory listener is empty, too long, or holds control characters.
    #[error("{name:?} is not the name of an in-memory listener: 1 to 255 bytes of text are")]
    BadName {
        /// The name.
        name: String,
    },
    /// A Unix socket has no absolute path.
    #[error("{path:?} is not an absolute path: write unix:///run/chat.sock, with three slashes")]
    RelativePath {
        /// What there is instead.
        path: String,
    },
    /// The path cannot be that of a Unix socket.
    #[error(
        "{path:?} cannot be the path of a socket: it ends in a slash or has control characters"
    )]
    BadSocketPath {
        /// The path, unescaped.
        path: String,
    },
    /// The path does not fit into the address of a Unix socket.
    #[error("{path:?} is too long for the path of a Unix socket: {len} bytes, {max} fit")]
    PathTooLong {
        /// The path, unescaped.
        path: String,
        /// Its length in bytes.
        len: usize,
        /// The longest there is on this system.
        max: usize,
    },
    /// The path cannot be that of a request.
    #[error(
        "{path:?} is not the path of a URL: escape all but letters, digits and the signs that a path may have"
    )]
    BadPath {
        /// The path.
        path: String,
    },
    /// There is a user or a password before an `@`. It may be a secret, so it is not shown.
    #[error("a URL must not hold a user or a password (before the @)")]
    Credentials,
    /// The path, or the setting `topic`, is no topic.
    #[error("{topic:?} is not a topic: 1 to 255 bytes of text without control characters are")]
    BadTopic {
        /// The text, unescaped.
        topic: String,
    },
    /// The URL names a topic, where a client and a server talk to each other directly.
    #[error(
        "the URL names the topic {topic:?}: leave it out, a direct connection has none, and clients of a `BrokerConnection` name \
         theirs"
    )]
    Topic {
        /// The topic.
        topic: String,
    },
    /// The URL names no topic, where all messages of a schema belong to one.
    #[error(
        "the URL names no topic: a client with a schema needs one, write mip://host:port/topic"
    )]
    NoTopic,
    /// The URL of a client names a topic at which no client can speak.
    #[error("a client cannot speak at the topic {topic:?}: {reason}")]
    NotSpokenAt {
        /// The topic.
        topic: String,
        /// Why.
        reason: String,
    },
    /// By this scheme datagrams are sent, and no connection is made.
    #[error(
        "udp:// has datagrams only, for connections of other transports: a server is given it by `also`, \
         beside such a transport, and a client by the setting `channel`"
    )]
    DatagramsOnly,
    /// A `#` is in the text.
    #[error(
        "a service's URL has no `#`: no fragment, and no filter of topics of any depth, which names its levels (`+` is any one)"
    )]
    Fragment,
    /// A percent escape is broken.
    #[error("{text:?} holds a broken percent escape: write % itself as %25")]
    BadEscape {
        /// The text.
        text: String,
    },
    /// A setting has no name or no value.
    #[error("{text:?} is not a setting: write ?name=value&name=value")]
    BadSetting {
        /// The text.
        text: String,
    },
    /// A setting is there twice.
    #[error("the setting {name:?} is there twice")]
    RepeatedSetting {
        /// Its name.
        name: String,
    },
}
