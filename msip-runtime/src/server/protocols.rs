//! The protocols that a server offers: HELLO names one, and its service is run.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use super::{
    Peer, Registry, ServerSide,
    about_client::AboutClient,
    admission::{Connected, Listing, when_admitted},
    peer::{Introduction, PeerRecord, SchemaTerms},
    peer_connection::Remote,
};
use crate::{
    CallOptions, DisconnectReason, PeerId, Protocol, ServeWith, Status,
    compatibility::{PeerSchemas, beside, describes},
    connection::ConnectionShared,
    describe::OwnSchema,
    dialect::DialectProtocol,
    dispatch::{Dispatch as _, Typed},
    driver::{HandlerTask, no_handlers},
    middleware::Stack,
    negotiation::{MAX_NAME_LEN, Translations},
    raw,
    service::{self, Inbox},
    settings::{SchemaRule, Settings},
};
use msip_session::{
    Lost,
    wire::{Escaped, Hello},
};

/// Every protocol of a server, in the order in which they were given.
#[derive(Debug, Default)]
pub(super) struct ProtocolTable {
    offers: Vec<Box<dyn Offer>>,
}

/// A protocol that a server offers, or any protocol at all.
pub(super) trait Offer: fmt::Debug + Send + Sync {
    /// Its name in HELLO; `None` for any.
    fn name(&self) -> Option<&str>;

    /// The fingerprint of its schema; `None` for any.
    fn fingerprint(&self) -> Option<u64>;

    /// What a dialect has to know of it; `None` where it has no schema.
    fn for_dialects(&self) -> Option<DialectProtocol> {
        None
    }

    /// Whether it can describe its schema to a client that has another one.
    fn describes(&self) -> bool;

    /// Whether its service routes messages by their topics, as a broker does.
    fn routes_topics(&self) -> bool {
        false
    }

    /// Whether its sessions may have channels.
    fn has_channels(&self) -> bool;

    /// How bodies are written in the codecs that there are.
    fn translations(&self) -> &Translations;

    /// Every client of it that is connected.
    fn connected(&self) -> Vec<Arc<ConnectionShared>>;

    /// Begins a session of a client whose HELLO names it.
    fn open(
        &self,
        introduction: Introduction,
        connection: &Arc<ConnectionShared>,
        inbox: &Arc<Inbox>,
    ) -> (Arc<dyn ServedPeer>, HandlerTask);
}

/// A future in a box: of what happens once in a session.
pub(super) type Once<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// The client of a session, as what serves it knows it.
pub(super) trait ServedPeer: Send + Sync {
    /// It is connected.
    fn register(&self);

    /// It is not.
    fn unregister(&self);

    /// It has resumed its session with another connection.
    fn has_resumed(&self, remote: Remote);

    /// Whether the handlers of its session can be dropped while it has no connection, and [begun](Self::handlers) anew.
    fn can_begin_handlers(&self) -> bool;

    /// Begins the handlers of its session anew, which has a connection again.
    fn handlers(&self, inbox: &Arc<Inbox>) -> HandlerTask;

    /// The handlers of a channel of its session. `None` where nothing can be handled yet.
    fn channel_handlers(
        &self,
        connection: &Arc<ConnectionShared>,
        inbox: &Arc<Inbox>,
    ) -> Option<HandlerTask>;

    /// Whether its session can be parked: nobody else has a handle of it.
    fn can_park(&self) -> bool;

    /// What is kept of it while its session is parked: from here on this is not used. `None` where it
    /// [cannot be parked](Self::can_park).
    fn park(&self) -> Option<Box<dyn ParkedPeer>>;

    /// What is kept of it while it has no connection and depends on it: names, identity, rooms; in bytes.
    fn suspended_len(&self) -> usize;

    /// Its session has ended, and this was open in it.
    fn ended(&self, lost: &[Lost]);

    /// Tells the handler that its last connection has ended.
    fn disconnected(&self, reason: DisconnectReason) -> Once<'_>;

    /// Tells the handler that its session has ended for good.
    fn gone(&self) -> Once<'_>;
}

/// What is kept of the client, for what serves it.
pub(super) trait ParkedPeer: Send + Sync {
    /// The client as it was before. Its connection is there, and its handlers are not.
    fn reopen(
        self: Box<Self>,
        about: &AboutClient,
        connection: &Arc<ConnectionShared>,
    ) -> Arc<dyn ServedPeer>;

    /// What it takes, in bytes, with the client's rooms.
    fn len(&self, about: &AboutClient) -> usize;
}

