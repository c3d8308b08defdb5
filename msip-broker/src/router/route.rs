//! The way of a topic: whom its messages go to.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{
    Arc,
    atomic::{
        AtomicUsize,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use bytes::Bytes;

use super::{
    SessionKey, Target, fault_injection::FaultInjection, kept::Kept, session::Session,
    sync::AtomicBool,
};

/// Whom the messages of a topic go to, as long as no subscription and no right changes that concerns it.
#[derive(Debug)]
pub(super) struct Route {
    /// The topic.
    pub(super) topic: Bytes,
    /// The change of the router after which it was found.
    pub(super) generation: u64,
    /// Whether something has changed since then that concerns it.
    pub(super) is_outdated: AtomicBool,
    /// Those who hear all of it, each once.
    pub(super) everyone: Vec<Arc<Session>>,
    /// Groups, of which one member each hears a message.
    pub(super) groups: Vec<OneOf>,
    /// The services of the topic, of which one gets a COMMAND.
    pub(super) services: OneOf,
    /// The same, for calls: these have a turn of their own.
    pub(super) callees: OneOf,
    /// Those of the services that hear each client apart.
    pub(super) by_peer: Vec<SessionKey>,
    /// `T`, where it is a topic that has services.
    pub(super) about: Bytes,
    /// The STATEs that are kept of it.
    pub(super) kept: Option<Arc<Kept>>,
    /// `T`, where services want to know who takes part in it.
    pub(super) presence: Option<Bytes>,
}

impl Route {
    /// Whether it is to be looked up again.
    pub(super) fn is_outdated(&self) -> bool {
        self.is_outdated.load(Acquire)
    }

    /// Whether a session hears each client apart that sends this here: as an instance, and not as one that hears `T` as a client.
    pub(super) fn hears_apart(&self, session: SessionKey, target: &Target) -> bool {
        let is_work = *target == Target::Service || self.topic != self.about;
        is_work && self.by_peer.contains(&session)
    }

    /// It is not used any more by whoever asks from now on.
    pub(super) fn outdate(&self) {
        self.is_outdated.store(true, Release);
    }
}

/// Sessions of which one is chosen.
#[derive(Debug, Clone, Default)]
pub(super) struct OneOf {
    /// The name of the group; empty for services.
    pub(super) name: Arc<str>,
    pub(super) members: Vec<Arc<Session>>,
    /// Whose turn it is among equals. It survives changes of the members.
    pub(super) turn: Arc<AtomicUsize>,
}

/// The session that a key decides, of those that are connected, or of all if none is. It is the same as long as it is there
/// (rendezvous hashing): when it goes, only its keys move.
pub(super) fn sticky<'a>(
    sessions: impl Iterator<Item = &'a Arc<Session>>,
    key: &[u8],
) -> Option<&'a Arc<Session>> {
    if FaultInjection::ScatterKeys.is_on() {
        let sessions: Vec<_> = sessions.filter(|one| one.is_connected()).collect();
        let at = usize::from(*key.last()?).checked_rem(sessions.len())?;
        return sessions.get(at).copied();
    }
    sessions.max_by_key(|one| {
        let mut hasher = DefaultHasher::new();
        (key, one.key).hash(&mut hasher);
        let is_there = one.is_connected() || FaultInjection::KeyToAway.is_on();
        (is_there, hasher.finish(), one.key)
    })
}

impl OneOf {
    /// The member that a key decides, of those that have not had it.
    pub(super) fn sticky(&self, key: &[u8], tried: &[SessionKey]) -> Option<&Arc<Session>> {
        sticky(
            self.members.iter().filter(|one| !tried.contains(&one.key)),
            key,
        )
    }

    /// The member with the least load among those that are connected, or among all if none is. Equals take turns.
    pub(super) fn choose(
        &self,
        load: impl Fn(&Session) -> usize,
        may: impl Fn(&Session) -> bool,
    ) -> Option<&Arc<Session>> {
        let count = self.members.len();
        let first = match FaultInjection::FirstMember.is_on() {
            true => 0,
            false => self.turn.load(Relaxed),
        };
        let (before, after) = self.members.split_at(first.checked_rem(count)?);
        let in_turn = after.iter().chain(before).enumerate();
        let (offset, chosen) = in_turn.filter(|(_, one)| may(one)).min_by_key(|(_, one)| {
            let is_away = !one.is_connected() && !FaultInjection::ChooseAway.is_on();
            (is_away, load(one))
        })?;
        self.turn
            .store(first.wrapping_add(offset).wrapping_add(1), Relaxed);
        Some(chosen)
    }

    /// How a run of messages is divided: how many each member gets, so that their loads are as equal as they can be. The
    /// members that are connected share it, or all of them if none is.
    pub(super) fn divide(
        &self,
        count: u32,
        load: impl Fn(&Session) -> usize,
        tried: &[SessionKey],
    ) -> Vec<(&Arc<Session>, u32)> {
        let may = |one: &Session| !tried.contains(&one.key);
        if count == 1 {
            return self
                .choose(load, may)
                .into_iter()
                .map(|one| (one, 1))
                .collect();
        }
        let is_any_connected = self
            .members
            .iter()
            .any(|one| one.is_connected() && may(one));
        let Some(first) = self.turn.load(Relaxed).checked_rem(self.members.len()) else {
            return Vec::new();
        };
        let (before, after) = self.members.split_at(first);
        let mut shares: Vec<_> = after
            .iter()
            .chain(before)
            .enumerate()
            .filter(|(_, one)| may(one) && (one.is_connected() || !is_any_connected))
            .map(|(offset, one)| Share {
                offset,
                one,
                load: load(one),
                count: 0,
            })
            .collect();
        let mut last = 0;
        for _ in 0..count {
            let Some(least) = shares.iter_mut().min_by_key(|share| share.load) else {
                return Vec::new();
            };
            least.load = least.load.saturating_add(1);
            least.count = least.count.saturating_add(1);
            last = least.offset;
        }
        self.turn
            .store(first.wrapping_add(last).wrapping_add(1), Relaxed);
        shares.retain(|share| share.count > 0);
        shares
            .into_iter()
            .map(|share| (share.one, share.count))
            .collect()
    }
}

/// How many messages of a run one member gets.
struct Share<'a> {
    offset: usize,
    one: &'a Arc<Session>,
    load: usize,
    count: u32,
}
