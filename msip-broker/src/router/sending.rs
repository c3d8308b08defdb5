//! Messages on their way into outboxes.

mod calls;

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use bytes::Bytes;

use super::{
    ClientAt, Delivery, EndReason, OutboxItem, Publication, Refused, Request, SessionHandle,
    SessionKey, Target, WakeList,
    client::Client,
    control::Router,
    fault_injection::FaultInjection,
    outbox::Rejected,
    route::{OneOf, Route, sticky},
    session::Session,
};

/// A session, and the topic that it hears with a window of its own.
pub(super) type Congested = (Arc<Session>, Option<Bytes>);

/// Whether they are the same.
pub(super) fn is_same((one, at): &Congested, (other, other_at): &Congested) -> bool {
    Arc::ptr_eq(one, other) && at == other_at
}

/// Messages on their way. What finds no place in one outbox goes another way, where there is one.
pub(super) struct Sending<'a> {
    router: &'a Router,
    /// Who sends them, who does not wait for himself.
    from: SessionKey,
    now: Duration,
    wakes: &'a mut WakeList,
    /// In how many outboxes they are.
    pub(super) receivers: u32,
    /// For how many they were dropped.
    pub(super) dropped: u32,
    /// Sessions with outboxes that are long now.
    pub(super) congested: Vec<Congested>,
    /// Who sends them, for instances that hear each client apart.
    client: Option<&'a Arc<Client>>,
    /// Instances, and topics, where so much waits of this client that it should wait.
    pub(super) held_up: Vec<(Arc<Session>, Bytes)>,
    /// Whether there was no place for something among what waits of other clients.
    pub(super) is_crowded: bool,
    /// Why somebody got nothing of what waits for an acknowledgment: it is larger than its peer accepts.
    pub(super) too_large: Option<Refused>,
    /// What has found nobody.
    pub(super) unplaced: Vec<Pending>,
    /// What has to find another way, since the one that was tried is out of date.
    again: Vec<Again>,
    over: Vec<(Arc<Session>, EndReason)>,
    /// Subscriptions with a window of their own for which there was no place.
    over_topics: Vec<(Arc<Session>, Bytes)>,
}

/// What looks for another way.
enum Again {
    Messages(Pending),
    Call(Request),
}

/// Messages that are not in an outbox yet.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) publication: Arc<Publication>,
    pub(super) target: Target,
    /// The one of everyone who lacks them.
    pub(super) to: Option<SessionKey>,
    /// Those who have failed at them.
    pub(super) tried: Vec<SessionKey>,
    /// Whose they are, where that is known.
    pub(super) client: Option<ClientAt>,
    /// Whether they are being published now, and their publisher is told what becomes of them.
    pub(super) is_new: bool,
}

impl Pending {
    /// Messages that are being published.
    fn new(publication: &Arc<Publication>, target: Target) -> Self {
        Self {
            publication: publication.clone(),
            target,
            to: None,
            tried: Vec::new(),
            client: None,
            is_new: true,
        }
    }
}

impl<'a> Sending<'a> {
    pub(super) fn new(
        router: &'a Router,
        from: SessionKey,
        now: Duration,
        wakes: &'a mut WakeList,
    ) -> Self {
        Self {
            router,
            from,
            now,
            wakes,
            receivers: 0,
            dropped: 0,
            congested: Vec::new(),
            client: None,
            held_up: Vec::new(),
            is_crowded: false,
            too_large: None,
            unplaced: Vec::new(),
            again: Vec::new(),
            over: Vec::new(),
            over_topics: Vec::new(),
        }
    }

    /// The same, of this client.
    pub(super) fn of_client(mut self, client: &'a Arc<Client>) -> Self {
        self.client = Some(client);
        self
    }

    /// Who sends, and is there.
    fn own(&self) -> Option<SessionKey> {
        self.client.as_ref().map(|own| own.key)
    }

    /// The client, where that is not who sends: it may have gone meanwhile.
    fn of_other(&self, client: Option<&ClientAt>) -> Option<ClientAt> {
        let own = self.own();
        client.filter(|at| Some(at.client.key) != own).cloned()
    }

    /// Who has sent something, for an instance that hears each client apart. `None` where the session does not; an error where
    /// the client has gone.
    fn client_at(
        &self,
        to: &Session,
        route: &Route,
        target: &Target,
        from: Option<SessionKey>,
    ) -> Result<Option<ClientAt>, ()> {
        if !route.hears_apart(to.key, target) {
            return Ok(None);
        }
        let own = self.client.filter(|own| from == Some(own.key));
        let client = match own {
            Some(own) => Some(own.clone()),
            None => from.and_then(|key| self.router.client(key)),
        };
        let topic = route.about.clone();
        client
            .map(|client| Some(ClientAt { topic, client }))
            .ok_or(())
    }

