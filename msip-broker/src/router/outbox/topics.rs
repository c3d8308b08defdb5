//! What waits for a session of many clients: each topic apart.
//!
//! A client's subscription may have a window of its own (docs/protocol.md, "Typed traffic"): so many messages of the topic are
//! sent ahead of what the client has handled. What is beyond waits here, and holds up no other topic of the session.

use std::{
    collections::{HashMap, VecDeque},
    task::Waker,
    time::Duration,
};

use bytes::Bytes;

use super::{
    OutboxItem, Target,
    pace::Pace,
    queue::{Capacity, Queue},
    window::{Window, WindowSize},
};
use crate::{
    router::{Limits, WakeList, peer_sizes::PeerSizes},
    topic::Internal,
};

/// The queues of the topics that have a window of their own.
#[derive(Debug, Default)]
pub(super) struct TopicQueues {
    topics: HashMap<Bytes, TopicQueue>,
    /// Those that have something that may be sent, the next one first.
    ready: VecDeque<Bytes>,
    bytes: usize,
    count: usize,
    /// How many messages were dropped at topics that are there no longer.
    dropped: u64,
}

/// What waits at a topic.
#[derive(Debug, Default)]
struct TopicQueue {
    queue: Queue,
    /// What the client has not handled.
    sent: Window,
    window: WindowSize,
    pace: Pace,
    deficit: i64,
    is_ready: bool,
}

/// Why something was not queued.
#[derive(Debug)]
pub(super) enum Full {
    /// It is of a kind that may be dropped.
    Dropped,
    /// There is no place, and most of it is taken by what waits at this topic.
    Overflow(Box<Bytes>),
}

impl TopicQueue {
    fn size(&self) -> (usize, usize) {
        (self.queue.bytes(), self.queue.count())
    }

    /// How many messages may be sent.
    fn sendable(&self) -> u32 {
        match self.queue.peek() {
            None => 0,
            Some(OutboxItem::Publication(delivery)) => {
                Window::affordable(Some(&self.sent), self.window, &delivery.publication)
            }
            Some(_) => 1,
        }
    }

    /// Whether so much waits that publishers wait for it.
    fn is_long(&self, limits: &Limits) -> bool {
        let sizes = PeerSizes::current();
        let (bytes, count) = self.size();
        bytes > sizes.max_waiting.min(limits.outgoing_bytes / 2)
            || count > sizes.max_waiting_messages.min(limits.outgoing_messages / 2)
    }
}

