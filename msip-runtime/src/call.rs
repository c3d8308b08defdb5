//! The context of an exchange that a handler serves.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    CallOptions, Cancellation, Draining, Metadata, MetadataError,
    connection::{CallToAnswer, ConnectionShared},
    metadata::{NO_METADATA, check_header},
};

/// What a handle knows of the exchange it was made for. Empty outside of a handler.
#[derive(Debug, Clone, Default)]
pub(crate) struct Serving {
    pub(crate) deadline: Option<Instant>,
    /// `None` where nothing but a deadline came.
    pub(crate) metadata: Option<Arc<Metadata>>,
    /// The call that has to be answered, where it is one.
    pub(crate) call: Option<CallToAnswer>,
}

#[cfg(feature = "testing")]
impl Serving {
    /// A call of which nothing is known but its deadline.
    pub(crate) const fn until(deadline: Option<Instant>) -> Self {
        Self {
            deadline,
            metadata: None,
            call: None,
        }
    }

    /// A call that was made with these options.
    pub(crate) fn made_with(options: &CallOptions) -> Result<Self, MetadataError> {
        let metadata = options.outgoing_metadata()?;
        let limit = options.time_limit(None, None);
        Ok(Self {
            deadline: limit.and_then(|left| Instant::now().checked_add(left)),
            metadata: metadata.map(|metadata| Arc::new(metadata.clone())),
            call: None,
        })
    }
}

/// The exchange that a handler serves, from `peer.call()` or `client.call()`.
///
/// `client.with(peer.call())` makes a call of its own under the same correlation id and in the same trace, and within what
/// remains of the deadline: that call has its usual time limit, or what remains where that is shorter.
///
/// # Examples
///
/// A handler that gives its answer's quality to the time that is left:
///
/// ```
/// use msip_runtime::Call;
/// use std::time::Duration;
///
/// fn depth_of_search(call: Call<'_>) -> u32 {
///     let tenant = call.metadata().header("tenant").unwrap_or("default");
///     println!("a search for {tenant}, {:?}", call.metadata().correlation_id());
///     match call.remaining() {
///         Some(left) if left < Duration::from_millis(100) => 1,
///         _ => 5,
///     }
/// }
/// # let _ = depth_of_search;
/// ```
#[derive(Clone, Copy)]
pub struct Call<'a> {
    serving: &'a Serving,
    connection: &'a Arc<ConnectionShared>,
}

impl<'a> Call<'a> {
    pub(crate) const fn new(serving: &'a Serving, connection: &'a Arc<ConnectionShared>) -> Self {
        Self {
            serving,
            connection,
        }
    }

    /// How long the caller still waits; nothing once it has given up. `None` where no answer is awaited, in the handler
    /// of a one-way message or outside of any handler; and where a message is to be acknowledged by no other
    /// deadline than the usual.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.serving
            .deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// The metadata of the message.
    #[must_use]
    pub fn metadata(&self) -> &'a Metadata {
        self.serving.metadata.as_deref().unwrap_or(&NO_METADATA)
    }

    /// Sets a header of the answer, replacing one of the same name; for the caller's
    /// [`ResponseMetadata`](crate::ResponseMetadata). Names and values are as in [`CallOptions::header`].
    ///
    /// Headers are sent with the end of the answer: with its one message, with the end of a stream, or with an error where
    /// the caller's handshake has said that it reads details of errors, as that of msip-runtime does. Without effect where no answer is
    /// awaited: in the handler of a message that is no call, outside of any handler, and once the call has been answered
    /// or cancelled.
    ///
    /// # Errors
    ///
    /// The header is malformed, or the headers of the answer have more than 8 KiB together. Those before it stay.
    ///
    /// # Examples
    ///
    /// ```
    /// # use msip_runtime::{Call, Status};
    /// async fn price(call: Call<'_>) -> Result<u32, Status> {
    ///     call.set_header("price-list", "2026-07")?;
    ///     Ok(499)
    /// }
    /// ```
    pub fn set_header(&self, name: &str, value: &str) -> Result<(), MetadataError> {
        match self.serving.call {
            Some(call) => self.connection.set_answer_header(call, name, value),
            None => check_header(name, value),
        }
    }

    /// Whether the call is cancelled: the caller no longer waits for the answer, the deadline has passed, or
    /// its session has ended. Always false in the handler of a message that is no call, and outside of handlers.
    ///
    /// The handler itself is dropped then, at its next await. Work that goes on without it sees this, or waits for it
    /// with a [`cancellation`](Self::cancellation).
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        let call = self.serving.call;
        call.is_some_and(|call| !self.connection.is_awaited(call))
    }

    /// Waits until the call is cancelled; never returns where it is not. See
    /// [`cancellation`](Self::cancellation).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn cancelled(&self) {
        self.cancellation().cancelled().await;
    }

    /// Whether the connection drains: either side has begun to close it, and open calls are to come to their end.
    ///
    /// A handler of a call has `drain_timeout` from then on, one with a stream `stream_drain`.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining().is_draining()
    }

    /// A future that is ready once the connection drains: `call.draining().await`, in a `select!`, or at the end of a stream
    /// ([`Draining`] has an example). It can be kept longer than the handler.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub fn draining(&self) -> Draining {
        self.connection.draining()
    }

    /// Tells work that outlives the handler, in a task or thread of its own, when the answer is not wanted any more. Get it
    /// before the handler returns.
    ///
    /// A call that is cancelled drops its handler, which is most often all that is needed. Work that must not be cut
    /// off in the middle goes into a task, and looks at the cancellation between its steps:
    ///
    /// ```
    /// # use msip_runtime::{Call, Status};
    /// # async fn step(_: u32) {}
    /// async fn migrate(call: Call<'_>) -> Result<u32, Status> {
    ///     let cancellation = call.cancellation();
    ///     let work = tokio::spawn(async move {
    ///         let mut done = 0;
    ///         while done < 1000 && !cancellation.is_cancelled() {
    ///             step(done).await; // runs to completion, although the caller has left
    ///             done += 1;
    ///         }
    ///         done
    ///     });
    ///     work.await.map_err(|error| Status::internal(error.to_string()))
    /// }
    /// ```
    #[must_use]
    pub fn cancellation(&self) -> Cancellation {
        match self.serving.call {
            Some(call) => self.connection.cancellation(call),
            None => Cancellation::never(),
        }
    }
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("remaining", &self.remaining())
            .field("metadata", self.metadata())
            .finish_non_exhaustive()
    }
}

impl From<Call<'_>> for CallOptions {
    /// The deadline, as a limit to the usual timeout or to that of the options; the correlation id and the trace context.
    /// Headers are not passed on.
    fn from(call: Call<'_>) -> Self {
        let options = match call.serving.deadline {
            Some(deadline) => Self::new().within(deadline),
            None => Self::new(),
        };
        match &call.serving.metadata {
            Some(metadata) => options.follow(metadata),
            None => options,
        }
    }
}

impl From<&Call<'_>> for CallOptions {
    fn from(call: &Call<'_>) -> Self {
        Self::from(*call)
    }
}
