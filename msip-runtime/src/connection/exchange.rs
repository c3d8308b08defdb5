//! Deliveries, calls and pings: exchanges whose outcome is waited for.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{timeout, timeout_at};

use super::{
    ConnectionInner, ConnectionShared,
    capacity::{NotSent, Queue, no_session},
    deadline::Deadline,
    exchange_table::OpenedExchange,
    message::{FromBody, Outgoing},
    outgoing::OutgoingMessage,
    pending_reply::PendingReply,
    reply_slot::ReplySlot,
};
use crate::{
    CallError, CallOptions, CloseReason, Metadata, ResponseMetadata, SendError, Status,
    body::Encoding, decode_pool::INLINE_LEN, dialect::Feature,
};
use msip_session::{Outcome, wire};

/// The largest payload of a PING (docs/protocol.md, "Ping").
const MAX_PING: usize = 64 * 1024;

impl ConnectionShared {
    /// Sends a message and waits until the peer's handler has returned.
    pub(crate) async fn deliver<E: Outgoing>(
        &self,
        message: &E,
        options: &CallOptions,
    ) -> Result<(), CallError> {
        if self.has_channels()
            && let Some(delivering) = self.deliver_by_channel(message, options)
        {
            return delivering.await;
        }
        let (outcome, _, timeout) = self.exchange(Queue::Messages, message, options).await?;
        self.acknowledged(outcome, timeout, options.answer_metadata())
    }

