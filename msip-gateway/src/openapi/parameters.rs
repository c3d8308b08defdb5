//! Requests by GET: the fields of a message as a query.

use msip_schema::{Cardinality, Field, FieldType, TypeDef, TypeName, Types, json_name};
use serde_json::{Map, Value, json};

use super::document::SCHEMAS;
use crate::json_schema::{Definitions, field_schema};

/// The fields of this message that a query can have: scalars, enums, and lists of those.
pub(super) fn query(types: &Types, name: &TypeName) -> Vec<Value> {
    let Some(TypeDef::Message(message)) = types.get(name) else {
        return Vec::new();
    };
    let definitions = Definitions::new(types, SCHEMAS);
    let fields = message.fields.iter().filter(|field| is_plain(field));
    fields.map(|field| parameter(&definitions, field)).collect()
}

fn is_plain(field: &Field) -> bool {
    !matches!(field.cardinality, Cardinality::Map(_)) && !matches!(field.ty, FieldType::Message(_))
}

fn parameter(definitions: &Definitions<'_>, field: &Field) -> Value {
    let own = field.json_name.as_ref().filter(|name| !name.is_empty());
    let name = own.map_or_else(|| json_name(&field.name), Clone::clone);
    let mut parameter = Map::new();
    parameter.insert("name".to_owned(), json!(name));
    parameter.insert("in".to_owned(), json!("query"));
    let doc = field.doc.trim();
    if !doc.is_empty() {
        parameter.insert("description".to_owned(), json!(doc));
    }
    if field.deprecated {
        parameter.insert("deprecated".to_owned(), json!(true));
    }
    parameter.insert("schema".to_owned(), field_schema(definitions, field));
    Value::Object(parameter)
}
