//! Codecs and compressions, by name and by number.

use std::fmt;

use msip_session::wire::{Codec as WireCodec, Compression as WireCompression, Escaped};

/// The encoding of bodies (setting `codec`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum Codec {
    /// Protobuf (`protobuf`): the smallest and the fastest.
    #[default]
    Protobuf,
    /// The canonical JSON mapping of proto3 (`json`); needs the feature `json`.
    Json,
    /// The JSON mapping in MessagePack (`msgpack`); needs the feature `msgpack`.
    MessagePack,
}

/// The compression of bodies (setting `compress`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum Compression {
    /// No compression (`none`).
    #[default]
    None,
    /// gzip (`gzip`), the most widely available; needs the feature `gzip`.
    Gzip,
    /// zstd (`zstd`), the best ratio; needs the feature `zstd`.
    Zstd,
    /// lz4 (`lz4`), the fastest; needs the feature `lz4`.
    Lz4,
}

/// A parameter that is negotiated in the handshake.
pub(crate) trait Negotiable: Sized + Copy + fmt::Debug + 'static {
    /// The name of the setting.
    const SETTING: &'static str;
    /// Every value.
    const ALL: &'static [Self];

    fn name(self) -> &'static str;

    /// Its number in a HELLO.
    fn number(self) -> i32;

    /// Whether it is built in. The feature has the same name.
    fn is_built(self) -> bool;

    /// The value of this name, built in or not.
    fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|choice| choice.name() == name)
    }

    /// The value of the first of these numbers that is built in and taken.
    fn first_of(numbers: &[i32], is_taken: impl Fn(Self) -> bool) -> Option<Self> {
        let taken = |number: &i32| {
            let is_it = |choice: &Self| {
                choice.number() == *number && choice.is_built() && is_taken(*choice)
            };
            Self::ALL.iter().copied().find(is_it)
        };
        numbers.iter().find_map(taken)
    }

    /// The names of the values that are built in, for the text of an error.
    fn built() -> String {
        let built = Self::ALL.iter().filter(|choice| choice.is_built());
        built
            .map(|choice| choice.name())
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Which features would have built in some of these numbers, as the end of an error's text; empty if none would.
    fn features_off(numbers: &[i32]) -> String {
        let is_off = |choice: &&Self| numbers.contains(&choice.number()) && !choice.is_built();
        let off = Self::ALL.iter().filter(is_off);
        let off = off.map(|choice| format!("`{}`", choice.name()));
        match off.collect::<Vec<_>>().as_slice() {
            [] => String::new(),
            [feature] => format!(" (its msip-runtime is built without the feature {feature})"),
            features => format!(
                " (its msip-runtime is built without the features {})",
                features.join(", ")
            ),
        }
    }

    /// The names of these numbers, for the text of an error.
    fn names(numbers: &[i32]) -> String {
        let name = |number: &i32| match Self::ALL.iter().find(|choice| choice.number() == *number) {
            Some(choice) => choice.name().to_owned(),
            None => format!("number {number}"),
        };
        let names = numbers.iter().map(name).collect::<Vec<_>>().join(", ");
        Escaped::new(&names).to_string()
    }
}

impl Negotiable for Codec {
    const SETTING: &'static str = "codec";
    const ALL: &'static [Self] = &[Self::Protobuf, Self::Json, Self::MessagePack];

    fn name(self) -> &'static str {
        match self {
            Self::Protobuf => "protobuf",
            Self::Json => "json",
            Self::MessagePack => "msgpack",
        }
    }

    fn number(self) -> i32 {
        match self {
            Self::Protobuf => WireCodec::Protobuf.into(),
            Self::Json => WireCodec::Json.into(),
            Self::MessagePack => WireCodec::MessagePack.into(),
        }
    }

    fn is_built(self) -> bool {
        match self {
            Self::Protobuf => true,
            Self::Json => cfg!(feature = "json"),
            Self::MessagePack => cfg!(feature = "msgpack"),
        }
    }
}

impl Negotiable for Compression {
    const SETTING: &'static str = "compress";
    const ALL: &'static [Self] = &[Self::None, Self::Gzip, Self::Zstd, Self::Lz4];

    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
        }
    }

    fn number(self) -> i32 {
        match self {
            Self::None => WireCompression::None.into(),
            Self::Gzip => WireCompression::Gzip.into(),
            Self::Zstd => WireCompression::Zstd.into(),
            Self::Lz4 => WireCompression::Lz4.into(),
        }
    }

    fn is_built(self) -> bool {
        match self {
            Self::None => true,
            Self::Gzip => cfg!(feature = "gzip"),
            Self::Zstd => cfg!(feature = "zstd"),
            Self::Lz4 => cfg!(feature = "lz4"),
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_built_in_is_chosen() {
        let codec = |numbers: &[i32]| Codec::first_of(numbers, |_| true);
        assert_eq!(codec(&[99, 1, 2]), Some(Codec::Protobuf));
        assert_eq!(codec(&[]), None);
        assert_eq!(codec(&[0]), None);
        let compression = Compression::first_of(&[9, 0], |_| true);
        assert_eq!(compression, Some(Compression::None));
        #[cfg(feature = "json")]
        assert_eq!(codec(&[2, 1]), Some(Codec::Json));
        let not_json = Codec::first_of(&[2, 1], |codec| codec != Codec::Json);
        assert_eq!(not_json, Some(Codec::Protobuf));
    }

    #[test]
    fn names_are_those_of_the_settings() {
        for codec in Codec::ALL {
            assert_eq!(Codec::from_name(codec.name()), Some(*codec));
        }
        assert_eq!(Codec::from_name("yaml"), None);
        assert_eq!(Codec::names(&[2, 7]), "json, number 7");
        assert_eq!(Compression::names(&[1, 2, 3]), "gzip, zstd, lz4");
    }

    #[test]
    fn features_that_are_off_are_named() {
        assert_eq!(Codec::features_off(&[1, 99]), "");
        #[cfg(feature = "json")]
        assert_eq!(Codec::features_off(&[2]), "");
        #[cfg(not(feature = "json"))]
        assert_eq!(
            Codec::features_off(&[2, 99]),
            " (its msip-runtime is built without the feature `json`)"
        );
        #[cfg(not(any(feature = "gzip", feature = "lz4")))]
        assert_eq!(
            Compression::features_off(&[3, 1]),
            " (its msip-runtime is built without the features `gzip`, `lz4`)"
        );
    }
}
