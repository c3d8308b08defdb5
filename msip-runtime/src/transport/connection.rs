//! One open way to a peer.

use std::io;

use super::{Address, PeerAddress, ServiceUrl, Stream, memory, tcp};

/// One open way to a peer: its bytes, and who is at the ends.
#[derive(Debug)]
#[non_exhaustive]
pub struct Connection {
    /// The bytes, both ways.
    pub stream: Stream,
    /// This end.
    pub local: PeerAddress,
    /// The other end.
    pub peer: PeerAddress,
}

impl Connection {
    /// A connection over a stream that was opened elsewhere.
    pub fn new(stream: Stream, local: PeerAddress, peer: PeerAddress) -> Self {
        Self {
            stream,
            local,
            peer,
        }
    }
}

/// Opens a connection to a service. Where it, or its host, has several addresses, they are tried in turn.
///
/// There is no time limit; bring your own.
///
/// # Errors
///
/// What the system says: the host is not known, nobody listens there, or another. Of several addresses, the
/// error of the last.
///
/// # Cancel safety
///
/// Dropping this future closes what is half open.
pub async fn connect(url: &ServiceUrl) -> io::Result<Connection> {
    let mut outcome = connect_to(url.address()).await;
    for address in url.addresses().skip(1) {
        if outcome.is_ok() {
            break;
        }
        outcome = connect_to(address).await;
    }
    outcome
}

/// Opens a connection to one address of a service.
pub(crate) async fn connect_to(address: &Address) -> io::Result<Connection> {
    match address {
        Address::Tcp { host, port } => tcp::connect(host, *port).await,
        Address::Memory { name } => memory::connect(name).await,
    }
}
