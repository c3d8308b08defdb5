//! HTTP and JSON in front of MSIP: `POST /v1/<package>/<request>` with a message as JSON makes the call (docs/http.md).
//!
//! - [`Gateway`] listens, and serves protocols that servers speak elsewhere or in the same process.
//! - [`ProtocolModel`] is what the gateway knows of a protocol, read while it runs: its schema, and how its messages are
//!   translated between JSON and protobuf.
//! - [`GatewayError`] is an error as an HTTP client sees it: a status, a code and a text.
//!
//! The program `msip-gateway` is this library with arguments, signals and logs.
//!
//! # Features
//!
//! | feature | default | |
//! | --- | --- | --- |
//! | `cli` | yes | the program |
//! | `quic`, `tls`, `websocket` | yes | upstreams at `quic://`, `tls://`, `ws://` and `wss://`; with `tls`, a listener at `https://` |

mod api;
mod base64;
mod error;
mod gateway;
pub mod jesus;
mod json_schema;
mod openapi;
mod page;
mod protocol;
pub mod registry;
mod server;
mod upstream;

pub use api::{Caller, GatewayLimits, GatewayShared, Hosts};
pub use error::GatewayError;
pub use gateway::{BindError, Gateway, GatewayBuilder};
pub use json_schema::message_schema;
pub use openapi::document as openapi;
pub use protocol::{Operation, ProtocolModel, SchemaError, Shape};
pub use server::{DrainReport, ListenUrlError, Reloader};
pub use upstream::{Principal, Upstream, UpstreamLimits};

/// The bodies of fuzz targets in `fuzz/`. Built only for fuzzing and for the tests of this crate.
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::{api::fuzzing::http_request, jesus::fuzzing::jesus_data};
}
