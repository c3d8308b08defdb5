//! Bodies in the canonical JSON mapping of proto3.

mod base64;
mod read;
mod write;

pub(super) use read::JsonReader;
pub(super) use write::JsonWriter;
