//! The messages of an outbox, in the order in which they are taken, and what they count for.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;

use super::{Delivery, OutboxItem};
use crate::router::{Publication, fault_injection::FaultInjection};

/// An item, and what it counts for.
#[derive(Debug)]
struct Entry {
    number: u64,
    item: OutboxItem,
    bytes: usize,
    count: usize,
}

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Capacity {
    pub(super) bytes: usize,
    pub(super) count: usize,
    /// How many of these bytes LOG and METRIC may take.
    pub(super) droppable_bytes: usize,
}

/// Messages that wait: urgent ones, the others, and LOG and METRIC, of which the oldest are dropped where there is no place.
#[derive(Debug, Default)]
pub(super) struct Queue {
    normal: VecDeque<Entry>,
    /// In a box, since many never have any.
    special: Option<Box<Special>>,
    next: u64,
    bytes: usize,
    count: usize,
    droppable_bytes: usize,
    /// By how many bytes urgent messages are ahead of the others, while both wait.
    urgent_lead: i64,
    /// How many messages were dropped.
    pub(super) dropped: u64,
}

/// What is no EVENT or COMMAND of the usual urgency.
#[derive(Debug, Default)]
struct Special {
    urgent: VecDeque<Entry>,
    droppable: VecDeque<Entry>,
    /// Where the STATEs of `urgent` and `normal` are: the number of their entry.
    states: HashMap<(Bytes, u16, Bytes), u64>,
}

impl Queue {
    /// How many messages wait.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// How many bytes they keep.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds an item, whether there is place for it or not.
    pub(super) fn append(&mut self, item: OutboxItem) {
        let (bytes, count) = item.size();
        let number = self.next;
        self.next += 1;
        self.bytes += bytes;
        self.count += count;
        if let Some(key) = item.state_key() {
            self.special().states.insert(key, number);
        }
        let lane = if item.is_droppable() {
            self.droppable_bytes += bytes;
            Lane::Droppable
        } else if item.is_urgent() {
            Lane::Urgent
        } else {
            Lane::Normal
        };
        self.lane_to_add(lane).push_back(Entry {
            number,
            item,
            bytes,
            count,
        });
    }

    /// Adds an item where there is place for it: in that of an older STATE, or of LOG and METRIC and of what has expired. Gives it
    /// back where there is none.
    pub(super) fn push(
        &mut self,
        item: OutboxItem,
        now: Duration,
        most: Capacity,
    ) -> Result<(), OutboxItem> {
        let (bytes, count) = item.size();
        let item = match self.replace_state(item) {
            Ok(()) => return Ok(()),
            Err(item) => item,
        };
        let is_droppable = item.is_droppable();
        if is_droppable && !self.make_place_among_droppable(bytes, count, most)
            || !self.make_place(bytes, count, most, now)
        {
            if is_droppable || FaultInjection::DropSilently.is_on() {
                self.drop_counted(count);
            }
            return Err(item);
        }
        self.append(item);
        Ok(())
    }

    /// Whether a STATE waits in the place of which this one comes.
    pub(super) fn has_older_state(&self, item: &OutboxItem) -> bool {
        let key = item.state_key();
        key.is_some_and(|key| self.number_of_state(&key).is_some())
    }

    /// Puts a STATE in the place of an older one, if there is one.
    pub(super) fn replace_state(&mut self, item: OutboxItem) -> Result<(), OutboxItem> {
        let Some(key) = item
            .state_key()
            .filter(|_| !FaultInjection::QueueEachState.is_on())
        else {
            return Err(item);
        };
        let Some(number) = self.number_of_state(&key) else {
            return Err(item);
        };
        let (bytes, _) = item.size();
        for lane in [Lane::Urgent, Lane::Normal] {
            let Some(lane) = self.lane(lane) else {
                continue;
            };
            let Ok(at) = lane.binary_search_by_key(&number, |entry| entry.number) else {
                continue;
            };
            if let Some(entry) = lane.get_mut(at) {
                let before = std::mem::replace(&mut entry.bytes, bytes);
                entry.item = item;
                self.bytes = self.bytes - before + bytes;
                return Ok(());
            }
        }
        Err(item)
    }

    /// Drops the oldest LOG and METRIC until there is place for one more; `false` if there is none even then.
    pub(super) fn make_place_among_droppable(
        &mut self,
        bytes: usize,
        count: usize,
        most: Capacity,
    ) -> bool {
        if FaultInjection::LogWithoutLimit.is_on() {
            return true;
        }
        let share = most.droppable_bytes.min(most.bytes);
        if bytes > share || !self.has_place_without_droppable(bytes, count, most) {
            return false;
        }
        while self.droppable_bytes + bytes > share || !self.has_place(bytes, count, most) {
            if FaultInjection::DropNewest.is_on() || !self.drop_oldest() {
                return self.droppable_bytes + bytes <= share;
            }
        }
        true
    }