impl ProtocolTable {
    /// Adds a protocol in front of the others.
    pub(super) fn push_first(&mut self, offer: Box<dyn Offer>) {
        self.offers.insert(0, offer);
    }

    pub(super) fn push(&mut self, offer: Box<dyn Offer>) {
        self.offers.push(offer);
    }

    /// What dialects have to know of those that have a schema.
    pub(super) fn for_dialects(&self) -> impl Iterator<Item = DialectProtocol> {
        self.offers.iter().filter_map(|offer| offer.for_dialects())
    }

    /// What serves the protocol that a client's HELLO names.
    pub(super) fn find(&self, hello: &Hello, settings: &Settings) -> Result<&dyn Offer, Status> {
        if hello.protocol.len() > MAX_NAME_LEN {
            let text = format!(
                "the name of the protocol has {} bytes: at most {MAX_NAME_LEN} are allowed",
                hello.protocol.len()
            );
            return Err(Status::failed_precondition(text));
        }
        let named = |name| self.offers.iter().find(|offer| offer.name() == name);
        let found = named(Some(hello.protocol.as_str())).or_else(|| named(None));
        let Some(offer) = found else {
            let text = format!(
                "this server speaks {}, not `{}`",
                self.names(),
                Escaped::new(&hello.protocol)
            );
            return Err(Status::failed_precondition(text));
        };
        check_fingerprint(&**offer, hello, settings.schema)?;
        Ok(&**offer)
    }

    /// Every client that is connected.
    pub(super) fn connected(&self) -> Vec<Arc<ConnectionShared>> {
        self.offers
            .iter()
            .flat_map(|offer| offer.connected())
            .collect()
    }

    /// The names of all of them, for logs.
    pub(super) fn log_name(&self) -> String {
        let names = self.offers.iter().map(|offer| offer.name().unwrap_or("*"));
        names.collect::<Vec<_>>().join(",")
    }

    /// The names of all of them, for the refusal of an unknown one.
    fn names(&self) -> String {
        let names: Vec<String> = self
            .offers
            .iter()
            .map(|offer| match offer.name() {
                Some(name) => format!("`{name}`"),
                None => "any protocol".to_owned(),
            })
            .collect();
        match names.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, others)) => format!("{} and {last}", others.join(", ")),
            None => "no protocol".to_owned(),
        }
    }
}

/// Whether a client whose schema has this fingerprint may be served. What can be compared is compared later.
fn check_fingerprint(offer: &dyn Offer, hello: &Hello, rule: SchemaRule) -> Result<(), Status> {
    let theirs = hello.fingerprint;
    let Some(ours) = offer.fingerprint().filter(|ours| *ours != theirs) else {
        return Ok(());
    };
    let why = match rule {
        SchemaRule::Any => return Ok(()),
        SchemaRule::Compatible if !offer.describes() => ", and the server cannot compare them",
        SchemaRule::Compatible if !describes(&hello.extensions) => {
            ", and the client cannot describe its own"
        }
        SchemaRule::Compatible => return Ok(()),
        SchemaRule::Strict => "",
    };
    let text = format!(
        "the server's schema has the fingerprint {ours:016x}, the client's {theirs:016x}{why}"
    );
    Err(Status::failed_precondition(text))
}

/// A typed protocol with its handler.
pub(super) struct TypedOffer<P: Protocol, H> {
    side: Arc<ServerSide<P, H>>,
    outgoing: Stack,
    registry: Arc<Registry<Peer<P>>>,
    /// Clients that are not admitted yet.
    waiting: Arc<Connected>,
    schemas: Arc<PeerSchemas>,
    translations: Translations,
}

impl<P: Protocol, H> TypedOffer<P, H> {
    pub(super) fn new(
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

/// An untyped protocol with its service.
pub(super) struct UntypedOffer<S> {
    protocol: UntypedProtocol,
    service: Arc<S>,
    translations: Translations,
    connected: Arc<Connected>,
}

impl<S: raw::Service> UntypedOffer<S> {
    pub(super) fn new(protocol: UntypedProtocol, service: S) -> Self {
        Self {
            protocol,
            service: Arc::new(service),
            translations: Translations::none(),
            connected: Arc::default(),
        }
    }
}

/// Which protocols an untyped service is for: of one name, or any, with one schema, or any.
///
/// ```
/// use msip_runtime::untyped::UntypedProtocol;
///
/// let one = UntypedProtocol::named("chat").with_fingerprint(0x1234);
/// let any = UntypedProtocol::any();
/// # let _ = (one, any);
/// ```
#[derive(Debug, Clone, Default)]
pub struct UntypedProtocol {
    name: Option<String>,
    fingerprint: Option<u64>,
    has_topics: bool,
}

impl UntypedProtocol {
    /// Any protocol that no other of the server's has the name of.
    #[must_use]
    pub const fn any() -> Self {
        Self {
            name: None,
            fingerprint: None,
            has_topics: false,
        }
    }

    /// The protocol of this name, whatever its schema.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            fingerprint: None,
            has_topics: false,
        }
    }

