//! Senders that wait for room, first come first served.

use std::{
    collections::{BTreeMap, BTreeSet},
    task::Waker,
};

/// The place of a sender in its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// A queue of wakers. As many are called to its front as there is room for, and they may go ahead; whoever leaves calls
/// the next, so that nobody is forgotten.
///
/// It is bounded by the number of futures that users keep waiting.
#[derive(Debug, Default)]
pub(crate) struct WaitQueue {
    waiting: BTreeMap<Ticket, Waker>,
    /// Those that were woken and have not been polled since.
    called: BTreeSet<Ticket>,
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
        self.waiting.is_empty() && self.called.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.called.len()
    }

    /// Joins at the end.
    pub(crate) fn join(&mut self, waker: &Waker) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.waiting.insert(ticket, waker.clone());
        ticket
    }

    /// Whether this one may go ahead.
    pub(crate) fn may_go(&self, ticket: Ticket) -> bool {
        self.called.contains(&ticket) || self.is_first(ticket)
    }

    fn is_first(&self, ticket: Ticket) -> bool {
        let first = self.waiting.first_key_value().map(|(first, _)| first);
        let called = self.called.first();
        called.into_iter().chain(first).min() == Some(&ticket)
    }

    /// Goes on waiting, under this waker.
    pub(crate) fn wait(&mut self, ticket: Ticket, waker: &Waker) {
        if self.called.remove(&ticket) {
            self.waiting.insert(ticket, waker.clone());
        } else if let Some(known) = self.waiting.get_mut(&ticket) {
            known.clone_from(waker);
        }
    }

    /// Leaves, whether served or given up. Returns whom to wake.
    #[must_use]
    pub(crate) fn leave(&mut self, ticket: Ticket) -> Option<Waker> {
        let might_go = self.may_go(ticket);
        self.called.remove(&ticket);
        self.waiting.remove(&ticket);
        if might_go { self.call_next() } else { None }
    }

    /// There is room for so many. Returns whom to wake.
    pub(crate) fn call(&mut self, count: usize) -> impl Iterator<Item = Waker> + '_ {
        let more = count.saturating_sub(self.called.len());
        (0..more).map_while(|_| self.call_next())
    }

    fn call_next(&mut self) -> Option<Waker> {
        let (ticket, waker) = self.waiting.pop_first()?;
        self.called.insert(ticket);
        Some(waker)
    }

    /// Everyone, when there is nothing left to wait for. They leave by themselves.
    pub(crate) fn all(&mut self) -> impl Iterator<Item = Waker> + '_ {
        self.call(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_goes_first_and_calls_the_next() {
        let mut queue = WaitQueue::default();
        let waker = Waker::noop();
        let (a, b, c) = (queue.join(waker), queue.join(waker), queue.join(waker));
        assert!(queue.may_go(a) && !queue.may_go(b));
        assert!(queue.leave(b).is_none(), "one from the middle calls nobody");
        assert!(queue.leave(a).is_some(), "the first calls the next");
        assert!(queue.may_go(c));
        assert!(queue.leave(c).is_none());
        assert!(queue.is_empty());
    }

    #[test]
    fn as_many_are_called_as_there_is_room_for_and_once_each() {
        let mut queue = WaitQueue::default();
        let waker = Waker::noop();
        let tickets: Vec<Ticket> = (0..5).map(|_| queue.join(waker)).collect();
        assert_eq!(queue.call(2).count(), 2);
        assert_eq!(queue.call(3).count(), 1, "two of them are called already");
        let may_go = tickets.iter().map(|ticket| queue.may_go(*ticket));
        assert!(may_go.eq([true, true, true, false, false]));
        assert!(queue.leave(tickets[1]).is_some(), "in any order");
        queue.wait(tickets[0], waker);
        assert_eq!(queue.len(), 4);
        assert_eq!(
            queue.call(3).count(),
            1,
            "who found no room is called again"
        );
        assert!(queue.may_go(tickets[0]));
        assert_eq!(queue.all().count(), 1);
        for ticket in tickets {
            let _ = queue.leave(ticket);
        }
        assert!(queue.is_empty());
    }

    #[test]
    fn who_was_called_and_gives_up_calls_another() {
        let mut queue = WaitQueue::default();
        let waker = Waker::noop();
        let (a, b) = (queue.join(waker), queue.join(waker));
        assert_eq!(queue.call(1).count(), 1);
        assert!(queue.leave(a).is_some());
        assert!(queue.may_go(b));
    }
}
