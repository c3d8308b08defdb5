//! The key of a message, which distinguishes it from others of its variant.

use prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field,
};

use sha2::{Digest as _, Sha256};

use crate::{Envelope, MsgKind, protocol::Variant};

/// The longest key that is sent as it is, in bytes; of a longer one its hash is sent.
const MAX_KEY_LEN: usize = 256;

/// The key of a message whose key field has its default.
const DEFAULT_KEY: &str = "%default";

/// The key of a message: a string or bytes as they are, any other type in protobuf encoding; empty if the schema names no
/// key field, or the field has its default.
///
/// Computed only when a queue must choose among waiting messages, so that no other message pays for it.
pub(crate) fn key_of<E: Envelope>(message: &E, variant: &Variant) -> Vec<u8> {
    let Some(field) = variant.key_number else {
        return Vec::new();
    };
    let mut body = Vec::with_capacity(message.encoded_len());
    message.encode(&mut body);
    value_of(&body, variant.number.into())
        .and_then(|message| value_of(message, field))
        .unwrap_or_default()
        .to_vec()
}

/// The key of a message as a broker is told of it in the metadata (docs/schema.md, "Keys"). `None` if the schema names no key
/// field, or a STATE's has its default: that is the STATE without a key.
pub(crate) fn key_text<E: Envelope>(message: &E, variant: &Variant) -> Option<String> {
    let field = variant.key_number?;
    let mut body = Vec::with_capacity(message.encoded_len());
    message.encode(&mut body);
    let member = value_of(&body, variant.number.into()).unwrap_or_default();
    key_of_member(member, field, variant.kind)
}

/// The key of a message as a broker is told of it: what [`CallOptions::key`](crate::CallOptions::key) has to say at a topic, where
/// the schema names a key field (docs/schema.md, "Keys"). `member` is the message in protobuf, `field` the number of its key
/// field. `None` for a STATE whose key has its default: that is the STATE without a key.
#[must_use]
pub fn key_of_member(member: &[u8], field: u32, kind: MsgKind) -> Option<String> {
    let text = last_field(member, field)
        .and_then(|(wire, value)| text_of(wire, value))
        .unwrap_or_default();
    if !text.is_empty() {
        return Some(text);
    }
    (kind != MsgKind::State).then(|| DEFAULT_KEY.to_owned())
}

/// A value as text without control characters: different for each value of a field.
fn text_of(wire: WireType, mut value: &[u8]) -> Option<String> {
    match wire {
        WireType::Varint => Some(decode_varint(&mut value).ok()?.to_string()),
        WireType::ThirtyTwoBit => Some(u32::from_le_bytes(value.try_into().ok()?).to_string()),
        WireType::SixtyFourBit => Some(u64::from_le_bytes(value.try_into().ok()?).to_string()),
        WireType::LengthDelimited => Some(escaped(contents(value)?)),
        WireType::StartGroup | WireType::EndGroup => None,
    }
}

/// Text as it is but for `%` and control characters, which are percent-encoded, and so are bytes that are not UTF-8.
fn escaped(bytes: &[u8]) -> String {
    if bytes.len() > MAX_KEY_LEN {
        let mut text = String::from("%sha256:");
        push_hex(&mut text, "", &Sha256::digest(bytes));
        return text;
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '%' || c.is_control() {
                push_hex(&mut text, "%", c.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                text.push(c);
            }
        }
        push_hex(&mut text, "%", chunk.invalid());
    }
    text
}

/// Appends each byte as two digits behind `mark`.
fn push_hex(text: &mut String, mark: &str, bytes: &[u8]) {
    for byte in bytes {
        text.push_str(mark);
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(digit.into(), 16).map(|digit| digit.to_ascii_uppercase()));
        }
    }
}

/// The envelope of this message with nothing but its key, in protobuf: which STATE is cleared. Empty where the schema names no
/// key field, or the field has its default.
pub(crate) fn key_only<E: Envelope>(message: &E, variant: &Variant) -> Vec<u8> {
    let Some(field) = variant.key_number else {
        return Vec::new();
    };
    let mut body = Vec::with_capacity(message.encoded_len());
    message.encode(&mut body);
    let member = value_of(&body, variant.number.into()).unwrap_or_default();
    match last_field(member, field) {
        Some((wire, value)) => {
            let mut key = Vec::with_capacity(value.len() + 2);
            encode_key(field, wire, &mut key);
            key.extend_from_slice(value);
            envelope(variant.number, &key)
        }
        None => Vec::new(),
    }
}

