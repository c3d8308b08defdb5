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

use super::{
    OutboxItem,
    queue::Queue,
    window::{Window, WindowSize},
};
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
    /// What clients had while something of them waited, for the next ones.
    #[expect(clippy::vec_box, reason = "they go to a client and back as they are")]
    spare: Vec<Box<Waiting>>,
}

type Key = (Bytes, Arc<str>);

/// What waits of a client. Small while the client is silent: an instance has many.
#[derive(Debug)]
struct PeerQueue {
    client: Arc<Client>,
    /// What the instance is told of it, before anything else of it.
    first: VecDeque<Arc<Presence>>,
    /// There while something waits.
    waiting: Option<Box<Waiting>>,
    /// What it is told at last: that the client has gone.
    last: Option<Arc<Presence>>,
    /// What the instance has not finished with. There while that is something.
    sent: Option<Box<Window>>,
    window: WindowSize,
    /// There while calls are open.
    calls: Option<Arc<ClientCalls>>,
    /// Whether the instance has taken the introduction.
    is_told: bool,
    is_ready: bool,
    awaits_call: bool,
}

/// What a client has while something of it waits.
#[derive(Debug, Default)]
struct Waiting {
    queue: Queue,
    deficit: i64,
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
        let first = self.waiting.as_ref();
        match first.and_then(|waiting| waiting.queue.peek()) {
            None => Next::Nothing,
            Some(OutboxItem::Exchange(_)) if self.has_too_many_calls() => Next::AwaitsCall,
            Some(OutboxItem::Publication(delivery)) => {
                match Window::affordable(self.sent.as_deref(), self.window, &delivery.publication) {
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
            OutboxItem::Publication(delivery) => {
                let sent = self.sent.get_or_insert_default();
                sent.push(&delivery.publication);
            }
            OutboxItem::Exchange(assigned) => {
                assigned.open.of_client(self.calls.get_or_insert_default());
            }
            OutboxItem::Presence(_)
            | OutboxItem::TopicSpoken(_)
            | OutboxItem::SubscriptionEnded(..) => {}
        }
    }

    fn has_something(&self) -> bool {
        !self.first.is_empty() || self.size().1 > 0 || self.last.is_some()
    }

    /// How many bytes wait, and how many messages.
    fn size(&self) -> (usize, usize) {
        let waiting = self.waiting.as_ref();
        waiting.map_or((0, 0), |waiting| {
            (waiting.queue.bytes(), waiting.queue.count())
        })
    }

    fn has_too_many_calls(&self) -> bool {
        self.calls.as_ref().is_some_and(|calls| calls.is_full())
    }

    /// What waited is to be taken out, as far as it is not to stay.
    fn take_out(&mut self, stays: impl FnMut(&OutboxItem) -> bool) -> Vec<OutboxItem> {
        let waiting = self.waiting.as_mut();
        waiting.map_or_else(Vec::new, |waiting| waiting.queue.take_out(stays))
    }

    /// Nobody waits until less does.
    fn release(&mut self, wakes: &mut WakeList) {
        if let Some(waiting) = &mut self.waiting {
            let pushed_back = std::mem::take(&mut waiting.pushed_back);
            for waker in pushed_back {
                wakes.push(Some(waker));
            }
        }
    }

    /// Holds no memory that it does not need. Returns what is to be kept for others.
    fn rest(&mut self) -> Option<Box<Waiting>> {
        if self.first.is_empty() {
            self.first = VecDeque::new();
        }
        // That of the calls, too, if there are any.
        if self
            .calls
            .as_ref()
            .is_some_and(|calls| Arc::strong_count(calls) == 1)
        {
            self.calls = None;
        }
        let is_silent = |waiting: &mut Box<Waiting>| {
            waiting.queue.count() == 0 && waiting.pushed_back.is_empty()
        };
        self.waiting.take_if(is_silent)
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
        let is_known = || {
            let peers = self.topics.get(&of.topic);
            peers.is_some_and(|peers| peers.contains_key(of.peer()))
        };
        self.untold < MAX_UNTOLD || is_known()
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
                waiting: None,
                last: None,
                sent: None,
                window: WindowSize::default(),
                calls: None,
                is_told: false,
                is_ready: false,
                awaits_call: false,
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
        if !queue.is_told && queue.size().1 == 0 {
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
        queue.sent = None;
        self.make_ready(topic, &client.peer);
        true
    }

    /// Whether an older STATE waits, in the place of which this one comes.
    pub(super) fn has_older_state(&self, of: &ClientAt, item: &OutboxItem) -> bool {
        if !item.is_state() {
            return false;
        }
        let peers = self.topics.get(&of.topic);
        let queue = peers.and_then(|peers| peers.get(of.peer()));
        let waiting = queue.and_then(|queue| queue.waiting.as_ref());
        waiting.is_some_and(|waiting| waiting.queue.has_older_state(item))
    }

    /// Adds an item. Returns whether its client should wait.
    pub(super) fn push(
        &mut self,
        of: &ClientAt,
        instance: SessionKey,
        item: OutboxItem,
        max_bytes: usize,
    ) -> bool {
        let spare = self.spare.pop();
        let queue = self.queue(of, instance);
        let (bytes, count) = queue.size();
        let unused = match &queue.waiting {
            Some(_) => spare,
            None => {
                queue.waiting = Some(spare.unwrap_or_default());
                None
            }
        };
        if let Some(waiting) = &mut queue.waiting
            && let Err(item) = waiting.queue.replace_state(item)
        {
            waiting.queue.append(item);
        }
        let added = queue.size();
        let was_ready = std::mem::replace(&mut queue.is_ready, true);
        self.spare.extend(unused);
        self.bytes = self.bytes - bytes + added.0;
        self.count = self.count - count + added.1;
        if !was_ready {
            self.ready
                .push_back((of.topic.clone(), of.client.peer.clone()));
        }
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
        let waiting = queue.map(PeerQueue::size);
        if !waiting.is_some_and(|waiting| self.is_long(waiting, max_bytes)) {
            return false;
        }
        let queue = self.topics.get_mut(topic).and_then(|it| it.get_mut(peer));
        if let Some(waiting) = queue.and_then(|queue| queue.waiting.as_mut())
            && !waiting.pushed_back.iter().any(|one| one.will_wake(waker))
        {
            waiting.pushed_back.push(waker.clone());
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
        if let Some(sent) = &mut queue.sent
            && !FaultInjection::IgnoreCredit.is_on()
        {
            sent.finished(messages as usize);
            queue.sent.take_if(|sent| sent.is_empty());
        }
        let name = queue.client.peer.clone();
        self.make_ready(&topic, &name);
        true
    }

    /// The instance is to be sent so many messages of a client ahead.
    pub(super) fn widen(&mut self, topic: &[u8], peer: &str, messages: u32) {
        let peers = self.topics.get_mut(topic);
        if let Some(queue) = peers.and_then(|peers| peers.get_mut(peer)) {
            queue.window = WindowSize::asked(messages);
        }
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
            let waiting = queue.size();
            if let Some(waiting) = &mut queue.waiting {
                waiting.queue.pass_over_expired(now);
            }
            // At once, since a client that has gone may leave nothing but what has expired.
            let before = queue.size();
            self.bytes -= waiting.0 - before.0;
            self.count -= waiting.1 - before.1;
            let popped = match (queue.next(), &mut queue.waiting) {
                (Next::Some(_), Some(waiting)) if waiting.deficit <= 0 => {
                    waiting.deficit += PeerSizes::current().quantum;
                    if !FaultInjection::NoTurns.is_on() {
                        self.ready.rotate_left(1);
                    }
                    None
                }
                (Next::Some(count), Some(waiting)) => {
                    let mut popped = waiting.queue.pop_up_to(count);
                    if let Some((item, bytes)) = &mut popped {
                        let bytes = bytes.saturating_add(64);
                        waiting.deficit -= i64::try_from(bytes).unwrap_or(i64::MAX);
                        queue.count_sent(item);
                    }
                    popped
                }
                (next, waiting) => {
                    queue.is_ready = false;
                    if let Some(waiting) = waiting {
                        waiting.deficit = 0;
                    }
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
            let after = queue.size();
            self.bytes = self.bytes - before.0 + after.0;
            self.count = self.count - before.1 + after.1;
            let is_waited_for = queue
                .waiting
                .as_ref()
                .is_some_and(|waiting| !waiting.pushed_back.is_empty());
            if is_waited_for && !self.is_long(after, max_bytes) {
                let peers = self.topics.get_mut(&topic);
                if let Some(queue) = peers.and_then(|peers| peers.get_mut(&peer)) {
                    queue.release(wakes);
                }
            }
            if popped.is_none() {
                self.rest(&topic, &peer);
            }
            if popped.is_some() {
                return popped;
            }
        }
    }

    /// A client is silent: it holds no memory that it does not need.
    fn rest(&mut self, topic: &Bytes, peer: &Arc<str>) {
        /// So many are kept.
        const FEW: usize = 64;
        let peers = self.topics.get_mut(topic);
        let Some(mut left) = peers.and_then(|it| it.get_mut(peer)?.rest()) else {
            return;
        };
        self.dropped = self.dropped.saturating_add(left.queue.dropped);
        left.queue.dropped = 0;
        left.deficit = 0;
        left.queue.shrink();
        if self.spare.len() < FEW {
            self.spare.push(left);
        }
    }

    fn remove(&mut self, topic: &Bytes, peer: &Arc<str>, wakes: &mut WakeList) {
        let Some(peers) = self.topics.get_mut(topic) else {
            return;
        };
        if let Some(mut queue) = peers.remove(peer) {
            let (bytes, count) = queue.size();
            self.len -= 1;
            self.untold -= usize::from(!queue.is_told);
            self.bytes -= bytes;
            self.count -= count;
            queue.release(wakes);
            if let Some(waiting) = queue.waiting {
                self.dropped = self.dropped.saturating_add(waiting.queue.dropped);
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
            if let Some(calls) = queue.and_then(|queue| queue.calls.as_ref()) {
                calls.wake_when_one_ends(waker);
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
                Some(queue) if queue.has_too_many_calls() => {
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
            out.extend(queue.take_out(&mut stays));
            bytes += queue.size().0;
            count += queue.size().1;
        }
        (self.bytes, self.count) = (bytes, count);
        out
    }

    /// The connection is lost: with the next one the windows are full, and as large as at first.
    pub(super) fn suspend(&mut self, wakes: &mut WakeList) {
        let mut keys = Vec::new();
        for (topic, peers) in &mut self.topics {
            for (peer, queue) in peers {
                queue.sent = None;
                queue.window = WindowSize::default();
                keys.push((topic.clone(), peer.clone()));
                queue.release(wakes);
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
                let (bytes, count) = queue.size();
                left.extend(queue.take_out(|_| false));
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
                lanes: queue.waiting.as_ref().map_or_else(
                    || [Vec::new(), Vec::new(), Vec::new()],
                    |waiting| waiting.queue.lanes(),
                ),
                is_gone: queue.last.is_some(),
                sent: queue.sent.as_ref().map_or(0, |sent| sent.messages()),
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
