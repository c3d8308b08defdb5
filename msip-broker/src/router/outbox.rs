//! The queue of one session.

mod at_topics;
mod item;
mod of_clients;
mod pace;
mod peers;
mod queue;
mod suspend;
mod take;
mod topics;
mod window;

use std::{
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;

use super::{EndReason, Limits, SessionKey, WakeList, fault_injection::FaultInjection};
use crate::topic::Filter;
pub use item::{Delivery, OutboxItem, SubscriptionEnd, Target};
use pace::Pace;
use peers::PeerQueues;
use queue::{Capacity, Queue};
use topics::TopicQueues;

/// Whether somebody writes what the queue has.
#[derive(Debug)]
enum Writer {
    /// It waits for something, since then.
    Parked(Waker, Duration),
    /// It was woken, and has not come yet.
    Woken,
    /// It took something, and has not come back. It is woken by the end if it has asked for that.
    Busy(Option<Waker>),
}

/// Where the session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// It has a connection.
    Connected,
    /// Its connection was lost.
    Away,
    /// It has ended.
    Ended(EndReason),
}

/// The queue of a session: bounded by count and bytes, and by kind.
///
/// - EVENT and COMMAND wait. Over the limit while the writer is behind, the session has to end.
/// - LOG and METRIC have a share of it, and the oldest are dropped and counted.
/// - A STATE takes the place of an older one of its topic, variant and key.
#[derive(Debug)]
pub(super) struct Outbox {
    /// Whose it is.
    key: SessionKey,
    queue: Queue,
    /// What waits of the clients that it hears apart.
    peers: Option<Box<PeerQueues>>,
    /// Whether it is their turn.
    is_turn_of_peers: bool,
    /// What waits at the topics that have a window of their own.
    topics: Option<Box<TopicQueues>>,
    /// Whether it is their turn.
    is_turn_of_topics: bool,
    writer: Writer,
    status: Status,
    /// Routes older than this one do not know what the session may hear.
    min_generation: u64,
    /// How its writer gets on, and who waits for it.
    pace: Pace,
    /// In a box, since there is seldom any.
    ended: Option<Box<Ended>>,
    /// How many messages were queued.
    pub(super) queued: u64,
}

/// What has ended, and somebody is to be told, or to be given.
#[derive(Debug, Default)]
struct Ended {
    /// Subscriptions, of which the session is not told yet. Each once.
    subscriptions: Vec<(Filter, SubscriptionEnd)>,
    /// What waited when the session ended, until its writer has returned what comes before.
    left: Vec<OutboxItem>,
}

/// Why an item was not queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rejected {
    /// It was dropped, and counted.
    Dropped,
    /// The publisher's route is older than the session's rights.
    Stale,
    /// The session has ended.
    Gone,
    /// There was no place for it: the session has to end for this reason.
    Overflow(EndReason),
    /// There was no place for it: the subscription to this topic, which has a window of its own, has to end.
    TopicOverflow(Box<Bytes>),
    /// There was no place for it among what waits of other clients.
    Crowded,
}

impl Outbox {
    pub(super) fn new(key: SessionKey) -> Self {
        Self {
            key,
            peers: None,
            is_turn_of_peers: false,
            topics: None,
            is_turn_of_topics: false,
            queue: Queue::default(),
            // Nobody has come yet.
            writer: Writer::Woken,
            status: Status::Connected,
            min_generation: 0,
            pace: Pace::default(),
            ended: None,
            queued: 0,
        }
    }

    pub(super) fn status(&self) -> Status {
        self.status
    }

    /// How many messages wait.
    pub(super) fn count(&self) -> usize {
        let peers = self.peers.as_ref().map_or(0, |peers| peers.count());
        let topics = self.topics.as_ref().map_or(0, |topics| topics.count());
        self.queue.count() + peers + topics
    }

    /// How many bytes they keep.
    pub(super) fn bytes(&self) -> usize {
        let peers = self.peers.as_ref().map_or(0, |peers| peers.bytes());
        let topics = self.topics.as_ref().map_or(0, |topics| topics.bytes());
        self.queue.bytes() + peers + topics
    }

    /// How many messages were dropped.
    pub(super) fn dropped(&self) -> u64 {
        let peers = self.peers.as_ref().map_or(0, |peers| peers.dropped);
        let topics = self.topics.as_ref().map_or(0, |topics| topics.dropped());
        self.queue.dropped + peers + topics
    }

    /// What was taken cannot be delivered.
    pub(super) fn drop_counted(&mut self, count: usize) {
        self.queue.drop_counted(count);
    }

