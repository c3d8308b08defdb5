//! The queue of senders that wait for capacity, first come first served.

use std::{collections::VecDeque, task::Waker, time::Duration};

use super::wake_list::WakeList;

/// The number of a sender in its queue: those before it have smaller ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// Entries of waiters that left early are removed when there are more of them than of others, and than this.
const MIN_GONE: usize = 32;

/// A queue of senders. As many of its front are called as there is capacity for: they are woken, and may go ahead.
///
/// It is bounded by the number of futures that users keep waiting. On most connections nobody ever waits, and it takes no memory.
#[derive(Debug, Default)]
pub(crate) struct WaitQueue(Option<Box<Waiters>>);

#[derive(Debug)]
struct Waiters {
    /// In the order of their tickets; the first is of a sender that is still there.
    entries: VecDeque<QueueEntry>,
    next: Ticket,
    /// No sender before this one waits to be called.
    first_waiting: Ticket,
    called: usize,
    /// How many bytes the woken senders have to send.
    called_len: usize,
    gone: usize,
    /// No sender runs out of time before.
    next_deadline: Duration,
}

#[derive(Debug)]
struct QueueEntry {
    ticket: Ticket,
    /// How much there is to send, in bytes.
    len: usize,
    deadline: Duration,
    state: EntryState,
}

#[derive(Debug)]
enum EntryState {
    Waiting(Waker),
    /// Woken, and not polled since.
    Called,
    /// Left before those in front.
    Gone,
}

impl Default for Waiters {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
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
        if let Some(waiters) = &mut self.0 {
            waiters.entries.shrink_to_fit();
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|it| it.entries.is_empty())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |it| it.entries.len() - it.gone)
    }

    /// How many senders have ever joined.
    pub(crate) fn joined(&self) -> u64 {
        self.0.as_ref().map_or(0, |it| it.next.0)
    }

    /// Whether a sender was called and not polled since.
    #[inline]
    pub(crate) fn has_called(&self) -> bool {
        self.0.as_ref().is_some_and(|it| it.called > 0)
    }

    /// Joins at the end, with so many bytes to send. Whoever runs out of time before it does is called at `deadline`;
    /// `Duration::MAX` is never.
    pub(crate) fn join(&mut self, waker: Waker, len: usize, deadline: Duration) -> Ticket {
        self.0.get_or_insert_default().join(waker, len, deadline)
    }

    /// Whether this one may go ahead.
    pub(crate) fn may_go(&self, ticket: Ticket) -> bool {
        self.0.as_ref().is_some_and(|it| it.may_go(ticket))
    }

    /// Goes on waiting, under this waker. A sender that ran out of time meanwhile, and was called for it, is called again:
    /// it may have looked at the clock before that.
    pub(crate) fn wait(&mut self, ticket: Ticket, waker: &Waker) {
        if let Some(waiters) = &mut self.0 {
            waiters.wait(ticket, waker);
        }
    }

    /// Leaves, whether served or given up. Returns whether it was its turn, so that another one may go instead.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> bool {
        self.0.as_mut().is_some_and(|it| it.leave(ticket))
    }

    /// There is capacity for so many senders, which have so many bytes to send, or a little more: they are woken.
    pub(crate) fn call(&mut self, count: usize, len: usize, wakes: &mut WakeList) {
        while self.call_one(count, len, wakes) {}
    }

    /// The same, for one of them at most. Returns whether there was one.
    pub(crate) fn call_one(&mut self, count: usize, len: usize, wakes: &mut WakeList) -> bool {
        let waiters = self.0.as_mut();
        waiters.is_some_and(|it| it.call_one(count, len, wakes))
    }

    /// Calls everyone, when there is nothing left to wait for. They leave by themselves.
    pub(crate) fn call_all(&mut self, wakes: &mut WakeList) {
        self.call(usize::MAX, usize::MAX, wakes);
    }

    /// The next deadline in the queue, or an earlier time; `Duration::MAX` is never.
    #[inline]
    pub(crate) fn next_deadline(&self) -> Duration {
        self.0.as_ref().map_or(Duration::MAX, |it| it.next_deadline)
    }

    /// Wakes the waiters that have timed out. They leave by themselves.
    pub(crate) fn call_late(&mut self, now: Duration, wakes: &mut WakeList) {
        if let Some(waiters) = &mut self.0 {
            waiters.call_late(now, wakes);
        }
    }
}