impl TopicQueues {
    /// How many messages wait.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// How many bytes they keep.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many messages were dropped.
    pub(super) fn dropped(&self) -> u64 {
        let queues = self.topics.values();
        queues.fold(self.dropped, |sum, one| {
            sum.saturating_add(one.queue.dropped)
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// The topic has a window of its own from here on.
    pub(super) fn open(&mut self, topic: &Bytes) {
        self.topics.entry(topic.clone()).or_default();
    }

    /// The topic has none any more. Returns what waited.
    pub(super) fn close(&mut self, topic: &[u8], wakes: &mut WakeList) -> Vec<OutboxItem> {
        let Some(mut queue) = self.topics.remove(topic) else {
            return Vec::new();
        };
        let (bytes, count) = queue.size();
        self.bytes -= bytes;
        self.count -= count;
        self.ready.retain(|ready| ready != topic);
        queue.pace.release(wakes);
        let left = queue.queue.take_out(|_| false);
        self.dropped = self.dropped.saturating_add(queue.queue.dropped);
        left
    }

    /// At which of the topics this belongs: what all clients of it hear, and what this one hears alone.
    pub(super) fn topic_of(&self, item: &OutboxItem) -> Option<Bytes> {
        match item {
            OutboxItem::Publication(delivery) if delivery.target == Target::Everyone => {
                self.heard_at(&delivery.publication.topic)
            }
            OutboxItem::TopicSpoken(spoken) => self.heard_at(&spoken.topic),
            // A call of `T` is for its services.
            OutboxItem::Exchange(assigned)
                if !self.topics.contains_key(&assigned.request.topic) =>
            {
                self.heard_at(&assigned.request.topic)
            }
            _ => None,
        }
    }

    /// `T`, for `T` and for `T/$to/<peer>`, where `T` is one of the topics.
    pub(super) fn heard_at(&self, topic: &[u8]) -> Option<Bytes> {
        let found = self.topics.get_key_value(topic);
        let found = found.or_else(|| match Internal::of(topic) {
            Internal::Peer { topic, .. } => self.topics.get_key_value(topic),
            _ => None,
        });
        found.map(|(topic, _)| topic.clone())
    }

    /// Adds an item to a topic, or gives it back. `most` is what may wait at all topics together. Returns whether there is so
    /// much that the publisher should wait.
    pub(super) fn push(
        &mut self,
        topic: &Bytes,
        item: OutboxItem,
        now: Duration,
        most: Capacity,
        limits: &Limits,
    ) -> Result<bool, (Full, OutboxItem)> {
        let Some(queue) = self.topics.get_mut(topic) else {
            return Err((Full::Dropped, item));
        };
        let before = queue.size();
        // What the others leave.
        let most = Capacity {
            bytes: most.bytes.saturating_sub(self.bytes - before.0),
            count: most.count.saturating_sub(self.count - before.1),
            ..most
        };
        let pushed = queue.queue.push(item, now, most);
        let after = queue.size();
        self.bytes = self.bytes - before.0 + after.0;
        self.count = self.count - before.1 + after.1;
        match pushed {
            Ok(()) => {
                let is_long =
                    queue.is_long(limits) && queue.pace.waited_for_until(now, limits).is_some();
                self.make_ready(topic);
                Ok(is_long)
            }
            Err(item) if item.is_droppable() => Err((Full::Dropped, item)),
            Err(item) => {
                let longest = self.topics.iter().max_by(|one, other| {
                    let key = |(topic, queue): (&Bytes, &TopicQueue)| (queue.size(), topic.clone());
                    key(*one).cmp(&key(*other))
                });
                let longest = longest.map_or(topic, |(longest, _)| longest);
                Err((Full::Overflow(Box::new(longest.clone())), item))
            }
        }
    }

    /// Wakes `waker` when less waits at a topic. Returns when to look again at the latest; nothing where the publisher need not
    /// wait.
    pub(super) fn wait_until_short(
        &mut self,
        topic: &[u8],
        starved: Option<Duration>,
        now: Duration,
        limits: &Limits,
        waker: &Waker,
    ) -> Option<Duration> {
        let queue = self.topics.get_mut(topic)?;
        match queue.is_long(limits) {
            true => queue.pace.wait(starved, now, limits, waker),
            false => None,
        }
    }

    /// The client has handled messages of a topic. Returns whether there may be more to send.
    pub(super) fn credit(&mut self, topic: &[u8], messages: u32) -> bool {
        let Some(topic) = self.heard_at(topic) else {
            return false;
        };
        if let Some(queue) = self.topics.get_mut(&topic) {
            queue.sent.finished(messages as usize);
        }
        self.make_ready(&topic);
        true
    }

    /// The client is to be sent so many messages of a topic ahead.
    pub(super) fn widen(&mut self, topic: &[u8], messages: u32) {
        let topic = self.heard_at(topic);
        if let Some(queue) = topic.and_then(|topic| self.topics.get_mut(&topic)) {
            queue.window = WindowSize::asked(messages);
        }
    }

    fn make_ready(&mut self, topic: &Bytes) {
        if let Some(queue) = self.topics.get_mut(topic)
            && !queue.is_ready
            && queue.queue.count() > 0
        {
            queue.is_ready = true;
            self.ready.push_back(topic.clone());
        }
    }

    /// The next item, and its bytes: the topics take turns.
    pub(super) fn pop(
        &mut self,
        now: Duration,
        limits: &Limits,
        wakes: &mut WakeList,
    ) -> Option<(OutboxItem, usize)> {
        loop {
            let topic = self.ready.front()?.clone();
            let Some(queue) = self.topics.get_mut(&topic) else {
                self.ready.pop_front();
                continue;
            };
            let before = queue.size();
            queue.queue.pass_over_expired(now);
            let popped = match queue.sendable() {
                // The next credit, or the next message, begins again.
                0 => {
                    queue.is_ready = false;
                    queue.deficit = 0;
                    self.ready.pop_front();
                    None
                }
                _ if queue.deficit <= 0 => {
                    queue.deficit += PeerSizes::current().quantum;
                    self.ready.rotate_left(1);
                    None
                }
                count => queue.queue.pop_up_to(count),
            };
            let after = queue.size();
            self.bytes = self.bytes - before.0 + after.0;
            self.count = self.count - before.1 + after.1;
            if let Some((item, bytes)) = &popped {
                queue.deficit -= i64::try_from(bytes.saturating_add(64)).unwrap_or(i64::MAX);
                if let OutboxItem::Publication(delivery) = item {
                    queue.sent.push(&delivery.publication);
                }
                queue.pace.caught_up(now);
            }
            if !queue.is_long(limits) {
                queue.pace.is_short(wakes);
            }
            if popped.is_some() {
                return popped;
            }
        }
    }

    /// Takes out what is not to stay.
    pub(super) fn take_out(
        &mut self,
        mut stays: impl FnMut(&OutboxItem) -> bool,
    ) -> Vec<OutboxItem> {
        let mut out = Vec::new();
        (self.bytes, self.count) = (0, 0);
        let mut all: Vec<_> = self.topics.iter_mut().collect();
        // The order of a table is another one in each run.
        all.sort_unstable_by_key(|(topic, _)| *topic);
        for (_, queue) in all {
            out.extend(queue.queue.take_out(&mut stays));
            self.bytes += queue.queue.bytes();
            self.count += queue.queue.count();
        }
        out
    }

    /// The connection is lost: with the next one the windows are full, and as large as at first.
    pub(super) fn suspend(&mut self, wakes: &mut WakeList) {
        let mut topics: Vec<_> = self.topics.keys().cloned().collect();
        topics.sort_unstable();
        for topic in topics {
            if let Some(queue) = self.topics.get_mut(&topic) {
                queue.sent.clear();
                queue.window = WindowSize::default();
                queue.pace.suspend(wakes);
            }
            self.make_ready(&topic);
        }
    }

    /// The session has ended.
    pub(super) fn end(&mut self, wakes: &mut WakeList) -> Vec<OutboxItem> {
        let left = self.take_out(|_| false);
        self.dropped = self.dropped();
        for queue in self.topics.values_mut() {
            queue.pace.release(wakes);
        }
        self.topics.clear();
        self.ready.clear();
        left
    }
}
