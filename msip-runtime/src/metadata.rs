//! What travels beside a message.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use thiserror::Error;

use msip_session::wire::{self, Escaped, Identity};

/// What came beside a message: who asks, in what connection with other things, and what the application adds.
///
/// A handler reads it as `peer.call().metadata()`. What nobody said is `None`, or empty. Texts are the peer's: show
/// them through [`wire::Escaped`].
///
/// # Protocol
///
/// docs/protocol.md, "Metadata".
#[derive(Clone, PartialEq, Default)]
pub struct Metadata(pub(crate) wire::Metadata);

/// The metadata of a message that came without.
pub(crate) static NO_METADATA: Metadata = Metadata(wire::Metadata {
    deadline_ms: None,
    correlation_id: String::new(),
    traceparent: String::new(),
    tracestate: String::new(),
    request_time_us: None,
    response_time_us: None,
    idempotent: false,
    key: String::new(),
    headers: std::collections::BTreeMap::new(),
    identity: None,
});

impl Metadata {
    /// The id that follows a chain of calls across services.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        said(&self.0.correlation_id)
    }

    /// The caller's place in a trace, as the W3C header `traceparent` has it.
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        said(&self.0.traceparent)
    }

    /// What tracing systems add to it: the W3C header `tracestate`.
    #[must_use]
    pub fn tracestate(&self) -> Option<&str> {
        said(&self.0.tracestate)
    }

    /// The value of the application's header of this name, spelled just so.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.headers.get(name).map(String::as_str)
    }

    /// Every header of the application, by name.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let headers = self.0.headers.iter();
        headers.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// When the request was sent, by the clock of its sender.
    #[must_use]
    pub fn request_time(&self) -> Option<SystemTime> {
        self.0.request_time_us.and_then(system_time)
    }

    /// When the answer was sent, by the clock of its sender.
    #[must_use]
    pub fn response_time(&self) -> Option<SystemTime> {
        self.0.response_time_us.and_then(system_time)
    }

    /// Whether the caller says that the call may be repeated when its fate is unknown. What the schema says of
    /// that is not told here.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        self.0.idempotent
    }

    /// What tells one STATE from another of the same variant, where the sender said so.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        said(&self.0.key)
    }

    /// Who sent it, as this side has authenticated it, or the server of this client has. Nothing of what a client says
    /// of itself ever stands here.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.0.identity.as_ref()
    }

    /// The headers, which are the application's and may be secret, are shown by name alone.
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

fn said(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// A time that is no time of this platform is none.
fn system_time(us: i64) -> Option<SystemTime> {
    let distance = Duration::from_micros(us.unsigned_abs());
    if us < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    }
}

/// Now, as metadata counts it.
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Where the metadata of an answer is put; given to a call by
/// [`CallOptions::response_metadata`](crate::CallOptions::response_metadata).
///
/// A clone is the same place. It holds the metadata of the last answer.
///
/// ```no_run
/// # use msip_runtime::{CallOptions, ResponseMetadata};
/// let told = ResponseMetadata::new();
/// let options = CallOptions::new().response_metadata(&told);
/// // let answer = client.with(options).price_req(request).await?;
/// let sent_at = told.get().and_then(|metadata| metadata.response_time());
/// # let _ = (options, sent_at);
/// ```
#[derive(Debug, Clone, Default)]
pub struct ResponseMetadata(Arc<Mutex<Option<Metadata>>>);

impl ResponseMetadata {
    /// A place with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The metadata of the last answer; `None` before the first, and where it came without.
    #[must_use]
    pub fn get(&self) -> Option<Metadata> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set(&self, metadata: Option<Metadata>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = metadata;
    }
}

