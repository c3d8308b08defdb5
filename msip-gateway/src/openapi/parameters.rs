//! Requests by GET: the fields of a message as a query, those of messages inside of it with a dot.

use msip_schema::{Cardinality, Field, FieldType, MessageType, TypeDef, TypeName, Types};
use serde_json::{Map, Value, json};

use super::words::SCHEMAS;
use crate::{
    json_schema::{Definitions, field_schema, is_scalar},
    protocol::name_in_json,
};

/// How many messages inside of each other are listed, though more can be named.
const MAX_DEPTH: usize = 2;

/// The fields of this message that a query can have.
pub(super) fn query(types: &Types, name: &TypeName) -> Vec<Value> {
    let mut query = Query {
        types,
        found: Vec::new(),
    };
    if let Some(TypeDef::Message(message)) = types.get(name) {
        query.message(message, "", &mut vec![name]);
    }
    query.found
}

struct Query<'a> {
    types: &'a Types,
    found: Vec<Value>,
}

impl<'a> Query<'a> {
    fn message(&mut self, message: &'a MessageType, prefix: &str, above: &mut Vec<&'a TypeName>) {
        for field in &message.fields {
            let name = format!("{prefix}{}", name_in_json(field));
            match (&field.ty, &field.cardinality) {
                (_, Cardinality::Map(_)) => {}
                (FieldType::Message(inner), cardinality) if !is_scalar(inner) => {
                    let is_new = !above.contains(&inner) && above.len() <= MAX_DEPTH;
                    if let (Some(TypeDef::Message(message)), true) = (self.types.get(inner), is_new)
                        && *cardinality == Cardinality::Optional
                        && !inner.is_well_known()
                    {
                        above.push(inner);
                        self.message(message, &format!("{name}."), above);
                        above.pop();
                    }
                }
                _ => self.found.push(parameter(self.types, field, &name)),
            }
        }
    }
}

fn parameter(types: &Types, field: &Field, name: &str) -> Value {
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
    let schema = field_schema(&Definitions::new(types, SCHEMAS), field);
    parameter.insert("schema".to_owned(), schema);
    Value::Object(parameter)
}
