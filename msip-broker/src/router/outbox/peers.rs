//! What waits for an instance of a typed service: each client apart.
//!
//! The clients of an instance take turns (deficit round robin), and each has a window of messages that the instance has not
//! finished with (`window`). What is beyond it waits here, and holds up nobody but this client.

mod peer_queue;
#[cfg(test)]
mod shown;
mod turns;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    task::Waker,
};

use bytes::Bytes;
use slab::Slab;

use super::{OutboxItem, window::WindowSize};
use crate::router::{
    SessionKey, WakeList,
    client::{Client, ClientAt},
    fault_injection::FaultInjection,
    peer_sizes::PeerSizes,
};
use peer_queue::{PeerQueue, QueueId, Waiting};
#[cfg(test)]
pub(in crate::router) use shown::ShownPeer;

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
    /// Which slot is looked at next for memory that it does not need any more, and how many clients were silent since the last.
    swept: usize,
    silent: u32,
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
        self.sweep();
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
}