    /// The first half of [`deliver`](Self::deliver): sends a message, once there is capacity.
    pub(crate) async fn begin_delivery<E: Outgoing + Clone + 'static>(
        self: &Arc<Self>,
        message: &E,
        options: &CallOptions,
    ) -> Result<Delivering, CallError> {
        if self.has_channels()
            && let Some(delivering) = Box::pin(self.begin_by_channel(message, options)).await?
        {
            return Ok(delivering);
        }
        let sent = self.begin_on_this(message, options).await?;
        Ok(Delivering::Sent(sent))
    }

    /// The same, by this connection whether it has channels or not.
    pub(super) async fn begin_on_this<E: Outgoing>(
        self: &Arc<Self>,
        message: &E,
        options: &CallOptions,
    ) -> Result<SentDelivery, CallError> {
        let (opened, timeout) = self
            .exchange_opened(Queue::Messages, message, options)
            .await?;
        Ok(SentDelivery {
            reply: opened.pending(Arc::clone(self)),
            timeout,
            metadata: options.answer_metadata().cloned(),
        })
    }

    /// What has become of a message.
    fn acknowledged(
        &self,
        outcome: Outcome,
        timeout: Duration,
        wanted: Option<&ResponseMetadata>,
    ) -> Result<(), CallError> {
        match outcome {
            Outcome::Answer { metadata, .. } => {
                take_metadata(wanted, metadata);
                Ok(())
            }
            outcome => {
                take_error_metadata(wanted, &outcome);
                Err(self.failure(outcome, timeout))
            }
        }
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn call<Out: Outgoing, In: FromBody>(
        &self,
        request: &Out,
        options: &CallOptions,
    ) -> Result<In, CallError> {
        let called = match self.call_fast(request, options).await {
            Some(called) => match called? {
                (
                    Outcome::Answer {
                        variant,
                        body,
                        compressed: false,
                        metadata: None,
                    },
                    encoding,
                ) if body.len() <= INLINE_LEN => {
                    return In::from_body(&encoding, variant, body, false)
                        .map_err(|error| CallError::Answer(In::named(error)));
                }
                called => Some(called),
            },
            None => None,
        };
        self.boxed_call_slow(request, options, called).await
    }

    /// In a box, or every call would have the size that this one needs; and by itself, or every call would on its stack.
    #[inline(never)]
    fn boxed_call_slow<'a, Out: Outgoing, In: FromBody>(
        &'a self,
        request: &'a Out,
        options: &'a CallOptions,
        called: Option<(Outcome, Encoding)>,
    ) -> Pin<Box<impl Future<Output = Result<In, CallError>> + use<'a, Out, In>>> {
        Box::pin(self.call_slow(request, options, called))
    }

    /// Does what is left of a call that is not one of the usual ones: sends the request, unless it was answered already, and
    /// reads the answer.
    async fn call_slow<Out: Outgoing, In: FromBody>(
        &self,
        request: &Out,
        options: &CallOptions,
        called: Option<(Outcome, Encoding)>,
    ) -> Result<In, CallError> {
        let (outcome, encoding, timeout) = match called {
            Some((outcome, encoding)) => (outcome, encoding, self.timeout_of(request)),
            None => self.exchange(Queue::Calls, request, options).await?,
        };
        self.read_answer(outcome, &encoding, options, timeout).await
    }

    /// Sends a PING of this many bytes and waits for its PONG. Returns the time between.
    pub(crate) async fn ping(&self, len: usize, limit: Duration) -> Result<Duration, CallError> {
        if len > MAX_PING {
            return Err(SendError::TooLarge { len, max: MAX_PING }.into());
        }
        self.check_carried(Feature::Pings)?;
        if len > 0 {
            self.check_carried(Feature::PingPayloads)?;
        }
        let payload = vec![0; len];
        let start = self.now();
        let deadline = start.saturating_add(limit);
        let opened = self.when_capacity(Queue::Calls, len, |state| {
            state.open_ping(&payload, deadline)
        });
        let opened = timeout(limit, opened)
            .await
            .map_err(|_| CallError::DeadlineExceeded { timeout: limit })??;
        match opened.outcome(self).await.0 {
            Outcome::Answer { body, .. } if body.len() == len => {
                Ok(self.now().saturating_sub(start))
            }
            Outcome::Answer { body, .. } => Err(CallError::Status(Status::internal(format!(
                "a PONG of {} bytes answered a PING of {len}",
                body.len()
            )))),
            outcome => Err(self.failure(outcome, limit)),
        }
    }

    async fn exchange<E: Outgoing>(
        &self,
        queue: Queue,
        message: &E,
        options: &CallOptions,
    ) -> Result<(Outcome, Encoding, Duration), CallError> {
        let (opened, limit) = self.exchange_opened(queue, message, options).await?;
        let (outcome, encoding) = opened.outcome(self).await;
        Ok((outcome, encoding, limit))
    }

    /// Opens an exchange, and returns how long it may take.
    async fn exchange_opened<E: Outgoing>(
        &self,
        queue: Queue,
        message: &E,
        options: &CallOptions,
    ) -> Result<(OpenedExchange, Duration), CallError> {
        self.check_carried(match queue {
            Queue::Calls => Feature::Calls,
            Queue::Messages => Feature::Acknowledgments,
        })?;
        let outgoing = OutgoingMessage::new(self, message, options)?;
        let deadline = self.deadline(outgoing.variant, options)?;
        let limit = deadline.timeout.unwrap_or(self.call_timeout);
        let (others_first, len) = (!outgoing.may_be_queued(queue), outgoing.len);
        let attempt = |state: &mut ConnectionInner, deadline| match queue {
            Queue::Messages => outgoing.deliver_or_enqueue(state, deadline),
            Queue::Calls => outgoing.call(state, deadline),
        };
        let opened = self
            .open(queue, others_first, len, limit, deadline, attempt)
            .await?;
        Ok((opened, limit))
    }

    /// Reads the message that a call was answered with.
    async fn read_answer<E: FromBody>(
        &self,
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
            take_error_metadata(options.answer_metadata(), &outcome);
            return Err(self.failure(outcome, timeout));
        };
        take_metadata(options.answer_metadata(), metadata);
        let read = self.read_body(encoding, variant, body, compressed).await;
        read.map_err(|error| CallError::Answer(E::named(error)))
    }

    /// What an exchange that was not answered fails with.
    pub(crate) fn failure(&self, outcome: Outcome, timeout: Duration) -> CallError {
        match outcome {
            Outcome::Error(text, metadata) => CallError::Status(Status::received(text, metadata)),
            Outcome::NotReceived => CallError::NotReceived,
            Outcome::NotAccepted => CallError::NotAccepted,
            Outcome::Expired => CallError::DeadlineExceeded { timeout },
            Outcome::Dropped => CallError::NotSent(SendError::Dropped),
            Outcome::Lost { sent } => {
                let is_abandoned = matches!(
                    self.lock().closed.as_deref(),
                    Some(CloseReason::RuntimeGone)
                );
                match (sent, is_abandoned) {
                    (true, true) => CallError::RuntimeGone,
                    (true, false) => CallError::ConnectionLost,
                    (false, true) => CallError::NotSent(SendError::RuntimeGone),
                    (false, false) => CallError::NotSent(SendError::Disconnected),
                }
            }
            // Every caller has taken its answer out before.
            Outcome::Answer { .. } => CallError::ConnectionLost,
        }
    }

    /// The metadata of an outcome, without the details of an error.
    pub(crate) fn metadata_of(outcome: &Outcome) -> Option<Metadata> {
        metadata_of(outcome)
    }

    /// Opens an exchange, waiting for capacity for `limit` at most.
    pub(super) async fn open<T>(
        &self,
        queue: Queue,
        others_first: bool,
        len: usize,
        limit: Duration,
        deadline: Deadline,
        attempt: impl Fn(&mut ConnectionInner, Deadline) -> Result<T, NotSent>,
    ) -> Result<T, CallError> {
        if let Some(opened) = self.try_now(queue, others_first, |state| attempt(state, deadline)) {
            return Ok(opened?);
        }
        let opened = self.when_capacity(queue, len, |state| {
            attempt(state, deadline.late(self.now()))
        });
        let until = match deadline.timeout {
            Some(_) => deadline.at,
            None => self.now().saturating_add(limit),
        };
        match self.instant(until) {
            Some(until) => Ok(timeout_at(until, opened)
                .await
                .map_err(|_| CallError::DeadlineExceeded { timeout: limit })??),
            None => Ok(opened.await?),
        }
    }
}

