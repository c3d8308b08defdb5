//! Whole documents, and the definitions of the types that some messages reach.

use std::collections::{BTreeSet, VecDeque};

use msip_schema::{FieldType, Payload, Schema, TypeDef, TypeName};
use serde_json::{Map, Value, json};

use super::{definitions::Definitions, message, well_known};

/// The dialect of JSON Schema that is written.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The JSON Schema of a message of this protocol, as a document of its own, or `None` where the protocol does not reach a message of
/// this name.
///
/// Types that it mentions are under `$defs`, by their full names; so is the message itself, since it may contain itself.
/// Comments of the schema are descriptions, and what is deprecated is marked.
///
/// ```
/// # fn example(schema: &msip_schema::Schema) {
/// let name = msip_schema::TypeName::new("chat.ConnectReq");
/// if let Some(document) = msip_gateway::message_schema(schema, &name) {
///     println!("{document:#}");
/// }
/// # }
/// ```
#[must_use]
pub fn message_schema(schema: &Schema, name: &TypeName) -> Option<Value> {
    let definitions = Definitions::new(schema.types(), "#/$defs/");
    let is_message = matches!(schema.types().get(name), Some(TypeDef::Message(_)));
    if !is_message && !name.is_empty_message() && !well_known::is_known(name) {
        return None;
    }
    let mut document = Map::new();
    document.insert("$schema".to_owned(), json!(DIALECT));
    document.insert("$id".to_owned(), json!(format!("msip:{name}")));
    document.insert("title".to_owned(), json!(name.as_str()));
    if let Value::Object(reference) = definitions.of_type(name) {
        document.extend(reference);
    }
    let reached = reached(&definitions, [name]);
    if !reached.is_empty() {
        document.insert("$defs".to_owned(), Value::Object(reached));
    }
    Some(Value::Object(document))
}

/// The name of what a member carries.
pub(crate) fn payload_name(payload: &Payload) -> TypeName {
    match payload {
        Payload::Message(name) => name.clone(),
        Payload::Empty => TypeName::new(TypeName::EMPTY),
    }
}

/// The definitions of these types and of all that they reach, by full name; of well-known types there are none.
pub(crate) fn reached<'n>(
    definitions: &Definitions<'_>,
    roots: impl IntoIterator<Item = &'n TypeName>,
) -> Map<String, Value> {
    let mut seen: BTreeSet<TypeName> = BTreeSet::new();
    let mut open: VecDeque<TypeName> = roots.into_iter().cloned().collect();
    while let Some(name) = open.pop_front() {
        if well_known::is_known(&name) || seen.contains(&name) {
            continue;
        }
        if let Some(TypeDef::Message(message)) = definitions.find(&name) {
            for field in &message.fields {
                if let FieldType::Message(inner) | FieldType::Enum(inner) = &field.ty {
                    open.push_back(inner.clone());
                }
            }
        }
        seen.insert(name);
    }
    let all = seen.into_iter().map(|name| {
        let schema = match definitions.find(&name) {
            Some(TypeDef::Message(ty)) => message::message(definitions, ty),
            Some(TypeDef::Enum(ty)) => message::enumeration(ty),
            // A type that nothing describes, of a schema without its types: anything.
            None => json!({}),
        };
        (name.as_str().to_owned(), schema)
    });
    all.collect()
}
