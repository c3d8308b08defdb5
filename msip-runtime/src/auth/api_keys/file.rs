//! A file of keys, and whether it has changed.

use std::{
    fs::{File, Metadata},
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use thiserror::Error;

use super::table::KeyTable;

/// The largest file in bytes: some 80,000 keys.
const MAX_LEN: u64 = 16 * 1024 * 1024;

/// A file may be changed twice within the steps of its file system's clock.
const CLOCK_STEP: Duration = Duration::from_secs(2);

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

/// What tells a file from what it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileStamp {
    modified: Option<SystemTime>,
    len: u64,
    #[cfg(unix)]
    inode: u64,
}

impl FileStamp {
    fn of(file: &Metadata) -> Self {
        Self {
            modified: file.modified().ok(),
            len: file.len(),
            #[cfg(unix)]
            inode: std::os::unix::fs::MetadataExt::ino(file),
        }
    }

    /// That of a file; `None` where it cannot be told.
    pub(super) fn at(path: &Path) -> Option<Self> {
        Some(Self::of(&path.metadata().ok()?))
    }

    /// The same, unless the file may yet be changed without showing it.
    fn if_settled(self) -> Option<Self> {
        let age = SystemTime::now().duration_since(self.modified?).ok()?;
        (age > CLOCK_STEP).then_some(self)
    }
}

/// Reads a file. The stamp is `None` where the file has to be read again to see whether it has changed.
pub(super) fn read(path: &Path) -> Result<(KeyTable, Option<FileStamp>), ApiKeysError> {
    let failed = |source| ApiKeysError::Io {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let stamp = FileStamp::of(&file.metadata().map_err(failed)?);
    let mut text = String::new();
    let len = file.take(MAX_LEN + 1).read_to_string(&mut text);
    if u64::try_from(len.map_err(failed)?).is_ok_and(|len| len > MAX_LEN) {
        return Err(ApiKeysError::TooLarge {
            path: path.to_owned(),
            max: MAX_LEN,
        });
    }
    let table = KeyTable::parse(&text).map_err(|(line, wrong)| ApiKeysError::Line {
        path: path.to_owned(),
        line,
        wrong,
    })?;
    Ok((table, stamp.if_settled()))
}
