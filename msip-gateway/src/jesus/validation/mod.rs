//! Validation as jesus does it: JSON Schema by ajv 5.5 with all errors, whose list clients read.
//!
//! The keywords are those that its schemas use; a schema with another is refused when it is read, so that nothing that
//! somebody relies on is left unchecked.

mod coerce;
mod number;
mod place;
mod schema;
mod supported;
mod violation;
mod walk;

pub(super) use schema::{is_scalar, of_message};
pub use supported::SchemaError;
pub(super) use violation::Violation;

use serde_json::Value;

/// How many violations are listed: of more the first ones.
const MAX_VIOLATIONS: usize = 64;

/// A schema that was read, and whether types are coerced to it (`"5"` becomes 5).
#[derive(Debug, Clone)]
pub(super) struct Validator {
    schema: Value,
    coerces: bool,
}

impl Validator {
    /// A schema whose keywords are all supported.
    ///
    /// # Errors
    ///
    /// What of it is not supported, or wrong, and where.
    pub(super) fn new(schema: Value, coerces: bool) -> Result<Self, SchemaError> {
        supported::check(&schema)?;
        Ok(Self { schema, coerces })
    }

    /// Coerces what can be coerced, and lists what is wrong.
    pub(super) fn validate(&self, data: &mut Value) -> Vec<Violation> {
        walk::walk(&self.schema, data, self.coerces)
    }
}

#[cfg(test)]
mod tests;
