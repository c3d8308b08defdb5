//! The way of a message: from a connection into the outboxes of those who hear it.

use std::{
    collections::HashMap,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use msip_session::MsgKind;

use super::{
    Assigned, Delivery, Dialect, EndReason, OpenCall, OutboxItem, Publication, Refused, Request,
    Router, SessionHandle, SessionKey, WakeList,
    outbox::Rejected,
    route::{OneOf, Route},
    session::Session,
    sync::lock,
};
use crate::topic::Internal;

/// What a connection sends by. It remembers the way of the topics that it sends to.
#[derive(Debug)]
pub struct Publisher {
    router: Router,
    session: Arc<Session>,
    plans: HashMap<Bytes, Plan>,
    /// Sessions whose outboxes were long when they were given something.
    congested: Vec<Arc<Session>>,
    /// Until when it waits for these.
    wait_until: Option<Duration>,
}

/// What is known about sending to a topic.
#[derive(Debug, Clone)]
struct Plan {
    publish: Result<(), Refused>,
    request: Result<(), Refused>,
    route: Arc<Route>,
    /// Whether this session serves the topic.
    is_service: bool,
}

/// What has become of a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Published {
    /// How many outboxes it is in.
    pub receivers: u32,
    /// For how many receivers messages were dropped, since their kind allows it or since they are away.
    pub dropped: u32,
    /// Whether the publisher should wait before it sends more: see [`Publisher::poll_ready`].
    pub is_congested: bool,
}

impl Publisher {
    /// What a connection of this session sends by. A session has one at a time, or its messages are in no order.
    pub fn new(router: &Router, session: &SessionHandle) -> Self {
        Self {
            router: router.clone(),
            session: session.0.clone(),
            plans: HashMap::new(),
            congested: Vec::new(),
            wait_until: None,
        }
    }

    /// The session.
    pub fn session(&self) -> SessionHandle {
        SessionHandle(self.session.clone())
    }

    /// Puts messages into the outbox of everyone who hears them. When it returns they are in all of them: whoever asked for an
    /// acknowledgment can have it.
    ///
    /// # Errors
    ///
    /// It is not allowed, no service is there for a COMMAND, or no more STATEs can be kept. Nobody has got the messages.
    pub fn publish(
        &mut self,
        publication: Publication,
        now: Duration,
        wakes: &mut WakeList,
    ) -> Result<Published, Refused> {
        let plan = self.plan(&publication.topic);
        plan.publish.clone()?;
        let topic = publication.topic.clone();
        let mut sending = Sending {
            from: self.session.key,
            now,
            wakes,
            published: Published::default(),
            again: Vec::new(),
            congested: &mut self.congested,
            over: Vec::new(),
        };
        let is_for_service = publication.kind == MsgKind::Command
            && !plan.is_service
            && is_heard_by_services(&topic);
        if is_for_service {
            sending.command(&plan.route, publication, self.session.dialect)?;
        } else if publication.state.is_some() {
            sending.state(&self.router, plan, publication)?;
        } else {
            sending.all(&plan.route, publication);
        }
        loop {
            for (session, reason) in std::mem::take(&mut sending.over) {
                self.router.end(&SessionHandle(session), reason, now);
            }
            if sending.again.is_empty() {
                break;
            }
            sending.retry(&self.router.route(&topic));
        }
        let published = sending.published;
        if published.is_congested {
            let limits = self.router.limits();
            self.wait_until
                .get_or_insert(now.saturating_add(limits.push_back));
        }
        Ok(published)
    }

