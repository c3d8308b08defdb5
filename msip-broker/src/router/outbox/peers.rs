//! What waits for an instance of a typed service: each client apart.
//!
//! The clients of an instance take turns (deficit round robin), and each has a window of messages that the instance has not
//! finished with (`window`). What is beyond it waits here, and holds up nobody but this client.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    task::Waker,
    time::Duration,
};

use bytes::Bytes;

use super::{OutboxItem, queue::Queue, window::Window};
use crate::router::{
    Presence, SessionKey, WakeList,
    client::{Client, ClientAt},
    fault_injection::FaultInjection,
    open_calls::ClientCalls,
    peer_sizes::PeerSizes,
};

/// How many clients an instance is introduced to by what they send, before it has taken note of those that came before.
const MAX_UNTOLD: usize = 16 * 1024;

/// The queues of an instance's clients.
#[derive(Debug, Default)]
pub(super) struct PeerQueues {
    topics: HashMap<Bytes, HashMap<Arc<str>, PeerQueue>>,
    /// Those that have something that may be sent, the next one first.
    ready: VecDeque<Key>,
    /// Those that wait for one of their calls to end.
    awaiting_calls: Vec<Key>,
    /// How many queues there are, and of how many the instance has not been told whose they are.
    len: usize,
    untold: usize,
    bytes: usize,
    count: usize,
    /// How many messages were dropped.
    pub(super) dropped: u64,
}

type Key = (Bytes, Arc<str>);

/// What waits of a client.
#[derive(Debug)]
struct PeerQueue {
    client: Arc<Client>,
    /// What the instance is told of it, before anything else of it.
    first: VecDeque<Arc<Presence>>,
    queue: Queue,
    /// What it is told at last: that the client has gone.
    last: Option<Arc<Presence>>,
    /// What the instance has not finished with.
    sent: Window,
    calls: Arc<ClientCalls>,
    deficit: i64,
    /// Whether the instance has taken the introduction.
    is_told: bool,
    is_ready: bool,
    awaits_call: bool,
    pushed_back: Vec<Waker>,
}

/// What may be sent of a queue.
enum Next {
    Nothing,
    /// So many messages, or a call, or something else.
    Some(u32),
    AwaitsCredit,
    AwaitsCall,
}

impl PeerQueue {
    fn next(&self) -> Next {
        match self.queue.peek() {
            None => Next::Nothing,
            Some(OutboxItem::Exchange(_)) if self.calls.is_full() => Next::AwaitsCall,
            Some(OutboxItem::Publication(delivery)) => {
                match self.sent.affordable(&delivery.publication) {
                    0 => Next::AwaitsCredit,
                    count => Next::Some(count),
                }
            }
            Some(_) => Next::Some(1),
        }
    }

    /// It is sent: it counts until the instance has finished with it.
    fn count_sent(&mut self, item: &mut OutboxItem) {
        match item {
            OutboxItem::Publication(delivery) => self.sent.push(&delivery.publication),
            OutboxItem::Exchange(assigned) => assigned.open.of_client(&self.calls),
            OutboxItem::Presence(_)
            | OutboxItem::TopicSpoken(_)
            | OutboxItem::SubscriptionEnded(..) => {}
        }
    }

    fn has_something(&self) -> bool {
        !self.first.is_empty() || self.queue.count() > 0 || self.last.is_some()
    }
}

impl PeerQueues {
    /// How many messages wait.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// How many bytes they keep.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there is a place for what this client sends.
    pub(super) fn has_place_for(&self, of: &ClientAt) -> bool {
        let peers = self.topics.get(&of.topic);
        self.untold < MAX_UNTOLD || peers.is_some_and(|peers| peers.contains_key(of.peer()))
    }

    /// Whether the instance was introduced to a client, which has not gone.
    pub(super) fn knows(&self, topic: &[u8], peer: &str) -> bool {
        let queue = self.topics.get(topic).and_then(|peers| peers.get(peer));
        queue.is_some_and(|queue| queue.last.is_none())
    }

    /// The clients that it was introduced to.
    pub(super) fn clients(&self) -> Vec<ClientAt> {
        let all = self.topics.iter().flat_map(|(topic, peers)| {
            peers.values().map(|queue| ClientAt {
                topic: topic.clone(),
                client: queue.client.clone(),
            })
        });
        let mut all: Vec<_> = all.collect();
        all.sort_unstable_by(|one, other| {
            let key = |at: &ClientAt| at.client.key;
            (&one.topic, key(one)).cmp(&(&other.topic, key(other)))
        });
        all
    }

