//! Parsing and checking the values of settings.

use std::time::Duration;

use super::{KIB, MIB, SettingError, schema_rule::SchemaRule};
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

/// Refuses a codec or compression that is not built in.
fn check_choice<T: Negotiable>(choice: T) -> Result<(), SettingError> {
    if choice.is_built() {
        return Ok(());
    }
    let (name, value) = (T::SETTING, choice.name());
    Err(SettingError::NotBuilt {
        name,
        value,
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
