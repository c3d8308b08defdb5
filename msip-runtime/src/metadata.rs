//! Metadata of messages.

mod response;
mod validation;

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::Identity;
use msip_session::wire;

pub use response::ResponseMetadata;
pub use validation::MetadataError;
pub(crate) use validation::{check_header, check_text, check_traceparent};

/// The metadata of a received message: the identity of the sender, ids for tracing, and headers of the application.
///
/// A handler reads it with `peer.call().metadata()`. What the sender did not set is `None`, or empty. Text comes from the
/// peer: display it with [`wire::Escaped`].
///
/// # Examples
///
/// ```
/// # mod shop {
/// #     use msip_runtime::{ClientToServer, Message, ServerToClient};
/// #     #[derive(ClientToServer)]
/// #     #[msip(protocol = "shop")]
/// #     pub enum ClientToServer {
/// #         #[msip(tag = 1)]
/// #         OrderInd(OrderInd),
/// #     }
/// #     #[derive(ServerToClient)]
/// #     pub enum ServerToClient {
/// #         #[msip(tag = 1)]
/// #         SoldOutInd,
/// #     }
/// #     #[derive(Message)]
/// #     pub struct OrderInd {
/// #         #[msip(tag = 1)]
/// #         pub article: u64,
/// #     }
/// # }
/// use msip_runtime::Peer;
/// use shop::{HandleClientToServer, OrderInd, Shop};
///
/// struct Orders;
///
/// impl HandleClientToServer for Orders {
///     async fn on_order_ind(&self, peer: &Peer<Shop>, order: OrderInd) {
///         let metadata = peer.call().metadata();
///         let tenant = metadata.header("tenant").unwrap_or("default");
///         println!("{tenant} orders {} ({:?})", order.article, metadata.correlation_id());
///     }
/// }
/// # let _ = Orders;
/// ```
///
/// # Protocol
///
/// docs/protocol.md, "Metadata".
#[derive(Clone, PartialEq, Default)]
pub struct Metadata(
    /// As it was received, but for the identity.
    pub(crate) Fields,
    pub(crate) Option<Arc<Identity>>,
);

/// The metadata of a message without any.
pub(crate) static NO_METADATA: Metadata = Metadata(Fields(None), None);

/// What metadata says besides who has sent the message. In a box, which is there once it says something: each connection has
/// metadata for the messages that come without any, which says who sends them.
#[derive(Clone, Default)]
pub(crate) struct Fields(Option<Box<wire::Metadata>>);

static NO_FIELDS: wire::Metadata = wire::Metadata {
    deadline_ms: None,
    correlation_id: String::new(),
    traceparent: String::new(),
    tracestate: String::new(),
    request_time_us: None,
    response_time_us: None,
    idempotent: false,
    key: String::new(),
    cleared: Vec::new(),
    headers: std::collections::BTreeMap::new(),
    identity: None,
    details: Vec::new(),
};

impl Deref for Fields {
    type Target = wire::Metadata;

    fn deref(&self) -> &wire::Metadata {
        self.0.as_deref().unwrap_or(&NO_FIELDS)
    }
}

impl DerefMut for Fields {
    fn deref_mut(&mut self) -> &mut wire::Metadata {
        self.0.get_or_insert_default()
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Metadata {
    /// What a message came with.
    pub(crate) fn received(mut metadata: wire::Metadata) -> Self {
        let identity = metadata.identity.take();
        let fields = Fields(Some(Box::new(metadata)));
        Self(fields, identity.map(|identity| Arc::new(identity.into())))
    }

    /// That of a message without any, whose sender is known.
    pub(crate) fn of_sender(identity: Arc<Identity>) -> Self {
        Self(Fields::default(), Some(identity))
    }

    /// Says who has sent the message, unless that is said already by a name.
    pub(crate) fn set_sender(metadata: &mut Option<Arc<Self>>, sender: &Arc<Self>) {
        match metadata {
            None => *metadata = Some(Arc::clone(sender)),
            Some(metadata) if metadata.1.as_ref().is_none_or(|it| it.is_nameless()) => {
                Arc::make_mut(metadata).1.clone_from(&sender.1);
            }
            Some(_) => {}
        }
    }

    /// Forgets who has sent the message, where that names nobody: a broker tells of an anonymous client its peer id alone.
    pub(crate) fn forget_nameless(metadata: &mut Option<Arc<Self>>) {
        if let Some(metadata) = metadata
            && metadata.1.as_ref().is_some_and(|it| it.is_nameless())
        {
            Arc::make_mut(metadata).1 = None;
        }
    }

    /// Whether there is anything besides who has sent it, and until when it is waited for.
    pub(crate) fn says_something(&self) -> bool {
        let wire::Metadata {
            deadline_ms: _,
            identity: _,
            correlation_id,
            traceparent,
            tracestate,
            request_time_us,
            response_time_us,
            idempotent,
            key,
            cleared,
            headers,
            details,
        } = &*self.0;
        // One by one: to compare empty texts with empty ones costs a tenth of a call that a broker passes on.
        let has_text = [correlation_id, traceparent, tracestate, key]
            .iter()
            .any(|text| !text.is_empty());
        has_text
            || request_time_us.is_some()
            || response_time_us.is_some()
            || *idempotent
            || !cleared.is_empty()
            || !headers.is_empty()
            || !details.is_empty()
    }

    /// The identity of the sender, as [`identity`](Self::identity) gives it, to be kept.
    #[must_use]
    pub fn shared_identity(&self) -> Option<Arc<Identity>> {
        self.1.clone()
    }

    /// The correlation id, which follows a chain of calls across services.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        non_empty(&self.0.correlation_id)
    }

    /// The trace context of the caller: the W3C header `traceparent`.
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        non_empty(&self.0.traceparent)
    }

