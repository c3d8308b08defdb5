//! What a handler answers when it does not answer with a message.

use std::borrow::Cow;

use thiserror::Error;

use msip_session::wire::{Code, ErrorRef, ErrorText, Escaped};

/// A failure as the other side is told of it: a code and a text.
///
/// Handlers return it, and a caller finds it in [`CallError::Status`](crate::CallError::Status). `?` makes one
/// of most errors: a [`CallError`](crate::CallError) keeps the code that the next peer answered with, an
/// [`std::io::Error`] becomes `UNAVAILABLE`, and a text alone becomes `INTERNAL`.
///
/// ```
/// use msip_runtime::{Code, Status};
///
/// fn price(text: &str) -> Result<u32, Status> {
///     text.parse().map_err(|_| Status::invalid_argument(format!("`{text}` is not a price")))
/// }
///
/// assert_eq!(price("seven").unwrap_err().code(), Code::InvalidArgument);
/// ```
///
/// # Protocol
///
/// docs/protocol.md, "Errors": it travels as `CODE: message`, of which at most 256 bytes are sent. It is shown with
/// control characters escaped, for it may be a peer's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}: {}", .code.name(), Escaped::with_max_len(.message, usize::MAX))]
pub struct Status {
    code: Code,
    message: Cow<'static, str>,
}

impl Status {
    /// A failure of this kind, in these words.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// What kind of failure it is.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// What happened, in words.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What was asked for makes no sense, whatever the state of the system.
    pub fn invalid_argument(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    /// What was asked for does not exist.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::NotFound, message)
    }

    /// What was to be made exists already.
    pub fn already_exists(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::AlreadyExists, message)
    }

    /// The caller may not do that.
    pub fn permission_denied(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::PermissionDenied, message)
    }

    /// The caller has not said who it is, or not convincingly.
    pub fn unauthenticated(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Unauthenticated, message)
    }

    /// Something has to happen first.
    pub fn failed_precondition(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::FailedPrecondition, message)
    }

    /// A limit is reached.
    pub fn resource_exhausted(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::ResourceExhausted, message)
    }

    /// It cannot be done now; later it may.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Unavailable, message)
    }

    /// Something is broken on this side.
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Internal, message)
    }

    /// Nobody here handles the message of this name.
    #[must_use]
    pub fn unimplemented(member: &str) -> Self {
        Self::new(
            Code::Unimplemented,
            format!("`{member}` is not handled here"),
        )
    }

    /// Nobody here handles requests of this variant.
    #[must_use]
    pub fn unimplemented_variant(variant: u16) -> Self {
        Self::new(
            Code::Unimplemented,
            format!("variant {variant} is not handled here"),
        )
    }

    /// The message of this name is the answer of a call, and came without one.
    #[must_use]
    pub fn unsolicited(member: &str) -> Self {
        Self::new(
            Code::InvalidArgument,
            format!("`{member}` is an answer, and nothing asked for it"),
        )
    }

    /// As the wire says it.
    pub(crate) fn as_error(&self) -> ErrorRef<'_> {
        ErrorRef {
            code: self.code,
            message: &self.message,
        }
    }

    /// The handler did not answer in time.
    pub(crate) fn deadline_exceeded() -> Self {
        Self::new(Code::DeadlineExceeded, "the handler did not answer in time")
    }
}

impl From<ErrorText> for Status {
    fn from(text: ErrorText) -> Self {
        Self::new(text.code, text.message)
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
