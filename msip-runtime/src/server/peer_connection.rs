//! What is known of a peer's connection.

use std::{sync::OnceLock, time::Duration};

use crate::{
    Codec, Compression, Dropped, LostExchange,
    connection::ConnectionShared,
    transport::{Connection, PeerAddress, PeerCredential},
};

/// What the transport knows of the client's current connection.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    pub(super) address: PeerAddress,
    pub(super) is_confidential: bool,
    pub(super) credential: PeerCredential,
}

impl From<&Connection> for Remote {
    fn from(connection: &Connection) -> Self {
        Self {
            address: connection.peer.clone(),
            is_confidential: connection.is_confidential,
            credential: connection.credential.clone(),
        }
    }
}

/// Information about a peer's connection; from [`Peer::connection`](crate::Peer::connection).
///
/// A client at a [`topic`](Self::topic) of a broker shares the server's connection to the broker with all others: round trip, queue,
/// codec, compression, counts and confidentiality are that connection's.
#[derive(Debug)]
pub struct PeerConnection<'a> {
    pub(super) connection: &'a ConnectionShared,
    pub(super) remote: Remote,
    pub(super) name: &'a str,
    pub(super) fingerprint: u64,
    pub(super) lost: &'a OnceLock<Vec<LostExchange>>,
    pub(super) topic: Option<&'a str>,
}

impl<'a> PeerConnection<'a> {
    /// The round-trip time of the last ping; `None` before the first.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.connection
            .lock()
            .session()
            .and_then(|session| session.round_trip())
    }

    /// The number of bytes that are queued and not written, each frame counted as its length + 64.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.connection
            .lock()
            .session()
            .map_or(0, |session| session.queued())
    }

    /// The codec of bodies, which the client chose.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.connection.encoding().codec()
    }

    /// The compression of bodies, which the client chose.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.connection.encoding().compression()
    }

    /// The number of the client's frames that were ignored, because they answer nothing that is open, or were invalid
    /// and requested no answer.
    #[must_use]
    pub fn ignored(&self) -> u64 {
        self.connection.ignored()
    }

    /// The number of messages that were accepted to be sent and then dropped: with their connection, or by their kind
    /// under pressure.
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        self.connection.dropped()
    }

    /// Whether the session has ended for good: nothing more can be sent, and every send fails with
    /// [`SendError::Closed`](crate::SendError::Closed).
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.lost.get().is_some() || self.connection.close_reason().is_some()
    }

    /// The calls and deliveries that were open when the session ended, in `on_client_gone` and later; empty before.
    /// Each caller has got its error too.
    #[must_use]
    pub fn lost(&self) -> &'a [LostExchange] {
        self.lost.get().map_or(&[], Vec::as_slice)
    }

    /// Whether only the client and this server can read or change what is sent: the connection is encrypted, or is on
    /// this machine.
    #[must_use]
    pub fn is_confidential(&self) -> bool {
        self.remote.is_confidential
    }

    /// Who the client is, as far as the transport has proved it.
    #[must_use]
    pub fn credential(&self) -> &PeerCredential {
        &self.remote.credential
    }

    /// Whether it is connected.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let has_gone = self.topic.is_some() && self.lost.get().is_some();
        !has_gone
            && self
                .connection
                .lock()
                .session()
                .is_some_and(|session| session.is_open())
    }

    /// The topic at which the client speaks, where the server is [attached](crate::Server::attach) to a broker; `None` on a direct
    /// connection.
    #[must_use]
    pub fn topic(&self) -> Option<&'a str> {
        self.topic
    }

    /// What the client speaks, where that is not MSIP: `Messi`. See [`ServerBuilder::also`](crate::ServerBuilder::also).
    #[must_use]
    pub fn dialect(&self) -> Option<&'static str> {
        self.connection.dialect()
    }

    /// The name of the client; it may be empty.
    #[must_use]
    pub fn client_name(&self) -> &'a str {
        self.name
    }

    /// The fingerprint of the client's schema. Where it is not `P::fingerprint()`, [`Peer::schema_difference`](crate::Peer::schema_difference) says what
    /// differs.
    #[must_use]
    pub fn client_fingerprint(&self) -> u64 {
        self.fingerprint
    }
}
