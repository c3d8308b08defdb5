//! TCP.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tracing::debug;

use super::{Connection, PeerAddress};

/// How many connections may wait to be accepted; the system may allow fewer.
const BACKLOG: u32 = 1024;

pub(super) async fn connect(host: &str, port: u16) -> io::Result<Connection> {
    let mut last_error = None;
    for address in lookup_host((host, port)).await? {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                let (local, peer) = (stream.local_addr()?, stream.peer_addr()?);
                return Ok(connection(stream, local, peer));
            }
            Err(error) => {
                debug!(%address, %error, "an address of the host does not answer");
                last_error = Some(error);
            }
        }
    }
    Err(last_error.unwrap_or_else(|| no_address(host)))
}

pub(super) async fn bind(host: &str, port: u16) -> io::Result<TcpListener> {
    let mut last_error = None;
    for address in lookup_host((host, port)).await? {
        match bind_to(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last_error = Some(error),
        }
    }
    Err(last_error.unwrap_or_else(|| no_address(host)))
}

pub(super) async fn accept(listener: &TcpListener) -> io::Result<Connection> {
    let (stream, peer) = listener.accept().await?;
    let local = stream.local_addr()?;
    Ok(connection(stream, local, peer))
}

fn bind_to(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    // As the standard library does: a restarted server gets its port back at once. On Windows the option
    // would let another process take the port away.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn connection(stream: TcpStream, local: SocketAddr, peer: SocketAddr) -> Connection {
    // Whole batches are written at once, so waiting for more never pays. A connection on which this fails is
    // broken already, and its first read or write says so better.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%peer, %error, "TCP_NODELAY cannot be set");
    }
    Connection::new(
        stream.into(),
        PeerAddress::Tcp(local),
        PeerAddress::Tcp(peer),
    )
}

fn no_address(host: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("the host {host:?} has no address"),
    )
}