/// What is wrong with metadata that was to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// A header has no name.
    #[error("a header without a name")]
    EmptyName,
    /// The name of a header has a character that names do not have.
    #[error(
        "the header name `{}` has a {found:?}: names are letters and digits of ASCII, `-`, `_`, `.` and `/`",
        Escaped::new(.name)
    )]
    Name {
        /// The name.
        name: String,
        /// The character.
        found: char,
    },
    /// A value has a control character.
    #[error(
        "the {} has the control character U+{:04X} at byte {at}: escape it, or send it in the message",
        Escaped::new(.field), u32::from(*.found)
    )]
    Control {
        /// Whose value it is.
        field: String,
        /// The character.
        found: char,
        /// How many bytes of the value stand before it.
        at: usize,
    },
    /// A `traceparent` is not one of W3C's trace context.
    #[error(
        "`{}` is no traceparent: it looks like 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        Escaped::new(.value)
    )]
    Traceparent {
        /// The value.
        value: String,
    },
    /// All of it together is too large.
    #[error(
        "metadata of {len} bytes, where {max} are allowed: headers, ids and trace context together"
    )]
    TooLarge {
        /// Its encoded length, in bytes.
        len: usize,
        /// The most that is allowed, in bytes.
        max: usize,
    },
}

/// Refuses a header that cannot be sent.
pub(crate) fn check_header(name: &str, value: &str) -> Result<(), MetadataError> {
    if name.is_empty() {
        return Err(MetadataError::EmptyName);
    }
    let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    if let Some(found) = name.chars().find(|c| !is_fine(*c)) {
        let name = name.to_owned();
        return Err(MetadataError::Name { name, found });
    }
    check_text(|| format!("header `{name}`"), value)
}

/// Refuses a text that cannot be sent.
pub(crate) fn check_text(field: impl Fn() -> String, value: &str) -> Result<(), MetadataError> {
    match value.char_indices().find(|(_, c)| c.is_control()) {
        Some((at, found)) => Err(MetadataError::Control {
            field: field(),
            found,
            at,
        }),
        None => Ok(()),
    }
}

/// Refuses what is no `traceparent` (W3C Trace Context, section 3.2.2). Versions to come may have more behind.
pub(crate) fn check_traceparent(value: &str) -> Result<(), MetadataError> {
    let is_hex = |part: &str, len: usize| {
        part.len() == len && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_zero = |part: &str| part.bytes().all(|b| b == b'0');
    let parts: Vec<&str> = value.split('-').collect();
    let is_right = match parts.as_slice() {
        [version, trace, parent, flags, rest @ ..] => {
            is_hex(version, 2)
                && *version != "ff"
                && is_hex(trace, 32)
                && !is_zero(trace)
                && is_hex(parent, 16)
                && !is_zero(parent)
                && is_hex(flags, 2)
                && (rest.is_empty() || *version != "00")
        }
        _ => false,
    };
    if is_right {
        return check_text(|| "traceparent".to_owned(), value);
    }
    let value = value.to_owned();
    Err(MetadataError::Traceparent { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_cannot_be_sent_are_told_apart() {
        let cases = [
            ("", "x", "a header without a name"),
            (
                "a b",
                "x",
                "the header name `a b` has a ' ': names are letters and digits of ASCII, `-`, `_`, `.` and `/`",
            ),
            (
                "größe",
                "x",
                "the header name `größe` has a 'ö': names are letters and digits of ASCII, `-`, `_`, `.` and `/`",
            ),
            (
                "lang",
                "e\nn",
                "the header `lang` has the control character U+000A at byte 1: escape it, or send it in the message",
            ),
        ];
        for (name, value, text) in cases {
            let error = check_header(name, value).expect_err(name);
            assert_eq!(error.to_string(), text);
        }
        check_header("x-Tenant.id_7/a", "größer, and „so on“").unwrap();
    }

    #[test]
    fn a_traceparent_is_recognised() {
        let right = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        check_traceparent(right).unwrap();
        let later = format!("01{}-more", &right[2..]);
        check_traceparent(&later).unwrap();
        for wrong in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert!(check_traceparent(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_of_any_peer_are_read() {
        let at = |us| {
            Metadata(wire::Metadata {
                request_time_us: Some(us),
                ..wire::Metadata::default()
            })
            .request_time()
        };
        assert_eq!(at(0), Some(UNIX_EPOCH));
        assert_eq!(at(-1_000_000), Some(UNIX_EPOCH - Duration::from_secs(1)));
        // Whether this platform can tell these or not, nothing panics.
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
