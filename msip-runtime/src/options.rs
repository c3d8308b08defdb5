//! What one exchange does differently from what the schema says.

use std::{fmt, time::Duration};

use crate::{
    Metadata, MetadataError, ResponseMetadata,
    metadata::{check_header, check_text, check_traceparent},
};

/// Options of one exchange, given to `with` of a client or peer: its deadline, and the metadata that goes with it.
///
/// ```
/// use std::time::Duration;
/// use msip_runtime::CallOptions;
///
/// let patient = CallOptions::new().timeout(Duration::from_secs(300));
/// let known = CallOptions::new().header("tenant", "north").correlation_id("order-17");
/// # let _ = (patient, known);
/// ```
///
/// Metadata is at most 8 KiB, encoded. What cannot be sent, such as a header without a name, is told by the send, as
/// [`SendError::Metadata`](crate::SendError::Metadata).
#[derive(Clone, Default)]
pub struct CallOptions {
    pub(crate) timeout: Option<Duration>,
    pub(crate) urgent: Option<bool>,
    pub(crate) ack: bool,
    /// Boxed, so that options without are small.
    metadata_mut: Option<Box<OutgoingMetadata>>,
}

/// What goes metadata_mut the message, and comes metadata_mut the answer.
#[derive(Clone, Default)]
struct OutgoingMetadata {
    metadata: Metadata,
    /// The first thing in it that cannot be sent.
    mistake: Option<MetadataError>,
    answer: Option<ResponseMetadata>,
}

/// Options that say nothing.
pub(crate) static NO_OPTIONS: CallOptions = CallOptions::new();

