//! The sessions of MIP peers by their ids: numbers, texts, and the ids of earlier HELLOs.

mod table;
mod takeover;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;

use super::session::{Hello, Name};
use crate::{
    access::{Principal, Rights},
    router::{Dialect, EndReason, Refused, Router, SessionHandle, SubscribeRequest, WakeList},
    small_map::SmallMap,
    topic::Filter,
};

use table::{Away, Entry, Id, Member, Table};
use takeover::Takeover;

/// The sessions that MIP peers can come back to.
///
/// A session belongs to a principal: another one's peers find nothing under its ids.
#[derive(Debug)]
pub(super) struct Sessions {
    router: Router,
    /// How many sessions are kept that have no connection.
    max_away: usize,
    last_member: AtomicU64,
    table: Mutex<Table>,
}

/// Why a HELLO gets no session.
#[derive(Debug)]
pub(super) enum NotClaimed {
    Refused(Refused),
    Random(getrandom::Error),
}

/// The session of a connection.
#[derive(Debug)]
pub(super) struct Claimed {
    /// What the peer is told.
    pub(super) number: u64,
    pub(super) session: SessionHandle,
    /// `None` where nobody can come back to it.
    membership: Option<Membership>,
}

#[derive(Debug)]
struct Membership {
    id: Id,
    member: u64,
    takeover: Arc<Takeover>,
}

impl Claimed {
    /// What tells that another connection has taken the session over.
    pub(super) fn takeover(&self) -> Option<&Takeover> {
        Some(&*self.membership.as_ref()?.takeover)
    }
}

