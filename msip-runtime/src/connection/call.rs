//! The fast path of calls: those without metadata, which most are.
//!
//! One lock of the connection opens a call, and none takes its answer. A call that finds no capacity joins the queue
//! under the same lock, and needs neither a box nor a timer to wait there.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{
    ConnectionInner, ConnectionShared,
    capacity::{CapacityWaiter, NotSent, no_session},
    deadline::{MIN_TIMEOUT, whole_ms},
    exchange_table::OpenedExchange,
    message::Outgoing,
    pending_reply::PendingReply,
    reply_slot::ReplySlot,
};
use crate::{CallOptions, SendError, Variant, body::Encoding, options::NO_OPTIONS};
use msip_session::{BareHead, CallShape, Outcome, RequestHead};

/// A call that has waited for less than its timeout divided by this does not send what remains: what passes on the way
/// to the peer is not counted either.
const NEGLIGIBLE_WAIT: u32 = 64;

impl ConnectionShared {
    /// Sends a request as most are, once there is capacity, and waits for its answer. `None` where it is another, and
    /// nothing has happened.
    #[inline]
    pub(super) fn call_fast<'a, E: Outgoing>(
        &'a self,
        request: &'a E,
        options: &'a CallOptions,
    ) -> FastCall<'a, E> {
        FastCall {
            connection: self,
            request,
            options,
            step: Step::New,
        }
    }

    /// How long the answer to a request may take where the caller does not say.
    pub(super) fn timeout_of<E: Outgoing>(&self, request: &E) -> Duration {
        request
            .variant()
            .and_then(|variant| self.time_limit(variant, &NO_OPTIONS))
            .unwrap_or(self.call_timeout)
    }
}

/// A call on the fast path. Dropping it gives the call up.
pub(super) struct FastCall<'a, E> {
    connection: &'a ConnectionShared,
    request: &'a E,
    options: &'a CallOptions,
    step: Step<'a>,
}

enum Step<'a> {
    New,
    /// It waits for capacity.
    Waiting {
        waiter: CapacityWaiter<'a>,
        variant: &'a Variant,
        timeout: Duration,
        reply: Arc<ReplySlot>,
    },
    Called(PendingReply<&'a ConnectionShared>),
}

impl<E: Outgoing> Future for FastCall<'_, E> {
    type Output = Option<Result<(Outcome, Encoding), SendError>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        match &mut this.step {
            Step::Called(pending) => pending.poll(task).map(|outcome| Some(Ok(outcome))),
            Step::Waiting { .. } => this.poll_waiting(task),
            Step::New => this.begin(task.waker()),
        }
    }
}

impl<E: Outgoing> FastCall<'_, E> {
    /// Opens the call, or joins the queue for capacity.
    #[inline]
    fn begin(&mut self, waker: &Waker) -> Poll<<Self as Future>::Output> {
        let (connection, request) = (self.connection, self.request);
        let Some(variant) = request.variant() else {
            return Poll::Ready(None);
        };
        if !request.is_bare() || !connection.is_bare(variant, self.options) {
            return Poll::Ready(None);
        }
        let Some((timeout, deadline)) = connection.usual_deadline(variant) else {
            return Poll::Ready(None);
        };
        let len = request.encoded_len();
        let reply = ReplySlot::new(Some(waker.clone()));
        let mut state = connection.lock();
        if state.is_gated || !state.encoding.is_identity() {
            return Poll::Ready(None);
        }
        let is_first = state.call_queue.is_empty();
        let ConnectionInner {
            session, exchanges, ..
        } = &mut *state;
        let Some(session) = session.as_mut() else {
            return Poll::Ready(None);
        };
        if is_first {
            let entry = exchanges.vacant_entry();
            let head = variant.bare_head(request.topic());
            let slot = session.call_fast(&head, entry.token(), deadline, len, |buffer| {
                request.encode(buffer);
            });
            if let Some(slot) = slot {
                let opened = entry.insert_unary(slot, reply);
                self.step = Step::Called(opened.pending(connection));
                state.wake_driver();
                return Poll::Pending;
            }
        }
        // Else it is for the slow path to say what becomes of it.
        if !session.may_call_later(len) {
            return Poll::Ready(None);
        }
        let waiter = CapacityWaiter::join(connection, &mut state, len, deadline, waker.clone());
        self.step = Step::Waiting {
            waiter,
            variant,
            timeout,
            reply,
        };
        Poll::Pending
    }

    /// Opens the call where it is its turn, or sees that it is too late.
    fn poll_waiting(&mut self, task: &mut Context<'_>) -> Poll<<Self as Future>::Output> {
        let Self {
            connection,
            request,
            step,
            ..
        } = self;
        let Step::Waiting {
            waiter,
            variant,
            timeout,
            reply,
        } = step
        else {
            return Poll::Pending;
        };
        let deadline = waiter.deadline();
        let remaining = deadline.saturating_sub(connection.now());
        if remaining < MIN_TIMEOUT {
            *step = Step::New;
            return Poll::Ready(Some(Ok((Outcome::Expired, Encoding::default()))));
        }
        let has_waited = timeout.saturating_sub(remaining) > *timeout / NEGLIGIBLE_WAIT;
        let head = RequestHead {
            deadline_ms: has_waited.then(|| whole_ms(remaining)),
            topic: request.topic(),
            ..variant.head()
        };
        let waker = task.waker().clone();
        let opened = waiter.poll(task, |state| {
            let opened = state.open_waiting(*request, &head, deadline, reply)?;
            reply.set_waker(waker);
            Ok(opened)
        });
        match opened {
            Poll::Ready(Ok(opened)) => {
                *step = Step::Called(opened.pending(connection));
                Poll::Pending
            }
            Poll::Ready(Err(error)) => {
                *step = Step::New;
                Poll::Ready(Some(Err(error)))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl ConnectionInner {
    /// Opens a call that has waited for capacity.
    fn open_waiting<E: Outgoing>(
        &mut self,
        request: &E,
        head: &RequestHead<'_>,
        deadline: Duration,
        reply: &Arc<ReplySlot>,
    ) -> Result<OpenedExchange, NotSent> {
        if self.is_held(0) {
            return Err(NotSent::Held);
        }
        let Self {
            session,
            exchanges,
            encoding,
            closed,
            ..
        } = self;
        if !encoding.is_identity() {
            // The session that follows writes bodies in another way, and nothing went out on the one before.
            return Err(SendError::Disconnected.into());
        }
        let session = session
            .as_mut()
            .ok_or_else(|| no_session(closed.as_deref()))?;
        let (len, max) = (request.encoded_len(), session.peer_max_body());
        if len > max {
            return Err(SendError::TooLarge { len, max }.into());
        }
        let entry = exchanges.vacant_entry();
        let token = entry.token();
        let write = |buffer: &mut Vec<u8>| request.encode(buffer);
        let fast = match head.deadline_ms {
            None => {
                let head = BareHead {
                    variant: head.variant,
                    kind: head.kind,
                    topic: head.topic,
                };
                session.call_fast(&head, token, deadline, len, write)
            }
            Some(_) => None,
        };
        let slot = match fast {
            Some(slot) => slot,
            None => session
                .call(head, CallShape::UNARY, token, deadline, write)
                .map_err(|blocked| NotSent::blocked(blocked, closed.as_deref()))?,
        };
        Ok(entry.insert_unary(slot, Arc::clone(reply)))
    }
}
