//! The options of one exchange.

#[cfg(test)]
mod tests;

use std::{fmt, time::Duration};

use tokio::time::Instant;

use crate::{
    Identity, Metadata, MetadataError, ResponseMetadata,
    metadata::{check_header, check_text, check_traceparent},
};

/// The options of one exchange: its deadline, its priority and its metadata.
///
/// Passed to `with` of a client or peer. Options that are not set are as in the schema. Metadata is at most 8 KiB,
/// encoded. Invalid metadata, such as a header without a name, makes the send fail with
/// [`SendError::Metadata`](crate::SendError::Metadata).
///
/// # Examples
///
/// ```
/// # mod shop {
/// #     use msip_runtime::{ClientToServer, Message, ServerToClient};
/// #     #[derive(Debug, PartialEq, ClientToServer)]
/// #     #[msip(protocol = "shop")]
/// #     pub enum ClientToServer {
/// #         #[msip(tag = 1)]
/// #         PriceReq(PriceReq),
/// #     }
/// #     #[derive(Debug, PartialEq, ServerToClient)]
/// #     pub enum ServerToClient {
/// #         #[msip(tag = 1)]
/// #         PriceRsp(PriceRsp),
/// #     }
/// #     #[derive(Debug, PartialEq, Message)]
/// #     pub struct PriceReq {
/// #         #[msip(tag = 1)]
/// #         pub article: u64,
/// #     }
/// #     #[derive(Debug, PartialEq, Message)]
/// #     pub struct PriceRsp {
/// #         #[msip(tag = 1)]
/// #         pub cents: u32,
/// #     }
/// # }
/// use std::time::Duration;
///
/// use msip_runtime::{CallError, CallOptions, Client};
/// use shop::{PriceReq, SendClientToServer as _, Shop};
///
/// async fn price(client: &Client<Shop>) -> Result<u32, CallError> {
///     let options = CallOptions::new()
///         .timeout(Duration::from_secs(2))
///         .correlation_id("order-17")
///         .header("tenant", "north");
///     let answer = client.with(options).price_req(PriceReq { article: 7 }).await?;
///     Ok(answer.cents)
/// }
/// # let _ = price;
/// ```
#[derive(Clone, Default)]
pub struct CallOptions {
    pub(crate) timeout: Option<Duration>,
    /// Until when the caller waits for whom this is done.
    within: Option<Within>,
    pub(crate) urgent: Option<bool>,
    pub(crate) ack: bool,
    pub(crate) clears: bool,
    /// For whom it is, among those who share a connection.
    pub(crate) caller: u32,
    /// Boxed, so that options without metadata are small.
    outgoing: Option<Box<OutgoingMetadata>>,
}

/// The deadline of the exchange that is being handled: what is sent while handling it ends no later.
#[derive(Debug, Clone, Copy)]
struct Within {
    deadline: Instant,
    /// The exchange itself is passed on to another peer. Its caller has chosen the deadline for it, and the default of
    /// this connection does not matter.
    is_relayed: bool,
}

/// The metadata of the request, the place for that of the response, and what is rarely set.
#[derive(Clone, Default)]
struct OutgoingMetadata {
    metadata: Metadata,
    /// The first error in it.
    mistake: Option<MetadataError>,
    answer: Option<ResponseMetadata>,
    /// The number of the login that sends it; 0 for none.
    login: u64,
    /// Nothing waits for a lost connection.
    fail_fast: bool,
    /// It is that of another exchange, and is sent as it came.
    is_passed_on: bool,
}

/// No options.
pub(crate) static NO_OPTIONS: CallOptions = CallOptions::new();