    /// Gives a call to the service with the fewest open calls.
    ///
    /// # Errors
    ///
    /// It is not allowed, or no service is there. The call comes back.
    pub fn request(
        &mut self,
        mut request: Request,
        now: Duration,
        wakes: &mut WakeList,
    ) -> Result<SessionKey, (Refused, Request)> {
        loop {
            let plan = self.plan(&request.topic);
            if let Err(refused) = plan.request.clone() {
                return Err((refused, request));
            }
            let may = |one: &Session| one.is_connected() && !request.tried.contains(&one.key);
            let chosen = plan.route.services.choose(Session::open_calls, may);
            let Some(chosen) = chosen.cloned() else {
                return Err((Refused::no_service(), request));
            };
            let generation = plan.route.generation;
            request.tried.push(chosen.key);
            let assigned = Assigned {
                request,
                open: OpenCall::new(&chosen.open_calls),
            };
            let item = OutboxItem::Exchange(Box::new(assigned));
            let (rejected, item) = match chosen.push(item, generation, now, wakes) {
                Ok(_) => return Ok(chosen.key),
                Err(rejected) => rejected,
            };
            // What was pushed comes back.
            let OutboxItem::Exchange(assigned) = item else {
                return Ok(chosen.key);
            };
            request = assigned.into_parts().0;
            match rejected {
                // The route has changed: this one may still have it.
                Rejected::Stale => {
                    request.tried.pop();
                }
                Rejected::Overflow(reason) => {
                    self.router.end(&SessionHandle(chosen), reason, now);
                }
                Rejected::Gone | Rejected::Dropped => {}
            }
        }
    }

    /// Ready when the publisher may send on: at once, unless outboxes that it has filled are long. It waits for those until
    /// [`Publisher::wait_until`] at most.
    pub fn poll_ready(&mut self, now: Duration, task: &mut Context<'_>) -> Poll<()> {
        if self.wait_until.is_none_or(|until| until <= now) {
            self.congested.clear();
        }
        let limits = self.router.limits();
        self.congested
            .retain(|one| one.with_outbox(|outbox| outbox.wait_until_short(limits, task)));
        if self.congested.is_empty() {
            self.wait_until = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// When to call [`Publisher::poll_ready`] again at the latest, if it was pending.
    pub fn wait_until(&self) -> Option<Duration> {
        self.wait_until
    }

    /// What is known about sending to a topic, as it is now.
    fn plan(&mut self, topic: &Bytes) -> Plan {
        let generation = self.router.generation();
        if let Some(plan) = self.plans.get(topic)
            && plan.route.generation >= generation
        {
            return plan.clone();
        }
        let route = self.router.route(topic);
        let plan = Plan {
            publish: self.router.check_send(self.session.key, false, topic),
            request: self.router.check_send(self.session.key, true, topic),
            is_service: route
                .services
                .members
                .iter()
                .any(|one| one.key == self.session.key),
            route,
        };
        if self.plans.len() >= self.router.limits().cached_topics {
            self.plans.clear();
        }
        self.plans.insert(topic.clone(), plan.clone());
        plan
    }
}

/// Whether COMMANDs of this topic are for services.
fn is_heard_by_services(topic: &[u8]) -> bool {
    matches!(
        Internal::of(topic),
        Internal::Clients(_) | Internal::Services(_)
    )
}

/// A publication on its way.
struct Sending<'a> {
    from: SessionKey,
    now: Duration,
    wakes: &'a mut WakeList,
    published: Published,
    /// What has to find another way, since what was known of one is out of date.
    again: Vec<(Arc<Publication>, Target)>,
    congested: &'a mut Vec<Arc<Session>>,
    over: Vec<(Arc<Session>, EndReason)>,
}

/// For whom a message is.
#[derive(Debug, Clone)]
enum Target {
    /// One of those who hear all.
    Everyone(SessionKey),
    /// One member of this group.
    Group(Option<Arc<str>>),
    /// One service.
    Service,
}

impl Sending<'_> {
    fn push(
        &mut self,
        to: &Arc<Session>,
        publication: &Arc<Publication>,
        target: Target,
        generation: u64,
    ) {
        let is_for_one = !matches!(target, Target::Everyone(_));
        let item = OutboxItem::Publication(Delivery {
            publication: publication.clone(),
            is_for_one,
            tried: Vec::new(),
        });
        match to.push(item, generation, self.now, self.wakes) {
            Ok(is_congested) => {
                self.published.receivers = self.published.receivers.saturating_add(1);
                if is_congested && to.key != self.from {
                    self.published.is_congested = true;
                    if !self.congested.iter().any(|one| Arc::ptr_eq(one, to)) {
                        self.congested.push(to.clone());
                    }
                }
            }
            Err((Rejected::Dropped, _)) => {
                self.published.dropped = self.published.dropped.saturating_add(1);
            }
            Err((Rejected::Stale, _)) => self.again.push((publication.clone(), target)),
            Err((Rejected::Gone, _)) if is_for_one => {
                self.again.push((publication.clone(), target));
            }
            Err((Rejected::Gone, _)) => {}
            Err((Rejected::Overflow(reason), _)) => {
                self.over.push((to.clone(), reason));
                if is_for_one {
                    self.again.push((publication.clone(), target));
                }
            }
        }
    }

