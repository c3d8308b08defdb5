//! What is kept of a client while its session is parked.

use std::sync::{Arc, Mutex, OnceLock, atomic::AtomicBool};

use super::{Peer, shared::Shared};
use crate::{
    Extensions, Protocol, SchemaDifference,
    call::Serving,
    compatibility::SchemaCheck,
    connection::ConnectionShared,
    middleware::Stack,
    server::{Registry, about_client::AboutClient, peer_connection::Remote},
    transport::PeerCredential,
};

/// What is kept of a client while its session is parked, besides its name and address.
pub(in crate::server) struct PeerRecord {
    is_confidential: bool,
    credential: PeerCredential,
    client_fingerprint: u64,
    /// What differs between the schemas, where they do.
    schema_difference: Option<Arc<SchemaDifference>>,
    outgoing: Stack,
    extensions: Extensions,
}

impl PeerRecord {
    /// What it refers to, in bytes.
    pub(in crate::server) fn len(&self) -> usize {
        self.schema_difference.as_deref().map_or(0, size_of_val)
    }
}

impl<P: Protocol> Peer<P> {
    /// What is kept of it while its session is parked: from here on its handles are not used.
    pub(in crate::server) fn park(&self) -> PeerRecord {
        let Remote {
            is_confidential,
            credential,
            ..
        } = self.shared.remote();
        PeerRecord {
            is_confidential,
            credential,
            client_fingerprint: self.shared.client_fingerprint,
            schema_difference: self.schema_difference(),
            outgoing: self.shared.outgoing.clone(),
            extensions: self.shared.extensions.take(),
        }
    }

    /// The client of a session that was parked.
    pub(in crate::server) fn reopen(
        record: PeerRecord,
        about: &AboutClient,
        connection: Arc<ConnectionShared>,
        registry: &Arc<Registry<Self>>,
    ) -> Self {
        let PeerRecord {
            is_confidential,
            credential,
            client_fingerprint,
            schema_difference,
            outgoing,
            extensions,
        } = record;
        let shared = Shared {
            id: about.id,
            remote: Mutex::new(Remote {
                address: about.address.clone(),
                is_confidential,
                credential,
            }),
            resumed: AtomicBool::new(about.resumed),
            client_name: about.name.clone(),
            client_fingerprint,
            schema: schema_difference.map(SchemaCheck::finished_with),
            connection,
            outgoing,
            extensions,
            lost: OnceLock::new(),
            registry: Arc::downgrade(registry),
            at: None,
        };
        Self {
            shared: Arc::new(shared),
            serving: Serving::default(),
        }
    }
}
