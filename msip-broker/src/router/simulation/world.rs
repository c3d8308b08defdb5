//! A router, and a naive broker beside it that says what has to be in which queue.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use msip_session::{
    MsgKind,
    wire::{Code, Flags, FrameType, HEADER_LEN, Header, MsgId},
};

use super::{
    super::{
        Delivery, Dialect, EndReason, Exchange, Failed, Limits, OpenCall, OutboxItem, Publication,
        Publisher, Refused, Request, Router, SessionHandle, StateKey, SubscribeRequest, Target,
        WakeList, outbox::Status,
    },
    random::Random,
    rights::{Answer, RIGHTS, Said4, belongs, is_matched, is_within},
};
use crate::{
    access::{Grant, Principal, Uses},
    topic::{Filter, TopicFilter},
};

/// What each message counts for.
const SIZE: usize = 100;
/// How many messages may wait for a session that writes, twice as many for one that has not had its turn.
const OUTGOING: usize = 12;
/// How many messages are published together at most.
const MAX_RUN: usize = 4;
/// How many may wait for one that is away.
const AWAY: usize = 8;
/// How many LOG and METRIC.
const DROPPABLE: usize = 5;
/// How many STATEs are kept.
const KEPT: usize = 4;
const EXPIRY: Duration = Duration::from_secs(30);
const SUBSCRIPTIONS: usize = 5;
const GRANTS: usize = 2;
const SESSIONS: usize = 7;
const STEPS: usize = 90;

const TOPICS: [&str; 3] = ["a", "a/b", "b"];
const FILTERS: [&str; 11] = [
    "a", "a/b", "b", "#", "a/#", "a/+", "+", "a/$in", "a/b/$in", "+/$in", "$dead/a",
];

fn limits() -> Limits {
    Limits {
        outgoing_messages: OUTGOING,
        session_messages: AWAY,
        droppable_bytes: DROPPABLE * SIZE,
        session_expiry: EXPIRY,
        subscriptions: SUBSCRIPTIONS,
        grants: GRANTS,
        kept_values: KEPT,
        cached_topics: 3,
        ..Limits::default()
    }
}

/// A message, or a run of them, or a call, as the model has it.
#[derive(Debug, Clone, PartialEq)]
struct Message {
    /// Numbers of messages, or of a call.
    numbers: Vec<u64>,
    topic: String,
    target: Target,
    kind: MsgKind,
    is_call: bool,
    acked: bool,
    urgent: bool,
    idempotent: bool,
    expires: Option<Duration>,
    key: Option<String>,
    /// Those who have failed at it.
    tried: Vec<usize>,
}

impl Message {
    fn is_droppable(&self) -> bool {
        matches!(self.kind, MsgKind::Log | MsgKind::Metric)
    }

    fn lane(&self) -> usize {
        match (self.is_droppable(), self.urgent) {
            (true, _) => 2,
            (_, true) => 0,
            _ => 1,
        }
    }

    /// What identifies it in a queue.
    fn shown(&self) -> (Vec<u64>, Target, String) {
        (
            self.numbers.clone(),
            self.target.clone(),
            self.topic.clone(),
        )
    }
}

type Shown = (Vec<u64>, Target, String);

/// Whether a session has a connection, and what that does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Link {
    /// It waits, or has not had its turn.
    Ready,
    /// It writes what it took.
    Writing,
    /// It is away until then.
    Away(Duration),
    Ended(EndReason),
}

/// A session in both brokers.
struct Sim {
    handle: SessionHandle,
    publisher: Publisher,
    dialect: Dialect,
    said: Said4,
    link: Link,
    filters: BTreeMap<String, Option<&'static str>>,
    grants: BTreeMap<&'static str, Grant>,
    lanes: [Vec<Message>; 3],
    /// What it took and could fail at.
    taken: Vec<Delivery>,
    calls: Vec<(u64, OpenCall)>,
    /// By how many messages urgent ones are ahead of others, while both wait.
    lead: i64,
    /// Since when its queue is long and nothing was taken.
    stuck_since: Option<Duration>,
    /// How many messages waited after the last step.
    waited: usize,
}

/// What becomes of calls.
type Outcomes = Arc<Mutex<Vec<(u64, Code)>>>;

#[derive(Debug)]
struct Call(u64, Outcomes);

impl Exchange for Call {
    fn pinned(&self) -> usize {
        SIZE
    }

    fn refuse(self: Box<Self>, why: Refused) {
        self.1.lock().expect("outcomes").push((self.0, why.code));
    }
}

/// Both brokers, and what happens to them.
pub(super) struct World {
    random: Random,
    router: Router,
    sims: Vec<Sim>,
    now: Duration,
    next: u64,
    kept: BTreeMap<(String, String), (u64, Option<Duration>)>,
    /// How many one-way COMMANDs each service of a topic got since the last change.
    turns: BTreeMap<String, BTreeMap<usize, u64>>,
    refused_calls: Outcomes,
    pub(super) is_verbose: bool,
    trace: Vec<u64>,
}

