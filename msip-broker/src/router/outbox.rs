//! The queue of one session.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use msip_session::MsgKind;

use super::{
    Assigned, EndReason, Limits, Presence, Publication, SessionKey, WakeList,
    fault_injection::FaultInjection, progress::Progress,
};
use crate::topic::Filter;

/// What a session is given.
#[derive(Debug)]
#[non_exhaustive]
pub enum OutboxItem {
    /// Messages.
    Publication(Delivery),
    /// A call for a service.
    Exchange(Box<Assigned>),
    /// A client of a topic that it serves comes or goes.
    Presence(Arc<Presence>),
    /// A subscription has ended, since what allowed it was withdrawn. It comes before all else, and alone.
    SubscriptionEnded(Filter),
}

/// Messages on their way to one session.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The messages.
    pub publication: Arc<Publication>,
    /// For whom they are.
    pub target: Target,
    /// The instances that have failed at them before.
    pub tried: Vec<SessionKey>,
}

/// For whom messages are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Everyone who hears the topic.
    Everyone,
    /// One member of this group.
    Group(Arc<str>),
    /// One service of the topic.
    Service,
}

/// An item, and what it counts for.
#[derive(Debug)]
struct Entry {
    number: u64,
    item: OutboxItem,
    bytes: usize,
    count: usize,
}

/// Whether somebody writes what the queue has.
#[derive(Debug)]
enum Writer {
    /// It waits for something.
    Parked(Waker),
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
    urgent: VecDeque<Entry>,
    normal: VecDeque<Entry>,
    droppable: VecDeque<Entry>,
    /// Where the STATEs of `urgent` and `normal` are: the number of their entry.
    states: HashMap<(Bytes, u16, Bytes), u64>,
    next: u64,
    bytes: usize,
    count: usize,
    droppable_bytes: usize,
    /// By how many bytes urgent messages are ahead of the others, while both wait.
    urgent_lead: i64,
    writer: Writer,
    status: Status,
    /// Routes older than this one do not know what the session may hear.
    min_generation: u64,
    /// How its writer gets on, while the queue is long.
    progress: Option<Progress>,
    /// Publishers that wait until this queue is shorter.
    pushed_back: Vec<Waker>,
    /// Subscriptions that have ended, of which the session is not told yet. Each once.
    ended: Vec<Filter>,
    /// How many messages were queued.
    pub(super) queued: u64,
    /// How many messages were dropped.
    pub(super) dropped: u64,
}

