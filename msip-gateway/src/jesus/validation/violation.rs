//! One entry of the list of errors, as ajv 5.5 writes it.

use serde::Serialize;
use serde_json::Value;

/// What is wrong, in which place of the data, by which place of the schema.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::jesus) struct Violation {
    pub(super) keyword: &'static str,
    pub(super) data_path: String,
    pub(super) schema_path: String,
    pub(super) params: Value,
    pub(super) message: String,
}
