//! Where a protocol is read from.

use std::{io, path::PathBuf};

use msip_codegen::CompileError;
use msip_runtime::untyped::JsonError;
use thiserror::Error;

/// A protocol could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// The schema has mistakes, or is none.
    #[error(transparent)]
    Schema(#[from] CompileError),
    /// The descriptors cannot be used.
    #[error("descriptors of {package}: {source}")]
    Descriptors {
        /// The package.
        package: String,
        /// What is wrong.
        source: JsonError,
    },
    /// A file cannot be read, or a temporary one written.
    #[error("{path:?}")]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The descriptors of a protocol do not say all of it.
    #[error(
        "the descriptors of {package} do not say all of it, since it is derived from Rust types: read the text that \
         `msip_runtime::proto_text` writes"
    )]
    NotInDescriptors {
        /// The package.
        package: String,
    },
    /// No protocol is declared.
    #[error(
        "no protocol in {files}: a protocol is a package with the messages ClientToServer and ServerToClient"
    )]
    NoProtocol {
        /// What was read.
        files: String,
    },
}
