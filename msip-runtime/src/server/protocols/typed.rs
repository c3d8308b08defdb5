//! A typed protocol that a server offers, with its handler.

use std::{fmt, sync::Arc};

use super::{
    super::{
        Peer, Registry, ServerSide,
        about_client::AboutClient,
        admission::{Connected, Listing, when_admitted},
        introduction::{Introduction, SchemaTerms},
        peer::PeerRecord,
        peer_connection::Remote,
    },
    Offer, Once, ParkedPeer, ServedPeer,
};
use crate::{
    CallOptions, DisconnectReason, Protocol, ServeWith,
    compatibility::{PeerSchemas, beside},
    connection::ConnectionShared,
    describe::OwnSchema,
    dialect::DialectProtocol,
    dispatch::{Dispatch as _, Typed},
    driver::HandlerTask,
    middleware::Stack,
    negotiation::Translations,
    service::{self, Inbox},
    settings::SchemaRule,
};
use msip_session::Lost;

/// A typed protocol with its handler.
pub(in crate::server) struct TypedOffer<P: Protocol, H> {
    side: Arc<ServerSide<P, H>>,
    outgoing: Stack,
    registry: Arc<Registry<Peer<P>>>,
    /// Clients that are not admitted yet.
    waiting: Arc<Connected>,
    schemas: Arc<PeerSchemas>,
    translations: Translations,
}

impl<P: Protocol, H> TypedOffer<P, H> {
    pub(in crate::server) fn new(
        side: Arc<ServerSide<P, H>>,
        outgoing: Stack,
        registry: Arc<Registry<Peer<P>>>,
    ) -> Self {
        Self {
            side,
            outgoing,
            registry,
            waiting: Arc::default(),
            schemas: PeerSchemas::of_clients(OwnSchema::of::<P>()),
            translations: Translations::of::<P>(),
        }
    }
}

impl<P: Protocol, H> fmt::Debug for TypedOffer<P, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(P::NAME)
    }
}

impl<P, H> Offer for TypedOffer<P, H>
where
    P: ServeWith<H>,
    H: Send + Sync + 'static,
{
    fn name(&self) -> Option<&str> {
        Some(P::NAME)
    }

    fn fingerprint(&self) -> Option<u64> {
        Some(P::fingerprint())
    }

    fn for_dialects(&self) -> Option<DialectProtocol> {
        Some(DialectProtocol::of::<P>())
    }

    fn describes(&self) -> bool {
        true
    }

    fn has_channels(&self) -> bool {
        true
    }

    fn translations(&self) -> &Translations {
        &self.translations
    }

    fn connected(&self) -> Vec<Arc<ConnectionShared>> {
        let peers = self.registry.all();
        let mut connected: Vec<_> = peers.iter().map(|peer| peer.shared().clone()).collect();
        connected.extend(self.waiting.all());
        connected
    }

    fn open(
        &self,
        mut introduction: Introduction,
        connection: &Arc<ConnectionShared>,
        inbox: &Arc<Inbox>,
    ) -> (Arc<dyn ServedPeer>, HandlerTask) {
        connection.describe(Arc::clone(self.schemas.own()));
        let SchemaTerms {
            rule,
            describes,
            limit,
        } = introduction.schema_terms;
        let theirs = introduction.client_fingerprint;
        let options = CallOptions::new().timeout(limit);
        let check = self
            .schemas
            .check(theirs, describes, connection, None, options, rule);
        let (check, checking) = check.unzip();
        introduction.schema = check;
        let is_admitted = checking.is_none() || rule == SchemaRule::Any;
        let log_limiter = Arc::clone(&introduction.log_limiter);
        let peer = Peer::new(
            introduction,
            Arc::clone(connection),
            self.outgoing.clone(),
            &self.registry,
        );
        let side = Arc::clone(&self.side);
        let handlers = handlers_of(&side, &peer, connection, inbox);
        let (registry, waiting) = (Arc::clone(&self.registry), Arc::clone(&self.waiting));
        let listing = Arc::new(Listing::new(peer.clone(), registry, waiting, is_admitted));
        let handlers = match checking {
            None => handlers,
            Some(checking) if is_admitted => beside(checking, handlers),
            Some(checking) => {
                let inbox = Arc::clone(inbox);
                when_admitted(Arc::clone(&listing), checking, handlers, inbox, log_limiter)
            }
        };
        let served = TypedPeer {
            side,
            peer,
            listing,
        };
        (Arc::new(served), handlers)
    }
}