/// A message that was sent: the second half of a delivery. Dropping it forgets the message.
pub(crate) enum Delivering {
    Sent(SentDelivery),
    /// Where the channel ends, it goes another way.
    ByChannel(Pin<Box<dyn Future<Output = Result<(), CallError>> + Send>>),
}

impl Future for Delivering {
    type Output = Result<(), CallError>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Sent(sent) => Pin::new(sent).poll(task),
            Self::ByChannel(delivering) => delivering.as_mut().poll(task),
        }
    }
}

/// A message that was sent by one connection.
#[derive(Debug)]
pub(crate) struct SentDelivery {
    reply: PendingReply<Arc<ConnectionShared>>,
    timeout: Duration,
    /// Where to store the metadata of the acknowledgment.
    metadata: Option<ResponseMetadata>,
}

impl Future for SentDelivery {
    type Output = Result<(), CallError>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let (outcome, _) = std::task::ready!(this.reply.poll(task));
        let connection = this.reply.connection();
        Poll::Ready(connection.acknowledged(outcome, this.timeout, this.metadata.as_ref()))
    }
}

impl ConnectionInner {
    fn open_ping(&mut self, payload: &[u8], deadline: Duration) -> Result<OpenedExchange, NotSent> {
        let Self {
            session,
            exchanges,
            closed,
            ..
        } = self;
        let session = session
            .as_mut()
            .ok_or_else(|| no_session(closed.as_deref()))?;
        let entry = exchanges.vacant_entry();
        match session.ping(payload, entry.token(), deadline) {
            Ok(slot) => Ok(entry.insert_unary(slot, ReplySlot::new(None))),
            Err(blocked) => Err(NotSent::blocked(blocked, closed.as_deref())),
        }
    }
}

/// Puts the metadata of an answer where the caller wants it.
pub(super) fn take_metadata(
    wanted: Option<&ResponseMetadata>,
    metadata: Option<Box<wire::Metadata>>,
) {
    if let Some(wanted) = wanted {
        wanted.set(metadata.map(|metadata| Metadata::received(*metadata)));
    }
}

/// The same for that of an error, of which the details belong to its status.
fn take_error_metadata(wanted: Option<&ResponseMetadata>, outcome: &Outcome) {
    if let Some(wanted) = wanted {
        wanted.set(metadata_of(outcome));
    }
}

/// The metadata of an outcome, without the details of an error.
pub(super) fn metadata_of(outcome: &Outcome) -> Option<Metadata> {
    let metadata = match outcome {
        Outcome::Answer { metadata, .. } => metadata.as_deref()?,
        Outcome::Error(_, metadata) => metadata.as_deref()?,
        _ => return None,
    };
    let mut metadata = metadata.clone();
    metadata.details = Vec::new();
    (metadata != wire::Metadata::default()).then(|| Metadata::received(metadata))
}
