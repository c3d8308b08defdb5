//! Bodies: the encoded envelope message that a frame carries (docs/protocol.md, "Body").
//!
//! Generated code encodes and decodes one member at a time with the functions here; which bytes stand on the
//! wire is decided in this module alone.

mod depth;
mod encoding;
mod member;
mod message;

use thiserror::Error;

pub(crate) use encoding::Encoding;
pub use member::{decode_member, decode_unit, encode_member, encode_unit, member_len, unit_len};
pub use message::Message;

/// Why a body is not the message that its frame announces.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The header's variant is not in this side's schema; a newer peer may know it.
    #[error("variant {variant} is not in this schema")]
    UnknownVariant {
        /// The number in the header.
        variant: u16,
    },
    /// The body does not hold the member that the header's variant names.
    #[error("the body does not hold variant {variant}, which its header names")]
    MemberMissing {
        /// The number in the header.
        variant: u16,
    },
    /// The body is not valid protobuf, or not of the member's type.
    #[error("malformed body of variant {variant}: {reason}")]
    Malformed {
        /// The number in the header.
        variant: u16,
        /// What the decoder found.
        reason: String,
    },
    /// Messages are nested deeper than a receiver follows.
    #[error("malformed body of variant {variant}: nested deeper than {max} messages")]
    TooDeep {
        /// The number in the header.
        variant: u16,
        /// How deep it may be.
        max: usize,
    },
}

impl BodyError {
    /// The error for a variant that the schema does not have.
    #[must_use]
    pub const fn unknown_variant(variant: u16) -> Self {
        Self::UnknownVariant { variant }
    }

    pub(crate) fn malformed(variant: u16, reason: impl std::fmt::Display) -> Self {
        Self::Malformed {
            variant,
            reason: reason.to_string(),
        }
    }
}
