//! Waiting for room, and for those who came first.

use std::{
    future::poll_fn,
    task::{Context, Poll, Waker},
};

use super::{
    Link, State,
    wait_queue::{Ticket, WaitQueue},
};
use crate::{SendError, session::Blocked};

/// What an exchange waits for room in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Queue {
    Messages,
    Calls,
}

impl State {
    fn queue(&mut self, queue: Queue) -> &mut WaitQueue {
        match queue {
            Queue::Messages => &mut self.message_room,
            Queue::Calls => &mut self.call_room,
        }
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
            Blocked::NoRoom => Self::NoRoom,
            Blocked::Closing => Self::Failed(no_session),
            // For good, where no session follows and this one just has not heard of it.
            Blocked::Disconnected => Self::Failed(no_session),
            Blocked::Full => Self::Failed(SendError::Full),
        }
    }
}

impl Link {
    /// Tries once. `None` where there is no room, or others wait for it and are to go first.
    pub(super) fn now_if_room<T>(
        &self,
        queue: Queue,
        others_first: bool,
        attempt: impl FnOnce(&mut State) -> Attempt<T>,
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

    /// Queues up until the attempt finds room. Dropping the future leaves the queue; nothing was sent.
    pub(super) async fn when_room<T>(
        &self,
        queue: Queue,
        mut attempt: impl FnMut(&mut State) -> Attempt<T>,
    ) -> Result<T, SendError> {
        let mut place = Place {
            link: self,
            queue,
            ticket: None,
        };
        poll_fn(|context| place.poll(context, &mut attempt)).await
    }
}

/// A place in a queue for room, left when it is dropped.
struct Place<'a> {
    link: &'a Link,
    queue: Queue,
    ticket: Option<Ticket>,
}

impl Place<'_> {
    fn poll<T>(
        &mut self,
        context: &mut Context<'_>,
        attempt: impl FnOnce(&mut State) -> Attempt<T>,
    ) -> Poll<Result<T, SendError>> {
        let mut state = self.link.lock();
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
                    None => self.ticket = Some(state.queue(self.queue).join(context.waker())),
                }
                return Poll::Pending;
            }
        };
        let next = self
            .ticket
            .take()
            .and_then(|ticket| state.queue(self.queue).leave(ticket));
        state.unshelve();
        let driver = state.driver_to_wake();
        drop(state);
        [driver, next].into_iter().flatten().for_each(Waker::wake);
        Poll::Ready(result)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let wakers = {
                let mut state = self.link.lock();
                let next = state.queue(self.queue).leave(ticket);
                state.unshelve();
                [next, state.driver_to_wake()]
            };
            wakers.into_iter().flatten().for_each(Waker::wake);
        }
    }
}
