//! Typed traffic: the clients of a topic, and the instances of its services that hear each of them apart.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use msip_session::wire::Code;

use super::{Control, Difference, Router, SubscribeRequest};
use crate::{
    router::{
        ClientAt, OutboxItem, Refused, SessionKey, SubscriptionEnd, TopicSpoken, WakeList,
        client::Client, fault_injection::FaultInjection, session::Session, subscriptions::Spoken,
    },
    topic::{self, Filter, Internal, TopicFilter},
};

/// The topic of a filter that has no wildcards.
fn literal(filter: &Filter) -> Option<Bytes> {
    match filter {
        Filter::Literal(topic) => Some(topic.clone()),
        Filter::Pattern(filter) if filter.is_literal() => {
            Some(Bytes::copy_from_slice(filter.as_str().as_bytes()))
        }
        Filter::Pattern(_) => None,
    }
}

/// The filter `T` of `T/$in`.
fn served(filter: &Filter) -> Option<TopicFilter> {
    let Filter::Pattern(filter) = filter else {
        return None;
    };
    match Internal::of(filter.as_str().as_bytes()) {
        Internal::Services(about) => TopicFilter::new(str::from_utf8(about).ok()?).ok(),
        _ => None,
    }
}

impl Router {
    /// Tells an instance that a client has gone which was away already when something of it was given to this instance, by
    /// another one that had it.
    pub(in crate::router) fn check_client(
        &self,
        instance: &Session,
        at: &ClientAt,
        wakes: &mut WakeList,
    ) {
        let is_there = self.control().sessions.contains_key(&at.client.key);
        if !is_there && !FaultInjection::KeepStrangers.is_on() {
            instance.with_outbox(|outbox| outbox.client_gone(at, wakes));
        }
    }

    /// Ends the subscription of a client to a topic, which takes too little of what waits there, and tells it. Returns what others
    /// can have.
    pub(in crate::router) fn end_slow(
        &self,
        session: &Arc<Session>,
        topic: &Bytes,
        wakes: &mut WakeList,
    ) -> Vec<OutboxItem> {
        let text = str::from_utf8(topic).ok();
        let Some(filter) = text.and_then(|text| TopicFilter::new(text).ok()) else {
            return Vec::new();
        };
        let filter = Filter::Pattern(filter);
        let mut control = self.control();
        if control.unsubscribe(session.key, &filter).is_none() {
            return session.with_outbox(|outbox| outbox.leave_topic(topic, wakes));
        }
        let left = control.leaves(session, &filter, wakes);
        let most = session.limits.subscriptions;
        session.with_outbox(|outbox| {
            outbox.subscription_ended(filter, SubscriptionEnd::SlowConsumer, most, wakes);
        });
        left
    }

    /// The client of a session, if it is there.
    pub(in crate::router) fn client(&self, key: SessionKey) -> Option<Arc<Client>> {
        let control = self.control();
        let entry = control.sessions.get(&key)?;
        Some(entry.session.client.clone())
    }
}

impl Control {
    /// What the first service of a topic speaks; of those that are not this session, where it is one of them.
    fn spoken_at(&self, about: &[u8], except: Option<SessionKey>) -> Option<Arc<Spoken>> {
        let services = self.subscriptions.matching(&topic::services(about));
        let others = services
            .into_iter()
            .filter(|one| Some(one.session.key) != except);
        let spoken = others.filter_map(|one| one.spoken.as_ref());
        spoken.min_by_key(|spoken| spoken.since).cloned()
    }

