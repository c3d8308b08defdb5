//! Paths of files in messages and generated files.

use std::path::{Component, Path, PathBuf};

/// A path for messages and generated files: relative to the project, with `/`.
pub(crate) fn show(path: &Path) -> String {
    let project = std::env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .or_else(|| std::env::current_dir().ok());
    let relative = project.and_then(|project| path.strip_prefix(project).ok());
    slashed(&normal(relative.unwrap_or(path)))
}

/// A path without `.`, and without `..` behind the name of a folder.
pub(crate) fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if out.file_name().is_some() => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// The absolute path, which is the same for every path of the same file.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    // Resolves links. Where the file system has no answer, the text of the path decides.
    std::fs::canonicalize(path)
        .unwrap_or_else(|_| normal(&std::path::absolute(path).unwrap_or(path.to_path_buf())))
}

/// A path as text, with `/` between folders.
pub(crate) fn slashed(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}
