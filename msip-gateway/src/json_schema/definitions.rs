//! References to the schemas of types.

use msip_schema::{TypeDef, TypeName, Types};
use serde_json::{Value, json};

use super::well_known;

/// Writes schemas that refer to each other below one place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Definitions<'a> {
    types: &'a Types,
    /// What precedes the name of a type in a reference, such as `#/$defs/`.
    prefix: &'static str,
}

impl<'a> Definitions<'a> {
    pub(crate) fn new(types: &'a Types, prefix: &'static str) -> Self {
        Self { types, prefix }
    }

    pub(super) fn find(&self, name: &TypeName) -> Option<&'a TypeDef> {
        self.types.get(name)
    }

    /// The schema of one value of this type: of a well-known type what it is in JSON, of any other a reference.
    pub(crate) fn of_type(&self, name: &TypeName) -> Value {
        match well_known::schema(name) {
            Some(schema) => schema,
            None => json!({ "$ref": format!("{}{name}", self.prefix) }),
        }
    }
}
