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
    #[expect(
        clippy::box_collection,
        reason = "a map takes 48 bytes where there is none"
    )]
    for_credit: Option<Box<HashMap<StreamSide, Waker>>>,
    /// How many times one has begun to wait.
    waits: u64,
}

impl StreamSenders {
    /// The sender of this stream asks again: when it has been granted credit, or where it has some, when there is
    /// capacity in the queue.
    pub(super) fn wait(&mut self, end: StreamSide, has_credit: bool, waker: &Waker) {
        if !has_credit {
            let before = self
                .for_credit
                .get_or_insert_default()
                .insert(end, waker.clone());
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
        self.for_credit.as_ref().is_some_and(|it| !it.is_empty())
    }

    pub(super) fn is_awaiting_capacity(&self) -> bool {
        !self.for_capacity.is_empty()
    }

    /// The sender of this stream, if it waits for credit.
    pub(super) fn remove(&mut self, end: StreamSide) -> Option<Waker> {
        let for_credit = self.for_credit.as_mut()?;
        if for_credit.is_empty() {
            return None;
        }
        for_credit.remove(&end)
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
        if let Some(for_credit) = self.for_credit.take() {
            wakes.extend(for_credit.into_values());
        }
    }

    /// Gives back the memory that a burst needed.
    pub(super) fn release(&mut self) {
        self.for_capacity.shrink_to_fit();
        self.for_credit.take_if(|it| it.is_empty());
    }
}
