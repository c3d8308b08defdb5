//! Peers without a client, for tests of handlers.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::{Peer, Registry, peer::Introduction};
use crate::{
    PeerId, Protocol, call::Serving, connection::ConnectionShared, middleware::Stack,
    transport::PeerAddress,
};

/// Stands in for the server of peers that a test makes: it knows who is there.
#[derive(Debug)]
pub(crate) struct StubOutbound<P: Protocol> {
    registry: Arc<Registry<P>>,
    admitted: AtomicU64,
}

impl<P: Protocol> StubOutbound<P> {
    /// A server that nobody has come to.
    pub(crate) fn new() -> Self {
        Self {
            registry: Arc::default(),
            admitted: AtomicU64::new(0),
        }
    }

    /// A client has come, by this connection. Ids count from 1, so that they are the same in each run of a test.
    pub(crate) fn admit(&self, connection: &Arc<ConnectionShared>) -> Peer<P> {
        let number = self.admitted.fetch_add(1, Ordering::Relaxed) + 1;
        let introduction = Introduction {
            id: PeerId::new(number),
            address: PeerAddress::Memory(Arc::from("testing")),
            client_name: format!("test {number}"),
            client_fingerprint: P::fingerprint(),
        };
        let peer = Peer::new(
            introduction,
            Arc::clone(connection),
            Stack::default(),
            &self.registry,
        );
        self.registry.insert(peer.clone());
        peer
    }

    /// A client has gone.
    pub(crate) fn dismiss(&self, id: PeerId) {
        self.registry.remove(id);
    }

    /// The peer as a handler of this call sees it.
    pub(crate) fn in_call(peer: &Peer<P>, serving: Serving) -> Peer<P> {
        peer.serving(serving)
    }
}
