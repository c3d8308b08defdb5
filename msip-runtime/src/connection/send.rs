//! Sending one-way messages.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use tokio::time::timeout_at;

use super::{
    ConnectionInner, ConnectionShared,
    capacity::{NotSent, Queue},
    message::Outgoing,
    outgoing::{OutgoingMessage, state_key},
};
use crate::{CallError, CallOptions, SendError, body::Prepared, protocol::Variant, sync::Ordering};
use msip_session::{RequestHead, Session, is_droppable, wire::Topic};

impl ConnectionShared {
    /// Sends a one-way message, once there is capacity.
    pub(crate) async fn send<E: Outgoing>(
        &self,
        message: &E,
        options: &CallOptions,
    ) -> Result<(), SendError> {
        if self.is_write_due.load(Ordering::Relaxed) {
            self.let_driver_write().await;
        }
        if self.send_fast(message, options) {
            return Ok(());
        }
        self.send_slow(message, options).await
    }

    /// The same for a message that is another than most, or has to wait.
    async fn send_slow<E: Outgoing>(
        &self,
        message: &E,
        options: &CallOptions,
    ) -> Result<(), SendError> {
        if self.has_channels()
            && let Some(sending) = self.send_by_channel(message, options)
        {
            return sending.await;
        }
        if options.ack {
            let delivered = self.deliver(message, options).await;
            return delivered.map_err(|error| match error {
                CallError::NotSent(error) => error,
                CallError::Unsupported(unsupported) => SendError::Unsupported(unsupported),
                error => SendError::NotAcknowledged(Box::new(error)),
            });
        }
        let outgoing = OutgoingMessage::new(self, message, options)?;
        match self.try_send_outgoing(&outgoing) {
            Err(SendError::Full | SendError::LoginPending) => {}
            outcome => return outcome,
        }
        let sent = self.when_capacity(Queue::Messages, outgoing.len, |state| {
            outgoing.send_or_enqueue(state)
        });
        self.while_progress(options.login(), sent).await
    }

    /// Waits for a sender of one-way messages, as long as it comes closer to its turn.
    ///
    /// # Errors
    ///
    /// After `write_timeout` [`SendError::LoginPending`] where another's login holds it up; else [`SendError::Full`] when
    /// for so long the peer has granted no credit, or nothing was written, whatever it waits for.
    pub(super) async fn while_progress<T>(
        &self,
        login: u64,
        sent: impl Future<Output = Result<T, SendError>>,
    ) -> Result<T, SendError> {
        let mut sent = pin!(sent);
        let mut since = self.now();
        while let Some(until) = self.instant(since.saturating_add(self.write_timeout)) {
            if let Ok(sent) = timeout_at(until, sent.as_mut()).await {
                return sent;
            }
            let state = self.lock();
            if state.is_held(login) {
                return Err(SendError::LoginPending);
            }
            let last = state.last_progress();
            drop(state);
            if last <= since {
                return Err(SendError::Full);
            }
            since = last;
        }
        sent.await
    }

    /// Sends a one-way message, or fails at once.
    pub(crate) fn try_send<E: Outgoing>(
        &self,
        message: &E,
        options: &CallOptions,
    ) -> Result<(), SendError> {
        if self.send_fast(message, options) {
            return Ok(());
        }
        if self.has_channels()
            && let Some(sent) = self.try_send_by_channel(message, options)
        {
            return sent;
        }
        self.try_send_outgoing(&OutgoingMessage::new(self, message, options)?)
    }

    /// Sends a one-way message as most are, unless the driver is to write first. `false` where it is another or has to wait, and
    /// nothing has happened: it is one for [`send`](Self::send).
    #[inline]
    pub(crate) fn send_now<E: Outgoing>(&self, message: &E, options: &CallOptions) -> bool {
        !self.is_write_due.load(Ordering::Relaxed) && self.send_fast(message, options)
    }

    /// Sends a one-way message as most are: a bare one, and at once. `false` where it is another or has to wait, or where
    /// the connection has channels or encodes bodies, and nothing has happened.
    #[inline]
    fn send_fast<E: Outgoing>(&self, message: &E, options: &CallOptions) -> bool {
        let Some(variant) = message.variant() else {
            return false;
        };
        let is_fast = message.is_bare()
            && !is_droppable(variant.kind)
            && self.may_be_bare(variant, options)
            && self.sends_fast.load(Ordering::Relaxed);
        if !is_fast {
            return is_slow();
        }
        let len = message.encoded_len();
        let mut state = self.lock();
        if state.is_gated || !state.encoding.is_identity() || !state.message_queue.is_empty() {
            return false;
        }
        let Some(session) = state.session() else {
            return false;
        };
        let head = variant.bare_head(message.topic());
        let is_sent = session.send_fast(&head, len, |buffer| message.encode(buffer));
        if is_sent {
            self.note_write_due(&state);
            state.wake_driver();
        }
        is_sent
    }

