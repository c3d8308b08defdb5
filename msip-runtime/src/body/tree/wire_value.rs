//! A wire value: one field's value in protobuf's encoding.

use prost::encoding::{WireType, decode_varint};

use super::TreeError;
use crate::body::{
    descriptor_pool::Kind,
    integer::{low_32, unzigzag64},
};

/// A field's value in its encoded form.
#[derive(Debug, Clone, Copy)]
pub(super) enum WireValue<'a> {
    Varint(u64),
    Fixed32([u8; 4]),
    Fixed64([u8; 8]),
    Len(&'a [u8]),
}

/// Takes one value from the front of `bytes`.
pub(super) fn take<'a>(
    wire_type: WireType,
    bytes: &mut &'a [u8],
) -> Result<WireValue<'a>, TreeError> {
    let truncated = || TreeError::new("a value that extends beyond its message");
    Ok(match wire_type {
        WireType::Varint => WireValue::Varint(decode_varint(bytes).map_err(malformed)?),
        WireType::ThirtyTwoBit => {
            let (value, rest) = bytes.split_first_chunk().ok_or_else(truncated)?;
            *bytes = rest;
            WireValue::Fixed32(*value)
        }
        WireType::SixtyFourBit => {
            let (value, rest) = bytes.split_first_chunk().ok_or_else(truncated)?;
            *bytes = rest;
            WireValue::Fixed64(*value)
        }
        WireType::LengthDelimited => {
            let len = decode_varint(bytes).map_err(malformed)?;
            let len = usize::try_from(len).map_err(|_| truncated())?;
            let (value, rest) = bytes.split_at_checked(len).ok_or_else(truncated)?;
            *bytes = rest;
            WireValue::Len(value)
        }
        WireType::StartGroup | WireType::EndGroup => return Err(TreeError::new("a group")),
    })
}

pub(super) fn count_packed(kind: Kind, packed: &[u8]) -> usize {
    match kind.wire_type() {
        WireType::SixtyFourBit => packed.len() / 8,
        WireType::ThirtyTwoBit => packed.len() / 4,
        // The last byte of each number has no high bit.
        _ => packed.iter().filter(|byte| **byte < 0x80).count(),
    }
}

pub(super) fn unsigned(raw: WireValue<'_>) -> u64 {
    match raw {
        WireValue::Varint(value) => value,
        WireValue::Fixed32(bytes) => u32::from_le_bytes(bytes).into(),
        WireValue::Fixed64(bytes) => u64::from_le_bytes(bytes),
        WireValue::Len(_) => 0,
    }
}

pub(super) fn signed(kind: Kind, raw: WireValue<'_>) -> i64 {
    match (kind, raw) {
        (_, WireValue::Fixed32(bytes)) => i32::from_le_bytes(bytes).into(),
        (_, WireValue::Fixed64(bytes)) => i64::from_le_bytes(bytes),
        (Kind::Sint32 | Kind::Sint64, WireValue::Varint(value)) => unzigzag64(value),
        (Kind::Int64, WireValue::Varint(value)) => value.cast_signed(),
        (_, WireValue::Varint(value)) => low_32(value).cast_signed().into(),
        (_, WireValue::Len(_)) => 0,
    }
}

pub(super) fn utf8(bytes: &[u8]) -> Result<&str, TreeError> {
    std::str::from_utf8(bytes).map_err(|error| TreeError::new(error.to_string()))
}

pub(super) fn malformed(error: prost::DecodeError) -> TreeError {
    TreeError::new(error.to_string())
}
