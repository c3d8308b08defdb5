//! Batched sending of one-way messages, through a buffer of the sender's own.

use std::{future::Future, sync::Arc};

use crate::{
    Envelope, Outbound, OutboundPush, SendError,
    connection::{Addressed, BatchTerms, ClosedConnection, ConnectionShared, Outgoing, add_key},
    options::NO_OPTIONS,
    outbound::SendHandle,
};
use msip_session::{Batch, NotBare, RequestHead, wire::Topic};

/// When so many bytes wait they are flushed.
const BATCH_LEN: usize = 64 * 1024;

/// An exclusive sender of one-way messages: for streams of many small ones. Made by `sender` of a client or peer.
///
/// What is pushed is encoded into a buffer of its own, so that a message costs no lock. The buffer is flushed to
/// the connection when 64 KiB wait, by [`flush`](Self::flush), and when the sender is dropped: **a sender that pauses
/// calls `flush`**, or its last messages wait with it.
///
/// - Messages of one sender arrive in the order in which they were pushed. Those of others, of the same client too, may
///   come between wherever the sender flushes, and what was sent by the client itself may overtake what still waits in
///   the sender: call `flush` where that matters.
/// - An urgent variant is not buffered but sent as the client sends it: it overtakes what waits here. Every other
///   kind is treated alike, LOG, METRIC and STATE too: none is dropped in favor of another.
/// - A message of a kind that goes by a channel is sent as the client sends it.
/// - With outgoing middleware, every message goes through it, and is sent as the client sends it.
/// - A push that finds the buffer full waits for capacity and credit like a send, until nothing has moved for `write_timeout`.
/// - What waits when the connection is lost goes out with the next one if the sender notices nothing of it, else it is
///   dropped and counted by [`disconnected`](crate::Dropped::disconnected), and the push or flush that notices fails with
///   [`SendError::Disconnected`].
///
/// What it sends has no options and no metadata, unless [`middleware`](crate::middleware) adds them.
///
/// Dropping it flushes what there is capacity for; the rest is counted by
/// [`unflushed`](crate::Dropped::unflushed).
///
/// # Examples
///
/// ```
/// # mod probe {
/// #     use msip_runtime::{ClientToServer, Message, ServerToClient};
/// #     #[derive(Debug, ClientToServer)]
/// #     #[msip(protocol = "probe")]
/// #     pub enum ClientToServer {
/// #         #[msip(tag = 1)]
/// #         SampleInd(SampleInd),
/// #     }
/// #     #[derive(Debug, ServerToClient)]
/// #     pub enum ServerToClient {
/// #         #[msip(tag = 1)]
/// #         StopInd(StopInd),
/// #     }
/// #     #[derive(Debug, PartialEq, Message)]
/// #     pub struct SampleInd {
/// #         #[msip(tag = 1)]
/// #         pub value: f64,
/// #     }
/// #     #[derive(Debug, PartialEq, Message)]
/// #     pub struct StopInd {}
/// # }
/// use msip_runtime::{Client, SendError};
/// use probe::{Probe, PushClientToServer as _, SampleInd};
///
/// async fn report(client: &Client<Probe>, values: &[f64]) -> Result<(), SendError> {
///     let mut sender = client.sender();
///     for &value in values {
///         sender.sample_ind(SampleInd { value }).await?;
///     }
///     sender.flush().await
/// }
/// # let _ = report;
/// ```
#[must_use = "it sends nothing by itself"]
pub struct Sender<T> {
    batch: BatchSender,
    /// The handle it was made from, which keeps a client's connection open.
    target: T,
    /// Whether there is middleware around what goes out, which must see each message.
    is_instrumented: bool,
    /// Where a broker takes what it sends.
    topic: Option<Topic>,
}

impl<T> Sender<T> {
    pub(crate) fn new(
        connection: &Arc<ConnectionShared>,
        target: T,
        is_instrumented: bool,
        topic: Option<&Topic>,
        login: u64,
    ) -> Self {
        Self {
            batch: BatchSender::new(connection, login),
            target,
            is_instrumented,
            topic: topic.cloned(),
        }
    }

    /// It sends nothing once the client is closed, whose connection goes on.
    pub(crate) fn closed_with(mut self, closed: &ClosedConnection) -> Self {
        self.batch.closed = Some(closed.clone());
        self
    }

    /// Hands over what waits. Returns once the connection has taken it, as a send does.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] after `write_timeout` without capacity: what was not flushed waits on, and another flush may
    /// succeed. [`SendError::Disconnected`] and [`SendError::Closed`]: it is dropped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: what was not flushed waits on.
    pub async fn flush(&mut self) -> Result<(), SendError> {
        self.batch.flush().await
    }