/// The handlers of what comes by one connection of a client.
fn handlers_of<P, H>(
    side: &Arc<ServerSide<P, H>>,
    peer: &Peer<P>,
    connection: &Arc<ConnectionShared>,
    inbox: &Arc<Inbox>,
) -> HandlerTask
where
    P: ServeWith<H>,
    H: Send + Sync + 'static,
{
    let service = Arc::new(Typed(Arc::clone(side)));
    Box::pin(service::run(
        service,
        peer.clone(),
        Arc::clone(connection),
        Arc::clone(inbox),
    ))
}

/// How many handles of a client a session has while its handlers are not there: one of its own, and one to be listed.
const OWN_HANDLES: usize = 2;

/// A client of a typed protocol.
struct TypedPeer<P: Protocol, H> {
    side: Arc<ServerSide<P, H>>,
    peer: Peer<P>,
    listing: Arc<Listing<P>>,
}

impl<P, H> ServedPeer for TypedPeer<P, H>
where
    P: ServeWith<H>,
    H: Send + Sync + 'static,
{
    fn register(&self) {
        self.listing.connected();
    }

    fn unregister(&self) {
        self.listing.disconnected();
    }

    fn has_resumed(&self, remote: Remote) {
        self.peer.has_resumed(remote);
    }

    fn can_begin_handlers(&self) -> bool {
        // The comparison of its schema runs beside them, or before.
        !self.peer.is_being_compared() && self.listing.is_admitted()
    }

    fn handlers(&self, inbox: &Arc<Inbox>) -> HandlerTask {
        handlers_of(&self.side, &self.peer, self.peer.shared(), inbox)
    }

    fn channel_handlers(
        &self,
        connection: &Arc<ConnectionShared>,
        inbox: &Arc<Inbox>,
    ) -> Option<HandlerTask> {
        let is_admitted = self.listing.is_admitted();
        is_admitted.then(|| handlers_of(&self.side, &self.peer, connection, inbox))
    }

    fn can_park(&self) -> bool {
        self.can_begin_handlers() && self.peer.handle_count() == OWN_HANDLES
    }

    fn park(&self) -> Option<Box<dyn ParkedPeer>> {
        if !self.can_park() {
            return None;
        }
        let record = self.peer.park();
        let (registry, waiting) = self.listing.park();
        Some(Box::new(ParkedTypedPeer {
            side: Arc::clone(&self.side),
            record,
            registry,
            waiting,
        }))
    }

    fn suspended_len(&self) -> usize {
        self.peer.suspended_len()
    }

    fn ended(&self, lost: &[Lost]) {
        self.peer.ended(lost);
    }

    fn disconnected(&self, reason: DisconnectReason) -> Once<'_> {
        if !self.listing.is_admitted() {
            return Box::pin(std::future::ready(()));
        }
        Box::pin(self.side.disconnected(&self.peer, reason))
    }

    fn gone(&self) -> Once<'_> {
        if !self.listing.is_admitted() {
            return Box::pin(std::future::ready(()));
        }
        Box::pin(self.side.gone(&self.peer))
    }
}

/// What is kept of a client of a typed protocol.
struct ParkedTypedPeer<P: Protocol, H> {
    side: Arc<ServerSide<P, H>>,
    record: PeerRecord,
    registry: Arc<Registry<Peer<P>>>,
    waiting: Arc<Connected>,
}

impl<P, H> ParkedPeer for ParkedTypedPeer<P, H>
where
    P: ServeWith<H>,
    H: Send + Sync + 'static,
{
    fn reopen(
        self: Box<Self>,
        about: &AboutClient,
        connection: &Arc<ConnectionShared>,
    ) -> Arc<dyn ServedPeer> {
        let Self {
            side,
            record,
            registry,
            waiting,
        } = *self;
        let peer = Peer::reopen(record, about, Arc::clone(connection), &registry);
        let listing = Arc::new(Listing::new(peer.clone(), registry, waiting, true));
        Arc::new(TypedPeer {
            side,
            peer,
            listing,
        })
    }

    fn len(&self, about: &AboutClient) -> usize {
        size_of::<Self>() + self.record.len() + self.registry.rooms().len_of_peer(about.id)
    }
}

/// Its session has ended for good, and its handler knows.
impl<P: Protocol, H> Drop for TypedPeer<P, H> {
    fn drop(&mut self) {
        self.listing.leave_rooms();
    }
}
