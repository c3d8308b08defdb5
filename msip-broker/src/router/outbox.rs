//! The queue of one session.

mod item;
mod pace;
mod peers;
mod queue;
mod topics;
mod window;

use std::{
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;

use super::{ClientAt, EndReason, Limits, SessionKey, WakeList, fault_injection::FaultInjection};
use crate::topic::Filter;
pub use item::{Delivery, OutboxItem, SubscriptionEnd, Target};
use pace::Pace;
use peers::PeerQueues;
use queue::{Capacity, Queue};
use topics::{Full, TopicQueues};

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
    /// Subscriptions that have ended, of which the session is not told yet. Each once.
    ended: Vec<(Filter, SubscriptionEnd)>,
    /// How many messages were queued.
    pub(super) queued: u64,
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
            ended: Vec::new(),
            queued: 0,
            left: Vec::new(),
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

    /// Adds what is heard at a topic with a window of its own.
    fn push_at_topic(
        &mut self,
        topic: &Bytes,
        item: OutboxItem,
        now: Duration,
        limits: &Limits,
        wakes: &mut WakeList,
    ) -> Result<bool, (Rejected, OutboxItem)> {
        let count = item.size().1;
        let most = self.capacity(limits);
        let topics = self.topics.get_or_insert_default();
        let rejected = match topics.push(topic, item, now, most, limits) {
            Ok(is_long) => {
                self.queued = self.queued.saturating_add(count as u64);
                self.wake_writer(wakes);
                return Ok(is_long && self.status == Status::Connected);
            }
            Err(rejected) => rejected,
        };
        Err(match rejected {
            (Full::Dropped, item) => (Rejected::Dropped, item),
            // It may be made again, or go to another one.
            (Full::Overflow(_), item @ OutboxItem::Exchange(_)) => (Rejected::Crowded, item),
            (Full::Overflow(_), item) if self.status == Status::Away => {
                (Rejected::Overflow(self.overflow()), item)
            }
            (Full::Overflow(topic), item) => (Rejected::TopicOverflow(topic), item),
        })
    }

    /// The session hears this topic with a window of its own from here on.
    pub(super) fn open_window(&mut self, topic: &Bytes) {
        self.topics.get_or_insert_default().open(topic);
    }

    /// It does not any more. Returns what waited.
    pub(super) fn close_window(&mut self, topic: &[u8], wakes: &mut WakeList) -> Vec<OutboxItem> {
        let Some(topics) = &mut self.topics else {
            return Vec::new();
        };
        let left = topics.close(topic, wakes);
        if topics.is_empty() {
            self.queue.dropped = self.queue.dropped.saturating_add(topics.dropped());
            self.topics = None;
        }
        left
    }

    /// The session hears this topic no longer. Returns what waited that others can have; the rest is dropped.
    pub(super) fn leave_topic(&mut self, topic: &[u8], wakes: &mut WakeList) -> Vec<OutboxItem> {
        let left = self.close_window(topic, wakes).into_iter();
        let (left, dropped): (Vec<_>, Vec<_>) = left.partition(OutboxItem::is_for_one);
        for item in dropped {
            self.queue.drop_counted(item.size().1);
        }
        left
    }

    /// At which topic with a window of its own messages of this topic are heard.
    pub(super) fn own_window_of(&self, topic: &Bytes) -> Option<Bytes> {
        self.topics.as_ref()?.heard_at(topic)
    }

    /// Adds what a client has sent to an instance that hears it apart. Returns whether that client should wait.
    fn push_of_client(
        &mut self,
        item: OutboxItem,
        limits: &Limits,
        wakes: &mut WakeList,
    ) -> Result<bool, (Rejected, OutboxItem)> {
        let (bytes, count) = item.size();
        let most = self.capacity(limits);
        let peers = self.peers.as_ref();
        // Where an older STATE has a place, a newer one has it too.
        let is_newer = peers.is_some_and(|peers| peers.has_older_state(&item));
        let has_place = peers.is_none_or(|peers| peers.has_place_for(&item));
        let is_full =
            !has_place || self.bytes() + bytes > most.bytes || self.count() + count > most.count;
        if is_full && !is_newer && !FaultInjection::CrowdOthers.is_on() {
            self.queue.drop_counted(count);
            return Err((Rejected::Crowded, item));
        }
        self.queued = self.queued.saturating_add(count as u64);
        let peers = self.peers.get_or_insert_default();
        let is_long = peers.push(self.key, item, limits.outgoing_bytes);
        self.wake_writer(wakes);
        Ok(is_long && self.status == Status::Connected)
    }

    /// Changes what waits of clients.
    fn with_peers<T>(
        &mut self,
        wakes: &mut WakeList,
        change: impl FnOnce(&mut PeerQueues, SessionKey) -> T,
    ) -> T {
        let changed = change(self.peers.get_or_insert_default(), self.key);
        self.wake_writer(wakes);
        changed
    }

    /// The instance is introduced to a client, if it does not know it.
    pub(super) fn introduce(&mut self, client: &ClientAt, wakes: &mut WakeList) {
        self.with_peers(wakes, |peers, key| peers.introduce(client, key));
    }

    /// The instance looks after a client from here on.
    pub(super) fn look_after(&mut self, client: &ClientAt, wakes: &mut WakeList) {
        self.with_peers(wakes, |peers, key| peers.look_after(client, key));
    }

    /// Whether the instance knows a client.
    pub(super) fn knows(&self, client: &ClientAt) -> bool {
        let peers = self.peers.as_ref();
        peers.is_some_and(|peers| peers.knows(&client.topic, client.peer()))
    }

    /// A client has gone from a topic.
    pub(super) fn client_gone(&mut self, client: &ClientAt, wakes: &mut WakeList) {
        if self.knows(client) {
            let peers = self.peers.get_or_insert_default();
            peers.client_gone(&client.topic, &client.client, wakes);
            self.wake_writer(wakes);
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

    /// The instance serves these topics no longer. Returns what waited that others could have, and the clients that it knew.
    pub(super) fn leave(
        &mut self,
        is_left: impl FnMut(&[u8]) -> bool,
        wakes: &mut WakeList,
    ) -> (Vec<OutboxItem>, Vec<ClientAt>) {
        match &mut self.peers {
            Some(peers) => peers.leave(is_left, wakes),
            None => Default::default(),
        }
    }

    /// Wakes `task` when less waits of a client; `false` where it need not wait.
    pub(super) fn wait_for_client(
        &mut self,
        topic: &[u8],
        peer: &str,
        limits: &Limits,
        task: &mut Context<'_>,
    ) -> bool {
        self.status == Status::Connected
            && self.peers.as_mut().is_some_and(|peers| {
                peers.wait_until_short(topic, peer, limits.outgoing_bytes, task.waker())
            })
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

    /// Takes items of up to `max_bytes`, and one in any case. Pending if there are none: the task is woken by the next one.
    pub(super) fn poll_take(
        &mut self,
        now: Duration,
        max_bytes: usize,
        limits: &Limits,
        taken: &mut Vec<OutboxItem>,
        wakes: &mut WakeList,
        task: &mut Context<'_>,
    ) -> Poll<Result<(), EndReason>> {
        if let Status::Ended(reason) = self.status {
            return Poll::Ready(Err(reason));
        }
        if !self.ended.is_empty() {
            let ended = std::mem::take(&mut self.ended).into_iter();
            taken.extend(ended.map(|(filter, why)| OutboxItem::SubscriptionEnded(filter, why)));
            self.writer = Writer::Busy(None);
            return Poll::Ready(Ok(()));
        }
        let (mut bytes, mut any) = (0_usize, false);
        while bytes < max_bytes {
            self.queue.pass_over_expired(now);
            let Some((item, len)) = self.pop(now, limits, wakes) else {
                break;
            };
            bytes = bytes.saturating_add(len);
            taken.push(item);
            any = true;
        }
        if !self.is_congested(limits) {
            self.pace.is_short(wakes);
        }
        if !any {
            if let Some(peers) = &mut self.peers
                && peers.park(task.waker())
            {
                // A call has ended just now.
                return self.poll_take(now, max_bytes, limits, taken, wakes, task);
            }
            match &self.writer {
                Writer::Parked(waker, _) if waker.will_wake(task.waker()) => {}
                Writer::Parked(_, since) => {
                    self.writer = Writer::Parked(task.waker().clone(), *since);
                }
                _ => self.writer = Writer::Parked(task.waker().clone(), now),
            }
            self.queue.shrink();
            return Poll::Pending;
        }
        self.pace.caught_up(now);
        self.writer = Writer::Busy(None);
        Poll::Ready(Ok(()))
    }

    /// The next item: of the topics with a window of their own, and of all else, in turn.
    fn pop(
        &mut self,
        now: Duration,
        limits: &Limits,
        wakes: &mut WakeList,
    ) -> Option<(OutboxItem, usize)> {
        if self.topics.is_none() {
            return self.pop_other(now, limits, wakes);
        }
        self.is_turn_of_topics = !self.is_turn_of_topics;
        let first = match self.is_turn_of_topics {
            true => None,
            false => self.pop_other(now, limits, wakes),
        };
        if first.is_some() {
            return first;
        }
        let topics = self.topics.as_mut();
        let second = topics.and_then(|topics| topics.pop(now, limits, wakes));
        match self.is_turn_of_topics && second.is_none() {
            true => self.pop_other(now, limits, wakes),
            false => second,
        }
    }

    /// The next item: of the clients that are heard apart, and of all else, in turn.
    fn pop_other(
        &mut self,
        now: Duration,
        limits: &Limits,
        wakes: &mut WakeList,
    ) -> Option<(OutboxItem, usize)> {
        let Some(peers) = &mut self.peers else {
            return self.queue.pop();
        };
        self.is_turn_of_peers = !self.is_turn_of_peers;
        peers.look_at_calls();
        let most = limits.outgoing_bytes;
        match self.is_turn_of_peers {
            true => peers.pop(now, most, wakes).or_else(|| self.queue.pop()),
            false => self.queue.pop().or_else(|| peers.pop(now, most, wakes)),
        }
    }

    /// The connection is lost: what nobody waits for is dropped, and the rest is kept. Returns what others could have instead.
    pub(super) fn suspend(&mut self, wakes: &mut WakeList) -> Vec<OutboxItem> {
        if self.status != Status::Connected {
            return Vec::new();
        }
        self.status = Status::Away;
        self.writer = Writer::Woken;
        self.pace.suspend(wakes);
        let mut left = self.queue.take_out(|item| !item.is_for_one());
        self.queue.retain(OutboxItem::is_kept_while_away);
        if let Some(topics) = &mut self.topics {
            left.extend(topics.take_out(|item| !item.is_for_one()));
            for item in topics.take_out(OutboxItem::is_kept_while_away) {
                self.queue.drop_counted(item.size().1);
            }
            topics.suspend(wakes);
        }
        if let Some(peers) = &mut self.peers {
            left.extend(peers.take_out(|item| !item.is_for_one()));
            for item in peers.take_out(OutboxItem::is_kept_while_away) {
                self.queue.drop_counted(item.size().1);
            }
            peers.suspend(wakes);
        }
        left
    }

    /// A connection is there again.
    pub(super) fn resume(&mut self) {
        if self.status == Status::Away {
            self.status = Status::Connected;
            self.writer = Writer::Woken;
        }
    }

    /// Ends it. Returns what waited, and the writer is told why. The first reason stays.
    ///
    /// Where the writer returns what it took, and cannot write that now, what waited is behind it: it is returned when the writer
    /// ends the session in its turn.
    pub(super) fn end(
        &mut self,
        reason: EndReason,
        writer_returns: bool,
        wakes: &mut WakeList,
    ) -> Vec<OutboxItem> {
        if matches!(self.status, Status::Ended(_)) {
            return std::mem::take(&mut self.left);
        }
        let mut left = Vec::new();
        while let Some((item, _)) = self.queue.pop() {
            left.push(item);
        }
        if let Some(peers) = &mut self.peers {
            left.extend(peers.leave(|_| true, wakes).0);
        }
        if let Some(topics) = &mut self.topics {
            left.extend(topics.end(wakes));
        }
        self.status = Status::Ended(reason);
        self.queue.shrink();
        self.ended = Vec::new();
        self.pace.release(wakes);
        match std::mem::replace(&mut self.writer, Writer::Woken) {
            Writer::Parked(waker, _) => wakes.push(Some(waker)),
            Writer::Busy(Some(waker)) => {
                wakes.push(Some(waker));
                if writer_returns {
                    self.left = left;
                    return Vec::new();
                }
            }
            Writer::Busy(None) | Writer::Woken => {}
        }
        left
    }

    /// The same, with the clients that it knew.
    pub(super) fn end_with_clients(
        &mut self,
        reason: EndReason,
        writer_returns: bool,
        wakes: &mut WakeList,
    ) -> (Vec<OutboxItem>, Vec<ClientAt>) {
        let known = self.peers.as_ref().map(|peers| peers.clients());
        let left = self.end(reason, writer_returns, wakes);
        (left, known.unwrap_or_default())
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
        let is_known = self.ended.iter().any(|(ended, _)| *ended == filter);
        if is_over || self.ended.len() >= most || is_known {
            return;
        }
        self.ended.push((filter, why));
        self.wake_writer(wakes);
    }

    /// It is subscribed to again.
    pub(super) fn subscribed(&mut self, filter: &Filter) {
        self.ended.retain(|(ended, _)| ended != filter);
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
