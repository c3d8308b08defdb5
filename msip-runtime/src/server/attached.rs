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

use msip_session::wire::broker::PresenceInd;
use tokio::sync::watch;

use super::{
    Broadcast, Peer, Registry, ServeWith, ServerSide,
    at_topic::AtTopic,
    introduction::{Introduction, SchemaTerms},
    peer_connection::Remote,
    peer_turns::PeerTurns,
};
use crate::{
    CallOptions, DisconnectReason, PeerId, Protocol, SchemaRule, Status,
    call::Serving,
    compatibility::{PeerSchemas, beside},
    connection::{ConnectionShared, Signal},
    demux::{Endpoints, Introduced, ServiceEndpoint, TopicFilter, VirtualPeer, as_topic, to_peer},
    describe::OwnSchema,
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
    terms: ServiceTerms,
    schemas: Arc<PeerSchemas>,
    topics: Arc<Topics<P>>,
    turns: PeerTurns,
}

/// On which terms a handler serves.
#[derive(Debug)]
pub(crate) struct ServiceTerms {
    pub(crate) filter: TopicFilter,
    /// Whether clients with another schema are refused; of a topic whose first service is another one, whatever that says.
    pub(crate) is_strict: bool,
    /// Whether it is the first service of its topic, once the broker has said so.
    pub(crate) is_first: watch::Sender<Option<bool>>,
    /// Whether nobody can read what is sent to the broker.
    pub(crate) is_confidential: bool,
    /// How long a client may take to tell its schema.
    pub(crate) schema_timeout: Duration,
    /// Why the broker has ended the service.
    pub(crate) refused: watch::Sender<Option<Status>>,
}

impl<P, H> AttachedService<P, H>
where
    P: ServeWith<H>,
    H: Send + Sync + 'static,
{
    pub(crate) fn new(handler: H, stacks: Stacks, terms: ServiceTerms) -> Self {
        let side = ServerSide {
            handler,
            incoming: stacks.incoming.clone(),
            protocol: PhantomData,
        };
        Self {
            side: Arc::new(side),
            stacks,
            terms,
            schemas: PeerSchemas::of_clients(OwnSchema::of::<P>()),
            topics: Arc::default(),
            turns: PeerTurns::default(),
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
    fn filter(&self) -> &TopicFilter {
        &self.terms.filter
    }

    fn schema(&self) -> &Arc<OwnSchema> {
        self.schemas.own()
    }

    fn refused(&self, status: &Status) {
        let topic = self.terms.filter.as_str();
        tracing::warn!(topic, %status, "the broker has ended a service");
        self.terms.refused.send_replace(Some(status.clone()));
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
        let Ok(to) = to_peer(topic, name) else {
            tracing::warn!(%topic, "the name of a topic is too long for its clients to be answered");
            return None;
        };
        let theirs = self.schema_of(about);
        let refusing = (self.terms.is_strict && theirs != P::fingerprint()).then(|| {
            let (is_first, endpoints) = (self.terms.is_first.subscribe(), endpoints.clone());
            let (topic, name) = (Arc::clone(topic), Arc::clone(name));
            refuse_if_first(is_first, endpoints, topic, name, self.other_schema(theirs))
        });
        let options = CallOptions::new().timeout(self.terms.schema_timeout);
        let (rule, at) = (SchemaRule::Any, Some(&to));
        let check = self
            .schemas
            .check(theirs, true, connection, at, options, rule);
        let (schema, checking) = check.unzip();
        let registry = registry_of(&self.topics, topic, connection)?;
        let introduction = Introduction {
            id: PeerId::of_name(name),
            remote: Remote {
                address: address(&about.address),
                is_confidential: self.terms.is_confidential,
                credential: PeerCredential::None,
            },
            protocol: P::NAME.to_owned(),
            client_name: about.client_name.clone(),
            client_fingerprint: about.fingerprint,
            schema_terms: SchemaTerms {
                rule: SchemaRule::Any,
                describes: true,
                limit: self.terms.schema_timeout,
            },
            log_limiter: Arc::default(),
            schema,
        };
        let at = AtTopic {
            topic: Arc::clone(topic),
            name: Arc::clone(name),
            to,
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
                is_one_of_many: !self.terms.filter.is_literal(),
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
        let handlers: HandlerTask = match checking {
            None => Box::pin(handlers),
            Some(checking) => beside(checking, Box::pin(handlers)),
        };
        let (side, ending) = (Arc::clone(&self.side), EndOnDrop(Arc::clone(&served)));
        let (mut turn, limit) = (self.turns.enter(topic, name), self.terms.schema_timeout);
        let handlers = async move {
            Box::pin(turn.begin(limit)).await;
            let is_refused = match refusing {
                Some(refusing) => Box::pin(refusing).await,
                None => false,
            };
            if !is_refused {
                handlers.await;
            }
            let served = &ending.0;
            served.end();
            if served.is_looked_after.load(Ordering::Relaxed) {
                tell_gone(&side, served).await;
            }
            drop(turn);
        };
        Some((served, Box::pin(handlers)))
    }
}

impl<P: Protocol, H> AttachedService<P, H> {
    /// The fingerprint of a client's schema; ours where it says nothing of this protocol.
    fn schema_of(&self, about: &PresenceInd) -> u64 {
        let is_of_this = about.protocol.is_empty() || about.protocol == P::NAME;
        match about.fingerprint {
            theirs if is_of_this && theirs != 0 => theirs,
            _ => P::fingerprint(),
        }
    }

    /// What a client is told that came before this service, which is strict.
    fn other_schema(&self, theirs: u64) -> Status {
        Status::failed_precondition(format!(
            "the service of topic `{}` has the schema {:016x} of `{}`, the client {theirs:016x}, and the service is strict",
            self.terms.filter.as_str(),
            P::fingerprint(),
            P::NAME,
        ))
    }
}

/// Refuses a client that came before the first service of its topic, which is strict. The broker refuses those that come later.
async fn refuse_if_first(
    mut is_first: watch::Receiver<Option<bool>>,
    endpoints: Endpoints,
    topic: Arc<str>,
    name: Arc<str>,
    status: Status,
) -> bool {
    let known = is_first.wait_for(Option::is_some).await;
    let is_refused = known.is_ok_and(|is_first| *is_first == Some(true));
    if is_refused {
        endpoints.disconnect(&topic, &name, status);
    }
    is_refused
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