type Checked = Result<(), String>;

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            router: Router::new(limits()),
            sims: Vec::new(),
            now: Duration::ZERO,
            next: 1,
            kept: BTreeMap::new(),
            turns: BTreeMap::new(),
            refused_calls: Outcomes::default(),
            is_verbose: false,
            trace: Vec::new(),
        }
    }

    pub(super) fn run(mut self) -> Result<Vec<u64>, String> {
        for _ in 0..3 {
            self.connect();
        }
        for step in 0..STEPS {
            self.step()
                .map_err(|broken| format!("step {step}: {broken}"))?;
            self.compare()
                .map_err(|broken| format!("step {step}: {broken}"))?;
        }
        Ok(self.trace)
    }

    fn say(&mut self, what: impl FnOnce() -> String) {
        if self.is_verbose {
            eprintln!("{}", what());
        }
    }

    fn step(&mut self) -> Checked {
        let at = self.random.below(self.sims.len());
        match self.random.below(41) {
            0 | 1 => {
                if self.sims.len() < SESSIONS {
                    self.connect();
                }
                Ok(())
            }
            2..=9 => self.subscribe(at),
            10 => self.unsubscribe(at),
            11..=22 => self.publish(at),
            23..=27 => self.take(at),
            28 => self.suspend(at),
            29 | 30 => self.resume(at),
            31 => self.end(at),
            32 | 33 => self.grant(at),
            34 => self.reauthorize(at),
            35 => self.fail(at),
            36 | 37 => self.call(at),
            38 => {
                let topic = self.random.one_of(&TOPICS).to_string();
                (0..3).try_for_each(|_| self.publish_as(at, topic.clone(), MsgKind::Command))
            }
            39 => self.finish_call(at),
            _ => self.pass_time(),
        }
    }

    fn connect(&mut self) {
        let said = match self.random.once_in(2) {
            true => RIGHTS[0],
            false => *self.random.one_of(&RIGHTS),
        };
        let dialect = match self.random.once_in(4) {
            true => Dialect::Mip,
            false => Dialect::Msip,
        };
        let handle = self
            .router
            .connect(Principal::new("one"), Arc::new(said.rights()), dialect);
        self.sims.push(Sim {
            publisher: Publisher::new(&self.router, &handle),
            handle,
            dialect,
            said,
            link: Link::Ready,
            filters: BTreeMap::new(),
            grants: BTreeMap::new(),
            lanes: Default::default(),
            taken: Vec::new(),
            calls: Vec::new(),
            lead: 0,
            stuck_since: None,
            waited: 0,
        });
    }

    // What may be done.

    fn is_enabled(&self, uses: Uses, asked: &str, is_live: bool) -> bool {
        self.sims.iter().any(|giver| {
            let is_there = match giver.link {
                Link::Ended(_) => false,
                Link::Away(_) => !is_live,
                _ => true,
            };
            is_there
                && giver
                    .grants
                    .iter()
                    .any(|(filter, grant)| grant.enables(uses) && is_within(asked, filter))
        })
    }

    fn may_hear(&self, at: usize, topic: &str) -> bool {
        let sim = &self.sims[at];
        let Some((about, uses)) = belongs(topic, sim.handle.peer()) else {
            return false;
        };
        match sim.said.about(uses, about) {
            Answer::Yes => true,
            Answer::IfEnabled => self.is_enabled(uses, about, false),
            Answer::No => false,
        }
    }

    fn may_subscribe(&self, at: usize, filter: &str) -> bool {
        // A filter means all its topics, and a single one is enough to allow or enable all of them.
        self.may_hear(at, filter)
    }

    /// Whether it may send, and the code if not.
    fn may_send(&self, at: usize, uses: Uses, topic: &str) -> Result<(), Code> {
        let sim = &self.sims[at];
        let answer = match topic.split_once("/$to/") {
            Some((about, _)) => {
                let serves = sim.said.about(Uses::Serve, about) == Answer::Yes;
                match serves && uses == Uses::Publish && !sim.said.is_denied(Uses::Publish, about) {
                    true => Answer::Yes,
                    false => Answer::No,
                }
            }
            None => {
                let about = topic.strip_suffix("/$in").unwrap_or(topic);
                let serves = uses == Uses::Publish
                    && about == topic
                    && sim.said.about(Uses::Serve, about) == Answer::Yes
                    && !sim.said.is_denied(Uses::Publish, about);
                match serves {
                    true => Answer::Yes,
                    false => sim.said.about(uses, about),
                }
            }
        };
        let about = topic.split("/$").next().unwrap_or_default();
        match answer {
            Answer::Yes => Ok(()),
            Answer::No => Err(Code::PermissionDenied),
            Answer::IfEnabled if self.is_enabled(uses, about, true) => Ok(()),
            Answer::IfEnabled if self.is_enabled(uses, about, false) => Err(Code::Unavailable),
            Answer::IfEnabled => Err(Code::PermissionDenied),
        }
    }

    /// Whether a filter of a session matches, as its dialect compares.
    fn asks_for(&self, at: usize, filter: &str, topic: &str) -> bool {
        match self.sims[at].dialect {
            Dialect::Mip => filter == topic,
            Dialect::Msip => is_matched(filter, topic),
        }
    }

    fn is_subscribed(&self, at: usize, topic: &str, group: Option<Option<&str>>) -> bool {
        let sim = &self.sims[at];
        !matches!(sim.link, Link::Ended(_))
            && self.may_hear(at, topic)
            && sim.filters.iter().any(|(filter, of)| {
                self.asks_for(at, filter, topic) && group.is_none_or(|group| group == *of)
            })
    }

    fn hearing(&self, topic: &str, group: Option<Option<&str>>) -> Vec<usize> {
        (0..self.sims.len())
            .filter(|at| self.is_subscribed(*at, topic, group))
            .collect()
    }

    /// Who could have a message that is for one.
    fn eligible(&self, message: &Message) -> Vec<usize> {
        let all = match &message.target {
            Target::Everyone => return self.hearing(&message.topic, Some(None)),
            Target::Group(name) => self.hearing(&message.topic, Some(Some(name))),
            Target::Service => {
                let about = message.topic.strip_suffix("/$in").unwrap_or(&message.topic);
                self.hearing(&format!("{about}/$in"), None)
            }
        };
        let untried = all.into_iter().filter(|at| !message.tried.contains(at));
        let untried: Vec<usize> = untried.collect();
        let connected = untried.iter().copied().filter(|at| self.is_connected(*at));
        let connected: Vec<_> = connected.collect();
        match connected.is_empty() && !message.is_call {
            true => untried,
            false => connected,
        }
    }

    fn is_connected(&self, at: usize) -> bool {
        matches!(self.sims[at].link, Link::Ready | Link::Writing)
    }

    // Queues.

    fn waiting(&self, at: usize) -> usize {
        let lanes = self.sims[at].lanes.iter().flatten();
        lanes.map(|message| message.numbers.len()).sum()
    }

    fn most(&self, at: usize) -> usize {
        match self.sims[at].link {
            Link::Away(_) => AWAY,
            Link::Writing => OUTGOING,
            _ => 2 * OUTGOING,
        }
    }

    /// Puts a message into a queue of the model. Returns why the session has to end, if it has to.
    fn push(&mut self, at: usize, message: Message) -> Option<EndReason> {
        let count = message.numbers.len();
        let most = self.most(at);
        if let Link::Ended(_) = self.sims[at].link {
            return None;
        }
        let is_away = !self.is_connected(at);
        if is_away && !(message.acked || message.kind == MsgKind::State) {
            return None;
        }
        if let Some(key) = &message.key {
            let same =
                |one: &&mut Message| one.key.as_ref() == Some(key) && one.topic == message.topic;
            let mut all = self.sims[at].lanes.iter_mut().flatten();
            if let Some(old) = all.find(|one| same(one)) {
                *old = message;
                return None;
            }
        }
        let droppable = |this: &Self| -> usize {
            let lane = this.sims[at].lanes[2].iter();
            lane.map(|one| one.numbers.len()).sum()
        };
        if message.is_droppable() {
            // None is dropped in vain.
            if self.waiting(at) - droppable(self) + count > most {
                return None;
            }
            while !self.sims[at].lanes[2].is_empty()
                && (droppable(self) + count > DROPPABLE || self.waiting(at) + count > most)
            {
                self.sims[at].lanes[2].remove(0);
            }
            if droppable(self) + count > DROPPABLE {
                return None;
            }
        }
        while self.waiting(at) + count > most && !self.sims[at].lanes[2].is_empty() {
            self.sims[at].lanes[2].remove(0);
        }
        if self.waiting(at) + count > most {
            let now = self.now;
            for lane in &mut self.sims[at].lanes {
                lane.retain(|one| one.expires.is_none_or(|at| at > now));
            }
        }
        if self.waiting(at) + count > most {
            return match (message.is_droppable(), is_away) {
                (true, _) => None,
                (_, true) => Some(EndReason::Overflow),
                (_, false) => Some(EndReason::SlowConsumer),
            };
        }
        let lane = message.lane();
        self.sims[at].lanes[lane].push(message);
        None
    }

    /// A session has ended in the model. What is for one of several looks for another.
    fn gone(&mut self, at: usize, reason: EndReason) -> Vec<Message> {
        self.say(|| format!("  {at} ends: {reason:?}"));
        let sim = &mut self.sims[at];
        sim.link = Link::Ended(reason);
        sim.filters.clear();
        sim.grants.clear();
        let left = std::mem::take(&mut sim.lanes);
        self.turns.clear();
        self.withdraw();
        left.into_iter()
            .flatten()
            .filter(|message| message.target != Target::Everyone)
            .collect()
    }

    /// Rights are checked again: subscriptions and what is queued.
    fn withdraw(&mut self) {
        for at in 0..self.sims.len() {
            self.recheck(at);
        }
    }

    fn recheck(&mut self, at: usize) {
        let filters = self.sims[at].filters.keys().cloned();
        let gone: Vec<_> = filters.filter(|one| !self.may_subscribe(at, one)).collect();
        for filter in gone {
            self.sims[at].filters.remove(&filter);
        }
        let mut lanes = std::mem::take(&mut self.sims[at].lanes);
        for lane in &mut lanes {
            lane.retain(|one| {
                let topic = match one.target {
                    Target::Service if !one.topic.ends_with("/$in") => format!("{}/$in", one.topic),
                    _ => one.topic.clone(),
                };
                one.is_call || self.may_hear(at, &topic)
            });
        }
        self.sims[at].lanes = lanes;
    }

    /// What is really in the queues of a session.
    fn actual(&self, at: usize) -> [Vec<Shown>; 3] {
        let show = |item: &&OutboxItem| -> Shown {
            match item {
                OutboxItem::Publication(delivery) => (
                    numbers(&delivery.publication),
                    delivery.target.clone(),
                    text(&delivery.publication.topic),
                ),
                OutboxItem::Exchange(assigned) => {
                    let exchange: &dyn std::any::Any = &*assigned.request.exchange;
                    let call = exchange.downcast_ref::<Call>().expect("a call");
                    (vec![call.0], Target::Service, text(&assigned.request.topic))
                }
                OutboxItem::Presence(_) | OutboxItem::SubscriptionEnded(_) => {
                    panic!("nobody asked for it")
                }
            }
        };
        self.sims[at].handle.0.with_outbox(|outbox| {
            outbox
                .lanes()
                .map(|lane| lane.iter().map(show).collect::<Vec<_>>())
        })
    }

    fn status(&self, at: usize) -> Status {
        self.sims[at].handle.0.with_outbox(|outbox| outbox.status())
    }

    /// The queues of both brokers are the same.
    fn compare(&mut self) -> Checked {
        for at in 0..self.sims.len() {
            let (actual, status) = (self.actual(at), self.status(at));
            let is_same = matches!(
                (self.sims[at].link, status),
                (Link::Ready | Link::Writing, Status::Connected) | (Link::Away(_), Status::Away)
            ) || matches!((self.sims[at].link, status),
                (Link::Ended(one), Status::Ended(other)) if one == other);
            if !is_same {
                return Err(format!("{at} is {status:?}, not {:?}", self.sims[at].link));
            }
            // What has expired may be dropped at any time.
            let now = self.now;
            for lane in &mut self.sims[at].lanes {
                lane.retain(|one| {
                    let has_expired = one.expires.is_some_and(|expires| expires <= now);
                    !has_expired || actual.iter().flatten().any(|it| *it == one.shown())
                });
            }
            let expected = &self.sims[at].lanes;
            let expected = expected
                .each_ref()
                .map(|lane| lane.iter().map(Message::shown).collect::<Vec<_>>());
            // Dead letters, and what is handed over from others, are in no order with the rest.
            let in_order = |lanes: &[Vec<Shown>; 3]| {
                lanes.each_ref().map(|lane| {
                    let is_dead =
                        |one: &&Shown| one.2.starts_with('$') || one.1 != Target::Everyone;
                    let (mut dead, mut rest): (Vec<Shown>, Vec<Shown>) =
                        lane.iter().cloned().partition(|one| is_dead(&one));
                    dead.sort_unstable_by_key(|one| one.0.clone());
                    rest.append(&mut dead);
                    rest
                })
            };
            if in_order(&actual) != in_order(&expected) {
                return Err(format!("{at} has {actual:?}, not {expected:?}"));
            }
            for (lane, actual) in self.sims[at].lanes.iter_mut().zip(&actual) {
                lane.sort_by_key(|one| {
                    let shown = one.shown();
                    actual.iter().position(|other| *other == shown)
                });
            }
            let bound = match status {
                Status::Ended(_) => 0,
                Status::Away => AWAY.max(2 * OUTGOING),
                Status::Connected => 2 * OUTGOING,
            };
            let (bytes, waiting) = self.sims[at]
                .handle
                .0
                .with_outbox(|outbox| (outbox.bytes(), outbox.count()));
            if waiting > bound || (bytes == 0) != (waiting == 0) {
                return Err(format!("{at} has {waiting} messages of {bytes} bytes"));
            }
            let open = self.sims[at].handle.open_calls();
            let calls = self.sims[at]
                .lanes
                .iter()
                .flatten()
                .filter(|one| one.is_call);
            let known = calls.count() + self.sims[at].calls.len();
            if open != known {
                return Err(format!("{at} counts {open} open calls, not {known}"));
            }
            let mut filters: Vec<String> = self
                .router
                .subscriptions(&self.sims[at].handle)
                .iter()
                .map(|filter| match filter {
                    Filter::Literal(topic) => text(topic),
                    Filter::Pattern(filter) => filter.as_str().to_owned(),
                })
                .collect();
            filters.sort_unstable();
            if !filters.iter().eq(self.sims[at].filters.keys()) {
                return Err(format!(
                    "{at} has {filters:?}, not {:?}",
                    self.sims[at].filters
                ));
            }
            let is_long = status == Status::Connected && waiting > OUTGOING / 2;
            let sim = &mut self.sims[at];
            // One that comes back with a long queue has its time from the next message on.
            let has_grown = waiting > std::mem::replace(&mut sim.waited, waiting);
            let since = sim.stuck_since.or(has_grown.then_some(now));
            sim.stuck_since = since.filter(|_| is_long);
            self.trace.push(waiting as u64);
        }
        let (kept, bytes) = self.router.kept_totals_now();
        if kept != self.kept.len() || bytes != kept * SIZE {
            return Err(format!(
                "{kept} STATEs of {bytes} bytes are kept, not {}",
                self.kept.len()
            ));
        }
        Ok(())
    }

    /// Finds where the router has put what is for one of several, and checks that it may be there. `is_new` is what is being
    /// published, at most one run.
    fn settle(&mut self, mut homeless: Vec<Message>, is_new: bool) -> Checked {
        let mut is_first = is_new;
        while !homeless.is_empty() {
            let mut message = homeless.remove(0);
            let is_fresh = std::mem::take(&mut is_first);
            let eligible = self.eligible(&message);
            let count = message.numbers.len();
            let loads: BTreeMap<usize, usize> =
                eligible.iter().map(|at| (*at, self.waiting(*at))).collect();
            let mut got: BTreeMap<usize, usize> = BTreeMap::new();
            // Whoever was tried and had no place for it has ended.
            let mut ended = Vec::new();
            for at in &eligible {
                if let Status::Ended(reason) = self.status(*at) {
                    // How much it was given by then, dead letters included, is the router's choice.
                    let more = homeless.iter().map(|one| one.numbers.len()).sum::<usize>();
                    if loads[at] + 2 * (count + more) + OUTGOING / 2 <= self.most(*at) {
                        return Err(format!("{at} has ended: {reason:?}"));
                    }
                    ended.push((*at, reason));
                }
            }
            if !ended.is_empty() {
                for (at, reason) in ended {
                    let left = self.gone(at, reason);
                    homeless.extend(left);
                }
                homeless.insert(0, message);
                continue;
            }
            self.say(|| format!("  settles {message:?} among {eligible:?} {loads:?}"));
            for at in 0..self.sims.len() {
                let found: Vec<_> = self.actual(at).into_iter().flatten().collect();
                for (numbers, target, topic) in found {
                    let is_it = target == message.target
                        && topic == message.topic
                        && numbers.iter().all(|one| message.numbers.contains(one));
                    if !is_it || numbers.is_empty() {
                        continue;
                    }
                    if !eligible.contains(&at) {
                        return Err(format!(
                            "{at} has {numbers:?} and is not one of {eligible:?}"
                        ));
                    }
                    message.numbers.retain(|one| !numbers.contains(one));
                    *got.entry(at).or_default() += numbers.len();
                    let part = Message {
                        numbers,
                        ..message.clone()
                    };
                    if let Some(reason) = self.push(at, part) {
                        return Err(format!("{at} has what it had no place for: {reason:?}"));
                    }
                }
            }
            if is_fresh {
                self.check_shares(&message, &eligible, &loads, &got)?;
            }
            let has_changed = eligible != self.eligible(&message);
            if !message.numbers.is_empty() && has_changed {
                // Others could have it now.
                homeless.insert(0, message);
            } else if !message.numbers.is_empty() {
                let more = self.unplaced(message)?;
                homeless.extend(more);
            }
        }
        Ok(())
    }

    /// Nobody has got a message that was for one.
    fn unplaced(&mut self, message: Message) -> Result<Vec<Message>, String> {
        let eligible = self.eligible(&message);
        let is_allowed = message.is_droppable()
            || message.expires.is_some_and(|expires| expires <= self.now)
            || eligible.is_empty()
            || eligible.iter().all(|at| !self.is_connected(*at)) && !message.acked;
        if !is_allowed {
            let queues: Vec<_> = eligible.iter().map(|at| self.actual(*at)).collect();
            return Err(format!(
                "{message:?} is lost, and {eligible:?} could have it: {queues:?}"
            ));
        }
        if message.is_call {
            let refused = self.refused_calls.lock().expect("outcomes");
            return match refused
                .iter()
                .any(|(number, _)| message.numbers.contains(number))
            {
                true => Ok(Vec::new()),
                false => Err(format!("{message:?} is lost, and was not refused")),
            };
        }
        if !message.acked || message.topic.starts_with('$') {
            return Ok(Vec::new());
        }
        Ok(self.bury(message))
    }

    /// Each message goes to those who hear of the dead.
    fn bury(&mut self, message: Message) -> Vec<Message> {
        let about = message.topic.split("/$").next().unwrap_or_default();
        let topic = format!("$dead/{about}");
        let mut homeless = Vec::new();
        for number in &message.numbers {
            let kind = match message.kind {
                MsgKind::State => MsgKind::Event,
                kind => kind,
            };
            let letter = Message {
                numbers: vec![*number],
                topic: topic.clone(),
                target: Target::Everyone,
                kind,
                key: None,
                tried: Vec::new(),
                ..message.clone()
            };
            for at in self.hearing(&topic, Some(None)) {
                if let Some(reason) = self.push(at, letter.clone()) {
                    homeless.extend(self.gone(at, reason));
                }
            }
        }
        homeless
    }

    /// A publisher is told to wait: not for itself, nor for one that takes nothing.
    fn check_wait(&self, publisher: usize) -> Checked {
        let is_waited_for = |(at, sim): (usize, &Sim)| {
            let goes_on = |since: Duration| since + self.router.limits().push_back > self.now;
            // One that has ended by the same messages may have been waited for before.
            let has_ended = matches!(self.status(at), Status::Ended(_))
                && matches!(sim.link, Link::Ready | Link::Writing);
            // LOGs of the same run may have displaced others since it was long.
            let was_long = sim.handle.waiting() + MAX_RUN > OUTGOING / 2;
            at != publisher
                && (has_ended || sim.handle.is_connected() && was_long)
                && sim.stuck_since.is_none_or(goes_on)
        };
        match self.sims.iter().enumerate().any(is_waited_for) {
            true => Ok(()),
            false => Err(format!("{publisher} waits, and nobody who goes on is slow")),
        }
    }

    /// The load is as equal as it can be, and equals take turns.
    fn check_shares(
        &mut self,
        message: &Message,
        eligible: &[usize],
        loads: &BTreeMap<usize, usize>,
        got: &BTreeMap<usize, usize>,
    ) -> Checked {
        if message.is_droppable() || got.is_empty() || message.is_call {
            return Ok(());
        }
        if let Target::Service = message.target {
            let about = message.topic.strip_suffix("/$in").unwrap_or(&message.topic);
            if !eligible.iter().all(|at| self.is_connected(*at)) {
                // What nobody keeps takes a turn too.
                self.turns.remove(about);
                return Ok(());
            }
            let turns = self.turns.entry(about.to_owned()).or_default();
            let is_same = turns.keys().eq(eligible);
            if !is_same {
                *turns = eligible.iter().map(|at| (*at, 0)).collect();
            }
            for (at, count) in got {
                *turns.entry(*at).or_default() += *count as u64;
            }
            let (least, most) = (turns.values().min(), turns.values().max());
            if most > least.map(|least| least + 1).as_ref() {
                return Err(format!("turns of {about}: {turns:?}"));
            }
            return Ok(());
        }
        let after = |at: &usize| loads[at] + got.get(at).copied().unwrap_or(0);
        let least = eligible.iter().map(after).min().unwrap_or(0);
        match got.keys().find(|at| after(at) > least + 1) {
            Some(at) => Err(format!("{at} has more than its share: {loads:?} {got:?}")),
            None => Ok(()),
        }
    }

    // What happens.

    fn filter(&mut self, at: usize) -> String {
        match self.random.once_in(8) {
            true => {
                let peer = match self.random.once_in(4) {
                    true => "99",
                    false => self.sims[at].handle.peer(),
                };
                format!("a/$to/{peer}")
            }
            false => (*self.random.one_of(&FILTERS)).to_owned(),
        }
    }

    fn subscribe(&mut self, at: usize) -> Checked {
        let text = self.filter(at);
        let group = (self.random.once_in(3) && !text.starts_with("$dead")).then_some("g");
        let is_mip = self.sims[at].dialect == Dialect::Mip;
        if is_mip && text.contains(['+', '#']) {
            return Ok(());
        }
        let filter = match is_mip {
            true => Filter::Literal(Bytes::copy_from_slice(text.as_bytes())),
            false => Filter::Pattern(TopicFilter::new(&text).expect("a filter")),
        };
        let request = SubscribeRequest {
            group: group.map(str::to_owned),
            ..SubscribeRequest::new(filter)
        };
        let subscribed = self
            .router
            .subscribe(&self.sims[at].handle, request, self.now);
        self.say(|| format!("{at} subscribes {text} {group:?}: {subscribed:?}"));
        let is_full = self.sims[at].filters.len() >= SUBSCRIPTIONS
            && !self.sims[at].filters.contains_key(&text);
        let expected = match self.sims[at].link {
            Link::Ended(_) => Err(Code::Unavailable),
            _ if !self.may_subscribe(at, &text) => Err(Code::PermissionDenied),
            _ if is_full => Err(Code::ResourceExhausted),
            _ => Ok(()),
        };
        if expected.is_ok() {
            self.turns.clear();
            let before = self.sims[at].filters.insert(text.clone(), group);
            let kept: Vec<_> = self
                .kept
                .iter()
                .filter(|((topic, _), (_, expires))| {
                    self.asks_for(at, &text, topic)
                        && self.may_hear(at, topic)
                        && expires.is_none_or(|expires| expires > self.now)
                })
                .map(|((topic, key), (number, expires))| {
                    (topic.clone(), key.clone(), *number, *expires)
                })
                .collect();
            for (topic, key, number, expires) in kept {
                let message = Message {
                    numbers: vec![number],
                    topic,
                    target: Target::Everyone,
                    kind: MsgKind::State,
                    is_call: false,
                    acked: true,
                    urgent: self.is_urgent(number),
                    idempotent: false,
                    expires,
                    key: Some(key),
                    tried: Vec::new(),
                };
                if self.push(at, message).is_some() {
                    if before.is_none() {
                        self.sims[at].filters.remove(&text);
                    }
                    return match subscribed {
                        Err(refused) if refused.code == Code::ResourceExhausted => Ok(()),
                        other => Err(format!("there is no place for what is kept: {other:?}")),
                    };
                }
            }
        }
        match subscribed.map(|_| ()).map_err(|refused| refused.code) == expected {
            true => Ok(()),
            false => Err(format!(
                "{at} subscribes to {text}, and {expected:?} is right"
            )),
        }
    }

    fn unsubscribe(&mut self, at: usize) -> Checked {
        let Some(text) = self.sims[at].filters.keys().next().cloned() else {
            return Ok(());
        };
        let filter = match self.sims[at].dialect {
            Dialect::Mip => Filter::Literal(Bytes::copy_from_slice(text.as_bytes())),
            Dialect::Msip => Filter::Pattern(TopicFilter::new(&text).expect("a filter")),
        };
        self.say(|| format!("{at} unsubscribes {text}"));
        self.sims[at].filters.remove(&text);
        self.turns.clear();
        match self.router.unsubscribe(&self.sims[at].handle, &filter) {
            true => Ok(()),
            false => Err(format!("{at} had no subscription to {text}")),
        }
    }

    /// An urgent message has a number that is divisible by 5.
    fn is_urgent(&self, number: u64) -> bool {
        number.is_multiple_of(5)
    }

    fn topic(&mut self) -> String {
        let topic = *self.random.one_of(&TOPICS);
        match self.random.below(8) {
            0 | 1 => format!("{topic}/$in"),
            2 => {
                let to = self.random.below(self.sims.len());
                format!("{topic}/$to/{}", self.sims[to].handle.peer())
            }
            _ => topic.to_owned(),
        }
    }

    fn publish(&mut self, at: usize) -> Checked {
        const KINDS: [MsgKind; 8] = [
            MsgKind::Event,
            MsgKind::Event,
            MsgKind::Event,
            MsgKind::Command,
            MsgKind::Command,
            MsgKind::State,
            MsgKind::State,
            MsgKind::Log,
        ];
        let topic = self.topic();
        let kind = *self.random.one_of(&KINDS);
        self.publish_as(at, topic, kind)
    }

    fn publish_as(&mut self, at: usize, topic: String, kind: MsgKind) -> Checked {
        let is_state = kind == MsgKind::State;
        let count = match is_state || self.random.once_in(2) {
            true => 1,
            false => 1 + self.random.below(MAX_RUN),
        };
        let numbers: Vec<u64> = (self.next..).take(count).collect();
        self.next += count as u64;
        let is_cleared = is_state && self.random.once_in(4);
        let message = Message {
            topic: topic.clone(),
            target: Target::Everyone,
            kind,
            is_call: false,
            acked: kind != MsgKind::Log && (is_state || !self.random.once_in(3)),
            urgent: self.is_urgent(numbers[0]),
            idempotent: self.random.once_in(2),
            expires: self
                .random
                .once_in(6)
                .then_some(self.now + Duration::from_secs(5)),
            key: is_state.then(|| self.random.one_of(&["", "k"]).to_string()),
            tried: Vec::new(),
            numbers,
        };
        let mut publication = Publication::new(
            self.sims[at].handle.key(),
            Bytes::copy_from_slice(topic.as_bytes()),
            kind,
            frames(&message),
            u32::try_from(count).expect("few"),
        );
        publication.pinned = SIZE * count;
        publication.urgent = message.urgent;
        publication.wants_ack = message.acked;
        publication.is_idempotent = message.idempotent;
        publication.expires_at = message.expires;
        publication.state = message.key.as_ref().map(|key| StateKey {
            variant: 1,
            key: Bytes::copy_from_slice(key.as_bytes()),
            is_cleared,
        });
        let now = self.now;
        let published = self.sims[at]
            .publisher
            .publish(publication, now, &mut WakeList::new());
        self.say(|| format!("{at} publishes {message:?} {is_cleared}: {published:?}"));
        if published
            .as_ref()
            .is_ok_and(|published| published.is_congested)
        {
            self.check_wait(at)?;
        }
        let code = published.map(|_| ()).map_err(|refused| refused.code);
        let expect = |expected: Result<(), Code>| match code == expected {
            true => Ok(()),
            false => Err(format!(
                "{at} publishes to {topic}: {code:?}, not {expected:?}"
            )),
        };
        if let Link::Ended(_) = self.sims[at].link {
            return expect(Err(Code::Unavailable));
        }
        if let Err(code) = self.may_send(at, Uses::Publish, &topic) {
            return expect(Err(code));
        }
        let about = topic.strip_suffix("/$in").unwrap_or(&topic);
        let services = self.hearing(&format!("{about}/$in"), None);
        if kind == MsgKind::Command && !topic.contains("$to") && !services.contains(&at) {
            let is_mip = self.sims[at].dialect == Dialect::Mip;
            let mut homeless = Vec::new();
            if is_mip {
                for to in self.hearing(&topic, Some(None)) {
                    if self.sims[to].dialect == Dialect::Mip
                        && let Some(reason) = self.push(to, message.clone())
                    {
                        homeless.extend(self.gone(to, reason));
                    }
                }
            } else if services.is_empty() {
                return expect(Err(Code::Unavailable));
            }
            if services.is_empty() {
                return expect(Ok(())).and_then(|()| self.settle(homeless, false));
            }
            let for_one = Message {
                target: Target::Service,
                ..message
            };
            homeless.insert(0, for_one);
            if code == Err(Code::Unavailable) {
                // Refused to its sender, who knows: nobody has it, and nobody hears of its end.
                // Or it was too much for the only one.
                let is_over = |one: &usize| matches!(self.status(*one), Status::Ended(_));
                let is_away = services.iter().all(|one| !self.is_connected(*one))
                    || services.iter().any(is_over);
                homeless[0].acked = false;
                return match is_away {
                    true => self.settle(homeless, true),
                    false => expect(Ok(())),
                };
            }
            expect(Ok(()))?;
            return self.settle(homeless, true);
        }
        if let Some(key) = &message.key {
            let key = (topic.clone(), key.clone());
            match (is_cleared, self.kept.contains_key(&key)) {
                (true, _) => {
                    self.kept.remove(&key);
                }
                (false, false) if self.kept.len() >= KEPT => {
                    return expect(Err(Code::ResourceExhausted));
                }
                (false, _) => {
                    self.kept.insert(key, (message.numbers[0], message.expires));
                }
            }
        }
        expect(Ok(()))?;
        let mut homeless = Vec::new();
        let groups = !self.hearing(&topic, Some(Some("g"))).is_empty();
        let mut over = Vec::new();
        for to in self.hearing(&topic, Some(None)) {
            over.extend(self.push(to, message.clone()).map(|reason| (to, reason)));
        }
        if groups {
            homeless.push(Message {
                target: Target::Group("g".into()),
                ..message
            });
        }
        // The group is served before those that are over their limits end.
        let is_new = groups;
        if over.is_empty() {
            return self.settle(homeless, is_new);
        }
        for (to, reason) in over {
            let left = self.gone(to, reason);
            homeless.extend(left);
        }
        self.settle(homeless, false)
    }

    fn take(&mut self, at: usize) -> Checked {
        let mut items = Vec::new();
        let mut task = Context::from_waker(Waker::noop());
        let most = SIZE * (1 + self.random.below(12));
        let mut taken = self.sims[at]
            .handle
            .poll_take(self.now, most, &mut items, &mut task);
        if let [OutboxItem::SubscriptionEnded(_), ..] = items[..] {
            // They come alone, and before all else.
            items.clear();
            taken = self.sims[at]
                .handle
                .poll_take(self.now, most, &mut items, &mut task);
        }
        self.say(|| format!("{at} takes {most}: {}", items.len()));
        let is_expected = match (self.sims[at].link, taken) {
            (Link::Ended(reason), Poll::Ready(Err(other))) => {
                return check_reason(at, reason, other);
            }
            (Link::Ended(_), _) => false,
            (Link::Away(_), _) => true,
            (_, Poll::Ready(Ok(()))) => !items.is_empty(),
            (_, Poll::Pending) => items.is_empty(),
            (_, Poll::Ready(Err(_))) => false,
        };
        if !is_expected {
            return Err(format!("{at} takes {taken:?}"));
        }
        if !matches!(self.sims[at].link, Link::Away(_)) {
            self.sims[at].link = match taken {
                Poll::Ready(_) => Link::Writing,
                Poll::Pending => Link::Ready,
            };
            self.sims[at].stuck_since = None;
        }
        for item in items {
            let numbers = match item {
                OutboxItem::Publication(delivery) => {
                    let numbers = numbers(&delivery.publication);
                    let expires = delivery.publication.expires_at;
                    if expires.is_some_and(|expires| expires <= self.now) {
                        return Err(format!("{at} takes {numbers:?}, which have expired"));
                    }
                    self.sims[at].taken.push(delivery);
                    numbers
                }
                OutboxItem::Exchange(assigned) => {
                    let (request, open) = assigned.into_parts();
                    let exchange: Box<dyn std::any::Any> = request.exchange;
                    let call = exchange.downcast::<Call>().map_err(|_| "no call")?;
                    self.sims[at].calls.push((call.0, open));
                    vec![call.0]
                }
                OutboxItem::Presence(_) | OutboxItem::SubscriptionEnded(_) => continue,
            };
            let now = self.now;
            let has_expired = |one: &Message| one.expires.is_some_and(|expires| expires <= now);
            let waits = |lane: usize| {
                let mut queue = self.sims[at].lanes[lane].iter();
                queue.any(|one| !has_expired(one))
            };
            let both = waits(0) && (waits(1) || waits(2));
            let lanes = &self.sims[at].lanes;
            // What has expired is passed over.
            let is_next = |lane: &&usize| {
                let next = lanes[**lane].iter().find(|one| !has_expired(one));
                next.is_some_and(|one| one.numbers == numbers)
            };
            let Some(&lane) = [0, 1, 2].iter().find(is_next) else {
                return Err(format!(
                    "{at} takes {numbers:?}, which is nowhere next in {lanes:?}"
                ));
            };
            while has_expired(&self.sims[at].lanes[lane][0]) {
                self.sims[at].lanes[lane].remove(0);
            }
            let message = self.sims[at].lanes[lane].remove(0);
            let count = message.numbers.len() as i64;
            let lead = &mut self.sims[at].lead;
            *lead = match (both, lane) {
                (false, _) => 0,
                (true, 0) => *lead + count,
                (true, _) => *lead - count,
            };
            // The longest run has four, and dead letters are a little longer.
            if lead.abs() > 6 {
                return Err(format!("{at}: urgent messages are ahead by {lead}"));
            }
        }
        let now = self.now;
        if taken.is_pending() {
            for queue in &mut self.sims[at].lanes {
                queue.retain(|one| one.expires.is_none_or(|expires| expires > now));
            }
        } else {
            // Those that had expired may have been passed over after the last item.
            let actual = self.actual(at);
            for (queue, actual) in self.sims[at].lanes.iter_mut().zip(actual) {
                while queue.len() > actual.len()
                    && queue[0].expires.is_some_and(|expires| expires <= now)
                {
                    queue.remove(0);
                }
            }
        }
        Ok(())
    }

    fn suspend(&mut self, at: usize) -> Checked {
        if !self.is_connected(at) {
            return Ok(());
        }
        self.say(|| format!("{at} is away"));
        self.router
            .suspend(&self.sims[at].handle, self.now, &mut WakeList::new());
        let sim = &mut self.sims[at];
        sim.link = Link::Away(self.now + EXPIRY);
        // A connection that is lost answers nothing more.
        sim.taken.clear();
        self.turns.clear();
        let mut left = Vec::new();
        for lane in &mut sim.lanes {
            let (stays, goes): (Vec<_>, Vec<_>) = std::mem::take(lane)
                .into_iter()
                .partition(|one| one.target == Target::Everyone);
            left.extend(goes);
            lane.extend(
                stays
                    .into_iter()
                    .filter(|one| one.acked || one.kind == MsgKind::State),
            );
        }
        self.settle(left, false)
    }

    fn resume(&mut self, at: usize) -> Checked {
        let Link::Away(until) = self.sims[at].link else {
            return Ok(());
        };
        let said = match self.random.once_in(3) {
            true => *self.random.one_of(&RIGHTS),
            false => self.sims[at].said,
        };
        let rights = Arc::new(said.rights());
        let resumed = self.router.resume(&self.sims[at].handle, rights, self.now);
        self.say(|| format!("{at} resumes: {resumed:?}"));
        if resumed.is_ok() != (self.now < until) {
            return Err(format!("{at} resumes: {resumed:?}"));
        }
        if resumed.is_ok() {
            self.sims[at].link = Link::Ready;
            self.turns.clear();
            self.allow(at, said);
        }
        Ok(())
    }

    /// The rights of a session are these now.
    fn allow(&mut self, at: usize, said: Said4) {
        let sim = &mut self.sims[at];
        sim.said = said;
        sim.grants
            .retain(|filter, _| said.about(Uses::Serve, filter) == Answer::Yes);
        self.turns.clear();
        self.withdraw();
    }

    fn reauthorize(&mut self, at: usize) -> Checked {
        let said = *self.random.one_of(&RIGHTS);
        let rights = Arc::new(said.rights());
        let is_there = self.router.reauthorize(&self.sims[at].handle, rights);
        self.say(|| format!("{at} has other rights: {said:?}"));
        if is_there {
            self.allow(at, said);
        }
        Ok(())
    }

    fn end(&mut self, at: usize) -> Checked {
        if matches!(self.sims[at].link, Link::Ended(_)) || !self.random.once_in(2) {
            return Ok(());
        }
        let mut wakes = WakeList::new();
        let handle = self.sims[at].handle.clone();
        self.router
            .end(&handle, EndReason::Closed, self.now, &mut wakes);
        let left = self.gone(at, EndReason::Closed);
        self.settle(left, false)
    }

    fn pass_time(&mut self) -> Checked {
        self.now += Duration::from_secs(1 + self.random.below(12) as u64);
        let over: Vec<_> = (0..self.sims.len())
            .filter(|at| matches!(self.sims[*at].link, Link::Away(until) if until <= self.now))
            .collect();
        let next = self.router.expire(self.now, &mut WakeList::new());
        self.say(|| format!("it is later; {over:?} expire"));
        // They end by the time at which they do.
        let mut over: Vec<_> = over
            .into_iter()
            .map(|at| match self.sims[at].link {
                Link::Away(until) => (until, self.sims[at].handle.key(), at),
                _ => (self.now, self.sims[at].handle.key(), at),
            })
            .collect();
        over.sort_unstable();
        for (_, _, at) in over {
            let left = self.gone(at, EndReason::Expired);
            self.settle(left, false)?;
        }
        let expected = self.sims.iter().filter_map(|sim| match sim.link {
            Link::Away(until) => Some(until),
            _ => None,
        });
        match next == expected.min() {
            true => Ok(()),
            false => Err(format!("the next one expires at {next:?}")),
        }
    }

    fn grant(&mut self, at: usize) -> Checked {
        const GRANTED: [&str; 5] = ["a/#", "a", "b", "#", "a/+"];
        let filter = *self.random.one_of(&GRANTED);
        let pattern = TopicFilter::new(filter).expect("a filter");
        if self.random.once_in(4) {
            let is_revoked = self.router.revoke(&self.sims[at].handle, &pattern);
            self.say(|| format!("{at} revokes {filter}: {is_revoked}"));
            let was = self.sims[at].grants.remove(filter).is_some();
            self.withdraw();
            return match was == is_revoked {
                true => Ok(()),
                false => Err(format!("{at} revokes {filter}: {is_revoked}")),
            };
        }
        let grant = Grant {
            publish: !self.random.once_in(3),
            subscribe: !self.random.once_in(3),
            request: !self.random.once_in(3),
        };
        let granted = self.router.grant(&self.sims[at].handle, pattern, grant);
        self.say(|| format!("{at} grants {filter} {grant:?}: {granted:?}"));
        let sim = &self.sims[at];
        let expected = match sim.link {
            Link::Ended(_) => Err(Code::Unavailable),
            _ if sim.said.about(Uses::Serve, filter) != Answer::Yes => Err(Code::PermissionDenied),
            _ if sim.grants.len() >= GRANTS && !sim.grants.contains_key(filter) => {
                Err(Code::ResourceExhausted)
            }
            _ => Ok(()),
        };
        if expected.is_ok() {
            self.sims[at].grants.insert(filter, grant);
            self.withdraw();
        }
        match granted.map_err(|refused| refused.code) == expected {
            true => Ok(()),
            false => Err(format!("{at} grants {filter}, and {expected:?} is right")),
        }
    }

    /// A receiver answers with an error.
    fn fail(&mut self, at: usize) -> Checked {
        if !self.is_connected(at) || self.sims[at].taken.is_empty() {
            return Ok(());
        }
        let chosen = self.random.below(self.sims[at].taken.len());
        let delivery = self.sims[at].taken.remove(chosen);
        let frames: Vec<_> = delivery.publication.iter().collect();
        let frame = self.random.one_of(&frames).clone();
        let number = numbers_of(&frame, &delivery.publication.topic)[0];
        let failed = Failed {
            delivery: &delivery,
            frame,
            why: Refused::new(Code::Internal, "it broke"),
        };
        let handle = self.sims[at].handle.clone();
        self.router
            .failed(&handle, failed, self.now, &mut WakeList::new());
        self.say(|| format!("{at} fails at {number} of {:?}", delivery.target));
        let tried = delivery.tried.iter().chain([&handle.0.key]);
        let tried =
            tried.filter_map(|key| self.sims.iter().position(|sim| sim.handle.key() == *key));
        let publication = &delivery.publication;
        let message = Message {
            numbers: vec![number],
            topic: text(&publication.topic),
            target: delivery.target.clone(),
            kind: publication.kind,
            is_call: false,
            acked: publication.wants_ack,
            urgent: publication.urgent,
            idempotent: publication.is_idempotent,
            expires: publication.expires_at,
            key: publication.state.as_ref().map(|state| text(&state.key)),
            tried: tried.collect(),
        };
        let is_for_one = message.target != Target::Everyone;
        let is_work = is_for_one || message.topic.ends_with("/$in");
        if !is_work || message.topic.starts_with('$') {
            return Ok(());
        }
        if is_for_one && message.idempotent && message.tried.len() <= 3 {
            return self.settle(vec![message], false);
        }
        let homeless = match message.acked {
            true => self.bury(message),
            false => Vec::new(),
        };
        self.settle(homeless, false)
    }

    fn call(&mut self, at: usize) -> Checked {
        let topic = self.random.one_of(&["a", "a/b", "a/$in", "b"]).to_string();
        let number = self.next;
        self.next += 1;
        let request = Request {
            topic: Bytes::copy_from_slice(topic.as_bytes()),
            exchange: Box::new(Call(number, self.refused_calls.clone())),
            tried: Vec::new(),
        };
        let now = self.now;
        let requested = self.sims[at]
            .publisher
            .request(request, now, &mut WakeList::new());
        let code = requested.map(|_| ()).map_err(|(refused, _)| refused.code);
        self.say(|| format!("{at} calls {topic} with {number}: {code:?}"));
        let message = Message {
            numbers: vec![number],
            topic: topic.clone(),
            target: Target::Service,
            kind: MsgKind::Command,
            is_call: true,
            acked: false,
            urgent: false,
            idempotent: false,
            expires: None,
            key: None,
            tried: Vec::new(),
        };
        let eligible = self.eligible(&message);
        let expected = match self.sims[at].link {
            Link::Ended(_) => Err(Code::Unavailable),
            _ => match self.may_send(at, Uses::Request, &topic) {
                Ok(()) if eligible.is_empty() => Err(Code::Unavailable),
                other => other,
            },
        };
        let is_over = eligible
            .iter()
            .any(|one| matches!(self.status(*one), Status::Ended(_)));
        if code != expected && !is_over {
            return Err(format!("{at} calls {topic}: {code:?}, not {expected:?}"));
        }
        if expected.is_err() {
            return Ok(());
        }
        if !is_over {
            let open = |at: &usize| self.sims[*at].handle.open_calls();
            let queued = |at: &usize| self.actual(*at)[1].iter().any(|one| one.0 == [number]);
            let Some(chosen) = eligible.iter().find(|one| queued(one)) else {
                return Err(format!("nobody has the call {number}"));
            };
            if let Some(less) = eligible.iter().find(|one| open(one) + 1 < open(chosen)) {
                return Err(format!("{less} has fewer calls than {chosen}"));
            }
        } else if code.is_err() {
            self.refused_calls
                .lock()
                .expect("outcomes")
                .push((number, Code::Unavailable));
        }
        self.settle(vec![message], true)
    }

    fn finish_call(&mut self, at: usize) -> Checked {
        self.sims[at].calls.pop();
        Ok(())
    }
}

