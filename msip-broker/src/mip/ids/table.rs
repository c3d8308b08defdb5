//! The table of the sessions that MIP peers can come back to.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use msip_session::wire::Code;

use super::{super::session::Name, takeover::Takeover};
use crate::{
    access::Principal,
    router::{EndReason, Limits, Refused, Router, SessionHandle, WakeList},
    small_map::SmallMap,
};

/// How many connections share a session that they name by the same text: each subscription is made for all of them.
pub(super) const MAX_SHARING: usize = 64;

/// Whose a session is, and its number.
pub(super) type Id = (Principal, u64);

#[derive(Debug, Default)]
pub(super) struct Table {
    /// Their entries are in boxes: up to half of a table is empty.
    pub(super) sessions: HashMap<Id, Box<Entry>>,
    pub(super) by_text: HashMap<(Principal, Bytes), u64>,
    /// By the id of the last HELLO of each.
    pub(super) by_alias: HashMap<Id, u64>,
    /// Those without a connection, in the order in which they end; others that have come back are among them.
    pub(super) away: VecDeque<(Duration, u64, Id)>,
    pub(super) away_count: usize,
    /// Numbers the times at which one has gone.
    pub(super) departures: u64,
}

/// A session, and those who are connected to it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) text: Option<Bytes>,
    pub(super) alias: u64,
    /// What it hears: also when its queue was lost.
    pub(super) topics: SmallMap<Bytes, ()>,
    pub(super) members: Vec<Member>,
    /// Its queue while it has no connection.
    pub(super) away: Option<Away>,
}

#[derive(Debug)]
pub(super) struct Away {
    /// `None` if it was over its limits.
    pub(super) queue: Option<SessionHandle>,
    pub(super) departure: u64,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) number: u64,
    pub(super) session: SessionHandle,
    pub(super) takeover: Arc<Takeover>,
}

impl Entry {
    /// Whether so many connections may share so many topics more than there are: together they have no more subscriptions than a
    /// session may, or each SUBSCRIBE and each HELLO would cost as much as thousands.
    pub(super) fn check_sharing(
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
            true => {
                let most = limits.subscriptions;
                let text = format!(
                    "too many subscriptions of connections that share a session: they have {most} at most together"
                );
                Err(Refused::limit("subscriptions", text))
            }
            false => Ok(()),
        }
    }

    pub(super) fn others(&self, member: u64) -> impl Iterator<Item = &SessionHandle> {
        let others = self.members.iter();
        others
            .filter(move |other| other.number != member)
            .map(|other| &other.session)
    }
}

impl Table {
    /// The number of the session that a HELLO names, where there is one; that of a new one, where the peer has chosen it.
    pub(super) fn find(&self, name: &Name, who: &Principal) -> Option<u64> {
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

    pub(super) fn fresh_number(&self, who: &Principal) -> Result<u64, getrandom::Error> {
        loop {
            let number = getrandom::u64()?;
            if !self.sessions.contains_key(&(who.clone(), number)) {
                return Ok(number);
            }
        }
    }

    /// The id of a HELLO names a session, and the one before does not any more.
    pub(super) fn set_alias(&mut self, id: &Id, alias: u64) {
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

    pub(super) fn expire(&mut self, now: Duration, router: &Router, wakes: &mut WakeList) {
        while let Some((until, ..)) = self.away.front()
            && *until <= now
        {
            self.end_first(EndReason::Expired, router, now, wakes);
        }
    }

    /// Ends those that have been away for longest, beyond so many.
    pub(super) fn evict(
        &mut self,
        most: usize,
        router: &Router,
        now: Duration,
        wakes: &mut WakeList,
    ) {
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

    pub(super) fn remove(&mut self, id: &Id) -> Option<Box<Entry>> {
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
