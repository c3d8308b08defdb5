//! The table of sessions that a server keeps, by the ids that clients chose (docs/protocol.md, "Resumption").

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use super::{
    log_limiter::LogLimiter,
    parked::ParkedSession,
    resumed::{ResumeRoute, ResumedReceiver, ResumedSender},
};
use msip_session::{Evict, wire::SessionId};

mod key;
#[cfg(test)]
mod tests;

pub(super) use key::{Principal, SessionKey, is_equal};

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