    /// What did not get there by an older route goes by this one, to whom it still may go.
    fn retry(&mut self, route: &Route) {
        for (publication, target) in std::mem::take(&mut self.again) {
            match &target {
                Target::Everyone(key) => {
                    if let Some(to) = route.everyone.iter().find(|one| one.key == *key) {
                        self.push(to, &publication, target, route.generation);
                    }
                }
                Target::Group(name) => {
                    if let Some(group) = route.groups.iter().find(|one| one.name == *name) {
                        self.one_of(group, &publication, Session::waiting, &target, route);
                    }
                }
                Target::Service => {
                    self.one_of(&route.services, &publication, |_| 0, &target, route);
                }
            }
        }
    }

    /// To everyone, and to one member of each group.
    fn all(&mut self, route: &Route, publication: Publication) {
        self.all_of(route, &Arc::new(publication));
    }

    fn all_of(&mut self, route: &Route, publication: &Arc<Publication>) {
        for session in &route.everyone {
            let target = Target::Everyone(session.key);
            self.push(session, publication, target, route.generation);
        }
        for group in &route.groups {
            let target = Target::Group(group.name.clone());
            self.one_of(group, publication, Session::waiting, &target, route);
        }
    }

    /// To one member, or in parts to several.
    fn one_of(
        &mut self,
        group: &OneOf,
        publication: &Arc<Publication>,
        load: impl Fn(&Session) -> usize,
        target: &Target,
        route: &Route,
    ) {
        let shares = group.divide(publication.count, load);
        if let [(session, _)] = *shares {
            self.push(session, publication, target.clone(), route.generation);
            return;
        }
        let mut rest = Publication::clone(publication);
        for (session, count) in shares {
            let part = Arc::new(rest.split_off(count));
            self.push(session, &part, target.clone(), route.generation);
        }
    }

    /// A COMMAND that asks for no answer: to one service, and of a MIP publisher to MIP's subscribers too.
    fn command(
        &mut self,
        route: &Route,
        publication: Publication,
        from: Dialect,
    ) -> Result<(), Refused> {
        let publication = Arc::new(publication);
        if from == Dialect::Mip {
            for session in &route.everyone {
                if session.dialect == Dialect::Mip {
                    let target = Target::Everyone(session.key);
                    self.push(session, &publication, target, route.generation);
                }
            }
        } else if route.services.members.is_empty() {
            return Err(Refused::no_service());
        }
        self.one_of(
            &route.services,
            &publication,
            |_| 0,
            &Target::Service,
            route,
        );
        Ok(())
    }

    /// A STATE: it is kept, and goes to everyone.
    fn state(
        &mut self,
        router: &Router,
        plan: Plan,
        publication: Publication,
    ) -> Result<(), Refused> {
        let Some(state) = publication.state.clone() else {
            return Ok(());
        };
        let mut route = plan.route;
        let kept = match &route.kept {
            Some(kept) => kept.clone(),
            None => router.kept(&publication.topic),
        };
        let publication = Arc::new(publication);
        loop {
            let mut values = lock(&kept.values);
            if router.generation() != route.generation {
                // Somebody may have subscribed meanwhile, to whom the value before this one was replayed.
                drop(values);
                route = router.route(&publication.topic);
                continue;
            }
            router
                .totals()
                .keep(&mut values, &state, &publication, router.limits())?;
            self.all_of(&route, &publication);
            return Ok(());
        }
    }
}
