//! A typed handler as a service of a broker: a peer for each client that the broker introduces.

use std::{
    collections::HashMap,
    marker::PhantomData,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    Broadcast, Peer, Registry, ServeWith, ServerSide,
    at_topic::AtTopic,
    peer::{Introduction, SchemaTerms},
    peer_connection::Remote,
};
use crate::{
    DisconnectReason, PeerId, Protocol, SchemaRule,
    call::Serving,
    connection::{ConnectionShared, Signal},
    demux::{Introduced, ServiceEndpoint, TopicFilter, VirtualPeer, as_topic, to_peer},
    dispatch::Typed,
    driver::HandlerTask,
    middleware::Stacks,
    service::{self, Inbox, caught, log_panic},
    transport::{PeerAddress, PeerCredential},
};

/// The clients of a service, by the topic at which they speak.
type Topics<P> = Mutex<ByTopic<P>>;
type ByTopic<P> = HashMap<Arc<str>, Arc<Registry<Peer<P>>>>;

/// A handler that serves the clients of a topic, or of all that a filter names.
pub(crate) struct AttachedService<P: Protocol, H> {
    side: Arc<ServerSide<P, H>>,
    stacks: Stacks,
    filter: TopicFilter,
    topics: Arc<Topics<P>>,
    is_confidential: bool,
}

impl<P, H> AttachedService<P, H>
where
    P: ServeWith<H>,
    H: Send + Sync + 'static,
{
    pub(crate) fn new(
        handler: H,
        stacks: Stacks,
        filter: TopicFilter,
        is_confidential: bool,
    ) -> Self {
        let side = ServerSide {
            handler,
            incoming: stacks.incoming.clone(),
            protocol: PhantomData,
        };
        Self {
            side: Arc::new(side),
            stacks,
            filter,
            topics: Arc::default(),
            is_confidential,
        }
    }

    /// The clients of each topic, for broadcasts.
    pub(crate) fn clients(&self) -> AttachedClients<P> {
        AttachedClients(Arc::clone(&self.topics))
    }
}

/// The clients of a service that are known, by topic.
pub(crate) struct AttachedClients<P: Protocol>(Arc<Topics<P>>);

impl<P: Protocol> AttachedClients<P> {
    /// All clients of a topic. `None` where its form is wrong.
    pub(crate) fn broadcast(
        &self,
        topic: &str,
        connection: &Arc<ConnectionShared>,
    ) -> Option<Broadcast<P>> {
        let registry = registry_of(&self.0, &Arc::from(topic), connection)?;
        Some(Broadcast::everyone(&registry))
    }

    /// All that are known here.
    pub(crate) fn peers(&self) -> Vec<Peer<P>> {
        let topics = lock(&self.0);
        topics
            .values()
            .flat_map(|registry| registry.all())
            .collect()
    }
}

fn lock<P: Protocol>(topics: &Topics<P>) -> MutexGuard<'_, ByTopic<P>> {
    topics.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The clients of a topic; `None` where it is none.
fn registry_of<P: Protocol>(
    topics: &Topics<P>,
    topic: &Arc<str>,
    connection: &Arc<ConnectionShared>,
) -> Option<Arc<Registry<Peer<P>>>> {
    let mut topics = lock(topics);
    if let Some(known) = topics.get(topic) {
        return Some(Arc::clone(known));
    }
    let all = as_topic(&**topic).ok()?;
    let registry = Arc::new(Registry::of_topic(connection, all));
    topics.insert(Arc::clone(topic), Arc::clone(&registry));
    Some(registry)
}

