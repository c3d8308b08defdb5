//! Message fields.

use bytes::Bytes;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use super::reader::expect;
use super::stack_space::StackSpace;
use super::{
    Describe, Field, FieldShape, Key, Malformed, Plain, Reader, Registry, Value, ValueType,
};

/// The bytes of a message field, which may occur several times. Protobuf merges the occurrences, which means to decode
/// their concatenation.
#[derive(Debug, Default)]
pub enum Parts<'a> {
    /// No occurrence yet.
    #[default]
    None,
    /// One occurrence.
    One(&'a [u8]),
    /// Several occurrences, concatenated.
    Several(Vec<u8>),
}

impl<'a> Parts<'a> {
    /// Adds an occurrence, which `reader` has read.
    fn push(&mut self, part: &'a [u8], reader: &Reader<'a>) -> Result<(), Malformed> {
        match self {
            Self::None => *self = Self::One(part),
            Self::One(first) => {
                // Empty occurrences add nothing, so many of them cost nothing.
                if first.is_empty() {
                    *first = part;
                } else if !part.is_empty() {
                    reader.check_whole(first)?;
                    reader.check_whole(part)?;
                    *self = Self::Several([first, part].concat());
                }
            }
            Self::Several(bytes) => {
                reader.check_whole(part)?;
                bytes.extend_from_slice(part);
            }
        }
        Ok(())
    }
}

#[diagnostic::do_not_recommend]
impl<T: Describe> Value for T {
    type Slot<'a> = Parts<'a>;
    const WIRE: WireType = WireType::LengthDelimited;
    const MAY_BE_KEY: bool = false;

    fn describe(types: &mut Registry) -> ValueType {
        <T as Describe>::describe(types)
    }

    fn is_zero(&self) -> bool {
        self.encoded_len() == 0
    }

    fn value_len(&self) -> usize {
        let len = self.encoded_len();
        encoded_len_varint(len as u64) + len
    }

    fn encode_value(&self, buffer: &mut Vec<u8>) {
        encode_varint(self.encoded_len() as u64, buffer);
        self.encode(buffer);
    }

    fn read<'a>(
        slot: &mut Parts<'a>,
        wire: WireType,
        reader: &mut Reader<'a>,
    ) -> Result<(), Malformed> {
        expect(WireType::LengthDelimited, wire)?;
        let part = reader.run()?;
        slot.push(part, reader)
    }

    fn finish(slot: Parts<'_>, reader: &Reader<'_>) -> Result<Option<Self>, Malformed> {
        match slot {
            Parts::None => Ok(None),
            Parts::One(part) => {
                // The lifetimes differ, but both are parts of the same body.
                read_inner(reader, part, reader.whole()).map(Some)
            }
            Parts::Several(bytes) => {
                let bytes = Bytes::from(bytes);
                read_inner(reader, &bytes, &bytes).map(Some)
            }
        }
    }

    fn absent(reader: &Reader<'_>) -> Result<Self, Malformed> {
        read_nested(reader.absent()?)
    }
}

/// Reads a message inside another one, on a thread with a large stack where the caller's is nearly used up.
fn read_nested<T: Describe>(mut reader: Reader<'_>) -> Result<T, Malformed> {
    if reader.stack.has_room() {
        T::read(&mut reader)
    } else {
        read_on_thread(reader)
    }
}

#[cold]
#[inline(never)]
fn read_on_thread<T: Describe>(mut reader: Reader<'_>) -> Result<T, Malformed> {
    let read = StackSpace::on_thread(|stack| {
        reader.stack = stack;
        T::read(&mut reader)
    });
    read.unwrap_or_else(|| {
        Err(Malformed::new(
            "no stack is left for messages nested this deep",
        ))
    })
}

fn read_inner<'a, T: Describe>(
    reader: &Reader<'_>,
    part: &'a [u8],
    whole: &'a Bytes,
) -> Result<T, Malformed> {
    read_nested(reader.inner(part, whole)?)
}

/// A message that is not an `Option` is always encoded.
#[diagnostic::do_not_recommend]
impl<T: Describe> Field for T {
    type Slot<'a> = Parts<'a>;
    const MAY_BE_KEY: bool = false;

    fn shape(types: &mut Registry) -> FieldShape {
        <T as Describe>::describe(types).optional()
    }

    fn len(&self, number: u32) -> usize {
        self.member_len(number)
    }

    fn encode(&self, number: u32, buffer: &mut Vec<u8>) {
        self.encode_member(number, buffer);
    }

    fn read<'a>(slot: &mut Parts<'a>, key: Key, reader: &mut Reader<'a>) -> Result<(), Malformed> {
        <T as Value<Plain>>::read(slot, key.wire(), reader)
    }

    fn finish(slot: Parts<'_>, reader: &Reader<'_>) -> Result<Self, Malformed> {
        super::field::finish_value::<T, Plain>(slot, reader)
    }
}

/// A boxed message, which recursive types need.
#[diagnostic::do_not_recommend]
impl<T: Describe> Describe for Box<T> {
    const FIELDS: &'static [(&'static str, u32, bool)] = T::FIELDS;

    fn describe(types: &mut Registry) -> ValueType {
        <T as Describe>::describe(types).boxed()
    }

    fn encoded_len(&self) -> usize {
        T::encoded_len(self)
    }

    fn encode(&self, buffer: &mut Vec<u8>) {
        T::encode(self, buffer);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        T::read(reader).map(Box::new)
    }
}

/// The length of a member without a payload, in bytes.
#[must_use]
pub fn empty_len(number: u32) -> usize {
    key_len(number) + 1
}

/// Appends a member without a payload.
pub fn encode_empty(number: u32, buffer: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, buffer);
    buffer.push(0);
}

/// Reads a member without a payload. Fields that a newer peer may have added are ignored.
///
/// # Errors
///
/// The member is not a message.
pub fn read_empty(name: &'static str, key: Key, reader: &mut Reader<'_>) -> Result<(), Malformed> {
    let read = expect(WireType::LengthDelimited, key.wire()).and_then(|()| reader.run());
    read.map(|_| ()).map_err(|error| error.inside(name))
}
