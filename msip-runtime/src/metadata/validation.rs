//! What may be sent as metadata.

use msip_session::wire::Escaped;
use thiserror::Error;

/// Metadata cannot be sent.
#[derive(Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// A header has no name.
    #[error("empty header name")]
    EmptyName,
    /// The name of a header contains a character that is not allowed.
    #[error(
        "invalid character {found:?} in header name `{}`: use ASCII letters and digits, `-`, `_`, `.` and `/`",
        Escaped::new(.name)
    )]
    Name {
        /// The name.
        name: String,
        /// The character.
        found: char,
    },
    /// A value contains a control character.
    #[error(
        "control character U+{1:04X} at byte {at} of {0}: escape it, or send the value in the message",
        Escaped::new(.field), u32::from(*.found)
    )]
    Control {
        /// The name of the field.
        field: String,
        /// The character.
        found: char,
        /// Its offset in the value, in bytes.
        at: usize,
    },
    /// A `traceparent` is not valid W3C Trace Context.
    #[error(
        "invalid traceparent `{}`: expected a value such as 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        Escaped::new(.value)
    )]
    Traceparent {
        /// The value.
        value: String,
    },
    /// The metadata is too large.
    #[error(
        "metadata of {len} bytes exceeds the limit of {max}: headers, ids and trace context together"
    )]
    TooLarge {
        /// Its encoded length, in bytes.
        len: usize,
        /// The limit, in bytes.
        max: usize,
    },
}

/// Checks a header.
pub(crate) fn check_header(name: &str, value: &str) -> Result<(), MetadataError> {
    if name.is_empty() {
        return Err(MetadataError::EmptyName);
    }
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    if let Some(found) = name.chars().find(|c| !is_allowed(*c)) {
        let name = name.to_owned();
        return Err(MetadataError::Name { name, found });
    }
    check_text(|| format!("header `{name}`"), value)
}

/// Checks a text value.
pub(crate) fn check_text(field: impl Fn() -> String, value: &str) -> Result<(), MetadataError> {
    match value.char_indices().find(|(_, c)| c.is_control()) {
        Some((at, found)) => Err(MetadataError::Control {
            field: field(),
            found,
            at,
        }),
        None => Ok(()),
    }
}

/// Checks a `traceparent` (W3C Trace Context, section 3.2.2). Later versions may have additional fields.
pub(crate) fn check_traceparent(value: &str) -> Result<(), MetadataError> {
    let is_hex = |part: &str, len: usize| {
        part.len() == len && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_zero = |part: &str| part.bytes().all(|b| b == b'0');
    let parts: Vec<&str> = value.split('-').collect();
    let is_valid = match parts.as_slice() {
        [version, trace, parent, flags, rest @ ..] => {
            is_hex(version, 2)
                && *version != "ff"
                && is_hex(trace, 32)
                && !is_zero(trace)
                && is_hex(parent, 16)
                && !is_zero(parent)
                && is_hex(flags, 2)
                && (rest.is_empty() || *version != "00")
        }
        _ => false,
    };
    if is_valid {
        return check_text(|| "traceparent".to_owned(), value);
    }
    let value = value.to_owned();
    Err(MetadataError::Traceparent { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_invalid_headers_differ() {
        let cases = [
            ("", "x", "empty header name"),
            (
                "a b",
                "x",
                "invalid character ' ' in header name `a b`: use ASCII letters and digits, `-`, `_`, `.` and `/`",
            ),
            (
                "größe",
                "x",
                "invalid character 'ö' in header name `größe`: use ASCII letters and digits, `-`, `_`, `.` and `/`",
            ),
            (
                "lang",
                "e\nn",
                "control character U+000A at byte 1 of header `lang`: escape it, or send the value in the message",
            ),
        ];
        for (name, value, text) in cases {
            let error = check_header(name, value).expect_err(name);
            assert_eq!(error.to_string(), text);
        }
        check_header("x-Tenant.id_7/a", "größer, and „so on“").unwrap();
    }

    #[test]
    fn traceparents_are_validated() {
        let right = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        check_traceparent(right).unwrap();
        let later = format!("01{}-more", &right[2..]);
        check_traceparent(&later).unwrap();
        for wrong in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert!(check_traceparent(wrong).is_err(), "{wrong}");
        }
    }
}
