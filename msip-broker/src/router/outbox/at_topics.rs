//! What an outbox has at topics with a window of their own.

use std::time::Duration;

use bytes::Bytes;

use super::{Outbox, OutboxItem, Rejected, Status, topics::Full};
use crate::router::{Limits, WakeList};

impl Outbox {
    /// Adds what is heard at a topic with a window of its own.
    pub(super) fn push_at_topic(
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
    pub(in crate::router) fn open_window(&mut self, topic: &Bytes) {
        self.topics.get_or_insert_default().open(topic);
    }

    /// It does not any more. Returns what waited.
    pub(in crate::router) fn close_window(
        &mut self,
        topic: &[u8],
        wakes: &mut WakeList,
    ) -> Vec<OutboxItem> {
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
    pub(in crate::router) fn leave_topic(
        &mut self,
        topic: &[u8],
        wakes: &mut WakeList,
    ) -> Vec<OutboxItem> {
        let left = self.close_window(topic, wakes).into_iter();
        let (left, dropped): (Vec<_>, Vec<_>) = left.partition(OutboxItem::is_for_one);
        for item in dropped {
            self.queue.drop_counted(item.size().1);
        }
        left
    }

    /// At which topic with a window of its own messages of this topic are heard.
    pub(in crate::router) fn own_window_of(&self, topic: &Bytes) -> Option<Bytes> {
        self.topics.as_ref()?.heard_at(topic)
    }
}
