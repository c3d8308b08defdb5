//! The error that handlers return.

mod detail;

use std::{borrow::Cow, fmt};

use thiserror::Error;

use crate::{MetadataError, VariantLabel};

pub use detail::Detail;
use detail::Details;
use msip_session::wire::{Code, ErrorRef, ErrorText, Escaped, Metadata};

/// What the peer is told of a handler that has panicked.
pub(crate) const HANDLER_PANICKED: &str = "the handler panicked";

/// An error that is sent to the peer: a code and a message, and [details](Self::with_detail) for programs.
///
/// Handlers return it, and callers receive it as [`CallError::Status`](crate::CallError::Status). `?` converts most
/// errors: a [`CallError`](crate::CallError) keeps the code of the peer that answered, an [`std::io::Error`] becomes
/// `UNAVAILABLE`, and a string becomes `INTERNAL`.
///
/// # Examples
///
/// ```
/// use msip_runtime::{Code, Status};
///
/// fn price(text: &str) -> Result<u32, Status> {
///     text.parse().map_err(|_| Status::invalid_argument(format!("`{text}` is not a price")))
/// }
///
/// let status = price("seven").unwrap_err();
/// assert_eq!(status.code(), Code::InvalidArgument);
/// assert_eq!(status.to_string(), "INVALID_ARGUMENT: `seven` is not a price");
/// ```
///
/// # Protocol
///
/// docs/protocol.md, "Errors and close": it is sent as `CODE: message`, truncated to 4,096 bytes, or to 256 where the peer
/// does not know of details. `Display` escapes control characters, since the message may come from a peer.
#[derive(Clone, PartialEq, Error)]
#[error("{}: {}", .code.name(), Escaped::with_max_len(.message, usize::MAX))]
pub struct Status {
    code: Code,
    message: Cow<'static, str>,
    details: Details,
}

// Details are bytes and text.
impl Eq for Status {}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Status");
        shown.field("code", &self.code);
        shown.field("message", &self.message);
        if !self.details.is_empty() {
            shown.field("details", &self.details);
        }
        shown.finish()
    }
}

impl Status {
    /// Creates a status from a code and a message.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            details: Details::default(),
        }
    }

    /// What went wrong, for programs.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// What went wrong, for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// `INVALID_ARGUMENT`: the request is invalid, whatever the state of the system.
    pub fn invalid_argument(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    /// `NOT_FOUND`: what was requested does not exist.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::NotFound, message)
    }

    /// `ALREADY_EXISTS`: what was to be created exists already.
    pub fn already_exists(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::AlreadyExists, message)
    }

    /// `PERMISSION_DENIED`: the caller is not allowed to do that.
    pub fn permission_denied(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::PermissionDenied, message)
    }

    /// `UNAUTHENTICATED`: the caller has no valid credentials.
    pub fn unauthenticated(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Unauthenticated, message)
    }

    /// `FAILED_PRECONDITION`: the system is not in the state that the request needs.
    pub fn failed_precondition(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::FailedPrecondition, message)
    }

    /// `RESOURCE_EXHAUSTED`: a limit is reached.
    pub fn resource_exhausted(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::ResourceExhausted, message)
    }

    /// `UNAVAILABLE`: it cannot be done now, but may be later.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Unavailable, message)
    }

    /// `INTERNAL`: something is broken on this side.
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Internal, message)
    }

    /// `UNIMPLEMENTED`: there is no handler for the message of this name.
    #[must_use]
    pub fn unimplemented(member: &str) -> Self {
        Self::new(Code::Unimplemented, format!("no handler for `{member}`"))
    }

    /// `UNIMPLEMENTED`: there is no handler for requests of this variant.
    #[must_use]
    pub fn unimplemented_variant(variant: impl Into<VariantLabel>) -> Self {
        let variant = variant.into();
        Self::new(Code::Unimplemented, format!("no handler for {variant}"))
    }

    /// `INVALID_ARGUMENT`: the message of this name is a response, but belongs to no call.
    #[must_use]
    pub fn unsolicited(member: &str) -> Self {
        Self::new(
            Code::InvalidArgument,
            format!("`{member}` is a response, but belongs to no call"),
        )
    }

    /// In the form of the wire format.
    pub(crate) fn as_error(&self) -> ErrorRef<'_> {
        ErrorRef {
            code: self.code,
            message: &self.message,
            metadata: self.details.metadata(),
        }
    }

    /// That of an ERROR, with its details.
    pub(crate) fn received(text: ErrorText, metadata: Option<Box<Metadata>>) -> Self {
        let details = metadata.map(|metadata| metadata.details);
        Self {
            details: Details::received(details.unwrap_or_default()),
            ..Self::from(text)
        }
    }

    /// `DEADLINE_EXCEEDED`: the handler did not answer in time.
    pub(crate) fn deadline_exceeded() -> Self {
        Self::new(Code::DeadlineExceeded, "the handler did not answer in time")
    }
}

impl From<ErrorText> for Status {
    fn from(text: ErrorText) -> Self {
        Self::new(text.code, text.message)
    }
}

/// A handler has set a header that cannot be sent.
impl From<MetadataError> for Status {
    fn from(error: MetadataError) -> Self {
        Self::internal(error.to_string())
    }
}

impl From<std::io::Error> for Status {
    fn from(error: std::io::Error) -> Self {
        Self::unavailable(error.to_string())
    }
}

impl From<String> for Status {
    fn from(message: String) -> Self {
        Self::internal(message)
    }
}

impl From<&'static str> for Status {
    fn from(message: &'static str) -> Self {
        Self::internal(message)
    }
}
