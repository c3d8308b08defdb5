//! Typed traffic in the naive broker: clients that instances hear apart, who looks after them, their windows and their turns, and
//! keys, each of which prefers one instance to another once and for all. What the router does is held against it in `checks`.

mod checks;

use std::{collections::BTreeMap, time::Duration};

use super::{
    Checked, Link, TOPICS, World,
    limits::{CLIENT_WAITING, FIRST_WINDOW, WINDOW},
    message::{Message, text},
    queues::Pushed,
};
use crate::router::{ClientAt, OpenCall, SessionKey, Target};
use msip_session::MsgKind;

/// A subscription.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) group: Option<&'static str>,
    pub(super) by_peer: bool,
}

/// A call that an instance has taken.
pub(super) struct OpenedCall {
    pub(super) number: u64,
    pub(super) open: OpenCall,
    /// The queue that it came from, where that is one of a client.
    pub(super) queue: Option<u64>,
}

/// What an instance is told of a client.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Told {
    looks_after: bool,
    is_handed_over: bool,
}

/// What waits of a client at an instance.
#[derive(Debug)]
pub(super) struct PeerSim {
    /// What the instance is told of it, before anything else of it.
    told: Vec<Told>,
    is_told: bool,
    pub(super) lanes: [Vec<Message>; 3],
    /// Whether the client has gone.
    is_gone: bool,
    /// How many messages the instance has not finished with.
    pub(super) sent: usize,
    /// How many it is sent ahead.
    pub(super) window: usize,
    /// Tells it from an earlier one of the same client.
    number: u64,
    /// How much of each other one went while something of it could have gone, by the number of that.
    pub(super) passed: BTreeMap<u64, usize>,
}

type PeerKey = (String, usize);

/// Keys are few.
pub(super) fn typed_key(key: &[u8]) -> &'static str {
    match key {
        b"1" => "1",
        b"2" => "2",
        _ => "3",
    }
}

fn is_over(one: &Message, now: Duration) -> bool {
    one.expires.is_some_and(|expires| expires <= now)
}

impl PeerSim {
    fn waiting(&self) -> usize {
        let all = self.lanes.iter().flatten();
        all.map(|one| one.numbers.len()).sum()
    }
}

impl World {
    pub(super) fn sim_of(&self, key: SessionKey) -> Option<usize> {
        self.sims.iter().position(|sim| sim.handle.key() == key)
    }

    pub(super) fn client_key(&self, at: &ClientAt) -> PeerKey {
        let client = self.sim_of(at.client.key);
        (text(&at.topic), client.unwrap_or(usize::MAX))
    }

    /// What waits of all.
    pub(super) fn waiting_in_all(&self, at: usize) -> usize {
        let peers = self.sims[at].peers.values();
        self.waiting(at) + peers.map(PeerSim::waiting).sum::<usize>()
    }

    /// Whether a session hears each client apart that sends to the services of a topic.
    fn is_instance(&self, at: usize, about: &str) -> bool {
        let inner = format!("{about}/$in");
        let mut filters = self.sims[at].filters.iter();
        filters.any(|(filter, held)| held.by_peer && self.asks_for(at, filter, &inner))
    }

    /// Whether it hears the sender of a message apart: as an instance, and not as a client.
    pub(super) fn hears_apart(&self, at: usize, message: &Message) -> bool {
        match message.topic.strip_suffix("/$in") {
            Some(about) => self.is_instance(at, about),
            None => {
                let is_work = message.target == Target::Service && !message.topic.contains('$');
                is_work && self.is_instance(at, &message.topic)
            }
        }
    }

    /// Notes whose a message is, where this session hears clients apart; `false` where that client has gone.
    pub(super) fn find_client(&self, at: usize, message: &mut Message) -> bool {
        if !self.hears_apart(at, message) {
            message.client = None;
            return true;
        }
        let is_there = !matches!(self.sims[message.from].link, Link::Ended(_));
        if message.client.is_none() && is_there {
            message.client = Some(message.from);
        }
        message.client.is_some()
    }

