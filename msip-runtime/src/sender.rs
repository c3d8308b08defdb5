//! Sending many small messages through a buffer of one's own.

use std::{future::Future, sync::Arc};

use crate::{
    Envelope, Outbound, OutboundPush, SendError,
    connection::{BatchTerms, ConnectionShared},
};
use msip_session::{Batch, RequestHead};

/// When so many bytes wait they are handed over.
const BATCH_LEN: usize = 64 * 1024;

/// An exclusive sender of one-way messages: for streams of many small ones. Made by `sender` of a client or peer.
///
/// What is pushed is encoded into a buffer that nobody shares, so that a message costs no lock. The buffer is handed to
/// the connection when 64 KiB wait, by [`flush`](Self::flush), and when the sender is dropped: **a sender that pauses
/// calls `flush`**, or its last messages wait with it.
///
/// - Messages of one sender arrive in the order in which they were pushed. Those of others, of the same client too, may
///   come between wherever the sender hands over, and what was sent by the client itself may overtake what still waits in
///   the sender: call `flush` where that matters.
/// - A variant that is urgent is not gathered but sent as the client sends it: it overtakes what waits here. Every other
///   kind is treated alike, LOG, METRIC and STATE too: none is dropped to make room for another.
/// - Where middleware stands around what goes out, every message goes through it, and is sent as the client sends it.
/// - A push that finds the buffer full waits for room and credit like a send, for `write_timeout` at most.
/// - What waits when the connection is lost goes out with the next one if the sender notices nothing of it, else it is
///   dropped and counted by [`disconnected`](crate::Dropped::disconnected), and the push or flush that notices fails with
///   [`SendError::Disconnected`].
///
/// No options and no metadata go beside what it sends, unless [`middleware`](crate::middleware) adds them.
///
/// Dropping it hands over what there is room for; the rest is counted by
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
    connection: Arc<ConnectionShared>,
    batch: Batch,
    /// What the batch is written for; nothing where it was just handed over.
    terms: Option<BatchTerms>,
    /// The handle it was made from, which keeps a client's connection open.
    target: T,
    /// Whether there is middleware around what goes out, which must see each message.
    is_instrumented: bool,
}

impl<T> Sender<T> {
    pub(crate) fn new(
        connection: &Arc<ConnectionShared>,
        target: T,
        is_instrumented: bool,
    ) -> Self {
        Self {
            connection: Arc::clone(connection),
            batch: Batch::default(),
            terms: None,
            target,
            is_instrumented,
        }
    }

    /// Hands over what waits. Returns once the connection has taken it, as a send does.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] after `write_timeout` without room: what was not handed over waits on, and another flush may
    /// succeed. [`SendError::Disconnected`] and [`SendError::Closed`]: it is dropped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: what was not handed over waits on.
    pub async fn flush(&mut self) -> Result<(), SendError> {
        let Some(terms) = &self.terms else {
            return Ok(());
        };
        let outcome = self.connection.hand_over(&mut self.batch, terms).await;
        if self.batch.is_empty() {
            self.terms = None;
        }
        outcome
    }

    /// How many messages wait to be handed over.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.batch.message_count()
    }

    fn terms<'a>(
        connection: &ConnectionShared,
        terms: &'a mut Option<BatchTerms>,
    ) -> Result<&'a BatchTerms, SendError> {
        match terms {
            Some(terms) => Ok(terms),
            none => Ok(none.insert(connection.batch_terms()?)),
        }
    }

    #[inline]
    pub(crate) async fn push_message<Out: Envelope, In>(
        &mut self,
        message: Out,
    ) -> Result<(), SendError>
    where
        T: Outbound<Out, In>,
    {
        if self.batch.len() >= BATCH_LEN {
            self.flush().await?;
        }
        if self.terms.is_none() {
            // A batch was handed over just now, or nothing yet.
            self.connection.let_driver_write().await;
        }
        // Generated code has a row for each variant.
        let variant = Out::VARIANTS
            .get(message.index())
            .ok_or(SendError::Closed)?;
        if variant.is_urgent() || self.is_instrumented {
            // In a box, since the future of every push has the room that this one needs.
            return Box::pin(self.target.send(message)).await;
        }
        let terms = Self::terms(&self.connection, &mut self.terms)?;
        let mut head = RequestHead {
            variant: variant.number,
            kind: variant.kind,
            urgent: false,
            compressed: false,
            deadline_ms: None,
            metadata: &[],
        };
        let prepared = if terms.encoding.is_identity() {
            None
        } else {
            let prepared = terms.encoding.prepare(&message, variant);
            prepared.map_err(SendError::Unwritable)?
        };
        let max = terms.max_body;
        let pushed = match prepared {
            None => self
                .batch
                .push(terms.side, &head, max, |buffer| message.encode(buffer)),
            Some(prepared) if prepared.len > max => Err(prepared.len),
            Some(prepared) => {
                head.compressed = prepared.compressed;
                self.batch.push(terms.side, &head, max, |buffer| {
                    buffer.extend_from_slice(&prepared.bytes);
                })
            }
        };
        pushed.map_err(|len| SendError::TooLarge { len, max })?;
        if self.batch.len() >= BATCH_LEN {
            let outcome = self.connection.try_hand_over(&mut self.batch, terms);
            if self.batch.is_empty() {
                self.terms = None;
            }
            // Where there is no room, the next push waits for it.
            outcome?;
        }
        Ok(())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
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