fn check_reason(at: usize, one: EndReason, other: EndReason) -> Checked {
    match one == other {
        true => Ok(()),
        false => Err(format!("{at} is told {other:?}, not {one:?}")),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn frames(message: &Message) -> Bytes {
    let mut frames = Vec::new();
    for number in &message.numbers {
        let header = Header {
            flags: Flags::NONE,
            frame_type: FrameType::Event,
            kind: message.kind.into(),
            variant: 1,
            payload_len: u32::try_from(2 + message.topic.len() + 8).expect("short"),
            msg_id: MsgId::new(1),
        };
        frames.extend_from_slice(&header.encode());
        frames.extend_from_slice(&(message.topic.len() as u16).to_be_bytes());
        frames.extend_from_slice(message.topic.as_bytes());
        frames.extend_from_slice(&number.to_be_bytes());
    }
    frames.into()
}

/// The numbers of the messages in frames, which are their last bytes.
fn numbers(publication: &Publication) -> Vec<u64> {
    publication
        .iter()
        .flat_map(|frame| numbers_of(&frame, &publication.topic))
        .collect()
}

fn numbers_of(frame: &Bytes, _topic: &[u8]) -> Vec<u64> {
    assert!(frame.len() > HEADER_LEN + 8, "a frame");
    let number = frame.last_chunk().expect("a number");
    vec![u64::from_be_bytes(*number)]
}
