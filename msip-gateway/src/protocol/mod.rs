//! What the gateway knows of a protocol: its schema, and how its messages are translated.

mod fields;
mod model;
mod operation;
mod source;

pub(crate) use fields::{find_field, name_in_json};
pub use model::ProtocolModel;
pub use operation::{Operation, Shape};
pub use source::SchemaError;
