//! The table of sessions that a server keeps, by the ids that clients chose (docs/protocol.md, "Resumption").

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use super::{
    log_limiter::LogLimiter,
    parked::ParkedSession,
    resumed::{ResumeRoute, ResumedReceiver, ResumedSender},
};
use crate::{Identity, transport::PeerCredential};
use msip_session::{Evict, wire::SessionId};

/// The session that a HELLO names.
#[derive(Debug)]
pub(super) enum Claim {
    /// A new session.
    New(Registration, ResumedReceiver),
    /// A session that a task runs, and how its connections reach it.
    Known(ResumeRoute),
    /// A session that was parked: a task has to run it.
    Parked(ParkedClaim),
    /// A session that exists, with another secret or of another principal.
    Refused,
    /// A new session, for which there is no place.
    NoPlace,
}

/// A session that was parked and is taken out, to go on with a further connection.
#[derive(Debug)]
pub(super) struct ParkedClaim {
    pub(super) session: Box<ParkedSession>,
    pub(super) registration: Registration,
    pub(super) resumed: ResumedReceiver,
}

/// What a session is resumed with, besides its id: all of it must be as it was when the session began.
pub(super) struct SessionKey<'a> {
    pub(super) secret: &'a [u8],
    /// The protocol that the HELLO names.
    pub(super) protocol: &'a str,
    pub(super) principal: Principal<'a>,
}