    /// The queue of a client, which the instance is introduced to if it has not been.
    fn queue(&mut self, of: &ClientAt, instance: SessionKey) -> &mut PeerQueue {
        let peers = self.topics.entry(of.topic.clone()).or_default();
        let queue = peers.entry(of.client.peer.clone()).or_insert_with(|| {
            let introduction = of.client.introduction(&of.topic, instance, false);
            let first = match FaultInjection::NoIntroduction.is_on() {
                true => VecDeque::new(),
                false => VecDeque::from([Arc::new(introduction)]),
            };
            self.len += 1;
            self.untold += 1;
            PeerQueue {
                client: of.client.clone(),
                first,
                queue: Queue::default(),
                last: None,
                sent: Window::default(),
                calls: Arc::default(),
                deficit: 0,
                is_told: false,
                is_ready: false,
                awaits_call: false,
                pushed_back: Vec::new(),
            }
        });
        // It has come again before the instance was told that it had gone.
        if queue.last.take().is_some() && !FaultInjection::ForgetReturned.is_on() {
            let introduction = of.client.introduction(&of.topic, instance, false);
            queue.first.push_back(Arc::new(introduction));
        }
        queue
    }

    /// Introduces the instance to a client, if it does not know it.
    pub(super) fn introduce(&mut self, of: &ClientAt, instance: SessionKey) {
        self.queue(of, instance);
        self.make_ready(&of.topic, &of.client.peer);
    }

    /// The instance looks after a client from here on.
    pub(super) fn look_after(&mut self, of: &ClientAt, instance: SessionKey) {
        let is_known = self.knows(&of.topic, &of.client.peer);
        let queue = self.queue(of, instance);
        if is_known {
            let told = of.client.introduction(&of.topic, instance, true);
            queue.first.push_back(Arc::new(told));
        }
        self.make_ready(&of.topic, &of.client.peer);
    }

    /// A client has gone: the instance is told so after what waits of it. `false` if it does not know it.
    pub(super) fn client_gone(
        &mut self,
        topic: &Bytes,
        client: &Client,
        wakes: &mut WakeList,
    ) -> bool {
        let peers = self.topics.get_mut(topic);
        let Some(queue) = peers.and_then(|peers| peers.get_mut(&client.peer)) else {
            return false;
        };
        if !queue.is_told && queue.queue.count() == 0 {
            // Clients that come and go faster than the instance hears of them leave nothing here.
            self.remove(topic, &client.peer, wakes);
            if self.ready.len() > 2 * self.len + 64 {
                let topics = &self.topics;
                self.ready.retain(|(topic, peer)| {
                    topics.get(topic).is_some_and(|it| it.contains_key(peer))
                });
            }
            return true;
        }
        if FaultInjection::ForgetGone.is_on() {
            return true;
        }
        queue.last = Some(Arc::new(client.presence(topic, false)));
        // Nobody gives credit for one that has gone.
        queue.sent.clear();
        self.make_ready(topic, &client.peer);
        true
    }

    /// Whether an older STATE waits, in the place of which this one comes.
    pub(super) fn has_older_state(&self, of: &ClientAt, item: &OutboxItem) -> bool {
        let peers = self.topics.get(&of.topic);
        let queue = peers.and_then(|peers| peers.get(of.peer()));
        queue.is_some_and(|queue| queue.queue.has_older_state(item))
    }

    /// Adds an item. Returns whether its client should wait.
    pub(super) fn push(
        &mut self,
        of: &ClientAt,
        instance: SessionKey,
        item: OutboxItem,
        max_bytes: usize,
    ) -> bool {
        let queue = self.queue(of, instance);
        let (bytes, count) = (queue.queue.bytes(), queue.queue.count());
        if let Err(item) = queue.queue.replace_state(item) {
            queue.queue.append(item);
        }
        let added = (queue.queue.bytes(), queue.queue.count());
        self.bytes = self.bytes - bytes + added.0;
        self.count = self.count - count + added.1;
        self.make_ready(&of.topic, &of.client.peer);
        self.is_long(added, max_bytes)
    }

    /// Whether so much is more than the share of one client: what is left, and no more than a limit.
    fn is_long(&self, (bytes, count): (usize, usize), max_bytes: usize) -> bool {
        let sizes = PeerSizes::current();
        let share = (max_bytes / 2).saturating_sub(self.bytes);
        bytes > share.min(sizes.max_waiting) || count > sizes.max_waiting_messages
    }

    /// Wakes `waker` when what waits of a client is short; `false` if it is already.
    pub(super) fn wait_until_short(
        &mut self,
        topic: &[u8],
        peer: &str,
        max_bytes: usize,
        waker: &Waker,
    ) -> bool {
        let queue = self.topics.get(topic).and_then(|peers| peers.get(peer));
        let waiting = queue.map(|queue| (queue.queue.bytes(), queue.queue.count()));
        if !waiting.is_some_and(|waiting| self.is_long(waiting, max_bytes)) {
            return false;
        }
        let queue = self.topics.get_mut(topic).and_then(|it| it.get_mut(peer));
        if let Some(queue) = queue
            && !queue.pushed_back.iter().any(|one| one.will_wake(waker))
        {
            queue.pushed_back.push(waker.clone());
        }
        true
    }

