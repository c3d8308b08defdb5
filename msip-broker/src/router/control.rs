//! The router: what changes when somebody comes, goes, subscribes or is given rights. All of it is behind one lock, which no
//! message takes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use msip_session::wire::Code;

use super::{
    Delivery, Dialect, EndReason, Limits, OutboxItem, Refused, SessionHandle, SessionKey, WakeList,
    kept::{Kept, KeptTotals},
    route::{OneOf, Route},
    session::Session,
    subscriptions::Subscriptions,
    sync::lock,
};
use crate::{
    access::{Access, Checked, Grant, Grants, Principal, Rights, Uses},
    topic::{self, Filter, Internal, TopicFilter},
};

/// The router of a broker. Cheap to clone: all clones are one.
#[derive(Debug, Clone)]
pub struct Router(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: Arc<Limits>,
    /// Grows with each change of subscriptions or rights.
    generation: AtomicU64,
    totals: KeptTotals,
    control: Mutex<Control>,
}

/// What is behind the lock.
#[derive(Debug, Default)]
pub(super) struct Control {
    last_key: u64,
    sessions: HashMap<SessionKey, Entry>,
    subscriptions: Subscriptions,
    grants: Grants<SessionKey>,
    kept: BTreeMap<Bytes, Arc<Kept>>,
    /// What the first service of a topic speaks.
    protocols: HashMap<Bytes, Spoken>,
    routes: HashMap<Bytes, Arc<Route>>,
    /// Whose turn it is in a group or, by topic, among services. They outlive the routes.
    turns: HashMap<Turn, Arc<AtomicUsize>>,
}

/// What has a turn.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Turn {
    Services(Bytes),
    Group(Arc<str>),
}

/// What the router knows of a session beside what its connection does.
#[derive(Debug)]
struct Entry {
    session: Arc<Session>,
    rights: Arc<Rights>,
    subscriptions: HashMap<Filter, Option<Arc<str>>>,
    grants: HashMap<TopicFilter, Grant>,
    /// When it ends, if it is away.
    expires_at: Option<Duration>,
}

#[derive(Debug)]
struct Spoken {
    by: SessionKey,
    protocol: String,
    fingerprint: u64,
}

/// What a session asks to hear.
#[derive(Debug, Clone)]
pub struct SubscribeRequest {
    /// What it is about.
    pub filter: Filter,
    /// The group, of which one member hears each message.
    pub group: Option<String>,
    /// The package of the protocol that is spoken there, if it is said.
    pub protocol: Option<String>,
    /// The fingerprint of its schema; 0 if it is not said.
    pub fingerprint: u64,
}

impl SubscribeRequest {
    /// A subscription without group and protocol.
    pub fn new(filter: Filter) -> Self {
        Self {
            filter,
            group: None,
            protocol: None,
            fingerprint: 0,
        }
    }
}

/// A subscription that was made. Kept STATEs are in the session's outbox when this is returned, and nothing that comes later
/// of the same topic is before them: the connection writes the ACK before it takes from the outbox again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribed {
    /// Whether the session had it already.
    pub is_repeated: bool,
    /// How many kept STATEs were queued.
    pub replayed: usize,
    /// What the first service of the topic speaks, where it is something else.
    pub differs: Option<Difference>,
}

/// What the first service of a topic speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its protocol.
    pub protocol: String,
    /// The fingerprint of its schema.
    pub fingerprint: u64,
}

impl Router {
    /// A router without sessions.
    pub fn new(limits: Limits) -> Self {
        Self(Arc::new(Shared {
            limits: Arc::new(limits),
            generation: AtomicU64::new(1),
            totals: KeptTotals::default(),
            control: Mutex::default(),
        }))
    }

