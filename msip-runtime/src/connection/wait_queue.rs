//! Senders that wait for room, first come first served.

use std::{collections::VecDeque, task::Waker, time::Duration};

/// The place of a sender in its queue: those before it have smaller ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// As many places of those who left early are kept, or as many as there are others: then they are taken out.
const MIN_GONE: usize = 32;

/// A queue of wakers. As many are called to its front as there is room for, and they may go ahead.
///
/// It is bounded by the number of futures that users keep waiting.
#[derive(Debug)]
pub(crate) struct WaitQueue {
    /// In the order of their tickets; the first is of somebody who is still there.
    places: VecDeque<QueueRow>,
    next: Ticket,
    /// Nobody before this one waits to be called.
    first_waiting: Ticket,
    called: usize,
    /// How much those have to send who are called.
    called_len: usize,
    gone: usize,
    /// Nobody runs out of time before.
    next_deadline: Duration,
}

#[derive(Debug)]
struct QueueRow {
    ticket: Ticket,
    /// How much there is to send, in bytes.
    len: usize,
    deadline: Duration,
    who: Who,
}

#[derive(Debug)]
enum Who {
    Waiting(Waker),
    /// Woken, and not polled since.
    Called,
    /// Left before those in front.
    Gone,
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self {
            places: VecDeque::new(),
            next: Ticket(0),
            first_waiting: Ticket(0),
            called: 0,
            called_len: 0,
            gone: 0,
            next_deadline: Duration::MAX,
        }
    }
}

impl WaitQueue {
    /// Gives back memory that a burst needed.
    pub(crate) fn release(&mut self) {
        self.places.shrink_to_fit();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.gone
    }

    /// Whether somebody was called and has not come since.
    pub(crate) fn has_called(&self) -> bool {
        self.called > 0
    }

    /// Joins at the end, with so many bytes to send. Whoever runs out of time before it does is called at `deadline`;
    /// `Duration::MAX` is never.
    pub(crate) fn join(&mut self, waker: Waker, len: usize, deadline: Duration) -> Ticket {
        let ticket = self.next;
        self.next.0 += 1;
        self.next_deadline = self.next_deadline.min(deadline);
        self.places.push_back(QueueRow {
            ticket,
            len,
            deadline,
            who: Who::Waiting(waker),
        });
        ticket
    }

    /// Whether this one may go ahead.
    pub(crate) fn may_go(&self, ticket: Ticket) -> bool {
        let place = self.find(ticket).and_then(|index| self.places.get(index));
        self.is_first(ticket) || place.is_some_and(|place| matches!(place.who, Who::Called))
    }

    fn is_first(&self, ticket: Ticket) -> bool {
        let first = self.places.front();
        first.is_some_and(|first| first.ticket == ticket)
    }

    /// Where a ticket's place is.
    fn find(&self, ticket: Ticket) -> Option<usize> {
        let first = self.places.front()?.ticket;
        let distance = usize::try_from(ticket.0.checked_sub(first.0)?).ok()?;
        // Where nobody has been taken out, which is usual.
        let place = self.places.get(distance);
        if place.is_some_and(|place| place.ticket == ticket) {
            return Some(distance);
        }
        let found = self
            .places
            .binary_search_by_key(&ticket, |place| place.ticket);
        found.ok()
    }

    /// Goes on waiting, under this waker.
    pub(crate) fn wait(&mut self, ticket: Ticket, waker: &Waker) {
        let Some(index) = self.find(ticket) else {
            return;
        };
        let Some(place) = self.places.get_mut(index) else {
            return;
        };
        match &mut place.who {
            Who::Waiting(known) => known.clone_from(waker),
            who => {
                *who = Who::Waiting(waker.clone());
                self.called -= 1;
                self.called_len -= place.len;
                self.first_waiting = self.first_waiting.min(ticket);
            }
        }
    }

    /// Leaves, whether served or given up. Returns whether it was its turn, so that another one may go instead.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> bool {
        let might_go = self.is_first(ticket);
        let Some(place) = self
            .find(ticket)
            .and_then(|index| self.places.get_mut(index))
        else {
            return false;
        };
        let was_called = matches!(place.who, Who::Called);
        if was_called {
            self.called -= 1;
            self.called_len -= place.len;
        }
        place.who = Who::Gone;
        self.gone += 1;
        while let Some(Who::Gone) = self.places.front().map(|place| &place.who) {
            self.places.pop_front();
            self.gone -= 1;
        }
        if self.gone > MIN_GONE.max(self.len()) {
            self.places.retain(|place| !matches!(place.who, Who::Gone));
            self.gone = 0;
        }
        if self.places.is_empty() {
            self.next_deadline = Duration::MAX;
        }
        might_go || was_called
    }

    /// There is room for so many, who have so many bytes to send, or a little more. Returns whom to wake.
    pub(crate) fn call(&mut self, count: usize, len: usize) -> impl Iterator<Item = Waker> + '_ {
        std::iter::from_fn(move || {
            let has_room = self.called < count && (self.called_len < len || self.called == 0);
            has_room.then(|| self.call_next()).flatten()
        })
    }

    /// The first of those who wait is called. Returns whom to wake.
    fn call_next(&mut self) -> Option<Waker> {
        let from = self
            .places
            .partition_point(|place| place.ticket < self.first_waiting);
        for place in self.places.range_mut(from..) {
            self.first_waiting = Ticket(place.ticket.0 + 1);
            if let Some(waker) = place.call() {
                self.called += 1;
                self.called_len += place.len;
                return Some(waker);
            }
        }
        None
    }

    /// Everyone, when there is nothing left to wait for. They leave by themselves.
    pub(crate) fn all(&mut self) -> impl Iterator<Item = Waker> + '_ {
        self.call(usize::MAX, usize::MAX)
    }

    /// When somebody may run out of time; `Duration::MAX` is never.
    pub(crate) fn next_deadline(&self) -> Duration {
        self.next_deadline
    }

    /// Those who have run out of time. They leave by themselves.
    pub(crate) fn late(&mut self, now: Duration) -> Vec<Waker> {
        let mut late = Vec::new();
        if now < self.next_deadline {
            return late;
        }
        self.next_deadline = Duration::MAX;
        for place in &mut self.places {
            if place.deadline > now {
                if !matches!(place.who, Who::Gone) {
                    self.next_deadline = self.next_deadline.min(place.deadline);
                }
            } else if let Some(waker) = place.call() {
                self.called += 1;
                self.called_len += place.len;
                late.push(waker);
            }
        }
        late
    }
}