    /// Makes place for so much more: of LOG and METRIC, and of what has expired. `false` if that is not enough.
    pub(super) fn make_place(
        &mut self,
        bytes: usize,
        count: usize,
        most: Capacity,
        now: Duration,
    ) -> bool {
        while !self.has_place(bytes, count, most) && self.drop_oldest() {}
        if !self.has_place(bytes, count, most) {
            self.retain(|item| !item.is_expired(now));
        }
        self.has_place(bytes, count, most)
    }

    fn has_place(&self, bytes: usize, count: usize, most: Capacity) -> bool {
        self.bytes + bytes <= most.bytes && self.count + count <= most.count
    }

    /// Whether there were place for so much more if all LOG and METRIC were dropped: else none of them is, in vain.
    fn has_place_without_droppable(&self, bytes: usize, count: usize, most: Capacity) -> bool {
        if self.has_place(bytes, count, most) {
            return true;
        }
        let droppable = self.special.iter().flat_map(|it| &it.droppable);
        let droppable_count: usize = droppable.map(|entry| entry.count).sum();
        self.bytes - self.droppable_bytes + bytes <= most.bytes
            && self.count - droppable_count + count <= most.count
    }

    /// Drops the oldest LOG or METRIC.
    fn drop_oldest(&mut self) -> bool {
        let droppable = self.lane(Lane::Droppable);
        let Some(entry) = droppable.and_then(VecDeque::pop_front) else {
            return false;
        };
        self.forget(&entry);
        self.drop_counted(entry.count);
        true
    }

    /// Counts an entry no longer.
    fn forget(&mut self, entry: &Entry) {
        self.bytes -= entry.bytes;
        self.count -= entry.count;
        if entry.item.is_droppable() {
            self.droppable_bytes -= entry.bytes;
        }
        if let Some(special) = &mut self.special
            && let Some(key) = entry.item.state_key()
        {
            special.states.remove(&key);
        }
    }

    pub(super) fn drop_counted(&mut self, count: usize) {
        self.dropped = self.dropped.saturating_add(count as u64);
    }

    /// Drops, and counts, what is not to stay.
    pub(super) fn retain(&mut self, stays: impl FnMut(&OutboxItem) -> bool) {
        for item in self.take_out(stays) {
            self.drop_counted(item.size().1);
        }
    }

    /// Takes out what is not to stay.
    pub(super) fn take_out(
        &mut self,
        mut stays: impl FnMut(&OutboxItem) -> bool,
    ) -> Vec<OutboxItem> {
        let mut out = Vec::new();
        for lane in Lane::ALL {
            let Some(entries) = self.lane(lane).map(std::mem::take) else {
                continue;
            };
            let mut left = VecDeque::with_capacity(entries.len());
            for entry in entries {
                if stays(&entry.item) {
                    left.push_back(entry);
                    continue;
                }
                self.forget(&entry);
                out.push(entry.item);
            }
            *self.lane_to_add(lane) = left;
        }
        out
    }

    /// Drops what is first somewhere, and not worth delivering any more.
    #[inline]
    pub(super) fn pass_over_expired(&mut self, now: Duration) {
        let is_expired = |lane| {
            let first = self.first_of(lane);
            first.is_some_and(|first| first.item.is_expired(now))
        };
        if Lane::ALL.into_iter().any(is_expired) {
            self.drop_expired(now);
        }
    }

    #[cold]
    fn drop_expired(&mut self, now: Duration) {
        for lane in Lane::ALL {
            while let Some(lane) = self.lane(lane)
                && lane.front().is_some_and(|first| first.item.is_expired(now))
            {
                let Some(entry) = lane.pop_front() else {
                    break;
                };
                self.forget(&entry);
                self.drop_counted(entry.count);
            }
        }
    }

    /// The next item, and its bytes: in order, but that of two that wait the urgent one goes first, as long as it has no more
    /// than half of the bytes.
    pub(super) fn pop(&mut self) -> Option<(OutboxItem, usize)> {
        self.pop_up_to(u32::MAX)
    }

    /// The item that [`Queue::pop`] takes.
    pub(super) fn peek(&self) -> Option<&OutboxItem> {
        let first = self.first_of(self.next_lane().0)?;
        Some(&first.item)
    }