    /// Adds an item, or gives it back. The writer is to be woken by what is added to `wakes`. Returns whether there is so much
    /// that the publisher should wait.
    pub(super) fn push(
        &mut self,
        item: OutboxItem,
        generation: u64,
        now: Duration,
        limits: &Limits,
        wakes: &mut WakeList,
    ) -> Result<bool, (Rejected, OutboxItem)> {
        let count = item.size().1;
        match self.status {
            Status::Ended(_) => return Err((Rejected::Gone, item)),
            _ if generation < self.min_generation && !FaultInjection::TakeByOldRights.is_on() => {
                return Err((Rejected::Stale, item));
            }
            Status::Away if !item.is_kept_while_away() => {
                self.queue.drop_counted(count);
                return Err((Rejected::Dropped, item));
            }
            _ => {}
        }
        if item.client().is_some() {
            return self.push_of_client(item, limits, wakes);
        }
        let topic = self.topics.as_ref().and_then(|it| it.topic_of(&item));
        if let Some(topic) = topic {
            return self.push_at_topic(&topic, item, now, limits, wakes);
        }
        let most = self.capacity(limits);
        match self.queue.push(item, now, most) {
            Ok(()) => {
                self.queued = self.queued.saturating_add(count as u64);
                Ok(self.queued(now, limits, wakes))
            }
            Err(item) if item.is_droppable() || FaultInjection::DropSilently.is_on() => {
                Err((Rejected::Dropped, item))
            }
            Err(item) => Err((Rejected::Overflow(self.overflow()), item)),
        }
    }

    /// Why a session ends for which there was no place.
    fn overflow(&self) -> EndReason {
        match self.status {
            Status::Away => EndReason::Overflow,
            _ => EndReason::SlowConsumer,
        }
    }

    /// The receiver is to be sent so many messages of a client ahead, or where that has no name, of what a client hears at this
    /// topic. They go on with the credit that comes with it.
    pub(super) fn widen(&mut self, topic: &[u8], peer: &str, messages: u32) {
        if peer.is_empty()
            && let Some(topics) = &mut self.topics
        {
            topics.widen(topic, messages);
        }
        if let Some(peers) = &mut self.peers {
            peers.widen(topic, peer, messages);
        }
    }

    /// The instance has finished with messages of a client; where that has no name, a client with those of its topic.
    pub(super) fn credit(&mut self, topic: &[u8], peer: &str, messages: u32, wakes: &mut WakeList) {
        if peer.is_empty()
            && let Some(topics) = &mut self.topics
            && topics.credit(topic, messages)
        {
            self.wake_writer(wakes);
        }
        if let Some(peers) = &mut self.peers
            && peers.credit(topic, peer, messages)
        {
            self.wake_writer(wakes);
        }
    }

    fn wake_writer(&mut self, wakes: &mut WakeList) {
        if matches!(self.writer, Writer::Parked(..))
            && let Writer::Parked(waker, _) = std::mem::replace(&mut self.writer, Writer::Woken)
        {
            wakes.push(Some(waker).filter(|_| !FaultInjection::WakeNobody.is_on()));
        }
    }

    fn queued(&mut self, now: Duration, limits: &Limits, wakes: &mut WakeList) -> bool {
        self.wake_writer(wakes);
        self.is_waited_for_until(now, limits).is_some()
    }

    /// Until when publishers wait for it. They do not where it is short.
    fn is_waited_for_until(&mut self, now: Duration, limits: &Limits) -> Option<Duration> {
        match self.is_congested(limits) {
            true => self.pace.waited_for_until(now, limits),
            false => None,
        }
    }

    /// Whether it is long. One that is away has nobody who could make it shorter.
    fn is_congested(&self, limits: &Limits) -> bool {
        self.status == Status::Connected
            && (self.queue.bytes() > limits.outgoing_bytes / 2
                || self.queue.count() > limits.outgoing_messages / 2)
    }

    /// Wakes `task` when the queue is short again: that of this topic, where it has a window of its own. `starved` is since when
    /// others wait for the same publisher, if they do. Returns when to look again at the latest; nothing where the publisher need
    /// not wait.
    pub(super) fn wait_until_short(
        &mut self,
        topic: Option<&Bytes>,
        starved: Option<Duration>,
        now: Duration,
        limits: &Limits,
        task: &mut Context<'_>,
    ) -> Option<Duration> {
        if let Some(topic) = topic {
            let topics = self.topics.as_mut();
            let topics = topics.filter(|_| self.status == Status::Connected)?;
            return topics.wait_until_short(topic, starved, now, limits, task.waker());
        }
        match self.is_congested(limits) {
            true => self.pace.wait(starved, now, limits, task.waker()),
            false => None,
        }
    }

