//! The senders of streams that wait: for capacity in the queue, or for credit.

use std::{collections::HashMap, task::Waker};

use super::wake_list::WakeList;
use msip_session::StreamSide;

/// The senders of streams that wait. One for each stream at most, so that the session's limits bound it.
#[derive(Debug, Default)]
pub(super) struct StreamSenders {
    /// In a box, which is there once one waits.
    waiting: Option<Box<Waiting>>,
    /// How many times one has begun to wait.
    waits: u64,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Those that wait for capacity in the queue: each asks again when there may be some.
    for_capacity: Vec<Waker>,
    /// Those that wait for credit, each for that of its own stream.
    for_credit: HashMap<StreamSide, Waker>,
}

impl StreamSenders {
    /// The sender of this stream asks again: when it has been granted credit, or where it has some, when there is
    /// capacity in the queue.
    pub(super) fn wait(&mut self, end: StreamSide, has_credit: bool, waker: &Waker) {
        let Waiting {
            for_capacity,
            for_credit,
        } = &mut **self.waiting.get_or_insert_default();
        if !has_credit {
            let before = for_credit.insert(end, waker.clone());
            self.waits += u64::from(before.is_none());
        } else if !for_capacity.iter().any(|known| known.will_wake(waker)) {
            for_capacity.push(waker.clone());
            self.waits += 1;
        }
    }

    /// How many times one has begun to wait.
    pub(super) const fn waits(&self) -> u64 {
        self.waits
    }

    #[inline]
    pub(super) fn is_awaiting_credit(&self) -> bool {
        let waiting = self.waiting.as_ref();
        waiting.is_some_and(|waiting| !waiting.for_credit.is_empty())
    }

    pub(super) fn is_awaiting_capacity(&self) -> bool {
        let waiting = self.waiting.as_ref();
        waiting.is_some_and(|waiting| !waiting.for_capacity.is_empty())
    }

    /// The sender of this stream, if it waits for credit.
    pub(super) fn remove(&mut self, end: StreamSide) -> Option<Waker> {
        let for_credit = &mut self.waiting.as_mut()?.for_credit;
        if for_credit.is_empty() {
            return None;
        }
        for_credit.remove(&end)
    }

    /// The queue may have capacity again.
    pub(super) fn capacity_freed(&mut self, wakes: &mut WakeList) {
        if let Some(waiting) = &mut self.waiting
            && !waiting.for_capacity.is_empty()
        {
            wakes.extend(waiting.for_capacity.drain(..));
        }
    }

    /// The connection was lost: wakes all.
    pub(super) fn wake_all(&mut self, wakes: &mut WakeList) {
        if let Some(waiting) = self.waiting.take() {
            wakes.extend(waiting.for_capacity);
            wakes.extend(waiting.for_credit.into_values());
        }
    }

    /// Gives back the memory that a burst needed.
    pub(super) fn release(&mut self) {
        self.waiting
            .take_if(|it| it.for_capacity.is_empty() && it.for_credit.is_empty());
        if let Some(waiting) = &mut self.waiting {
            waiting.for_capacity.shrink_to_fit();
        }
    }
}