    /// What the first service of a topic speaks. Refuses a subscription of typed traffic that does not go with it.
    pub(super) fn spoken(
        &self,
        key: SessionKey,
        request: &SubscribeRequest,
    ) -> Result<Option<Difference>, Refused> {
        let invalid = |text: &'static str| Refused::new(Code::InvalidArgument, text);
        let topic = literal(&request.filter);
        let about = match topic.as_deref().map(Internal::of) {
            Some(Internal::Services(about) | Internal::Clients(about)) => Some(about),
            Some(Internal::Peer { topic, .. }) if !request.is_by_peer => Some(topic),
            _ if request.is_by_peer && served(&request.filter).is_none() => {
                return Err(invalid(
                    "by_peer is for a topic `T` without wildcards, and for `T/$in`",
                ));
            }
            _ => None,
        };
        if request.is_by_peer && request.group.is_some() {
            return Err(invalid(
                "by_peer and a group: instances share the work without one",
            ));
        }
        // A client of a topic that its own session serves is one like any other.
        let is_service = served(&request.filter).is_some();
        let except = is_service.then_some(key);
        let Some(spoken) = about.and_then(|about| self.spoken_at(about, except)) else {
            return Ok(None);
        };
        if let Some(protocol) = request.protocol.as_deref().filter(|_| request.is_by_peer) {
            let refused = |text: String| Refused {
                code: Code::FailedPrecondition,
                text: text.into(),
            };
            if protocol != &*spoken.protocol {
                return Err(refused(format!(
                    "the first service of this topic speaks `{}`, and not `{protocol}`",
                    spoken.protocol
                )));
            }
            if spoken.is_strict && request.fingerprint != spoken.fingerprint {
                return Err(refused(format!(
                    "the first service of this topic has another schema of `{protocol}` ({:016x}, not {:016x}), and is \
                     strict",
                    spoken.fingerprint, request.fingerprint
                )));
            }
        }
        Ok(Some(Difference {
            protocol: String::from(&*spoken.protocol),
            fingerprint: spoken.fingerprint,
        }))
    }

    /// Whether a session hears each client apart that sends to `T/$in`.
    pub(super) fn hears_apart(&self, session: SessionKey, inner: &[u8]) -> bool {
        let all = self.subscriptions.matching(inner);
        all.iter()
            .any(|one| one.session.key == session && one.is_by_peer)
    }

    /// The instances of a topic that hear each client apart, those that are connected first.
    fn instances(&self, about: &[u8]) -> Vec<Arc<Session>> {
        let inner = topic::services(about);
        let found = self.subscriptions.matching(&inner).into_iter();
        let mut instances: Vec<_> = found
            .filter(|one| {
                let entry = self.sessions.get(&one.session.key);
                one.is_by_peer && entry.is_some_and(|entry| self.may_hear(entry, &inner))
            })
            .map(|one| one.session.clone())
            .collect();
        instances.sort_by_key(|one| (!one.is_connected(), one.key));
        instances.dedup_by_key(|one| one.key);
        instances
    }

    /// Tells the clients that came before the first service of a topic what is spoken there.
    pub(super) fn tell_of_first(
        &self,
        session: &Session,
        request: &SubscribeRequest,
        now: Duration,
        wakes: &mut WakeList,
    ) {
        let (Some(protocol), Some(serves)) = (&request.protocol, served(&request.filter)) else {
            return;
        };
        for topic in self.topics_of(&serves) {
            if self.spoken_at(&topic, Some(session.key)).is_some() {
                continue;
            }
            let clients = self.subscriptions.by_peer(&topic);
            let spoken = Arc::new(TopicSpoken {
                topic,
                protocol: protocol.clone(),
                fingerprint: request.fingerprint,
            });
            for client in clients {
                let item = OutboxItem::TopicSpoken(spoken.clone());
                // One that has no place for it ends by what it does not take.
                let _ = client.push(item, u64::MAX, now, wakes);
            }
        }
    }

    /// The topics of a service at which somebody is.
    fn topics_of(&self, serves: &TopicFilter) -> Vec<Bytes> {
        if serves.is_literal() {
            return vec![Bytes::copy_from_slice(serves.as_str().as_bytes())];
        }
        let all = self.subscriptions.topics();
        let mut topics: Vec<_> = all.filter(|topic| serves.matches(topic)).cloned().collect();
        topics.sort_unstable();
        topics
    }

    /// A session has subscribed to typed traffic: as a client of a topic, or as an instance.
    pub(super) fn comes(
        &mut self,
        session: &Arc<Session>,
        request: &SubscribeRequest,
        wakes: &mut WakeList,
    ) {
        if let Some(serves) = served(&request.filter) {
            // Clients that came before, and that nobody looks after.
            for about in self.topics_of(&serves) {
                for client in self.subscriptions.by_peer(&about) {
                    if client.client.carer(&about).is_none() {
                        let at = ClientAt {
                            topic: about.clone(),
                            client: client.client.clone(),
                        };
                        session.with_outbox(|outbox| outbox.introduce(&at, wakes));
                    }
                }
            }
        } else if let Some(about) = literal(&request.filter) {
            let about = self.subscriptions.shared_topic(about);
            let spoken = request.protocol.as_deref().map(|protocol| {
                // Mostly what is spoken there: each client shares its name.
                let known = self
                    .spoken_at(&about, None)
                    .map(|known| known.protocol.clone());
                let known = known.filter(|known| **known == *protocol);
                (
                    known.unwrap_or_else(|| protocol.into()),
                    request.fingerprint,
                )
            });
            session.client.comes(&about, spoken);
            let own = topic::to_peer(&about, &session.client.peer);
            self.routes.outdate(&own);
            if session.client.carer(&about).is_none() {
                self.find_carer(session.client.key, about, session, wakes);
            }
        }
    }