    /// How many messages wait to be flushed.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.batch.buffered()
    }

    #[inline]
    pub(crate) async fn push_message<Out: Envelope, In>(
        &mut self,
        message: Out,
    ) -> Result<(), SendError>
    where
        T: Outbound<Out, In> + SendHandle,
    {
        self.target.check_open()?;
        if !self.batch.is_ready() {
            self.batch.ready().await?;
        }
        // Generated code has a row for each variant.
        let variant = Out::VARIANTS
            .get(message.index())
            .ok_or(SendError::Closed)?;
        let connection = self.batch.connection();
        if variant.is_urgent() || self.is_instrumented || connection.has_channel_for(variant.kind) {
            // In a box, since the future of every push has the size that this one needs.
            return Box::pin(self.target.send(message)).await;
        }
        let topic = self.topic.as_ref();
        let message = &message;
        self.batch.push(&Addressed { message, topic })
    }
}

/// Why frames were not taken.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PushFramesError {
    /// They are not what can be passed on as it is.
    #[error(transparent)]
    NotBare(#[from] NotBare),
    /// See [`SendError`].
    #[error(transparent)]
    NotSent(#[from] SendError),
}

/// One-way messages that are buffered for one connection, and flushed many at a time.
#[derive(Debug)]
pub(crate) struct BatchSender {
    connection: Arc<ConnectionShared>,
    batch: Batch,
    /// What the batch is written for; nothing where it was just flushed.
    terms: Option<BatchTerms>,
    /// The number of the login that it sends for; 0 for none.
    login: u64,
    /// Where the connection is that of others too: set once the client is closed.
    closed: Option<ClosedConnection>,
}

impl BatchSender {
    pub(crate) fn new(connection: &Arc<ConnectionShared>, login: u64) -> Self {
        Self {
            connection: Arc::clone(connection),
            batch: Batch::default(),
            terms: None,
            login,
            closed: None,
        }
    }

    /// Drops what waits, where the client is closed.
    fn check_closed(&mut self) -> Result<(), SendError> {
        let is_closed = |closed: &ClosedConnection| closed.get().is_some();
        if self.closed.as_ref().is_some_and(is_closed) {
            self.connection.drop_batch(&mut self.batch);
            self.terms = None;
            return Err(SendError::Closed);
        }
        Ok(())
    }

    pub(crate) fn connection(&self) -> &Arc<ConnectionShared> {
        &self.connection
    }

    pub(crate) fn buffered(&self) -> usize {
        self.batch.message_count()
    }

    /// Whether a message can be taken without waiting for anything.
    #[inline]
    pub(crate) fn is_ready(&self) -> bool {
        self.batch.len() < BATCH_LEN && self.terms.is_some()
    }

    /// Waits until a message can be taken.
    pub(crate) async fn ready(&mut self) -> Result<(), SendError> {
        self.check_closed()?;
        if self.batch.len() >= BATCH_LEN {
            self.flush().await?;
        }
        if self.terms.is_none() {
            // A batch was flushed just now, or nothing yet.
            self.connection.let_driver_write().await;
        }
        Ok(())
    }

    pub(crate) async fn flush(&mut self) -> Result<(), SendError> {
        self.check_closed()?;
        let Some(terms) = &self.terms else {
            return Ok(());
        };
        let outcome = self.connection.hand_over(&mut self.batch, terms).await;
        if self.batch.is_empty() {
            self.terms = None;
        }
        outcome
    }

    fn terms<'a>(
        connection: &ConnectionShared,
        terms: &'a mut Option<BatchTerms>,
        login: u64,
    ) -> Result<&'a BatchTerms, SendError> {
        match terms {
            Some(terms) => Ok(terms),
            none => Ok(none.insert(connection.batch_terms(login)?)),
        }
    }

    /// Whether the connection takes bodies as they are.
    #[inline]
    pub(crate) fn is_plain(&mut self) -> Result<bool, SendError> {
        let terms = Self::terms(&self.connection, &mut self.terms, self.login)?;
        Ok(terms.encoding.is_identity())
    }

    /// Takes a message.
    #[inline]
    pub(crate) fn push<M: Outgoing>(&mut self, message: &M) -> Result<(), SendError> {
        let terms = Self::terms(&self.connection, &mut self.terms, self.login)?;
        if !terms.encoding.is_identity() || !message.is_bare() {
            return self.push_prepared(message);
        }
        // Generated code has a row for each variant.
        let variant = message.variant().ok_or(SendError::Closed)?;
        let head = RequestHead {
            topic: message.topic(),
            ..RequestHead::new(variant.number, variant.kind, false)
        };
        let max = terms.max_body;
        let pushed = self
            .batch
            .push(terms.side, &head, max, |buffer| message.encode(buffer));
        pushed.map_err(|len| SendError::TooLarge { len, max })?;
        self.hand_over_if_full()
    }

    /// Takes a message that has metadata, or whose body is not written as it is.
    fn push_prepared<M: Outgoing>(&mut self, message: &M) -> Result<(), SendError> {
        let terms = Self::terms(&self.connection, &mut self.terms, self.login)?;
        let variant = message.variant().ok_or(SendError::Closed)?;
        let prepared = message
            .prepare(&terms.encoding)
            .map_err(SendError::Unwritable)?;
        let mut metadata = Vec::new();
        add_key(&mut metadata, message, &NO_OPTIONS)?;
        let head = RequestHead {
            topic: message.topic(),
            compressed: prepared.as_ref().is_some_and(|body| body.compressed),
            metadata: &metadata,
            ..RequestHead::new(variant.number, variant.kind, false)
        };
        let max = terms.max_body;
        let pushed = match prepared {
            None => self
                .batch
                .push(terms.side, &head, max, |buffer| message.encode(buffer)),
            Some(body) if body.len > max => Err(body.len),
            Some(body) => self.batch.push(terms.side, &head, max, |buffer| {
                buffer.extend_from_slice(&body.bytes);
            }),
        };
        pushed.map_err(|len| SendError::TooLarge { len, max })?;
        self.hand_over_if_full()
    }

    /// Takes an encoded body unchanged.
    #[inline]
    pub(crate) fn push_body(
        &mut self,
        head: &RequestHead<'_>,
        body: &[u8],
    ) -> Result<(), SendError> {
        let terms = Self::terms(&self.connection, &mut self.terms, self.login)?;
        let max = terms.max_body;
        let pushed = self.batch.push(terms.side, head, max, |buffer| {
            buffer.extend_from_slice(body)
        });
        pushed.map_err(|len| SendError::TooLarge { len, max })?;
        self.hand_over_if_full()
    }

    /// Takes whole frames of one-way messages. Returns how many of them are larger than the peer accepts, and were left out.
    pub(crate) fn push_frames(&mut self, frames: &[u8]) -> Result<usize, PushFramesError> {
        let terms = Self::terms(&self.connection, &mut self.terms, self.login)?;
        let too_large = self.batch.push_frames(terms.side, frames, terms.max_body)?;
        self.hand_over_if_full()?;
        Ok(too_large)
    }

    /// The same, each at this topic in place of its own.
    pub(crate) fn push_frames_at(
        &mut self,
        topic: &[u8],
        frames: &[u8],
    ) -> Result<usize, PushFramesError> {
        let terms = Self::terms(&self.connection, &mut self.terms, self.login)?;
        let too_large = self
            .batch
            .push_frames_at(terms.side, topic, frames, terms.max_body)?;
        self.hand_over_if_full()?;
        Ok(too_large)
    }

    #[inline]
    fn hand_over_if_full(&mut self) -> Result<(), SendError> {
        if self.batch.len() < BATCH_LEN {
            return Ok(());
        }
        let terms = Self::terms(&self.connection, &mut self.terms, self.login)?;
        let outcome = self.connection.try_hand_over(&mut self.batch, terms);
        if self.batch.is_empty() {
            self.terms = None;
        }
        // Where there is no capacity, the next push waits for it.
        outcome.map(|_| ())
    }
}