impl Waiters {
    fn join(&mut self, waker: Waker, len: usize, deadline: Duration) -> Ticket {
        let ticket = self.next;
        self.next.0 += 1;
        self.next_deadline = self.next_deadline.min(deadline);
        self.entries.push_back(QueueEntry {
            ticket,
            len,
            deadline,
            state: EntryState::Waiting(waker),
        });
        ticket
    }

    fn may_go(&self, ticket: Ticket) -> bool {
        let entry = self.find(ticket).and_then(|index| self.entries.get(index));
        self.is_first(ticket)
            || entry.is_some_and(|entry| matches!(entry.state, EntryState::Called))
    }

    fn is_first(&self, ticket: Ticket) -> bool {
        let first = self.entries.front();
        first.is_some_and(|first| first.ticket == ticket)
    }

    /// The index of a ticket's entry.
    fn find(&self, ticket: Ticket) -> Option<usize> {
        let first = self.entries.front()?.ticket;
        let distance = usize::try_from(ticket.0.checked_sub(first.0)?).ok()?;
        // The usual case: no entry has been taken out.
        let entry = self.entries.get(distance);
        if entry.is_some_and(|entry| entry.ticket == ticket) {
            return Some(distance);
        }
        let found = self
            .entries
            .binary_search_by_key(&ticket, |entry| entry.ticket);
        found.ok()
    }

    fn wait(&mut self, ticket: Ticket, waker: &Waker) {
        let Some(index) = self.find(ticket) else {
            return;
        };
        let Some(entry) = self.entries.get_mut(index) else {
            return;
        };
        match &mut entry.state {
            EntryState::Waiting(known) => known.clone_from(waker),
            state => {
                *state = EntryState::Waiting(waker.clone());
                self.called -= 1;
                self.called_len -= entry.len;
                self.first_waiting = self.first_waiting.min(ticket);
                self.next_deadline = self.next_deadline.min(entry.deadline);
            }
        }
    }

    fn leave(&mut self, ticket: Ticket) -> bool {
        let might_go = self.is_first(ticket);
        let Some(entry) = self
            .find(ticket)
            .and_then(|index| self.entries.get_mut(index))
        else {
            return false;
        };
        let was_called = matches!(entry.state, EntryState::Called);
        if was_called {
            self.called -= 1;
            self.called_len -= entry.len;
        }
        entry.state = EntryState::Gone;
        self.gone += 1;
        while let Some(EntryState::Gone) = self.entries.front().map(|entry| &entry.state) {
            self.entries.pop_front();
            self.gone -= 1;
        }
        if self.gone > MIN_GONE.max(self.entries.len() - self.gone) {
            self.entries
                .retain(|entry| !matches!(entry.state, EntryState::Gone));
            self.gone = 0;
        }
        if self.entries.is_empty() {
            self.next_deadline = Duration::MAX;
        }
        might_go || was_called
    }

    fn call_one(&mut self, count: usize, len: usize, wakes: &mut WakeList) -> bool {
        let has_capacity = self.called < count && (self.called_len < len || self.called == 0);
        has_capacity && self.call_next(wakes)
    }

    /// Wakes the first waiter. Returns whether there was one.
    fn call_next(&mut self, wakes: &mut WakeList) -> bool {
        let from = self
            .entries
            .partition_point(|entry| entry.ticket < self.first_waiting);
        for entry in self.entries.range_mut(from..) {
            self.first_waiting = Ticket(entry.ticket.0 + 1);
            if let Some(waker) = entry.call() {
                self.called += 1;
                self.called_len += entry.len;
                wakes.push(waker);
                return true;
            }
        }
        false
    }

    fn call_late(&mut self, now: Duration, wakes: &mut WakeList) {
        if now < self.next_deadline {
            return;
        }
        self.next_deadline = Duration::MAX;
        for entry in &mut self.entries {
            if entry.deadline > now {
                if !matches!(entry.state, EntryState::Gone) {
                    self.next_deadline = self.next_deadline.min(entry.deadline);
                }
            } else if let Some(waker) = entry.call() {
                self.called += 1;
                self.called_len += entry.len;
                wakes.push(waker);
            }
        }
    }
}

