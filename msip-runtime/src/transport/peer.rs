//! Peer addresses and credentials, as the transport knows them.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// The address of one end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerAddress {
    /// An IP address and a port.
    Socket(SocketAddr),
    /// A name, for transports without IP addresses: `mem://name`, `unix:///run/chat.sock`.
    ///
    /// Log lines about connections that fail are limited per name, so a listener does not put into it what differs
    /// from connection to connection.
    Named(Arc<str>),
}

impl PeerAddress {
    /// The IP address, where there is one. An IPv4 peer of a socket for both families is shown as such.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Socket(address) => Some(address.ip().to_canonical()),
            Self::Named(_) => None,
        }
    }

    /// Where a connection comes from, as log lines are limited by it.
    pub(crate) fn source(&self) -> Source {
        match self {
            Self::Socket(address) => Source::Ip(address.ip().to_canonical()),
            Self::Named(name) => Source::Name(Arc::clone(name)),
        }
    }
}

impl From<SocketAddr> for PeerAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Socket(address)
    }
}

/// `127.0.0.1:4000`, `[::1]:4000` or `mem://name`.
impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(f),
            Self::Named(name) => f.write_str(name),
        }
    }
}

/// Where connections come from: an IP address without the port, or a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    Ip(IpAddr),
    Name(Arc<str>),
}

/// Who a peer is, as far as the transport has proved it.
///
/// A session can be resumed only by a connection with the credential of the one that began it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum PeerCredential {
    /// The transport knows nothing, as on `tcp` and `mem`.
    #[default]
    None,
    /// The user and the group of the process at the other end, as a Unix socket reports them: those that it had when it
    /// connected, or began to listen.
    UnixUser {
        /// The user id.
        uid: u32,
        /// The id of its primary group. Others that it belongs to are not known.
        gid: u32,
    },
    /// The names for which the peer's certificate was issued: its subject alternative names, in their order. They may be
    /// none.
    CertificateNames(Arc<[CertificateName]>),
}

/// A name for which a certificate was issued, as it is in the certificate: upper and lower case and wildcards are kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CertificateName {
    /// The name of a host, such as `relay.example.org`.
    Dns(String),
    /// A URI, such as the SPIFFE id `spiffe://example.org/relay`.
    Uri(String),
    /// A mail address.
    Email(String),
    /// An IP address.
    Ip(IpAddr),
}

/// The kind of the name and the name, such as `dns:relay.example.org`, `uri:spiffe://example.org/relay`,
/// `email:ada@example.org` or `ip:192.0.2.1`.
impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "dns:{name}"),
            Self::Uri(uri) => write!(f, "uri:{uri}"),
            Self::Email(address) => write!(f, "email:{address}"),
            Self::Ip(ip) => write!(f, "ip:{ip}"),
        }
    }
}
