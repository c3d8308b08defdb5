//! Sending and calling: the futures behind every typed method.

use std::{future::poll_fn, sync::atomic::Ordering, task::Poll, time::Duration};

use tokio::time::{timeout, timeout_at};

use super::{
    ConnectionInner, ConnectionShared,
    capacity::{Attempt, Queue},
    outgoing::{Deadline, OutgoingMessage, state_key},
    reply_slot::OpenedExchange,
};
use crate::{
    CallError, CallOptions, Envelope, Metadata, SendError, Status,
    body::{Body, Encoding, Prepared},
    protocol::Variant,
};
use msip_session::{Blocked, Outcome, RequestHead, Slot, Token, is_droppable, wire};

/// How long an answer may take where neither the schema nor the caller says (docs/protocol.md, "Deadlines"). The
/// other side counts on it, so that a caller who waits for longer or shorter has to say so.
pub(crate) const PROTOCOL_TIMEOUT: Duration = Duration::from_secs(30);

impl ConnectionShared {
    /// Sends a one-way message, once there is capacity.
    pub(crate) async fn send<E: Envelope>(
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
        if options.ack {
            let delivered = self.deliver(message, options).await;
            return delivered.map_err(|error| match error {
                CallError::NotSent(error) => error,
                error => SendError::NotAcknowledged(Box::new(error)),
            });
        }
        let outgoing = OutgoingMessage::new(self, message, options)?;
        match self.try_send_outgoing(&outgoing) {
            Err(SendError::Full) => {}
            outcome => return outcome,
        }
        let sent = self.when_room(Queue::Messages, outgoing.len, |state| {
            outgoing.send_or_enqueue(state)
        });
        timeout(self.write_timeout, sent)
            .await
            .unwrap_or(Err(SendError::Full))
    }

