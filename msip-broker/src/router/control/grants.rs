//! What may be done: grants, and what becomes of subscriptions when rights change.

use std::time::Duration;

use super::{Control, Entry, Router};
use crate::{
    access::{Access, Checked, Grant, Role, Uses},
    router::{
        OutboxItem, Refused, SessionHandle, SessionKey, SubscriptionEnd, Target, WakeList,
        fault_injection::FaultInjection,
    },
    topic::{self, Filter, Internal, TopicFilter},
};

impl Router {
    /// A service enables topics for clients, in place of what it enabled for the same filter.
    ///
    /// # Errors
    ///
    /// The filter is not wholly what the service may serve, or there are too many grants.
    pub fn grant(
        &self,
        session: &SessionHandle,
        filter: TopicFilter,
        grant: Grant,
        now: Duration,
    ) -> Result<(), Refused> {
        let mut guard = self.control();
        let control = &mut *guard;
        let Some(entry) = control.sessions.get_mut(&session.key()) else {
            return Err(Refused::ended());
        };
        let is_internal = !matches!(
            Internal::of(filter.as_str().as_bytes()),
            Internal::Clients(_)
        );
        let may_serve = entry.rights.filter(Uses::Serve, &filter) == Access::Allowed;
        if is_internal || !may_serve && !FaultInjection::GrantAnything.is_on() {
            return Err(Refused::permission());
        }
        let most = self.0.limits.grants;
        if !entry.grants.contains_key(&filter) && entry.grants.len() >= most {
            let text =
                format!("too many grants: a session gives {most} at most, revoke others first");
            return Err(Refused::limit("grants", text));
        }
        let before = entry.grants.insert(filter.clone(), grant);
        control.grants.give(session.key(), filter.clone(), grant);
        control.changed();
        control.routes.outdate_enabled(&filter);
        let left = match before {
            Some(before) => control.recheck_enabled(&filter, before),
            None => Vec::new(),
        };
        drop(guard);
        self.hand_over(left, now, &mut WakeList::new());
        Ok(())
    }

    /// A service takes back what it enabled for a filter; `false` if it was nothing.
    pub fn revoke(&self, session: &SessionHandle, filter: &TopicFilter, now: Duration) -> bool {
        let mut control = self.control();
        let Some(before) = control
            .sessions
            .get_mut(&session.key())
            .and_then(|entry| entry.grants.remove(filter))
        else {
            return false;
        };
        control.take_back(session.key(), filter);
        let left = control.recheck_enabled(filter, before);
        drop(control);
        self.hand_over(left, now, &mut WakeList::new());
        true
    }
}

impl Control {
    /// A grant is there no longer.
    pub(super) fn take_back(&mut self, key: SessionKey, filter: &TopicFilter) {
        self.changed();
        self.routes.outdate_enabled(filter);
        self.grants.take_back(key, filter);
    }

    /// Takes back what a session has enabled and may serve no longer.
    #[must_use = "others can have it"]
    pub(super) fn withdraw_grants(&mut self, key: SessionKey) -> Vec<OutboxItem> {
        let Some(entry) = self.sessions.get_mut(&key) else {
            return Vec::new();
        };
        let may_serve =
            |filter: &TopicFilter| entry.rights.filter(Uses::Serve, filter) == Access::Allowed;
        let gone: Vec<_> = entry
            .grants
            .keys()
            .filter(|one| !may_serve(one))
            .cloned()
            .collect();
        if gone.is_empty() {
            return Vec::new();
        }
        for filter in &gone {
            entry.grants.remove(filter);
        }
        for filter in gone {
            self.take_back(key, &filter);
        }
        self.recheck_clients()
    }

    /// A grant was withdrawn: checks again what those subscribe to who live by it. Returns what others can have.
    #[must_use = "others can have it"]
    pub(super) fn recheck_enabled(
        &mut self,
        filter: &TopicFilter,
        before: Grant,
    ) -> Vec<OutboxItem> {
        // Instances of a service enable the same: that one of them goes changes nothing for its clients.
        match self.grants.enables(filter, before) {
            true => Vec::new(),
            false => self.recheck_clients(),
        }
    }

    /// Grants were withdrawn: checks again what those subscribe to who live by them. Returns what others can have.
    #[must_use = "others can have it"]
    pub(super) fn recheck_clients(&mut self) -> Vec<OutboxItem> {
        let clients = self.sessions.values();
        let mut keys: Vec<_> = clients
            .filter(|entry| entry.rights.role == Role::Client)
            .map(|entry| entry.session.key)
            .collect();
        keys.sort_unstable();
        keys.into_iter().flat_map(|key| self.recheck(key)).collect()
    }

