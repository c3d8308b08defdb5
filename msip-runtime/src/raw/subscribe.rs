//! Subscriptions: what a client asks of a broker, and how a broker's service answers.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use prost::Message as _;

use super::UntypedMessage;
use crate::{
    Code, MsgKind, Status,
    connection::{ConnectionShared, SubscribeAsk},
    service::Receiver,
};
use msip_session::{
    SubscribeHead,
    wire::{self, Subscribe, Topic, broker},
};

/// How to subscribe; see [`UntypedClient::subscribe`](crate::untyped::UntypedClient::subscribe).
///
/// ```
/// use msip_runtime::untyped::SubscribeOptions;
///
/// let shared = SubscribeOptions::new().group("workers");
/// # let _ = shared;
/// ```
#[derive(Debug, Clone, Default)]
pub struct SubscribeOptions {
    group: String,
    protocol: String,
    fingerprint: u64,
    is_by_peer: bool,
    is_strict: bool,
    timeout: Option<Duration>,
}

impl SubscribeOptions {
    /// A subscription of this client's own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The subscription is shared by all sessions that name this group: a message goes to one of them. At most 255 bytes.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = group.into();
        self
    }

    /// Says what is spoken at the topic: the package of the protocol, and the fingerprint of its schema. The broker remembers
    /// that of the first service, and tells others of a difference.
    #[must_use]
    pub fn protocol(mut self, protocol: impl Into<String>, fingerprint: u64) -> Self {
        self.protocol = protocol.into();
        self.fingerprint = fingerprint;
        self
    }

    /// The topic carries typed traffic. A subscription to `T` is then that of one client of `T`: it hears `T/$to/<itself>` as
    /// well. One to `T/$in` is that of an instance of a service: it hears each client apart, at `T/$in/<peer>`, and is
    /// introduced to it before, by a message at `$presence/T`.
    #[must_use]
    pub fn by_peer(mut self) -> Self {
        self.is_by_peer = true;
        self
    }

    /// Where this is the first service of its topic, others with another schema than that of its
    /// [protocol](Self::protocol) are refused there.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.is_strict = true;
        self
    }

    /// How long to wait for the broker's answer. Default: `call_timeout`.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How long to wait, where it says so.
    pub(crate) fn limit(&self) -> Option<Duration> {
        self.timeout
    }

    /// The request that subscribes to `filter`, or revokes that.
    pub(crate) fn ask(&self, filter: &str, is_unsubscribe: bool) -> Result<SubscribeAsk, Status> {
        let subscribe = Subscribe {
            group: self.group.clone(),
            protocol: self.protocol.clone(),
            fingerprint: self.fingerprint,
            grant: Vec::new(),
            by_peer: self.is_by_peer,
            schema_rule: match self.is_strict {
                true => wire::SchemaRule::Strict.into(),
                false => wire::SchemaRule::Unspecified.into(),
            },
            own_window: false,
        };
        ask(MsgKind::State, filter, subscribe, is_unsubscribe)
    }
}

/// What a broker says of a topic that was subscribed to [by peer](SubscribeOptions::by_peer): what its first service speaks.
///
/// ```
/// use msip_runtime::untyped::Subscribed;
///
/// let spoken = Subscribed::new("fleet.v1", 7);
/// assert_eq!(spoken.protocol(), Some(("fleet.v1", 7)));
/// assert_eq!(Subscribed::default().protocol(), None);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subscribed(wire::Subscribed);

impl Subscribed {
    /// The first service speaks this protocol, by its package, with the schema of this fingerprint.
    #[must_use]
    pub fn new(protocol: impl Into<String>, fingerprint: u64) -> Self {
        Self(wire::Subscribed {
            protocol: protocol.into(),
            fingerprint,
        })
    }

    /// The protocol of the topic's first service, by its package, and the fingerprint of its schema; `None` where there is no
    /// service that says so, or no subscription by peer.
    #[must_use]
    pub fn protocol(&self) -> Option<(&str, u64)> {
        let spoken = (&*self.0.protocol, self.0.fingerprint);
        (!spoken.0.is_empty()).then_some(spoken)
    }

    /// What an acknowledgment with this body says. One that cannot be read says nothing.
    pub(crate) fn of_answer(body: Bytes) -> Self {
        Self(wire::Subscribed::decode(body).unwrap_or_default())
    }
}

/// What a service enables for clients of its topic: filters of what they may publish to, subscribe to, and send requests to.
///
/// ```
/// use msip_runtime::untyped::Grant;
///
/// let grant = Grant::new().request("orders").subscribe("orders/status/+");
/// # let _ = grant;
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant(broker::Grant);

impl Grant {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Clients may publish to these topics too.
    #[must_use]
    pub fn publish(mut self, filter: impl Into<String>) -> Self {
        self.0.publish.push(filter.into());
        self
    }

    /// Clients may subscribe to these topics too.
    #[must_use]
    pub fn subscribe(mut self, filter: impl Into<String>) -> Self {
        self.0.subscribe.push(filter.into());
        self
    }

    /// Clients may send requests to these topics too.
    #[must_use]
    pub fn request(mut self, filter: impl Into<String>) -> Self {
        self.0.request.push(filter.into());
        self
    }

    /// The topics that clients may publish to.
    #[must_use]
    pub fn publishes(&self) -> &[String] {
        &self.0.publish
    }

    /// The topics that clients may subscribe to.
    #[must_use]
    pub fn subscribes(&self) -> &[String] {
        &self.0.subscribe
    }

