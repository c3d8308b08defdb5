//! What a message takes in memory while nothing is set, which the core counts (docs/typescript.md, "Limits").

use msip_schema::{Cardinality, FieldType, MessageType, TypeDef, TypeName};

use super::fields::{Types, wire_type};

/// What the core counts a message as, and an entry of a map, unless the code says more. The same numbers are in its `message/memory.ts`.
const OBJECT: usize = 64;
/// A list that is not empty, or a map.
const LIST: usize = 192;
/// Empty bytes.
const BYTES: usize = 200;

/// The size of a message in bytes, if the core has to be told.
pub(super) fn message(types: &Types<'_, '_>, name: &TypeName) -> Option<usize> {
    let Some(TypeDef::Message(message)) = types.modules.compilation.types.get(name) else {
        return None;
    };
    let size = size(message);
    (size > OBJECT).then_some(size)
}

/// The size of an entry, if the core has to be told. Its value is there even where it is left out.
pub(super) fn entry(types: &Types<'_, '_>, value: &FieldType) -> Option<usize> {
    match value {
        FieldType::Message(name) => Some(OBJECT + message(types, name).unwrap_or(OBJECT)),
        _ => None,
    }
}

/// How few bytes a packed value has, if it is more than one.
pub(super) fn width(ty: &FieldType) -> Option<usize> {
    match wire_type(ty) {
        1 => Some(8),
        5 => Some(4),
        _ => None,
    }
}

/// A head, and a place for each field.
fn size(message: &MessageType) -> usize {
    let fields = message.fields.iter().map(|field| match &field.cardinality {
        Cardinality::Repeated | Cardinality::Map(_) => LIST,
        Cardinality::Implicit if field.ty == FieldType::Bytes => BYTES,
        // A oneof is an object with a case.
        _ if field.oneof.is_some() => 0,
        _ => 8,
    });
    24 + 48 * message.oneofs.len() + fields.sum::<usize>()
}