    /// Checks again what a session is subscribed to, and what is queued for it. It is told of subscriptions that have ended.
    /// Returns what others can have instead of it.
    #[must_use = "others can have it"]
    pub(super) fn recheck(&mut self, key: SessionKey) -> Vec<OutboxItem> {
        let generation = self.changed();
        let Some(entry) = self.sessions.get(&key) else {
            return Vec::new();
        };
        // All that lead to it: what was found before is not taken by its outbox any more.
        for filter in entry.subscriptions.keys() {
            self.routes.outdate_matching(filter);
        }
        let client = &entry.session.client;
        self.routes.outdate_peer(&client.topics(), &client.peer);
        let mut gone: Vec<Filter> = entry
            .subscriptions
            .keys()
            .filter(|filter| self.check_subscription(key, filter).is_err())
            .cloned()
            .collect();
        gone.sort_unstable_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
        // Woken below, with the control lock held: it happens rarely.
        let mut wakes = WakeList::new();
        let mut given_up = Vec::new();
        for filter in &gone {
            self.subscriptions.remove(filter, key);
            if let Some(entry) = self.sessions.get_mut(&key) {
                let is_by_peer = entry
                    .subscriptions
                    .remove(filter)
                    .is_some_and(|held| held.is_by_peer);
                let session = entry.session.clone();
                if is_by_peer {
                    given_up.extend(self.leaves(&session, filter, &mut wakes));
                }
            }
        }
        let control = &*self;
        let Some(entry) = control.sessions.get(&key) else {
            return Vec::new();
        };
        let may_hear = |item: &OutboxItem| match item {
            OutboxItem::Publication(delivery) => {
                let topic = &delivery.publication.topic;
                match (&delivery.target, Internal::of(topic)) {
                    // A service gets the COMMANDs of `T` by its right to `T/$in`.
                    (Target::Service, Internal::Clients(about)) => {
                        control.may_hear(entry, &topic::services(about))
                    }
                    _ => control.may_hear(entry, topic),
                }
            }
            OutboxItem::Presence(presence) => {
                control.may_hear(entry, &topic::presence(&presence.topic))
            }
            OutboxItem::TopicSpoken(spoken) => control.may_hear(entry, &spoken.topic),
            OutboxItem::Exchange(assigned) => match Internal::of(&assigned.request.topic) {
                Internal::Clients(about) | Internal::Services(about) => {
                    control.may_hear(entry, &topic::services(about))
                }
                _ => false,
            },
            OutboxItem::SubscriptionEnded(..) => true,
        };
        entry.session.with_outbox(|outbox| {
            outbox.require_generation(generation);
            for filter in gone {
                let most = entry.session.limits.subscriptions;
                outbox.subscription_ended(filter, SubscriptionEnd::NotAllowed, most, &mut wakes);
            }
            if !FaultInjection::KeepQueued.is_on() {
                given_up.extend(outbox.withdraw(may_hear));
            }
        });
        given_up
    }

    /// Whether a session may subscribe to this.
    pub(super) fn check_subscription(
        &self,
        key: SessionKey,
        filter: &Filter,
    ) -> Result<(), Refused> {
        let Some(entry) = self.sessions.get(&key) else {
            return Err(Refused::ended());
        };
        let is_allowed = match filter {
            Filter::Literal(topic) => self.may_hear(entry, topic),
            Filter::Pattern(filter) => {
                let checked = entry.rights.subscribe(filter, &entry.session.client.peer);
                match checked.access {
                    Access::Allowed => true,
                    Access::Denied => false,
                    Access::NeedsGrant => {
                        let mut givers = self.grants.for_filter(checked.uses, &checked.about);
                        givers.next().is_some()
                    }
                }
            }
        };
        match is_allowed {
            true => Ok(()),
            false => Err(Refused::permission()),
        }
    }

    /// Whether a session may hear a topic.
    pub(super) fn may_hear(&self, entry: &Entry, topic: &[u8]) -> bool {
        let Checked {
            uses,
            about,
            access,
        } = entry.rights.hear(topic, &entry.session.client.peer);
        match access {
            Access::Allowed => true,
            Access::Denied if !FaultInjection::GrantOverDeny.is_on() => false,
            _ => self.grants.for_topic(uses, about).next().is_some(),
        }
    }
}
