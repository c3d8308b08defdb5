//! The sessions of MIP peers by their ids: numbers, texts, and the ids of earlier HELLOs.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Waker},
    time::Duration,
};

use bytes::Bytes;
use msip_session::wire::Code;

use super::session::{Hello, Name};
use crate::{
    access::{Principal, Rights},
    router::{
        Dialect, EndReason, Limits, Refused, Router, SessionHandle, SubscribeRequest, WakeList,
    },
    small_map::SmallMap,
    topic::Filter,
};

/// How many connections share a session that they name by the same text: each subscription is made for all of them.
const MAX_SHARING: usize = 64;

/// Whose a session is, and its number.
type Id = (Principal, u64);

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

#[derive(Debug, Default)]
struct Table {
    /// Their entries are in boxes: up to half of a table is empty.
    sessions: HashMap<Id, Box<Entry>>,
    by_text: HashMap<(Principal, Bytes), u64>,
    /// By the id of the last HELLO of each.
    by_alias: HashMap<Id, u64>,
    /// Those without a connection, in the order in which they end; others that have come back are among them.
    away: VecDeque<(Duration, u64, Id)>,
    away_count: usize,
    /// Numbers the times at which one has gone.
    departures: u64,
}

/// A session, and those who are connected to it.
#[derive(Debug)]
struct Entry {
    text: Option<Bytes>,
    alias: u64,
    /// What it hears: also when its queue was lost.
    topics: SmallMap<Bytes, ()>,
    members: Vec<Member>,
    /// Its queue while it has no connection.
    away: Option<Away>,
}

#[derive(Debug)]
struct Away {
    /// `None` if it was over its limits.
    queue: Option<SessionHandle>,
    departure: u64,
}

#[derive(Debug)]
struct Member {
    number: u64,
    session: SessionHandle,
    takeover: Arc<Takeover>,
}

