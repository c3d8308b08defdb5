//! The settings `codecs`, `compressions` and `compressions_for`: what a server takes, and from whom.

use std::fmt;

use crate::{
    Identity,
    body::{Codec, Compression, Negotiable},
};

/// The codecs that a server takes (setting `codecs`).
///
/// In an address they are separated by commas: `codecs=protobuf,json`.
///
/// # Examples
///
/// ```
/// use msip_runtime::{Codec, CodecSet};
///
/// let only_binary = CodecSet::from([Codec::Protobuf, Codec::MessagePack]);
/// assert!(!only_binary.contains(Codec::Json));
/// assert_eq!(only_binary.to_string(), "protobuf,msgpack");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CodecSet(u8);

/// The compressions that a server takes (setting `compressions`). Bodies that are not compressed are always taken.
///
/// In an address they are separated by commas: `compressions=zstd,lz4`; or it is `compressions=none`.
///
/// # Examples
///
/// ```
/// use msip_runtime::{Compression, CompressionSet};
///
/// assert!(CompressionSet::from([Compression::Lz4]).contains(Compression::None));
/// assert_eq!(CompressionSet::from([]).to_string(), "none");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CompressionSet(u8);

/// From which clients a server takes compressed bodies (setting `compressions_for`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CompressionsFor {
    /// From all that offer one (`anyone`).
    Anyone,
    /// From clients with an identity that has a [subject](Identity::subject): not without
    /// [`authenticate`](crate::ServerBuilder::authenticate), and not from guests whose identity names nobody (`identified`).
    Identified,
}

/// A set of codecs or of compressions.
pub(super) trait ChoiceSet: Copy + Sized {
    type Choice: Negotiable;
    const SETTING: &'static str;

    fn choices(self) -> impl Iterator<Item = Self::Choice>;
}

/// Separated by commas.
fn write_names<T: Negotiable>(
    f: &mut fmt::Formatter<'_>,
    choices: impl Iterator<Item = T>,
) -> fmt::Result {
    for (index, choice) in choices.enumerate() {
        f.write_str(if index == 0 { "" } else { "," })?;
        f.write_str(choice.name())?;
    }
    Ok(())
}

impl CodecSet {
    /// The smallest set: a server takes protobuf, or it says otherwise.
    pub(super) const MIN: Self = Self::of(Codec::Protobuf);

    pub(super) const ALL: Self = Self(
        Self::of(Codec::Protobuf).0 | Self::of(Codec::Json).0 | Self::of(Codec::MessagePack).0,
    );

    /// Those that are built in.
    pub(crate) const BUILT: Self = Self(
        Self::of(Codec::Protobuf).0
            | if cfg!(feature = "json") {
                Self::of(Codec::Json).0
            } else {
                0
            }
            | if cfg!(feature = "msgpack") {
                Self::of(Codec::MessagePack).0
            } else {
                0
            },
    );

    const fn of(codec: Codec) -> Self {
        Self(1 << codec as u8)
    }

    pub(super) const fn with(self, codec: Codec) -> Self {
        Self(self.0 | Self::of(codec).0)
    }

    /// Whether this codec is in the set.
    #[must_use]
    pub const fn contains(self, codec: Codec) -> bool {
        self.0 & Self::of(codec).0 != 0
    }
}

impl<const N: usize> From<[Codec; N]> for CodecSet {
    fn from(codecs: [Codec; N]) -> Self {
        Self(codecs.iter().fold(0, |set, codec| set | Self::of(*codec).0))
    }
}

impl ChoiceSet for CodecSet {
    type Choice = Codec;
    const SETTING: &'static str = "codecs";

    fn choices(self) -> impl Iterator<Item = Codec> {
        let all = Codec::ALL.iter().copied();
        all.filter(move |codec| self.contains(*codec))
    }
}

impl fmt::Display for CodecSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_names(f, self.choices())
    }
}

impl fmt::Debug for CodecSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{self}]")
    }
}

impl CompressionSet {
    pub(super) const NONE: Self = Self::of(Compression::None);

    pub(super) const ALL: Self = Self(
        Self::NONE.0
            | Self::of(Compression::Gzip).0
            | Self::of(Compression::Zstd).0
            | Self::of(Compression::Lz4).0,
    );

    /// Those that are built in.
    pub(crate) const BUILT: Self = Self(
        Self::NONE.0
            | if cfg!(feature = "gzip") {
                Self::of(Compression::Gzip).0
            } else {
                0
            }
            | if cfg!(feature = "zstd") {
                Self::of(Compression::Zstd).0
            } else {
                0
            }
            | if cfg!(feature = "lz4") {
                Self::of(Compression::Lz4).0
            } else {
                0
            },
    );

    const fn of(compression: Compression) -> Self {
        Self(1 << compression as u8)
    }

    pub(super) const fn with(self, compression: Compression) -> Self {
        Self(self.0 | Self::of(compression).0)
    }

    /// Whether this compression is in the set.
    #[must_use]
    pub const fn contains(self, compression: Compression) -> bool {
        self.0 & Self::of(compression).0 != 0
    }
}

impl<const N: usize> From<[Compression; N]> for CompressionSet {
    fn from(compressions: [Compression; N]) -> Self {
        let add = |set, compression: &Compression| set | Self::of(*compression).0;
        Self(compressions.iter().fold(Self::NONE.0, add))
    }
}

impl ChoiceSet for CompressionSet {
    type Choice = Compression;
    const SETTING: &'static str = "compressions";

    fn choices(self) -> impl Iterator<Item = Compression> {
        let all = Compression::ALL.iter().copied();
        all.filter(move |compression| self.contains(*compression))
    }
}

impl fmt::Display for CompressionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NONE {
            return f.write_str(Compression::None.name());
        }
        let is_one = |compression: &Compression| *compression != Compression::None;
        write_names(f, self.choices().filter(is_one))
    }
}

impl fmt::Debug for CompressionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{self}]")
    }
}

impl CompressionsFor {
    /// Whether a client of this identity may send compressed bodies.
    pub(crate) fn includes(self, identity: Option<&Identity>) -> bool {
        match self {
            Self::Anyone => true,
            Self::Identified => identity.is_some_and(|identity| !identity.subject().is_empty()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_what_they_were_made_of() {
        let codecs = CodecSet::from([Codec::Json, Codec::Json]);
        assert_eq!(codecs.choices().collect::<Vec<_>>(), [Codec::Json]);
        assert_eq!(CodecSet::ALL.to_string(), "protobuf,json,msgpack");
        assert_eq!(CompressionSet::ALL.to_string(), "gzip,zstd,lz4");
        assert_eq!(format!("{:?}", CompressionSet::NONE), "[none]");
        assert!(CodecSet::BUILT.choices().all(Negotiable::is_built));
        assert!(CompressionSet::BUILT.choices().all(Negotiable::is_built));
    }

    #[test]
    fn nobody_is_identified_by_a_method_alone() {
        let guest = Identity::new("guest");
        let ada = Identity::new("token").with_user("ada");
        let cases = [
            (CompressionsFor::Anyone, None, true),
            (CompressionsFor::Identified, None, false),
            (CompressionsFor::Identified, Some(&guest), false),
            (CompressionsFor::Identified, Some(&ada), true),
        ];
        for (whom, identity, is_included) in cases {
            assert_eq!(
                whom.includes(identity),
                is_included,
                "{whom:?} {identity:?}"
            );
        }
    }
}