/// An envelope with this member, in protobuf.
pub(crate) fn envelope(variant: u16, member: &[u8]) -> Vec<u8> {
    let mut envelope = Vec::with_capacity(member.len() + 6);
    encode_key(variant.into(), WireType::LengthDelimited, &mut envelope);
    encode_varint(member.len() as u64, &mut envelope);
    envelope.extend_from_slice(member);
    envelope
}

/// The value of the last field with this number, without its length prefix.
fn value_of(message: &[u8], field: u32) -> Option<&[u8]> {
    match last_field(message, field)? {
        (WireType::LengthDelimited, value) => contents(value),
        (_, value) => Some(value),
    }
}

/// The last field with this number, but for its number.
fn last_field(mut message: &[u8], field: u32) -> Option<(WireType, &[u8])> {
    let mut found = None;
    while !message.is_empty() {
        let (number, wire) = decode_key(&mut message).ok()?;
        let value = message;
        skip_field(wire, number, &mut message, DecodeContext::default()).ok()?;
        if number == field {
            found = Some((wire, value.get(..value.len() - message.len())?));
        }
    }
    found
}

/// The value after a length prefix.
fn contents(mut value: &[u8]) -> Option<&[u8]> {
    let len = usize::try_from(decode_varint(&mut value).ok()?).ok()?;
    value.get(..len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_number_anywhere_in_the_message() {
        // 1: 150, 2: "ab", 1: 7, 3: a fixed number.
        let message = [
            0x08, 0x96, 0x01, 0x12, 2, b'a', b'b', 0x08, 7, 0x1d, 1, 2, 3, 4,
        ];
        assert_eq!(value_of(&message, 1), Some(&[7][..]), "the last one counts");
        assert_eq!(value_of(&message, 2), Some(&b"ab"[..]), "a text");
        assert_eq!(value_of(&message, 3), Some(&[1, 2, 3, 4][..]));
        assert_eq!(value_of(&message, 4), None);
    }

    #[test]
    fn the_text_of_a_key_is_readable_and_different_for_each_value() {
        for (what, wire, value, text) in [
            ("a number", WireType::Varint, &[0x96, 0x01][..], "150"),
            ("a fixed number", WireType::ThirtyTwoBit, &[7, 0, 0, 0], "7"),
            (
                "a longer one",
                WireType::SixtyFourBit,
                &[0, 1, 0, 0, 0, 0, 0, 0],
                "256",
            ),
            (
                "a text",
                WireType::LengthDelimited,
                b"\x06van \xc3\xa9",
                "van é",
            ),
            (
                "what looks like an escape",
                WireType::LengthDelimited,
                b"\x03%0A",
                "%250A",
            ),
            (
                "a control character",
                WireType::LengthDelimited,
                b"\x03a\nb",
                "a%0Ab",
            ),
            (
                "one of several bytes",
                WireType::LengthDelimited,
                b"\x02\xc2\x85",
                "%C2%85",
            ),
            (
                "bytes",
                WireType::LengthDelimited,
                b"\x03\xff\x00z",
                "%FF%00z",
            ),
        ] {
            assert_eq!(text_of(wire, value).as_deref(), Some(text), "{what}");
        }
    }

    #[test]
    fn the_key_of_a_message_is_that_of_its_field() {
        // 1: -1, 4: 7, 8: "van".
        let member = [
            0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x20, 7, 0x42, 3,
            b'v', b'a', b'n',
        ];
        let keyed = |kind, field| key_of_member(&member, field, kind);
        let (event, state) = (MsgKind::Event, MsgKind::State);
        assert_eq!(keyed(event, 1).as_deref(), Some("18446744073709551615"));
        assert_eq!(keyed(event, 4).as_deref(), Some("7"));
        assert_eq!(keyed(state, 8).as_deref(), Some("van"));
        // It is a value like others, except where the absence of a key says the same.
        assert_eq!(keyed(event, 2).as_deref(), Some("%default"));
        assert_eq!(keyed(event, 9).as_deref(), Some("%default"));
        assert_eq!(keyed(state, 9), None);
    }

    #[test]
    fn a_long_key_is_told_by_its_hash() {
        let longest = "k".repeat(MAX_KEY_LEN);
        assert_eq!(escaped(longest.as_bytes()), longest);
        let (one, other) = (format!("{longest}a"), format!("{longest}b"));
        let text = escaped(one.as_bytes());
        assert!(
            text.starts_with("%sha256:") && text.len() == 8 + 64,
            "{text}"
        );
        assert_ne!(text, escaped(other.as_bytes()));
    }

    #[test]
    fn malformed_bytes_have_no_key() {
        assert_eq!(value_of(&[0x12, 200, 1], 2), None);
        assert_eq!(contents(&[5, 1]), None);
    }
}
