//! Scalars, and the keys of maps.

use msip_schema::FieldType;
use serde_json::{Value, json};

/// A 64-bit integer as text, which does not lose digits in a reader that has doubles only.
const SIGNED_64: &str = "^(0|-?[1-9][0-9]{0,18})$";
const UNSIGNED_64: &str = "^(0|[1-9][0-9]{0,19})$";

/// The schema of a scalar; anything for what is none.
pub(super) fn schema(ty: &FieldType) -> Value {
    match ty {
        FieldType::Double | FieldType::Float => json!({
            "anyOf": [
                { "type": "number", "format": if *ty == FieldType::Double { "double" } else { "float" } },
                { "enum": ["NaN", "Infinity", "-Infinity"] },
            ],
        }),
        FieldType::Int32 | FieldType::Sint32 | FieldType::Sfixed32 => {
            json!({ "type": "integer", "format": "int32", "minimum": i32::MIN, "maximum": i32::MAX })
        }
        FieldType::Uint32 | FieldType::Fixed32 => {
            json!({ "type": "integer", "format": "uint32", "minimum": 0, "maximum": u32::MAX })
        }
        FieldType::Int64 | FieldType::Sint64 | FieldType::Sfixed64 => {
            json!({ "type": "string", "format": "int64", "pattern": SIGNED_64 })
        }
        FieldType::Uint64 | FieldType::Fixed64 => {
            json!({ "type": "string", "format": "uint64", "pattern": UNSIGNED_64 })
        }
        FieldType::Bool => json!({ "type": "boolean" }),
        FieldType::String => json!({ "type": "string" }),
        FieldType::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
        FieldType::Message(_) | FieldType::Enum(_) => json!({}),
    }
}

/// What a scalar is where nothing is written; `None` for what is no scalar.
pub(super) fn default(ty: &FieldType) -> Option<Value> {
    Some(match ty {
        FieldType::Int64
        | FieldType::Sint64
        | FieldType::Sfixed64
        | FieldType::Uint64
        | FieldType::Fixed64 => json!("0"),
        FieldType::Bool => json!(false),
        FieldType::String | FieldType::Bytes => json!(""),
        FieldType::Message(_) | FieldType::Enum(_) => return None,
        _ => json!(0),
    })
}

/// What the keys of a map look like as the names of properties; `None` for text.
pub(super) fn map_keys(key: &FieldType) -> Option<Value> {
    Some(match key {
        FieldType::Bool => json!({ "enum": ["true", "false"] }),
        FieldType::Int32 | FieldType::Sint32 | FieldType::Sfixed32 => {
            json!({ "pattern": "^(0|-?[1-9][0-9]{0,9})$" })
        }
        FieldType::Uint32 | FieldType::Fixed32 => json!({ "pattern": "^(0|[1-9][0-9]{0,9})$" }),
        FieldType::Int64 | FieldType::Sint64 | FieldType::Sfixed64 => {
            json!({ "pattern": SIGNED_64 })
        }
        FieldType::Uint64 | FieldType::Fixed64 => json!({ "pattern": UNSIGNED_64 }),
        _ => return None,
    })
}