impl QueueEntry {
    /// Selects this sender, if it waits. Returns the waker to call.
    fn call(&mut self) -> Option<Waker> {
        if !matches!(self.state, EntryState::Waiting(_)) {
            return None;
        }
        match std::mem::replace(&mut self.state, EntryState::Called) {
            EntryState::Waiting(waker) => Some(waker),
            EntryState::Called | EntryState::Gone => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// How many are woken where there is capacity for so much.
    fn call(queue: &mut WaitQueue, count: usize, len: usize) -> usize {
        let mut wakes = WakeList::default();
        queue.call(count, len, &mut wakes);
        wakes.len()
    }

    /// How many have run out of time.
    fn call_late(queue: &mut WaitQueue, now: Duration) -> usize {
        let mut wakes = WakeList::default();
        queue.call_late(now, &mut wakes);
        wakes.len()
    }

    fn join(queue: &mut WaitQueue, len: usize) -> Ticket {
        queue.join(Waker::noop().clone(), len, Duration::MAX)
    }

    #[test]
    fn the_first_goes_first_and_another_one_after_it() {
        let mut queue = WaitQueue::default();
        let [a, b, c] = [0; 3].map(|len| join(&mut queue, len));
        assert!(queue.may_go(a) && !queue.may_go(b));
        assert!(!queue.leave(b), "one from the middle leaves no capacity");
        assert!(queue.leave(a), "the first does");
        assert!(queue.may_go(c));
        assert!(queue.leave(c));
        assert!(queue.is_empty());
        assert!(!queue.leave(c), "nobody leaves twice");
    }

    #[test]
    fn as_many_are_called_as_there_is_capacity_for_and_once_each() {
        let mut queue = WaitQueue::default();
        let tickets = [0; 5].map(|len| join(&mut queue, len));
        assert!(!queue.has_called());
        assert_eq!(call(&mut queue, 2, usize::MAX), 2);
        assert!(queue.has_called());
        assert_eq!(call(&mut queue, 3, usize::MAX), 1, "two are called");
        let may_go = tickets.iter().map(|ticket| queue.may_go(*ticket));
        assert!(may_go.eq([true, true, true, false, false]));
        assert!(queue.leave(tickets[1]), "in any order");
        queue.wait(tickets[0], Waker::noop());
        assert_eq!(queue.len(), 4);
        assert_eq!(call(&mut queue, 2, usize::MAX), 1);
        assert!(
            queue.may_go(tickets[0]) && !queue.may_go(tickets[3]),
            "who found no capacity is called again, before others"
        );
        assert_eq!(call(&mut queue, usize::MAX, usize::MAX), 2);
        for ticket in tickets {
            queue.leave(ticket);
        }
        assert!(queue.is_empty());
        let waiters = queue.0.as_ref().expect("somebody has waited");
        assert_eq!((waiters.called, waiters.gone), (0, 0));
    }

    #[test]
    fn as_many_are_called_as_have_capacity_for_what_they_send() {
        let mut queue = WaitQueue::default();
        let tickets = [100, 50, 70, 70].map(|len| join(&mut queue, len));
        assert_eq!(call(&mut queue, 9, 10), 1, "one, however much it has");
        assert_eq!(call(&mut queue, 9, 100), 0);
        assert_eq!(call(&mut queue, 9, 150), 1);
        queue.leave(tickets[0]);
        assert_eq!(call(&mut queue, 9, 150), 2, "50, and 120");
        for ticket in tickets {
            queue.leave(ticket);
        }
        let called_len = queue.0.as_ref().map(|waiters| waiters.called_len);
        assert_eq!((called_len, queue.len()), (Some(0), 0));
    }

    #[test]
    fn who_runs_out_of_time_is_called_when_it_does() {
        let mut queue = WaitQueue::default();
        let noop = Waker::noop();
        let late = queue.join(noop.clone(), 0, SECOND * 3);
        let early = queue.join(noop.clone(), 0, SECOND);
        join(&mut queue, 0);
        assert_eq!(queue.next_deadline(), SECOND);
        assert_eq!(call_late(&mut queue, SECOND / 2), 0);
        assert_eq!(call_late(&mut queue, SECOND), 1);
        assert!(queue.may_go(early));
        queue.wait(early, noop);
        assert_eq!(queue.next_deadline(), SECOND, "it has looked too early");
        assert_eq!(call_late(&mut queue, SECOND), 1);
        queue.leave(early);
        assert_eq!(queue.next_deadline(), SECOND * 3);
        assert_eq!(call_late(&mut queue, SECOND * 4), 1);
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
            let entries = queue.0.as_ref().map_or(0, |waiters| waiters.entries.len());
            assert!(entries <= 3 + MIN_GONE);
        }
        let newest = join(&mut queue, 0);
        assert_eq!(call(&mut queue, 2, usize::MAX), 2);
        assert!(queue.may_go(last) && !queue.may_go(newest));
        for ticket in [first, last, newest] {
            assert!(queue.leave(ticket));
        }
        queue.release();
        let capacity = queue.0.map(|waiters| waiters.entries.capacity());
        assert_eq!(capacity, Some(0));
    }
}
