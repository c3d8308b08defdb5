//! The exchange, as a middleware sees it.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::RemotePeer;
use crate::{
    CallError, CallOptions, Extensions, Identity, Metadata, MsgKind, PeerId, SendError, Status,
    Variant, call::Serving, connection::ConnectionShared, metadata::NO_METADATA,
    protocol::Exchange, transport::PeerAddress,
};

/// Which way an exchange goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The peer has begun it, and a handler of this side serves it.
    Incoming,
    /// This side begins it.
    Outgoing,
}

impl Direction {
    /// `incoming` or `outgoing`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Incoming => "incoming",
            Self::Outgoing => "outgoing",
        }
    }
}

/// The messages of an exchange, in each direction (docs/protocol.md, "Exchanges").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shape {
    /// A message without an answer.
    OneWay,
    /// A message and its acknowledgment.
    Delivery,
    /// A request and its answer.
    Call,
    /// Many requests and one answer.
    RequestStream,
    /// A request and many answers.
    ResponseStream,
    /// Many requests and many answers.
    BothStreams,
}

impl Shape {
    /// `one_way`, `delivery`, `call`, `request_stream`, `response_stream` or `both_streams`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneWay => "one_way",
            Self::Delivery => "delivery",
            Self::Call => "call",
            Self::RequestStream => "request_stream",
            Self::ResponseStream => "response_stream",
            Self::BothStreams => "both_streams",
        }
    }

    /// Whether many messages go either way.
    #[must_use]
    pub const fn has_streams(self) -> bool {
        matches!(
            self,
            Self::RequestStream | Self::ResponseStream | Self::BothStreams
        )
    }

    /// That of a message of this variant; `delivered` where it is sent for acknowledgment.
    pub(crate) const fn of(variant: &Variant, delivered: bool) -> Self {
        match variant.exchange {
            Exchange::Call {
                request_stream,
                response_stream,
                ..
            } => match (request_stream, response_stream) {
                (false, false) => Self::Call,
                (true, false) => Self::RequestStream,
                (false, true) => Self::ResponseStream,
                (true, true) => Self::BothStreams,
            },
            _ if delivered => Self::Delivery,
            _ => Self::OneWay,
        }
    }
}

/// An exchange, as a middleware sees it: everything but the message itself.
#[derive(Debug)]
pub struct ExchangeContext {
    variant: &'static Variant,
    shape: Shape,
    peer: Option<Arc<dyn RemotePeer>>,
    body_len: usize,
    answer_len: Option<usize>,
    begun: Instant,
    side: Side,
}

/// What is known on either side.
#[derive(Debug)]
enum Side {
    Incoming(Serving),
    Outgoing {
        options: CallOptions,
        /// How long it may take where the options do not say.
        timeout: Option<Duration>,
        connection: Arc<ConnectionShared>,
    },
}

impl ExchangeContext {
    pub(crate) fn incoming(
        variant: &'static Variant,
        delivered: bool,
        body_len: usize,
        peer: Option<Arc<dyn RemotePeer>>,
        serving: Serving,
    ) -> Self {
        Self {
            variant,
            shape: Shape::of(variant, delivered),
            peer,
            body_len,
            answer_len: None,
            begun: Instant::now(),
            side: Side::Incoming(serving),
        }
    }

    pub(crate) fn outgoing(
        variant: &'static Variant,
        shape: Shape,
        body_len: usize,
        peer: Option<Arc<dyn RemotePeer>>,
        options: CallOptions,
        timeout: Option<Duration>,
        connection: &Arc<ConnectionShared>,
    ) -> Self {
        Self {
            variant,
            shape,
            peer,
            body_len,
            answer_len: None,
            begun: Instant::now(),
            side: Side::Outgoing {
                options,
                timeout,
                connection: Arc::clone(connection),
            },
        }
    }

    /// Which way it goes.
    #[must_use]
    pub const fn direction(&self) -> Direction {
        match self.side {
            Side::Incoming(_) => Direction::Incoming,
            Side::Outgoing { .. } => Direction::Outgoing,
        }
    }

