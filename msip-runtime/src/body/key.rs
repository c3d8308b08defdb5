//! The key of a STATE message, which distinguishes it from others of its variant.

use prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field,
};

use crate::{Envelope, protocol::Variant};

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
    fn malformed_bytes_have_no_key() {
        assert_eq!(value_of(&[0x12, 200, 1], 2), None);
        assert_eq!(contents(&[5, 1]), None);
    }
}