impl CallOptions {
    /// Everything as the schema says.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            timeout: None,
            urgent: None,
            ack: false,
            metadata_mut: None,
        }
    }

    /// Whether everything is as the schema says.
    pub(crate) const fn is_silent(&self) -> bool {
        self.timeout.is_none() && self.urgent.is_none() && !self.ack && self.metadata_mut.is_none()
    }

    /// How long to wait for the answer, in place of the schema's `timeout_ms`. The other side is told, and stops
    /// working on it when the time is up. Counted in whole milliseconds; less than one fails at once, with
    /// [`SendError::NoTime`](crate::SendError::NoTime).
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Overtakes what is queued and not urgent, whatever the schema says.
    #[must_use]
    pub const fn urgent(mut self) -> Self {
        self.urgent = Some(true);
        self
    }

    /// Sends a one-way message for acknowledgment: the send returns when the other side's handler has, and fails
    /// with [`SendError`](crate::SendError) when it does not.
    #[must_use]
    pub const fn ack(mut self) -> Self {
        self.ack = true;
        self
    }

    /// An id that follows the work across services: a handler that passes its call on, with
    /// `client.with(peer.call())`, passes on the same id.
    #[must_use]
    pub fn correlation_id(mut self, id: impl Into<String>) -> Self {
        let id = id.into();
        self.checked(check_text(|| "correlation id".to_owned(), &id));
        self.metadata_mut().metadata.0.correlation_id = id;
        self
    }

    /// The place in a trace that the exchange belongs to: the W3C header `traceparent`.
    #[must_use]
    pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
        let traceparent = traceparent.into();
        self.checked(check_traceparent(&traceparent));
        self.metadata_mut().metadata.0.traceparent = traceparent;
        self
    }

    /// What tracing systems add to a [`traceparent`](Self::traceparent): the W3C header `tracestate`.
    #[must_use]
    pub fn tracestate(mut self, tracestate: impl Into<String>) -> Self {
        let tracestate = tracestate.into();
        self.checked(check_text(|| "tracestate".to_owned(), &tracestate));
        self.metadata_mut().metadata.0.tracestate = tracestate;
        self
    }

    /// A header of the application, in place of an earlier one of this name. Names are letters and digits of ASCII,
    /// `-`, `_`, `.` and `/`, and are compared as they are spelled; values are text without control characters.
    ///
    /// Headers go to the next peer alone: what it calls in turn does not have them, unless its handler passes them on
    /// with [`headers`](Self::headers).
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        self.checked(check_header(&name, &value));
        self.metadata_mut().metadata.0.headers.insert(name, value);
        self
    }

    /// Many headers; those of a call that is being served are `peer.call().metadata().headers()`.
    #[must_use]
    pub fn headers<N: Into<String>, V: Into<String>>(
        self,
        headers: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        headers
            .into_iter()
            .fold(self, |options, (name, value)| options.header(name, value))
    }

    /// The call may be repeated when its fate is unknown, whatever the schema says.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.metadata_mut().metadata.0.idempotent = true;
        self
    }

    /// What tells this STATE from others of the same variant, in place of the schema's `(msip.key)`.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        let key = key.into();
        self.checked(check_text(|| "key".to_owned(), &key));
        self.metadata_mut().metadata.0.key = key;
        self
    }

    /// Tells the other side when the request was sent, and asks when its answer was. So does all other metadata.
    #[must_use]
    pub fn timestamps(mut self) -> Self {
        self.metadata_mut();
        self
    }

    /// Puts the metadata of the answer into `answer`, once it is there: when it was sent. The answer of a call that is
    /// no stream has some; an acknowledgment and an error have none.
    #[must_use]
    pub fn response_metadata(mut self, answer: &ResponseMetadata) -> Self {
        self.metadata_mut().answer = Some(answer.clone());
        self
    }

    fn metadata_mut(&mut self) -> &mut OutgoingMetadata {
        self.metadata_mut.get_or_insert_default()
    }

    fn checked(&mut self, checked: Result<(), MetadataError>) {
        if let Err(mistake) = checked {
            self.metadata_mut().mistake.get_or_insert(mistake);
        }
    }

    /// What goes metadata_mut the message, if anything does.
    ///
    /// # Errors
    ///
    /// The first thing in it that cannot be sent.
    pub(crate) fn outgoing_metadata(&self) -> Result<Option<&Metadata>, MetadataError> {
        match &self.metadata_mut {
            None => Ok(None),
            Some(metadata_mut) => match &metadata_mut.mistake {
                Some(mistake) => Err(mistake.clone()),
                None => Ok(Some(&metadata_mut.metadata)),
            },
        }
    }

    /// Where the metadata of the answer is wanted.
    pub(crate) fn answer_metadata(&self) -> Option<&ResponseMetadata> {
        self.metadata_mut.as_ref()?.answer.as_ref()
    }

    /// Passes on all metadata of an exchange but the identity, which only who has authenticated it may tell.
    pub(crate) fn pass_on(mut self, metadata: &Metadata) -> Self {
        let ours = &mut self.metadata_mut().metadata.0;
        ours.clone_from(&metadata.0);
        ours.identity = None;
        ours.deadline_ms = None;
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
            .field("urgent", &self.urgent)
            .field("ack", &self.ack)
            .field(
                "metadata",
                &self.metadata_mut.as_ref().map(|it| &it.metadata),
            )
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_mistake_is_told_and_what_is_right_stays() {
        let options = CallOptions::new()
            .header("lang", "en")
            .header("", "x")
            .traceparent("nonsense");
        assert_eq!(
            options.outgoing_metadata(),
            Err(MetadataError::EmptyName),
            "the first of two"
        );
        let options = CallOptions::new().header("lang", "en").idempotent();
        let metadata = options.outgoing_metadata().unwrap().unwrap();
        assert_eq!(metadata.header("lang"), Some("en"));
        assert!(metadata.is_idempotent());
        assert_eq!(CallOptions::new().urgent().outgoing_metadata(), Ok(None));
    }

    #[test]
    fn a_chain_keeps_its_id_and_trace_and_no_headers() {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let first = CallOptions::new()
            .correlation_id("order-17")
            .traceparent(trace)
            .tracestate("vendor=1")
            .header("token", "x")
            .key("k")
            .idempotent();
        let metadata = first.outgoing_metadata().unwrap().unwrap();
        let next = CallOptions::new().follow(metadata);
        let passed_on = next.outgoing_metadata().unwrap().unwrap();
        assert_eq!(passed_on.correlation_id(), Some("order-17"));
        assert_eq!(passed_on.traceparent(), Some(trace));
        assert_eq!(passed_on.tracestate(), Some("vendor=1"));
        assert_eq!(passed_on.headers().count(), 0);
        assert!(!passed_on.is_idempotent() && passed_on.key().is_none());
        let bare = CallOptions::new().header("token", "x");
        let bare = bare.outgoing_metadata().unwrap().unwrap();
        let next = CallOptions::new().follow(bare);
        assert_eq!(next.outgoing_metadata(), Ok(None), "nothing to pass on");
    }
}