    /// Its limits.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    pub(super) fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        lock(&self.0.control)
    }

    /// What was resolved before is not to be used any more. Called with the lock held, before the change is visible.
    fn changed(&self) -> u64 {
        self.0.generation.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// A session begins.
    pub fn connect(&self, who: Principal, rights: Arc<Rights>, dialect: Dialect) -> SessionHandle {
        let mut control = self.control();
        control.last_key += 1;
        let key = SessionKey(control.last_key);
        let session = Arc::new(Session::new(key, who, dialect, self.0.limits.clone()));
        control.sessions.insert(
            key,
            Entry {
                session: session.clone(),
                rights,
                subscriptions: HashMap::new(),
                grants: HashMap::new(),
                expires_at: None,
            },
        );
        SessionHandle(session)
    }

    /// The connection of a session is lost: what is sent for acknowledgment is kept for it, until `session_expiry`.
    pub fn suspend(&self, session: &SessionHandle, now: Duration) {
        let mut wakes = WakeList::new();
        let mut control = self.control();
        if let Some(entry) = control.sessions.get_mut(&session.key()) {
            entry.expires_at = Some(now.saturating_add(self.0.limits.session_expiry));
            session.0.with_outbox(|outbox| outbox.suspend(&mut wakes));
        }
        drop(control);
    }

    /// A session has a connection again, of the same principal. Its rights are checked again: subscriptions that they do not
    /// allow any more are gone, and so is what is queued of them.
    ///
    /// # Errors
    ///
    /// The session has ended.
    pub fn resume(
        &self,
        session: &SessionHandle,
        rights: Arc<Rights>,
        now: Duration,
    ) -> Result<(), Refused> {
        let mut control = self.control();
        let entry = control.sessions.get_mut(&session.key());
        let Some(entry) = entry.filter(|entry| entry.expires_at.is_none_or(|at| now < at)) else {
            return Err(Refused::ended());
        };
        entry.expires_at = None;
        entry.rights = rights;
        session.0.with_outbox(|outbox| outbox.resume());
        self.recheck(&mut control, session.key());
        Ok(())
    }

    /// A session ends. What waits for it is dropped; calls among it are answered.
    pub fn end(&self, session: &SessionHandle, reason: EndReason, now: Duration) {
        let mut wakes = WakeList::new();
        // Whoever finds the outbox at its end, and looks for another way, waits for this lock and finds one.
        let mut control = self.control();
        let left = session
            .0
            .with_outbox(|outbox| outbox.end(reason, &mut wakes));
        self.forget(&mut control, session.key());
        drop(control);
        self.give_up(left, now);
    }

    /// Answers what a session had not taken when it ended.
    fn give_up(&self, left: Vec<OutboxItem>, _now: Duration) {
        for item in left {
            if let OutboxItem::Exchange(assigned) = item {
                assigned.request.exchange.refuse(Refused::no_service());
            }
        }
    }

    /// Removes all that the router knows of a session.
    fn forget(&self, control: &mut Control, key: SessionKey) {
        let Some(entry) = control.sessions.remove(&key) else {
            return;
        };
        self.changed();
        for filter in entry.subscriptions.keys() {
            control.subscriptions.remove(filter, key);
        }
        for filter in entry.grants.keys() {
            control.grants.take_back(key, filter);
        }
        control.protocols.retain(|_, spoken| spoken.by != key);
        control.routes.clear();
        if !entry.grants.is_empty() {
            self.recheck_all(control);
        }
    }

    /// Subscribes.
    ///
    /// # Errors
    ///
    /// It is not allowed, or there are too many subscriptions.
    pub fn subscribe(
        &self,
        session: &SessionHandle,
        request: SubscribeRequest,
        now: Duration,
    ) -> Result<Subscribed, Refused> {
        let key = session.key();
        let mut wakes = WakeList::new();
        let mut guard = self.control();
        let control = &mut *guard;
        control.check_subscription(key, &request.filter)?;
        let Some(entry) = control.sessions.get_mut(&key) else {
            return Err(Refused::ended());
        };
        let is_repeated = entry.subscriptions.contains_key(&request.filter);
        let most = self.0.limits.subscriptions;
        if !is_repeated && entry.subscriptions.len() >= most {
            return Err(Refused::limit("subscriptions", most, "max_subscriptions"));
        }
        let differs = control.note_protocol(key, &request);
        let group: Option<Arc<str>> = request.group.map(Into::into);
        // Publishers that have an older route look again before they publish a STATE: whatever they publish is either
        // kept when it is replayed below, or comes after it.
        let generation = self.changed();
        control.routes.clear();
        if let Some(entry) = control.sessions.get_mut(&key) {
            entry
                .subscriptions
                .insert(request.filter.clone(), group.clone());
        }
        control
            .subscriptions
            .insert(&request.filter, &session.0, group);
        let replayed = control.replay(&session.0, &request.filter, generation, now, &mut wakes);
        drop(guard);
        Ok(Subscribed {
            is_repeated,
            replayed,
            differs,
        })
    }

    /// Revokes a subscription; `false` if there was none.
    pub fn unsubscribe(&self, session: &SessionHandle, filter: &Filter) -> bool {
        let mut control = self.control();
        let entry = control.sessions.get_mut(&session.key());
        if entry.is_none_or(|entry| entry.subscriptions.remove(filter).is_none()) {
            return false;
        }
        self.changed();
        control.routes.clear();
        control.subscriptions.remove(filter, session.key());
        true
    }

    /// How many STATEs are kept, and how many bytes they have.
    pub fn kept_totals(&self) -> (usize, usize) {
        (self.0.totals.values(), self.0.totals.bytes())
    }

    /// The subscriptions of a session.
    pub fn subscriptions(&self, session: &SessionHandle) -> Vec<Filter> {
        let control = self.control();
        let entry = control.sessions.get(&session.key());
        entry.map_or_else(Vec::new, |entry| {
            entry.subscriptions.keys().cloned().collect()
        })
    }

    /// A service enables topics for clients, in place of what it enabled for the same filter.
    ///
    /// # Errors
    ///
    /// The filter is not wholly what the service may serve, or there are too many grants.
    pub fn grant(
        &self,
        session: &SessionHandle,
        filter: TopicFilter,
        grant: Grant,
    ) -> Result<(), Refused> {
        let mut control = self.control();
        let Some(entry) = control.sessions.get_mut(&session.key()) else {
            return Err(Refused::ended());
        };
        let is_internal = !matches!(
            Internal::of(filter.as_str().as_bytes()),
            Internal::Clients(_)
        );
        if is_internal || entry.rights.filter(Uses::Serve, &filter) != Access::Allowed {
            return Err(Refused::permission());
        }
        let most = self.0.limits.grants;
        if !entry.grants.contains_key(&filter) && entry.grants.len() >= most {
            return Err(Refused::limit("grants", most, "max_grants"));
        }
        entry.grants.insert(filter.clone(), grant);
        control.grants.give(session.key(), filter, grant);
        self.changed();
        control.routes.clear();
        self.recheck_all(&mut control);
        Ok(())
    }

    /// A service takes back what it enabled for a filter; `false` if it was nothing.
    pub fn revoke(&self, session: &SessionHandle, filter: &TopicFilter) -> bool {
        let mut control = self.control();
        let entry = control.sessions.get_mut(&session.key());
        if entry.is_none_or(|entry| entry.grants.remove(filter).is_none()) {
            return false;
        }
        control.grants.take_back(session.key(), filter);
        self.changed();
        control.routes.clear();
        self.recheck_all(&mut control);
        true
    }

    /// Ends what is over: sessions that were away for too long. Returns when to come again.
    pub fn expire(&self, now: Duration) -> Option<Duration> {
        let mut over = Vec::new();
        let mut next = None;
        for entry in self.control().sessions.values() {
            match entry.expires_at {
                Some(at) if at <= now => over.push(SessionHandle(entry.session.clone())),
                Some(at) => next = Some(next.map_or(at, |next: Duration| next.min(at))),
                None => {}
            }
        }
        for session in over {
            self.end(&session, EndReason::Expired, now);
        }
        next
    }

    /// Checks again what all sessions are subscribed to.
    fn recheck_all(&self, control: &mut Control) {
        let keys: Vec<_> = control.sessions.keys().copied().collect();
        for key in keys {
            self.recheck(control, key);
        }
    }

    /// Checks again what a session is subscribed to, and what is queued for it.
    fn recheck(&self, control: &mut Control, key: SessionKey) {
        let Some(entry) = control.sessions.get(&key) else {
            return;
        };
        let gone: Vec<Filter> = entry
            .subscriptions
            .keys()
            .filter(|filter| control.check_subscription(key, filter).is_err())
            .cloned()
            .collect();
        let generation = self.changed();
        control.routes.clear();
        for filter in gone {
            control.subscriptions.remove(&filter, key);
            if let Some(entry) = control.sessions.get_mut(&key) {
                entry.subscriptions.remove(&filter);
            }
        }
        let Some(entry) = control.sessions.get(&key) else {
            return;
        };
        entry.session.with_outbox(|outbox| {
            outbox.require_generation(generation);
            outbox.retain(|item| match item {
                OutboxItem::Publication(delivery) => {
                    control.may_hear(entry, &delivery.publication.topic)
                }
                _ => true,
            });
        });
    }

    /// The way of a topic, as it is now.
    pub(super) fn route(&self, topic: &Bytes) -> Arc<Route> {
        let generation = self.generation();
        let mut control = self.control();
        if let Some(route) = control.routes.get(topic)
            && route.generation >= generation
        {
            return route.clone();
        }
        // It does not change while the lock is held.
        let generation = self.generation();
        let route = Arc::new(control.resolve(topic, generation));
        if control.routes.len() >= self.0.limits.cached_topics {
            control.routes.clear();
        }
        control.routes.insert(topic.clone(), route.clone());
        route
    }

    /// Where the STATEs of a topic are kept.
    pub(super) fn kept(&self, topic: &Bytes) -> Arc<Kept> {
        let mut control = self.control();
        let kept = control.kept.entry(topic.clone()).or_default().clone();
        if control.routes.remove(topic).is_some() {
            self.changed();
        }
        kept
    }

    pub(super) fn totals(&self) -> &KeptTotals {
        &self.0.totals
    }

    /// Whether a session may send to a topic.
    pub(super) fn check_send(
        &self,
        key: SessionKey,
        is_call: bool,
        topic: &[u8],
    ) -> Result<(), Refused> {
        let control = self.control();
        let Some(entry) = control.sessions.get(&key) else {
            return Err(Refused::ended());
        };
        let checked = entry.rights.send(is_call, topic);
        match checked.access {
            Access::Allowed => Ok(()),
            Access::Denied => Err(Refused::permission()),
            Access::NeedsGrant => {
                let mut givers = control
                    .grants
                    .for_topic(checked.uses, checked.about)
                    .peekable();
                if givers.peek().is_none() {
                    return Err(Refused::permission());
                }
                let mut givers = givers.filter_map(|key| control.sessions.get(&key));
                match givers.any(|giver| giver.session.is_connected()) {
                    true => Ok(()),
                    false => Err(Refused::new(
                        Code::Unavailable,
                        "the service that enabled this topic is away",
                    )),
                }
            }
        }
    }
}

