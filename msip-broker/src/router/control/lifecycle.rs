//! Sessions come, are away, come back and end.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use bytes::Bytes;

use super::{Control, Router};
use crate::{
    access::Rights,
    router::{
        Dialect, EndReason, OutboxItem, Refused, SessionHandle, SessionKey, WakeList,
        fault_injection::FaultInjection, session::Session,
    },
    topic,
};

impl Router {
    /// The connection of a session is lost: what is sent for acknowledgment is kept for it, and the last of each STATE, until
    /// `session_expiry`. Calls that it has not taken come back, to be given to others.
    #[must_use = "calls among it wait for an answer"]
    pub(in crate::router) fn set_away(
        &self,
        session: &SessionHandle,
        now: Duration,
        wakes: &mut WakeList,
    ) -> Vec<OutboxItem> {
        let mut guard = self.control();
        let control = &mut *guard;
        let generation = control.changed();
        let Some(entry) = control.sessions.get_mut(&session.key()) else {
            return Vec::new();
        };
        let at = now.saturating_add(self.0.limits.session_expiry);
        if let Some(before) = entry.expires_at.replace(at) {
            control.away.remove(&(before, session.key()));
        }
        control.away.insert((at, session.key()));
        let mut subscriptions = entry.subscriptions.iter();
        // Whoever has chosen it among several, and not sent to it yet, chooses again.
        let is_chosen =
            subscriptions.any(|(filter, held)| held.has_group || filter.is_of_services());
        if is_chosen {
            for filter in entry.subscriptions.keys() {
                control.routes.outdate_matching(filter);
            }
            let client = &session.0.client;
            control.routes.outdate_peer(&client.topics(), &client.peer);
        }
        let left = session.0.with_outbox(|outbox| {
            if is_chosen {
                outbox.require_generation(generation);
            }
            outbox.suspend(wakes)
        });
        // What it enabled is not available meanwhile.
        for filter in entry.grants.keys() {
            control.routes.outdate_enabled(filter);
        }
        left
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
        let mut guard = self.control();
        let control = &mut *guard;
        let entry = control.sessions.get_mut(&session.key());
        let Some(entry) = entry.filter(|entry| entry.expires_at.is_none_or(|at| now < at)) else {
            return Err(Refused::ended());
        };
        if let Some(at) = entry.expires_at.take() {
            control.away.remove(&(at, session.key()));
        }
        entry.rights = rights;
        session.0.with_outbox(|outbox| outbox.resume());
        for filter in entry.grants.keys() {
            control.routes.outdate_enabled(filter);
        }
        let left = match FaultInjection::TrustResumed.is_on() {
            true => Vec::new(),
            false => control.check_again(&session.0),
        };
        drop(guard);
        self.hand_over(left, now, &mut WakeList::new());
        Ok(())
    }

    /// The rights of a principal have changed while a session of it is there: as [`Router::resume`] does, they are checked
    /// again. `false` if the session has ended.
    pub fn reauthorize(&self, session: &SessionHandle, rights: Arc<Rights>, now: Duration) -> bool {
        let mut guard = self.control();
        let control = &mut *guard;
        let Some(entry) = control.sessions.get_mut(&session.key()) else {
            return false;
        };
        if entry.rights == rights {
            return true;
        }
        entry.rights = rights;
        let left = control.check_again(&session.0);
        drop(guard);
        self.hand_over(left, now, &mut WakeList::new());
        true
    }

    /// Removes a session. Returns what waited for it, and for those that have lost their rights by this.
    #[must_use = "calls among it wait for an answer"]
    pub(in crate::router) fn remove(
        &self,
        session: &SessionHandle,
        reason: EndReason,
        now: Duration,
        wakes: &mut WakeList,
    ) -> Vec<OutboxItem> {
        let key = session.key();
        // Whoever finds the outbox at its end, and looks for another way, waits for this lock and finds one.
        let mut guard = self.control();
        let control = &mut *guard;
        let writer_returns = session.0.dialect == Dialect::Msip;
        let (mut left, known) = session
            .0
            .with_outbox(|outbox| outbox.end_with_clients(reason, writer_returns, wakes));
        let Some(entry) = control.sessions.remove(&key) else {
            return left;
        };
        let counters = self.counters();
        let at = EndReason::ALL.iter().position(|one| *one == reason);
        if let Some(ended) = at.and_then(|at| counters.ended.get(at)) {
            ended.fetch_add(1, Relaxed);
        }
        counters.dropped.fetch_add(session.dropped(), Relaxed);
        let published = session.0.published.load(Relaxed);
        counters.published.fetch_add(published, Relaxed);
        let queued = session.0.with_outbox(|outbox| outbox.queued);
        counters.queued.fetch_add(queued, Relaxed);
        session.0.change_rights();
        control.changed();
        if let Some(at) = entry.expires_at {
            control.away.remove(&(at, key));
        }
        for filter in entry.subscriptions.keys() {
            control.routes.outdate_matching(filter);
            control.subscriptions.remove(filter, key);
        }
        control.names.remove(&*session.0.client.peer);
        control.gone(&session.0, known, wakes);
        control.forget_rate(&entry.session);
        if !FaultInjection::KeepGrants.is_on() {
            for filter in entry.grants.keys() {
                control.take_back(key, filter);
            }
            let mut grants = entry.grants.iter();
            if grants.any(|(filter, grant)| !control.grants.enables(filter, *grant)) {
                left.extend(control.recheck_clients());
            }
        }
        for topic in &entry.present {
            control.announce(&entry.session, topic, false, now, wakes);
        }
        left
    }

