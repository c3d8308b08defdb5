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
use slab::Slab;

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
    queues: Slab<PeerQueue>,
    /// Their slots, by topic and client.
    topics: HashMap<Bytes, HashMap<Arc<str>, usize>>,
    /// Where something was added last: the next is likely of the same client, and is found without its name.
    last: usize,
    /// Those that have something that may be sent, the next one first.
    ready: VecDeque<QueueId>,
    /// Those that wait for one of their calls to end.
    awaiting_calls: Vec<QueueId>,
    /// The number of the next queue.
    next_number: u64,
    /// Of how many queues the instance has not been told whose they are.
    untold: usize,
    bytes: usize,
    count: usize,
    /// How many messages were dropped.
    pub(super) dropped: u64,
    /// What clients had while something of them waited, for the next ones.
    #[expect(clippy::vec_box, reason = "they go to a client and back as they are")]
    spare: Vec<Box<Waiting>>,
}

/// Which queue: its slot may be that of another one later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct QueueId {
    slot: usize,
    number: u64,
}

/// What waits of a client. Small while the client is silent: an instance has many.
#[derive(Debug)]
struct PeerQueue {
    number: u64,
    topic: Bytes,
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

    /// Whether there is a place for what a client sends.
    pub(super) fn has_place_for(&self, item: &OutboxItem) -> bool {
        let is_known = |of: &ClientAt| self.slot_of(of).is_some();
        self.untold < MAX_UNTOLD || item.client().is_some_and(is_known)
    }

    /// Whether the instance was introduced to a client, which has not gone.
    pub(super) fn knows(&self, topic: &[u8], peer: &str) -> bool {
        let queue = self
            .find(topic, peer)
            .and_then(|slot| self.queues.get(slot));
        queue.is_some_and(|queue| queue.last.is_none())
    }

    /// The clients that it was introduced to.
    pub(super) fn clients(&self) -> Vec<ClientAt> {
        let all = self.queues.iter().map(|(_, queue)| ClientAt {
            topic: queue.topic.clone(),
            client: queue.client.clone(),
        });
        let mut all: Vec<_> = all.collect();
        all.sort_unstable_by(|one, other| {
            let key = |at: &ClientAt| at.client.key;
            (&one.topic, key(one)).cmp(&(&other.topic, key(other)))
        });
        all
    }

    /// The slot of a client's queue.
    fn find(&self, topic: &[u8], peer: &str) -> Option<usize> {
        self.topics.get(topic)?.get(peer).copied()
    }

    fn slot_of(&self, of: &ClientAt) -> Option<usize> {
        let last = self.queues.get(self.last);
        let is_last = last
            .is_some_and(|last| Arc::ptr_eq(&last.client, &of.client) && last.topic == of.topic);
        match is_last {
            true => Some(self.last),
            false => self.find(&of.topic, of.peer()),
        }
    }

    /// The queue of this number, if it is there still.
    fn get(&self, id: QueueId) -> Option<&PeerQueue> {
        let queue = self.queues.get(id.slot);
        queue.filter(|queue| queue.number == id.number)
    }

    fn get_mut(&mut self, id: QueueId) -> Option<&mut PeerQueue> {
        let queue = self.queues.get_mut(id.slot);
        queue.filter(|queue| queue.number == id.number)
    }

    /// The slot of a client's queue. The instance is introduced to the client, if it has not been.
    fn slot(&mut self, of: &ClientAt, instance: SessionKey) -> usize {
        let slot = match self.slot_of(of) {
            Some(slot) => slot,
            None => self.insert(of, instance),
        };
        self.last = slot;
        // It has come again before the instance was told that it had gone.
        if let Some(queue) = self.queues.get_mut(slot)
            && queue.last.take().is_some()
            && !FaultInjection::ForgetReturned.is_on()
        {
            let introduction = of.client.introduction(&of.topic, instance, false);
            queue.first.push_back(Arc::new(introduction));
        }
        slot
    }

    fn insert(&mut self, of: &ClientAt, instance: SessionKey) -> usize {
        let introduction = of.client.introduction(&of.topic, instance, false);
        let first = match FaultInjection::NoIntroduction.is_on() {
            true => VecDeque::new(),
            false => VecDeque::from([Arc::new(introduction)]),
        };
        self.next_number += 1;
        self.untold += 1;
        let slot = self.queues.insert(PeerQueue {
            number: self.next_number,
            topic: of.topic.clone(),
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
        });
        let peers = self.topics.entry(of.topic.clone()).or_default();
        peers.insert(of.client.peer.clone(), slot);
        slot
    }

    /// Introduces the instance to a client, if it does not know it.
    pub(super) fn introduce(&mut self, of: &ClientAt, instance: SessionKey) {
        let slot = self.slot(of, instance);
        self.make_ready(slot);
    }

