//! What a schema may say.

use serde_json::Value;

/// Why a schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("JSON Schema at {place}: {what}")]
pub struct SchemaError {
    /// The place in the schema, as a JSON pointer with `#` in front.
    pub place: String,
    /// What is not supported or wrong there, and what to do.
    pub what: String,
}

/// How deep schemas may be inside each other.
const MAX_DEPTH: usize = 64;

/// The formats that are checked.
pub(super) const FORMATS: [&str; 3] = ["date-time", "int64", "uint64"];

const TYPES: [&str; 7] = [
    "array", "boolean", "integer", "null", "number", "object", "string",
];

/// Checks that all of a schema is supported.
pub(super) fn check(schema: &Value) -> Result<(), SchemaError> {
    Check { root: schema }.schema(schema, "#", 0)
}

struct Check<'a> {
    root: &'a Value,
}

impl Check<'_> {
    fn schema(&self, schema: &Value, place: &str, depth: usize) -> Result<(), SchemaError> {
        let error = |what: String| SchemaError {
            place: place.to_owned(),
            what,
        };
        if depth > MAX_DEPTH {
            return Err(error(format!(
                "schemas are nested more than {MAX_DEPTH} deep"
            )));
        }
        let map = match schema {
            Value::Bool(_) => return Ok(()),
            Value::Object(map) => map,
            _ => return Err(error("a schema is an object, true or false".to_owned())),
        };
        for (keyword, value) in map {
            let below = format!("{place}/{keyword}");
            let is_count = || value.as_u64().is_some();
            let fits = match keyword.as_str() {
                "$schema" | "$id" | "id" | "title" | "description" | "default" | "examples"
                | "const" => true,
                "type" => self.types(value),
                "enum" => value.as_array().is_some_and(|values| !values.is_empty()),
                "required" => value
                    .as_array()
                    .is_some_and(|names| names.iter().all(Value::is_string)),
                "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => {
                    value.is_number()
                }
                "multipleOf" => value.as_f64().is_some_and(|number| number > 0.0),
                "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties"
                | "maxProperties" => is_count(),
                "uniqueItems" => value.is_boolean(),
                "format" => value
                    .as_str()
                    .is_some_and(|format| FORMATS.contains(&format)),
                "properties" | "definitions" => {
                    let Some(properties) = value.as_object() else {
                        return Err(error(format!("`{keyword}` is an object of schemas")));
                    };
                    for (name, schema) in properties {
                        self.schema(schema, &format!("{below}/{}", escape(name)), depth + 1)?;
                    }
                    true
                }
                "additionalProperties" | "not" => {
                    self.schema(value, &below, depth + 1)?;
                    true
                }
                "items" => {
                    if value.is_array() {
                        return Err(error(
                            "`items` is one schema for all here, and no list".to_owned(),
                        ));
                    }
                    self.schema(value, &below, depth + 1)?;
                    true
                }
                "anyOf" | "oneOf" | "allOf" => {
                    let schemas = value.as_array().filter(|schemas| !schemas.is_empty());
                    let Some(schemas) = schemas else {
                        return Err(error(format!("`{keyword}` is a list of schemas")));
                    };
                    for (index, schema) in schemas.iter().enumerate() {
                        self.schema(schema, &format!("{below}/{index}"), depth + 1)?;
                    }
                    true
                }
                "$ref" => {
                    let Some(target) = value.as_str() else {
                        return Err(error("`$ref` is text".to_owned()));
                    };
                    self.reference(target).map_err(error)?;
                    true
                }
                other => {
                    return Err(error(format!(
                        "the keyword `{other}` is not supported: remove it, and check it in the handler"
                    )));
                }
            };
            if !fits {
                let shown: String = value.to_string().chars().take(64).collect();
                return Err(error(format!("`{keyword}` cannot be {shown}")));
            }
        }
        Ok(())
    }

    fn types(&self, value: &Value) -> bool {
        let is_type = |value: &Value| value.as_str().is_some_and(|ty| TYPES.contains(&ty));
        match value {
            Value::Array(types) => !types.is_empty() && types.iter().all(is_type),
            one => is_type(one),
        }
    }

    /// A reference is into this schema, and does not lead to itself by references alone.
    fn reference(&self, target: &str) -> Result<(), String> {
        let mut next = target.to_owned();
        for _ in 0..MAX_DEPTH {
            let Some(found) = resolve(self.root, &next) else {
                return Err(format!(
                    "`$ref` is to `#` or `#/definitions/…` of the same schema, and `{target}` leads nowhere"
                ));
            };
            match found.get("$ref").and_then(Value::as_str) {
                Some(further) => next = further.to_owned(),
                None => return Ok(()),
            }
        }
        Err(format!("`$ref` to `{target}` leads to itself"))
    }
}

/// What a reference means.
pub(super) fn resolve<'a>(root: &'a Value, target: &str) -> Option<&'a Value> {
    root.pointer(target.strip_prefix('#')?)
}

/// A name as a part of a JSON pointer.
pub(super) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
