//! The header's flags.

use std::fmt;
use std::ops::BitOr;

/// The flags of a frame (docs/protocol.md, "Flags").
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(u8);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// The sender waits for an ACK or an ERROR with the same message id.
    pub const ACK_REQUIRED: Self = Self(1);
    /// The body is compressed; its first byte names the algorithm.
    pub const COMPRESSED: Self = Self(1 << 1);
    /// The frame overtakes queued frames that are not urgent.
    pub const URGENT: Self = Self(1 << 2);
    /// More frames of this stream follow.
    pub const MORE: Self = Self(1 << 3);
    /// The payload begins with metadata.
    pub const META: Self = Self(1 << 4);
    /// The frame is an item of a request stream that is already open.
    pub const ITEM: Self = Self(1 << 5);
    /// The frame is a delivery that was sent before.
    pub const REDELIVERED: Self = Self(1 << 6);

    const UNKNOWN: u8 = 1 << 7;

    const NAMES: [(Self, &'static str); 7] = [
        (Self::ACK_REQUIRED, "ACK_REQUIRED"),
        (Self::COMPRESSED, "COMPRESSED"),
        (Self::URGENT, "URGENT"),
        (Self::MORE, "MORE"),
        (Self::META, "META"),
        (Self::ITEM, "ITEM"),
        (Self::REDELIVERED, "REDELIVERED"),
    ];

    /// The flags in a header's byte, unless one of them is unknown.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits & Self::UNKNOWN == 0 {
            Some(Self(bits))
        } else {
            None
        }
    }

    /// The byte in the header.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether every flag of `other` is set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags of both.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The flags of `self` that are not in `other`.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

/// The names of the flags, such as `ACK_REQUIRED|META`, or `none`.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for (_, name) in Self::NAMES.iter().filter(|(flag, _)| self.contains(*flag)) {
            write!(f, "{between}{name}")?;
            between = "|";
        }
        if between.is_empty() {
            f.write_str("none")
        } else {
            Ok(())
        }
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({self})")
    }
}
