//! Waiting for capacity, and for those who came first.

use std::{
    future::poll_fn,
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{
    ConnectionInner, ConnectionShared,
    wait_queue::{Ticket, WaitQueue},
};
use crate::SendError;
use msip_session::{Blocked, Session};

/// What an exchange waits for capacity in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Queue {
    Messages,
    Calls,
}

impl ConnectionInner {
    fn queue(&mut self, queue: Queue) -> &mut WaitQueue {
        match queue {
            Queue::Messages => &mut self.message_room,
            Queue::Calls => &mut self.call_room,
        }
    }

    /// Somebody who was to go first has left. Returns whom to wake.
    fn call_another(&mut self, queue: Queue) -> Option<Waker> {
        match queue {
            Queue::Messages => self.wake_next_message(),
            Queue::Calls => self.call_those_who_fit(0).next(),
        }
    }

    /// The first of the messages that wait, unless it would find no credit; it calls the next. Returns whom to wake.
    pub(super) fn wake_next_message(&mut self) -> Option<Waker> {
        if self.session.as_ref().is_some_and(Session::lacks_credit) {
            return None;
        }
        self.message_room.call(1, usize::MAX).next()
    }

    /// As many of the calls that wait as there is capacity for, and `at_least` so many. Returns whom to wake.
    pub(super) fn call_those_who_fit(
        &mut self,
        at_least: usize,
    ) -> impl Iterator<Item = Waker> + '_ {
        let capacity = self.session.as_ref().and_then(Session::call_capacity);
        // Where there is nothing to wait for, everyone is to hear it.
        let (count, len) = capacity.unwrap_or((usize::MAX, usize::MAX));
        self.call_room.call(count.max(at_least), len)
    }
}

/// What came of an attempt to send, with the lock held.
pub(super) enum Attempt<T> {
    Done(T),
    NoRoom,
    Failed(SendError),
}

impl<T> Attempt<T> {
    pub(super) fn blocked(blocked: Blocked, no_session: SendError) -> Self {
        match blocked {
            Blocked::NoCapacity => Self::NoRoom,
            Blocked::Closing => Self::Failed(no_session),
            // For good, where no session follows and this one just has not heard of it.
            Blocked::Disconnected => Self::Failed(no_session),
            Blocked::Full => Self::Failed(SendError::Full),
        }
    }
}

impl ConnectionShared {
    /// Tries once. `None` where there is no capacity, or others wait for it and are to go first.
    pub(super) fn now_if_room<T>(
        &self,
        queue: Queue,
        others_first: bool,
        attempt: impl FnOnce(&mut ConnectionInner) -> Attempt<T>,
    ) -> Option<Result<T, SendError>> {
        let (value, waker) = {
            let mut state = self.lock();
            if others_first && !state.queue(queue).is_empty() {
                return None;
            }
            match attempt(&mut state) {
                Attempt::Done(value) => (value, state.driver_to_wake()),
                Attempt::NoRoom => return None,
                Attempt::Failed(error) => return Some(Err(error)),
            }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Some(Ok(value))
    }

    /// Queues up until the attempt finds capacity for so many bytes. Dropping the future leaves the queue; nothing was sent.
    pub(super) async fn when_room<T>(
        &self,
        queue: Queue,
        len: usize,
        mut attempt: impl FnMut(&mut ConnectionInner) -> Attempt<T>,
    ) -> Result<T, SendError> {
        let mut place = CapacityWaiter {
            connection: self,
            queue,
            len,
            // Its waiting is cut short from outside.
            deadline: Duration::MAX,
            ticket: None,
        };
        poll_fn(|context| place.poll(context, &mut attempt)).await
    }
}

/// A place in a queue for capacity, left when it is dropped.
pub(super) struct CapacityWaiter<'a> {
    connection: &'a ConnectionShared,
    queue: Queue,
    len: usize,
    deadline: Duration,
    ticket: Option<Ticket>,
}

impl<'a> CapacityWaiter<'a> {
    /// A call with so many bytes has found no capacity, and waits for some. Returns whom to wake.
    pub(super) fn join(
        connection: &'a ConnectionShared,
        state: &mut ConnectionInner,
        len: usize,
        deadline: Duration,
        waker: Waker,
    ) -> (Self, Option<Waker>) {
        let is_next = deadline < state.call_room.next_deadline();
        let place = Self {
            connection,
            queue: Queue::Calls,
            len,
            deadline,
            ticket: Some(state.call_room.join(waker, len, deadline)),
        };
        // The driver keeps the time.
        let driver = is_next.then(|| state.driver_to_wake()).flatten();
        (place, driver)
    }

    /// When it is called, whether there is capacity or not.
    pub(super) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Tries, when it may go. A call that runs out of time is polled then, and has to look.
    pub(super) fn poll<T>(
        &mut self,
        context: &mut Context<'_>,
        attempt: impl FnOnce(&mut ConnectionInner) -> Attempt<T>,
    ) -> Poll<Result<T, SendError>> {
        let mut state = self.connection.lock();
        let may_go = match self.ticket {
            Some(ticket) => state.queue(self.queue).may_go(ticket),
            None => state.queue(self.queue).is_empty(),
        };
        // Without a session nobody has anything to wait for.
        let attempted = if may_go || state.session.is_none() {
            attempt(&mut state)
        } else {
            Attempt::NoRoom
        };
        let result = match attempted {
            Attempt::Done(value) => Ok(value),
            Attempt::Failed(error) => Err(error),
            Attempt::NoRoom => {
                match self.ticket {
                    Some(ticket) => state.queue(self.queue).wait(ticket, context.waker()),
                    None => {
                        let (waker, len) = (context.waker().clone(), self.len);
                        let queue = state.queue(self.queue);
                        self.ticket = Some(queue.join(waker, len, self.deadline));
                    }
                }
                return Poll::Pending;
            }
        };
        let next = self.leave(&mut state);
        state.send_droppable();
        let driver = state.driver_to_wake();
        drop(state);
        [driver, next].into_iter().flatten().for_each(Waker::wake);
        Poll::Ready(result)
    }

    /// Leaves the queue. Returns whom to wake.
    fn leave(&mut self, state: &mut ConnectionInner) -> Option<Waker> {
        let ticket = self.ticket.take()?;
        let was_its_turn = state.queue(self.queue).leave(ticket);
        was_its_turn
            .then(|| state.call_another(self.queue))
            .flatten()
    }
}

impl Drop for CapacityWaiter<'_> {
    fn drop(&mut self) {
        if self.ticket.is_some() {
            let wakers = {
                let mut state = self.connection.lock();
                let next = self.leave(&mut state);
                state.send_droppable();
                [next, state.driver_to_wake()]
            };
            wakers.into_iter().flatten().for_each(Waker::wake);
        }
    }
}
