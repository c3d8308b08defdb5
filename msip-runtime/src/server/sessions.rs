//! The table of sessions that a server keeps, by the ids that clients chose (docs/protocol.md, "Resumption").

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sha2::{Digest as _, Sha256};

use super::{
    log_limiter::LogLimiter,
    resumed::{ResumeRoute, ResumedReceiver, ResumedSender},
};
use crate::{Identity, transport::PeerCredential};
use msip_session::{Evict, wire::SessionId};

/// The session that a HELLO names.
#[derive(Debug)]
pub(super) enum Claim {
    /// A new session.
    New(Registration, ResumedReceiver),
    /// A session that exists, and how its connections reach it.
    Known(ResumeRoute),
    /// A session that exists, with another secret or of another principal.
    Refused,
    /// A new session, for which there is no place.
    NoPlace,
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
    max_detached: usize,
    log_limiter: Arc<LogLimiter>,
}

#[derive(Debug, Default)]
struct Table {
    sessions: HashMap<SessionId, Entry>,
    /// The sessions without a connection, in the order in which they lost it.
    detached: BTreeMap<u64, SessionId>,
    /// Those of them whose clients have sent nothing after HELLO: they end first.
    unconfirmed: BTreeMap<u64, SessionId>,
    /// Numbers entries and losses.
    next: u64,
}

#[derive(Debug)]
struct Entry {
    /// Tells this entry from a later one of the same id.
    number: u64,
    secret: [u8; 32],
    sender: ResumedSender,
    detached: Option<u64>,
}

impl Sessions {
    pub(super) fn new(max_detached: usize, log_limiter: &Arc<LogLimiter>) -> Arc<Self> {
        Arc::new(Self {
            table: Mutex::default(),
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
            // One that has just ended, and is still in the table, is replaced.
            if let Some(route) = entry.sender.route() {
                return Claim::Known(route);
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
            Entry {
                number,
                secret,
                sender,
                detached: None,
            },
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

    /// Ends a session that has no connection, since others need its memory: it finds that no connection can come any more.
    fn end(&self, id: SessionId, number: u64) {
        let mut table = self.lock();
        let is_it = |entry: &Entry| entry.number == number && entry.detached.is_some();
        if table.sessions.get(&id).is_some_and(is_it) {
            if self.log_limiter.may_log_session() {
                tracing::info!(session = %id, "session ended: memory is short (max_memory)");
            }
            table.remove(id);
        }
    }

    /// Ends every session that has no connection, and lets none be resumed.
    pub(super) fn end_all(&self) {
        *self.lock() = Table::default();
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
        if let Some(entry) = self.sessions.remove(&id)
            && let Some(detached) = entry.detached
        {
            self.forget_loss(detached);
        }
    }

    fn forget_loss(&mut self, detached: u64) {
        self.detached.remove(&detached);
        self.unconfirmed.remove(&detached);
    }

    /// Takes out the session that has been without a connection for longest, of those that are worth least.
    fn pop_detached(&mut self) -> Option<SessionId> {
        let first = self.unconfirmed.first_key_value();
        let (&detached, &id) = first.or_else(|| self.detached.first_key_value())?;
        self.forget_loss(detached);
        Some(id)
    }

    /// Whether it has no connection, and then whether its client has confirmed it.
    fn set_detached(&mut self, id: SessionId, number: u64, is_confirmed: Option<bool>) {
        let detached = is_confirmed.map(|_| self.number());
        let Some(entry) = self
            .sessions
            .get_mut(&id)
            .filter(|entry| entry.number == number)
        else {
            return;
        };
        if let Some(before) = std::mem::replace(&mut entry.detached, detached) {
            self.forget_loss(before);
        }
        if let Some(detached) = detached {
            self.detached.insert(detached, id);
            if is_confirmed == Some(false) {
                self.unconfirmed.insert(detached, id);
            }
        }
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
    /// The session has lost its connection. Where too many have, the oldest is ended, first of those whose clients have
    /// not confirmed that they know of their sessions: it finds that no connection can come any more.
    pub(super) fn detached(&self, is_confirmed: bool) {
        let mut table = self.sessions.lock();
        table.set_detached(self.id, self.number, Some(is_confirmed));
        while table.detached.len() > self.sessions.max_detached {
            let Some(oldest) = table.pop_detached() else {
                break;
            };
            if self.sessions.log_limiter.may_log_session() {
                tracing::info!(session = %oldest, "session ended: too many sessions without a connection (max_detached_sessions)");
            }
            table.sessions.remove(&oldest);
        }
    }

    /// Ends the session, where it has no connection.
    pub(super) fn ending(&self) -> Evict {
        let (sessions, id, number) = (Arc::clone(&self.sessions), self.id, self.number);
        Box::new(move || sessions.end(id, number))
    }

    /// The session has a connection again.
    pub(super) fn attached(&self) {
        self.sessions
            .lock()
            .set_detached(self.id, self.number, None);
    }
}

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
            PeerCredential::UserId(id) => {
                part(b"user");
                part(&id.to_be_bytes());
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
fn is_equal(a: &[u8; 32], b: &[u8; 32]) -> bool {
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
            PeerCredential::UserId(1),
            PeerCredential::UserId(2),
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
            registration.detached(true);
        }
        assert!(begun[0].1.is_over(), "ended");
        assert!(matches!(claim(&sessions, 2, b"secret"), Claim::Known(_)));
        begun[1].0.attached();
        begun[3].0.detached(true);
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
            begun[index].0.detached(is_confirmed);
        }
        assert!(is_known(1) && begun[1].1.is_over() && is_known(3));
        // A client that has come back, and was heard, is like any other.
        begun.remove(1);
        begun[0].0.attached();
        begun[2].0.detached(false);
        begun[2].0.attached();
        begun[2].0.detached(true);
        begun[0].0.detached(true);
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
