//! Enums without data.

use super::{EnumShape, Registry, ValueType};

/// An enum without data: implemented by `#[derive(Message)]`.
///
/// It is open: a newer peer may send a number that is unknown here.
pub trait OpenEnum: Sized + 'static {
    /// The number on the wire.
    fn number(&self) -> i32;

    /// The variant of this number, or the one for unknown numbers.
    fn from_number(number: i32) -> Self;

    /// The names and numbers of the values.
    fn shape() -> EnumShape;

    /// Adds the enum to the types of a schema.
    fn describe(types: &mut Registry) -> ValueType {
        types.enumeration::<Self>(Self::shape)
    }
}

/// Implements `Value` for an enum without data, which is encoded as its number.
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
