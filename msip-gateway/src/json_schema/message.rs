//! Messages, their fields, and enums.

use msip_schema::{Cardinality, EnumType, Field, FieldType, MessageType, TypeDef};
use serde_json::{Map, Value, json};

use super::{definitions::Definitions, scalar};
use crate::protocol::name_in_json;

/// The schema of a message.
pub(super) fn message(definitions: &Definitions<'_>, message: &MessageType) -> Value {
    let mut schema = described(&message.doc, message.deprecated);
    schema.insert("type".to_owned(), json!("object"));
    let fields = message.fields.iter();
    let properties: Map<String, Value> = fields
        .map(|field| {
            (
                name_in_json(field).into_owned(),
                self::field(definitions, field),
            )
        })
        .collect();
    schema.insert("properties".to_owned(), Value::Object(properties));
    let oneofs: Vec<Value> = message
        .oneofs
        .iter()
        .filter_map(|oneof| at_most_one(message, &oneof.name, &oneof.doc))
        .collect();
    if !oneofs.is_empty() {
        schema.insert("allOf".to_owned(), Value::Array(oneofs));
    }
    Value::Object(schema)
}

/// None of a oneof's members, or one.
fn at_most_one(message: &MessageType, oneof: &str, doc: &str) -> Option<Value> {
    let members = message.fields.iter();
    let members = members.filter(|field| field.oneof.as_deref() == Some(oneof));
    let required: Vec<Value> = members
        .map(|field| json!({ "required": [name_in_json(field)] }))
        .collect();
    if required.len() < 2 {
        return None;
    }
    let mut schema = described(doc, false);
    schema.insert("title".to_owned(), json!(oneof));
    let mut choices = required.clone();
    choices.push(json!({ "not": { "anyOf": required } }));
    schema.insert("oneOf".to_owned(), Value::Array(choices));
    Some(Value::Object(schema))
}

pub(crate) fn field(definitions: &Definitions<'_>, field: &Field) -> Value {
    let value = match &field.ty {
        FieldType::Message(name) | FieldType::Enum(name) => definitions.of_type(name),
        scalar => scalar::schema(scalar),
    };
    let mut schema = described(&field.doc, field.deprecated);
    match &field.cardinality {
        Cardinality::Repeated => {
            schema.insert("type".to_owned(), json!("array"));
            schema.insert("items".to_owned(), value);
        }
        Cardinality::Map(key) => {
            schema.insert("type".to_owned(), json!("object"));
            if let Some(keys) = scalar::map_keys(key) {
                schema.insert("propertyNames".to_owned(), keys);
            }
            schema.insert("additionalProperties".to_owned(), value);
        }
        Cardinality::Implicit | Cardinality::Optional => {
            if let Value::Object(value) = value {
                schema.extend(value);
            }
            if field.cardinality == Cardinality::Implicit
                && let Some(default) = default_of(definitions, &field.ty)
            {
                schema.insert("default".to_owned(), default);
            }
        }
    }
    Value::Object(schema)
}

/// What a field without a value reads as.
fn default_of(definitions: &Definitions<'_>, ty: &FieldType) -> Option<Value> {
    match ty {
        FieldType::Message(_) => None,
        FieldType::Enum(name) => match definitions.find(name) {
            Some(TypeDef::Enum(ty)) => {
                let zero = ty.values.iter().find(|value| value.number == 0)?;
                Some(json!(zero.name))
            }
            _ => None,
        },
        scalar => scalar::default(scalar),
    }
}

/// The schema of an enum: a name, or the number of a value that this version of the schema has no name for.
pub(super) fn enumeration(ty: &EnumType) -> Value {
    let mut schema = described(&ty.doc, ty.deprecated);
    let values = ty.values.iter().map(|value| {
        let mut one = described(&value.doc, value.deprecated);
        one.insert("const".to_owned(), json!(value.name));
        Value::Object(one)
    });
    let unknown = json!({
        "type": "integer",
        "format": "int32",
        "description": "The number of a value that has no name here.",
    });
    schema.insert("anyOf".to_owned(), values.chain([unknown]).collect());
    Value::Object(schema)
}

/// What is said of anything: its comment, and that it is deprecated.
fn described(doc: &str, deprecated: bool) -> Map<String, Value> {
    let mut schema = Map::new();
    let doc = doc.trim();
    if !doc.is_empty() {
        schema.insert("description".to_owned(), json!(doc));
    }
    if deprecated {
        schema.insert("deprecated".to_owned(), json!(true));
    }
    schema
}
