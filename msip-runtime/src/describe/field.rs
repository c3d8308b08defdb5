//! The traits of field types.

use prost::encoding::{WireType, encode_key, key_len};

use super::{FieldShape, Key, Malformed, Reader, Registry, ValueType};

/// The default encoding of a type: `int32` for `i32`, `uint64` for `u64`, and so on.
#[derive(Debug, Clone, Copy)]
pub struct Plain;

/// Declares a marker for each encoding that a field can ask for.
macro_rules! encodings {
    ($($marker:ident $name:literal;)*) => {$(
        #[doc = concat!("The encoding that `#[msip(as = \"", $name, "\")]` asks for.")]
        #[derive(Debug, Clone, Copy)]
        pub struct $marker;
    )*};
}

encodings! {
    Sint32 "sint32";
    Sint64 "sint64";
    Fixed32 "fixed32";
    Fixed64 "fixed64";
    Sfixed32 "sfixed32";
    Sfixed64 "sfixed64";
}

/// The type of a field: one value, or an `Option`, a `Vec` or a map of values.
///
/// `E` is the encoding of its values; for a map, the encodings of key and value.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a message",
    label = "not a field that a message can have",
    note = "a field is a value, or an `Option`, `Vec`, `HashMap` or `BTreeMap` of values; one of these inside another belongs in a message of its own",
    note = "a value is `i32`, `i64`, `u32`, `u64`, `f32`, `f64`, `bool`, `String`, `Bytes`, `Vec<u8>`, `Duration`, `SystemTime`, or a type with `#[derive(Message)]`; keys of maps are integers, `bool` and `String`",
    note = "sets are carried as `Vec`, `Arc<T>` and `Rc<T>` as `T`, `Instant` as `SystemTime`, paths, addresses and UUIDs as `String`",
    note = "where the field has `#[msip(as = …)]`: \"sint32\" and \"sfixed32\" are for `i32`, \"sint64\" and \"sfixed64\" for `i64`, \"fixed32\" for `u32`, \"fixed64\" for `u64`, \"map<…, …>\" for maps"
)]
pub trait Field<E = Plain>: Sized {
    /// What has been decoded so far.
    type Slot<'a>: Default;
    /// Whether it may be a message's key.
    const MAY_BE_KEY: bool;

    /// Its type in a schema.
    fn shape(types: &mut Registry) -> FieldShape;

    /// The length of [`encode`](Self::encode)'s output, in bytes.
    fn len(&self, number: u32) -> usize;

    /// Appends the field with its key; nothing if it has the default value.
    fn encode(&self, number: u32, buffer: &mut Vec<u8>);

    /// Decodes one occurrence.
    ///
    /// # Errors
    ///
    /// The bytes are not of this type.
    fn read<'a>(
        slot: &mut Self::Slot<'a>,
        key: Key,
        reader: &mut Reader<'a>,
    ) -> Result<(), Malformed>;

    /// Completes the field.
    ///
    /// # Errors
    ///
    /// A message inside it is malformed, or a value without a default is missing.
    fn finish(slot: Self::Slot<'_>, reader: &Reader<'_>) -> Result<Self, Malformed>;

    /// The initial slot.
    #[inline]
    #[must_use]
    fn slot<'a>() -> Self::Slot<'a> {
        Self::Slot::default()
    }

    /// [`read`](Self::read), with the field's name in errors.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    #[inline]
    fn read_as<'a>(
        name: &'static str,
        slot: &mut Self::Slot<'a>,
        key: Key,
        reader: &mut Reader<'a>,
    ) -> Result<(), Malformed> {
        Self::read(slot, key, reader).map_err(|error| error.inside(name))
    }

    /// [`finish`](Self::finish), with the field's name in errors.
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish).
    #[inline]
    fn finish_as(
        name: &'static str,
        slot: Self::Slot<'_>,
        reader: &Reader<'_>,
    ) -> Result<Self, Malformed> {
        Self::finish(slot, reader).map_err(|error| error.inside(name))
    }
}

/// The type of one value of a field: a number, a bool, a string, bytes, an enum or a message.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not one value that a message can carry",
    label = "not one value",
    note = "a value is `i32`, `i64`, `u32`, `u64`, `f32`, `f64`, `bool`, `String`, `Bytes`, `Vec<u8>`, `Duration`, `SystemTime`, or a type with `#[derive(Message)]`",
    note = "an `Option`, a `Vec` or a map belongs in a message of its own",
    note = "where there is `#[msip(as = …)]`: \"sint32\" and \"sfixed32\" are for `i32`, \"sint64\" and \"sfixed64\" for `i64`, \"fixed32\" for `u32`, \"fixed64\" for `u64`"
)]
pub trait Value<E = Plain>: Sized {
    /// What has been decoded so far.
    type Slot<'a>: Default;
    /// The wire type.
    const WIRE: WireType;
    /// Whether it may be a message's key: all types except messages.
    const MAY_BE_KEY: bool;

    /// Its type in a schema.
    fn describe(types: &mut Registry) -> ValueType;

    /// Whether it is the default value; for a message, whether it is empty.
    fn is_zero(&self) -> bool;

    /// The length of [`encode_value`](Self::encode_value)'s output, in bytes.
    fn value_len(&self) -> usize;

    /// Appends the value, without its key.
    fn encode_value(&self, buffer: &mut Vec<u8>);

