//! A connection that was accepted, and may have to be upgraded.

use std::{fmt, future::Future, io, pin::Pin};

use super::{Connection, PeerAddress};

/// A boxed future, as trait objects return it.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A connection that a listener has accepted. It may have to be upgraded (a TLS or WebSocket handshake) before it
/// carries MSIP.
///
/// A server upgrades it in the connection's own task, within `handshake_timeout`, so that a peer that is slow in it
/// holds up no other connection.
pub struct Incoming {
    peer: PeerAddress,
    state: State,
}

enum State {
    Ready(Connection),
    Upgrading(BoxFuture<'static, io::Result<Connection>>),
}

impl Incoming {
    /// A connection that `upgrade` makes ready. It is accepted already, so that its peer's address is known.
    pub fn upgrading(
        peer: PeerAddress,
        upgrade: impl Future<Output = io::Result<Connection>> + Send + 'static,
    ) -> Self {
        Self {
            peer,
            state: State::Upgrading(Box::pin(upgrade)),
        }
    }

    /// The address of the other end.
    pub fn peer(&self) -> &PeerAddress {
        &self.peer
    }

    /// Makes the connection ready to carry MSIP. There is no time limit; bring your own.
    ///
    /// # Errors
    ///
    /// The transport's handshake fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping this future closes the connection.
    pub async fn upgrade(self) -> io::Result<Connection> {
        match self.state {
            State::Ready(connection) => Ok(connection),
            State::Upgrading(upgrade) => upgrade.await,
        }
    }
}

/// A connection that needs no upgrade.
impl From<Connection> for Incoming {
    fn from(connection: Connection) -> Self {
        Self {
            peer: connection.peer.clone(),
            state: State::Ready(connection),
        }
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("peer", &self.peer)
            .field("is_ready", &matches!(self.state, State::Ready(_)))
            .finish()
    }
}