impl Drop for BatchSender {
    fn drop(&mut self) {
        if self.check_closed().is_err() {
            return;
        }
        if let Some(terms) = &self.terms
            && !self.batch.is_empty()
        {
            self.connection.hand_over_some(&mut self.batch, terms);
            self.connection.drop_batch(&mut self.batch);
        }
    }
}

/// Implements [`OutboundPush`] for the senders of one side.
macro_rules! impl_push {
    ($ty:ty: $out:ident -> $in:ident) => {
        impl<P: Protocol> OutboundPush<P::$out> for Sender<$ty> {
            #[inline]
            fn push(
                &mut self,
                message: P::$out,
            ) -> impl Future<Output = Result<(), SendError>> + Send {
                self.push_message::<P::$out, P::$in>(message)
            }

            fn flush(&mut self) -> impl Future<Output = Result<(), SendError>> + Send {
                Sender::flush(self)
            }
        }
    };
}
pub(crate) use impl_push;

impl<Out: Send, S: OutboundPush<Out> + ?Sized> OutboundPush<Out> for &mut S {
    fn push(&mut self, message: Out) -> impl Future<Output = Result<(), SendError>> + Send {
        S::push(self, message)
    }

    fn flush(&mut self) -> impl Future<Output = Result<(), SendError>> + Send {
        S::flush(self)
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender")
            .field("target", &self.target)
            .field("buffered", &self.buffered())
            .finish_non_exhaustive()
    }
}
