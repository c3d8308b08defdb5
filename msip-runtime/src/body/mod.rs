//! Bodies: the encoded envelope message that a frame carries (docs/protocol.md, "Body").
//!
//! Generated code encodes and decodes one member at a time with the functions here; which bytes stand on the
//! wire is decided in this module alone.

mod choice;
pub(crate) mod compression;
mod depth;
mod encoding;
#[cfg(feature = "json")]
mod json;
mod key;
mod member;
mod message;
#[cfg(feature = "msgpack")]
mod msgpack;
mod part;
#[cfg(any(feature = "json", feature = "msgpack"))]
mod shape;
#[cfg(any(feature = "json", feature = "msgpack"))]
mod transcoder;
#[cfg(any(feature = "json", feature = "msgpack"))]
mod tree;

use thiserror::Error;

use msip_session::wire::Code;

pub(crate) use choice::Choice;
pub use choice::{Codec, Compression};
pub(crate) use depth::MAX as MAX_DEPTH;
pub(crate) use encoding::{Agreed, Encoding, Prepared, Writing};
pub(crate) use key::key_of;
pub use member::{decode_member, decode_unit, encode_member, encode_unit, member_len, unit_len};
pub use message::Message;
pub use part::Body;
#[cfg(any(feature = "json", feature = "msgpack"))]
pub(crate) use transcoder::ProtocolShapes;

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
    /// The body is not valid in the connection's codec, or not of the member's type.
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
    /// The body was compressed, and what it inflates to is larger than allowed.
    #[error("the body of variant {variant} inflates to more than {max} bytes (max_body)")]
    TooLarge {
        /// The number in the header.
        variant: u16,
        /// The limit, in bytes.
        max: usize,
    },
    /// The body is marked as compressed, and cannot be inflated.
    #[error("compressed body of variant {variant}: {reason}")]
    Compressed {
        /// The number in the header.
        variant: u16,
        /// What the inflater found.
        reason: String,
    },
    /// The message has no form in the connection's codec, such as a time outside of the years 1 to 9999 in JSON.
    #[error("variant {variant} cannot be written: {reason}")]
    Unwritable {
        /// Its number.
        variant: u16,
        /// What stands in the way.
        reason: String,
    },
}

impl BodyError {
    /// The error for a variant that the schema does not have.
    #[must_use]
    pub const fn unknown_variant(variant: u16) -> Self {
        Self::UnknownVariant { variant }
    }

    /// What the sender of such a body is answered with.
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
