//! Why a folder cannot be used.

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::SchemaError;

/// The folder of a registry cannot be read, or a file in it is no descriptor set.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// A folder or a file cannot be read.
    #[error("{path:?} cannot be read")]
    Io {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is too large, or there are too many.
    #[error("{path:?}: {what}")]
    TooLarge {
        /// Its path.
        path: PathBuf,
        /// Which limit it is over.
        what: String,
    },
    /// A file is no descriptor set, or has a protocol with mistakes.
    #[error("{path:?}: {source}")]
    Schema {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        source: SchemaError,
    },
}
