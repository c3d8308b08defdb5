//! The schemas in Rust types of the whole repository.

#![expect(unreachable_pub, reason = "only their schemas are of interest")]

#[path = "../../../examples/src/bin/derive/chat.rs"]
pub(crate) mod chat;
#[path = "../../../examples/first/src/greet.rs"]
pub(crate) mod greet;
#[path = "../kitchen/derived.rs"]
pub(crate) mod kitchen;
#[path = "../../../tests/tests/protocols/derived_streams/lab.rs"]
pub(crate) mod lab;
#[path = "../../../examples/src/bin/telemetry/schema.rs"]
pub(crate) mod telemetry;
#[path = "../../../examples/src/bin/upload/schema.rs"]
pub(crate) mod upload;