    /// Notes whether whoever sends next is to let the driver write first.
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
        poll_fn(|context| {
            // Others may have noted it again meanwhile: then it is their turn to wait.
            if has_waited || !self.is_write_due.swap(false, Ordering::Relaxed) {
                return Poll::Ready(());
            }
            has_waited = true;
            self.lock().wait_for_driver(context.waker())
        })
        .await;
    }

    /// Sends a one-way message, or fails at once.
    pub(crate) fn try_send<E: Envelope>(
        &self,
        message: &E,
        options: &CallOptions,
    ) -> Result<(), SendError> {
        if self.send_fast(message, options) {
            return Ok(());
        }
        self.try_send_outgoing(&OutgoingMessage::new(self, message, options)?)
    }

    /// Sends a one-way message as most are, with nothing beside its body and nothing in its way. `false` where it is
    /// another, and nothing has happened.
    #[inline]
    fn send_fast<E: Envelope>(&self, message: &E, options: &CallOptions) -> bool {
        let Some(variant) = E::VARIANTS.get(message.index()) else {
            return false;
        };
        let is_usual = options.is_default()
            && !variant.urgent
            && !is_droppable(variant.kind)
            && self.correlation_ids.is_none()
            && self.is_plain.load(Ordering::Relaxed);
        if !is_usual {
            return false;
        }
        let len = message.encoded_len();
        let driver = {
            let mut state = self.lock();
            if !state.encoding.is_identity() || !state.message_room.is_empty() {
                return false;
            }
            let Some(session) = state.session() else {
                return false;
            };
            let is_sent = session.send_fast(variant.number, variant.kind, len, |buffer| {
                message.encode(buffer);
            });
            if !is_sent {
                return false;
            }
            self.note_write_due(&state);
            state.driver_to_wake()
        };
        if let Some(driver) = driver {
            driver.wake();
        }
        true
    }

    fn try_send_outgoing<E: Envelope>(
        &self,
        outgoing: &OutgoingMessage<'_, E>,
    ) -> Result<(), SendError> {
        let waker = {
            let mut state = self.lock();
            // Where others wait, they came first.
            let mut attempt = if state.message_room.is_empty() {
                outgoing.send(&mut state)
            } else {
                Attempt::NoRoom
            };
            if matches!(attempt, Attempt::NoRoom) && is_droppable(outgoing.head.kind) {
                attempt = outgoing.enqueue_droppable(&mut state);
            }
            match attempt {
                Attempt::Done(()) => state.driver_to_wake(),
                Attempt::NoRoom => return Err(SendError::Full),
                Attempt::Failed(error) => return Err(error),
            }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Sends a one-way message whose body is encoded already, as this connection's encoding has it; `key` makes the key of a
    /// STATE. Returns whether it was taken.
    pub(crate) fn try_send_prepared(
        &self,
        variant: &Variant,
        body: &Prepared,
        key: impl FnOnce() -> Vec<u8>,
    ) -> bool {
        let head = RequestHead {
            compressed: body.compressed,
            ..variant.head()
        };
        let waker = {
            let mut state = self.lock();
            let is_free = state.message_room.is_empty();
            let sent = state
                .session()
                .filter(|session| is_free && body.len <= session.peer_max_body())
                .is_some_and(|session| {
                    session
                        .send(&head, |buffer| buffer.extend_from_slice(&body.bytes))
                        .is_ok()
                });
            let taken = sent
                || is_droppable(variant.kind)
                    && state
                        .session()
                        .filter(|session| body.len <= session.peer_max_body())
                        .is_some_and(|session| {
                            let key = state_key(variant, key);
                            let encode =
                                |buffer: &mut Vec<u8>| buffer.extend_from_slice(&body.bytes);
                            session.enqueue_droppable(&head, key, None, encode).is_ok()
                        });
            if !taken {
                return false;
            }
            state.driver_to_wake()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Sends a message and waits until the other side's handler has returned.
    pub(crate) async fn deliver<E: Envelope>(
        &self,
        message: &E,
        options: &CallOptions,
    ) -> Result<(), CallError> {
        match self.exchange(Queue::Messages, message, options).await? {
            (Outcome::Answer { metadata, .. }, ..) => {
                take_metadata(options, metadata);
                Ok(())
            }
            (outcome, _, timeout) => Err(failure(outcome, timeout)),
        }
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn call<Out: Envelope, In: Envelope>(
        &self,
        request: &Out,
        options: &CallOptions,
    ) -> Result<In, CallError> {
        if let Some(called) = self.call_fast(request, options).await {
            let (outcome, encoding) = called?;
            return match outcome {
                Outcome::Answer {
                    variant,
                    body,
                    compressed: false,
                    metadata: None,
                } => encoding
                    .decode(variant, Body::from(&body))
                    .map_err(CallError::Answer),
                outcome => read_answer(outcome, &encoding, options, self.timeout_of(request)),
            };
        }
        // In a box, or every call would have the capacity that this one needs.
        let exchange = Box::pin(self.exchange(Queue::Calls, request, options));
        let (outcome, encoding, timeout) = exchange.await?;
        read_answer(outcome, &encoding, options, timeout)
    }

    /// Sends a PING of this many bytes and waits for its PONG. Returns the time between.
    pub(crate) async fn ping(&self, len: usize, limit: Duration) -> Result<Duration, CallError> {
        let payload = vec![0; len.min(MAX_PING)];
        if len > MAX_PING {
            return Err(SendError::TooLarge { len, max: MAX_PING }.into());
        }
        let start = self.now();
        let deadline = start.saturating_add(limit);
        let opened = self.when_room(Queue::Calls, len, |state| {
            open(state, |session, token| {
                session.ping(&payload, token, deadline)
            })
        });
        let opened = timeout(limit, opened)
            .await
            .map_err(|_| CallError::DeadlineExceeded { timeout: limit })??;
        match opened.answer(self).await.0 {
            Outcome::Answer { body, .. } if body.len() == len => {
                Ok(self.now().saturating_sub(start))
            }
            Outcome::Answer { body, .. } => Err(CallError::Status(Status::internal(format!(
                "a PONG of {} bytes answered a PING of {len}",
                body.len()
            )))),
            outcome => Err(failure(outcome, limit)),
        }
    }

    async fn exchange<E: Envelope>(
        &self,
        queue: Queue,
        message: &E,
        options: &CallOptions,
    ) -> Result<(Outcome, Encoding, Duration), CallError> {
        let outgoing = OutgoingMessage::new(self, message, options)?;
        let schema_timeout = outgoing
            .variant
            .timeout_ms
            .map(|ms| Duration::from_millis(u64::from(ms)));
        let limit = options
            .timeout
            .or(schema_timeout)
            .unwrap_or(self.call_timeout);
        let ms = whole_ms(limit)?;
        let deadline = Deadline {
            at: self.now().saturating_add(limit),
            // Told only where the other side could not know.
            told: (limit != schema_timeout.unwrap_or(PROTOCOL_TIMEOUT)).then_some(ms),
        };
        let attempt = |state: &mut ConnectionInner, deadline| match queue {
            Queue::Messages => outgoing.deliver_or_enqueue(state, deadline),
            Queue::Calls => outgoing.call(state, deadline),
        };
        let others_first = match queue {
            Queue::Messages => !is_droppable(outgoing.head.kind),
            Queue::Calls => true,
        };
        let opened = match self.now_if_room(queue, others_first, |state| attempt(state, deadline)) {
            Some(opened) => opened?,
            None => {
                let when_room = self.when_room(queue, outgoing.len, |state| {
                    attempt(state, deadline.late(self.now()))
                });
                let at = self.instant(deadline.at);
                match at {
                    Some(at) => timeout_at(at, when_room)
                        .await
                        .map_err(|_| CallError::DeadlineExceeded { timeout: limit })??,
                    None => when_room.await?,
                }
            }
        };
        let (outcome, encoding) = opened.answer(self).await;
        Ok((outcome, encoding, limit))
    }
}

/// The largest payload of a PING (docs/protocol.md, "Ping").
const MAX_PING: usize = 64 * 1024;

/// A limit in whole milliseconds, as deadlines travel.
pub(super) fn whole_ms(limit: Duration) -> Result<u32, SendError> {
    match u32::try_from(limit.as_millis()) {
        Ok(0) => Err(SendError::NoTime { timeout: limit }),
        ms => Ok(ms.unwrap_or(u32::MAX)),
    }
}

/// Puts the metadata of an answer where the caller wants it.
pub(super) fn take_metadata(options: &CallOptions, metadata: Option<Box<wire::Metadata>>) {
    if let Some(place) = options.answer_metadata() {
        place.set(metadata.map(|metadata| Metadata(*metadata)));
    }
}

/// Reads the message that a call was answered with.
fn read_answer<E: Envelope>(
    outcome: Outcome,
    encoding: &Encoding,
    options: &CallOptions,
    timeout: Duration,
) -> Result<E, CallError> {
    let Outcome::Answer {
        variant,
        body,
        compressed,
        metadata,
    } = outcome
    else {
        return Err(failure(outcome, timeout));
    };
    take_metadata(options, metadata);
    let read = encoding.read(variant, body, compressed);
    read.map_err(CallError::Answer)
}

/// Opens an exchange that is no message.
fn open(
    state: &mut ConnectionInner,
    push: impl FnOnce(&mut msip_session::Session, Token) -> Result<Slot, Blocked>,
) -> Attempt<OpenedExchange> {
    let no_session = state.no_session();
    let token = state.waiters.vacant_key();
    let attempt = match state.session.as_mut().map(|session| push(session, token)) {
        Some(Ok(slot)) => Attempt::Done(slot),
        Some(Err(blocked)) => Attempt::blocked(blocked, no_session),
        None => Attempt::Failed(no_session),
    };
    state.wait(attempt)
}

pub(super) fn failure(outcome: Outcome, timeout: Duration) -> CallError {
    match outcome {
        Outcome::Error(text) => CallError::Status(text.into()),
        Outcome::NotReceived => CallError::NotReceived,
        Outcome::Expired => CallError::DeadlineExceeded { timeout },
        Outcome::Dropped => CallError::NotSent(SendError::Dropped),
        Outcome::Lost { sent: true } => CallError::ConnectionLost,
        Outcome::Lost { sent: false } => CallError::NotSent(SendError::Disconnected),
        // Every caller has taken its answer out before.
        Outcome::Answer { .. } => CallError::ConnectionLost,
    }
}