    /// An instance is introduced to a client, and looks after it.
    fn find_carer(
        &self,
        client: SessionKey,
        topic: Bytes,
        session: &Session,
        wakes: &mut WakeList,
    ) {
        let instances = self.instances(&topic);
        let connected = instances.iter().filter(|one| one.is_connected()).count();
        let count = if connected == 0 {
            instances.len()
        } else {
            connected
        } as u64;
        let at = ClientAt {
            topic,
            client: session.client.clone(),
        };
        let turn = client.number().checked_rem(count).unwrap_or(0);
        let knows = instances
            .iter()
            .find(|one| one.with_outbox(|outbox| outbox.knows(&at)));
        let by_turn = usize::try_from(turn)
            .ok()
            .and_then(|turn| instances.get(turn));
        if let Some(instance) = knows.or(by_turn) {
            instance.with_outbox(|outbox| outbox.look_after(&at, wakes));
        }
    }

    /// A session takes part in typed traffic no longer by this subscription. Returns what others can have that waited for it.
    pub(super) fn leaves(
        &mut self,
        session: &Arc<Session>,
        filter: &Filter,
        wakes: &mut WakeList,
    ) -> Vec<OutboxItem> {
        if served(filter).is_none() {
            let Some(about) = literal(filter) else {
                return Vec::new();
            };
            self.client_gone(session, &about, wakes);
            return session.with_outbox(|outbox| outbox.leave_topic(&about, wakes));
        }
        let serves = |about: &[u8]| self.hears_apart(session.key, &topic::services(about));
        let (left, known) =
            session.with_outbox(|outbox| outbox.leave(|about| !serves(about), wakes));
        self.hand_care(session.key, known, wakes);
        left.into_iter().filter(OutboxItem::is_for_one).collect()
    }

    /// A session has gone: as a client, and as an instance that knew these clients.
    pub(super) fn gone(&mut self, session: &Session, known: Vec<ClientAt>, wakes: &mut WakeList) {
        for about in session.client.topics() {
            self.client_gone(session, &about, wakes);
        }
        self.hand_care(session.key, known, wakes);
    }

    /// Instances that know a client of a topic are told that it has gone.
    fn client_gone(&mut self, session: &Session, about: &Bytes, wakes: &mut WakeList) {
        if !session.client.leaves(about) {
            return;
        }
        let own = topic::to_peer(about, &session.client.peer);
        self.routes.outdate(&own);
        let at = ClientAt {
            topic: about.clone(),
            client: session.client.clone(),
        };
        for instance in self.instances(about) {
            instance.with_outbox(|outbox| outbox.client_gone(&at, wakes));
        }
    }

    /// Others look after the clients of an instance that has gone.
    fn hand_care(&self, instance: SessionKey, known: Vec<ClientAt>, wakes: &mut WakeList) {
        if FaultInjection::LoseCare.is_on() {
            return;
        }
        for at in known {
            let entry = self.sessions.get(&at.client.key);
            if let Some(entry) = entry
                && at.client.lose_carer(&at.topic, instance)
            {
                self.find_carer(at.client.key, at.topic, &entry.session, wakes);
            }
        }
    }

    /// The client of this name, if it hears what services send to it at a topic by its subscription to that.
    pub(super) fn typed_client(&self, about: &[u8], peer: &[u8]) -> Option<&Arc<Session>> {
        let named = self.names.get(str::from_utf8(peer).ok()?)?;
        let entry = self.sessions.get(&named.0.key)?;
        let filter = TopicFilter::new(str::from_utf8(about).ok()?).ok()?;
        let is_by_peer = entry
            .subscriptions
            .get(&Filter::Pattern(filter))
            .is_some_and(|held| held.is_by_peer);
        (is_by_peer && self.may_hear(entry, &topic::to_peer(about, &entry.session.client.peer)))
            .then_some(&entry.session)
    }
}