    /// The topics that clients may send requests to.
    #[must_use]
    pub fn requests(&self) -> &[String] {
        &self.0.request
    }

    /// The request that gives it at this topic.
    pub(crate) fn ask(&self, topic: &str) -> Result<SubscribeAsk, Status> {
        let subscribe = Subscribe {
            grant: self.0.encode_to_vec(),
            ..Subscribe::default()
        };
        ask(MsgKind::Command, topic, subscribe, false)
    }

    /// The request that withdraws what was given at this topic.
    pub(crate) fn withdrawal(topic: &str) -> Result<SubscribeAsk, Status> {
        ask(MsgKind::Command, topic, Subscribe::default(), true)
    }
}

fn ask(
    kind: MsgKind,
    topic: &str,
    subscribe: Subscribe,
    is_unsubscribe: bool,
) -> Result<SubscribeAsk, Status> {
    let invalid = |reason: String| Status::invalid_argument(reason);
    let bytes = Bytes::copy_from_slice(topic.as_bytes());
    let topic = Topic::new(bytes, wire::Limits::default().max_topic)
        .map_err(|error| invalid(error.to_string()))?;
    if topic.is_empty() {
        return Err(invalid("the empty topic: name one, or a filter".to_owned()));
    }
    let len = subscribe.encoded_len();
    let max = usize::from(SubscribeHead::MAX_SUBSCRIBE_LEN);
    if len > max {
        return Err(invalid(format!(
            "what is said of a subscription has {len} bytes: {max} are allowed"
        )));
    }
    Ok(SubscribeAsk {
        is_unsubscribe,
        kind,
        topic,
        subscribe: (len > 0).then_some(subscribe),
    })
}

/// A client subscribes to a topic, revokes that, or gives or withdraws a grant. Dropped unused, it answers with `CANCELLED`.
#[must_use = "a request that is dropped is refused"]
pub struct SubscribeRequest {
    request: msip_session::SubscribeRequest,
    connection: Arc<ConnectionShared>,
    generation: u64,
    is_done: bool,
}

impl SubscribeRequest {
    pub(super) fn new(
        receiver: &Receiver<UntypedMessage>,
        request: msip_session::SubscribeRequest,
    ) -> Self {
        Self {
            request,
            connection: Arc::clone(receiver.connection()),
            generation: receiver.terms().generation,
            is_done: false,
        }
    }

    /// The topic, or a filter of topics. It has no control characters; whether it is well formed is for the broker to judge.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.request.topic.as_str()
    }

    /// The group that shares the subscription, if there is one.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        let group = &*self.request.subscribe.as_ref()?.group;
        (!group.is_empty()).then_some(group)
    }

    /// The protocol that is spoken at the topic, and the fingerprint of its schema, where the client says so.
    #[must_use]
    pub fn protocol(&self) -> Option<(&str, u64)> {
        let subscribe = self.request.subscribe.as_ref()?;
        let protocol = (&*subscribe.protocol, subscribe.fingerprint);
        (!protocol.0.is_empty()).then_some(protocol)
    }

    /// Whether the topic carries typed traffic: see [`SubscribeOptions::by_peer`].
    #[must_use]
    pub fn is_by_peer(&self) -> bool {
        let subscribe = self.request.subscribe.as_ref();
        subscribe.is_some_and(|subscribe| subscribe.by_peer)
    }

    /// Whether what a client hears at its topic has a window of its own, since its session has other clients besides.
    #[must_use]
    pub fn has_own_window(&self) -> bool {
        let subscribe = self.request.subscribe.as_ref();
        subscribe.is_some_and(|subscribe| subscribe.own_window)
    }

    /// Whether a first service refuses others with another schema: see [`SubscribeOptions::strict`].
    #[must_use]
    pub fn is_strict(&self) -> bool {
        let subscribe = self.request.subscribe.as_ref();
        subscribe.is_some_and(|subscribe| subscribe.schema_rule() == wire::SchemaRule::Strict)
    }

    /// Whether it is about a grant to clients, and not about a subscription.
    #[must_use]
    pub fn is_about_grant(&self) -> bool {
        self.request.kind == MsgKind::Command
    }

    /// What the service gives to clients.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` where it cannot be read.
    pub fn grant(&self) -> Result<Grant, Status> {
        let encoded = match &self.request.subscribe {
            Some(subscribe) => Bytes::copy_from_slice(&subscribe.grant),
            None => Bytes::new(),
        };
        broker::Grant::decode(encoded)
            .map(Grant)
            .map_err(|error| Status::invalid_argument(format!("malformed Grant: {error}")))
    }

    /// Grants it. What is sent from here on follows the acknowledgment.
    pub fn accept(mut self) {
        self.answer(Ok(&[]));
    }

    /// Grants it, and says what is spoken there.
    pub fn accept_with(mut self, spoken: &Subscribed) {
        self.answer(Ok(&spoken.0.encode_to_vec()));
    }

    /// Refuses it: the client gets the code and the text of this status. So it does where the request is dropped without an answer,
    /// with `CANCELLED`.
    pub fn refuse(mut self, status: &Status) {
        self.answer(Err(status));
    }

    fn answer(&mut self, outcome: Result<&[u8], &Status>) {
        self.is_done = true;
        self.connection
            .answer_subscribe(self.generation, self.request.reply, outcome);
    }
}

impl Drop for SubscribeRequest {
    fn drop(&mut self) {
        if !self.is_done {
            self.answer(Err(&Status::new(
                Code::Cancelled,
                "the service did not answer",
            )));
        }
    }
}

impl fmt::Debug for SubscribeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.request.fmt(f)
    }
}
