//! The router: what changes when somebody comes, goes, subscribes or is given rights. All of it is behind one lock, which no
//! message takes.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    hash::{Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;

use super::{
    About, Dialect, EndReason, Limits, Publication, SessionHandle, SessionKey,
    client::Client,
    inflated::InflatedBodies,
    kept::{Kept, KeptTotals},
    rate::{Rate, Rates},
    routes::Routes,
    session::Session,
    subscriptions::Subscriptions,
    sync::{Mutex, MutexGuard, lock},
};
use crate::{
    access::{Grant, Grants, Principal, Rights},
    small_map::SmallMap,
    topic::{Filter, TopicFilter},
};

mod grants;
mod info;
mod lifecycle;
mod routes;
mod subscribe;
mod typed;

pub use info::{SessionInfo, TopicInfo, Totals};
pub use subscribe::{Difference, SubscribeRequest, Subscribed};

/// The router of a broker. Cheap to clone: all clones are one.
#[derive(Debug, Clone)]
pub struct Router(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: Arc<Limits>,
    kept: KeptTotals,
    counters: Counters,
    inflated: InflatedBodies,
    control: Mutex<Control>,
}

/// What has happened since the router began.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Sessions that have ended, by their reason.
    pub(super) ended: [AtomicU64; EndReason::ALL.len()],
    /// Messages that sessions published, and that were queued for them, which have ended.
    pub(super) published: AtomicU64,
    pub(super) queued: AtomicU64,
    /// Messages that were dropped: those of sessions that live are counted there until they end.
    pub(super) dropped: AtomicU64,
    /// Deliveries that their receivers answered with an error.
    pub(super) failed: AtomicU64,
    /// Messages that went to another instance than the first.
    pub(super) handed_over: AtomicU64,
    /// Messages that went to `$dead/T`.
    pub(super) dead_letters: AtomicU64,
    /// Compressed bodies that were inflated.
    pub(super) inflated: AtomicU64,
}

/// What is behind the lock.
#[derive(Debug, Default)]
pub(super) struct Control {
    last_key: u64,
    /// Their entries are in boxes: up to half of a table is empty.
    sessions: HashMap<SessionKey, Box<Entry>>,
    subscriptions: Subscriptions,
    grants: Grants<SessionKey>,
    kept: BTreeMap<Bytes, Arc<Kept>>,
    /// The sessions, by the names of their peers.
    names: HashSet<ByName>,
    routes: Routes,
    /// Grows with each change of subscriptions or rights.
    generation: u64,
    /// Whose turn it is in a group or, by topic, among services. They outlive the routes.
    turns: HashMap<Turn, Arc<AtomicUsize>>,
    /// Sessions that are away, by when they end.
    away: BTreeSet<(Duration, SessionKey)>,
    /// What the sessions of a principal may send together.
    rates: Rates,
    /// Topics of which no STATE is kept any more are forgotten when there are so many.
    sweep_kept_at: usize,
}

/// A subscription, as its session has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    is_by_peer: bool,
    has_group: bool,
}

/// What has a turn.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Turn {
    Services(Bytes),
    Calls(Bytes),
    Group(Arc<str>),
}

/// What the router knows of a session beside what its connection does.
#[derive(Debug)]
struct Entry {
    session: Arc<Session>,
    rights: Arc<Rights>,
    subscriptions: SmallMap<Filter, Held>,
    grants: BTreeMap<TopicFilter, Grant>,
    /// The topics of which services were told that it is there.
    present: BTreeSet<Bytes>,
    /// When it ends, if it is away.
    expires_at: Option<Duration>,
}

/// A session, to be found by the name of its peer.
#[derive(Debug)]
struct ByName(Arc<Session>);

impl Borrow<str> for ByName {
    fn borrow(&self) -> &str {
        &self.0.client.peer
    }
}

impl Hash for ByName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Borrow::<str>::borrow(self).hash(state);
    }
}

impl PartialEq for ByName {
    fn eq(&self, other: &Self) -> bool {
        self.0.client.peer == other.0.client.peer
    }
}

impl Eq for ByName {}

impl Router {
    /// A router without sessions.
    pub fn new(limits: Limits) -> Self {
        Self(Arc::new(Shared {
            limits: Arc::new(limits),
            kept: KeptTotals::default(),
            counters: Counters::default(),
            inflated: InflatedBodies::default(),
            control: Mutex::default(),
        }))
    }

    /// Its limits.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// The inflated body of a compressed message: what `inflate` returns, or returned for another of its receivers a moment ago.
    /// `None` where it returns none, or where these are several messages.
    pub(crate) fn inflated(
        &self,
        publication: &Arc<Publication>,
        inflate: impl FnOnce() -> Option<Bytes>,
    ) -> Option<Bytes> {
        self.0.inflated.body(publication, || {
            let body = inflate()?;
            self.counters().inflated.fetch_add(1, Relaxed);
            Some(body)
        })
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        lock(&self.0.control)
    }

    /// A session begins.
    pub fn connect(&self, who: Principal, rights: Arc<Rights>, dialect: Dialect) -> SessionHandle {
        self.connect_as(who, rights, dialect, None)
    }

    /// A session begins, of a peer with this name, of which this is known.
    pub fn connect_as(
        &self,
        who: Principal,
        rights: Arc<Rights>,
        dialect: Dialect,
        known: Option<(&str, About)>,
    ) -> SessionHandle {
        let mut guard = self.control();
        let control = &mut *guard;
        control.last_key += 1;
        let key = SessionKey::new(control.last_key);
        let (peer, about) = match known {
            Some((peer, about)) => (peer.into(), Some(about)),
            None => (key.to_string().into(), None),
        };
        let client = Client::new(key, peer, who, about);
        let session = Arc::new(Session::new(key, client, dialect, self.0.limits.clone()));
        control.names.replace(ByName(session.clone()));
        control.sessions.insert(
            key,
            Box::new(Entry {
                session: session.clone(),
                rights,
                subscriptions: SmallMap::default(),
                grants: BTreeMap::new(),
                present: BTreeSet::new(),
                expires_at: None,
            }),
        );
        SessionHandle(session)
    }

    /// The session with this number, if it is there.
    pub(crate) fn session(&self, key: SessionKey) -> Option<SessionHandle> {
        let control = self.control();
        let found = control.sessions.get(&key);
        found.map(|entry| SessionHandle(entry.session.clone()))
    }

    /// That of the peer with this name.
    pub(crate) fn session_of(&self, peer: &str) -> Option<SessionHandle> {
        let control = self.control();
        let found = control.names.get(peer);
        found.map(|found| SessionHandle(found.0.clone()))
    }

    /// What all sessions of a principal may send, if that is limited.
    pub(super) fn rate(&self, key: SessionKey) -> Option<Rate> {
        let mut guard = self.control();
        let control = &mut *guard;
        let entry = control.sessions.get(&key)?;
        control
            .rates
            .of(&entry.session.client.principal, entry.rights.limits)
    }
}

impl Control {
    /// Something changes: routes that are found from now on know of it.
    fn changed(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }
}