    /// The same, but of a run of messages these many at most: the others stay the first.
    pub(super) fn pop_up_to(&mut self, count: u32) -> Option<(OutboxItem, usize)> {
        let (lane, both_wait) = self.next_lane();
        if !both_wait {
            self.urgent_lead = 0;
        }
        let mut entry = self.lane(lane)?.pop_front()?;
        if both_wait {
            let bytes = i64::try_from(entry.bytes).unwrap_or(i64::MAX);
            self.urgent_lead = match lane {
                Lane::Urgent => self.urgent_lead.saturating_add(bytes),
                _ => self.urgent_lead.saturating_sub(bytes),
            };
        }
        self.forget(&entry);
        if let OutboxItem::Publication(delivery) = &mut entry.item
            && delivery.publication.count > count
        {
            let mut rest = Publication::clone(&delivery.publication);
            let first = Arc::new(rest.split_off(count));
            let rest = OutboxItem::Publication(Delivery {
                publication: Arc::new(rest),
                ..delivery.clone()
            });
            delivery.publication = first;
            (entry.bytes, _) = entry.item.size();
            self.put_first(lane, entry.number, rest);
        }
        Some((entry.item, entry.bytes))
    }

    fn put_first(&mut self, lane: Lane, number: u64, item: OutboxItem) {
        let (bytes, count) = item.size();
        self.bytes += bytes;
        self.count += count;
        if item.is_droppable() {
            self.droppable_bytes += bytes;
        }
        self.lane_to_add(lane).push_front(Entry {
            number,
            item,
            bytes,
            count,
        });
    }

    /// Where the next item is, and whether others wait beside urgent ones.
    fn next_lane(&self) -> (Lane, bool) {
        let Some(special) = &self.special else {
            return (Lane::Normal, false);
        };
        let others = match (self.normal.front(), special.droppable.front()) {
            (Some(normal), Some(droppable)) if droppable.number < normal.number => Lane::Droppable,
            (None, Some(_)) => Lane::Droppable,
            _ => Lane::Normal,
        };
        let others_wait = match others {
            Lane::Droppable => !special.droppable.is_empty(),
            _ => !self.normal.is_empty(),
        };
        let both_wait = !special.urgent.is_empty() && others_wait;
        let lane = match special.urgent.is_empty()
            || both_wait && self.urgent_lead > 0 && !FaultInjection::UrgentAlways.is_on()
        {
            true => others,
            false => Lane::Urgent,
        };
        (lane, both_wait)
    }

    /// Gives back memory that a burst has left.
    pub(super) fn shrink(&mut self) {
        const FEW: usize = 64;
        for lane in Lane::ALL {
            if let Some(lane) = self.lane(lane)
                && lane.capacity() > FEW
            {
                lane.shrink_to(0);
            }
        }
        if let Some(special) = &mut self.special
            && special.states.capacity() > FEW
        {
            special.states.shrink_to(0);
        }
    }

    fn special(&mut self) -> &mut Special {
        self.special.get_or_insert_default()
    }

    /// Where a STATE of this key waits.
    fn number_of_state(&self, key: &(Bytes, u16, Bytes)) -> Option<u64> {
        self.special.as_ref()?.states.get(key).copied()
    }

    /// A lane, if there was ever something in it.
    fn lane(&mut self, lane: Lane) -> Option<&mut VecDeque<Entry>> {
        match lane {
            Lane::Normal => Some(&mut self.normal),
            Lane::Urgent => Some(&mut self.special.as_mut()?.urgent),
            Lane::Droppable => Some(&mut self.special.as_mut()?.droppable),
        }
    }

    /// A lane that something is added to.
    fn lane_to_add(&mut self, lane: Lane) -> &mut VecDeque<Entry> {
        match lane {
            Lane::Normal => &mut self.normal,
            Lane::Urgent => &mut self.special().urgent,
            Lane::Droppable => &mut self.special().droppable,
        }
    }

    /// The first item of a lane.
    #[inline]
    fn first_of(&self, lane: Lane) -> Option<&Entry> {
        match lane {
            Lane::Normal => self.normal.front(),
            Lane::Urgent => self.special.as_ref()?.urgent.front(),
            Lane::Droppable => self.special.as_ref()?.droppable.front(),
        }
    }

    /// What waits in the urgent queue, in the other one, and of LOG and METRIC.
    #[cfg(test)]
    pub(super) fn lanes(&self) -> [Vec<&OutboxItem>; 3] {
        let special = self.special.as_deref();
        let lanes = [
            special.map(|it| &it.urgent),
            Some(&self.normal),
            special.map(|it| &it.droppable),
        ];
        lanes.map(|lane| {
            let entries = lane.into_iter().flatten();
            entries.map(|entry| &entry.item).collect()
        })
    }
}

/// One of the three queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Urgent,
    Normal,
    Droppable,
}

impl Lane {
    const ALL: [Self; 3] = [Self::Urgent, Self::Normal, Self::Droppable];
}
