//! The schema of a message, as one would write it for jesus: plain types, and no other properties than those of the message.

use std::collections::BTreeSet;

use msip_schema::{Cardinality, Field, FieldType, MessageType, TypeDef, TypeName, Types};
use serde_json::{Map, Value, json};

use crate::protocol::name_in_json;

/// The schema of a message, in which these properties are required.
pub(in crate::jesus) fn of_message(types: &Types, name: &TypeName, required: &[String]) -> Value {
    let Some(TypeDef::Message(message)) = types.get(name) else {
        return match well_known(name) {
            // Data is an object: a scalar is its `value`.
            Some(schema) if is_scalar(name) => json!({
                "type": "object",
                "properties": { "value": schema },
                "required": ["value"],
                "additionalProperties": false,
            }),
            Some(Value::Object(mut schema)) => {
                schema.insert("type".to_owned(), json!("object"));
                Value::Object(schema)
            }
            Some(schema) => schema,
            None => json!({ "type": "object", "additionalProperties": false }),
        };
    };
    let mut writer = Writer {
        types,
        open: Vec::new(),
        known: BTreeSet::new(),
    };
    let mut schema = writer.message(message);
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    let mut definitions = Map::new();
    while let Some(name) = writer.open.pop() {
        if let Some(TypeDef::Message(message)) = types.get(&name) {
            let message = writer.message(message);
            definitions.insert(name.as_str().to_owned(), Value::Object(message));
        }
    }
    if !definitions.is_empty() {
        schema.insert("definitions".to_owned(), Value::Object(definitions));
    }
    Value::Object(schema)
}

struct Writer<'a> {
    types: &'a Types,
    /// Mentioned and not yet written.
    open: Vec<TypeName>,
    known: BTreeSet<TypeName>,
}

impl Writer<'_> {
    fn message(&mut self, message: &MessageType) -> Map<String, Value> {
        let mut properties = Map::new();
        for field in &message.fields {
            let schema = self.field(field);
            let name = name_in_json(field);
            // As the schema spells it, too: both are read.
            if name != field.name {
                properties.insert(field.name.clone(), schema.clone());
            }
            properties.insert(name.into_owned(), schema);
        }
        let mut schema = Map::new();
        schema.insert("type".to_owned(), json!("object"));
        schema.insert("properties".to_owned(), Value::Object(properties));
        schema.insert("additionalProperties".to_owned(), json!(false));
        schema
    }

    fn field(&mut self, field: &Field) -> Value {
        let value = self.value(&field.ty);
        match field.cardinality {
            Cardinality::Repeated => json!({ "type": "array", "items": value }),
            Cardinality::Map(_) => json!({ "type": "object", "additionalProperties": value }),
            Cardinality::Implicit | Cardinality::Optional => value,
        }
    }

    fn value(&mut self, ty: &FieldType) -> Value {
        match ty {
            FieldType::Message(name) => {
                if let Some(schema) = well_known(name) {
                    return schema;
                }
                if self.types.contains_key(name) && self.known.insert(name.clone()) {
                    self.open.push(name.clone());
                }
                if self.types.contains_key(name) {
                    json!({ "$ref": format!("#/definitions/{name}") })
                } else {
                    json!({ "type": "object" })
                }
            }
            FieldType::Enum(name) => match self.types.get(name) {
                Some(TypeDef::Enum(ty)) => {
                    let names: Vec<&str> =
                        ty.values.iter().map(|value| value.name.as_str()).collect();
                    json!({ "enum": names })
                }
                _ => json!({ "type": ["string", "integer"] }),
            },
            scalar => self::scalar(scalar),
        }
    }
}

fn scalar(ty: &FieldType) -> Value {
    match ty {
        FieldType::Double | FieldType::Float => json!({ "type": "number" }),
        FieldType::Int32 | FieldType::Sint32 | FieldType::Sfixed32 => {
            json!({ "type": "integer", "minimum": i32::MIN, "maximum": i32::MAX })
        }
        FieldType::Uint32 | FieldType::Fixed32 => {
            json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX })
        }
        FieldType::Int64 | FieldType::Sint64 | FieldType::Sfixed64 => {
            json!({ "type": ["integer", "string"], "format": "int64" })
        }
        FieldType::Uint64 | FieldType::Fixed64 => {
            json!({ "type": ["integer", "string"], "format": "uint64" })
        }
        FieldType::Bool => json!({ "type": "boolean" }),
        _ => json!({ "type": "string" }),
    }
}

/// What a well-known type is in JSON.
fn well_known(name: &TypeName) -> Option<Value> {
    let short = name.as_str().strip_prefix("google.protobuf.")?;
    Some(match short {
        "Timestamp" => json!({ "type": "string", "format": "date-time" }),
        "Duration" | "FieldMask" | "StringValue" | "BytesValue" => json!({ "type": "string" }),
        "Empty" => json!({ "type": "object", "additionalProperties": false }),
        "Struct" | "Any" => json!({ "type": "object" }),
        "Value" => json!({}),
        "ListValue" => json!({ "type": "array" }),
        "NullValue" => json!({ "type": "null" }),
        "DoubleValue" | "FloatValue" => json!({ "type": "number" }),
        "Int32Value" => scalar(&FieldType::Int32),
        "UInt32Value" => scalar(&FieldType::Uint32),
        "Int64Value" => scalar(&FieldType::Int64),
        "UInt64Value" => scalar(&FieldType::Uint64),
        "BoolValue" => json!({ "type": "boolean" }),
        _ => return None,
    })
}

/// Whether a message is a scalar in JSON.
pub(in crate::jesus) fn is_scalar(name: &TypeName) -> bool {
    let short = name.as_str().strip_prefix("google.protobuf.");
    short.is_some_and(|short| !matches!(short, "Any" | "Empty" | "Struct" | "Value"))
}