/// Why an item was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rejected {
    /// It was dropped, and counted.
    Dropped,
    /// The publisher's route is older than the session's rights.
    Stale,
    /// The session has ended.
    Gone,
    /// There was no place for it: the session has to end for this reason.
    Overflow(EndReason),
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self {
            urgent: VecDeque::new(),
            normal: VecDeque::new(),
            droppable: VecDeque::new(),
            states: HashMap::new(),
            next: 0,
            bytes: 0,
            count: 0,
            droppable_bytes: 0,
            urgent_lead: 0,
            // Nobody has come yet.
            writer: Writer::Woken,
            status: Status::Connected,
            min_generation: 0,
            progress: None,
            pushed_back: Vec::new(),
            ended: Vec::new(),
            queued: 0,
            dropped: 0,
        }
    }

    pub(super) fn status(&self) -> Status {
        self.status
    }

    /// How many messages wait.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// How many bytes they keep.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
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
        let (bytes, count) = size(&item);
        match self.status {
            Status::Ended(_) => return Err((Rejected::Gone, item)),
            _ if generation < self.min_generation => return Err((Rejected::Stale, item)),
            Status::Away if !is_kept_while_away(&item) => {
                self.drop_counted(count);
                return Err((Rejected::Dropped, item));
            }
            _ => {}
        }
        let item = match self.replace_state(item, bytes) {
            Ok(()) => {
                self.queued = self.queued.saturating_add(count as u64);
                return Ok(self.queued(now, limits, wakes));
            }
            Err(item) => item,
        };
        let is_droppable = is_droppable(&item);
        if is_droppable && !self.make_place_among_droppable(bytes, count, limits) {
            self.drop_counted(count);
            return Err((Rejected::Dropped, item));
        }
        if let Some(reason) = self.overflow(bytes, count, now, limits) {
            if is_droppable || FaultInjection::DropSilently.is_on() {
                self.drop_counted(count);
                return Err((Rejected::Dropped, item));
            }
            return Err((Rejected::Overflow(reason), item));
        }
        self.append(item, bytes, count);
        Ok(self.queued(now, limits, wakes))
    }

    fn append(&mut self, item: OutboxItem, bytes: usize, count: usize) {
        self.queued = self.queued.saturating_add(count as u64);
        let number = self.next;
        self.next += 1;
        self.bytes += bytes;
        self.count += count;
        if let Some(key) = state_key(&item) {
            self.states.insert(key, number);
        }
        let lane = if is_droppable(&item) {
            self.droppable_bytes += bytes;
            &mut self.droppable
        } else if is_urgent(&item) {
            &mut self.urgent
        } else {
            &mut self.normal
        };
        lane.push_back(Entry {
            number,
            item,
            bytes,
            count,
        });
    }

    fn queued(&mut self, now: Duration, limits: &Limits, wakes: &mut WakeList) -> bool {
        if matches!(self.writer, Writer::Parked(_))
            && let Writer::Parked(waker) = std::mem::replace(&mut self.writer, Writer::Woken)
        {
            wakes.push(Some(waker));
        }
        self.is_waited_for_until(now, limits).is_some()
    }

    /// Until when publishers wait for it, unless its writer makes it shorter or takes more by then. They do not where it is
    /// short, nor where the writer has stopped: then it fills up, and the session ends.
    fn is_waited_for_until(&mut self, now: Duration, limits: &Limits) -> Option<Duration> {
        if !self.is_congested(limits) {
            self.progress = None;
            return None;
        }
        let progress = self.progress.get_or_insert(Progress::new(now));
        let until = progress.waited_for_until(limits.push_back);
        (until > now || FaultInjection::WaitForStuck.is_on()).then_some(until)
    }

    /// Whether it is long. One that is away has nobody who could make it shorter.
    fn is_congested(&self, limits: &Limits) -> bool {
        self.status == Status::Connected
            && (self.bytes > limits.outgoing_bytes / 2 || self.count > limits.outgoing_messages / 2)
    }

    /// Wakes `task` when the queue is short again. Returns when to look again at the latest; nothing where a publisher need not
    /// wait.
    pub(super) fn wait_until_short(
        &mut self,
        now: Duration,
        limits: &Limits,
        task: &mut Context<'_>,
    ) -> Option<Duration> {
        let until = self.is_waited_for_until(now, limits)?;
        let waker = task.waker();
        if !self.pushed_back.iter().any(|one| one.will_wake(waker)) {
            self.pushed_back.push(waker.clone());
        }
        Some(until)
    }

    /// The writer has written a part of what it took.
    pub(super) fn wrote(&mut self, bytes: usize, now: Duration) {
        if let Some(progress) = &mut self.progress {
            progress.took(bytes, now);
        }
    }

    /// Ready when the session has ended: for a writer that cannot write what it took, and is woken by the end.
    pub(super) fn poll_ended(&mut self, task: &mut Context<'_>) -> Poll<EndReason> {
        if let Status::Ended(reason) = self.status {
            return Poll::Ready(reason);
        }
        if let Writer::Busy(waker) = &mut self.writer
            && !waker
                .as_ref()
                .is_some_and(|waker| waker.will_wake(task.waker()))
        {
            *waker = Some(task.waker().clone());
        }
        Poll::Pending
    }

    /// Puts a STATE in the place of an older one, if there is one.
    fn replace_state(&mut self, item: OutboxItem, bytes: usize) -> Result<(), OutboxItem> {
        let Some(key) = state_key(&item).filter(|_| !FaultInjection::QueueEachState.is_on()) else {
            return Err(item);
        };
        let Some(number) = self.states.get(&key).copied() else {
            return Err(item);
        };
        for lane in [&mut self.urgent, &mut self.normal] {
            let Ok(at) = lane.binary_search_by_key(&number, |entry| entry.number) else {
                continue;
            };
            if let Some(entry) = lane.get_mut(at) {
                self.bytes = self.bytes - entry.bytes + bytes;
                entry.bytes = bytes;
                entry.item = item;
                return Ok(());
            }
        }
        Err(item)
    }

    /// Drops the oldest LOG and METRIC until there is place for one more; `false` if there is none even then.
    fn make_place_among_droppable(&mut self, bytes: usize, count: usize, limits: &Limits) -> bool {
        let (max_bytes, max_count) = self.limits(limits);
        if FaultInjection::LogWithoutLimit.is_on() {
            return true;
        }
        let share = limits.droppable_bytes.min(max_bytes);
        if bytes > share || !self.has_place_without_droppable(bytes, count, limits) {
            return false;
        }
        while self.droppable_bytes + bytes > share
            || self.bytes + bytes > max_bytes
            || self.count + count > max_count
        {
            if FaultInjection::DropNewest.is_on() || !self.drop_oldest() {
                return self.droppable_bytes + bytes <= share;
            }
        }
        true
    }

    /// Whether there were place for so much more if all LOG and METRIC were dropped: else none of them is, in vain.
    fn has_place_without_droppable(&self, bytes: usize, count: usize, limits: &Limits) -> bool {
        let (max_bytes, max_count) = self.limits(limits);
        if self.bytes + bytes <= max_bytes && self.count + count <= max_count {
            return true;
        }
        let droppable_count: usize = self.droppable.iter().map(|entry| entry.count).sum();
        self.bytes - self.droppable_bytes + bytes <= max_bytes
            && self.count - droppable_count + count <= max_count
    }

    /// Drops the oldest LOG or METRIC.
    fn drop_oldest(&mut self) -> bool {
        let Some(entry) = self.droppable.pop_front() else {
            return false;
        };
        self.droppable_bytes -= entry.bytes;
        self.forget(&entry);
        self.drop_counted(entry.count);
        true
    }

    fn forget(&mut self, entry: &Entry) {
        self.bytes -= entry.bytes;
        self.count -= entry.count;
        if let Some(key) = state_key(&entry.item) {
            self.states.remove(&key);
        }
    }

    pub(super) fn drop_counted(&mut self, count: usize) {
        self.dropped = self.dropped.saturating_add(count as u64);
    }

    fn limits(&self, limits: &Limits) -> (usize, usize) {
        match self.status {
            Status::Away => (limits.session_bytes, limits.session_messages),
            // It was woken and has not had a chance to write: publishers wait for it, and what they send until then is bounded
            // by what they read at once.
            _ if !matches!(self.writer, Writer::Busy(_)) => (
                limits.outgoing_bytes.saturating_mul(2),
                limits.outgoing_messages.saturating_mul(2),
            ),
            _ => (limits.outgoing_bytes, limits.outgoing_messages),
        }
    }

    /// Why there is no place for so much more, if there is none.
    fn overflow(
        &mut self,
        bytes: usize,
        count: usize,
        now: Duration,
        limits: &Limits,
    ) -> Option<EndReason> {
        let (max_bytes, max_count) = self.limits(limits);
        let has_place =
            |this: &Self| this.bytes + bytes <= max_bytes && this.count + count <= max_count;
        if has_place(self) {
            return None;
        }
        while !has_place(self) && self.drop_oldest() {}
        if !has_place(self) {
            self.drop_expired(now);
        }
        if has_place(self) {
            return None;
        }
        Some(match self.status {
            Status::Away => EndReason::Overflow,
            _ => EndReason::SlowConsumer,
        })
    }

    /// Drops what is not worth delivering any more.
    fn drop_expired(&mut self, now: Duration) {
        self.retain(|item| !is_expired(item, now));
    }

    /// Drops, and counts, what is not to stay.
    pub(super) fn retain(&mut self, stays: impl FnMut(&OutboxItem) -> bool) {
        for item in self.take_out(stays) {
            self.drop_counted(size(&item).1);
        }
    }

    /// Takes out what is not to stay.
    fn take_out(&mut self, mut stays: impl FnMut(&OutboxItem) -> bool) -> Vec<OutboxItem> {
        let mut out = Vec::new();
        for lane in [Lane::Urgent, Lane::Normal, Lane::Droppable] {
            let entries = std::mem::take(self.lane(lane));
            let mut left = VecDeque::with_capacity(entries.len());
            for entry in entries {
                if stays(&entry.item) {
                    left.push_back(entry);
                    continue;
                }
                if lane == Lane::Droppable {
                    self.droppable_bytes -= entry.bytes;
                }
                self.forget(&entry);
                out.push(entry.item);
            }
            *self.lane(lane) = left;
        }
        out
    }

    fn lane(&mut self, lane: Lane) -> &mut VecDeque<Entry> {
        match lane {
            Lane::Urgent => &mut self.urgent,
            Lane::Normal => &mut self.normal,
            Lane::Droppable => &mut self.droppable,
        }
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
            taken.extend(ended.map(OutboxItem::SubscriptionEnded));
            self.writer = Writer::Busy(None);
            return Poll::Ready(Ok(()));
        }
        let (mut bytes, mut any) = (0_usize, false);
        while bytes < max_bytes {
            self.pass_over_expired(now);
            let Some(entry) = self.pop() else { break };
            bytes = bytes.saturating_add(entry.bytes);
            taken.push(entry.item);
            any = true;
        }
        if !self.is_congested(limits) {
            self.progress = None;
            self.pushed_back
                .drain(..)
                .for_each(|waker| wakes.push(Some(waker)));
        }
        if !any {
            match &self.writer {
                Writer::Parked(waker) if waker.will_wake(task.waker()) => {}
                _ => self.writer = Writer::Parked(task.waker().clone()),
            }
            self.shrink();
            return Poll::Pending;
        }
        if let Some(progress) = &mut self.progress {
            progress.caught_up(now);
        }
        self.writer = Writer::Busy(None);
        Poll::Ready(Ok(()))
    }

    /// Drops what is first somewhere, and not worth delivering any more.
    fn pass_over_expired(&mut self, now: Duration) {
        for lane in [Lane::Urgent, Lane::Normal, Lane::Droppable] {
            while self
                .lane(lane)
                .front()
                .is_some_and(|first| is_expired(&first.item, now))
            {
                let Some(entry) = self.lane(lane).pop_front() else {
                    break;
                };
                if lane == Lane::Droppable {
                    self.droppable_bytes -= entry.bytes;
                }
                self.forget(&entry);
                self.drop_counted(entry.count);
            }
        }
    }

    /// Gives back memory that a burst has left.
    fn shrink(&mut self) {
        const FEW: usize = 64;
        for lane in [&mut self.urgent, &mut self.normal, &mut self.droppable] {
            if lane.capacity() > FEW {
                lane.shrink_to(0);
            }
        }
        if self.states.capacity() > FEW {
            self.states.shrink_to(0);
        }
    }

    /// The next item: in order, but that of two that wait the urgent one goes first, as long as it has no more than half of the
    /// bytes.
    fn pop(&mut self) -> Option<Entry> {
        let others = match (self.normal.front(), self.droppable.front()) {
            (Some(normal), Some(droppable)) if droppable.number < normal.number => Lane::Droppable,
            (None, Some(_)) => Lane::Droppable,
            _ => Lane::Normal,
        };
        let both_wait = !self.urgent.is_empty() && !self.lane(others).is_empty();
        if !both_wait {
            self.urgent_lead = 0;
        }
        let lane = match self.urgent.is_empty()
            || both_wait && self.urgent_lead > 0 && !FaultInjection::UrgentAlways.is_on()
        {
            true => others,
            false => Lane::Urgent,
        };
        let entry = self.lane(lane).pop_front()?;
        if both_wait {
            let bytes = i64::try_from(entry.bytes).unwrap_or(i64::MAX);
            self.urgent_lead = match lane {
                Lane::Urgent => self.urgent_lead.saturating_add(bytes),
                _ => self.urgent_lead.saturating_sub(bytes),
            };
        }
        if lane == Lane::Droppable {
            self.droppable_bytes -= entry.bytes;
        }
        self.forget(&entry);
        Some(entry)
    }

    /// The connection is lost: what nobody waits for is dropped, and the rest is kept. Returns what others could have instead.
    pub(super) fn suspend(&mut self, wakes: &mut WakeList) -> Vec<OutboxItem> {
        if self.status != Status::Connected {
            return Vec::new();
        }
        self.status = Status::Away;
        self.writer = Writer::Woken;
        self.progress = None;
        self.pushed_back
            .drain(..)
            .for_each(|waker| wakes.push(Some(waker)));
        let left = self.take_out(|item| match item {
            OutboxItem::Publication(delivery) => delivery.target == Target::Everyone,
            OutboxItem::Exchange(_) => false,
            OutboxItem::Presence(_) | OutboxItem::SubscriptionEnded(_) => true,
        });
        self.retain(is_kept_while_away);
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
    pub(super) fn end(&mut self, reason: EndReason, wakes: &mut WakeList) -> Vec<OutboxItem> {
        if matches!(self.status, Status::Ended(_)) {
            return Vec::new();
        }
        let mut left = Vec::new();
        while let Some(entry) = self.pop() {
            left.push(entry.item);
        }
        self.status = Status::Ended(reason);
        self.states = HashMap::new();
        self.ended = Vec::new();
        self.pushed_back
            .drain(..)
            .for_each(|waker| wakes.push(Some(waker)));
        if let Writer::Parked(waker) | Writer::Busy(Some(waker)) =
            std::mem::replace(&mut self.writer, Writer::Woken)
        {
            wakes.push(Some(waker));
        }
        left
    }

    /// A subscription has ended, and the session is to be told, now or when it comes back. `most` bounds how many of them
    /// wait.
    pub(super) fn subscription_ended(&mut self, filter: Filter, most: usize, wakes: &mut WakeList) {
        let is_over = matches!(self.status, Status::Ended(_));
        if is_over || self.ended.len() >= most || self.ended.contains(&filter) {
            return;
        }
        self.ended.push(filter);
        if let Writer::Parked(_) = self.writer
            && let Writer::Parked(waker) = std::mem::replace(&mut self.writer, Writer::Woken)
        {
            wakes.push(Some(waker));
        }
    }

    /// It is subscribed to again.
    pub(super) fn subscribed(&mut self, filter: &Filter) {
        self.ended.retain(|ended| ended != filter);
    }

    /// What waits in the urgent queue, in the other one, and of LOG and METRIC.
    #[cfg(test)]
    pub(super) fn lanes(&self) -> [Vec<&OutboxItem>; 3] {
        [&self.urgent, &self.normal, &self.droppable]
            .map(|lane| lane.iter().map(|entry| &entry.item).collect())
    }

    /// Routes from before this generation are not to be used any more.
    pub(super) fn require_generation(&mut self, generation: u64) {
        self.min_generation = generation;
    }
}

