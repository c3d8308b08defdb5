//! Waiting for capacity: in the queue of what is sent, in the credit, or in the number of open calls.

use std::{
    future::poll_fn,
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{
    ConnectionInner, ConnectionShared,
    fault_injection::FaultInjection,
    wait_queue::{Ticket, WaitQueue},
};
use crate::{CloseReason, SendError};
use msip_session::{Blocked, Session};

/// Which queue an exchange waits in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Queue {
    Messages,
    Calls,
}

/// Why an attempt to send, with the lock held, has sent nothing.
#[derive(Debug)]
pub(super) enum NotSent {
    /// There may be capacity later.
    NoCapacity,
    /// A login goes on, and only its own handle may send.
    Held,
    Failed(SendError),
}

impl NotSent {
    /// Why the session has sent nothing; `closed` tells why no other session will follow.
    pub(super) fn blocked(blocked: Blocked, closed: Option<&CloseReason>) -> Self {
        match blocked {
            Blocked::NoCapacity => Self::NoCapacity,
            // For good, where no session follows and this one just has not heard of it.
            Blocked::Closing | Blocked::Disconnected => Self::Failed(no_session(closed)),
            Blocked::Full => Self::Failed(SendError::Full),
        }
    }
}

/// Why there is no session to send through.
pub(super) fn no_session(closed: Option<&CloseReason>) -> SendError {
    match closed {
        None => SendError::Disconnected,
        Some(CloseReason::ClosedByPeer(status)) => SendError::ClosedByPeer(status.clone()),
        Some(CloseReason::RuntimeGone) => SendError::RuntimeGone,
        Some(CloseReason::ClosedByUs | CloseReason::GaveUp(_)) => SendError::Closed,
    }
}

impl From<SendError> for NotSent {
    fn from(error: SendError) -> Self {
        Self::Failed(error)
    }
}

impl ConnectionInner {
    fn queue(&mut self, queue: Queue) -> &mut WaitQueue {
        match queue {
            Queue::Messages => &mut self.message_queue,
            Queue::Calls => &mut self.call_queue,
        }
    }

    /// A sender that was to go first has left.
    fn wake_next(&mut self, queue: Queue) {
        if FaultInjection::LeaveWithoutWaking.is_on() {
            return;
        }
        match queue {
            Queue::Messages => self.wake_next_message(),
            Queue::Calls => self.wake_one_call(),
        }
    }

    /// Wakes the first of the messages that wait, unless it would find no credit; it wakes the next.
    fn wake_next_message(&mut self) {
        let lacks_credit = self.session.awake().is_some_and(Session::lacks_credit);
        if !lacks_credit && !FaultInjection::IgnoreCredit.is_on() {
            self.message_queue.call_one(1, usize::MAX, &mut self.wakes);
        }
    }

    /// How many calls there is capacity for, and of how many bytes. Where there is nothing to wait for, everyone is to
    /// hear it.
    fn capacity_for_calls(&mut self) -> (usize, usize) {
        let capacity = self
            .session
            .as_mut()
            .and_then(|session| session.call_capacity());
        if FaultInjection::CloseSilently.is_on() {
            return capacity.unwrap_or((0, 0));
        }
        capacity.unwrap_or((usize::MAX, usize::MAX))
    }

    /// Wakes the first of the calls that wait, if there is capacity for it.
    pub(super) fn wake_one_call(&mut self) {
        let (count, len) = self.capacity_for_calls();
        self.call_queue.call_one(count, len, &mut self.wakes);
    }

    /// There may be capacity again: wakes the senders that wait for it.
    pub(crate) fn capacity_freed(&mut self) {
        self.send_droppable();
        self.report_dropped();
        self.stream_senders.capacity_freed(&mut self.wakes);
        self.wake_next_message();
        let (count, len) = self.capacity_for_calls();
        // The first may be one that is not counted, such as a PING.
        self.call_queue.call(count.max(1), len, &mut self.wakes);
    }

    /// Whether anyone, or anything, waits for capacity.
    pub(crate) fn is_capacity_awaited(&self) -> bool {
        !self.message_queue.is_empty()
            || !self.call_queue.is_empty()
            || self.stream_senders.is_awaiting_capacity()
            || self
                .session
                .awake()
                .is_some_and(|session| session.is_waiting() || session.has_dropped())
    }

    /// There is nothing left to wait for: wakes every sender that waits for capacity.
    pub(super) fn wake_all_waiting(&mut self) {
        self.message_queue.call_all(&mut self.wakes);
        self.call_queue.call_all(&mut self.wakes);
    }

    /// Sends what waits in the droppable queue of the session, as far as there is capacity beyond what other senders
    /// wait for.
    pub(super) fn send_droppable(&mut self) {
        let others = self.message_queue.len();
        if let Some(session) = self
            .session
            .awake_mut()
            .filter(|session| session.is_waiting())
        {
            session.send_droppable(others);
        }
    }
}

impl ConnectionShared {
    /// Tries once. `None` where there is no capacity, or others wait for it and are to go first.
    pub(super) fn try_now<T>(
        &self,
        queue: Queue,
        others_first: bool,
        attempt: impl FnOnce(&mut ConnectionInner) -> Result<T, NotSent>,
    ) -> Option<Result<T, SendError>> {
        let mut state = self.lock();
        if others_first && !state.queue(queue).is_empty() {
            return None;
        }
        match attempt(&mut state) {
            Ok(value) => {
                state.wake_driver();
                Some(Ok(value))
            }
            Err(NotSent::NoCapacity | NotSent::Held) => None,
            Err(NotSent::Failed(error)) => Some(Err(error)),
        }
    }

