//! Why keys cannot be used.

use std::{io, path::PathBuf};

use thiserror::Error;

use super::algorithm::JwtAlgorithm;

/// How many keys an issuer may have.
pub(super) const MAX_KEYS: usize = 64;

/// Why keys cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JwtKeyError {
    /// The file cannot be read.
    #[error("the file of keys {path:?} cannot be read")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The file is larger than 1 MiB.
    #[error("the file of keys {path:?} has more than {max} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The largest size in bytes.
        max: u64,
    },
    /// The text holds no public key in PEM.
    #[error("it holds no public key in PEM: `-----BEGIN PUBLIC KEY-----` and what follows")]
    NoPublicKey,
    /// The key is of another kind than the algorithm needs.
    #[error("it is not a key for {algorithm}")]
    OtherAlgorithm {
        /// The algorithm.
        algorithm: JwtAlgorithm,
    },
    /// The text is no set of keys.
    #[error("it is not a JSON Web Key Set")]
    NoKeySet(#[source] jsonwebtoken::errors::Error),
    /// No key of the set can be used.
    #[error("no key of the set says that it is for signatures with RS256, ES256 or EdDSA (`alg`)")]
    NoUsableKey,
    /// A set has too many keys.
    #[error("the set has {count} keys: {MAX_KEYS} are allowed")]
    TooManyKeys {
        /// How many.
        count: usize,
    },
}
