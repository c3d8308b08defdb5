//! The senders of streams that wait: for capacity in the queue, or for credit.

use std::{collections::HashMap, task::Waker};

use super::wake_list::WakeList;
use msip_session::StreamSide;

/// The senders of streams that wait. One for each stream at most, so that the session's limits bound it.
#[derive(Debug, Default)]
pub(super) struct StreamSenders {
    /// Those that wait for capacity in the queue: each asks again when there may be some.
    for_capacity: Vec<Waker>,
    /// Those that wait for credit, each for that of its own stream.
    for_credit: HashMap<StreamSide, Waker>,
    /// How many times one has begun to wait.
    waits: u64,
}

impl StreamSenders {
    /// The sender of this stream asks again: when it has been granted credit, or where it has some, when there is
    /// capacity in the queue.
    pub(super) fn wait(&mut self, end: StreamSide, has_credit: bool, waker: &Waker) {
        if !has_credit {
            let before = self.for_credit.insert(end, waker.clone());
            self.waits += u64::from(before.is_none());
        } else if !self.for_capacity.iter().any(|known| known.will_wake(waker)) {
            self.for_capacity.push(waker.clone());
            self.waits += 1;
        }
    }

    /// How many times one has begun to wait.
    pub(super) const fn waits(&self) -> u64 {
        self.waits
    }

    #[inline]
    pub(super) fn is_awaiting_credit(&self) -> bool {
        !self.for_credit.is_empty()
    }

    pub(super) fn is_awaiting_capacity(&self) -> bool {
        !self.for_capacity.is_empty()
    }

    /// The sender of this stream, if it waits for credit.
    pub(super) fn remove(&mut self, end: StreamSide) -> Option<Waker> {
        if self.for_credit.is_empty() {
            return None;
        }
        self.for_credit.remove(&end)
    }

    /// The queue may have capacity again.
    pub(super) fn capacity_freed(&mut self, wakes: &mut WakeList) {
        if !self.for_capacity.is_empty() {
            wakes.extend(self.for_capacity.drain(..));
        }
    }

    /// The connection was lost: wakes all.
    pub(super) fn wake_all(&mut self, wakes: &mut WakeList) {
        self.capacity_freed(wakes);
        wakes.extend(self.for_credit.drain().map(|(_, waker)| waker));
    }

    /// Gives back the memory that a burst needed.
    pub(super) fn release(&mut self) {
        self.for_capacity.shrink_to_fit();
    }
}