    /// The message that begins it, by the name of its member in the schema.
    #[must_use]
    pub const fn message(&self) -> &'static str {
        self.variant.name
    }

    /// The number of that member, by which the wire knows it.
    #[must_use]
    pub const fn variant_number(&self) -> u16 {
        self.variant.number
    }

    /// The kind of that message.
    #[must_use]
    pub const fn kind(&self) -> MsgKind {
        self.variant.kind
    }

    /// What goes to and fro.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// The client that it comes from or goes to; `None` at a client, whose server it is.
    #[must_use]
    pub fn peer(&self) -> Option<PeerId> {
        self.peer.as_ref().map(|peer| peer.id())
    }

    /// The address from which that client connects, or connected last; `None` at a client.
    #[must_use]
    pub fn address(&self) -> Option<PeerAddress> {
        self.peer.as_ref().map(|peer| peer.address())
    }

    /// What the server's handlers keep for that client, and its middleware may: `None` at a client.
    #[must_use]
    pub fn extensions(&self) -> Option<&Extensions> {
        self.peer.as_ref().map(|peer| peer.extensions())
    }

    /// Who the other side is: of what comes in, its sender, as [`set_identity`](Self::set_identity) or the server's
    /// [`authenticate`](crate::ServerBuilder::authenticate) says; of what goes out, the client that it goes to. `None` where
    /// nobody was authenticated, and at a client.
    #[must_use]
    pub fn identity(&self) -> Option<Arc<Identity>> {
        match &self.side {
            Side::Incoming(serving) => serving.metadata.as_ref()?.1.clone(),
            Side::Outgoing { .. } => self.peer.as_ref()?.identity(),
        }
    }

    /// The length of the message that begins it, in bytes: as it came, or in protobuf before it goes. 0 where the
    /// requests are a stream.
    #[must_use]
    pub const fn body_len(&self) -> usize {
        self.body_len
    }

    /// The length of its one answer, in bytes of protobuf, once that is there.
    #[must_use]
    pub const fn answer_len(&self) -> Option<usize> {
        self.answer_len
    }

    /// How long ago it began here.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The metadata of the message.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        match &self.side {
            Side::Incoming(serving) => serving.metadata.as_deref().unwrap_or(&NO_METADATA),
            // Metadata that cannot be sent is an error of the send.
            Side::Outgoing { options, .. } => match options.outgoing_metadata() {
                Ok(Some(metadata)) => metadata,
                _ => &NO_METADATA,
            },
        }
    }

    /// Whether it may be repeated when its fate is unknown: the schema says so, or the caller.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        self.variant.idempotent || self.metadata().is_idempotent()
    }

    /// The time limit of the exchange: the rest of its deadline where it is incoming; where it is outgoing its whole
    /// timeout, or the rest of the deadline that it passes on where that is shorter. `None` where no outcome is awaited, and for a stream without a deadline.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        match &self.side {
            Side::Incoming(serving) => {
                let deadline = serving.deadline?;
                Some(deadline.saturating_duration_since(Instant::now()))
            }
            Side::Outgoing {
                options, timeout, ..
            } => match self.shape {
                Shape::OneWay => None,
                _ => options.time_limit(*timeout, None),
            },
        }
    }

    /// Whether its time was over when it was given up. A caller whose time is over first gives a stream up about then: what is
    /// given up so shortly before its deadline has missed it.
    #[cfg(feature = "metrics")]
    pub(super) fn is_out_of_time(&self) -> bool {
        const SHORTLY: Duration = Duration::from_millis(20);
        match &self.side {
            Side::Incoming(serving) => {
                let deadline = serving.deadline;
                deadline.is_some_and(|deadline| Instant::now() + SHORTLY >= deadline)
            }
            Side::Outgoing { .. } => self
                .remaining()
                .is_some_and(|timeout| self.elapsed() >= timeout),
        }
    }

    /// Changes with what options an exchange goes out: adds a header, a trace context, another timeout. Nothing where it
    /// comes in.
    ///
    /// ```
    /// # use msip_runtime::{CallError, middleware::{ExchangeContext, Middleware, Next}};
    /// # struct Named;
    /// # impl Middleware for Named {
    /// async fn handle(&self, exchange: &mut ExchangeContext, mut next: Next<'_>) -> Result<(), CallError> {
    ///     exchange.change_options(|options| options.header("client", "van-7"));
    ///     next.run(exchange).await
    /// }
    /// # }
    /// ```
    pub fn change_options(&mut self, change: impl FnOnce(CallOptions) -> CallOptions) {
        if let Side::Outgoing { options, .. } = &mut self.side {
            *options = change(std::mem::take(options));
        }
    }

    /// Says who sends what comes in, for the handlers of this exchange: `peer.call().metadata().identity()`. Nothing
    /// where it goes out.
    pub fn set_identity(&mut self, identity: Identity) {
        if let Side::Incoming(serving) = &mut self.side {
            let mut metadata = serving.metadata.as_deref().cloned().unwrap_or_default();
            metadata.1 = Some(Arc::new(identity));
            serving.metadata = Some(metadata.into());
        }
    }

    /// [`set_identity`](Self::set_identity) to this user.
    pub fn set_user(&mut self, user: impl Into<String>) {
        self.set_identity(Identity::new("").with_user(user));
    }

    /// The error of an exchange that this side refuses: the peer gets `status` as the answer where it
    /// is incoming, and the caller gets [`SendError::Refused`] where it is outgoing.
    #[must_use]
    pub fn refuse(&self, status: Status) -> CallError {
        match self.side {
            Side::Incoming(_) => CallError::Status(status),
            Side::Outgoing { .. } => CallError::NotSent(SendError::Refused(status)),
        }
    }

    /// Waits until there is a session by which it can go out. `false` where none will follow, or where it comes in.
    pub(super) async fn next_connection(&self) -> bool {
        match &self.side {
            Side::Outgoing { connection, .. } => connection.accepting_session().await,
            Side::Incoming(_) => false,
        }
    }

    /// The options with which it goes out.
    pub(crate) fn options(&self) -> &CallOptions {
        match &self.side {
            Side::Outgoing { options, .. } => options,
            Side::Incoming(_) => &crate::options::NO_OPTIONS,
        }
    }

    /// The context that its handler is given.
    pub(crate) fn serving(&self) -> Serving {
        match &self.side {
            Side::Incoming(serving) => serving.clone(),
            Side::Outgoing { .. } => Serving::default(),
        }
    }

    pub(crate) fn answered(&mut self, len: usize) {
        self.answer_len = Some(len);
    }
}