    /// Queues up until the attempt finds capacity for so many bytes. Dropping the future leaves the queue; nothing was
    /// sent.
    pub(super) async fn when_capacity<T>(
        &self,
        queue: Queue,
        len: usize,
        mut attempt: impl FnMut(&mut ConnectionInner) -> Result<T, NotSent>,
    ) -> Result<T, SendError> {
        let mut waiter = CapacityWaiter {
            connection: self,
            queue,
            len,
            // Its waiting is cut short from outside.
            deadline: Duration::MAX,
            ticket: None,
            login_ticket: None,
        };
        poll_fn(|task| waiter.poll(task, &mut attempt)).await
    }
}

/// A sender in a queue for capacity, which leaves it when this is dropped.
pub(super) struct CapacityWaiter<'a> {
    connection: &'a ConnectionShared,
    queue: Queue,
    len: usize,
    deadline: Duration,
    ticket: Option<Ticket>,
    /// In the queue of those who wait for a login, where it is in that one instead.
    login_ticket: Option<Ticket>,
}

impl<'a> CapacityWaiter<'a> {
    /// A call of so many bytes has found no capacity, and waits for some.
    pub(super) fn join(
        connection: &'a ConnectionShared,
        state: &mut ConnectionInner,
        len: usize,
        deadline: Duration,
        waker: Waker,
    ) -> Self {
        let is_next = deadline < state.call_queue.next_deadline();
        let ticket = state.call_queue.join(waker, len, deadline);
        // The driver keeps the time.
        if is_next && !FaultInjection::JoinWithoutDriver.is_on() {
            state.wake_driver();
        }
        Self {
            connection,
            queue: Queue::Calls,
            len,
            deadline,
            ticket: Some(ticket),
            login_ticket: None,
        }
    }

    /// When it is woken, whether there is capacity or not.
    pub(super) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Tries, when it may go. A call that runs out of time is polled then, and has to look.
    pub(super) fn poll<T>(
        &mut self,
        task: &mut Context<'_>,
        attempt: impl FnOnce(&mut ConnectionInner) -> Result<T, NotSent>,
    ) -> Poll<Result<T, SendError>> {
        let mut state = self.connection.lock();
        let may_go = match self.ticket {
            Some(ticket) => state.queue(self.queue).may_go(ticket),
            None => state.queue(self.queue).is_empty(),
        };
        // Without a session there is nothing to wait for.
        let attempted = if may_go || state.session.is_empty() {
            attempt(&mut state)
        } else {
            Err(NotSent::NoCapacity)
        };
        let result = match attempted {
            Ok(value) => Ok(value),
            Err(NotSent::Failed(error)) => Err(error),
            Err(NotSent::Held) => {
                self.wait_for_login(&mut state, task);
                return Poll::Pending;
            }
            Err(NotSent::NoCapacity) => {
                self.leave_gate(&mut state);
                let queue = state.queue(self.queue);
                let next_deadline = queue.next_deadline();
                match self.ticket {
                    Some(ticket) => queue.wait(ticket, task.waker()),
                    None => {
                        let waker = task.waker().clone();
                        self.ticket = Some(queue.join(waker, self.len, self.deadline));
                    }
                }
                if queue.next_deadline() < next_deadline {
                    // The driver keeps the time.
                    state.wake_driver();
                }
                return Poll::Pending;
            }
        };
        self.leave(&mut state);
        Poll::Ready(result)
    }

    /// Waits until the login is done, and not for capacity meanwhile: the login's own handle may.
    fn wait_for_login(&mut self, state: &mut ConnectionInner, task: &Context<'_>) {
        if self.ticket.is_some() {
            self.leave(state);
        }
        let next_deadline = state.next_deadline();
        // It was just found closed.
        let Some(gate) = &mut state.gate else {
            return;
        };
        match self.login_ticket {
            Some(ticket) => gate.waiters.wait(ticket, task.waker()),
            None => {
                let waker = task.waker().clone();
                self.login_ticket = Some(gate.waiters.join(waker, self.len, self.deadline));
            }
        }
        if state.next_deadline() < next_deadline {
            // The driver keeps the time.
            state.wake_driver();
        }
    }

    /// Does not wait for a login any longer.
    fn leave_gate(&mut self, state: &mut ConnectionInner) {
        if let Some(ticket) = self.login_ticket.take()
            && let Some(gate) = &mut state.gate
        {
            gate.waiters.leave(ticket);
        }
    }

    /// Leaves the queue, in which another one may be the first now.
    fn leave(&mut self, state: &mut ConnectionInner) {
        self.leave_gate(state);
        if let Some(ticket) = self.ticket.take()
            && state.queue(self.queue).leave(ticket)
        {
            state.wake_next(self.queue);
        }
        state.send_droppable();
        state.wake_driver();
    }
}

impl Drop for CapacityWaiter<'_> {
    fn drop(&mut self) {
        if self.ticket.is_some() || self.login_ticket.is_some() {
            let mut state = self.connection.lock();
            self.leave(&mut state);
        }
    }
}