    fn push(&mut self, to: &Arc<Session>, mut pending: Pending, route: &Route) {
        let publication = &pending.publication;
        // A STATE is kept, whoever can have it.
        if publication.wants_ack
            && publication.state.is_none()
            && let Some(max) = to.is_too_small_for(publication)
        {
            let count = publication.count;
            to.with_outbox(|outbox| outbox.drop_counted(count as usize));
            self.dropped = self.dropped.saturating_add(count);
            self.too_large = Some(Refused::too_large(publication.least_body_len(), max));
            if pending.target != Target::Everyone {
                pending.tried.push(to.key);
                self.again.push(Again::Messages(pending));
            }
            return;
        }
        let is_new = pending.is_new;
        let client = match pending.client {
            Some(client) if route.hears_apart(to.key, &pending.target) => Some(client),
            known => {
                match self.client_at(to, route, &pending.target, Some(pending.publication.from)) {
                    Ok(client) => client,
                    Err(()) => {
                        // Nobody could be told whose it is.
                        pending.client = known;
                        match pending.target {
                            Target::Everyone => self.dropped = self.dropped.saturating_add(1),
                            _ => self.unplaced.push(pending),
                        }
                        return;
                    }
                }
            }
        };
        let is_heard_apart = client.is_some();
        let of_other = self.of_other(client.as_ref());
        let generation = route.generation;
        let topic = pending.publication.topic.clone();
        let item = OutboxItem::Publication(Delivery {
            publication: pending.publication,
            target: pending.target,
            tried: pending.tried,
            client,
        });
        let (rejected, item) = match to.push(item, generation, self.now, self.wakes) {
            Ok(is_congested) => {
                self.receivers = self.receivers.saturating_add(1);
                if let Some(client) = of_other {
                    self.router.check_client(to, &client, self.wakes);
                } else if is_heard_apart {
                    // Who sends waits for what it has sent, and not for what others have.
                    if is_congested {
                        self.held_up.push((to.clone(), route.about.clone()));
                    }
                } else if is_congested && to.key != self.from {
                    let new = (to.clone(), to.own_window_of(&topic));
                    if !self.congested.iter().any(|one| is_same(one, &new)) {
                        self.congested.push(new);
                    }
                }
                return;
            }
            Err(rejected) => rejected,
        };
        let OutboxItem::Publication(mut delivery) = item else {
            return;
        };
        let is_for_all = delivery.target == Target::Everyone;
        match rejected {
            Rejected::Dropped => {
                self.dropped = self.dropped.saturating_add(1);
                return;
            }
            Rejected::Overflow(reason) => self.over.push((to.clone(), reason)),
            Rejected::TopicOverflow(ref topic) => {
                self.over_topics.push((to.clone(), (**topic).clone()))
            }
            Rejected::Crowded => {
                self.is_crowded = true;
                delivery.tried.push(to.key);
            }
            Rejected::Stale | Rejected::Gone => {}
        }
        // Where another topic of the session ends there is a place for it.
        if is_for_all && !matches!(rejected, Rejected::Stale | Rejected::TopicOverflow(_)) {
            return;
        }
        self.again.push(Again::Messages(Pending {
            publication: delivery.publication,
            target: delivery.target,
            to: is_for_all.then_some(to.key),
            tried: delivery.tried,
            client: delivery.client,
            is_new,
        }));
    }

    /// To everyone, and to one member of each group.
    pub(super) fn all(&mut self, route: &Route, publication: &Arc<Publication>) {
        self.everyone(route, publication, |_| true);
        for group in &route.groups {
            if FaultInjection::AllOfGroup.is_on() {
                for member in &group.members {
                    let target = Target::Group(group.name.clone());
                    self.push(member, Pending::new(publication, target), route);
                }
                continue;
            }
            let target = Target::Group(group.name.clone());
            let pending = Pending::new(publication, target);
            self.one_of(group, pending, Session::waiting, route);
        }
    }

    /// To everyone who hears all, of these.
    pub(super) fn everyone(
        &mut self,
        route: &Route,
        publication: &Arc<Publication>,
        is_meant: impl Fn(&Session) -> bool,
    ) {
        let hears_apart = |one: &Session| route.hears_apart(one.key, &Target::Everyone);
        // Of the instances that hear each client apart, the one that the key decides.
        let chosen = match &publication.sticky_key {
            Some(key) if publication.state.is_none() && !route.by_peer.is_empty() => {
                let instances = route.everyone.iter();
                let instances = instances.filter(|one| hears_apart(one));
                sticky(instances, key)
            }
            _ => None,
        };
        #[cfg(test)]
        if let Some(chosen) = chosen {
            super::choices::note_publication(publication, &[(chosen, publication.count)]);
        }
        let is_meant = |one: &Session| {
            let is_chosen = chosen.is_none_or(|chosen| chosen.key == one.key);
            is_meant(one) && (is_chosen || !hears_apart(one))
        };
        for session in route.everyone.iter().filter(|one| is_meant(one)) {
            let pending = Pending::new(publication, Target::Everyone);
            self.push(session, pending, route);
        }
    }

