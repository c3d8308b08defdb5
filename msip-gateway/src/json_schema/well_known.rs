//! The types of protobuf's own that have a form of their own in JSON.

use msip_schema::{FieldType, TypeName};
use serde_json::{Value, json};

use super::scalar;

/// Whether [`schema`] has the type.
pub(super) fn is_known(name: &TypeName) -> bool {
    schema(name).is_some()
}

/// Whether a well-known type is one text, number or flag in JSON.
pub(crate) fn is_scalar(name: &TypeName) -> bool {
    let short = name.as_str().strip_prefix("google.protobuf.");
    short.is_some_and(|short| {
        matches!(short, "Timestamp" | "Duration" | "FieldMask")
            || short.len() > 5
                && short.ends_with("Value")
                && !matches!(short, "ListValue" | "NullValue")
    })
}

/// What a well-known type is in JSON; `None` for any other.
pub(super) fn schema(name: &TypeName) -> Option<Value> {
    let short = name.as_str().strip_prefix("google.protobuf.")?;
    Some(match short {
        "Timestamp" => json!({
            "type": "string",
            "format": "date-time",
            "examples": ["2024-02-29T11:00:00.500Z"],
        }),
        "Duration" => json!({
            "type": "string",
            "pattern": "^-?[0-9]{1,12}(\\.[0-9]{1,9})?s$",
            "examples": ["1.500s"],
        }),
        "FieldMask" => json!({ "type": "string", "examples": ["userName,a.b"] }),
        "Empty" => json!({ "type": "object" }),
        "Struct" => json!({ "type": "object", "additionalProperties": true }),
        "Value" => json!({ "description": "Any JSON value." }),
        "ListValue" => json!({ "type": "array", "items": {} }),
        "NullValue" => json!({ "type": "null" }),
        "Any" => json!({
            "type": "object",
            "properties": {
                "@type": { "type": "string", "examples": ["type.googleapis.com/chat.ConnectReq"] },
            },
            "required": ["@type"],
            "additionalProperties": true,
        }),
        "DoubleValue" => scalar::schema(&FieldType::Double),
        "FloatValue" => scalar::schema(&FieldType::Float),
        "Int64Value" => scalar::schema(&FieldType::Int64),
        "UInt64Value" => scalar::schema(&FieldType::Uint64),
        "Int32Value" => scalar::schema(&FieldType::Int32),
        "UInt32Value" => scalar::schema(&FieldType::Uint32),
        "BoolValue" => scalar::schema(&FieldType::Bool),
        "StringValue" => scalar::schema(&FieldType::String),
        "BytesValue" => scalar::schema(&FieldType::Bytes),
        _ => return None,
    })
}