    /// Puts a message into the queue of its client, or among all else.
    pub(super) fn push_to(&mut self, at: usize, message: Message) -> Pushed {
        let Some(client) = message.client else {
            return self.push(at, message);
        };
        let about = message.topic.strip_suffix("/$in").unwrap_or(&message.topic);
        let topic = about.to_owned();
        if let Link::Ended(_) = self.sims[at].link {
            return Pushed::Gone;
        }
        let is_away = !self.is_connected(at);
        if is_away && !(message.acked || message.kind == MsgKind::State) {
            return Pushed::Dropped;
        }
        let is_same = |one: &&mut Message| {
            message.key.is_some() && one.key == message.key && one.topic == message.topic
        };
        let key = (topic, client);
        let peer = self.sims[at].peers.get_mut(&key);
        let mut older = peer.into_iter().flat_map(|peer| &mut peer.lanes).flatten();
        let is_newer = older.any(|one| is_same(&one));
        let count = message.numbers.len();
        if !is_newer && self.waiting_in_all(at) + count > self.most(at) {
            return Pushed::Crowded;
        }
        let message = Message {
            is_new: false,
            ..message
        };
        let is_connected = self.is_connected(at);
        let peer = self.peer(at, &key.0, client);
        let mut all = peer.lanes.iter_mut().flatten();
        let is_same = |one: &&mut Message| {
            message.key.is_some() && one.key == message.key && one.topic == message.topic
        };
        match all.find(|one| is_same(one)) {
            Some(old) => *old = message,
            None => peer.lanes[message.lane()].push(message),
        }
        let is_congested = peer.waiting() > CLIENT_WAITING && is_connected;
        if let Link::Ended(_) = self.sims[client].link {
            self.client_gone(at, &key.0, client);
        }
        Pushed::Queued { is_congested }
    }

    /// What an instance is told of a client. The first one that is looks after it.
    fn introduction(&mut self, client: usize, topic: &str, at: usize, handed: bool) -> Told {
        let part = self.sims[client].parts.entry(topic.to_owned()).or_default();
        let carer = *part.get_or_insert(at);
        Told {
            looks_after: carer == at,
            is_handed_over: handed,
        }
    }

    /// The queue of a client, which the instance is introduced to if it does not know it.
    fn peer(&mut self, at: usize, topic: &str, client: usize) -> &mut PeerSim {
        let key = (topic.to_owned(), client);
        let known = self.sims[at].peers.get(&key).map(|peer| peer.is_gone);
        if known != Some(false) {
            let told = self.introduction(client, topic, at, false);
            if known.is_none() {
                self.next += 1;
            }
            let number = self.next;
            let peer = self.sims[at].peers.entry(key.clone());
            let peer = peer.or_insert_with(|| PeerSim {
                told: Vec::new(),
                is_told: false,
                lanes: Default::default(),
                is_gone: false,
                sent: 0,
                window: FIRST_WINDOW,
                number,
                passed: BTreeMap::new(),
            });
            peer.told.push(told);
            peer.is_gone = false;
        }
        self.sims[at].peers.get_mut(&key).expect("it is there")
    }

    fn knows(&self, at: usize, topic: &str, client: usize) -> bool {
        let peer = self.sims[at].peers.get(&(topic.to_owned(), client));
        peer.is_some_and(|peer| !peer.is_gone)
    }

    /// The instance looks after a client from here on.
    fn look_after(&mut self, at: usize, topic: &str, client: usize) {
        let is_known = self.knows(at, topic, client);
        self.peer(at, topic, client);
        if is_known {
            let told = self.introduction(client, topic, at, true);
            self.peer(at, topic, client).told.push(told);
        }
    }

    /// The instances of a topic, those that are connected first.
    fn instances(&self, topic: &str) -> Vec<usize> {
        let inner = format!("{topic}/$in");
        let all = 0..self.sims.len();
        let mut instances: Vec<_> = all
            .filter(|at| self.is_instance(*at, topic) && self.may_hear(*at, &inner))
            .collect();
        instances.sort_by_key(|at| !self.is_connected(*at));
        instances
    }

    /// Some instance looks after a client: one that knows it, or else by turn.
    fn find_carer(&mut self, topic: &str, client: usize) {
        let instances = self.instances(topic);
        let connected = instances
            .iter()
            .filter(|at| self.is_connected(**at))
            .count();
        let count = if connected == 0 {
            instances.len()
        } else {
            connected
        };
        let number = self.sims[client].handle.key().number();
        let turn = number.checked_rem(count as u64).unwrap_or(0) as usize;
        let knows = instances.iter().find(|at| self.knows(**at, topic, client));
        if let Some(at) = knows.or(instances.get(turn)).copied() {
            self.look_after(at, topic, client);
        }
    }

    /// An instance is told that a client has gone, after what waits of it.
    fn client_gone(&mut self, at: usize, topic: &str, client: usize) {
        let key = (topic.to_owned(), client);
        let Some(peer) = self.sims[at].peers.get_mut(&key).filter(|it| !it.is_gone) else {
            return;
        };
        if !peer.is_told && peer.waiting() == 0 {
            self.sims[at].peers.remove(&key);
            return;
        }
        peer.is_gone = true;
        peer.sent = 0;
        peer.passed.clear();
    }