    /// To one service, in turn.
    pub(super) fn service(&mut self, route: &Route, publication: &Arc<Publication>) {
        self.service_of(route, Pending::new(publication, Target::Service));
    }

    /// To the service that its key decides, else in turn.
    fn service_of(&mut self, route: &Route, pending: Pending) {
        if let Some(key) = &pending.publication.sticky_key
            && !FaultInjection::ForgetKey.is_on()
        {
            let chosen = route.services.sticky(key, &pending.tried).cloned();
            #[cfg(test)]
            {
                let shares = chosen.iter().map(|one| (one, pending.publication.count));
                super::choices::note_messages(&pending, &shares.collect::<Vec<_>>());
            }
            return match chosen {
                Some(chosen) => self.push(&chosen, pending, route),
                None => self.unplaced.push(pending),
            };
        }
        self.one_of(&route.services, pending, |_| 0, route);
    }

    /// To one member, or in parts to several.
    fn one_of(
        &mut self,
        group: &OneOf,
        pending: Pending,
        load: impl Fn(&Session) -> usize,
        route: &Route,
    ) {
        let shares = group.divide(pending.publication.count, load, &pending.tried);
        #[cfg(test)]
        super::choices::note_messages(&pending, &shares);
        match *shares {
            [] => self.unplaced.push(pending),
            [(session, _)] => self.push(session, pending, route),
            _ => {
                let mut rest = Publication::clone(&pending.publication);
                for (session, count) in shares {
                    let part = Pending {
                        publication: Arc::new(rest.split_off(count)),
                        target: pending.target.clone(),
                        to: None,
                        tried: pending.tried.clone(),
                        client: pending.client.clone(),
                        is_new: pending.is_new,
                    };
                    self.push(session, part, route);
                }
            }
        }
    }

    /// Sends what is pending by the way of its topic as it is now.
    pub(super) fn send(&mut self, pending: Pending) {
        let route = self.router.route(&pending.publication.topic);
        match (&pending.target, pending.to) {
            (Target::Everyone, to) => {
                for session in &route.everyone {
                    if to.is_none_or(|key| key == session.key) {
                        let one = Pending {
                            is_new: pending.is_new,
                            ..Pending::new(&pending.publication, Target::Everyone)
                        };
                        self.push(session, one, &route);
                    }
                }
            }
            (Target::Group(name), _) => {
                match route.groups.iter().find(|group| group.name == *name) {
                    Some(group) => self.one_of(group, pending, Session::waiting, &route),
                    None => {
                        #[cfg(test)]
                        super::choices::note_messages(&pending, &[]);
                        self.unplaced.push(pending);
                    }
                }
            }
            (Target::Service, _) => self.service_of(&route, pending),
        }
    }

    /// Ends sessions that are over their limits, and sends what has to go another way, until there is nothing of either.
    pub(super) fn finish(&mut self) {
        while !self.over.is_empty() || !self.over_topics.is_empty() || !self.again.is_empty() {
            for (session, topic) in std::mem::take(&mut self.over_topics) {
                let left = self.router.end_slow(&session, &topic, self.wakes);
                self.hand_over(left);
            }
            for (session, reason) in std::mem::take(&mut self.over) {
                if session.key == self.from {
                    // What it has sent is that of a client which has gone, from here on.
                    self.client = None;
                }
                let session = SessionHandle(session);
                let left = self.router.remove(&session, reason, self.now, self.wakes);
                self.hand_over(left);
            }
            for again in std::mem::take(&mut self.again) {
                match again {
                    Again::Messages(pending) => self.send(pending),
                    Again::Call(request) => {
                        if let Err((why, request)) = self.assign(request, None) {
                            request.exchange.refuse(why);
                        }
                    }
                }
            }
        }
    }

    /// Gives to others what a session had not taken when it went.
    pub(super) fn hand_over(&mut self, left: Vec<OutboxItem>) {
        let counters = self.router.counters();
        if FaultInjection::LoseLeft.is_on() {
            return;
        }
        for item in left {
            match item {
                OutboxItem::Publication(delivery) if delivery.target == Target::Everyone => {
                    let count = delivery.publication.count.into();
                    counters.dropped.fetch_add(count, Relaxed);
                }
                OutboxItem::Publication(delivery) => {
                    let count = delivery.publication.count.into();
                    counters.handed_over.fetch_add(count, Relaxed);
                    self.again.push(Again::Messages(Pending {
                        publication: delivery.publication,
                        target: delivery.target,
                        to: None,
                        tried: delivery.tried,
                        client: delivery.client,
                        is_new: false,
                    }));
                }
                OutboxItem::Exchange(assigned) => {
                    // The one that has gone is in no route any more, or is away.
                    let request = assigned.into_parts().0;
                    counters.handed_over.fetch_add(1, Relaxed);
                    self.again.push(Again::Call(request));
                }
                OutboxItem::Presence(_)
                | OutboxItem::TopicSpoken(_)
                | OutboxItem::SubscriptionEnded(..) => {}
            }
        }
    }
}
