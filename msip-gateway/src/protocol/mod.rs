//! What the gateway knows of a protocol: its schema, and how its messages are translated.

mod model;
mod operation;
mod source;

pub use model::ProtocolModel;
pub use operation::{Operation, Shape};
pub use source::SchemaError;
