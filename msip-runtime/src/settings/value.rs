//! Parsing and checking the values of settings.

use std::time::Duration;

use super::{
    KIB, MIB, SettingError,
    choices::{ChoiceSet, CodecSet, CompressionSet, CompressionsFor},
    schema_rule::SchemaRule,
};
use crate::{
    body::{Codec, Compression, Negotiable},
    transport::AddressOrder,
};

/// The type of a setting.
pub(super) trait SettingValue: Sized + PartialOrd + std::fmt::Debug {
    /// The form of a value, for the text of an error.
    const FORM: &'static str;

    fn parse(text: &str) -> Option<Self>;

    /// Refuses a value that needs a feature which is off.
    fn check_built(&self) -> Result<(), SettingError> {
        Ok(())
    }
}

impl SettingValue for usize {
    const FORM: &'static str = "a number, such as 4096 or 4MiB";

    fn parse(text: &str) -> Option<Self> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit: usize = match text.get(digits.len()..)? {
            "" => 1,
            "KiB" => KIB,
            "MiB" => MIB,
            "GiB" => 1024 * MIB,
            _ => return None,
        };
        digits.parse::<usize>().ok()?.checked_mul(unit)
    }
}

impl SettingValue for Duration {
    const FORM: &'static str = "a time, such as 250ms, 10s or 5min";

    fn parse(text: &str) -> Option<Self> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let number: u64 = digits.parse().ok()?;
        match text.get(digits.len()..)? {
            "ms" => Some(Self::from_millis(number)),
            "s" => Some(Self::from_secs(number)),
            "min" => Some(Self::from_secs(number.checked_mul(60)?)),
            "h" => Some(Self::from_secs(number.checked_mul(3600)?)),
            _ => None,
        }
    }
}

impl SettingValue for bool {
    const FORM: &'static str = "`true` or `false`";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl SettingValue for SchemaRule {
    const FORM: &'static str = "`any`, `compatible` or `strict`";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "any" => Some(Self::Any),
            "compatible" => Some(Self::Compatible),
            "strict" => Some(Self::Strict),
            _ => None,
        }
    }
}

impl SettingValue for AddressOrder {
    const FORM: &'static str = "`listed` or `random`";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "listed" => Some(Self::Listed),
            "random" => Some(Self::Random),
            _ => None,
        }
    }
}

impl SettingValue for Codec {
    const FORM: &'static str = "`protobuf`, `json` or `msgpack`";

    fn parse(text: &str) -> Option<Self> {
        Self::from_name(text)
    }

    fn check_built(&self) -> Result<(), SettingError> {
        check_choice(*self)
    }
}

impl SettingValue for Compression {
    const FORM: &'static str = "`none`, `gzip`, `zstd` or `lz4`";

    fn parse(text: &str) -> Option<Self> {
        Self::from_name(text)
    }

    fn check_built(&self) -> Result<(), SettingError> {
        check_choice(*self)
    }
}

impl SettingValue for CodecSet {
    const FORM: &'static str =
        "one or more of `protobuf`, `json` and `msgpack`, separated by commas";

    fn parse(text: &str) -> Option<Self> {
        text.split(',').try_fold(Self::from([]), |set, name| {
            Some(set.with(Codec::from_name(name)?))
        })
    }

    fn check_built(&self) -> Result<(), SettingError> {
        check_choices(*self)
    }
}

impl SettingValue for CompressionSet {
    const FORM: &'static str =
        "`none`, or one or more of `gzip`, `zstd` and `lz4`, separated by commas";

    fn parse(text: &str) -> Option<Self> {
        let none = Self::from([]);
        if text == Compression::None.name() {
            return Some(none);
        }
        text.split(',').try_fold(none, |set, name| {
            let compression = Compression::from_name(name)?;
            (compression != Compression::None).then(|| set.with(compression))
        })
    }

    fn check_built(&self) -> Result<(), SettingError> {
        check_choices(*self)
    }
}

impl SettingValue for CompressionsFor {
    const FORM: &'static str = "`anyone` or `identified`";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "anyone" => Some(Self::Anyone),
            "identified" => Some(Self::Identified),
            _ => None,
        }
    }
}

/// Refuses a codec or compression that is not built in.
fn check_choice<T: Negotiable>(choice: T) -> Result<(), SettingError> {
    check_choice_of(T::SETTING, choice)
}

/// Refuses a set with one that is not built in.
fn check_choices<S: ChoiceSet>(set: S) -> Result<(), SettingError> {
    set.choices()
        .try_for_each(|choice| check_choice_of(S::SETTING, choice))
}

fn check_choice_of<T: Negotiable>(name: &'static str, choice: T) -> Result<(), SettingError> {
    if choice.is_built() {
        return Ok(());
    }
    Err(SettingError::NotBuilt {
        name,
        value: choice.name(),
        built: T::built(),
    })
}

/// Parses the value of a setting.
pub(super) fn parsed<T: SettingValue>(name: &'static str, text: &str) -> Result<T, SettingError> {
    T::parse(text).ok_or_else(|| SettingError::Malformed {
        name,
        value: text.to_owned(),
        form: T::FORM,
    })
}

/// Refuses a value outside its range.
pub(super) fn in_range<T: SettingValue>(
    name: &'static str,
    value: &T,
    range: &std::ops::RangeInclusive<T>,
) -> Result<(), SettingError> {
    if range.contains(value) {
        return value.check_built();
    }
    Err(SettingError::OutOfRange {
        name,
        value: format!("{value:?}"),
        min: format!("{:?}", range.start()),
        max: format!("{:?}", range.end()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two codecs, of which one is built in, whatever features are on.
    #[derive(Debug, Clone, Copy)]
    enum Choice {
        Plain,
        Dense,
    }

    impl Negotiable for Choice {
        const SETTING: &'static str = "codec";
        const ALL: &'static [Self] = &[Self::Plain, Self::Dense];

        fn name(self) -> &'static str {
            match self {
                Self::Plain => "plain",
                Self::Dense => "dense",
            }
        }

        fn number(self) -> i32 {
            1
        }

        fn is_built(self) -> bool {
            matches!(self, Self::Plain)
        }
    }

    #[test]
    fn a_choice_that_is_not_built_in_names_its_feature() {
        assert_eq!(check_choice(Choice::Plain), Ok(()));
        let error = check_choice(Choice::Dense).expect_err("not built in");
        assert_eq!(
            error.to_string(),
            "setting `codec`: `dense` needs the feature `dense` of msip-runtime, which is off: add it in Cargo.toml \
             (built in: plain)"
        );
    }

    #[test]
    fn each_codec_and_compression_is_accepted_exactly_where_its_feature_is_on() {
        let features = [
            ("json", cfg!(feature = "json")),
            ("msgpack", cfg!(feature = "msgpack")),
            ("gzip", cfg!(feature = "gzip")),
            ("lz4", cfg!(feature = "lz4")),
            ("zstd", cfg!(feature = "zstd")),
        ];
        for (name, is_on) in features {
            let checked = Codec::parse(name).map(|codec| codec.check_built());
            let checked = checked.or_else(|| Some(Compression::parse(name)?.check_built()));
            let checked = checked.expect("the name of a codec or of a compression");
            assert_eq!(checked.is_ok(), is_on, "{name}: {checked:?}");
        }
    }
}