    /// The instance has finished with messages of a client. Returns whether there may be more to send.
    pub(super) fn credit(&mut self, topic: &[u8], peer: &str, messages: u32) -> bool {
        let found = self.topics.get_key_value(topic);
        let Some((topic, peers)) = found.map(|(topic, _)| topic.clone()).and_then(|topic| {
            let peers = self.topics.get_mut(&topic)?;
            Some((topic, peers))
        }) else {
            return false;
        };
        let Some(queue) = peers.get_mut(peer) else {
            return false;
        };
        if !FaultInjection::IgnoreCredit.is_on() {
            queue.sent.finished(messages as usize);
        }
        let name = queue.client.peer.clone();
        self.make_ready(&topic, &name);
        true
    }

    fn make_ready(&mut self, topic: &Bytes, peer: &Arc<str>) {
        let peers = self.topics.get_mut(topic);
        if let Some(queue) = peers.and_then(|peers| peers.get_mut(peer))
            && !queue.is_ready
            && queue.has_something()
        {
            queue.is_ready = true;
            self.ready.push_back((topic.clone(), peer.clone()));
        }
    }

    /// The next item, and its bytes. Publishers that need not wait any more are added to `wakes`.
    pub(super) fn pop(
        &mut self,
        now: Duration,
        max_bytes: usize,
        wakes: &mut WakeList,
    ) -> Option<(OutboxItem, usize)> {
        loop {
            let (topic, peer) = self.ready.front()?.clone();
            let peers = self.topics.get_mut(&topic);
            let Some(queue) = peers.and_then(|peers| peers.get_mut(&peer)) else {
                self.ready.pop_front();
                continue;
            };
            if let Some(presence) = queue.first.pop_front() {
                if !std::mem::replace(&mut queue.is_told, true) {
                    self.untold -= 1;
                }
                return Some((OutboxItem::Presence(presence), 0));
            }
            let waiting = (queue.queue.bytes(), queue.queue.count());
            queue.queue.pass_over_expired(now);
            // At once, since a client that has gone may leave nothing but what has expired.
            let before = (queue.queue.bytes(), queue.queue.count());
            self.bytes -= waiting.0 - before.0;
            self.count -= waiting.1 - before.1;
            let popped = match queue.next() {
                Next::Some(_) if queue.deficit <= 0 => {
                    queue.deficit += PeerSizes::current().quantum;
                    if !FaultInjection::NoTurns.is_on() {
                        self.ready.rotate_left(1);
                    }
                    None
                }
                Next::Some(count) => queue.queue.pop_up_to(count).map(|(mut item, bytes)| {
                    queue.deficit -= i64::try_from(bytes.saturating_add(64)).unwrap_or(i64::MAX);
                    queue.count_sent(&mut item);
                    (item, bytes)
                }),
                next => {
                    queue.is_ready = false;
                    queue.deficit = 0;
                    self.ready.pop_front();
                    match (next, queue.last.take()) {
                        (Next::Nothing, Some(presence)) => {
                            self.remove(&topic, &peer, wakes);
                            return Some((OutboxItem::Presence(presence), 0));
                        }
                        (Next::AwaitsCall, last) => {
                            queue.last = last;
                            if !std::mem::replace(&mut queue.awaits_call, true) {
                                self.awaiting_calls.push((topic.clone(), peer.clone()));
                            }
                        }
                        (_, last) => queue.last = last,
                    }
                    None
                }
            };
            let after = (queue.queue.bytes(), queue.queue.count());
            self.bytes = self.bytes - before.0 + after.0;
            self.count = self.count - before.1 + after.1;
            if !queue.pushed_back.is_empty() {
                let woken = std::mem::take(&mut queue.pushed_back);
                match self.is_long(after, max_bytes) {
                    false => woken.into_iter().for_each(|waker| wakes.push(Some(waker))),
                    true => {
                        let peers = self.topics.get_mut(&topic);
                        if let Some(queue) = peers.and_then(|peers| peers.get_mut(&peer)) {
                            queue.pushed_back = woken;
                        }
                    }
                }
            }
            if popped.is_some() {
                return popped;
            }
        }
    }

    fn remove(&mut self, topic: &Bytes, peer: &Arc<str>, wakes: &mut WakeList) {
        let Some(peers) = self.topics.get_mut(topic) else {
            return;
        };
        if let Some(queue) = peers.remove(peer) {
            self.len -= 1;
            self.untold -= usize::from(!queue.is_told);
            self.bytes -= queue.queue.bytes();
            self.count -= queue.queue.count();
            self.dropped = self.dropped.saturating_add(queue.queue.dropped);
            for waker in queue.pushed_back {
                wakes.push(Some(waker));
            }
        }
        if peers.is_empty() {
            self.topics.remove(topic);
        }
    }

