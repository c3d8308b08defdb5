//! Oneofs: members of a message of which at most one is set.

use super::{Describe, Key, Malformed, MessageShape, Reader, Registry};

/// The members of a oneof: implemented by `#[derive(Message)]` for enums with data.
///
/// Such an enum is a message that holds nothing but its members, and so its [`encode`](Describe::encode) also writes them
/// as a part of another message.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a oneof",
    label = "not an enum with data",
    note = "a field with `#[msip(oneof)]` is an enum with data that has `#[derive(Message)]`, or an `Option` of one"
)]
pub trait Oneof: Describe {
    /// What has been decoded so far.
    type Slots<'a>;
    /// The name of each member, its number, and whether it may be a message's key.
    const MEMBERS: &'static [(&'static str, u32, bool)];
    /// The numbers that no member may have, as inclusive ranges.
    const RESERVED_NUMBERS: &'static [(u32, u32)];
    /// The names that no member may have.
    const RESERVED_NAMES: &'static [&'static str];

    /// The initial slots.
    fn slots<'a>() -> Self::Slots<'a>;

    /// Adds the members to the description of a message.
    fn describe_members(shape: MessageShape, types: &mut Registry, oneof: &str) -> MessageShape;

    /// Decodes one occurrence of a member; returns `false`, and reads nothing, if there is no member of this number.
    ///
    /// # Errors
    ///
    /// The bytes are not of the member's type.
    fn read_member<'a>(
        slots: &mut Self::Slots<'a>,
        key: Key,
        reader: &mut Reader<'a>,
    ) -> Result<bool, Malformed>;

    /// Completes the oneof; `None` if no member is set.
    ///
    /// # Errors
    ///
    /// A message inside it is malformed.
    fn finish_members(
        slots: Self::Slots<'_>,
        reader: &Reader<'_>,
    ) -> Result<Option<Self>, Malformed>;

    /// The variant that stands for no member, or for one that this program does not know.
    ///
    /// # Errors
    ///
    /// The enum has none.
    fn unset() -> Result<Self, Malformed>;
}

/// The type of a field with `#[msip(oneof)]`: an enum with data, or an `Option` of one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a oneof",
    label = "not an enum with data",
    note = "a field with `#[msip(oneof)]` is an enum with data that has `#[derive(Message)]`, or an `Option` of one"
)]
pub trait OneofField: Sized {
    /// As [`Oneof::Slots`].
    type Slots<'a>;
    /// As [`Oneof::MEMBERS`].
    const MEMBERS: &'static [(&'static str, u32, bool)];
    /// As [`Oneof::RESERVED_NUMBERS`].
    const RESERVED_NUMBERS: &'static [(u32, u32)];
    /// As [`Oneof::RESERVED_NAMES`].
    const RESERVED_NAMES: &'static [&'static str];

    /// As [`Oneof::describe_members`].
    fn describe_members(shape: MessageShape, types: &mut Registry, oneof: &str) -> MessageShape;

    /// The length of [`encode`](Self::encode)'s output, in bytes.
    fn encoded_len(&self) -> usize;

    /// Appends the member that is set.
    fn encode(&self, buffer: &mut Vec<u8>);

    /// As [`Oneof::read_member`].
    ///
    /// # Errors
    ///
    /// The bytes are not of the member's type.
    fn read_member<'a>(
        slots: &mut Self::Slots<'a>,
        key: Key,
        reader: &mut Reader<'a>,
    ) -> Result<bool, Malformed>;

    /// Completes the field; `name` is for an error about the whole oneof.
    ///
    /// # Errors
    ///
    /// A message inside it is malformed, or no member is set and no variant stands for that.
    fn finish_as(
        name: &'static str,
        slots: Self::Slots<'_>,
        reader: &Reader<'_>,
    ) -> Result<Self, Malformed>;

    /// As [`Oneof::slots`].
    fn slots<'a>() -> Self::Slots<'a>;
}

