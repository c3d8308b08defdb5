//! Enums without data.

use super::{EnumShape, Registry, ValueType};

/// A number with names: what `#[derive(Message)]` implements for enums without data.
///
/// It is open: a newer peer may send a number that this program has no name for.
pub trait OpenEnum: Sized + 'static {
    /// The number on the wire.
    fn number(&self) -> i32;

    /// The variant of this number, or the one that stands for unknown numbers.
    fn from_number(number: i32) -> Self;

    /// The names and numbers, for a schema.
    fn shape() -> EnumShape;

    /// Adds the enum to the types of a schema.
    fn describe(types: &mut Registry) -> ValueType {
        types.enumeration::<Self>(Self::shape)
    }
}

/// An enum without data is its number on the wire.
#[doc(hidden)]
#[macro_export]
macro_rules! __value_of_open_enum {
    ($ty:ty) => {
        #[automatically_derived]
        impl $crate::describe::Value for $ty {
            type Slot<'a> = ::core::option::Option<i32>;
            const WIRE: $crate::prost::encoding::WireType =
                $crate::prost::encoding::WireType::Varint;
            const MAY_BE_KEY: bool = true;

            fn describe(types: &mut $crate::describe::Registry) -> $crate::describe::ValueType {
                <$ty as $crate::describe::OpenEnum>::describe(types)
            }

            fn is_zero(&self) -> bool {
                $crate::describe::OpenEnum::number(self) == 0
            }

            fn value_len(&self) -> usize {
                $crate::describe::Value::<$crate::describe::Plain>::value_len(
                    &$crate::describe::OpenEnum::number(self),
                )
            }

            fn encode_value(&self, buffer: &mut ::std::vec::Vec<u8>) {
                $crate::describe::Value::<$crate::describe::Plain>::encode_value(
                    &$crate::describe::OpenEnum::number(self),
                    buffer,
                );
            }

            fn read<'a>(
                slot: &mut Self::Slot<'a>,
                wire: $crate::prost::encoding::WireType,
                reader: &mut $crate::describe::Reader<'a>,
            ) -> ::core::result::Result<(), $crate::describe::Malformed> {
                <i32 as $crate::describe::Value>::read(slot, wire, reader)
            }

            fn finish(
                slot: Self::Slot<'_>,
                _: &$crate::describe::Reader<'_>,
            ) -> ::core::result::Result<::core::option::Option<Self>, $crate::describe::Malformed>
            {
                ::core::result::Result::Ok(
                    slot.map(<$ty as $crate::describe::OpenEnum>::from_number),
                )
            }

            fn absent(
                _: &$crate::describe::Reader<'_>,
            ) -> ::core::result::Result<Self, $crate::describe::Malformed> {
                ::core::result::Result::Ok(<$ty as $crate::describe::OpenEnum>::from_number(0))
            }
        }

        $crate::__field_of_one_value!($ty);
    };
}
