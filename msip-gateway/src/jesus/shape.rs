//! Answers as jesus' clients know them: fields that are empty are there, and 64-bit integers are numbers where a double has them.
//!
//! Canonical JSON leaves out what is zero, and writes 64-bit integers as text; a method of jesus has returned what was in its
//! object.

use msip_schema::{Cardinality, Field, FieldType, MessageType, TypeDef, TypeName, Types};
use serde_json::{Map, Value, json};

use crate::protocol::name_in_json;

/// The largest integer up to which a double has all.
const MAX_SAFE: u64 = (1 << 53) - 1;

/// Brings the canonical JSON of a message into the form of jesus.
pub(super) fn shape(types: &Types, name: &TypeName, value: Value) -> Value {
    as_javascript(typed(types, name, value))
}

/// Numbers without a fraction have no point: JavaScript knows no difference.
fn as_javascript(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            // `5` for `5.0`; what a double writes with an exponent stays as it is.
            let whole = format!("{number}")
                .strip_suffix(".0")
                .and_then(|text| text.parse::<i64>().ok());
            match whole {
                Some(whole) if whole.unsigned_abs() <= MAX_SAFE => json!(whole),
                _ => Value::Number(number),
            }
        }
        Value::Array(items) => items.into_iter().map(as_javascript).collect(),
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(name, value)| (name, as_javascript(value)))
                .collect(),
        ),
        other => other,
    }
}

fn typed(types: &Types, name: &TypeName, value: Value) -> Value {
    if let Some(wrapped) = wrapped(name) {
        return scalar(&wrapped, value);
    }
    match (types.get(name), value) {
        (Some(TypeDef::Message(message)), Value::Object(fields)) if !name.is_well_known() => {
            Value::Object(self::message(types, message, fields))
        }
        (_, value) => value,
    }
}

/// The scalar inside of a wrapper, of those that have 64 bits.
fn wrapped(name: &TypeName) -> Option<FieldType> {
    match name.as_str() {
        "google.protobuf.Int64Value" => Some(FieldType::Int64),
        "google.protobuf.UInt64Value" => Some(FieldType::Uint64),
        _ => None,
    }
}

/// The fields in the order of the schema.
fn message(
    types: &Types,
    message: &MessageType,
    mut written: Map<String, Value>,
) -> Map<String, Value> {
    let mut fields = Map::new();
    for field in &message.fields {
        let name = name_in_json(field);
        let value = match written.shift_remove(&*name) {
            Some(value) => Some(self::field(types, field, value)),
            None => absent(types, field),
        };
        if let Some(value) = value {
            fields.insert(name.into_owned(), value);
        }
    }
    fields
}

fn field(types: &Types, field: &Field, value: Value) -> Value {
    match (&field.cardinality, value) {
        (Cardinality::Repeated, Value::Array(items)) => items
            .into_iter()
            .map(|item| one(types, &field.ty, item))
            .collect(),
        (Cardinality::Map(_), Value::Object(entries)) => {
            let entries = entries.into_iter();
            Value::Object(
                entries
                    .map(|(key, value)| (key, one(types, &field.ty, value)))
                    .collect(),
            )
        }
        (_, value) => one(types, &field.ty, value),
    }
}

fn one(types: &Types, ty: &FieldType, value: Value) -> Value {
    match ty {
        FieldType::Message(name) => typed(types, name, value),
        FieldType::Enum(_) => value,
        ty => scalar(ty, value),
    }
}

fn scalar(ty: &FieldType, value: Value) -> Value {
    let is_64 = matches!(
        ty,
        FieldType::Int64
            | FieldType::Sint64
            | FieldType::Sfixed64
            | FieldType::Uint64
            | FieldType::Fixed64
    );
    if let (true, Value::String(text)) = (is_64, &value)
        && let Ok(number) = text.parse::<i64>()
        && number.unsigned_abs() <= MAX_SAFE
    {
        return json!(number);
    }
    value
}

/// What is there where nothing is written: of fields whose absence says nothing.
fn absent(types: &Types, field: &Field) -> Option<Value> {
    match field.cardinality {
        Cardinality::Repeated => Some(json!([])),
        Cardinality::Map(_) => Some(json!({})),
        Cardinality::Optional => None,
        Cardinality::Implicit => Some(match &field.ty {
            FieldType::Bool => json!(false),
            FieldType::String | FieldType::Bytes => json!(""),
            FieldType::Enum(name) => match types.get(name) {
                Some(TypeDef::Enum(ty)) => {
                    let zero = ty.values.iter().find(|value| value.number == 0);
                    zero.map_or(json!(0), |value| json!(value.name))
                }
                _ => json!(0),
            },
            _ => json!(0),
        }),
    }
}
