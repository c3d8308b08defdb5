//! The text form of well-known types: timestamps, durations and field masks.

use std::str::FromStr as _;

use prost_types::{Duration, Timestamp};

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, in seconds since 1970.
const TIMESTAMP_SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// About 10,000 years, either way.
const MAX_DURATION_SECONDS: i64 = 315_576_000_000;

/// RFC 3339, in UTC, with 0, 3, 6 or 9 digits of a second.
pub(super) fn timestamp_text(timestamp: &Timestamp) -> Option<String> {
    let is_valid = TIMESTAMP_SECONDS.contains(&timestamp.seconds)
        && (0..1_000_000_000).contains(&timestamp.nanos);
    is_valid.then(|| timestamp.to_string())
}

/// Reads RFC 3339 with any offset.
pub(super) fn parse_timestamp(text: &str) -> Option<Timestamp> {
    if !is_rfc_3339(text.as_bytes()) {
        return None;
    }
    let timestamp = Timestamp::from_str(text).ok()?;
    TIMESTAMP_SECONDS
        .contains(&timestamp.seconds)
        .then_some(timestamp)
}

/// `yyyy-mm-ddThh:mm:ss[.digits](Z|±hh:mm)`; whether the numbers are a date is checked later.
fn is_rfc_3339(text: &[u8]) -> bool {
    const PATTERN: &[u8] = b"dddd-dd-ddTdd:dd:dd";
    const OFFSET: &[u8] = b"dd:dd";
    let matches = |text: &[u8], pattern: &[u8]| {
        text.len() == pattern.len()
            && text.iter().zip(pattern).all(|(byte, sample)| match sample {
                b'd' => byte.is_ascii_digit(),
                sample => byte == sample,
            })
    };
    let Some((time, mut rest)) = text.split_at_checked(PATTERN.len()) else {
        return false;
    };
    if let [b'.', fraction @ ..] = rest {
        let digits = fraction
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if !(1..=9).contains(&digits) {
            return false;
        }
        rest = fraction.get(digits..).unwrap_or_default();
    }
    matches(time, PATTERN)
        && match rest {
            b"Z" => true,
            [b'+' | b'-', offset @ ..] => matches(offset, OFFSET),
            _ => false,
        }
}

/// Seconds with 0, 3, 6 or 9 decimals, and an `s`.
pub(super) fn duration_text(duration: &Duration) -> Option<String> {
    let Duration { seconds, nanos } = *duration;
    let is_valid = seconds.unsigned_abs() <= MAX_DURATION_SECONDS.unsigned_abs()
        && nanos.unsigned_abs() < 1_000_000_000
        && (seconds == 0 || nanos == 0 || (seconds < 0) == (nanos < 0));
    is_valid.then(|| duration.to_string())
}

/// Reads seconds with at most 9 decimals, and an `s`.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let number = text.strip_suffix('s')?;
    let (sign, number) = match number.strip_prefix('-') {
        Some(number) => (-1, number),
        None => (1, number),
    };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if !is_digits(whole) || !is_digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let seconds: i64 = whole
        .parse()
        .ok()
        .filter(|seconds| *seconds <= MAX_DURATION_SECONDS)?;
    let nanos: i32 = format!("{fraction:0<9}").parse().ok()?;
    Some(Duration {
        seconds: sign * seconds,
        nanos: i32::try_from(sign).unwrap_or(1) * nanos,
    })
}

/// The paths in camel case, separated by commas. `None` if one would not be read back unchanged.
pub(super) fn field_mask_text(paths: &[String]) -> Option<String> {
    let camels: Option<Vec<String>> = paths
        .iter()
        .map(|path| camel_path(path).filter(|camel| snake_path(camel).as_ref() == Some(path)))
        .collect();
    Some(camels?.join(","))
}

/// Reads what [`field_mask_text`] writes.
pub(super) fn parse_field_mask(text: &str) -> Option<Vec<String>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.split(',').map(snake_path).collect()
}

