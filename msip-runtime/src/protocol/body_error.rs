//! The error for an invalid body.

use std::fmt;

use msip_session::wire::Code;
use thiserror::Error;

use super::{Envelope, Variant, variant_of};

/// A variant in the text of an error or of a log: `echo_req (3)`, or `variant 3` where its name is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct VariantLabel {
    /// The number.
    pub number: u16,
    /// The name of the member in the schema; empty where only the number is known.
    pub name: &'static str,
}

impl VariantLabel {
    /// The variant of this number in a table.
    #[must_use]
    pub fn of<E: Envelope>(number: u16) -> Self {
        let name = variant_of::<E>(number).map_or("", |variant| variant.name);
        Self { number, name }
    }
}

impl From<u16> for VariantLabel {
    fn from(number: u16) -> Self {
        Self { number, name: "" }
    }
}

impl From<&Variant> for VariantLabel {
    fn from(variant: &Variant) -> Self {
        Self {
            number: variant.number,
            name: variant.name,
        }
    }
}

impl fmt::Display for VariantLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, name } = self;
        if name.is_empty() {
            write!(f, "variant {number}")
        } else {
            write!(f, "{name} ({number})")
        }
    }
}

/// A body is not the message that its frame header announces.
#[derive(Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The variant in the header is not in this side's schema; it may be from a newer one.
    #[error("unknown variant {variant}")]
    UnknownVariant {
        /// The number in the header.
        variant: u16,
    },
    /// The body does not contain the member that the header announces.
    #[error("the body does not contain {variant}, which its header names")]
    MemberMissing {
        /// What the header names.
        variant: VariantLabel,
    },
    /// The body is malformed in the connection's codec, or not of the member's type.
    #[error("malformed body of {variant}: {reason}")]
    Malformed {
        /// What the header names.
        variant: VariantLabel,
        /// The reason.
        reason: String,
    },
    /// Messages are nested too deep.
    #[error("malformed body of {variant}: nested deeper than {max} messages")]
    TooDeep {
        /// What the header names.
        variant: VariantLabel,
        /// The limit.
        max: usize,
    },
    /// The decompressed body is too large.
    #[error("decompressed body of {variant} exceeds {max} bytes (max_body)")]
    TooLarge {
        /// What the header names.
        variant: VariantLabel,
        /// The limit, in bytes.
        max: usize,
    },
    /// The message would take too much memory once it is decoded.
    #[error(
        "{variant} would take more than {max} bytes decoded (max_decoded), from a body of {len}: send less in one message, or raise the receiver's max_decoded"
    )]
    DecodedTooLarge {
        /// What the header names.
        variant: VariantLabel,
        /// The length of the body, decompressed, in bytes.
        len: usize,
        /// The limit, in bytes.
        max: usize,
    },
    /// There is no memory for the decoded message.
    #[error("no memory to decode {variant}: {reason}")]
    OutOfMemory {
        /// What the header names.
        variant: VariantLabel,
        /// Which limit is reached.
        reason: String,
    },
    /// The body cannot be decompressed.
    #[error("cannot decompress body of {variant}: {reason}")]
    Compressed {
        /// What the header names.
        variant: VariantLabel,
        /// The reason.
        reason: String,
    },
    /// An item of a stream is another message than those of the stream.
    #[error("`{found}` does not belong to this call")]
    OtherVariant {
        /// The name of the message.
        found: &'static str,
    },
    /// The message cannot be encoded in the connection's codec, such as a time outside the years 1 to 9999 in JSON.
    #[error("cannot encode {variant}: {reason}")]
    Unwritable {
        /// The variant.
        variant: VariantLabel,
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
            Self::TooLarge { .. } | Self::DecodedTooLarge { .. } | Self::OutOfMemory { .. } => {
                Code::ResourceExhausted
            }
            Self::Unwritable { .. } => Code::Internal,
            Self::MemberMissing { .. }
            | Self::Malformed { .. }
            | Self::TooDeep { .. }
            | Self::Compressed { .. }
            | Self::OtherVariant { .. } => Code::InvalidArgument,
        }
    }

    /// The same with the name that the variant has in a table, where it is not known yet. Bodies are decoded by number
    /// alone: only an error looks the name up.
    #[cold]
    #[must_use]
    pub(crate) fn named<E: Envelope>(self) -> Self {
        self.labelled(VariantLabel::of::<E>)
    }

    /// The same about this variant.
    #[cold]
    #[must_use]
    pub(crate) fn of_variant(self, known: &Variant) -> Self {
        self.labelled(|_| known.into())
    }

    fn labelled(mut self, label: impl FnOnce(u16) -> VariantLabel) -> Self {
        match &mut self {
            Self::UnknownVariant { .. } | Self::OtherVariant { .. } => {}
            Self::MemberMissing { variant }
            | Self::Malformed { variant, .. }
            | Self::TooDeep { variant, .. }
            | Self::TooLarge { variant, .. }
            | Self::DecodedTooLarge { variant, .. }
            | Self::OutOfMemory { variant, .. }
            | Self::Compressed { variant, .. }
            | Self::Unwritable { variant, .. } => {
                if variant.name.is_empty() {
                    *variant = label(variant.number);
                }
            }
        }
        self
    }

    pub(crate) fn malformed(variant: impl Into<VariantLabel>, reason: impl fmt::Display) -> Self {
        Self::Malformed {
            variant: variant.into(),
            reason: reason.to_string(),
        }
    }
}
