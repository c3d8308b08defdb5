//! What may be done: grants, and what becomes of subscriptions when rights change.

use super::{Control, Entry, Router};
use crate::{
    access::{Access, Checked, Grant, Role, Uses},
    router::{
        OutboxItem, Refused, SessionHandle, SessionKey, Target, WakeList,
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
    ) -> Result<(), Refused> {
        // Woken once the lock is free.
        let mut wakes = WakeList::new();
        let mut control = self.control();
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
            return Err(Refused::limit("grants", most, "max_grants"));
        }
        let before = entry.grants.insert(filter.clone(), grant);
        control.grants.give(session.key(), filter, grant);
        self.changed();
        control.routes.clear();
        if before.is_some_and(|before| before != grant) {
            self.recheck_all(&mut control, &mut wakes);
        }
        Ok(())
    }

    /// A service takes back what it enabled for a filter; `false` if it was nothing.
    pub fn revoke(&self, session: &SessionHandle, filter: &TopicFilter) -> bool {
        // Woken once the lock is free.
        let mut wakes = WakeList::new();
        let mut control = self.control();
        let entry = control.sessions.get_mut(&session.key());
        if entry.is_none_or(|entry| entry.grants.remove(filter).is_none()) {
            return false;
        }
        control.grants.take_back(session.key(), filter);
        self.changed();
        control.routes.clear();
        self.recheck_all(&mut control, &mut wakes);
        true
    }

    /// Takes back what a session has enabled and may serve no longer.
    pub(super) fn withdraw_grants(
        &self,
        control: &mut Control,
        key: SessionKey,
        wakes: &mut WakeList,
    ) {
        let Some(entry) = control.sessions.get_mut(&key) else {
            return;
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
            return;
        }
        for filter in gone {
            entry.grants.remove(&filter);
            control.grants.take_back(key, &filter);
        }
        self.recheck_all(control, wakes);
    }

    /// Grants were withdrawn: checks again what those subscribe to who live by them.
    pub(super) fn recheck_all(&self, control: &mut Control, wakes: &mut WakeList) {
        let clients = control.sessions.values();
        let keys: Vec<_> = clients
            .filter(|entry| entry.rights.role == Role::Client)
            .map(|entry| entry.session.key)
            .collect();
        for key in keys {
            self.recheck(control, key, wakes);
        }
    }

    /// Checks again what a session is subscribed to, and what is queued for it. It is told of subscriptions that have ended.
    pub(super) fn recheck(&self, control: &mut Control, key: SessionKey, wakes: &mut WakeList) {
        let generation = self.changed();
        control.routes.clear();
        let Some(entry) = control.sessions.get(&key) else {
            return;
        };
        let gone: Vec<Filter> = entry
            .subscriptions
            .keys()
            .filter(|filter| control.check_subscription(key, filter).is_err())
            .cloned()
            .collect();
        for filter in &gone {
            control.subscriptions.remove(filter, key);
            if let Some(entry) = control.sessions.get_mut(&key) {
                entry.subscriptions.remove(filter);
            }
        }
        let Some(entry) = control.sessions.get(&key) else {
            return;
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
            OutboxItem::Exchange(_) | OutboxItem::SubscriptionEnded(_) => true,
        };
        entry.session.with_outbox(|outbox| {
            outbox.require_generation(generation);
            if !FaultInjection::KeepQueued.is_on() {
                outbox.retain(may_hear);
            }
            for filter in gone {
                outbox.subscription_ended(filter, self.0.limits.subscriptions, wakes);
            }
        });
    }
}

impl Control {
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
                let checked = entry.rights.subscribe(filter, &entry.session.peer);
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
        } = entry.rights.hear(topic, &entry.session.peer);
        match access {
            Access::Allowed => true,
            Access::Denied if !FaultInjection::GrantOverDeny.is_on() => false,
            _ => self.grants.for_topic(uses, about).next().is_some(),
        }
    }
}