impl<P, H> ServiceEndpoint for AttachedService<P, H>
where
    P: ServeWith<H>,
    H: Send + Sync + 'static,
{
    fn serves(&self, topic: &str) -> bool {
        self.filter.matches(topic)
    }

    fn open(
        &self,
        introduced: Introduced<'_>,
        connection: &Arc<ConnectionShared>,
        inbox: &Arc<Inbox>,
    ) -> Option<(Arc<dyn VirtualPeer>, HandlerTask)> {
        let Introduced {
            topic,
            peer: name,
            about,
            sender,
            endpoints,
        } = introduced;
        let registry = registry_of(&self.topics, topic, connection)?;
        if about.fingerprint != 0 && about.fingerprint != P::fingerprint() {
            tracing::warn!(
                protocol = P::NAME,
                %topic,
                client = %msip_session::wire::Escaped::new(&about.client_name),
                ours = %format_args!("{:016x}", P::fingerprint()),
                theirs = %format_args!("{:016x}", about.fingerprint),
                "the schema of a client is another one",
            );
        }
        let introduction = Introduction {
            id: PeerId::of_name(name),
            remote: Remote {
                address: address(&about.address),
                is_confidential: self.is_confidential,
                credential: PeerCredential::None,
            },
            protocol: P::NAME.to_owned(),
            client_name: about.client_name.clone(),
            client_fingerprint: about.fingerprint,
            schema_terms: SchemaTerms {
                rule: SchemaRule::Any,
                describes: false,
                limit: Duration::ZERO,
            },
            log_limiter: Arc::default(),
            schema: None,
        };
        let at = AtTopic {
            topic: Arc::clone(topic),
            name: Arc::clone(name),
            to: to_peer(topic, name).ok()?,
            identity: sender.as_ref().and_then(|sender| sender.1.clone()),
            draining: Arc::default(),
            endpoints: endpoints.clone(),
        };
        let draining = Arc::clone(&at.draining);
        let outgoing = self.stacks.outgoing.clone();
        let peer = Peer::at_topic(
            introduction,
            Arc::clone(connection),
            outgoing,
            &registry,
            at,
        );
        registry.insert(peer.id(), peer.clone());
        let served = Arc::new(Served {
            is_looked_after: AtomicBool::new(false),
            draining,
            reason: OnceLock::new(),
            listed: Listed {
                peer: peer.clone(),
                topic: Arc::clone(topic),
                topics: Arc::downgrade(&self.topics),
                is_one_of_many: !self.filter.is_literal(),
                registry: Arc::downgrade(&registry),
            },
        });
        let context = peer.serving(Serving {
            metadata: sender,
            ..Serving::default()
        });
        let handlers = service::run(
            Arc::new(Typed(Arc::clone(&self.side))),
            context,
            Arc::clone(connection),
            Arc::clone(inbox),
        );
        let (side, ending) = (Arc::clone(&self.side), EndOnDrop(Arc::clone(&served)));
        let handlers = async move {
            handlers.await;
            let served = &ending.0;
            served.end();
            if served.is_looked_after.load(Ordering::Relaxed) {
                tell_gone(&side, served).await;
            }
        };
        Some((served, Box::pin(handlers)))
    }
}

/// Tells the handler that a client has gone.
async fn tell_gone<P, H>(side: &ServerSide<P, H>, served: &Served<P>)
where
    P: ServeWith<H>,
    H: Send + Sync + 'static,
{
    let peer = &served.listed.peer;
    let reason = served.reason.get().cloned();
    let reason = reason.unwrap_or(DisconnectReason::ClosedByUs);
    if let Err(panic) = caught(P::disconnected(&side.handler, peer, reason)).await {
        log_panic("on_client_disconnected", &panic);
    }
    if let Err(panic) = caught(side.gone(peer)).await {
        log_panic("on_client_gone", &panic);
    }
}

/// Where a client connects from, as the broker tells it.
fn address(told: &str) -> PeerAddress {
    let (_, authority) = told.split_once("://").unwrap_or(("", told));
    match authority.parse() {
        Ok(socket) => PeerAddress::Socket(socket),
        Err(_) => PeerAddress::Named(Arc::from(told)),
    }
}

/// A client of a service.
struct Served<P: Protocol> {
    is_looked_after: AtomicBool,
    draining: Arc<Signal>,
    /// Why nothing follows.
    reason: OnceLock<DisconnectReason>,
    listed: Listed<P>,
}

/// A client among the clients of its topic.
struct Listed<P: Protocol> {
    peer: Peer<P>,
    topic: Arc<str>,
    topics: Weak<Topics<P>>,
    /// There may be any number of topics: those without clients are forgotten.
    is_one_of_many: bool,
    registry: Weak<Registry<Peer<P>>>,
}

impl<P: Protocol> Served<P> {
    /// Nothing can be sent to it any more, and nobody finds it.
    fn end(&self) {
        self.listed.peer.ended(&[]);
        self.draining.raise();
        if let Some(registry) = self.listed.registry.upgrade() {
            let peer = &self.listed.peer;
            registry.remove_where(peer.id(), |listed| listed.is_same(peer));
        }
    }
}

impl<P: Protocol> VirtualPeer for Served<P> {
    fn look_after(&self) -> bool {
        !self.is_looked_after.swap(true, Ordering::Relaxed)
    }

    fn gone(&self, reason: DisconnectReason) {
        let _ = self.reason.set(reason);
        self.end();
    }

    fn drain(&self) {
        self.draining.raise();
    }
}

/// The handlers of a client have ended, or were dropped: it leaves its rooms, and its topic where it was the last.
struct EndOnDrop<P: Protocol>(Arc<Served<P>>);

impl<P: Protocol> Drop for EndOnDrop<P> {
    fn drop(&mut self) {
        self.0.end();
        let listed = &self.0.listed;
        let (Some(topics), Some(registry)) = (listed.topics.upgrade(), listed.registry.upgrade())
        else {
            return;
        };
        let mut topics = lock(&topics);
        // Another one with its name may have come meanwhile.
        if registry.get(listed.peer.id()).is_none() {
            registry.rooms().leave_all(listed.peer.id());
        }
        if listed.is_one_of_many && registry.is_empty() {
            topics.remove(&listed.topic);
        }
    }
}