impl QueueRow {
    /// It is called, if it waits. Returns whom to wake.
    fn call(&mut self) -> Option<Waker> {
        if !matches!(self.who, Who::Waiting(_)) {
            return None;
        }
        match std::mem::replace(&mut self.who, Who::Called) {
            Who::Waiting(waker) => Some(waker),
            Who::Called | Who::Gone => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn join(queue: &mut WaitQueue, len: usize) -> Ticket {
        queue.join(Waker::noop().clone(), len, Duration::MAX)
    }

    #[test]
    fn the_first_goes_first_and_another_one_after_it() {
        let mut queue = WaitQueue::default();
        let [a, b, c] = [0; 3].map(|len| join(&mut queue, len));
        assert!(queue.may_go(a) && !queue.may_go(b));
        assert!(!queue.leave(b), "one from the middle leaves no room");
        assert!(queue.leave(a), "the first does");
        assert!(queue.may_go(c));
        assert!(queue.leave(c));
        assert!(queue.is_empty());
        assert!(!queue.leave(c), "nobody leaves twice");
    }

    #[test]
    fn as_many_are_called_as_there_is_room_for_and_once_each() {
        let mut queue = WaitQueue::default();
        let tickets = [0; 5].map(|len| join(&mut queue, len));
        assert!(!queue.has_called());
        assert_eq!(queue.call(2, usize::MAX).count(), 2);
        assert!(queue.has_called());
        assert_eq!(queue.call(3, usize::MAX).count(), 1, "two are called");
        let may_go = tickets.iter().map(|ticket| queue.may_go(*ticket));
        assert!(may_go.eq([true, true, true, false, false]));
        assert!(queue.leave(tickets[1]), "in any order");
        queue.wait(tickets[0], Waker::noop());
        assert_eq!(queue.len(), 4);
        assert_eq!(queue.call(2, usize::MAX).count(), 1);
        assert!(
            queue.may_go(tickets[0]) && !queue.may_go(tickets[3]),
            "who found no room is called again, before others"
        );
        assert_eq!(queue.all().count(), 2);
        for ticket in tickets {
            queue.leave(ticket);
        }
        assert!(queue.is_empty());
        assert_eq!((queue.called, queue.gone), (0, 0));
    }

    #[test]
    fn as_many_are_called_as_have_room_for_what_they_send() {
        let mut queue = WaitQueue::default();
        let tickets = [100, 50, 70, 70].map(|len| join(&mut queue, len));
        assert_eq!(queue.call(9, 10).count(), 1, "one, however much it has");
        assert_eq!(queue.call(9, 100).count(), 0);
        assert_eq!(queue.call(9, 150).count(), 1);
        queue.leave(tickets[0]);
        assert_eq!(queue.call(9, 150).count(), 2, "50, and 120");
        for ticket in tickets {
            queue.leave(ticket);
        }
        assert_eq!((queue.called_len, queue.len()), (0, 0));
    }

    #[test]
    fn who_runs_out_of_time_is_called_when_it_does() {
        let mut queue = WaitQueue::default();
        let noop = Waker::noop();
        let late = queue.join(noop.clone(), 0, SECOND * 3);
        let early = queue.join(noop.clone(), 0, SECOND);
        join(&mut queue, 0);
        assert_eq!(queue.next_deadline(), SECOND);
        assert_eq!(queue.late(SECOND / 2).len(), 0);
        assert_eq!(queue.late(SECOND).len(), 1);
        assert!(queue.may_go(early));
        queue.leave(early);
        assert_eq!(queue.next_deadline(), SECOND * 3);
        assert_eq!(queue.late(SECOND * 4).len(), 1);
        queue.leave(late);
        assert_eq!(queue.next_deadline(), Duration::MAX);
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn those_who_leave_early_leave_no_memory_behind() {
        let mut queue = WaitQueue::default();
        let first = join(&mut queue, 0);
        let last = join(&mut queue, 0);
        for _ in 0..1000 {
            let ticket = join(&mut queue, 0);
            assert!(!queue.leave(ticket));
            assert!(queue.places.len() <= 3 + MIN_GONE);
        }
        let newest = join(&mut queue, 0);
        assert_eq!(queue.call(2, usize::MAX).count(), 2);
        assert!(queue.may_go(last) && !queue.may_go(newest));
        for ticket in [first, last, newest] {
            assert!(queue.leave(ticket));
        }
        queue.release();
        assert_eq!(queue.places.capacity(), 0);
    }
}
