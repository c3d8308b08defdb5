//! Compiles `.proto` files into typed MSIP protocols, from a build script. No `protoc` is needed.
//!
//! A protocol is a file with a package and two messages, `ClientToServer` and `ServerToClient`, each a `oneof` of
//! everything that may be sent in that direction:
//!
//! ```proto
//! syntax = "proto3";
//!
//! package chat;
//!
//! message ClientToServer { oneof messages { ConnectReq connect_req = 1; } }
//! message ServerToClient { oneof messages { ConnectRsp connect_rsp = 1; } }
//!
//! message ConnectReq { string user = 1; }
//! message ConnectRsp { repeated string users = 1; }
//! ```
//!
//! One line in `build.rs` compiles it, and one in the program includes the result:
//!
//! ```no_run
//! fn main() -> Result<(), msip_codegen::CompileError> {
//!     msip_codegen::compile_protos(&["proto/chat.proto"], &["proto"])
//! }
//! ```
//!
//! ```ignore
//! mod chat {
//!     msip_runtime::include_protocol!("chat");
//! }
//! ```
//!
//! [`Builder`] has settings, and runs further languages: [`Python`], [`TypeScript`] and those of others. Options such as `(msip.timeout_ms)` are declared in
//! `msip/options.proto`, which is part of this crate, as are Google's well-known types: schemas import them without
//! having the files.
//!
//! All mistakes are reported together, each with its position and what to write instead. Then nothing is written.

mod builder;
mod error;
mod inputs;
mod output;
mod paths;
mod proto;
mod rust;

use std::path::Path;

/// The text of `msip/options.proto`, which declares MSIP's options: compilers of protobuf other than this one need the file.
pub const OPTIONS_PROTO: &str = proto::OPTIONS_TEXT;

pub use builder::Builder;
pub use error::CompileError;
pub use msip_emit::{
    python::Python,
    rust::Sides,
    typescript::{Part, TypeScript},
};
pub use msip_schema::{Code, Diagnostic, Label, Location, SourceMap, Span};
pub use output::Generated;

/// Compiles these files and everything that they import into `OUT_DIR/msip`, from a build script.
///
/// `protos` are the files that declare protocols, `includes` the folders relative to which files and imports are
/// named. Each package becomes `<package>.rs`, which `msip_runtime::include_protocol!` includes. Cargo reruns the build
/// script when one of the files read has changed.
///
/// # Errors
///
/// See [`Builder::compile`].
///
/// # Examples
///
/// ```no_run
/// fn main() -> Result<(), msip_codegen::CompileError> {
///     msip_codegen::compile_protos(&["proto/chat.proto"], &["proto"])
/// }
/// ```
pub fn compile_protos(
    protos: &[impl AsRef<Path>],
    includes: &[impl AsRef<Path>],
) -> Result<(), CompileError> {
    Builder::new().includes(includes).compile(protos)
}

/// Reads and checks the protocols of an encoded `google.protobuf.FileDescriptorSet`, for programs that need a schema while they
/// run. It has to hold everything that its files import, as the sets that [`Builder::file_descriptor_set_path`] and
/// `protoc --include_imports` write do. Comments are there where the set has source information
/// (`protoc --include_source_info`), and so are the positions of mistakes.
///
/// # Errors
///
/// The set is malformed or larger than 16 MiB, or its schemas have mistakes.
pub fn read_descriptor_set(encoded: &[u8]) -> Result<msip_emit::Compilation, CompileError> {
    proto::compile_set(encoded, None, proto::Expected::Protocols, &[]).map_err(CompileError::schema)
}

/// Reads and checks the protocol in the text of a `.proto` file, such as `msip_runtime::proto_text` writes for a protocol of Rust
/// types. `name` is what its mistakes call it. It may import `msip/options.proto` and Google's well-known types alone.
///
/// # Errors
///
/// All mistakes together.
///
/// # Examples
///
/// ```
/// let text = r#"
///     syntax = "proto3";
///     package chat;
///     message ClientToServer { oneof messages { SayInd say_ind = 1; } }
///     message ServerToClient { oneof messages { SayInd said_ind = 1; } }
///     message SayInd { string text = 1; }
/// "#;
/// let read = msip_codegen::read_proto_text("chat.proto", text)?;
/// assert_eq!(read.protocols[0].schema.package(), "chat");
/// # Ok::<_, msip_codegen::CompileError>(())
/// ```
pub fn read_proto_text(name: &str, text: &str) -> Result<msip_emit::Compilation, CompileError> {
    proto::compile_text(name, text).map_err(CompileError::schema)
}

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