    /// The instance looks after a client from here on.
    pub(super) fn look_after(&mut self, of: &ClientAt, instance: SessionKey) {
        let is_known = self.knows(&of.topic, &of.client.peer);
        let slot = self.slot(of, instance);
        if is_known && let Some(queue) = self.queues.get_mut(slot) {
            let told = of.client.introduction(&of.topic, instance, true);
            queue.first.push_back(Arc::new(told));
        }
        self.make_ready(slot);
    }

    /// A client has gone: the instance is told so after what waits of it. `false` if it does not know it.
    pub(super) fn client_gone(
        &mut self,
        topic: &Bytes,
        client: &Client,
        wakes: &mut WakeList,
    ) -> bool {
        let Some(slot) = self.find(topic, &client.peer) else {
            return false;
        };
        let Some(queue) = self.queues.get_mut(slot) else {
            return false;
        };
        if !queue.is_told && queue.size().1 == 0 {
            // Clients that come and go faster than the instance hears of them leave nothing here.
            self.remove(slot, wakes);
            if self.ready.len() > 2 * self.queues.len() + 64 {
                let queues = &self.queues;
                self.ready.retain(|id| {
                    let queue = queues.get(id.slot);
                    queue.is_some_and(|queue| queue.number == id.number)
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
        self.make_ready(slot);
        true
    }

    /// Whether an older STATE waits, in the place of which this one comes.
    pub(super) fn has_older_state(&self, item: &OutboxItem) -> bool {
        if !item.is_state() {
            return false;
        }
        let slot = item.client().and_then(|of| self.slot_of(of));
        let queue = slot.and_then(|slot| self.queues.get(slot));
        let waiting = queue.and_then(|queue| queue.waiting.as_ref());
        waiting.is_some_and(|waiting| waiting.queue.has_older_state(item))
    }

    /// Adds an item of a client. Returns whether that should wait.
    pub(super) fn push(
        &mut self,
        instance: SessionKey,
        item: OutboxItem,
        max_bytes: usize,
    ) -> bool {
        let Some(of) = item.client() else {
            return false;
        };
        let slot = self.slot(of, instance);
        let Some(queue) = self.queues.get_mut(slot) else {
            return false;
        };
        let (bytes, count) = queue.size();
        let spare = &mut self.spare;
        let waiting = queue
            .waiting
            .get_or_insert_with(|| spare.pop().unwrap_or_default());
        if let Err(item) = waiting.queue.replace_state(item) {
            waiting.queue.append(item);
        }
        let added = queue.size();
        self.bytes = self.bytes - bytes + added.0;
        self.count = self.count - count + added.1;
        if !std::mem::replace(&mut queue.is_ready, true) {
            let number = queue.number;
            self.ready.push_back(QueueId { slot, number });
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
        let Some(slot) = self.find(topic, peer) else {
            return false;
        };
        let waiting = self.queues.get(slot).map(PeerQueue::size);
        if !waiting.is_some_and(|waiting| self.is_long(waiting, max_bytes)) {
            return false;
        }
        if let Some(waiting) = self.queues.get_mut(slot).and_then(|it| it.waiting.as_mut())
            && !waiting.pushed_back.iter().any(|one| one.will_wake(waker))
        {
            waiting.pushed_back.push(waker.clone());
        }
        true
    }

    /// The instance has finished with messages of a client. Returns whether there may be more to send.
    pub(super) fn credit(&mut self, topic: &[u8], peer: &str, messages: u32) -> bool {
        let Some(slot) = self.find(topic, peer) else {
            return false;
        };
        if let Some(queue) = self.queues.get_mut(slot)
            && let Some(sent) = &mut queue.sent
            && !FaultInjection::IgnoreCredit.is_on()
        {
            sent.finished(messages as usize);
            queue.sent.take_if(|sent| sent.is_empty());
        }
        self.make_ready(slot);
        true
    }

    /// The instance is to be sent so many messages of a client ahead.
    pub(super) fn widen(&mut self, topic: &[u8], peer: &str, messages: u32) {
        let slot = self.find(topic, peer);
        if let Some(queue) = slot.and_then(|slot| self.queues.get_mut(slot)) {
            queue.window = WindowSize::asked(messages);
        }
    }

    fn make_ready(&mut self, slot: usize) {
        if let Some(queue) = self.queues.get_mut(slot)
            && !queue.is_ready
            && queue.has_something()
        {
            queue.is_ready = true;
            let number = queue.number;
            self.ready.push_back(QueueId { slot, number });
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
            let id = *self.ready.front()?;
            // As in `get_mut`, which would borrow all else too.
            let queue = self.queues.get_mut(id.slot);
            let Some(queue) = queue.filter(|queue| queue.number == id.number) else {
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
                            self.remove(id.slot, wakes);
                            return Some((OutboxItem::Presence(presence), 0));
                        }
                        (Next::AwaitsCall, last) => {
                            queue.last = last;
                            if !std::mem::replace(&mut queue.awaits_call, true) {
                                self.awaiting_calls.push(id);
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
            if is_waited_for
                && !self.is_long(after, max_bytes)
                && let Some(queue) = self.get_mut(id)
            {
                queue.release(wakes);
            }
            if popped.is_some() {
                return popped;
            }
            self.rest(id);
        }
    }

    /// A client is silent: it holds no memory that it does not need.
    fn rest(&mut self, id: QueueId) {
        /// So many are kept.
        const FEW: usize = 64;
        let Some(mut left) = self.get_mut(id).and_then(PeerQueue::rest) else {
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

    fn remove(&mut self, slot: usize, wakes: &mut WakeList) {
        let Some(mut queue) = self.queues.try_remove(slot) else {
            return;
        };
        let (bytes, count) = queue.size();
        self.untold -= usize::from(!queue.is_told);
        self.bytes -= bytes;
        self.count -= count;
        queue.release(wakes);
        if let Some(waiting) = queue.waiting {
            self.dropped = self.dropped.saturating_add(waiting.queue.dropped);
        }
        if self.queues.is_empty() {
            self.queues = Slab::new();
        }
        if let Some(peers) = self.topics.get_mut(&queue.topic) {
            peers.remove(&queue.client.peer);
            if peers.is_empty() {
                self.topics.remove(&queue.topic);
            }
        }
    }

    /// Nothing may be sent now: those that wait for a call of theirs to end wake `waker`. Returns whether one has ended.
    pub(super) fn park(&mut self, waker: &Waker) -> bool {
        for id in &self.awaiting_calls {
            if let Some(calls) = self.get(*id).and_then(|queue| queue.calls.as_ref()) {
                calls.wake_when_one_ends(waker);
            }
        }
        self.look_at_calls()
    }

    /// Those whose calls have ended go on. Returns whether there are any.
    pub(super) fn look_at_calls(&mut self) -> bool {
        let mut any = false;
        // It keeps its memory, since this is asked for each item.
        let mut awaiting = std::mem::take(&mut self.awaiting_calls);
        awaiting.retain(|id| match self.get_mut(*id) {
            Some(queue) if queue.has_too_many_calls() => true,
            Some(queue) => {
                any = true;
                queue.awaits_call = false;
                self.make_ready(id.slot);
                false
            }
            None => false,
        });
        self.awaiting_calls = awaiting;
        any
    }

    /// Takes out what is not to stay.
    pub(super) fn take_out(
        &mut self,
        mut stays: impl FnMut(&OutboxItem) -> bool,
    ) -> Vec<OutboxItem> {
        let mut out = Vec::new();
        let (mut bytes, mut count) = (0, 0);
        let mut all: Vec<_> = self.queues.iter_mut().map(|(_, queue)| queue).collect();
        all.sort_unstable_by(|one, other| {
            (&one.topic, one.client.key).cmp(&(&other.topic, other.client.key))
        });
        for queue in all {
            out.extend(queue.take_out(&mut stays));
            bytes += queue.size().0;
            count += queue.size().1;
        }
        (self.bytes, self.count) = (bytes, count);
        out
    }

    /// The connection is lost: with the next one the windows are full, and as large as at first.
    pub(super) fn suspend(&mut self, wakes: &mut WakeList) {
        let mut all = Vec::new();
        for (slot, queue) in &mut self.queues {
            queue.sent = None;
            queue.window = WindowSize::default();
            all.push((queue.topic.clone(), queue.client.peer.clone(), slot));
            queue.release(wakes);
        }
        all.sort_unstable();
        for (_, _, slot) in all {
            self.make_ready(slot);
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
            let Some(slot) = self.slot_of(one) else {
                continue;
            };
            if let Some(queue) = self.queues.get_mut(slot) {
                let (bytes, count) = queue.size();
                left.extend(queue.take_out(|_| false));
                self.bytes -= bytes;
                self.count -= count;
            }
            self.remove(slot, wakes);
        }
        (left, clients)
    }

    /// What waits of each client, and how many messages the instance has not finished with.
    #[cfg(test)]
    pub(in crate::router) fn shown(&self) -> Vec<ShownPeer<'_>> {
        let all = self.queues.iter().map(|(_, queue)| ShownPeer {
            topic: queue.topic.clone(),
            client: queue.client.key,
            first: queue.first.iter().map(|it| &**it).collect(),
            lanes: queue.waiting.as_ref().map_or_else(
                || [Vec::new(), Vec::new(), Vec::new()],
                |waiting| waiting.queue.lanes(),
            ),
            is_gone: queue.last.is_some(),
            sent: queue.sent.as_ref().map_or(0, |sent| sent.messages()),
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