    /// The same with a schema of this fingerprint. A mismatch is reported to the client; `schema=strict` refuses it, and so
    /// does `schema=compatible`, since an untyped service has no schema to compare with.
    #[must_use]
    pub fn with_fingerprint(mut self, fingerprint: u64) -> Self {
        self.fingerprint = Some(fingerprint);
        self
    }

    /// Its service is a broker: it routes messages by their topics, and answers
    /// [`Event::Subscribe`](crate::untyped::Event::Subscribe) and
    /// [`Event::Unsubscribe`](crate::untyped::Event::Unsubscribe). Clients are told so. Default: topics are refused.
    #[must_use]
    pub fn with_topics(mut self) -> Self {
        self.has_topics = true;
        self
    }
}

impl<S> fmt::Debug for UntypedOffer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.protocol.fmt(f)
    }
}

impl<S: raw::Service> Offer for UntypedOffer<S> {
    fn name(&self) -> Option<&str> {
        self.protocol.name.as_deref()
    }

    fn fingerprint(&self) -> Option<u64> {
        self.protocol.fingerprint
    }

    fn describes(&self) -> bool {
        false
    }

    fn routes_topics(&self) -> bool {
        self.protocol.has_topics
    }

    /// A service of the user consumes one connection.
    fn has_channels(&self) -> bool {
        false
    }

    fn translations(&self) -> &Translations {
        &self.translations
    }

    fn connected(&self) -> Vec<Arc<ConnectionShared>> {
        self.connected.all()
    }

    fn open(
        &self,
        introduction: Introduction,
        connection: &Arc<ConnectionShared>,
        inbox: &Arc<Inbox>,
    ) -> (Arc<dyn ServedPeer>, HandlerTask) {
        let Introduction {
            id,
            remote,
            protocol,
            client_name,
            client_fingerprint,
            ..
        } = introduction;
        let peer = raw::UntypedPeer::client(
            raw::Handle::new(connection),
            protocol,
            client_fingerprint,
            client_name,
            (id, remote.address),
        );
        let handlers = Box::pin(service::run(
            Arc::new(raw::RawService(Arc::clone(&self.service), None)),
            peer,
            Arc::clone(connection),
            Arc::clone(inbox),
        ));
        let served = UntypedPeer {
            id,
            connection: Arc::clone(connection),
            connected: Arc::clone(&self.connected),
        };
        (Arc::new(served), handlers)
    }
}

/// A client of an untyped protocol: its service hears all there is to tell from what it receives.
struct UntypedPeer {
    id: PeerId,
    connection: Arc<ConnectionShared>,
    connected: Arc<Connected>,
}

impl ServedPeer for UntypedPeer {
    fn register(&self) {
        self.connected.insert(self.id, &self.connection);
    }

    fn unregister(&self) {
        self.connected.remove(self.id);
    }

    fn has_resumed(&self, _: Remote) {}

    /// A service of the user runs for as long as the session does.
    fn can_begin_handlers(&self) -> bool {
        false
    }

    fn handlers(&self, _: &Arc<Inbox>) -> HandlerTask {
        no_handlers()
    }

    fn channel_handlers(&self, _: &Arc<ConnectionShared>, _: &Arc<Inbox>) -> Option<HandlerTask> {
        None
    }

    /// Nor is it parked, since the service has a handle of it.
    fn can_park(&self) -> bool {
        false
    }

    fn park(&self) -> Option<Box<dyn ParkedPeer>> {
        None
    }

    fn suspended_len(&self) -> usize {
        let identity = self.connection.identity();
        identity.map_or(0, |identity| identity.len())
    }

    fn ended(&self, _: &[Lost]) {}

    fn disconnected(&self, _: DisconnectReason) -> Once<'_> {
        Box::pin(std::future::ready(()))
    }

    fn gone(&self) -> Once<'_> {
        Box::pin(std::future::ready(()))
    }
}
