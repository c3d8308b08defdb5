//! The ways of topics.

use std::sync::Arc;

use bytes::Bytes;
use msip_session::wire::Code;

use super::{Control, Entry, Router, Turn};
use crate::{
    access::Access,
    router::{
        Refused, SessionKey,
        fault_injection::FaultInjection,
        kept::KeptTotals,
        limits::MAX_CACHED_TOPIC,
        route::{OneOf, Route},
        session::Session,
        sync::lock,
    },
    topic::{self, Internal},
};

impl Router {
    /// The way of a topic, as it is now. What is remembered keeps the topic's memory, which must not be part of something larger.
    pub(in crate::router) fn route(&self, topic: &Bytes) -> Arc<Route> {
        let generation = self.generation();
        let mut control = self.control();
        if let Some(route) = control.routes.get(topic)
            && route.generation >= generation
        {
            return route.clone();
        }
        // It does not change while the lock is held.
        let generation = self.generation();
        let route = Arc::new(control.resolve(topic, generation));
        if topic.len() <= MAX_CACHED_TOPIC {
            if control.routes.len() >= self.0.limits.cached_topics {
                control.routes.clear();
            }
            control.routes.insert(topic.clone(), route.clone());
        }
        route
    }

    /// From now on the route of a topic has a place for STATEs.
    pub(in crate::router) fn begin_to_keep(&self, topic: &Bytes) {
        /// Below so many topics it is not worth looking.
        const FEW: usize = 1024;
        let mut guard = self.control();
        let control = &mut *guard;
        if control.kept.len() >= control.sweep_kept_at.max(FEW) {
            control
                .kept
                .retain(|_, kept| !lock(&kept.values).is_empty());
            control.sweep_kept_at = control.kept.len().saturating_mul(2);
        }
        // Routes that do not know of it, or that know what was swept, are not used to keep anything.
        self.changed();
        control.routes.clear();
        control.kept.entry(topic.clone()).or_default();
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
                let is_available = |giver: &Entry| {
                    giver.session.is_connected() || FaultInjection::IgnoreAway.is_on()
                };
                match givers.any(is_available) {
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
    fn resolve(&mut self, topic: &Bytes, generation: u64) -> Route {
        let mut everyone: Vec<Arc<Session>> = Vec::new();
        let mut members: Vec<(Arc<str>, Vec<Arc<Session>>)> = Vec::new();
        for (session, group) in self.hearing(topic) {
            let Some(name) = group else {
                everyone.push(session.clone());
                continue;
            };
            match members.iter_mut().find(|(other, _)| other == name) {
                Some((_, group)) => group.push(session.clone()),
                None => members.push((name.clone(), vec![session.clone()])),
            }
        }
        if !FaultInjection::DeliverTwice.is_on() {
            unique(&mut everyone);
        }
        let (about, services) = match Internal::of(topic) {
            Internal::Clients(about) => (about, self.hearing(&topic::services(topic))),
            Internal::Services(about) => (about, self.hearing(topic)),
            _ => (&[][..], Vec::new()),
        };
        let services: Vec<_> = services.into_iter().map(|(one, _)| one.clone()).collect();
        let about = Bytes::copy_from_slice(about);
        let groups = members.into_iter();
        Route {
            generation,
            everyone,
            groups: groups
                .map(|(name, members)| self.one_of(name.clone(), members, Turn::Group(name)))
                .collect(),
            callees: self.one_of("".into(), services.clone(), Turn::Calls(about.clone())),
            services: self.one_of("".into(), services, Turn::Services(about)),
            kept: self.kept.get(topic).cloned(),
            presence: match Internal::of(topic) {
                Internal::Clients(about) | Internal::Services(about)
                    if !self.hearing(&topic::presence(about)).is_empty() =>
                {
                    Some(topic.slice_ref(about))
                }
                _ => None,
            },
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