impl CallOptions {
    /// Options with nothing set.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            timeout: None,
            within: None,
            urgent: None,
            ack: false,
            clears: false,
            caller: 0,
            outgoing: None,
        }
    }

    /// Whether nothing is set.
    #[inline]
    pub(crate) fn is_default(&self) -> bool {
        // Nearly every message is sent with these.
        std::ptr::eq(self, &NO_OPTIONS) || self.has_nothing()
    }

    fn has_nothing(&self) -> bool {
        self.caller == 0 && self.has_caller_alone()
    }

    /// Whether nothing is set, except perhaps for whom it is.
    #[inline]
    pub(crate) fn has_caller_alone(&self) -> bool {
        self.timeout.is_none()
            && self.within.is_none()
            && self.urgent.is_none()
            && !self.ack
            && !self.clears
            && self.outgoing.is_none()
    }

    /// Sets the timeout, instead of the schema's `timeout_ms`. It is sent along as a deadline, at which the peer
    /// aborts the handler. Rounded to whole milliseconds; less than one fails at once, with
    /// [`SendError::NoTime`](crate::SendError::NoTime).
    ///
    /// In options that pass a deadline on, such as `CallOptions::from(peer.call())`, it may be longer than the schema's
    /// timeout, but what is left of that deadline still holds where it is shorter.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sends it ahead of queued messages that are not urgent, whatever the schema says.
    #[must_use]
    pub const fn urgent(mut self) -> Self {
        self.urgent = Some(true);
        self
    }

    /// Requests an acknowledgment of a one-way message: the send returns after the peer's handler has, and fails with
    /// [`SendError::NotAcknowledged`](crate::SendError::NotAcknowledged) otherwise.
    #[must_use]
    pub const fn ack(mut self) -> Self {
        self.ack = true;
        self
    }

    /// Clears the STATE that the message would set, instead of sending it: of the message only the key counts, the schema's
    /// `(msip.key)` field or [`key`](Self::key). The other side's `on_state_cleared` is called, where its protocol has a STATE;
    /// a broker keeps the STATE no longer. Where it waits, it replaces what was to be set, as a newer STATE does.
    ///
    /// A message of any other kind fails with [`SendError::Refused`](crate::SendError::Refused). A peer of a release that does
    /// not know of this ignores it, or refuses it where an acknowledgment is asked for.
    ///
    /// docs/protocol.md, "Clearing a STATE".
    ///
    /// ```
    /// # mod fleet {
    /// #     use msip_runtime::{ClientToServer, Message, ServerToClient};
    /// #     #[derive(Debug, ClientToServer)]
    /// #     #[msip(protocol = "fleet")]
    /// #     pub enum ClientToServer {
    /// #         #[msip(tag = 1, key = "van")]
    /// #         PositionState(PositionState),
    /// #     }
    /// #     #[derive(Debug, ServerToClient)]
    /// #     pub enum ServerToClient {
    /// #         #[msip(tag = 1)]
    /// #         CalledInd(CalledInd),
    /// #     }
    /// #     #[derive(Debug, Message)]
    /// #     pub struct CalledInd {}
    /// #     #[derive(Debug, Default, Message)]
    /// #     pub struct PositionState {
    /// #         #[msip(tag = 1)]
    /// #         pub van: u32,
    /// #         #[msip(tag = 2)]
    /// #         pub street: String,
    /// #     }
    /// # }
    /// use fleet::{Fleet, PositionState, SendClientToServer as _};
    /// use msip_runtime::{CallOptions, Client, SendError};
    ///
    /// async fn is_parked(client: &Client<Fleet>, van: u32) -> Result<(), SendError> {
    ///     let which = PositionState { van, ..PositionState::default() };
    ///     client.with(CallOptions::new().clearing()).position_state(which).await
    /// }
    /// # let _ = is_parked;
    /// ```
    #[must_use]
    pub const fn clearing(mut self) -> Self {
        self.clears = true;
        self
    }

    /// Sets the correlation id, which follows a chain of calls across services: a handler that makes further calls with
    /// `client.with(peer.call())` passes it on.
    #[must_use]
    pub fn correlation_id(mut self, id: impl Into<String>) -> Self {
        let id = id.into();
        self.checked(check_text(|| "correlation id".to_owned(), &id));
        self.metadata_mut().metadata.0.correlation_id = id;
        self
    }

    /// Sets the trace context: the W3C header `traceparent`.
    #[must_use]
    pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
        let traceparent = traceparent.into();
        self.checked(check_traceparent(&traceparent));
        self.metadata_mut().metadata.0.traceparent = traceparent;
        self
    }

    /// Sets the vendor-specific part of the trace context: the W3C header `tracestate`.
    #[must_use]
    pub fn tracestate(mut self, tracestate: impl Into<String>) -> Self {
        let tracestate = tracestate.into();
        self.checked(check_text(|| "tracestate".to_owned(), &tracestate));
        self.metadata_mut().metadata.0.tracestate = tracestate;
        self
    }

    /// Sets a header of the application, replacing one of the same name. Names consist of ASCII letters and digits, `-`,
    /// `_`, `.` and `/`, and are case-sensitive; values are text without control characters.
    ///
    /// Headers reach the next peer only: calls that it makes in turn do not have them, unless its handler passes them on
    /// with [`headers`](Self::headers).
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        self.checked(check_header(&name, &value));
        self.metadata_mut().metadata.0.headers.insert(name, value);
        self
    }

    /// Sets several headers; those of the call being handled are `peer.call().metadata().headers()`.
    #[must_use]
    pub fn headers<N: Into<String>, V: Into<String>>(
        self,
        headers: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        headers
            .into_iter()
            .fold(self, |options, (name, value)| options.header(name, value))
    }

    /// Marks the call as idempotent: it may be repeated if its outcome is unknown, whatever the schema says.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.metadata_mut().metadata.0.idempotent = true;
        self
    }

    /// Sets the key of the message, instead of the schema's `(msip.key)` field. A STATE replaces queued ones with the same key;
    /// through a broker, messages of other kinds with the same key are handled by the same instance of a service.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        let key = key.into();
        self.checked(check_text(|| "key".to_owned(), &key));
        self.metadata_mut().metadata.0.key = key;
        self
    }

    /// Whether [`key`](Self::key) has set one.
    pub(crate) fn has_key(&self) -> bool {
        self.outgoing
            .as_ref()
            .is_some_and(|said| said.metadata.key().is_some())
    }

    /// Sends the time of the request, and asks for that of the response. Any other metadata implies this.
    #[must_use]
    pub fn timestamps(mut self) -> Self {
        self.metadata_mut();
        self
    }

    /// Stores the metadata of the response in `answer` when it has ended: the headers that the handler has set with
    /// [`Call::set_header`](crate::Call::set_header), and when it was sent. That of a stream arrives with its end, that of
    /// an error where the peer knows of details of errors. An acknowledgment has none.
    #[must_use]
    pub fn response_metadata(mut self, answer: &ResponseMetadata) -> Self {
        self.metadata_mut().answer = Some(answer.clone());
        self
    }

    /// Ends no later than `deadline`, that of the exchange which is being handled.
    pub(crate) fn within(mut self, deadline: Instant) -> Self {
        self.within = Some(Within {
            deadline,
            is_relayed: false,
        });
        self
    }

    /// The same for the exchange itself, on its way to another peer.
    pub(crate) fn relayed_within(mut self, deadline: Instant) -> Self {
        self.within = Some(Within {
            deadline,
            is_relayed: true,
        });
        self
    }

    /// How long an exchange with these options may take: as long as they say, or else the schema, or else `default`; and
    /// never longer than what is left of the deadline that they pass on. `None` is for ever.
    #[inline]
    pub(crate) fn time_limit(
        &self,
        schema: Option<Duration>,
        default: Option<Duration>,
    ) -> Option<Duration> {
        let limit = self.timeout.or(schema);
        let Some(Within {
            deadline,
            is_relayed,
        }) = self.within
        else {
            return limit.or(default);
        };
        let limit = if is_relayed { limit } else { limit.or(default) };
        let left = deadline.saturating_duration_since(Instant::now());
        Some(limit.map_or(left, |limit| limit.min(left)))
    }

    /// Fails at once where there is no connection, or where it is lost before the answer, rather than wait until the session is
    /// resumed. Default: what is open waits for the next connection, within its timeout.
    ///
    /// Without a connection, and until `on_connected` has returned, nothing is sent, nor kept by `buffer_disconnected`. What is
    /// open when the connection is lost fails with [`CallError::ConnectionLost`](crate::CallError::ConnectionLost): it may
    /// have run. A call is cancelled once the session is resumed; a message sent for acknowledgment may still be sent again.
    #[must_use]
    pub fn fail_fast(mut self) -> Self {
        self.metadata_mut().fail_fast = true;
        self
    }

    /// The metadata that goes along, as far as it is set. Nothing where it is not well-formed, and cannot be sent.
    #[must_use]
    pub fn metadata(&self) -> Option<&Metadata> {
        self.outgoing_metadata().ok().flatten()
    }

    /// Whether nothing waits for a lost connection.
    pub(crate) fn is_fail_fast(&self) -> bool {
        self.outgoing
            .as_ref()
            .is_some_and(|outgoing| outgoing.fail_fast)
    }

    fn metadata_mut(&mut self) -> &mut OutgoingMetadata {
        self.outgoing.get_or_insert_default()
    }

    fn checked(&mut self, checked: Result<(), MetadataError>) {
        if let Err(mistake) = checked {
            self.metadata_mut().mistake.get_or_insert(mistake);
        }
    }

    /// The metadata to send, if any.
    ///
    /// # Errors
    ///
    /// The first error in it.
    pub(crate) fn outgoing_metadata(&self) -> Result<Option<&Metadata>, MetadataError> {
        match &self.outgoing {
            None => Ok(None),
            Some(outgoing) => match &outgoing.mistake {
                Some(mistake) => Err(mistake.clone()),
                None => Ok(Some(&outgoing.metadata)),
            },
        }
    }

    /// Where to store the metadata of the response.
    pub(crate) fn answer_metadata(&self) -> Option<&ResponseMetadata> {
        self.outgoing.as_ref()?.answer.as_ref()
    }

    /// For what the login of this number sends.
    pub(crate) fn of_login(mut self, login: u64) -> Self {
        self.metadata_mut().login = login;
        self
    }

    /// The number of the login that sends; 0 for none.
    pub(crate) fn login(&self) -> u64 {
        self.outgoing.as_ref().map_or(0, |outgoing| outgoing.login)
    }

    /// Passes on all metadata of an exchange but the identity, which only the side that has authenticated it may state.
    pub(crate) fn pass_on(mut self, metadata: &Metadata) -> Self {
        let outgoing = self.metadata_mut();
        outgoing.is_passed_on = true;
        let ours = &mut outgoing.metadata.0;
        ours.clone_from(&metadata.0);
        ours.identity = None;
        ours.deadline_ms = None;
        self
    }

    /// Whether the metadata is that of another exchange, which was sent when it says.
    pub(crate) fn is_passed_on(&self) -> bool {
        self.outgoing
            .as_ref()
            .is_some_and(|outgoing| outgoing.is_passed_on)
    }

    /// Makes a call for one of many who share the connection: for a broker or a relay, which numbers them as it likes. Where they
    /// give up more calls than may be cancelled at once, their CANCELs are sent by turns.
    #[must_use]
    pub const fn on_behalf_of(mut self, caller: u32) -> Self {
        self.caller = caller;
        self
    }

    /// States who has sent it: for a broker, whose clients believe it. Of any side but an accepting one it is ignored.
    #[must_use]
    pub fn stating(mut self, identity: Option<&Identity>) -> Self {
        if let Some(identity) = identity {
            let outgoing = self.metadata_mut();
            outgoing.is_passed_on = true;
            outgoing.metadata.0.identity = Some(identity.into());
        }
        self
    }

    /// Passes on what goes with a chain of calls: its correlation id and its trace context.
    pub(crate) fn follow(mut self, metadata: &Metadata) -> Self {
        let wire = &metadata.0;
        if wire.correlation_id.is_empty() && wire.traceparent.is_empty() {
            return self;
        }
        let ours = &mut self.metadata_mut().metadata.0;
        ours.correlation_id.clone_from(&wire.correlation_id);
        ours.traceparent.clone_from(&wire.traceparent);
        ours.tracestate.clone_from(&wire.tracestate);
        self
    }
}

impl fmt::Debug for CallOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallOptions")
            .field("timeout", &self.timeout)
            .field("within", &self.within.map(|within| within.deadline))
            .field("urgent", &self.urgent)
            .field("ack", &self.ack)
            .field("clears", &self.clears)
            .field("metadata", &self.outgoing.as_ref().map(|it| &it.metadata))
            .finish_non_exhaustive()
    }
}