/// One of the three queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Urgent,
    Normal,
    Droppable,
}

/// What an item counts for: the memory that it keeps, and its messages.
fn size(item: &OutboxItem) -> (usize, usize) {
    match item {
        OutboxItem::Publication(delivery) => {
            let publication = &delivery.publication;
            (publication.pinned, publication.count as usize)
        }
        OutboxItem::Exchange(assigned) => (assigned.request.exchange.pinned(), 1),
        OutboxItem::Presence(presence) => (presence.topic.len() + presence.peer.len() + 64, 1),
        // It never waits among the others.
        OutboxItem::SubscriptionEnded(_) => (0, 0),
    }
}

fn is_droppable(item: &OutboxItem) -> bool {
    matches!(item, OutboxItem::Publication(delivery) if delivery.publication.is_droppable())
}

fn is_urgent(item: &OutboxItem) -> bool {
    matches!(item, OutboxItem::Publication(delivery) if delivery.publication.urgent)
}

fn is_expired(item: &OutboxItem, now: Duration) -> bool {
    match item {
        OutboxItem::Publication(delivery) => {
            let expires_at = delivery.publication.expires_at;
            expires_at.is_some_and(|at| at <= now) && !FaultInjection::DeliverExpired.is_on()
        }
        _ => false,
    }
}

fn is_kept_while_away(item: &OutboxItem) -> bool {
    match item {
        OutboxItem::Publication(delivery) => {
            if FaultInjection::KeepUnacknowledged.is_on() {
                return true;
            }
            let is_acked =
                delivery.publication.wants_ack && !FaultInjection::LoseAcknowledged.is_on();
            is_acked || delivery.publication.kind == MsgKind::State
        }
        OutboxItem::Exchange(_) => false,
        OutboxItem::Presence(_) | OutboxItem::SubscriptionEnded(_) => true,
    }
}

fn state_key(item: &OutboxItem) -> Option<(Bytes, u16, Bytes)> {
    let OutboxItem::Publication(delivery) = item else {
        return None;
    };
    let state = delivery.publication.state.as_ref()?;
    Some((
        delivery.publication.topic.clone(),
        state.variant,
        state.key.clone(),
    ))
}