    /// Since when it has had nothing to write, if it has nothing.
    pub(super) fn idle_since(&self) -> Option<Duration> {
        match (self.status, &self.writer) {
            (Status::Connected, Writer::Parked(_, since)) => Some(*since),
            _ => None,
        }
    }

    /// The writer has written a part of what it took.
    pub(super) fn wrote(&mut self, bytes: usize, now: Duration) {
        self.pace.wrote(bytes, now);
    }

    /// Ready when the session has ended: for a writer that cannot write what it took, and is woken by the end.
    pub(super) fn poll_ended(&mut self, task: &mut Context<'_>) -> Poll<EndReason> {
        if let Status::Ended(reason) = self.status {
            return Poll::Ready(reason);
        }
        match &mut self.writer {
            Writer::Busy(Some(known)) => known.clone_from(task.waker()),
            // It has come, although it takes nothing: it may write by another connection what it took before.
            Writer::Busy(None) | Writer::Woken => {
                self.writer = Writer::Busy(Some(task.waker().clone()));
            }
            Writer::Parked(..) => {}
        }
        Poll::Pending
    }

    /// How much may wait now.
    fn capacity(&self, limits: &Limits) -> Capacity {
        let (bytes, count) = match self.status {
            // Of all that waits.
            Status::Away => {
                let topics = self.topics.as_ref();
                let at_topics = topics.map_or((0, 0), |it| (it.bytes(), it.count()));
                (
                    limits.session_bytes.saturating_sub(at_topics.0),
                    limits.session_messages.saturating_sub(at_topics.1),
                )
            }
            // It was woken and has not had a chance to write: publishers wait for it, and what they send until then is bounded
            // by what they read at once.
            _ if !matches!(self.writer, Writer::Busy(_)) => (
                limits.outgoing_bytes.saturating_mul(2),
                limits.outgoing_messages.saturating_mul(2),
            ),
            _ => (limits.outgoing_bytes, limits.outgoing_messages),
        };
        Capacity {
            bytes,
            count,
            droppable_bytes: limits.droppable_bytes,
        }
    }

    /// The session may hear some of it no longer. Returns what others could have instead; the rest of that is dropped.
    pub(super) fn withdraw(
        &mut self,
        mut may_hear: impl FnMut(&OutboxItem) -> bool,
    ) -> Vec<OutboxItem> {
        let mut gone = self.queue.take_out(&mut may_hear);
        if let Some(topics) = &mut self.topics {
            gone.extend(topics.take_out(&mut may_hear));
        }
        if let Some(peers) = &mut self.peers {
            gone.extend(peers.take_out(may_hear));
        }
        let gone = gone.into_iter();
        let (left, dropped): (Vec<_>, Vec<_>) = gone.partition(OutboxItem::is_for_one);
        for item in dropped {
            self.queue.drop_counted(item.size().1);
        }
        left
    }

    /// A subscription has ended, and the session is to be told, now or when it comes back. At most so many of them wait.
    pub(super) fn subscription_ended(
        &mut self,
        filter: Filter,
        why: SubscriptionEnd,
        most: usize,
        wakes: &mut WakeList,
    ) {
        let is_over = matches!(self.status, Status::Ended(_));
        let known = self.ended.as_ref().map(|ended| &*ended.subscriptions);
        let known = known.unwrap_or_default();
        let is_known = known.iter().any(|(ended, _)| *ended == filter);
        if is_over || known.len() >= most || is_known {
            return;
        }
        let ended = self.ended.get_or_insert_default();
        ended.subscriptions.push((filter, why));
        self.wake_writer(wakes);
    }

    /// It is subscribed to again.
    pub(super) fn subscribed(&mut self, filter: &Filter) {
        if let Some(all) = &mut self.ended {
            all.subscriptions.retain(|(ended, _)| ended != filter);
        }
    }

    /// What waits in the urgent queue, in the other one, and of LOG and METRIC.
    #[cfg(test)]
    pub(super) fn lanes(&self) -> [Vec<&OutboxItem>; 3] {
        self.queue.lanes()
    }

    /// What waits of the clients that it hears apart.
    #[cfg(test)]
    pub(super) fn peers(&self) -> Vec<peers::ShownPeer<'_>> {
        let peers = self.peers.as_ref();
        peers.map(|peers| peers.shown()).unwrap_or_default()
    }

    /// Routes from before this generation are not to be used any more.
    pub(super) fn require_generation(&mut self, generation: u64) {
        self.min_generation = generation;
    }
}