impl Control {
    /// Whether a session may subscribe to this.
    fn check_subscription(&self, key: SessionKey, filter: &Filter) -> Result<(), Refused> {
        let Some(entry) = self.sessions.get(&key) else {
            return Err(Refused::ended());
        };
        let is_allowed = match filter {
            Filter::Literal(topic) => self.may_hear(entry, topic),
            Filter::Pattern(filter) => {
                let checked = entry.rights.subscribe(filter, &entry.session.peer);
                match checked.access {
                    Access::Allowed => true,
                    Access::Denied => false,
                    Access::NeedsGrant => {
                        let mut givers = self.grants.for_filter(checked.uses, &checked.about);
                        givers.next().is_some()
                    }
                }
            }
        };
        match is_allowed {
            true => Ok(()),
            false => Err(Refused::permission()),
        }
    }

    /// Whether a session may hear a topic.
    fn may_hear(&self, entry: &Entry, topic: &[u8]) -> bool {
        let Checked {
            uses,
            about,
            access,
        } = entry.rights.hear(topic, &entry.session.peer);
        match access {
            Access::Allowed => true,
            Access::Denied => false,
            Access::NeedsGrant => self.grants.for_topic(uses, about).next().is_some(),
        }
    }

    /// Remembers what the first service of a topic speaks. Returns it, where this one speaks something else.
    fn note_protocol(&mut self, key: SessionKey, request: &SubscribeRequest) -> Option<Difference> {
        let protocol = request.protocol.clone()?;
        let topic: &[u8] = match &request.filter {
            Filter::Literal(topic) => topic,
            Filter::Pattern(filter) if filter.is_literal() => filter.as_str().as_bytes(),
            Filter::Pattern(_) => return None,
        };
        let (about, is_service) = match Internal::of(topic) {
            Internal::Services(about) => (about, true),
            Internal::Clients(about) => (about, false),
            Internal::Peer { topic, .. } => (topic, false),
            _ => return None,
        };
        if let Some(spoken) = self.protocols.get(about) {
            let is_same = spoken.protocol == protocol && spoken.fingerprint == request.fingerprint;
            return (!is_same).then(|| Difference {
                protocol: spoken.protocol.clone(),
                fingerprint: spoken.fingerprint,
            });
        }
        if is_service {
            self.protocols.insert(
                Bytes::copy_from_slice(about),
                Spoken {
                    by: key,
                    protocol,
                    fingerprint: request.fingerprint,
                },
            );
        }
        None
    }

