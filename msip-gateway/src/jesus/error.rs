//! Why there is no table of methods.

use std::path::PathBuf;

use thiserror::Error;

/// The methods of a gateway with the interface of jesus cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MethodsError {
    /// The file cannot be read.
    #[error("methods of {path:?}")]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not JSON, or not an object of methods.
    #[error("methods: {0}")]
    Json(#[from] serde_json::Error),
    /// One method is wrong.
    #[error("method `{method}`: {what}")]
    Method {
        /// Its name.
        method: String,
        /// What is wrong with it, and what to do.
        what: String,
    },
}
