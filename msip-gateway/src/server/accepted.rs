//! The listener, at a port or at a Unix socket, and what it accepts.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
};

use msip_runtime::transport::{Incoming, Listener};
use tokio::net::{TcpListener, TcpStream};

use super::ListenUrl;
use crate::api::{RemoteAddress, Transport};

/// A listener.
pub(super) enum HttpListener {
    Port(TcpListener),
    /// MSIP's own, which makes the socket's file, with its mode, and removes it.
    Socket(Listener),
}

/// A connection that was accepted.
pub(super) enum Accepted {
    Port(TcpStream, SocketAddr),
    Socket(Incoming),
}

impl HttpListener {
    /// Listens, and says where.
    pub(super) async fn bind(url: &ListenUrl) -> io::Result<(Self, String)> {
        match url {
            ListenUrl::Port { authority, tls } => {
                let listener = TcpListener::bind(authority).await?;
                let address = listener.local_addr()?;
                let scheme = if tls.is_some() { "https" } else { "http" };
                Ok((Self::Port(listener), format!("{scheme}://{address}")))
            }
            ListenUrl::Socket(url) => {
                let listener = Listener::bind(url).await?;
                let url = listener.local_url().to_string();
                Ok((Self::Socket(listener), url))
            }
        }
    }

    /// Waits for the next connection. Dropping the future loses none.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Port(listener) => {
                let (stream, from) = listener.accept().await?;
                Ok(Accepted::Port(stream, from))
            }
            Self::Socket(listener) => listener.accept().await.map(Accepted::Socket),
        }
    }
}

impl Accepted {
    /// The other end. Whoever connects to a Unix socket has no address, and is on this machine.
    pub(super) fn from(&self) -> RemoteAddress {
        match self {
            Self::Port(_, from) => RemoteAddress {
                ip: from.ip(),
                transport: Transport::Tcp,
            },
            Self::Socket(_) => RemoteAddress {
                ip: Ipv4Addr::LOCALHOST.into(),
                transport: Transport::UnixSocket,
            },
        }
    }
}

/// For the log.
impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(_, from) => from.fmt(f),
            Self::Socket(incoming) => incoming.peer().fmt(f),
        }
    }
}
