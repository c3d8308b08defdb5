//! What the handles of one client share.

use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak, atomic::AtomicBool},
};

use super::Peer;
use crate::{
    Extensions, Identity, LostExchange, PeerId, Protocol,
    compatibility::SchemaCheck,
    connection::ConnectionShared,
    middleware::{RemotePeer, Stack},
    server::{Registry, at_topic::AtTopic, peer_connection::Remote},
    transport::PeerAddress,
};

pub(super) struct Shared<P: Protocol> {
    pub(super) id: PeerId,
    pub(super) remote: Mutex<Remote>,
    pub(super) resumed: AtomicBool,
    pub(super) client_name: String,
    pub(super) client_fingerprint: u64,
    /// The check of its schema, where that has another fingerprint.
    pub(super) schema: Option<Arc<SchemaCheck>>,
    pub(super) connection: Arc<ConnectionShared>,
    pub(super) outgoing: Stack,
    pub(super) extensions: Extensions,
    /// What was open when the session ended; unset before.
    pub(super) lost: OnceLock<Vec<LostExchange>>,
    pub(super) registry: Weak<Registry<Peer<P>>>,
    /// Where it is, where the connection is that to a broker. In a box, since most have none.
    pub(super) at: Option<Box<AtTopic>>,
}

impl<P: Protocol> Shared<P> {
    pub(super) fn identity(&self) -> Option<Arc<Identity>> {
        match &self.at {
            None => self.connection.identity(),
            Some(at) => at.identity.clone(),
        }
    }

    pub(super) fn remote(&self) -> Remote {
        self.remote
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl<P: Protocol> RemotePeer for Shared<P> {
    fn id(&self) -> PeerId {
        self.id
    }

    fn address(&self) -> PeerAddress {
        self.remote().address
    }

    fn identity(&self) -> Option<Arc<Identity>> {
        Shared::identity(self)
    }

    fn extensions(&self) -> &Extensions {
        &self.extensions
    }
}

impl<P: Protocol> fmt::Debug for Shared<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("protocol", &P::NAME)
            .field("id", &self.id)
            .field("topic", &self.at.as_ref().map(|at| &*at.topic))
            .field("address", &self.remote().address)
            .finish_non_exhaustive()
    }
}
