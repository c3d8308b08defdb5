//! The error for an invalid body.

use msip_session::wire::Code;
use thiserror::Error;

/// A body is not the message that its frame header announces.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The variant in the header is not in this side's schema; it may be from a newer one.
    #[error("unknown variant {variant}")]
    UnknownVariant {
        /// The number in the header.
        variant: u16,
    },
    /// The body does not contain the member that the header announces.
    #[error("the body does not contain variant {variant} of its header")]
    MemberMissing {
        /// The number in the header.
        variant: u16,
    },
    /// The body is malformed in the connection's codec, or not of the member's type.
    #[error("malformed body of variant {variant}: {reason}")]
    Malformed {
        /// The number in the header.
        variant: u16,
        /// The reason.
        reason: String,
    },
    /// Messages are nested too deep.
    #[error("malformed body of variant {variant}: nested deeper than {max} messages")]
    TooDeep {
        /// The number in the header.
        variant: u16,
        /// The limit.
        max: usize,
    },
    /// The decompressed body is too large.
    #[error("decompressed body of variant {variant} exceeds {max} bytes (max_body)")]
    TooLarge {
        /// The number in the header.
        variant: u16,
        /// The limit, in bytes.
        max: usize,
    },
    /// The body cannot be decompressed.
    #[error("cannot decompress body of variant {variant}: {reason}")]
    Compressed {
        /// The number in the header.
        variant: u16,
        /// The reason.
        reason: String,
    },
    /// The message cannot be encoded in the connection's codec, such as a time outside the years 1 to 9999 in JSON.
    #[error("cannot encode variant {variant}: {reason}")]
    Unwritable {
        /// The number of the variant.
        variant: u16,
        /// The reason.
        reason: String,
    },
}

impl BodyError {
    /// The error for a variant that is not in the schema.
    #[must_use]
    pub const fn unknown_variant(variant: u16) -> Self {
        Self::UnknownVariant { variant }
    }

    /// The code of the error response.
    pub(crate) const fn code(&self) -> Code {
        match self {
            Self::UnknownVariant { .. } => Code::Unimplemented,
            Self::TooLarge { .. } => Code::ResourceExhausted,
            Self::Unwritable { .. } => Code::Internal,
            Self::MemberMissing { .. }
            | Self::Malformed { .. }
            | Self::TooDeep { .. }
            | Self::Compressed { .. } => Code::InvalidArgument,
        }
    }

    pub(crate) fn malformed(variant: u16, reason: impl std::fmt::Display) -> Self {
        Self::Malformed {
            variant,
            reason: reason.to_string(),
        }
    }
}
