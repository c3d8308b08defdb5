//! Optional, repeated and map fields.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};

use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use super::field::{finish_value, one};
use super::reader::expect;
use super::{Field, FieldShape, Key, Malformed, MapKey, Plain, Reader, Registry, Value};

/// An optional value, whose absence is visible.
#[diagnostic::do_not_recommend]
impl<V: Value<E>, E> Field<E> for Option<V> {
    type Slot<'a> = V::Slot<'a>;
    const MAY_BE_KEY: bool = V::MAY_BE_KEY;

    fn shape(types: &mut Registry) -> FieldShape {
        V::describe(types).optional()
    }

    #[inline]
    fn len(&self, number: u32) -> usize {
        self.as_ref().map_or(0, |value| value.member_len(number))
    }

    #[inline]
    fn encode(&self, number: u32, buffer: &mut Vec<u8>) {
        if let Some(value) = self {
            value.encode_member(number, buffer);
        }
    }

    #[inline]
    fn read<'a>(
        slot: &mut Self::Slot<'a>,
        key: Key,
        reader: &mut Reader<'a>,
    ) -> Result<(), Malformed> {
        V::read(slot, key.wire(), reader)
    }

    #[inline]
    fn finish(slot: Self::Slot<'_>, reader: &Reader<'_>) -> Result<Self, Malformed> {
        V::finish(slot, reader)
    }
}

/// A repeated field. Numbers and bools are encoded packed, and decoded either way.
#[diagnostic::do_not_recommend]
impl<V: Value<E>, E> Field<E> for Vec<V> {
    type Slot<'a> = Self;
    const MAY_BE_KEY: bool = false;

    fn shape(types: &mut Registry) -> FieldShape {
        V::describe(types).repeated().list_of::<V>()
    }

    fn len(&self, number: u32) -> usize {
        if is_packed::<V, E>() && !self.is_empty() {
            let len = packed_len(self);
            key_len(number) + encoded_len_varint(len as u64) + len
        } else {
            self.iter().map(|value| value.member_len(number)).sum()
        }
    }

    fn encode(&self, number: u32, buffer: &mut Vec<u8>) {
        if is_packed::<V, E>() && !self.is_empty() {
            encode_key(number, WireType::LengthDelimited, buffer);
            encode_varint(packed_len(self) as u64, buffer);
            for value in self {
                value.encode_value(buffer);
            }
        } else {
            for value in self {
                value.encode_member(number, buffer);
            }
        }
    }

    fn read<'a>(slot: &mut Self, key: Key, reader: &mut Reader<'a>) -> Result<(), Malformed> {
        if is_packed::<V, E>() && key.wire() == WireType::LengthDelimited {
            let mut packed = reader.packed()?;
            while !packed.is_empty() {
                slot.push(one::<V, E>(V::WIRE, &mut packed)?);
            }
        } else {
            slot.push(one::<V, E>(key.wire(), reader)?);
        }
        Ok(())
    }

    fn finish(slot: Self, _: &Reader<'_>) -> Result<Self, Malformed> {
        Ok(slot)
    }
}

/// Whether values are packed: all types except length-delimited ones.
fn is_packed<V: Value<E>, E>() -> bool {
    V::WIRE != WireType::LengthDelimited
}

fn packed_len<V: Value<E>, E>(values: &[V]) -> usize {
    values.iter().map(Value::value_len).sum()
}

/// An entry is a message with the key as field 1 and the value as field 2.
fn entry_len<K: MapKey<EK>, V: Value<EV>, EK, EV>(key: &K, value: &V) -> usize {
    let key = if key.is_zero() { 0 } else { key.member_len(1) };
    let value = if value.is_zero() {
        0
    } else {
        value.member_len(2)
    };
    key + value
}