impl Sessions {
    pub(super) fn new(router: Router, max_away: usize) -> Self {
        Self {
            router,
            max_away,
            last_member: AtomicU64::new(0),
            table: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session that a HELLO asks for, or a new one. Where `may_resume` is false it is always a new one, and nobody comes
    /// back to it.
    ///
    /// # Errors
    ///
    /// As many connections share the session as may, or there are no random numbers.
    pub(super) fn claim(
        &self,
        hello: &Hello,
        who: &Principal,
        rights: &Arc<Rights>,
        may_resume: bool,
        now: Duration,
    ) -> Result<Claimed, NotClaimed> {
        if !may_resume {
            return Ok(Claimed {
                number: getrandom::u64().map_err(NotClaimed::Random)?,
                session: self
                    .router
                    .connect(who.clone(), rights.clone(), Dialect::Mip),
                membership: None,
            });
        }
        // Woken once the table is free.
        let mut wakes = WakeList::new();
        let mut table = self.lock();
        table.expire(now, &self.router, &mut wakes);
        let number = match table.find(&hello.name, who) {
            Some(number) => number,
            None => table.fresh_number(who).map_err(NotClaimed::Random)?,
        };
        let id = (who.clone(), number);
        let is_number = matches!(hello.name, Name::Number(_));
        if !is_number && let Some(entry) = table.sessions.get(&id) {
            entry
                .check_sharing(entry.members.len() + 1, 0, self.router.limits())
                .map_err(NotClaimed::Refused)?;
        }
        let text = match &hello.name {
            Name::Text(text) if !table.sessions.contains_key(&id) => {
                // A copy of its own, which keeps no read buffer.
                let text = Bytes::copy_from_slice(text);
                table.by_text.insert((who.clone(), text.clone()), number);
                Some(text)
            }
            _ => None,
        };
        table.set_alias(&id, hello.msg_id);
        let table = &mut *table;
        let entry = table.sessions.entry(id.clone()).or_insert_with(|| {
            Box::new(Entry {
                text,
                alias: hello.msg_id,
                topics: SmallMap::default(),
                // Nearly always there is one.
                members: Vec::with_capacity(1),
                away: None,
            })
        });
        entry.alias = hello.msg_id;
        let mut queue = None;
        if let Some(away) = entry.away.take() {
            table.away_count -= 1;
            queue = away.queue;
        }
        if is_number {
            // The one who names the number has the session alone.
            for member in entry.members.drain(..) {
                member.takeover.happen();
                match queue {
                    None => queue = Some(member.session),
                    Some(_) => {
                        self.router
                            .end(&member.session, EndReason::Replaced, now, &mut wakes)
                    }
                }
            }
        }
        let session = self.open(queue, who, rights, &entry.topics, now);
        let member = self.last_member.fetch_add(1, Ordering::Relaxed);
        let takeover = Arc::new(Takeover::default());
        entry.members.push(Member {
            number: member,
            session: session.clone(),
            takeover: takeover.clone(),
        });
        Ok(Claimed {
            number,
            session,
            membership: Some(Membership {
                id,
                member,
                takeover,
            }),
        })
    }

    /// The queue of before, or a new one that hears the same.
    fn open(
        &self,
        queue: Option<SessionHandle>,
        who: &Principal,
        rights: &Arc<Rights>,
        topics: &SmallMap<Bytes, ()>,
        now: Duration,
    ) -> SessionHandle {
        if let Some(queue) = queue
            && self.router.resume(&queue, rights.clone(), now).is_ok()
        {
            return queue;
        }
        let session = self
            .router
            .connect(who.clone(), rights.clone(), Dialect::Mip);
        for topic in topics.keys() {
            // What it may not hear any longer it does not hear.
            let _ = self.router.subscribe(&session, literal(topic), now);
        }
        session
    }

    /// A further HELLO of the same connection: its id names the session from now on.
    pub(super) fn greeted_again(&self, claimed: &Claimed, msg_id: u64) {
        let Some(membership) = &claimed.membership else {
            return;
        };
        let mut table = self.lock();
        if table.sessions.contains_key(&membership.id) {
            table.set_alias(&membership.id, msg_id);
        }
    }

    /// Subscribes the session, for all of its connections. Returns for how many something has changed.
    ///
    /// # Errors
    ///
    /// It is not allowed, or there are too many.
    pub(super) fn subscribe(
        &self,
        claimed: &Claimed,
        topic: &Bytes,
        now: Duration,
    ) -> Result<usize, Refused> {
        let Some(membership) = &claimed.membership else {
            self.router
                .subscribe(&claimed.session, literal(topic), now)?;
            return Ok(1);
        };
        let mut table = self.lock();
        let entry = table.sessions.get_mut(&membership.id);
        // The others have what the session has.
        let new_to = entry.filter(|entry| !entry.topics.contains_key(topic));
        if let Some(entry) = &new_to {
            entry.check_sharing(entry.members.len(), 1, self.router.limits())?;
        }
        self.router
            .subscribe(&claimed.session, literal(topic), now)?;
        let Some(entry) = new_to else {
            return Ok(1);
        };
        for other in entry.others(membership.member) {
            let _ = self.router.subscribe(other, literal(topic), now);
        }
        entry.topics.insert(topic.clone(), ());
        Ok(entry.members.len())
    }

    /// The opposite.
    pub(super) fn unsubscribe(&self, claimed: &Claimed, topic: &Bytes) -> usize {
        let filter = Filter::Literal(topic.clone());
        let Some(membership) = &claimed.membership else {
            self.router.unsubscribe(&claimed.session, &filter);
            return 1;
        };
        let mut table = self.lock();
        self.router.unsubscribe(&claimed.session, &filter);
        if let Some(entry) = table.sessions.get_mut(&membership.id) {
            for other in entry.others(membership.member) {
                self.router.unsubscribe(other, &filter);
            }
            entry.topics.remove(topic);
            return entry.members.len();
        }
        1
    }

    /// A connection has ended. Where it was the last of its session that is kept, and its queue with it, unless the session
    /// has `ended` for a reason of its own.
    pub(super) fn leave(&self, claimed: Claimed, ended: Option<EndReason>, now: Duration) {
        let Claimed {
            session,
            membership,
            ..
        } = claimed;
        let Some(membership) = membership else {
            let mut wakes = WakeList::new();
            self.router.end(
                &session,
                ended.unwrap_or(EndReason::Closed),
                now,
                &mut wakes,
            );
            return;
        };
        // Woken once the table is free.
        let mut wakes = WakeList::new();
        let mut table = self.lock();
        table.expire(now, &self.router, &mut wakes);
        let table = &mut *table;
        let Some(entry) = table.sessions.get_mut(&membership.id) else {
            return;
        };
        let before = entry.members.len();
        entry
            .members
            .retain(|member| member.number != membership.member);
        if entry.members.len() == before {
            // Another connection has the session, and its queue.
            return;
        }
        if !entry.members.is_empty() {
            self.router.end(
                &session,
                ended.unwrap_or(EndReason::Closed),
                now,
                &mut wakes,
            );
            return;
        }
        let queue = match ended {
            Some(reason) => {
                self.router.end(&session, reason, now, &mut wakes);
                None
            }
            None => {
                self.router.suspend(&session, now, &mut wakes);
                Some(session)
            }
        };
        if ended == Some(EndReason::Shutdown) {
            table.remove(&membership.id);
            return;
        }
        let until = now.saturating_add(self.router.limits().session_expiry);
        table.departures += 1;
        let departure = table.departures;
        entry.away = Some(Away { queue, departure });
        table.away_count += 1;
        table.away.push_back((until, departure, membership.id));
        table.evict(self.max_away, &self.router, now, &mut wakes);
    }

    /// Ends the sessions that nobody has come back to in time. Returns when the next one may end.
    pub(super) fn expire(&self, now: Duration) -> Option<Duration> {
        // Woken once the table is free.
        let mut wakes = WakeList::new();
        let mut table = self.lock();
        table.expire(now, &self.router, &mut wakes);
        table.away.front().map(|(until, ..)| *until)
    }

    #[cfg(test)]
    fn counts(&self) -> (usize, usize, usize) {
        let table = self.lock();
        (
            table.sessions.len(),
            table.by_text.len(),
            table.by_alias.len(),
        )
    }
}

fn literal(topic: &Bytes) -> SubscribeRequest {
    SubscribeRequest::new(Filter::Literal(topic.clone()))
}