    /// Queues the kept STATEs that a subscription asks for.
    fn replay(
        &self,
        session: &Arc<Session>,
        filter: &Filter,
        generation: u64,
        now: Duration,
        wakes: &mut WakeList,
    ) -> usize {
        let Some(entry) = self.sessions.get(&session.key) else {
            return 0;
        };
        let mut count = 0;
        let prefix = match filter {
            Filter::Literal(topic) => topic.clone(),
            Filter::Pattern(filter) => Bytes::copy_from_slice(filter.literal_prefix()),
        };
        let near = self.kept.range(prefix.clone()..);
        for (topic, kept) in near.take_while(|(topic, _)| topic.starts_with(&prefix)) {
            let is_asked = match filter {
                Filter::Literal(_) => filter.matches(topic),
                Filter::Pattern(_) => filter.matches(topic) && topic::is_valid(topic),
            };
            if !is_asked || !self.may_hear(entry, topic) {
                continue;
            }
            for publication in lock(&kept.values).values() {
                if publication.expires_at.is_some_and(|at| at <= now) {
                    continue;
                }
                let item = OutboxItem::Publication(Delivery {
                    publication: publication.clone(),
                    is_for_one: false,
                    tried: Vec::new(),
                });
                if session.push(item, generation, now, wakes).is_ok() {
                    count += 1;
                }
            }
        }
        count
    }