    fn try_send_outgoing<E: Outgoing>(
        &self,
        outgoing: &OutgoingMessage<'_, E>,
    ) -> Result<(), SendError> {
        let mut state = self.lock();
        // Where others wait, they came first.
        let mut sent = if state.message_queue.is_empty() {
            outgoing.send(&mut state)
        } else if state.is_held(outgoing.login) {
            Err(NotSent::Held)
        } else {
            Err(NotSent::NoCapacity)
        };
        if matches!(sent, Err(NotSent::NoCapacity)) && outgoing.is_droppable() {
            sent = outgoing.enqueue_droppable(&mut state);
        }
        match sent {
            Ok(()) => {
                state.wake_driver();
                Ok(())
            }
            Err(NotSent::NoCapacity) => Err(SendError::Full),
            Err(NotSent::Held) => Err(SendError::LoginPending),
            Err(NotSent::Failed(error)) => Err(error),
        }
    }

    /// Sends a one-way message whose metadata and body are encoded already, in this connection's encoding, to a topic of a broker
    /// or to the other end; `key` makes the key of a STATE. Returns whether it was taken.
    pub(crate) fn try_send_prepared(
        &self,
        variant: &Variant,
        topic: Option<&Topic>,
        metadata: &[u8],
        body: &Prepared,
        key: impl FnOnce() -> Vec<u8>,
    ) -> bool {
        let head = RequestHead {
            compressed: body.compressed,
            metadata,
            topic,
            ..variant.head()
        };
        let write = |buffer: &mut Vec<u8>| buffer.extend_from_slice(&body.bytes);
        let mut state = self.lock();
        let is_free = state.message_queue.is_empty();
        let fits = |session: &&mut Session| body.len <= session.peer_max_body();
        let Some(session) = state.session().filter(fits) else {
            return false;
        };
        let is_taken = is_free && session.send(&head, write).is_ok()
            || is_droppable(variant.kind) && {
                let key = state_key(variant, topic, key);
                session.enqueue_droppable(&head, key, None, write).is_ok()
            };
        if is_taken {
            state.wake_driver();
        }
        is_taken
    }

    /// Notes whether the next sender is to let the driver write first.
    #[inline]
    pub(super) fn note_write_due(&self, state: &ConnectionInner) {
        if state.is_write_due() {
            self.is_write_due.store(true, Ordering::Relaxed);
        }
    }

    /// Lets the driver write what waits, once: it may wait for this very thread, and where it has another, both would
    /// wait for each other's locks.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does nothing.
    pub(crate) async fn let_driver_write(&self) {
        let mut has_waited = false;
        poll_fn(|task| {
            // Others may have noted it again meanwhile: then it is their turn to wait.
            if has_waited || !self.is_write_due.swap(false, Ordering::Relaxed) {
                return Poll::Ready(());
            }
            has_waited = true;
            self.lock().wait_for_flush(task.waker())
        })
        .await;
    }
}

/// What [`send_fast`](ConnectionShared::send_fast) returns of the few. A cold call tells the compiler that they are few: behind so
/// many conditions it would take the lock for one that is hardly ever taken.
#[cold]
#[inline(never)]
const fn is_slow() -> bool {
    false
}

impl ConnectionInner {
    /// Waits until the driver has had its turn, unless it sleeps, or there is none.
    fn wait_for_flush(&mut self, waker: &std::task::Waker) -> Poll<()> {
        let has_driver = self.session.is_open();
        if !has_driver || !self.driver.is_awake() {
            return Poll::Ready(());
        }
        self.driver.wait_for_flush(waker);
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn nobody_waits_for_a_driver_that_is_not_there() {
        let mut state = ConnectionInner::default();
        state.driver_awakes(Waker::noop());
        assert!(state.wait_for_flush(Waker::noop()).is_ready());
        state.driver_has_run();
        assert!(state.wakes.is_empty());
    }
}