fn camel_path(path: &str) -> Option<String> {
    let mut camel = String::with_capacity(path.len());
    let mut is_after_underscore = false;
    for character in path.chars() {
        match character {
            '_' if is_after_underscore => return None,
            '_' => is_after_underscore = true,
            character => {
                camel.push(if is_after_underscore {
                    character.to_ascii_uppercase()
                } else {
                    character
                });
                is_after_underscore = false;
            }
        }
    }
    (!is_after_underscore).then_some(camel)
}

fn snake_path(camel: &str) -> Option<String> {
    let mut path = String::with_capacity(camel.len() + 4);
    for character in camel.chars() {
        match character {
            '_' => return None,
            'A'..='Z' => path.extend(['_', character.to_ascii_lowercase()]),
            character => path.push(character),
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_any_offset_and_written_in_utc() {
        let cases = [
            ("1970-01-01T00:00:00Z", Some("1970-01-01T00:00:00Z")),
            (
                "2024-02-29T12:00:00.5+01:00",
                Some("2024-02-29T11:00:00.500Z"),
            ),
            ("0001-01-01T00:00:00Z", Some("0001-01-01T00:00:00Z")),
            (
                "9999-12-31T23:59:59.999999999Z",
                Some("9999-12-31T23:59:59.999999999Z"),
            ),
            ("0001-01-01T00:00:00+01:00", None),
            ("2023-02-29T12:00:00Z", None),
            ("2024-02-29 12:00:00Z", None),
            ("2024-02-29T12:00:00", None),
            ("2024-02-29", None),
            ("2024-02-29T12:00:00.Z", None),
            ("2024-02-29T12:00:00.1234567890Z", None),
            ("2024-13-29T12:00:00Z", None),
            ("2024-00-00T00:00:00Z", None),
            ("2024-02-29T25:61:61Z", None),
            ("+0024-02-29T12:00:00Z", None),
            ("", None),
            ("é", None),
        ];
        for (text, expected) in cases {
            let written = parse_timestamp(text).and_then(|timestamp| timestamp_text(&timestamp));
            assert_eq!(written.as_deref(), expected, "{text}");
        }
        assert_eq!(
            timestamp_text(&Timestamp {
                seconds: i64::MIN,
                nanos: 0
            }),
            None
        );
        assert_eq!(
            timestamp_text(&Timestamp {
                seconds: 0,
                nanos: -1
            }),
            None
        );
    }

    #[test]
    fn durations_keep_their_sign() {
        let cases = [
            ("0s", Some("0s")),
            ("-0.5s", Some("-0.500s")),
            ("1.000001s", Some("1.000001s")),
            ("315576000000s", Some("315576000000s")),
            ("315576000001s", None),
            ("99999999999999999999s", None),
            ("1", None),
            ("s", None),
            (".5s", None),
            ("1.s", None),
            ("1.0000000001s", None),
            ("+1s", None),
            ("--1s", None),
        ];
        for (text, expected) in cases {
            let written = parse_duration(text).and_then(|duration| duration_text(&duration));
            assert_eq!(written.as_deref(), expected, "{text}");
        }
        assert_eq!(
            duration_text(&Duration {
                seconds: 1,
                nanos: -1
            }),
            None,
            "two signs"
        );
        assert_eq!(
            duration_text(&Duration {
                seconds: i64::MIN,
                nanos: 0
            }),
            None
        );
    }

    #[test]
    fn field_masks_come_back_or_are_refused() {
        let paths = vec!["user_name".to_owned(), "a.b_c".to_owned()];
        let text = field_mask_text(&paths).unwrap();
        assert_eq!(text, "userName,a.bC");
        assert_eq!(parse_field_mask(&text), Some(paths));
        assert_eq!(parse_field_mask(""), Some(vec![]));
        for bad in ["userName", "a__b", "a_1", "a_"] {
            assert_eq!(field_mask_text(&[bad.to_owned()]), None, "{bad}");
        }
        assert_eq!(parse_field_mask("user_name"), None);
    }
}
