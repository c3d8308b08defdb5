//! The document: its head, the paths, and what they share.

use std::collections::BTreeSet;

use msip_schema::{Direction, Schema, TypeName};
use serde_json::{Map, Value, json};

use super::{
    components, operation,
    words::{SCHEMAS, summary},
};
use crate::json_schema::{Definitions, payload_name, reached};

/// The OpenAPI 3.1 document of these protocols, as the gateway serves it at `/openapi.json`.
///
/// Each message that a client may send is a path, `/v1/<package>/<member>`; comments of the schema are its summary and its
/// description. A type of two protocols is described once, by the first.
///
/// ```
/// # fn example(schema: &msip_schema::Schema) {
/// let document = msip_gateway::openapi(&[schema]);
/// assert_eq!(document["openapi"], "3.1.0");
/// # }
/// ```
#[must_use]
pub fn document(schemas: &[&Schema]) -> Value {
    let mut paths = Map::new();
    let mut types = Map::new();
    for schema in schemas {
        for member in &schema.envelope(Direction::ClientToServer).members {
            if let Some(item) = operation::path_item(schema, member) {
                paths.insert(format!("/v1/{}/{}", schema.package(), member.name), item);
            }
        }
        paths.insert(
            format!("/v1/{}/events", schema.package()),
            operation::events(schema),
        );
        for (name, definition) in definitions(schema) {
            types.entry(name).or_insert(definition);
        }
    }
    types.insert("msip.Error".to_owned(), components::error());
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": info(schemas),
        "servers": [{ "url": "/" }],
        "security": components::security(),
        "tags": tags(schemas),
        "paths": paths,
        "components": {
            "schemas": types,
            "parameters": components::parameters(),
            "responses": components::responses(),
            "securitySchemes": components::security_schemes(),
        },
    })
}

/// The types that the members of either direction reach.
fn definitions(schema: &Schema) -> Map<String, Value> {
    let directions = [Direction::ClientToServer, Direction::ServerToClient];
    let members = directions
        .iter()
        .flat_map(|direction| &schema.envelope(*direction).members);
    let roots: BTreeSet<TypeName> = members
        .map(|member| payload_name(&member.payload))
        .collect();
    reached(&Definitions::new(schema.types(), SCHEMAS), &roots)
}

fn info(schemas: &[&Schema]) -> Value {
    let packages: Vec<&str> = schemas.iter().map(|schema| schema.package()).collect();
    let title = if packages.is_empty() {
        "nothing".to_owned()
    } else {
        packages.join(", ")
    };
    // One protocol has a fingerprint of its own; that of several is the list.
    let versions: Vec<String> = schemas
        .iter()
        .map(|schema| format!("{:016x}", schema.fingerprint()))
        .collect();
    let version = if versions.is_empty() {
        "0".to_owned()
    } else {
        versions.join("-")
    };
    let mut info = Map::new();
    info.insert("title".to_owned(), json!(title));
    info.insert("version".to_owned(), json!(version));
    let docs: Vec<&str> = schemas.iter().map(|schema| schema.doc().trim()).collect();
    if let Some(summary) = docs.iter().find_map(|doc| summary(doc)) {
        info.insert("summary".to_owned(), json!(summary));
    }
    info.insert("description".to_owned(), json!(description(&docs)));
    Value::Object(info)
}

fn description(docs: &[&str]) -> String {
    let mut text: String = docs
        .iter()
        .filter(|doc| !doc.is_empty())
        .flat_map(|doc| [*doc, "\n\n"])
        .collect();
    text.push_str(
        "Messages are JSON in protobuf's canonical mapping: 64-bit integers are strings, enums names, bytes base64; a number \
         for a 64-bit integer, and the names of the schema for fields, are read too. Fields that the schema does not have are \
         refused. A stream of answers is server-sent events: the data of each is a message, `event: end` ends it, and \
         `event: error` has an error. A stream of requests is a line of JSON for each.",
    );
    text
}

fn tags(schemas: &[&Schema]) -> Value {
    let tags = schemas.iter().map(|schema| {
        let mut tag = Map::new();
        tag.insert("name".to_owned(), json!(schema.package()));
        let doc = schema.doc().trim();
        if !doc.is_empty() {
            tag.insert("description".to_owned(), json!(doc));
        }
        Value::Object(tag)
    });
    tags.collect()
}
