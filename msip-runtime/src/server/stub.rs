//! Peers without a client, for tests of handlers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    Peer, Registry,
    introduction::{Introduction, SchemaTerms},
    peer_connection::Remote,
};
use crate::{
    Identity, PeerId, Protocol, SchemaRule,
    call::Serving,
    connection::ConnectionShared,
    middleware::Stack,
    transport::{PeerAddress, PeerCredential},
};

/// Takes the place of the server of peers that a test makes: it knows which are connected.
#[derive(Debug)]
pub(crate) struct StubOutbound<P: Protocol> {
    registry: Arc<Registry<Peer<P>>>,
    admitted: AtomicU64,
}

impl<P: Protocol> StubOutbound<P> {
    /// A server without clients.
    pub(crate) fn new() -> Self {
        Self {
            registry: Arc::default(),
            admitted: AtomicU64::new(0),
        }
    }

    /// A client has connected. Ids count from 1, so that they are the same in each run of a test.
    pub(crate) fn admit(&self, connection: &Arc<ConnectionShared>) -> Peer<P> {
        let number = self.admitted.fetch_add(1, Ordering::Relaxed) + 1;
        let introduction = Introduction {
            id: PeerId::new(number),
            remote: Remote {
                address: PeerAddress::Named(Arc::from("mem://testing")),
                is_confidential: true,
                credential: PeerCredential::None,
            },
            protocol: P::NAME.to_owned(),
            client_name: format!("test {number}"),
            client_fingerprint: P::fingerprint(),
            schema_terms: SchemaTerms {
                rule: SchemaRule::Any,
                describes: false,
                limit: Duration::ZERO,
            },
            log_limiter: Arc::default(),
            schema: None,
        };
        let peer = Peer::new(
            introduction,
            Arc::clone(connection),
            Stack::default(),
            &self.registry,
        );
        self.registry.insert(peer.id(), peer.clone());
        peer
    }

    /// A client has disconnected.
    pub(crate) fn dismiss(&self, peer: &Peer<P>) {
        peer.ended(&[]);
        self.registry.remove(peer.id());
        self.registry.rooms().leave_all(peer.id());
    }

    /// Says who a client is. Returns the peer as its handlers see it.
    pub(crate) fn identify(peer: &Peer<P>, identity: Identity) -> Peer<P> {
        let connection = peer.shared();
        connection.set_sender(Some(identity.of_peer(peer.id())));
        peer.serving(Serving {
            metadata: connection.terms().sender,
            ..Serving::default()
        })
    }

    /// The peer as a handler of this call sees it.
    pub(crate) fn in_call(peer: &Peer<P>, mut serving: Serving) -> Peer<P> {
        peer.complete(&mut serving);
        peer.serving(serving)
    }
}