    /// Reads one occurrence: a later one replaces an earlier one, messages are merged.
    ///
    /// # Errors
    ///
    /// The bytes are not of this type.
    fn read<'a>(
        slot: &mut Self::Slot<'a>,
        wire: WireType,
        reader: &mut Reader<'a>,
    ) -> Result<(), Malformed>;

    /// Completes the value; `None` if there was no occurrence.
    ///
    /// # Errors
    ///
    /// A message is malformed.
    fn finish(slot: Self::Slot<'_>, reader: &Reader<'_>) -> Result<Option<Self>, Malformed>;

    /// The default value.
    ///
    /// # Errors
    ///
    /// An enum with data has no default.
    fn absent(reader: &Reader<'_>) -> Result<Self, Malformed>;

    /// The initial slot.
    #[inline]
    #[must_use]
    fn slot<'a>() -> Self::Slot<'a> {
        Self::Slot::default()
    }

    /// The length of [`encode_member`](Self::encode_member)'s output, in bytes.
    #[inline]
    fn member_len(&self, number: u32) -> usize {
        key_len(number) + self.value_len()
    }

    /// Appends key and value, even if it is the default.
    #[inline]
    fn encode_member(&self, number: u32, buffer: &mut Vec<u8>) {
        encode_key(number, Self::WIRE, buffer);
        self.encode_value(buffer);
    }

    /// Reads one occurrence of a member of an enum with data.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    #[inline]
    fn read_as<'a>(
        name: &'static str,
        slot: &mut Self::Slot<'a>,
        key: Key,
        reader: &mut Reader<'a>,
    ) -> Result<(), Malformed> {
        Self::read(slot, key.wire(), reader).map_err(|error| error.inside(name))
    }

    /// Completes a member of an enum with data.
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish) and [`absent`](Self::absent).
    #[inline]
    fn finish_as(
        name: &'static str,
        slot: Self::Slot<'_>,
        reader: &Reader<'_>,
    ) -> Result<Self, Malformed> {
        finish_value(slot, reader).map_err(|error| error.inside(name))
    }
}

/// The type of a map key: an integer, a bool or a string.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of a map",
    label = "not a key that a map can have",
    note = "keys are `i32`, `i64`, `u32`, `u64`, `bool` and `String`, or a newtype of one of them; for others use a `Vec` of messages"
)]
pub trait MapKey<E = Plain>: Value<E> {}

/// Decodes a value from one occurrence.
pub(super) fn one<'a, V: Value<E>, E>(
    wire: WireType,
    reader: &mut Reader<'a>,
) -> Result<V, Malformed> {
    let mut slot = V::slot();
    V::read(&mut slot, wire, reader)?;
    finish_value(slot, reader)
}

/// The decoded value, or the default.
pub(super) fn finish_value<V: Value<E>, E>(
    slot: V::Slot<'_>,
    reader: &Reader<'_>,
) -> Result<V, Malformed> {
    match V::finish(slot, reader)? {
        Some(value) => Ok(value),
        None => V::absent(reader),
    }
}

/// Implements `Field` for a type with `Value`: a field of one value, which is omitted if it is zero.
#[doc(hidden)]
#[macro_export]
macro_rules! __field_of_one_value {
    ($ty:ty) => {
        $crate::__field_of_one_value!(
            #[automatically_derived]
            $ty,
            $crate::describe::Plain
        );
    };
    (#[$attribute:meta] $ty:ty, $encoding:ty) => {
        #[$attribute]
        impl $crate::describe::Field<$encoding> for $ty {
            type Slot<'a> = <$ty as $crate::describe::Value<$encoding>>::Slot<'a>;
            const MAY_BE_KEY: bool = <$ty as $crate::describe::Value<$encoding>>::MAY_BE_KEY;

            fn shape(types: &mut $crate::describe::Registry) -> $crate::describe::FieldShape {
                <$ty as $crate::describe::Value<$encoding>>::describe(types).implicit()
            }

            #[inline]
            fn len(&self, number: u32) -> usize {
                if $crate::describe::Value::<$encoding>::is_zero(self) {
                    0
                } else {
                    $crate::describe::Value::<$encoding>::member_len(self, number)
                }
            }

            #[inline]
            fn encode(&self, number: u32, buffer: &mut ::std::vec::Vec<u8>) {
                if !$crate::describe::Value::<$encoding>::is_zero(self) {
                    $crate::describe::Value::<$encoding>::encode_member(self, number, buffer);
                }
            }

            #[inline]
            fn read<'a>(
                slot: &mut Self::Slot<'a>,
                key: $crate::describe::Key,
                reader: &mut $crate::describe::Reader<'a>,
            ) -> ::core::result::Result<(), $crate::describe::Malformed> {
                <$ty as $crate::describe::Value<$encoding>>::read(slot, key.wire(), reader)
            }

            #[inline]
            fn finish(
                slot: Self::Slot<'_>,
                reader: &$crate::describe::Reader<'_>,
            ) -> ::core::result::Result<Self, $crate::describe::Malformed> {
                match <$ty as $crate::describe::Value<$encoding>>::finish(slot, reader)? {
                    ::core::option::Option::Some(value) => ::core::result::Result::Ok(value),
                    ::core::option::Option::None => {
                        <$ty as $crate::describe::Value<$encoding>>::absent(reader)
                    }
                }
            }
        }
    };
}