/// Implements [`OneofField`] for a type that has a [`Oneof`] in it.
macro_rules! oneof_fields {
    ($($ty:ty, $variant:expr, $finish:expr;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<T: Oneof> OneofField for $ty {
            type Slots<'a> = T::Slots<'a>;
            const MEMBERS: &'static [(&'static str, u32, bool)] = T::MEMBERS;
            const RESERVED_NUMBERS: &'static [(u32, u32)] = T::RESERVED_NUMBERS;
            const RESERVED_NAMES: &'static [&'static str] = T::RESERVED_NAMES;

            fn slots<'a>() -> T::Slots<'a> {
                T::slots()
            }

            fn describe_members(
                shape: MessageShape,
                types: &mut Registry,
                oneof: &str,
            ) -> MessageShape {
                T::describe_members(shape, types, oneof)
            }

            fn encoded_len(&self) -> usize {
                let variant: fn(&Self) -> Option<&T> = $variant;
                variant(self).map_or(0, Describe::encoded_len)
            }

            fn encode(&self, buffer: &mut Vec<u8>) {
                let variant: fn(&Self) -> Option<&T> = $variant;
                if let Some(variant) = variant(self) {
                    Describe::encode(variant, buffer);
                }
            }

            fn read_member<'a>(
                slots: &mut T::Slots<'a>,
                key: Key,
                reader: &mut Reader<'a>,
            ) -> Result<bool, Malformed> {
                T::read_member(slots, key, reader)
            }

            fn finish_as(
                name: &'static str,
                slots: T::Slots<'_>,
                reader: &Reader<'_>,
            ) -> Result<Self, Malformed> {
                let finish: fn(Option<T>) -> Result<Self, Malformed> = $finish;
                finish(T::finish_members(slots, reader)?).map_err(|error| error.inside(name))
            }
        }
    )*};
}

oneof_fields! {
    T, |variant| Some(variant), |variant| variant.map_or_else(T::unset, Ok);
    Option<T>, Option::as_ref, Ok;
}

/// A boxed oneof, which one that contains its own message needs.
#[diagnostic::do_not_recommend]
impl<T: Oneof> Oneof for Box<T> {
    type Slots<'a> = T::Slots<'a>;
    const MEMBERS: &'static [(&'static str, u32, bool)] = T::MEMBERS;
    const RESERVED_NUMBERS: &'static [(u32, u32)] = T::RESERVED_NUMBERS;
    const RESERVED_NAMES: &'static [&'static str] = T::RESERVED_NAMES;

    fn slots<'a>() -> T::Slots<'a> {
        T::slots()
    }

    fn describe_members(shape: MessageShape, types: &mut Registry, oneof: &str) -> MessageShape {
        T::describe_members(shape, types, oneof).with_box(size_of::<T>())
    }

    fn read_member<'a>(
        slots: &mut T::Slots<'a>,
        key: Key,
        reader: &mut Reader<'a>,
    ) -> Result<bool, Malformed> {
        T::read_member(slots, key, reader)
    }

    fn finish_members(slots: T::Slots<'_>, reader: &Reader<'_>) -> Result<Option<Self>, Malformed> {
        Ok(T::finish_members(slots, reader)?.map(Box::new))
    }

    fn unset() -> Result<Self, Malformed> {
        T::unset().map(Box::new)
    }
}

/// Decodes a message that holds nothing but a oneof.
///
/// # Errors
///
/// The bytes are not such a message, or no member is set and no variant stands for that.
#[doc(hidden)]
pub fn read_oneof<T: Oneof>(reader: &mut Reader<'_>) -> Result<T, Malformed> {
    let mut slots = T::slots();
    while let Some(key) = reader.key()? {
        if !T::read_member(&mut slots, key, reader)? {
            reader.skip(key)?;
        }
    }
    match T::finish_members(slots, reader)? {
        Some(variant) => Ok(variant),
        None => T::unset(),
    }
}