    /// A client takes part in a topic no longer.
    pub(super) fn client_leaves(&mut self, client: usize, topic: &str) {
        if self.sims[client].parts.remove(topic).is_none() {
            return;
        }
        for at in self.instances(topic) {
            self.client_gone(at, topic, client);
        }
    }

    /// Others look after the clients of an instance that has gone.
    pub(super) fn hand_care(&mut self, instance: usize, known: impl Iterator<Item = PeerKey>) {
        for (topic, client) in known {
            if let Link::Ended(_) = self.sims[client].link {
                continue;
            }
            let part = self.sims[client].parts.get_mut(&topic);
            if part.is_some_and(|carer| carer.take_if(|it| *it == instance).is_some()) {
                self.find_carer(&topic, client);
            }
        }
    }

    /// A session has subscribed to typed traffic.
    pub(super) fn comes(&mut self, at: usize, filter: &str) {
        let Some(serves) = filter.strip_suffix("/$in") else {
            self.sims[at].parts.entry(filter.to_owned()).or_default();
            if self.sims[at].parts[filter].is_none() {
                self.find_carer(filter, at);
            }
            return;
        };
        for topic in TOPICS {
            if !super::super::rights::is_matched(serves, topic) {
                continue;
            }
            for client in 0..self.sims.len() {
                let sim = &self.sims[client];
                let is_client = sim.filters.get(topic).is_some_and(|held| held.by_peer);
                let carer = sim.parts.get(topic).copied().flatten();
                if is_client && carer.is_none() {
                    self.peer(at, topic, client);
                }
            }
        }
    }

    /// A session takes part in typed traffic no longer by this subscription, which it has no more. Returns what others can have.
    #[must_use = "others can have it"]
    pub(super) fn leaves(&mut self, at: usize, filter: &str) -> Vec<Message> {
        if !filter.ends_with("/$in") {
            self.client_leaves(at, filter);
            return Vec::new();
        }
        let known: Vec<_> = self.sims[at].peers.keys().cloned().collect();
        let known = known
            .into_iter()
            .filter(|key| !self.is_instance(at, &key.0));
        let known: Vec<_> = known.collect();
        let mut left = Vec::new();
        for key in &known {
            let peer = self.sims[at].peers.remove(key);
            left.extend(peer.into_iter().flat_map(|peer| peer.lanes).flatten());
        }
        left.retain(|one| one.target != Target::Everyone);
        self.hand_care(at, known.into_iter());
        left
    }

    /// A subscription is there no longer. Returns what others can have.
    #[must_use = "others can have it"]
    pub(super) fn give_up(&mut self, at: usize, filter: &str) -> Vec<Message> {
        match self.sims[at].filters.remove(filter) {
            Some(held) if held.by_peer => self.leaves(at, filter),
            _ => Vec::new(),
        }
    }

    /// A client takes part: it subscribes by peer, or sends to the services of a topic.
    pub(super) fn speak(&mut self, at: usize) -> Checked {
        let topic = format!("{}/$in", self.random.one_of(&TOPICS));
        let kind = *self.random.one_of(&[MsgKind::Command, MsgKind::Event]);
        (0..4).try_for_each(|_| self.publish_as(at, topic.clone(), kind))
    }

    /// An instance has finished with messages of a client.
    pub(super) fn credit(&mut self, at: usize) -> Checked {
        if !self.is_connected(at) || self.sims[at].peers.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = self.sims[at].peers.keys().cloned().collect();
        let key = self.random.one_of(&keys).clone();
        let messages = 1 + self.random.below(WINDOW);
        let client = self.sims[key.1].handle.clone();
        let instance = self.sims[at].handle.clone();
        let asked = match self.random.once_in(2) {
            true => Some(self.random.below(2 * WINDOW)),
            false => None,
        };
        if let Some(asked) = asked {
            instance.widen(key.0.as_bytes(), client.peer(), asked as u32);
        }
        instance.credit(key.0.as_bytes(), client.peer(), messages as u32);
        self.say(|| format!("{at} has finished with {messages} of {key:?}, asking for {asked:?}"));
        if let Some(peer) = self.sims[at].peers.get_mut(&key) {
            peer.window = match asked {
                Some(asked) => asked.clamp(FIRST_WINDOW, WINDOW),
                None => peer.window,
            };
            peer.sent = peer.sent.saturating_sub(messages);
        }
        Ok(())
    }
}
