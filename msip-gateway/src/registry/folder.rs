//! The files of a folder, and whether they have changed.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::RegistryError;

/// How many files a folder may have, and how long each may be.
const MAX_FILES: usize = 1024;
const MAX_LEN: u64 = 16 * 1024 * 1024;

/// The ends of the names of descriptor sets. Other files are left alone, so that a README may lie there too.
const ENDS: [&str; 5] = [".bin", ".binpb", ".desc", ".pb", ".protoset"];

/// A file, and what changes with its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) path: PathBuf,
    len: u64,
    modified: Option<SystemTime>,
}

/// The descriptor sets of a folder, by name. Hidden files are none, so that one can be written aside and renamed.
pub(super) fn files(folder: &Path) -> Result<Vec<Stamp>, RegistryError> {
    let error = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| RegistryError::Io { path, source }
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(error(folder))? {
        let path = entry.map_err(error(folder))?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if name.starts_with('.') || !ENDS.iter().any(|end| name.ends_with(end)) {
            continue;
        }
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            // It was there a moment ago.
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(error(&path)(source)),
        };
        if !metadata.is_file() {
            continue;
        }
        if files.len() >= MAX_FILES {
            let what = format!("more than {MAX_FILES} descriptor sets");
            return Err(RegistryError::TooLarge {
                path: folder.to_owned(),
                what,
            });
        }
        files.push(Stamp {
            len: metadata.len(),
            modified: metadata.modified().ok(),
            path,
        });
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

/// The content of a file.
pub(super) fn read(stamp: &Stamp) -> Result<Vec<u8>, RegistryError> {
    let path = || stamp.path.clone();
    if stamp.len > MAX_LEN {
        let what = format!("{} bytes, and at most {MAX_LEN} are read", stamp.len);
        return Err(RegistryError::TooLarge { path: path(), what });
    }
    fs::read(&stamp.path).map_err(|source| RegistryError::Io {
        path: path(),
        source,
    })
}
