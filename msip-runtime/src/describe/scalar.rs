//! Scalar values: numbers, bools, strings and bytes.

use bytes::Bytes;
use prost::encoding::{WireType, encode_varint, encoded_len_varint};

use super::field::{Fixed32, Fixed64, Plain, Sfixed32, Sfixed64, Sint32, Sint64};
use super::reader::{Reader, expect};
use super::{Malformed, MapKey, Registry, Value, ValueType};
use crate::body::integer::{low_32, sign_extended, unzigzag32, unzigzag64, zigzag32, zigzag64};
use msip_schema::FieldType;

/// Implements [`Value`] for scalar types, with the functions of their encodings.
macro_rules! scalars {
    ($($ty:ty, $encoding:ty, $name:ident, $wire:ident, $is_zero:expr, $len:expr, $encode:expr, $decode:expr;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl Value<$encoding> for $ty {
            type Slot<'a> = Option<Self>;
            const WIRE: WireType = WireType::$wire;
            const MAY_BE_KEY: bool = true;

            fn describe(_: &mut Registry) -> ValueType {
                ValueType::new(FieldType::$name)
            }

            #[inline]
            fn is_zero(&self) -> bool {
                let is_zero: fn(&$ty) -> bool = $is_zero;
                is_zero(self)
            }

            #[inline]
            fn value_len(&self) -> usize {
                let len: fn(&$ty) -> usize = $len;
                len(self)
            }

            #[inline]
            fn encode_value(&self, buffer: &mut Vec<u8>) {
                let encode: fn(&$ty, &mut Vec<u8>) = $encode;
                encode(self, buffer);
            }

            #[inline]
            fn read<'a>(
                slot: &mut Self::Slot<'a>,
                wire: WireType,
                reader: &mut Reader<'a>,
            ) -> Result<(), Malformed> {
                expect(WireType::$wire, wire)?;
                let decode: fn(&mut Reader<'a>) -> Result<$ty, Malformed> = $decode;
                *slot = Some(decode(reader)?);
                Ok(())
            }

            #[inline]
            fn finish(slot: Self::Slot<'_>, _: &Reader<'_>) -> Result<Option<Self>, Malformed> {
                Ok(slot)
            }

            #[inline]
            fn absent(_: &Reader<'_>) -> Result<Self, Malformed> {
                Ok(Self::default())
            }
        }

        crate::__field_of_one_value!(#[diagnostic::do_not_recommend] $ty, $encoding);
    )*};
}

scalars! {
    i32, Plain, Int32, Varint, |value| *value == 0,
        |value| encoded_len_varint(sign_extended(*value)),
        |value, buffer| encode_varint(sign_extended(*value), buffer),
        |reader| reader.varint().map(|value| low_32(value).cast_signed());
    i64, Plain, Int64, Varint, |value| *value == 0,
        |value| encoded_len_varint(value.cast_unsigned()),
        |value, buffer| encode_varint(value.cast_unsigned(), buffer),
        |reader| reader.varint().map(u64::cast_signed);
    u32, Plain, Uint32, Varint, |value| *value == 0,
        |value| encoded_len_varint(u64::from(*value)),
        |value, buffer| encode_varint(u64::from(*value), buffer),
        |reader| reader.varint().map(low_32);
    u64, Plain, Uint64, Varint, |value| *value == 0,
        |value| encoded_len_varint(*value),
        |value, buffer| encode_varint(*value, buffer),
        |reader| reader.varint();
    bool, Plain, Bool, Varint, |value| !*value,
        |_| 1,
        |value, buffer| buffer.push(u8::from(*value)),
        |reader| reader.varint().map(|value| value != 0);
    // As prost does: negative zero counts as zero.
    f32, Plain, Float, ThirtyTwoBit, |value| *value == 0.0,
        |_| 4,
        |value, buffer| buffer.extend_from_slice(&value.to_le_bytes()),
        |reader| reader.array().map(f32::from_le_bytes);
    f64, Plain, Double, SixtyFourBit, |value| *value == 0.0,
        |_| 8,
        |value, buffer| buffer.extend_from_slice(&value.to_le_bytes()),
        |reader| reader.array().map(f64::from_le_bytes);
    i32, Sint32, Sint32, Varint, |value| *value == 0,
        |value| encoded_len_varint(u64::from(zigzag32(*value))),
        |value, buffer| encode_varint(u64::from(zigzag32(*value)), buffer),
        |reader| reader.varint().map(|value| unzigzag32(low_32(value)));
    i64, Sint64, Sint64, Varint, |value| *value == 0,
        |value| encoded_len_varint(zigzag64(*value)),
        |value, buffer| encode_varint(zigzag64(*value), buffer),
        |reader| reader.varint().map(unzigzag64);
    u32, Fixed32, Fixed32, ThirtyTwoBit, |value| *value == 0,
        |_| 4,
        |value, buffer| buffer.extend_from_slice(&value.to_le_bytes()),
        |reader| reader.array().map(u32::from_le_bytes);
    u64, Fixed64, Fixed64, SixtyFourBit, |value| *value == 0,
        |_| 8,
        |value, buffer| buffer.extend_from_slice(&value.to_le_bytes()),
        |reader| reader.array().map(u64::from_le_bytes);
    i32, Sfixed32, Sfixed32, ThirtyTwoBit, |value| *value == 0,
        |_| 4,
        |value, buffer| buffer.extend_from_slice(&value.to_le_bytes()),
        |reader| reader.array().map(i32::from_le_bytes);
    i64, Sfixed64, Sfixed64, SixtyFourBit, |value| *value == 0,
        |_| 8,
        |value, buffer| buffer.extend_from_slice(&value.to_le_bytes()),
        |reader| reader.array().map(i64::from_le_bytes);
    String, Plain, String, LengthDelimited, |value| value.is_empty(),
        |value| run_len(value.as_bytes()),
        |value, buffer| encode_run(value.as_bytes(), buffer),
        |reader| match std::str::from_utf8(reader.run()?) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(Malformed::new("string is not UTF-8")),
        };
    Vec<u8>, Plain, Bytes, LengthDelimited, |value| value.is_empty(),
        |value| run_len(value),
        |value, buffer| encode_run(value, buffer),
        |reader| reader.run().map(<[u8]>::to_vec);
    Bytes, Plain, Bytes, LengthDelimited, |value| value.is_empty(),
        |value| run_len(value),
        |value, buffer| encode_run(value, buffer),
        |reader| {
            let run = reader.run()?;
            // The bytes are always a part of the reader's buffer.
            Ok(reader.whole().slice_ref(run))
        };
}

macro_rules! map_keys {
    ($($ty:ty, $encoding:ty;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl MapKey<$encoding> for $ty {}
    )*};
}

map_keys! {
    i32, Plain;
    i64, Plain;
    u32, Plain;
    u64, Plain;
    bool, Plain;
    String, Plain;
    i32, Sint32;
    i64, Sint64;
    u32, Fixed32;
    u64, Fixed64;
    i32, Sfixed32;
    i64, Sfixed64;
}

fn run_len(bytes: &[u8]) -> usize {
    encoded_len_varint(bytes.len() as u64) + bytes.len()
}

fn encode_run(bytes: &[u8], buffer: &mut Vec<u8>) {
    encode_varint(bytes.len() as u64, buffer);
    buffer.extend_from_slice(bytes);
}