    /// The sessions that were away for too long.
    pub(in crate::router) fn expired(&self, now: Duration) -> Vec<SessionHandle> {
        let control = self.control();
        let mut over = Vec::new();
        for (at, key) in &control.away {
            if *at > now || FaultInjection::NeverExpire.is_on() {
                break;
            }
            let entry = control.sessions.get(key);
            over.extend(entry.map(|entry| SessionHandle(entry.session.clone())));
        }
        over
    }

    /// When the next session will have been away for too long.
    pub(in crate::router) fn next_expiry(&self) -> Option<Duration> {
        self.control().away.first().map(|(at, _)| *at)
    }

    /// Whether a client takes part in a topic: services that hear of its presence were told so, or it has subscribed to the topic,
    /// or to what services send to it there, by name.
    pub fn takes_part(&self, session: &SessionHandle, topic: &[u8]) -> bool {
        let key = session.key();
        let control = self.control();
        let hears = |topic: &[u8]| control.subscriptions.of_topic(topic).contains(&key);
        let entry = control.sessions.get(&key);
        entry.is_some_and(|entry| entry.present.contains(topic))
            || hears(topic)
            || hears(&topic::to_peer(topic, session.peer()))
    }

    /// A client takes part in a topic: services that want to know are told, once.
    pub(in crate::router) fn appears(
        &self,
        key: SessionKey,
        topic: &[u8],
        now: Duration,
        wakes: &mut WakeList,
    ) {
        self.control()
            .appears(key, topic, self.0.limits.subscriptions, now, wakes);
    }
}

impl Control {
    /// What the rights of a session cover has changed: its subscriptions, its grants, what is queued for it. Returns what others
    /// can have.
    fn check_again(&mut self, session: &Session) -> Vec<OutboxItem> {
        session.change_rights();
        let mut left = self.withdraw_grants(session.key);
        left.extend(self.recheck(session.key));
        left
    }

    /// See [`Router::appears`].
    pub(super) fn appears(
        &mut self,
        key: SessionKey,
        topic: &[u8],
        most: usize,
        now: Duration,
        wakes: &mut WakeList,
    ) {
        let serves = self.hearing(&topic::services(topic));
        if serves.iter().any(|(one, _)| one.key == key)
            || self.hearing(&topic::presence(topic)).is_empty()
        {
            return;
        }
        let Some(entry) = self.sessions.get_mut(&key) else {
            return;
        };
        let topic = Bytes::copy_from_slice(topic);
        if entry.present.len() < most && entry.present.insert(topic.clone()) {
            let session = entry.session.clone();
            self.announce(&session, &topic, true, now, wakes);
        }
    }

    /// Tells the services that hear `$presence/T`.
    fn announce(
        &self,
        session: &Session,
        topic: &Bytes,
        is_there: bool,
        now: Duration,
        wakes: &mut WakeList,
    ) {
        let presence = Arc::new(session.client.presence(topic, is_there));
        for (service, _) in self.hearing(&topic::presence(topic)) {
            let item = OutboxItem::Presence(presence.clone());
            // One that has no place for it ends by what it does not take.
            let _ = service.push(item, u64::MAX, now, wakes);
        }
    }

    /// The last session of a principal takes its rate with it.
    fn forget_rate(&mut self, session: &Session) {
        let principal = &session.client.principal;
        let mut entries = self.sessions.values();
        if self.rates.has(principal)
            && !entries.any(|entry| entry.session.client.principal == *principal)
        {
            self.rates.forget(principal);
        }
    }
}