/// What tells a connection that another one has its session now.
#[derive(Debug, Default)]
pub(super) struct Takeover {
    has_happened: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Takeover {
    /// Whether it has happened.
    pub(super) fn has_happened(&self) -> bool {
        self.has_happened.load(Ordering::Acquire)
    }

    /// The same, and the task is woken when it happens.
    pub(super) fn poll(&self, task: &Context<'_>) -> bool {
        let mut waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *waker {
            Some(known) => known.clone_from(task.waker()),
            none => *none = Some(task.waker().clone()),
        }
        drop(waker);
        self.has_happened()
    }

    fn happen(&self) {
        self.has_happened.store(true, Ordering::Release);
        let mut waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        let waker = waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
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
    seat: Option<Seat>,
}

#[derive(Debug)]
struct Seat {
    id: Id,
    member: u64,
    takeover: Arc<Takeover>,
}

impl Claimed {
    /// What tells that another connection has taken the session over.
    pub(super) fn takeover(&self) -> Option<&Takeover> {
        Some(&*self.seat.as_ref()?.takeover)
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
                seat: None,
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
            seat: Some(Seat {
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
        let Some(seat) = &claimed.seat else { return };
        let mut table = self.lock();
        if table.sessions.contains_key(&seat.id) {
            table.set_alias(&seat.id, msg_id);
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
        let Some(seat) = &claimed.seat else {
            self.router
                .subscribe(&claimed.session, literal(topic), now)?;
            return Ok(1);
        };
        let mut table = self.lock();
        let entry = table.sessions.get_mut(&seat.id);
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
        for other in entry.others(seat.member) {
            let _ = self.router.subscribe(other, literal(topic), now);
        }
        entry.topics.insert(topic.clone(), ());
        Ok(entry.members.len())
    }

    /// The opposite.
    pub(super) fn unsubscribe(&self, claimed: &Claimed, topic: &Bytes) -> usize {
        let filter = Filter::Literal(topic.clone());
        let Some(seat) = &claimed.seat else {
            self.router.unsubscribe(&claimed.session, &filter);
            return 1;
        };
        let mut table = self.lock();
        self.router.unsubscribe(&claimed.session, &filter);
        if let Some(entry) = table.sessions.get_mut(&seat.id) {
            for other in entry.others(seat.member) {
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
        let Claimed { session, seat, .. } = claimed;
        let Some(seat) = seat else {
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
        let Some(entry) = table.sessions.get_mut(&seat.id) else {
            return;
        };
        let before = entry.members.len();
        entry.members.retain(|member| member.number != seat.member);
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
            table.remove(&seat.id);
            return;
        }
        let until = now.saturating_add(self.router.limits().session_expiry);
        table.departures += 1;
        let departure = table.departures;
        entry.away = Some(Away { queue, departure });
        table.away_count += 1;
        table.away.push_back((until, departure, seat.id));
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

impl Entry {
    /// Whether so many connections may share so many topics more than there are: together they have no more subscriptions than a
    /// session may, or each SUBSCRIBE and each HELLO would cost as much as thousands.
    fn check_sharing(
        &self,
        connections: usize,
        more_topics: usize,
        limits: &Limits,
    ) -> Result<(), Refused> {
        if connections <= 1 {
            return Ok(());
        }
        if connections > MAX_SHARING {
            let text =
                format!("too many connections share this session: {MAX_SHARING} are allowed");
            let code = Code::ResourceExhausted;
            return Err(Refused {
                code,
                text: text.into(),
            });
        }
        let topics = self.topics.len() + more_topics;
        match topics.saturating_mul(connections) > limits.subscriptions {
            true => Err(Refused::limit(
                "subscriptions of connections that share a session",
                limits.subscriptions,
                "subscriptions",
            )),
            false => Ok(()),
        }
    }

    fn others(&self, member: u64) -> impl Iterator<Item = &SessionHandle> {
        let others = self.members.iter();
        others
            .filter(move |other| other.number != member)
            .map(|other| &other.session)
    }
}

impl Table {
    /// The number of the session that a HELLO names, where there is one; that of a new one, where the peer has chosen it.
    fn find(&self, name: &Name, who: &Principal) -> Option<u64> {
        match name {
            Name::New => None,
            Name::Number(number) => Some(*number),
            Name::Text(text) => {
                let by_text = self.by_text.get(&(who.clone(), text.clone()));
                let by_alias = || self.by_alias.get(&(who.clone(), decimal(text)?));
                by_text.or_else(by_alias).copied()
            }
        }
    }

    fn fresh_number(&self, who: &Principal) -> Result<u64, getrandom::Error> {
        loop {
            let number = getrandom::u64()?;
            if !self.sessions.contains_key(&(who.clone(), number)) {
                return Ok(number);
            }
        }
    }

    /// The id of a HELLO names a session, and the one before does not any more.
    fn set_alias(&mut self, id: &Id, alias: u64) {
        if let Some(entry) = self.sessions.get_mut(id) {
            let before = std::mem::replace(&mut entry.alias, alias);
            self.forget_alias(id, before);
        }
        self.by_alias.insert((id.0.clone(), alias), id.1);
    }

    fn forget_alias(&mut self, id: &Id, alias: u64) {
        let key = (id.0.clone(), alias);
        if self.by_alias.get(&key) == Some(&id.1) {
            self.by_alias.remove(&key);
        }
    }

    fn expire(&mut self, now: Duration, router: &Router, wakes: &mut WakeList) {
        while let Some((until, ..)) = self.away.front()
            && *until <= now
        {
            self.end_first(EndReason::Expired, router, now, wakes);
        }
    }

    /// Ends those that have been away for longest, beyond so many.
    fn evict(&mut self, most: usize, router: &Router, now: Duration, wakes: &mut WakeList) {
        while self.away_count > most && !self.away.is_empty() {
            self.end_first(EndReason::Expired, router, now, wakes);
        }
        // Those that have come back, and gone again, are at the end too.
        if self.away.len() > 2 * self.away_count + 64 {
            let sessions = &self.sessions;
            self.away
                .retain(|(_, departure, id)| is_away(sessions, id, *departure));
        }
    }

    fn end_first(&mut self, why: EndReason, router: &Router, now: Duration, wakes: &mut WakeList) {
        let Some((_, departure, id)) = self.away.pop_front() else {
            return;
        };
        if !is_away(&self.sessions, &id, departure) {
            return;
        }
        self.away_count -= 1;
        if let Some(Away {
            queue: Some(queue), ..
        }) = self.remove(&id).and_then(|entry| entry.away)
        {
            router.end(&queue, why, now, wakes);
        }
    }

    fn remove(&mut self, id: &Id) -> Option<Box<Entry>> {
        let entry = self.sessions.remove(id)?;
        if let Some(text) = &entry.text {
            self.by_text.remove(&(id.0.clone(), text.clone()));
        }
        self.forget_alias(id, entry.alias);
        Some(entry)
    }
}

/// Whether a session has been away since then.
fn is_away(sessions: &HashMap<Id, Box<Entry>>, id: &Id, departure: u64) -> bool {
    let entry = sessions.get(id);
    let away = entry.and_then(|entry| entry.away.as_ref());
    away.is_some_and(|away| away.departure == departure)
}

/// The number that a text is, as its decimal digits.
fn decimal(text: &[u8]) -> Option<u64> {
    let number: u64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    // Neither a sign nor zeros in front.
    (number.to_string().as_bytes() == text).then_some(number)
}

#[cfg(test)]
mod tests;
