//! Calls with nothing beside their bodies and nothing in their way: the short way for what there is most of.
//!
//! One lock of the link opens a call, and none takes its answer.

use std::{
    future::Future,
    pin::Pin,
    sync::atomic::Ordering,
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{
    Link, PROTOCOL_TIMEOUT, State,
    landing::{Answer, Landing},
};
use crate::{CallOptions, Envelope, body::Encoding, session::Outcome};

impl Link {
    /// Calls, as most calls are. `None` where it is another, and nothing has happened.
    #[inline]
    pub(super) fn call_plain<'a, E: Envelope>(
        &'a self,
        request: &'a E,
        options: &'a CallOptions,
    ) -> PlainCall<'a, E> {
        PlainCall {
            link: self,
            request,
            options,
            answer: None,
        }
    }

    /// How long the answer to a request may take where the caller does not say.
    pub(super) fn timeout_of<E: Envelope>(&self, request: &E) -> Duration {
        let variant = E::VARIANTS.get(request.index());
        variant
            .and_then(|variant| self.usual_timeout(variant))
            .unwrap_or(self.call_timeout)
    }

    #[inline]
    fn open_plain<E: Envelope>(
        &self,
        request: &E,
        options: &CallOptions,
        waker: &Waker,
    ) -> Option<Answer<'_>> {
        let variant = E::VARIANTS.get(request.index())?;
        // The other side knows the schema's time, and the protocol's.
        let timeout = self.usual_timeout(variant)?;
        let is_usual = options.is_silent()
            && !variant.urgent
            && !timeout.is_zero()
            && (variant.timeout_ms.is_some() || timeout == PROTOCOL_TIMEOUT)
            && self.correlation_ids.is_none()
            && self.is_plain.load(Ordering::Relaxed);
        if !is_usual {
            return None;
        }
        let len = request.encoded_len();
        let deadline = self.now().saturating_add(timeout);
        let landing = Landing::new(Some(waker.clone()));
        let (opened, driver) = {
            let mut state = self.lock();
            if !state.encoding.is_plain() || !state.call_room.is_empty() {
                return None;
            }
            let token = state.waiters.vacant_key();
            let State { session, .. } = &mut *state;
            let slot = session.as_mut()?.call_plain(
                variant.number,
                variant.kind,
                token,
                deadline,
                len,
                |buffer| request.encode(buffer),
            )?;
            (state.opened(slot, landing), state.driver_to_wake())
        };
        if let Some(driver) = driver {
            driver.wake();
        }
        Some(opened.awaited(self))
    }
}

/// A call on the short way. Dropping it gives the call up.
pub(super) struct PlainCall<'a, E> {
    link: &'a Link,
    request: &'a E,
    options: &'a CallOptions,
    answer: Option<Answer<'a>>,
}

impl<E: Envelope> Future for PlainCall<'_, E> {
    type Output = Option<(Outcome, Encoding)>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(answer) = &mut this.answer {
            return answer.poll(context).map(Some);
        }
        let Self {
            link,
            request,
            options,
            answer,
        } = this;
        match link.open_plain(*request, options, context.waker()) {
            Some(opened) => {
                *answer = Some(opened);
                Poll::Pending
            }
            None => Poll::Ready(None),
        }
    }
}