    /// The vendor-specific part of the trace context: the W3C header `tracestate`.
    #[must_use]
    pub fn tracestate(&self) -> Option<&str> {
        non_empty(&self.0.tracestate)
    }

    /// The value of the header of this name, which is case-sensitive.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.headers.get(name).map(String::as_str)
    }

    /// All headers, by name.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let headers = self.0.headers.iter();
        headers.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The time when the request was sent, by the sender's clock.
    #[must_use]
    pub fn request_time(&self) -> Option<SystemTime> {
        self.0.request_time_us.and_then(system_time)
    }

    /// The time when the response was sent, by the sender's clock.
    #[must_use]
    pub fn response_time(&self) -> Option<SystemTime> {
        self.0.response_time_us.and_then(system_time)
    }

    /// Whether the caller marked the call as idempotent. Whether the schema does is not included.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        self.0.idempotent
    }

    /// Which STATE an empty body clears, for an untyped service: the envelope with nothing but its key, in protobuf whatever the
    /// codec is. Empty where the key has its default, or there is none, and with any other message.
    #[must_use]
    pub fn cleared(&self) -> &[u8] {
        &self.0.cleared
    }

    /// The key of the message, if there is one: as the sender has set it, else, where a broker is between, that of the schema's
    /// `(msip.key)`. docs/schema.md, "Keys", says how that is written.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        non_empty(&self.0.key)
    }

    /// Who the sender is: what the server's [`authenticate`](crate::ServerBuilder::authenticate) has answered, or a
    /// middleware has [set](crate::middleware::ExchangeContext::set_identity) for this exchange. It is never what a client
    /// claims.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.1.as_deref()
    }

    /// The names of the headers. Their values may be secret, so `Debug` omits them.
    fn header_names(&self) -> Vec<&str> {
        self.0.headers.keys().map(String::as_str).collect()
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metadata")
            .field("correlation_id", &self.correlation_id())
            .field("traceparent", &self.traceparent())
            .field("tracestate", &self.tracestate())
            .field("request_time", &self.request_time())
            .field("response_time", &self.response_time())
            .field("is_idempotent", &self.is_idempotent())
            .field("key", &self.key())
            .field("identity", &self.identity())
            .field("header_names", &self.header_names())
            .finish()
    }
}

fn non_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// `None` for a time that the platform cannot represent.
fn system_time(us: i64) -> Option<SystemTime> {
    let distance = Duration::from_micros(us.unsigned_abs());
    if us < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    }
}

/// The current time, in microseconds since 1970.
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_time_of_a_peer_is_accepted() {
        let at = |us| {
            Metadata::received(wire::Metadata {
                request_time_us: Some(us),
                ..wire::Metadata::default()
            })
            .request_time()
        };
        assert_eq!(at(0), Some(UNIX_EPOCH));
        assert_eq!(at(-1_000_000), Some(UNIX_EPOCH - Duration::from_secs(1)));
        // Out of range or not on this platform, nothing panics.
        let _ = (at(i64::MAX), at(i64::MIN));
    }

    #[test]
    fn values_of_headers_are_not_shown() {
        let mut metadata = Metadata::default();
        let header = ("token".to_owned(), "hunter2".to_owned());
        metadata.0.headers.extend([header]);
        let shown = format!("{metadata:?}");
        assert!(
            shown.contains("token") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
