//! The texts of ERROR and CLOSE, and how text from a peer is shown.

use std::fmt::{self, Write as _};

use super::Metadata;

/// The longest text that an ERROR or a CLOSE carries, in bytes; a longer one is cut between two characters.
pub const MAX_TEXT_LEN: usize = 256;

/// The same for an ERROR that answers an exchange, between peers that have agreed on [`ERROR_METADATA`].
pub const MAX_LONG_TEXT_LEN: usize = 4096;

/// The extension of HELLO and its answer by which an ERROR may have metadata, and a longer text. Its value is empty.
pub const ERROR_METADATA: &str = "error-metadata";

/// The most metadata of an ERROR, in bytes: 16 KiB of details, and all else within the limit of any message.
pub const MAX_ERROR_METADATA: u16 = 24 * 1024;

/// The most details of an ERROR, in bytes of all of them together.
pub const MAX_DETAILS_LEN: usize = 16 * 1024;

/// The most details of an ERROR, in number.
pub const MAX_DETAILS: usize = 64;

/// The sixteen canonical RPC codes (docs/protocol.md, "Errors and close").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The caller has cancelled the call.
    Cancelled,
    /// It is not known what happened; the call may have run.
    Unknown,
    /// The request can never succeed, whatever the state of the receiver.
    InvalidArgument,
    /// The deadline passed first; the call may have run.
    DeadlineExceeded,
    /// The requested entity does not exist.
    NotFound,
    /// The entity to be created exists already.
    AlreadyExists,
    /// The caller is known and may not do this.
    PermissionDenied,
    /// A limit or a quota is used up.
    ResourceExhausted,
    /// The receiver is not in the state that the request needs.
    FailedPrecondition,
    /// A conflict; a retry at a higher level may help.
    Aborted,
    /// The request goes beyond what there is.
    OutOfRange,
    /// The receiver does not know how to do this.
    Unimplemented,
    /// The receiver has a fault.
    Internal,
    /// The receiver is not available now; a retry may help.
    Unavailable,
    /// Data are lost or damaged.
    DataLoss,
    /// The caller has no valid credential.
    Unauthenticated,
}

impl Code {
    /// Every code, in the order of their canonical numbers.
    pub const ALL: [Self; 16] = [
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// The name on the wire, such as `INVALID_ARGUMENT`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cancelled => "CANCELLED",
            Self::Unknown => "UNKNOWN",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::DataLoss => "DATA_LOSS",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }

    /// The code of this name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An error to be sent in an ERROR or a CLOSE, borrowed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ErrorRef<'a> {
    /// What went wrong, for programs.
    pub code: Code,
    /// What went wrong, for people; at most [`MAX_TEXT_LEN`] bytes of it are sent, or [`MAX_LONG_TEXT_LEN`].
    pub message: &'a str,
    /// What goes with it: details and headers. Sent only between peers that have agreed on [`ERROR_METADATA`], in an ERROR
    /// that answers an exchange.
    pub metadata: Option<&'a Metadata>,
}

impl<'a> ErrorRef<'a> {
    /// A code and a text alone.
    pub const fn new(code: Code, message: &'a str) -> Self {
        Self {
            code,
            message,
            metadata: None,
        }
    }
}

/// The text of an ERROR or a CLOSE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorText {
    /// What went wrong, for programs.
    pub code: Code,
    /// What went wrong, for people: as the peer sent it, so show it through [`Escaped`].
    pub message: String,
}

impl ErrorText {
    /// Reads the payload of an ERROR or a CLOSE; never fails.
    ///
    /// Only the first [`MAX_TEXT_LEN`] bytes are kept. What is not UTF-8 becomes U+FFFD. A text that does not
    /// begin with a code that this version knows is kept whole, under [`Code::Unknown`].
    pub fn parse(payload: &[u8]) -> Self {
        Self::parse_up_to(payload, MAX_TEXT_LEN)
    }

    /// The same for an ERROR between peers that have agreed on [`ERROR_METADATA`]: the first [`MAX_LONG_TEXT_LEN`] bytes
    /// are kept. `text` is what follows the metadata.
    pub fn parse_long(text: &[u8]) -> Self {
        Self::parse_up_to(text, MAX_LONG_TEXT_LEN)
    }

    fn parse_up_to(payload: &[u8], max_len: usize) -> Self {
        let text = String::from_utf8_lossy(payload.get(..max_len).unwrap_or(payload));
        let (name, message) = text.split_once(':').unwrap_or((&text, ""));
        match Code::from_name(name) {
            Some(code) => Self {
                code,
                message: message.strip_prefix(' ').unwrap_or(message).to_owned(),
            },
            None => Self {
                code: Code::Unknown,
                message: text.into_owned(),
            },
        }
    }

    /// The text on the wire, `CODE: message`, cut to [`MAX_TEXT_LEN`] bytes.
    pub fn format(code: Code, message: &str) -> String {
        Self::format_up_to(code, message, MAX_TEXT_LEN)
    }

    /// The same, cut to [`MAX_LONG_TEXT_LEN`] bytes.
    pub fn format_long(code: Code, message: &str) -> String {
        Self::format_up_to(code, message, MAX_LONG_TEXT_LEN)
    }

    fn format_up_to(code: Code, message: &str, max_len: usize) -> String {
        let max_len = max_len - code.name().len() - ": ".len();
        format!("{code}: {}", cut(message, max_len))
    }
}

/// `CODE: message`, the message escaped.
impl fmt::Display for ErrorText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}",
            self.code,
            Escaped::with_max_len(&self.message, MAX_LONG_TEXT_LEN)
        )
    }
}

/// Shows text from a peer safely: control characters escaped, cut to 128 bytes.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a> {
    text: &'a str,
    max_len: usize,
}

impl<'a> Escaped<'a> {
    /// Shows at most 128 bytes of `text`.
    pub const fn new(text: &'a str) -> Self {
        Self { text, max_len: 128 }
    }

    /// Shows at most `max_len` bytes of `text`, counted before escaping.
    pub const fn with_max_len(text: &'a str, max_len: usize) -> Self {
        Self { text, max_len }
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = cut(self.text, self.max_len);
        for character in shown.chars() {
            if is_unsafe_to_show(character) {
                write!(f, "{}", character.escape_default())?;
            } else {
                f.write_char(character)?;
            }
        }
        if shown.len() < self.text.len() {
            f.write_str("...")
        } else {
            Ok(())
        }
    }
}

/// Control characters, and those that reorder or break the line around them.
fn is_unsafe_to_show(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{061c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
                | '\u{feff}'
        )
}

/// The longest beginning of `text` that has at most `max_len` bytes and ends between two characters.
fn cut(text: &str, max_len: usize) -> &str {
    let mut end = text.len().min(max_len);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}
