//! Scalar types, and what is meant by names that are none.

use msip_schema::{FieldType, closest_name};
use prost_reflect::DescriptorPool;
use prost_types::field_descriptor_proto::Type;

pub(super) const SCALARS: [&str; 15] = [
    "double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32",
    "fixed64", "sfixed32", "sfixed64", "bool", "string", "bytes",
];

/// The types of other languages, and what they are here.
const ELSEWHERE: [(&str, &str); 24] = [
    ("int", "int32"),
    ("integer", "int32"),
    ("int8", "int32"),
    ("int16", "int32"),
    ("short", "int32"),
    ("i32", "int32"),
    ("i64", "int64"),
    ("long", "int64"),
    ("uint", "uint32"),
    ("uint8", "uint32"),
    ("uint16", "uint32"),
    ("byte", "uint32"),
    ("u8", "uint32"),
    ("u32", "uint32"),
    ("u64", "uint64"),
    ("float32", "float"),
    ("f32", "float"),
    ("float64", "double"),
    ("f64", "double"),
    ("boolean", "bool"),
    ("str", "string"),
    ("text", "string"),
    ("char", "string"),
    ("blob", "bytes"),
];

/// The scalar that was meant by an unknown type.
pub(super) fn meant_scalar(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    let well_known = match lower.as_str() {
        "date" | "time" | "datetime" | "timestamp" => Some("Timestamp"),
        "duration" | "timespan" => Some("Duration"),
        "any" | "object" => Some("Any"),
        _ => None,
    };
    if let Some(short) = well_known {
        let file = short.to_ascii_lowercase();
        return Some(format!(
            "write `google.protobuf.{short}`, and add `import \"google/protobuf/{file}.proto\";`"
        ));
    }
    let elsewhere = ELSEWHERE.iter().find(|(other, _)| *other == lower);
    let scalar = match elsewhere {
        Some((_, scalar)) => *scalar,
        None => *SCALARS
            .iter()
            .find(|scalar| **scalar == lower)
            .or_else(|| {
                let close = closest_name(name, SCALARS)?;
                SCALARS.iter().find(|scalar| **scalar == close)
            })?,
    };
    Some(format!("did you mean `{scalar}`?"))
}

/// The file of a well-known type that is named in full.
pub(super) fn well_known_file(name: &str) -> Option<String> {
    let message = DescriptorPool::global().get_message_by_name(name.trim_start_matches('.'))?;
    Some(message.parent_file().name().to_owned())
        .filter(|file| file.starts_with("google/protobuf/"))
}

pub(super) fn scalar(ty: Type) -> FieldType {
    match ty {
        Type::Double => FieldType::Double,
        Type::Float => FieldType::Float,
        Type::Int64 => FieldType::Int64,
        Type::Uint64 => FieldType::Uint64,
        Type::Int32 => FieldType::Int32,
        Type::Fixed64 => FieldType::Fixed64,
        Type::Fixed32 => FieldType::Fixed32,
        Type::Bool => FieldType::Bool,
        Type::String => FieldType::String,
        // Named types do not reach this: they have a type name.
        Type::Bytes | Type::Group | Type::Message | Type::Enum => FieldType::Bytes,
        Type::Uint32 => FieldType::Uint32,
        Type::Sfixed32 => FieldType::Sfixed32,
        Type::Sfixed64 => FieldType::Sfixed64,
        Type::Sint32 => FieldType::Sint32,
        Type::Sint64 => FieldType::Sint64,
    }
}
