//! Messages that are Rust types: the traits behind `#[derive(Message)]`. For generated code.
//!
//! A type with that derive implements [`Describe`]: it describes its fields, so that the schema of a protocol can be built
//! from its types, and it encodes and decodes protobuf. The traits [`Field`], for a whole field, and [`Value`], for one
//! value of it, define the types that a field can have; a field of any other type does not compile.
//!
//! All of this module is called by code that the derives generate. Programs use at most [`proto_text`], which is also at
//! the root of the crate.

mod collection;
mod const_checks;
mod descriptor_types;
mod descriptors;
mod field;
mod message;
mod oneof;
mod open_enum;
mod own_schema;
mod reader;
mod registry;
mod reserved;
mod scalar;
mod schema;
mod stack_space;
mod type_names;
mod well_known;

use crate::body::Body;

#[doc(hidden)]
pub use const_checks::{
    all_fields, key_number, lowest_number, order_by_number, require_apart, require_beside,
    require_key, require_unreserved,
};
pub use field::{
    Field, Fixed32, Fixed64, MapKey, Plain, Sfixed32, Sfixed64, Sint32, Sint64, Value,
};
#[doc(hidden)]
pub use message::{Parts, empty_len, encode_empty, read_empty};
#[doc(hidden)]
pub use oneof::read_oneof;
pub use oneof::{Oneof, OneofField};
pub use open_enum::OpenEnum;
pub(crate) use own_schema::OwnSchema;
pub use reader::{Key, Malformed, Reader};
pub use registry::{EnumShape, FieldShape, MessageShape, Registry, ValueType};
pub use schema::{DerivedSchema, DescribeProtocol, EnvelopeShape, HalfProtocol, proto_text};

/// A message that describes itself: implemented by `#[derive(Message)]` for structs with named fields and for enums with
/// data.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    label = "not a message",
    note = "put `#[derive(Message)]` on it: a struct with named fields, or an enum with data"
)]
pub trait Describe: Sized + Send + Sync + 'static {
    /// The name of each field, its number, and whether it may be a message's key.
    const FIELDS: &'static [(&'static str, u32, bool)];

    /// Adds the message, and the types of its fields, to the types of a schema.
    fn describe(types: &mut Registry) -> ValueType;

    /// The length of [`encode`](Self::encode)'s output, in bytes.
    fn encoded_len(&self) -> usize;

    /// Appends the message in protobuf.
    fn encode(&self, buffer: &mut Vec<u8>);

    /// Decodes the message from the rest of the reader.
    ///
    /// # Errors
    ///
    /// The bytes are not such a message.
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed>;
}

/// Decodes a message from all of `body`. Fields of type `Bytes` share its memory.
///
/// # Errors
///
/// The reason why the bytes are not such a message.
#[doc(hidden)]
pub fn decode<T: Describe>(body: Body<'_>) -> Result<T, String> {
    T::read(&mut Reader::new(body)).map_err(|error| error.to_string())
}

/// Refuses, at compile time, a variant whose payload is not a message.
#[doc(hidden)]
pub const fn require_message<T: Describe>() {}

/// Refuses, at compile time, the enum of a client's messages without that of the server's.
#[doc(hidden)]
pub const fn require_other_half<T: HalfProtocol>() {}

#[cfg(test)]
mod tests;
