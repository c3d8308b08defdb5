//! What a server offers without a schema: an untyped service, for one protocol or any.

use std::{fmt, sync::Arc};

use super::{
    super::{admission::Connected, introduction::Introduction, peer_connection::Remote},
    Offer, Once, ParkedPeer, ServedPeer,
};
use crate::{
    DisconnectReason, PeerId,
    connection::ConnectionShared,
    driver::{HandlerTask, no_handlers},
    negotiation::Translations,
    raw,
    service::{self, Inbox},
};
use msip_session::Lost;

/// An untyped protocol with its service.
pub(in crate::server) struct UntypedOffer<S> {
    protocol: UntypedProtocol,
    service: Arc<raw::RawService<S>>,
    translations: Translations,
    connected: Arc<Connected>,
}

impl<S: raw::Service> UntypedOffer<S> {
    pub(in crate::server) fn new(protocol: UntypedProtocol, service: S) -> Self {
        Self {
            protocol,
            service: Arc::new(raw::RawService(Arc::new(service), None)),
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
            Arc::clone(&self.service),
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
