//! JSON Schema (2020-12) of messages in the canonical JSON mapping of protobuf, which is what the gateway takes and gives.
//!
//! The form that is written is described: 64-bit numbers as strings, enums by name, bytes as base64. What the mapping also accepts
//! (numbers for 64-bit integers, the names of the schema for fields) is not. Fields that a schema does not know are let through,
//! as protobuf does.

mod definitions;
mod document;
mod message;
mod routes;
mod scalar;
mod well_known;

pub(crate) use definitions::Definitions;
pub use document::message_schema;
pub(crate) use document::{payload_name, reached};
pub(crate) use message::field as field_schema;
pub(crate) use routes::routes;
pub(crate) use well_known::is_scalar;

#[cfg(test)]
mod tests;
