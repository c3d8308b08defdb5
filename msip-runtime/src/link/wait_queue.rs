//! Senders that wait for room, first come first served.

use std::{collections::BTreeMap, task::Waker};

/// The place of a sender in its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// A queue of wakers. Only the first may go ahead; whoever leaves wakes the next, so that nobody is forgotten.
///
/// It is bounded by the number of futures that users keep waiting.
#[derive(Debug, Default)]
pub(crate) struct WaitQueue {
    waiting: BTreeMap<Ticket, Waker>,
    next: u64,
}

impl WaitQueue {
    /// Gives back memory that a burst needed: an empty map keeps a node.
    pub(crate) fn release(&mut self) {
        if self.waiting.is_empty() {
            self.waiting = BTreeMap::new();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Joins at the end.
    pub(crate) fn join(&mut self, waker: &Waker) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.waiting.insert(ticket, waker.clone());
        ticket
    }

    pub(crate) fn is_first(&self, ticket: Ticket) -> bool {
        self.waiting
            .first_key_value()
            .is_some_and(|(first, _)| *first == ticket)
    }

    /// Goes on waiting, under this waker.
    pub(crate) fn wait(&mut self, ticket: Ticket, waker: &Waker) {
        if let Some(known) = self.waiting.get_mut(&ticket) {
            known.clone_from(waker);
        }
    }

    /// Leaves, whether served or given up. Returns whom to wake.
    #[must_use]
    pub(crate) fn leave(&mut self, ticket: Ticket) -> Option<Waker> {
        let was_first = self.is_first(ticket);
        self.waiting.remove(&ticket);
        if was_first { self.first() } else { None }
    }

    /// Whom to wake when there is room.
    #[must_use]
    pub(crate) fn first(&self) -> Option<Waker> {
        self.waiting
            .first_key_value()
            .map(|(_, waker)| waker.clone())
    }

    /// Everyone, when there is nothing left to wait for. They leave by themselves.
    pub(crate) fn all(&self) -> impl Iterator<Item = Waker> + '_ {
        self.waiting.values().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_goes_first_and_wakes_the_next() {
        let mut queue = WaitQueue::default();
        let waker = Waker::noop();
        let (a, b, c) = (queue.join(waker), queue.join(waker), queue.join(waker));
        assert!(queue.is_first(a) && !queue.is_first(b));
        assert!(queue.leave(b).is_none(), "one from the middle wakes nobody");
        assert!(queue.leave(a).is_some(), "the first wakes the next");
        assert!(queue.is_first(c));
        assert!(queue.leave(c).is_none());
        assert!(queue.is_empty());
    }
}
