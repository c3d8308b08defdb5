//! The way of a message: from a connection into the outboxes of those who hear it.

use std::{
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use msip_session::MsgKind;

use super::{
    Dialect, Publication, Refused, Request, Router, SessionHandle, SessionKey, StateKey, WakeList,
    fault_injection::FaultInjection,
    rate::Rate,
    route::Route,
    routes::LONG,
    sending::{Congested, Sending, is_same},
    session::Session,
    sync::lock,
};
use crate::{small_map::SmallMap, topic::Internal};

/// What a connection sends by. It remembers the way of the topics that it sends to.
#[derive(Debug)]
pub struct Publisher {
    router: Router,
    session: Arc<Session>,
    plans: SmallMap<Bytes, Arc<Plan>>,
    /// What the principal may send, as of this version of its rights.
    rate: Option<Rate>,
    rate_version: Option<u64>,
    /// For whom it waits. In a box, since most connections never do.
    push_back: Option<Box<PushBack>>,
    /// Grows each time that it has waited.
    turn: u64,
    /// Until when it waits since its principal has sent enough.
    rate_until: Duration,
}

/// Those for whom a publisher waits.
#[derive(Debug, Default)]
struct PushBack {
    /// Sessions whose outboxes were long when they were given something; at which topic, where that has a window of its own.
    congested: Vec<Congested>,
    /// When to look at these again, at the latest.
    congested_until: Duration,
    /// Since when it waits for them.
    waits_since: Duration,
    /// Instances, and topics, where so much waits of this client that it waits for them, and when to look at these again.
    held_up: Vec<(Arc<Session>, Bytes)>,
    held_up_until: Duration,
}

impl PushBack {
    fn is_over(&self) -> bool {
        self.congested.is_empty() && self.held_up.is_empty()
    }

    /// When to look again, at the latest.
    fn until(&self) -> Option<Duration> {
        let congested = (!self.congested.is_empty()).then_some(self.congested_until);
        let held_up = (!self.held_up.is_empty()).then_some(self.held_up_until);
        congested.into_iter().chain(held_up).min()
    }
}

/// What is known about sending to a topic.
#[derive(Debug)]
struct Plan {
    /// The version of the session's rights.
    rights_version: u64,
    publish: Result<(), Refused>,
    request: Result<(), Refused>,
    route: Arc<Route>,
    /// Whether COMMANDs go to a service: not those that one sends to its clients.
    is_for_services: bool,
    /// The publisher's turn in which it last sent this way: to everyone, and to services.
    sent_to_everyone: AtomicU64,
    sent_to_services: AtomicU64,
}

impl Plan {
    /// To whom something was sent in this turn.
    fn receivers(&self, turn: u64) -> impl Iterator<Item = &Arc<Session>> {
        let route = &self.route;
        let everyone = (self.sent_to_everyone.load(Relaxed) == turn)
            .then(|| {
                let groups = route.groups.iter().flat_map(|group| &group.members);
                route.everyone.iter().chain(groups)
            })
            .into_iter()
            .flatten();
        let services = (self.sent_to_services.load(Relaxed) == turn)
            .then_some(&route.services.members)
            .into_iter()
            .flatten();
        everyone.chain(services)
    }
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
            plans: SmallMap::default(),
            rate: None,
            rate_version: None,
            push_back: None,
            turn: 1,
            rate_until: Duration::ZERO,
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
    /// It is not allowed, the principal has sent too much, no service is there for a COMMAND, no more STATEs can be kept, or it
    /// waits for an acknowledgment and is larger than everyone accepts who hears it. Nobody has got the messages.
    pub fn publish(
        &mut self,
        publication: Publication,
        now: Duration,
        wakes: &mut WakeList,
    ) -> Result<Published, Refused> {
        let plan = self.plan(&publication.topic, now, wakes);
        plan.publish.clone()?;
        if let Some(rate) = &self.rate {
            let (count, bytes) = (publication.count, publication.frames.len());
            if let Some(until) = rate.take(count, bytes, now)? {
                self.rate_until = until;
            }
        }
        // Its own counter, which no other connection touches.
        self.session
            .published
            .fetch_add(publication.count.into(), Relaxed);
        let wants_ack = publication.wants_ack;
        let publication = Arc::new(publication);
        let mut sending = Sending::new(&self.router, self.session.key, now, wakes)
            .of_client(&self.session.client);
        let is_for_service = publication.kind == MsgKind::Command
            && plan.is_for_services
            && !FaultInjection::CommandToClients.is_on();
        let sent = match is_for_service {
            true => &plan.sent_to_services,
            false => &plan.sent_to_everyone,
        };
        sent.store(self.turn, Relaxed);
        if is_for_service {
            let is_mip = self.session.dialect == Dialect::Mip;
            if is_mip {
                // MIP's COMMANDs are for everyone who hears the topic as MIP does.
                sending.everyone(&plan.route, &publication, |one| one.dialect == Dialect::Mip);
            }
            // MIP knows no services: there need not be one.
            if !is_mip || !plan.route.services.members.is_empty() {
                sending.service(&plan.route, &publication);
            }
        } else if let Some(state) = &publication.state {
            keep(
                &self.router,
                &plan.route,
                state,
                &publication,
                &mut sending,
                now,
            )?;
        } else {
            sending.all(&plan.route, &publication);
        }
        sending.finish();
        let Sending {
            receivers,
            dropped,
            congested,
            held_up,
            is_crowded,
            too_large,
            unplaced,
            ..
        } = sending;
        let (new, old): (Vec<_>, Vec<_>) = unplaced.into_iter().partition(|one| one.is_new);
        // Sessions that were ended by this leave what was there before.
        self.router.bury(old, &Refused::no_service(), now, wakes);
        if let Some(refused) = too_large.filter(|_| receivers == 0) {
            return Err(refused);
        }
        if is_for_service && receivers == 0 && !new.is_empty() {
            return Err(match is_crowded {
                true => Refused::crowded(),
                false => Refused::no_service(),
            });
        }
        self.router.bury(new, &Refused::no_service(), now, wakes);
        if is_crowded && wants_ack && !is_for_service && !FaultInjection::AcknowledgeLost.is_on() {
            // An instance lacks it: others may have it.
            return Err(Refused::crowded());
        }
        let mut published = Published {
            receivers,
            dropped,
            is_congested: self.rate_until > now || !held_up.is_empty(),
        };
        self.hold_up(held_up, now);
        if !congested.is_empty() {
            published.is_congested = true;
            let waits = self.push_back.get_or_insert_default();
            if waits.congested.is_empty() {
                waits.waits_since = now;
            }
            waits.congested_until = now.saturating_add(self.router.limits().push_back);
            for new in congested {
                if !waits.congested.iter().any(|one| is_same(one, &new)) {
                    waits.congested.push(new);
                }
            }
        }
        Ok(published)
    }

    /// Gives a call to the service with the fewest open calls that has not had it.
    ///
    /// # Errors
    ///
    /// It is not allowed, or no service is there. The call comes back.
    pub fn request(
        &mut self,
        request: Request,
        now: Duration,
        wakes: &mut WakeList,
    ) -> Result<SessionKey, (Refused, Request)> {
        let plan = self.plan(&request.topic, now, wakes);
        if let Err(refused) = plan.request.clone() {
            return Err((refused, request));
        }
        if let Some(rate) = &self.rate {
            match rate.take(1, request.exchange.pinned(), now) {
                Ok(until) => self.rate_until = until.unwrap_or(self.rate_until),
                Err(refused) => return Err((refused, request)),
            }
        }
        let mut sending = Sending::new(&self.router, self.session.key, now, wakes)
            .of_client(&self.session.client);
        let assigned = sending.assign(request, Some(&plan.route));
        sending.finish();
        let (old, held_up) = (sending.unplaced, sending.held_up);
        self.router.bury(old, &Refused::no_service(), now, wakes);
        self.hold_up(held_up, now);
        assigned
    }

    /// So much waits of this client at instances that it waits for them.
    fn hold_up(&mut self, held_up: Vec<(Arc<Session>, Bytes)>, now: Duration) {
        for (instance, topic) in held_up {
            let is_known =
                |(other, at): &(Arc<Session>, Bytes)| Arc::ptr_eq(other, &instance) && *at == topic;
            let waits = self.push_back.get_or_insert_default();
            if !waits.held_up.iter().any(is_known) {
                waits.held_up.push((instance, topic));
                waits.held_up_until = now.saturating_add(self.router.limits().push_back);
            }
        }
    }

    /// Ready when the publisher may send on: at once, unless outboxes that it has filled are long, or its principal has sent
    /// enough for now. Long ones are waited for as long as their sessions take something, and no longer than for
    /// [`Limits::push_back`] while another receiver of this publisher has nothing: look again at [`Publisher::wait_until`] if
    /// nothing wakes the task before.
    ///
    /// [`Limits::push_back`]: super::Limits::push_back
    pub fn poll_ready(&mut self, now: Duration, task: &mut Context<'_>) -> Poll<()> {
        if let Some(mut waits) = self.push_back.take() {
            self.look_again(&mut waits, now, task);
            if !waits.is_over() {
                self.push_back = Some(waits);
            }
        }
        match self.push_back.is_none() && self.rate_until <= now {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// Waits no longer for those who have taken enough, or too little for too long.
    fn look_again(&mut self, waits: &mut PushBack, now: Duration, task: &mut Context<'_>) {
        let limits = self.router.limits();
        if !waits.congested.is_empty() {
            let starved = self.starved_since(waits);
            let mut next: Option<Duration> = None;
            waits.congested.retain(|(one, topic)| {
                let until = one.with_outbox(|outbox| {
                    outbox.wait_until_short(topic.as_ref(), starved, now, limits, task)
                });
                next = next.into_iter().chain(until).min();
                until.is_some()
            });
            waits.congested_until = next.unwrap_or_default();
            if waits.congested.is_empty() {
                self.turn += 1;
            }
        }
        let peer = &self.session.client.peer;
        waits.held_up.retain(|(instance, topic)| {
            instance.with_outbox(|outbox| outbox.wait_for_client(topic, peer, limits, task))
        });
        waits.held_up_until = now.saturating_add(limits.push_back);
    }

    /// Since when a receiver of what was sent in this turn has had nothing, while this publisher waits for others.
    fn starved_since(&self, waits: &PushBack) -> Option<Duration> {
        /// More are not looked at: the first one is about as early.
        const FEW: usize = 16;
        let plans = self.plans.values();
        let receivers = plans.flat_map(|plan| plan.receivers(self.turn));
        let others = receivers.filter(|one| {
            one.key != self.session.key
                && !waits
                    .congested
                    .iter()
                    .any(|(other, _)| Arc::ptr_eq(one, other))
        });
        let idle = others.filter_map(|one| one.idle_since()).take(FEW).min()?;
        Some(idle.max(waits.waits_since))
    }

    /// When to call [`Publisher::poll_ready`] again at the latest, once it was pending.
    pub fn wait_until(&self) -> Option<Duration> {
        let push_back = self.push_back.as_ref().and_then(|waits| waits.until());
        // The rate does not end the other wait.
        push_back.max((self.rate_until > Duration::ZERO).then_some(self.rate_until))
    }

    /// What is known about sending to a topic, as it is now.
    fn plan(&mut self, topic: &Bytes, now: Duration, wakes: &mut WakeList) -> Arc<Plan> {
        // Before all that depends on them.
        let rights_version = self.session.rights_version();
        if let Some(plan) = self.plans.get(topic)
            && (!plan.route.is_outdated() && plan.rights_version == rights_version
                || FaultInjection::OldRoutes.is_on())
        {
            return plan.clone();
        }
        let key = self.session.key;
        if self.rate_version != Some(rights_version) {
            self.rate = self.router.rate(key);
            self.rate_version = Some(rights_version);
        }
        let route = self.router.route(topic);
        // A client that takes part in too many may leave one: this is not remembered.
        let most = self.router.limits().subscriptions;
        let client = &self.session.client;
        let is_one_too_many =
            !route.by_peer.is_empty() && !client.may_take_part(&route.about, most);
        let check = |is_call| {
            self.router.check_send(key, is_call, topic)?;
            match is_one_too_many {
                true => {
                    let text = format!(
                        "too many topics of typed services: a session sends to {most} at most"
                    );
                    Err(Refused::limit("subscriptions", text))
                }
                false => Ok(()),
            }
        };
        let plan = Arc::new(Plan {
            rights_version,
            sent_to_everyone: AtomicU64::new(0),
            sent_to_services: AtomicU64::new(0),
            publish: check(false),
            request: check(true),
            is_for_services: match Internal::of(topic) {
                Internal::Clients(_) => !route.services.members.iter().any(|one| one.key == key),
                // It is a client here, whatever it serves.
                Internal::Services(_) => true,
                _ => false,
            },
            route,
        });
        if let Some(about) = &plan.route.presence
            && (plan.publish.is_ok() || plan.request.is_ok())
        {
            self.router.appears(key, about, now, wakes);
        }
        if topic.len() <= LONG && !is_one_too_many {
            if self.plans.len() >= self.router.limits().cached_topics {
                self.plans.clear();
            }
            self.plans.insert(plan.route.topic.clone(), plan.clone());
        }
        plan
    }
}

/// Keeps a STATE, and sends it to everyone.
fn keep(
    router: &Router,
    route: &Arc<Route>,
    state: &StateKey,
    publication: &Arc<Publication>,
    sending: &mut Sending<'_>,
    now: Duration,
) -> Result<(), Refused> {
    let mut route = route.clone();
    loop {
        let Some(kept) = &route.kept else {
            if state.is_cleared {
                if !route.is_outdated() {
                    sending.all(&route, publication);
                    return Ok(());
                }
            } else {
                router.begin_to_keep(&publication.topic);
            }
            route = router.route(&publication.topic);
            continue;
        };
        let mut values = lock(&kept.values);
        if !route.is_outdated() || FaultInjection::KeepByOldRoute.is_on() {
            let totals = router.kept_totals();
            if let Err(refused) = totals.keep(&mut values, state, publication, router.limits()) {
                drop(values);
                // What has expired leaves its place to others.
                if !router.expire_kept(now) {
                    return Err(refused);
                }
                continue;
            }
            sending.all(&route, publication);
            return Ok(());
        }
        // Somebody may have subscribed meanwhile, to whom the value before this one was replayed.
        drop(values);
        route = router.route(&publication.topic);
    }
}