    /// Who hears a topic.
    fn resolve(&mut self, topic: &Bytes, generation: u64) -> Route {
        let mut everyone: Vec<Arc<Session>> = Vec::new();
        let mut members: Vec<(Arc<str>, Vec<Arc<Session>>)> = Vec::new();
        for (session, group) in self.hearing(topic) {
            let Some(name) = group else {
                everyone.push(session.clone());
                continue;
            };
            match members.iter_mut().find(|(other, _)| other == name) {
                Some((_, group)) => group.push(session.clone()),
                None => members.push((name.clone(), vec![session.clone()])),
            }
        }
        unique(&mut everyone);
        let (about, services) = match Internal::of(topic) {
            Internal::Clients(about) => (about, self.hearing(&topic::services(topic))),
            Internal::Services(about) => (about, self.hearing(topic)),
            _ => (&[][..], Vec::new()),
        };
        let services = services.into_iter().map(|(one, _)| one.clone()).collect();
        let services_turn = Turn::Services(Bytes::copy_from_slice(about));
        let groups = members.into_iter();
        Route {
            generation,
            everyone,
            groups: groups
                .map(|(name, members)| self.one_of(Some(name.clone()), members, Turn::Group(name)))
                .collect(),
            services: self.one_of(None, services, services_turn),
            kept: self.kept.get(topic).cloned(),
        }
    }

    fn one_of(
        &mut self,
        name: Option<Arc<str>>,
        mut members: Vec<Arc<Session>>,
        turn: Turn,
    ) -> OneOf {
        /// Turns that no route uses are forgotten beyond so many.
        const MANY: usize = 1024;
        unique(&mut members);
        let turn = match members.len() {
            // With a single member it is always its turn.
            0 | 1 => Arc::default(),
            _ => {
                if self.turns.len() >= MANY && self.turns.len().is_power_of_two() {
                    self.turns.retain(|_, turn| Arc::strong_count(turn) > 1);
                }
                self.turns.entry(turn).or_default().clone()
            }
        };
        OneOf {
            name,
            members,
            turn,
        }
    }

    /// Whoever is subscribed to a topic, and may hear it.
    fn hearing<'a>(&'a self, topic: &[u8]) -> Vec<(&'a Arc<Session>, Option<&'a Arc<str>>)> {
        self.subscriptions
            .matching(topic)
            .into_iter()
            .filter(|one| {
                let entry = self.sessions.get(&one.session.key);
                entry.is_some_and(|entry| self.may_hear(entry, topic))
            })
            .map(|one| (&one.session, one.group.as_ref()))
            .collect()
    }
}

/// Each session once, in the order of their numbers.
fn unique(sessions: &mut Vec<Arc<Session>>) {
    sessions.sort_by_key(|one| one.key);
    sessions.dedup_by_key(|one| one.key);
}
