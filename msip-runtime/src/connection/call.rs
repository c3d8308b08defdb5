//! Calls with nothing beside their bodies: the short way for what there is most of.
//!
//! One lock of the connection opens a call, and none takes its answer. A call that finds no capacity joins the queue under the same
//! lock, and needs neither a box nor a timer to wait there.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{
    ConnectionInner, ConnectionShared, PROTOCOL_TIMEOUT,
    capacity::{Attempt, CapacityWaiter},
    reply_slot::{PendingReply, ReplySlot},
};
use crate::{CallOptions, Envelope, SendError, Variant, body::Encoding};
use msip_session::{Outcome, RequestHead, Shape};

/// A call that has waited for less than its time divided by this does not say so: what passes on the way to the other side
/// is not told either.
const WAIT_UNTOLD: u32 = 64;

/// A deadline of less is none (docs/protocol.md, "Deadlines").
const LEAST: Duration = Duration::from_millis(1);

impl ConnectionShared {
    /// Calls, as most calls are, once there is capacity. `None` where it is another, and nothing has happened.
    #[inline]
    pub(super) fn call_fast<'a, E: Envelope>(
        &'a self,
        request: &'a E,
        options: &'a CallOptions,
    ) -> PlainCall<'a, E> {
        PlainCall {
            connection: self,
            request,
            options,
            step: Step::New,
        }
    }

    /// How long the answer to a request may take where the caller does not say.
    pub(super) fn timeout_of<E: Envelope>(&self, request: &E) -> Duration {
        let variant = E::VARIANTS.get(request.index());
        variant
            .and_then(|variant| self.usual_timeout(variant))
            .unwrap_or(self.call_timeout)
    }

    /// What stands in the schema of a call as most are: its variant, and how long it may take. `None` where it is another.
    #[inline]
    fn usual_call<E: Envelope>(
        &self,
        request: &E,
        options: &CallOptions,
    ) -> Option<(&'static Variant, Duration)> {
        let variant = E::VARIANTS.get(request.index())?;
        // The other side knows the schema's time, and the protocol's.
        let timeout = self.usual_timeout(variant)?;
        let is_usual = options.is_default()
            && !variant.urgent
            && !timeout.is_zero()
            && (variant.timeout_ms.is_some() || timeout == PROTOCOL_TIMEOUT)
            && self.correlation_ids.is_none()
            && self.is_plain.load(Ordering::Relaxed);
        is_usual.then_some((variant, timeout))
    }
}

/// A call on the short way. Dropping it gives the call up.
pub(super) struct PlainCall<'a, E> {
    connection: &'a ConnectionShared,
    request: &'a E,
    options: &'a CallOptions,
    step: Step<'a>,
}

enum Step<'a> {
    New,
    /// It waits for capacity.
    Waiting {
        place: CapacityWaiter<'a>,
        reply_slot: Arc<ReplySlot>,
    },
    Called(PendingReply<'a>),
}

impl<E: Envelope> Future for PlainCall<'_, E> {
    type Output = Option<Result<(Outcome, Encoding), SendError>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        match &mut this.step {
            Step::Called(answer) => answer.poll(context).map(|answer| Some(Ok(answer))),
            Step::Waiting { .. } => this.poll_waiting(context),
            Step::New => this.begin(context.waker()),
        }
    }
}

impl<'a, E: Envelope> PlainCall<'a, E> {
    /// Opens the call, or joins those who wait for capacity.
    #[inline]
    fn begin(&mut self, waker: &Waker) -> Poll<<Self as Future>::Output> {
        let connection = self.connection;
        let Some((variant, timeout)) = connection.usual_call(self.request, self.options) else {
            return Poll::Ready(None);
        };
        let len = self.request.encoded_len();
        let deadline = connection.now().saturating_add(timeout);
        let reply_slot = ReplySlot::new(Some(waker.clone()));
        let driver = {
            let mut state = connection.lock();
            if !state.encoding.is_identity() {
                return Poll::Ready(None);
            }
            let token = state.waiters.vacant_key();
            let is_first = state.call_room.is_empty();
            let ConnectionInner { session, .. } = &mut *state;
            let Some(session) = session else {
                return Poll::Ready(None);
            };
            let slot = is_first
                .then(|| {
                    session.call_fast(
                        variant.number,
                        variant.kind,
                        token,
                        deadline,
                        len,
                        |buffer| self.request.encode(buffer),
                    )
                })
                .flatten();
            if let Some(slot) = slot {
                let opened = state.register(slot, reply_slot);
                self.step = Step::Called(opened.awaited(connection));
                state.driver_to_wake()
            } else {
                // Else it is for the long way to say what becomes of it.
                if !session.may_wait_to_call(len) {
                    return Poll::Ready(None);
                }
                let waker = waker.clone();
                let (place, driver) =
                    CapacityWaiter::join(connection, &mut state, len, deadline, waker);
                self.step = Step::Waiting { place, reply_slot };
                driver
            }
        };
        if let Some(driver) = driver {
            driver.wake();
        }
        Poll::Pending
    }

    /// Opens the call where it is its turn, or sees that it is too late.
    fn poll_waiting(&mut self, context: &mut Context<'_>) -> Poll<<Self as Future>::Output> {
        let Self {
            connection,
            request,
            options,
            step,
        } = self;
        let Step::Waiting { place, reply_slot } = step else {
            return Poll::Pending;
        };
        let deadline = place.deadline();
        let remaining = deadline.saturating_sub(connection.now());
        if remaining < LEAST {
            *step = Step::New;
            return Poll::Ready(Some(Ok((Outcome::Expired, Encoding::default()))));
        }
        let Some((variant, timeout)) = connection.usual_call(*request, options) else {
            // The session that follows writes bodies in another way, and nothing went out on the one before.
            *step = Step::New;
            return Poll::Ready(Some(Err(SendError::Disconnected)));
        };
        let has_waited = timeout.saturating_sub(remaining) > timeout / WAIT_UNTOLD;
        let told = has_waited.then(|| u32::try_from(remaining.as_millis()).unwrap_or(u32::MAX));
        let head = RequestHead {
            deadline_ms: told,
            ..variant.head()
        };
        let waker = context.waker().clone();
        let opened = place.poll(context, |state| {
            let no_session = state.no_session();
            if !state.encoding.is_identity() {
                return Attempt::Failed(SendError::Disconnected);
            }
            let token = state.waiters.vacant_key();
            let Some(session) = state.session() else {
                return Attempt::Failed(no_session);
            };
            let (len, max) = (request.encoded_len(), session.peer_max_body());
            if len > max {
                return Attempt::Failed(SendError::TooLarge { len, max });
            }
            let encode = |buffer: &mut Vec<u8>| request.encode(buffer);
            let (number, kind) = (variant.number, variant.kind);
            let plain = match told {
                None => session.call_fast(number, kind, token, deadline, len, encode),
                Some(_) => None,
            };
            let slot = match plain {
                Some(slot) => Ok(slot),
                None => session.call(&head, Shape::UNARY, token, deadline, encode),
            };
            match slot {
                Ok(slot) => {
                    reply_slot.is_awaited_by(waker);
                    Attempt::Done(state.register(slot, Arc::clone(reply_slot)))
                }
                Err(blocked) => Attempt::blocked(blocked, no_session),
            }
        });
        match opened {
            Poll::Ready(Ok(opened)) => {
                *step = Step::Called(opened.awaited(connection));
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
