//! The ways of topics.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use msip_session::wire::Code;

use super::{Control, Router, Turn};
use crate::{
    access::Access,
    router::{
        Refused, SessionKey,
        fault_injection::FaultInjection,
        kept::KeptTotals,
        route::{OneOf, Route},
        session::Session,
        sync::{AtomicBool, lock},
    },
    topic::{self, Internal},
};

impl Router {
    /// The way of a topic, as it is now.
    pub(in crate::router) fn route(&self, topic: &Bytes) -> Arc<Route> {
        let mut control = self.control();
        if let Some(route) = control.routes.get(topic) {
            return route.clone();
        }
        let route = Arc::new(control.resolve(topic));
        let most = self.0.limits.cached_topics;
        control.routes.insert(route.clone(), most);
        route
    }

    /// How many routes were looked up.
    #[cfg(test)]
    pub(in crate::router) fn resolved(&self) -> usize {
        self.control().routes.resolved
    }

    /// From now on the route of a topic has a place for STATEs.
    pub(in crate::router) fn begin_to_keep(&self, topic: &Bytes) {
        /// Below so many topics it is not worth looking.
        const FEW: usize = 1024;
        let mut guard = self.control();
        let control = &mut *guard;
        if control.kept.len() >= control.sweep_kept_at.max(FEW) {
            // Routes that know what is swept are not used to keep anything.
            control.kept.retain(|topic, kept| {
                let values = lock(&kept.values);
                if values.is_empty() {
                    control.routes.outdate(topic);
                }
                !values.is_empty()
            });
            control.sweep_kept_at = control.kept.len().saturating_mul(2);
        }
        control.changed();
        control.routes.outdate(topic);
        // The memory of a read is not kept with it.
        let topic = Bytes::copy_from_slice(topic);
        control.kept.entry(topic).or_default();
    }

    /// Forgets the STATEs that have expired; `false` if there are none.
    pub(in crate::router) fn expire_kept(&self, now: Duration) -> bool {
        let totals = self.kept_totals();
        if FaultInjection::KeepExpired.is_on() || !totals.begin_to_expire(now) {
            return false;
        }
        let all: Vec<_> = self.control().kept.values().cloned().collect();
        for kept in all {
            totals.expire(&mut lock(&kept.values), now);
        }
        true
    }

    pub(in crate::router) fn kept_totals(&self) -> &KeptTotals {
        &self.0.kept
    }

    /// Whether a session may send to a topic.
    pub(in crate::router) fn check_send(
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
                let is_available = |session: &Session| {
                    session.is_connected() || FaultInjection::IgnoreAway.is_on()
                };
                match givers.any(|giver| is_available(&giver.session)) {
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
    /// Who hears a topic.
    fn resolve(&mut self, topic: &[u8]) -> Route {
        // The memory of a read is not kept with it.
        let topic = Bytes::copy_from_slice(topic);
        let mut everyone: Vec<Arc<Session>> = Vec::new();
        let mut members: Vec<(Arc<str>, Vec<Arc<Session>>)> = Vec::new();
        for (session, group) in self.hearing(&topic) {
            let Some(name) = group else {
                everyone.push(session.clone());
                continue;
            };
            match members.iter_mut().find(|(other, _)| other == name) {
                Some((_, group)) => group.push(session.clone()),
                None => members.push((name.clone(), vec![session.clone()])),
            }
        }
        if let Internal::Peer { topic: about, peer } = Internal::of(&topic) {
            everyone.extend(self.typed_client(about, peer).cloned());
        }
        if !FaultInjection::DeliverTwice.is_on() {
            unique(&mut everyone);
        }
        let (about, services) = match Internal::of(&topic) {
            Internal::Clients(about) => (about, self.hearing(&topic::services(&topic))),
            Internal::Services(about) => (about, self.hearing(&topic)),
            _ => (&[][..], Vec::new()),
        };
        let inner = topic::services(about);
        let by_peer = match services.is_empty() {
            true => Vec::new(),
            false => {
                let all = self.subscriptions.matching(&inner).into_iter();
                let by_peer = all.filter(|one| one.is_by_peer);
                by_peer.map(|one| one.session.key).collect()
            }
        };
        let services: Vec<_> = services.into_iter().map(|(one, _)| one.clone()).collect();
        // A service asks one client.
        let callees = match Internal::of(&topic) {
            Internal::Peer { .. } => everyone.clone(),
            _ => services.clone(),
        };
        let about = Bytes::copy_from_slice(about);
        let groups = members.into_iter();
        Route {
            generation: self.generation,
            is_outdated: AtomicBool::new(false),
            everyone,
            groups: groups
                .map(|(name, members)| self.one_of(name.clone(), members, Turn::Group(name)))
                .collect(),
            callees: self.one_of("".into(), callees, Turn::Calls(about.clone())),
            services: self.one_of("".into(), services, Turn::Services(about.clone())),
            by_peer,
            about,
            kept: self.kept.get(&topic).cloned(),
            presence: match Internal::of(&topic) {
                Internal::Clients(about) | Internal::Services(about)
                    if !self.hearing(&topic::presence(about)).is_empty() =>
                {
                    Some(topic.slice_ref(about))
                }
                _ => None,
            },
            topic,
        }
    }

    fn one_of(&mut self, name: Arc<str>, mut members: Vec<Arc<Session>>, turn: Turn) -> OneOf {
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
    pub(super) fn hearing<'a>(
        &'a self,
        topic: &[u8],
    ) -> Vec<(&'a Arc<Session>, Option<&'a Arc<str>>)> {
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
