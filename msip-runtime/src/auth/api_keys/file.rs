//! A file of keys.

use std::{
    io,
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::table::KeyTable;
use crate::auth::watched_file::{Unreadable, WatchedFile};

/// The largest file in bytes: some 80,000 keys.
const MAX_LEN: u64 = 16 * 1024 * 1024;

/// Why a file of keys cannot be used. No key is ever shown.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ApiKeysError {
    /// The file cannot be read.
    #[error("the file of API keys {path:?} cannot be read")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The file is larger than 16 MiB.
    #[error("the file of API keys {path:?} has more than {max} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The largest size in bytes.
        max: u64,
    },
    /// A line is wrong.
    #[error("{}:{line}: {wrong}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong with it, and what to write.
        wrong: String,
    },
    /// An entry that was given in code is wrong.
    #[error("API key of {name:?}: {wrong}")]
    Entry {
        /// Whose key it is.
        name: String,
        /// What is wrong with it.
        wrong: String,
    },
}

/// Reads a file again when it has changed.
pub(super) type KeyFile = WatchedFile<KeyTable, ApiKeysError>;

/// Reads the keys of a file, now and again when it has changed.
pub(super) fn open(path: &Path) -> Result<KeyFile, ApiKeysError> {
    let of = path.to_owned();
    WatchedFile::open(path, MAX_LEN, move |content| parse(&of, content))
}

fn parse(path: &Path, content: Result<Vec<u8>, Unreadable>) -> Result<KeyTable, ApiKeysError> {
    let path = || path.to_owned();
    let failed = |source| ApiKeysError::Io {
        path: path(),
        source,
    };
    let content = match content {
        Ok(content) => content,
        Err(Unreadable::Io(source)) => return Err(failed(source)),
        Err(Unreadable::TooLarge(max)) => return Err(ApiKeysError::TooLarge { path: path(), max }),
    };
    let text = String::from_utf8(content)
        .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))?;
    KeyTable::parse(&text).map_err(|(line, wrong)| ApiKeysError::Line {
        path: path(),
        line,
        wrong,
    })
}
