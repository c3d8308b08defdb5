//! Details of a status: typed messages that say more than its text.

use std::{borrow::Cow, fmt, sync::Arc};

use bytes::Bytes;

use super::Status;
use crate::body::{Body, Message};
use msip_session::wire::{self, Escaped, MAX_DETAILS, MAX_DETAILS_LEN};

/// A message that can be a detail of a [`Status`]: it has a name that both sides know it by.
///
/// Every type with a [`prost::Name`] is one, such as those of `google.rpc`. For another message, of a `.proto` or with
/// `#[derive(Message)]`, it is one line.
///
/// # Examples
///
/// ```
/// use std::borrow::Cow;
///
/// use msip_runtime::{Detail, Message, Status};
///
/// #[derive(Debug, PartialEq, Message)]
/// struct RetryInfo {
///     #[msip(tag = 1)]
///     after_ms: u32,
/// }
///
/// impl Detail for RetryInfo {
///     fn type_name() -> Cow<'static, str> {
///         "shop.v1.RetryInfo".into()
///     }
/// }
///
/// // A handler answers with it,
/// let status = Status::resource_exhausted("too many orders").with_detail(&RetryInfo { after_ms: 500 });
/// // and its caller reads it.
/// assert_eq!(status.detail::<RetryInfo>(), Some(RetryInfo { after_ms: 500 }));
/// ```
pub trait Detail: Message {
    /// The full name of the type in its schema, such as `shop.v1.RetryInfo`.
    fn type_name() -> Cow<'static, str>;
}

#[diagnostic::do_not_recommend]
impl<T: prost::Name + Default + 'static> Detail for T {
    fn type_name() -> Cow<'static, str> {
        T::full_name().into()
    }
}

/// The details of a status, shared by its clones, in the form of the wire.
#[derive(Clone, PartialEq, Default)]
pub(super) struct Details(Option<Arc<wire::Metadata>>);

impl Details {
    pub(super) fn received(details: Vec<wire::Detail>) -> Self {
        Self::of(wire::Metadata {
            details,
            ..wire::Metadata::default()
        })
    }

    fn of(metadata: wire::Metadata) -> Self {
        Self((!metadata.details.is_empty()).then(|| Arc::new(metadata)))
    }

    /// As the metadata of an ERROR.
    pub(super) fn metadata(&self) -> Option<&wire::Metadata> {
        self.0.as_deref()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn all(&self) -> &[wire::Detail] {
        self.0.as_deref().map_or(&[], |metadata| &metadata.details)
    }

    /// Adds one, if it is within the limits.
    fn push(&mut self, detail: wire::Detail) -> bool {
        let mut metadata = self.0.as_deref().cloned().unwrap_or_default();
        metadata.details.push(detail);
        let is_allowed = metadata.details.len() <= MAX_DETAILS
            && prost::Message::encoded_len(&metadata) <= MAX_DETAILS_LEN;
        if is_allowed {
            *self = Self::of(metadata);
        }
        is_allowed
    }
}

/// The types of the details and their lengths: what they hold may be secret.
impl fmt::Debug for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let types = self.all().iter().map(|detail| {
            let (name, len) = (Escaped::new(&detail.type_name), detail.value.len());
            format!("{name} ({len} bytes)")
        });
        f.debug_list().entries(types).finish()
    }
}

impl Status {
    /// Adds a detail: a message that tells programs more than the code does. It reaches a caller whose side knows of
    /// details, as every msip-runtime since 0.2 does; others get the text alone, so that it should say enough.
    ///
    /// A status has at most 64 details of 16 KiB together: one that does not fit is left out, with a log line at level
    /// debug.
    ///
    /// # Protocol
    ///
    /// docs/protocol.md, "Details of errors".
    #[must_use]
    pub fn with_detail<T: Detail>(self, detail: &T) -> Self {
        let mut value = Vec::with_capacity(detail.body_len());
        detail.encode_body(&mut value);
        self.with_encoded_detail(T::type_name(), value)
    }

    /// The same for a detail of which this program knows the bytes: the full name of its type, and its value in protobuf.
    #[must_use]
    pub fn with_encoded_detail(
        mut self,
        type_name: impl Into<String>,
        value: impl Into<Vec<u8>>,
    ) -> Self {
        let (type_name, value) = (type_name.into(), value.into());
        let len = value.len();
        if !self.details.push(wire::Detail {
            type_name: type_name.clone(),
            value,
        }) {
            let type_name = Escaped::new(&type_name);
            tracing::debug!(
                %type_name,
                len,
                max = MAX_DETAILS_LEN,
                "a detail of a status is left out: its details are too large"
            );
        }
        self
    }

    /// The first detail of this type; `None` if there is none, or if it cannot be decoded.
    #[must_use]
    pub fn detail<T: Detail>(&self) -> Option<T> {
        let name = T::type_name();
        let mut of_type = self.details().filter(|(type_name, _)| *type_name == name);
        of_type.find_map(|(_, value)| {
            let memory = Bytes::copy_from_slice(value);
            T::decode_body(Body::from(&memory)).ok()
        })
    }

    /// All details: the full name of the type of each, and its value in protobuf. Those of a peer are at most 64, of
    /// 24 KiB together.
    pub fn details(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let details = self.details.all().iter();
        details.map(|detail| (detail.type_name.as_str(), detail.value.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, PartialEq, prost::Message)]
    struct Quota {
        #[prost(uint32, tag = "1")]
        left: u32,
    }

    impl Detail for Quota {
        fn type_name() -> Cow<'static, str> {
            "shop.v1.Quota".into()
        }
    }

    #[test]
    fn details_are_read_by_their_type() {
        let status = Status::not_found("no")
            .with_encoded_detail("shop.v1.Other", vec![1])
            .with_encoded_detail("shop.v1.Quota", vec![0xff])
            .with_detail(&Quota { left: 7 });
        assert_eq!(status.detail::<Quota>(), Some(Quota { left: 7 }));
        assert_eq!(status.details().count(), 3);
        assert_eq!(Status::not_found("no").detail::<Quota>(), None);
        assert_eq!(status.clone(), status);
        assert_ne!(status, Status::not_found("no"));
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let status = Status::not_found("no")
            .with_encoded_detail("a", vec![0; 10 * 1024])
            .with_encoded_detail("b", vec![0; 10 * 1024])
            .with_encoded_detail("c", vec![0; 5 * 1024]);
        let names: Vec<&str> = status.details().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "c"]);
        let many = (0..70).fold(status, |status, _| status.with_encoded_detail("d", vec![]));
        assert_eq!(many.details().count(), 64);
    }

    #[test]
    fn values_of_details_are_not_shown() {
        let status = Status::not_found("no").with_encoded_detail("a.Secret", b"hunter2".to_vec());
        let shown = format!("{status:?}");
        assert!(shown.contains("a.Secret (7 bytes)"), "{shown}");
        assert!(
            !shown.contains("hunter2") && !shown.contains("104"),
            "{shown}"
        );
    }
}