fn map_len<'m, K, V, EK, EV>(entries: impl Iterator<Item = (&'m K, &'m V)>, number: u32) -> usize
where
    K: MapKey<EK> + 'm,
    V: Value<EV> + 'm,
{
    entries
        .map(|(key, value)| {
            let len = entry_len::<K, V, EK, EV>(key, value);
            key_len(number) + encoded_len_varint(len as u64) + len
        })
        .sum()
}

fn encode_map<'m, K, V, EK, EV>(
    entries: impl Iterator<Item = (&'m K, &'m V)>,
    number: u32,
    buffer: &mut Vec<u8>,
) where
    K: MapKey<EK> + 'm,
    V: Value<EV> + 'm,
{
    for (key, value) in entries {
        encode_key(number, WireType::LengthDelimited, buffer);
        encode_varint(entry_len::<K, V, EK, EV>(key, value) as u64, buffer);
        // As prost does: zeros and empty messages are omitted.
        if !key.is_zero() {
            key.encode_member(1, buffer);
        }
        if !value.is_zero() {
            value.encode_member(2, buffer);
        }
    }
}

fn read_entry<K, V, EK, EV>(key: Key, reader: &mut Reader<'_>) -> Result<(K, V), Malformed>
where
    K: MapKey<EK>,
    V: Value<EV>,
{
    expect(WireType::LengthDelimited, key.wire())?;
    let entry = reader.run()?;
    let mut entry = reader.inner(entry, reader.whole())?;
    let (mut key, mut value) = (K::slot(), V::slot());
    while let Some(part) = entry.key()? {
        match part.number() {
            1 => K::read(&mut key, part.wire(), &mut entry)?,
            2 => V::read(&mut value, part.wire(), &mut entry)?,
            _ => entry.skip(part)?,
        }
    }
    Ok((
        finish_value::<K, EK>(key, &entry)?,
        finish_value::<V, EV>(value, &entry)?,
    ))
}

macro_rules! maps {
    ($(($($generics:tt)*) $map:ty, $is_tree:literal, $encoding:ty, $key_encoding:ty, $value_encoding:ty;)*) => {$(
        /// A map field. Of several values with the same key, the last one is kept.
        #[diagnostic::do_not_recommend]
        impl<$($generics)*> Field<$encoding> for $map {
            type Slot<'a> = Self;
            const MAY_BE_KEY: bool = false;

            fn shape(types: &mut Registry) -> FieldShape {
                let key = K::describe(types);
                V::describe(types).keyed_by(key).map_of::<K, V>($is_tree)
            }

            fn len(&self, number: u32) -> usize {
                map_len::<K, V, $key_encoding, $value_encoding>(self.iter(), number)
            }

            fn encode(&self, number: u32, buffer: &mut Vec<u8>) {
                encode_map::<K, V, $key_encoding, $value_encoding>(self.iter(), number, buffer);
            }

            fn read<'a>(slot: &mut Self, key: Key, reader: &mut Reader<'a>) -> Result<(), Malformed> {
                let (key, value) = read_entry::<K, V, $key_encoding, $value_encoding>(key, reader)?;
                slot.insert(key, value);
                Ok(())
            }

            fn finish(slot: Self, _: &Reader<'_>) -> Result<Self, Malformed> {
                Ok(slot)
            }
        }
    )*};
}

maps! {
    (K: MapKey<Plain> + Hash + Eq, V: Value<Plain>, S: BuildHasher + Default)
        HashMap<K, V, S>, false, Plain, Plain, Plain;
    (K: MapKey<EK> + Hash + Eq, V: Value<EV>, S: BuildHasher + Default, EK, EV)
        HashMap<K, V, S>, false, (EK, EV), EK, EV;
    (K: MapKey<Plain> + Ord, V: Value<Plain>)
        BTreeMap<K, V>, true, Plain, Plain, Plain;
    (K: MapKey<EK> + Ord, V: Value<EV>, EK, EV)
        BTreeMap<K, V>, true, (EK, EV), EK, EV;
}
