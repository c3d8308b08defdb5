//! Where a service is, and where a peer is.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::escape::encode;

/// Where a service listens or is to listen, as a URL names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// A TCP port: `tcp://host:port`.
    Tcp {
        /// A name, an IPv4 address, or an IPv6 address without brackets.
        host: String,
        /// The port; 0 lets the system choose one when a server binds.
        port: u16,
    },
    /// A name within this process: `mem://name`.
    Memory {
        /// The name.
        name: String,
    },
}

impl Address {
    /// Whether what is sent there cannot leave this machine, as far as the address alone tells: a loopback
    /// address, `localhost`, or this process.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp { host, .. } => {
                host.eq_ignore_ascii_case("localhost")
                    || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            }
            Self::Memory { .. } => true,
        }
    }
}

/// The address as the beginning of a URL, such as `tcp://[::1]:4000`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => {
                write!(f, "tcp://[{}]:{port}", host.replace('%', "%25"))
            }
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Self::Memory { name } => write!(f, "mem://{}", encode(name)),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        let host = match address {
            SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
            _ => address.ip().to_string(),
        };
        Self::Tcp {
            host,
            port: address.port(),
        }
    }
}

/// Where one end of a connection is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerAddress {
    /// A TCP address.
    Tcp(SocketAddr),
    /// This process, through the listener of this name; empty for an anonymous pair.
    Memory(Arc<str>),
}

impl PeerAddress {
    /// Whether the other end is on this machine: a loopback address, or this process.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => match address.ip() {
                IpAddr::V6(ip) => is_loopback_v6(ip),
                IpAddr::V4(ip) => ip.is_loopback(),
            },
            Self::Memory(_) => true,
        }
    }
}

/// A socket for both families shows IPv4 peers as mapped addresses.
fn is_loopback_v6(ip: Ipv6Addr) -> bool {
    ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback())
}

/// `127.0.0.1:4000`, `[::1]:4000` or `mem://name`.
impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Memory(name) => write!(f, "mem://{}", encode(name)),
        }
    }
}