    /// Nothing may be sent now: those that wait for a call of theirs to end wake `waker`. Returns whether one has ended.
    pub(super) fn park(&mut self, waker: &Waker) -> bool {
        for (topic, peer) in &self.awaiting_calls {
            let queue = self.topics.get(topic).and_then(|peers| peers.get(peer));
            if let Some(queue) = queue {
                queue.calls.wake_when_one_ends(waker);
            }
        }
        self.look_at_calls()
    }

    /// Those whose calls have ended go on. Returns whether there are any.
    pub(super) fn look_at_calls(&mut self) -> bool {
        let mut any = false;
        for (topic, peer) in std::mem::take(&mut self.awaiting_calls) {
            let queue = self.topics.get_mut(&topic);
            match queue.and_then(|it| it.get_mut(&peer)) {
                Some(queue) if queue.calls.is_full() => {
                    self.awaiting_calls.push((topic, peer));
                }
                Some(queue) => {
                    any = true;
                    queue.awaits_call = false;
                    self.make_ready(&topic, &peer);
                }
                None => {}
            }
        }
        any
    }

    /// Takes out what is not to stay.
    pub(super) fn take_out(
        &mut self,
        mut stays: impl FnMut(&OutboxItem) -> bool,
    ) -> Vec<OutboxItem> {
        let mut out = Vec::new();
        let (mut bytes, mut count) = (0, 0);
        let all = self.topics.iter_mut().flat_map(|(topic, peers)| {
            let queues = peers.values_mut();
            queues.map(|queue| ((topic.clone(), queue.client.key), queue))
        });
        let mut all: Vec<_> = all.collect();
        // The order of a table is another one in each run.
        all.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for (_, queue) in all {
            out.extend(queue.queue.take_out(&mut stays));
            bytes += queue.queue.bytes();
            count += queue.queue.count();
        }
        (self.bytes, self.count) = (bytes, count);
        out
    }

    /// The connection is lost: with the next one the windows are full.
    pub(super) fn suspend(&mut self, wakes: &mut WakeList) {
        let mut keys = Vec::new();
        for (topic, peers) in &mut self.topics {
            for (peer, queue) in peers {
                queue.sent.clear();
                keys.push((topic.clone(), peer.clone()));
                queue
                    .pushed_back
                    .drain(..)
                    .for_each(|waker| wakes.push(Some(waker)));
            }
        }
        keys.sort_unstable();
        for (topic, peer) in keys {
            self.make_ready(&topic, &peer);
        }
    }

    /// The instance serves these topics no longer. Returns what waited, and the clients that it knew there.
    pub(super) fn leave(
        &mut self,
        mut is_left: impl FnMut(&[u8]) -> bool,
        wakes: &mut WakeList,
    ) -> (Vec<OutboxItem>, Vec<ClientAt>) {
        let mut clients = self.clients();
        clients.retain(|one| is_left(&one.topic));
        let mut left = Vec::new();
        for one in &clients {
            let peers = self.topics.get_mut(&one.topic);
            if let Some(queue) = peers.and_then(|peers| peers.get_mut(&one.client.peer)) {
                let (bytes, count) = (queue.queue.bytes(), queue.queue.count());
                left.extend(queue.queue.take_out(|_| false));
                self.bytes -= bytes;
                self.count -= count;
            }
            self.remove(&one.topic, &one.client.peer, wakes);
        }
        (left, clients)
    }

    /// What waits of each client, and how many messages the instance has not finished with.
    #[cfg(test)]
    pub(in crate::router) fn shown(&self) -> Vec<ShownPeer<'_>> {
        let all = self.topics.iter().flat_map(|(topic, peers)| {
            peers.values().map(|queue| ShownPeer {
                topic: topic.clone(),
                client: queue.client.key,
                first: queue.first.iter().map(|it| &**it).collect(),
                lanes: queue.queue.lanes(),
                is_gone: queue.last.is_some(),
                sent: queue.sent.messages(),
            })
        });
        all.collect()
    }
}

/// What waits of a client at an instance.
#[cfg(test)]
pub(in crate::router) struct ShownPeer<'a> {
    pub(in crate::router) topic: Bytes,
    pub(in crate::router) client: SessionKey,
    pub(in crate::router) first: Vec<&'a Presence>,
    pub(in crate::router) lanes: [Vec<&'a OutboxItem>; 3],
    pub(in crate::router) is_gone: bool,
    pub(in crate::router) sent: usize,
}
