//! What tells one STATE from another of its variant: the field that the schema names.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::{Envelope, protocol::Variant};

/// The key of a message: a text or bytes as they are, and all else as protobuf writes it; empty where the schema names none, or
/// the field has its default.
///
/// Only who has to choose among messages that wait asks for it, so that no other message pays for it.
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

/// The value of the last field with this number, without the length of one that has it.
fn value_of(mut message: &[u8], field: u32) -> Option<&[u8]> {
    let mut found = None;
    while !message.is_empty() {
        let (number, wire) = decode_key(&mut message).ok()?;
        let value = message;
        skip_field(wire, number, &mut message, DecodeContext::default()).ok()?;
        if number == field {
            let value = value.get(..value.len() - message.len())?;
            found = match wire {
                WireType::LengthDelimited => contents(value),
                _ => Some(value),
            };
        }
    }
    found
}

/// What stands behind the length of a field that has one.
fn contents(mut value: &[u8]) -> Option<&[u8]> {
    let len = usize::try_from(decode_varint(&mut value).ok()?).ok()?;
    value.get(..len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_number_wherever_it_stands() {
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
    fn bytes_that_are_no_message_have_no_key() {
        assert_eq!(value_of(&[0x12, 200, 1], 2), None);
        assert_eq!(contents(&[5, 1]), None);
    }
}