/// Whose a session is: only the same may resume it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Principal<'a> {
    /// The server authenticates nobody: whom the transport knows.
    OfTransport(&'a PeerCredential),
    /// By its method, issuer and subject. Everything else of it may change.
    Authenticated(&'a Identity),
}

impl<'a> Principal<'a> {
    /// The identity, where the server has found one.
    pub(super) fn of(identity: Option<&'a Identity>, credential: &'a PeerCredential) -> Self {
        identity.map_or(Self::OfTransport(credential), Self::Authenticated)
    }
}

/// Every session of a server that can be resumed; at most `max_connections` and `max_detached_sessions`.
#[derive(Debug)]
pub(super) struct Sessions {
    table: Mutex<Table>,
    /// A session ends earlier than was known, or has ended.
    changed: Notify,
    max_detached: usize,
    log_limiter: Arc<LogLimiter>,
}

#[derive(Debug, Default)]
struct Table {
    /// In boxes, since a hash table reserves room for as many entries as it has.
    sessions: HashMap<SessionId, Box<Entry>>,
    /// The sessions without a connection whose clients know of them, in the order in which they lost it, and so in that in which
    /// they end.
    confirmed: BTreeMap<u64, SessionId>,
    /// Those whose clients have sent nothing after HELLO: they are kept for a shorter time, and make room for others first.
    unconfirmed: BTreeMap<u64, SessionId>,
    /// Parked sessions that have ended: their handlers are to be told. They count against the memory budget.
    ended: VecDeque<Box<ParkedSession>>,
    /// Numbers entries and losses.
    next: u64,
}

#[derive(Debug)]
struct Entry {
    /// Tells this entry from a later one of the same id.
    number: u64,
    secret: [u8; 32],
    place: Place,
    detached: Option<Detached>,
}

/// Where a session is.
#[derive(Debug)]
enum Place {
    /// A task runs it, and gets its connections by this.
    Running(ResumedSender),
    /// Here.
    Parked(Box<ParkedSession>),
}

/// A session without a connection.
#[derive(Debug, Clone, Copy)]
struct Detached {
    /// The number of the loss.
    number: u64,
    ends: Instant,
}

impl Sessions {
    pub(super) fn new(max_detached: usize, log_limiter: &Arc<LogLimiter>) -> Arc<Self> {
        Arc::new(Self {
            table: Mutex::default(),
            changed: Notify::new(),
            max_detached,
            log_limiter: Arc::clone(log_limiter),
        })
    }

    /// Finds or begins the session that a HELLO names. It is resumed only with the key with which it was begun, and it begins
    /// only where there is a place for its connection.
    pub(super) fn claim(
        self: &Arc<Self>,
        id: SessionId,
        key: &SessionKey<'_>,
        has_place: bool,
    ) -> Claim {
        let secret = key.hash();
        let mut table = self.lock();
        if let Some(entry) = table.sessions.get(&id) {
            if !is_equal(&entry.secret, &secret) {
                return Claim::Refused;
            }
            match &entry.place {
                // One that has just ended, and is still in the table, is replaced.
                Place::Running(sender) => {
                    if let Some(route) = sender.route() {
                        return Claim::Known(route);
                    }
                }
                Place::Parked(_) if has_place => {
                    if let Some(claim) = self.take_parked(&mut table, id) {
                        return Claim::Parked(claim);
                    }
                }
                Place::Parked(_) => {}
            }
        }
        if !has_place {
            return Claim::NoPlace;
        }
        let (sender, resumed) = ResumedSender::open();
        let number = table.number();
        table.remove(id);
        table.sessions.insert(
            id,
            Box::new(Entry {
                number,
                secret,
                place: Place::Running(sender),
                detached: None,
            }),
        );
        let sessions = Arc::clone(self);
        Claim::New(
            Registration {
                sessions,
                id,
                number,
            },
            resumed,
        )
    }

    /// Takes a parked session out of its entry: it has a connection from here on.
    fn take_parked(self: &Arc<Self>, table: &mut Table, id: SessionId) -> Option<ParkedClaim> {
        let entry = table.sessions.get_mut(&id)?;
        let number = entry.number;
        let (sender, resumed) = ResumedSender::open();
        let session = match std::mem::replace(&mut entry.place, Place::Running(sender)) {
            Place::Parked(session) => session,
            running @ Place::Running(_) => {
                entry.place = running;
                return None;
            }
        };
        table.set_detached(id, number, None);
        let registration = Registration {
            sessions: Arc::clone(self),
            id,
            number,
        };
        Some(ParkedClaim {
            session,
            registration,
            resumed,
        })
    }

    /// Ends a session that has no connection, since others need its memory: it finds that no connection can come any more.
    fn end(&self, id: SessionId, number: u64) {
        let mut table = self.lock();
        let entry = table.sessions.get(&id);
        if entry.is_some_and(|entry| entry.number == number && entry.detached.is_some()) {
            if self.log_limiter.may_log_session() {
                tracing::info!(session = %id, "session ended: memory is short (max_memory)");
            }
            table.remove(id);
            self.changed.notify_one();
        }
    }

    /// Ends every session that has no connection, and lets none be resumed. Returns those that were parked.
    pub(super) fn end_all(&self) -> VecDeque<Box<ParkedSession>> {
        let Table {
            sessions,
            mut ended,
            ..
        } = std::mem::take(&mut *self.lock());
        for entry in sessions.into_values() {
            if let Place::Parked(session) = entry.place {
                ended.push_back(session);
            }
        }
        ended
    }

    /// Ends the sessions whose time without a connection is up, when it is, and returns the next parked one that has ended, for
    /// whatever reason: its handler is to be told.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(super) async fn next_ended(&self) -> Box<ParkedSession> {
        loop {
            let changed = self.changed.notified();
            let next = {
                let mut table = self.lock();
                table.end_until(Instant::now());
                if let Some(session) = table.ended.pop_front() {
                    return session;
                }
                table.next_end()
            };
            match next {
                // Whichever comes first.
                Some(next) => drop(timeout_at(next, changed).await),
                None => changed.await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn remove(&mut self, id: SessionId) {
        let Some(entry) = self.sessions.remove(&id) else {
            return;
        };
        if let Some(detached) = entry.detached {
            self.forget_loss(detached.number);
        }
        if let Place::Parked(session) = entry.place {
            self.ended.push_back(session);
        }
    }

    fn forget_loss(&mut self, number: u64) {
        if self.confirmed.remove(&number).is_none() {
            self.unconfirmed.remove(&number);
        }
    }

    fn detached_count(&self) -> usize {
        self.confirmed.len() + self.unconfirmed.len()
    }

    /// The session that has been without a connection for longest, of those that are worth least.
    fn first_detached(&self) -> Option<SessionId> {
        let first = self.unconfirmed.values().next();
        first.or_else(|| self.confirmed.values().next()).copied()
    }

    /// The sessions that end next, and when.
    fn next_ends(&self) -> [Option<(Instant, SessionId)>; 2] {
        [&self.confirmed, &self.unconfirmed].map(|detached| {
            let id = *detached.values().next()?;
            Some((self.sessions.get(&id)?.detached?.ends, id))
        })
    }

    fn next_end(&self) -> Option<Instant> {
        let next = self.next_ends().into_iter().flatten();
        next.map(|(ends, _)| ends).min()
    }

    /// Ends the sessions whose time is up.
    fn end_until(&mut self, now: Instant) {
        loop {
            let mut next = self.next_ends().into_iter().flatten();
            let Some((_, id)) = next.find(|(ends, _)| *ends <= now) else {
                return;
            };
            self.remove(id);
        }
    }

    /// Whether it has no connection, and then whether its client has confirmed it, and when it ends. Returns whether others are
    /// known that end no later.
    fn set_detached(
        &mut self,
        id: SessionId,
        number: u64,
        detached: Option<(bool, Instant)>,
    ) -> bool {
        let loss = self.number();
        let Some(entry) = self
            .sessions
            .get_mut(&id)
            .filter(|entry| entry.number == number)
        else {
            return true;
        };
        let now = detached.map(|(_, ends)| Detached { number: loss, ends });
        if let Some(before) = std::mem::replace(&mut entry.detached, now) {
            self.forget_loss(before.number);
        }
        let Some((is_confirmed, _)) = detached else {
            return true;
        };
        let detached = if is_confirmed {
            &mut self.confirmed
        } else {
            &mut self.unconfirmed
        };
        detached.insert(loss, id);
        detached.len() > 1
    }
}

/// A session that is in the table for as long as this lives.
#[derive(Debug)]
pub(super) struct Registration {
    sessions: Arc<Sessions>,
    id: SessionId,
    number: u64,
}

impl Registration {
    /// The session has lost its connection, and is kept for so long. Where too many have, the oldest is ended, first of those
    /// whose clients have not confirmed that they know of their sessions: it finds that no connection can come any more.
    pub(super) fn detached(&self, is_confirmed: bool, kept: Duration) {
        let sessions = &self.sessions;
        let mut table = sessions.lock();
        // Under the lock, so that they end in the order of their losses.
        let ends = Instant::now() + kept;
        let mut is_known = table.set_detached(self.id, self.number, Some((is_confirmed, ends)));
        while table.detached_count() > sessions.max_detached {
            let Some(oldest) = table.first_detached() else {
                break;
            };
            if sessions.log_limiter.may_log_session() {
                tracing::info!(session = %oldest, "session ended: too many sessions without a connection (max_detached_sessions)");
            }
            table.remove(oldest);
            is_known = false;
        }
        if !is_known {
            sessions.changed.notify_one();
        }
    }

    /// Leaves the session, which has no connection, to the table. All of it comes back where a connection is on its way to it,
    /// or it has ended.
    pub(super) fn park(
        mut self,
        resumed: ResumedReceiver,
        session: Box<ParkedSession>,
    ) -> Result<(), ParkedClaim> {
        let sessions = Arc::clone(&self.sessions);
        let mut table = sessions.lock();
        let entry = table.sessions.get_mut(&self.id);
        let entry = entry.filter(|entry| entry.number == self.number && entry.detached.is_some());
        match entry {
            Some(entry) if resumed.is_unclaimed() => {
                let before = std::mem::replace(&mut entry.place, Place::Parked(session));
                // The entry stays.
                self.number = NO_ENTRY;
                drop(table);
                drop((before, resumed));
                Ok(())
            }
            _ => {
                drop(table);
                Err(ParkedClaim {
                    session,
                    registration: self,
                    resumed,
                })
            }
        }
    }

    /// Ends the session, where it has no connection.
    pub(super) fn ending(&self) -> Evict {
        // The table has parked sessions, which have this.
        let sessions = Arc::downgrade(&self.sessions);
        let (id, number) = (self.id, self.number);
        Box::new(move || {
            if let Some(sessions) = sessions.upgrade() {
                sessions.end(id, number);
            }
        })
    }

    /// The session has a connection again.
    pub(super) fn attached(&self) {
        let mut table = self.sessions.lock();
        table.set_detached(self.id, self.number, None);
    }
}

/// The number of no entry: they count from 1.
const NO_ENTRY: u64 = 0;

impl Drop for Registration {
    fn drop(&mut self) {
        let mut table = self.sessions.lock();
        if table
            .sessions
            .get(&self.id)
            .is_some_and(|entry| entry.number == self.number)
        {
            table.remove(self.id);
        }
    }
}

impl SessionKey<'_> {
    /// The hash of whose it is, whatever its secret.
    pub(super) fn owner(&self) -> [u8; 32] {
        let SessionKey {
            protocol,
            principal,
            ..
        } = *self;
        SessionKey {
            secret: &[],
            protocol,
            principal,
        }
        .hash()
    }

    fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        // Each part has its length in front, so that no two inputs hash the same bytes.
        let mut part = |bytes: &[u8]| {
            hash.update(bytes.len().to_be_bytes());
            hash.update(bytes);
        };
        part(self.secret);
        part(self.protocol.as_bytes());
        let credential = match self.principal {
            Principal::OfTransport(credential) => credential,
            Principal::Authenticated(identity) => {
                part(b"identity");
                part(identity.method.as_bytes());
                part(identity.issuer.as_bytes());
                part(identity.subject().as_bytes());
                &PeerCredential::None
            }
        };
        match credential {
            PeerCredential::None => {}
            // A program may be run under another group and is still that user's.
            PeerCredential::UnixUser { uid, .. } => {
                part(b"user");
                part(&uid.to_be_bytes());
            }
            PeerCredential::CertificateNames(names) => {
                part(b"names");
                // The kind of each is in its text.
                let names = names.iter();
                names.for_each(|name| part(name.to_string().as_bytes()));
            }
        }
        hash.finalize().into()
    }
}

/// Compares in constant time.
pub(super) fn is_equal(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let difference = a
        .iter()
        .zip(b)
        .fold(0, |difference, (a, b)| difference | (a ^ b));
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::CertificateName;

    const KEPT: Duration = Duration::from_secs(3600);

    fn id(number: u64) -> SessionId {
        SessionId::new(number).unwrap()
    }

    fn claim(sessions: &Arc<Sessions>, number: u64, secret: &[u8]) -> Claim {
        sessions.claim(
            id(number),
            &key(secret, "chat", &PeerCredential::None),
            true,
        )
    }

    fn key<'a>(
        secret: &'a [u8],
        protocol: &'a str,
        credential: &'a PeerCredential,
    ) -> SessionKey<'a> {
        SessionKey {
            secret,
            protocol,
            principal: Principal::OfTransport(credential),
        }
    }

    fn begin(sessions: &Arc<Sessions>, number: u64) -> (Registration, ResumedReceiver) {
        match claim(sessions, number, b"secret") {
            Claim::New(registration, resumed) => (registration, resumed),
            claim => panic!("{claim:?}"),
        }
    }

    #[test]
    fn a_session_is_found_by_its_id_and_secret() {
        let sessions = Sessions::new(10, &Arc::default());
        let (registration, _arrivals) = begin(&sessions, 1);
        assert!(matches!(claim(&sessions, 1, b"guess"), Claim::Refused));
        let other_protocol = key(b"secret", "shop", &PeerCredential::None);
        assert!(matches!(
            sessions.claim(id(1), &other_protocol, true),
            Claim::Refused
        ));
        assert!(matches!(claim(&sessions, 1, b"secret"), Claim::Known(_)));
        drop(registration);
        begin(&sessions, 1);
    }

    #[test]
    fn where_there_is_no_place_a_session_is_found_and_none_begins() {
        let sessions = Sessions::new(10, &Arc::default());
        let (_registration, _arrivals) = begin(&sessions, 1);
        let claim = |number, secret| {
            let key = key(secret, "chat", &PeerCredential::None);
            sessions.claim(id(number), &key, false)
        };
        assert!(matches!(claim(1, b"secret"), Claim::Known(_)));
        assert!(matches!(claim(1, b"guess"), Claim::Refused));
        assert!(matches!(claim(2, b"secret"), Claim::NoPlace));
        assert_eq!(sessions.lock().sessions.len(), 1);
    }

    #[test]
    fn a_session_is_resumed_only_with_the_credential_that_began_it() {
        let names = |names: &[&str]| {
            let names = names
                .iter()
                .map(|name| CertificateName::Dns((*name).to_owned()));
            PeerCredential::CertificateNames(names.collect())
        };
        let all = [
            PeerCredential::None,
            PeerCredential::UnixUser { uid: 1, gid: 1 },
            PeerCredential::UnixUser { uid: 2, gid: 1 },
            names(&["ab", "c"]),
            names(&["a", "bc"]),
            PeerCredential::CertificateNames(Arc::new([CertificateName::Uri("abc".to_owned())])),
            PeerCredential::CertificateNames(Arc::new([CertificateName::Email("abc".to_owned())])),
        ];
        let sessions = Sessions::new(10, &Arc::default());
        for (number, own) in (1..).zip(&all) {
            let _begun = sessions.claim(id(number), &key(b"secret", "chat", own), true);
            for other in &all {
                let resumed = sessions.claim(id(number), &key(b"secret", "chat", other), true);
                assert_eq!(
                    matches!(resumed, Claim::Known(_)),
                    own == other,
                    "{own:?} {other:?}"
                );
            }
        }
    }

    #[test]
    fn a_session_is_resumed_only_by_the_principal_that_began_it() {
        let all = [
            Identity::new("token").with_user("ada"),
            Identity::new("token").with_user("bob"),
            Identity::new("jwt").with_user("ada"),
            Identity::new("jwt").with_user("ada").with_issuer("north"),
            Identity::new("jwt").with_user("ad").with_issuer("anorth"),
        ];
        let none = PeerCredential::None;
        let sessions = Sessions::new(10, &Arc::default());
        let claim = |number, identity: Option<&Identity>| {
            let key = SessionKey {
                secret: b"secret",
                protocol: "chat",
                principal: Principal::of(identity, &none),
            };
            sessions.claim(id(number), &key, true)
        };
        for (number, own) in (1..).zip(&all) {
            let _begun = claim(number, Some(own));
            let changed = own.clone().with_role("operator").with_service("billing");
            let resumed = claim(number, Some(&changed));
            assert!(matches!(resumed, Claim::Known(_)), "{own:?} {resumed:?}");
            for other in all.iter().filter(|other| *other != own) {
                let claimed = claim(number, Some(other));
                assert!(matches!(claimed, Claim::Refused), "{own:?} {other:?}");
            }
            let claimed = claim(number, None);
            assert!(matches!(claimed, Claim::Refused), "{own:?} and nobody");
        }
    }

    #[test]
    fn the_oldest_without_a_connection_makes_room() {
        let sessions = Sessions::new(2, &Arc::default());
        let mut begun: Vec<_> = (1..=4).map(|number| begin(&sessions, number)).collect();
        for (registration, _) in &begun[..3] {
            registration.detached(true, KEPT);
        }
        assert!(begun[0].1.is_over(), "ended");
        assert!(matches!(claim(&sessions, 2, b"secret"), Claim::Known(_)));
        begun[1].0.attached();
        begun[3].0.detached(true, KEPT);
        assert!(matches!(claim(&sessions, 2, b"secret"), Claim::Known(_)));
        assert!(matches!(claim(&sessions, 3, b"secret"), Claim::Known(_)));
        drop(begun.remove(0));
        assert_eq!(sessions.lock().sessions.len(), 3);
    }

    #[test]
    fn sessions_that_nobody_may_know_of_make_room_for_others() {
        let sessions = Sessions::new(2, &Arc::default());
        let mut begun: Vec<_> = (1..=4).map(|number| begin(&sessions, number)).collect();
        let is_known = |number| matches!(claim(&sessions, number, b"secret"), Claim::Known(_));
        for (index, is_confirmed) in [(0, true), (1, false), (2, true)] {
            begun[index].0.detached(is_confirmed, KEPT);
        }
        assert!(is_known(1) && begun[1].1.is_over() && is_known(3));
        // A client that has come back, and was heard, is like any other.
        begun.remove(1);
        begun[0].0.attached();
        begun[2].0.detached(false, KEPT);
        begun[2].0.attached();
        begun[2].0.detached(true, KEPT);
        begun[0].0.detached(true, KEPT);
        assert!(begun[1].1.is_over(), "the oldest");
        assert!(is_known(1) && is_known(4));
    }

    #[test]
    fn a_session_that_ended_does_not_take_a_later_one_with_it() {
        let sessions = Sessions::new(10, &Arc::default());
        let (old, resumed) = begin(&sessions, 1);
        drop(resumed);
        let (_new, _arrivals) = begin(&sessions, 1);
        drop(old);
        assert!(matches!(claim(&sessions, 1, b"secret"), Claim::Known(_)));
    }
}
