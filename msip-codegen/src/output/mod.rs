//! Files on disk: all of them, or none.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::CompileError;

/// A file and its contents.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
}

impl Output {
    /// Whether the file is there with these very contents.
    fn is_current(&self) -> bool {
        std::fs::read(&self.path).is_ok_and(|bytes| bytes == self.bytes)
    }
}

/// Writes all files, or none: each is first written whole beside its place, and only when all are is any moved
/// there. A file that has the right contents is left alone, so that nothing that depends on it is built again.
pub(crate) fn write(outputs: &[Output]) -> Result<(), CompileError> {
    let mut staged = Vec::new();
    for output in outputs.iter().filter(|output| !output.is_current()) {
        let folder = output.path.parent().unwrap_or(Path::new("."));
        let failed = |error| CompileError::output("cannot write", &output.path, error);
        std::fs::create_dir_all(folder).map_err(failed)?;
        let mut file = staged_file(folder).map_err(failed)?;
        file.write_all(&output.bytes).map_err(failed)?;
        staged.push((file, &output.path));
    }
    for (file, path) in staged {
        file.persist(path)
            .map_err(|error| CompileError::output("cannot write", path, error.error))?;
    }
    Ok(())
}

/// A temporary file that everyone may read whom the umask lets, as any other file that a program makes.
fn staged_file(folder: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.prefix(".msip-").tempfile_in(folder)
}

/// The files that are missing or have other contents.
pub(crate) fn outdated(outputs: &[Output]) -> Vec<PathBuf> {
    outputs
        .iter()
        .filter(|output| !output.is_current())
        .map(|output| output.path.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(path: PathBuf) -> Output {
        Output {
            path,
            bytes: b"new".to_vec(),
        }
    }

    #[test]
    fn writes_all_files_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let outputs = ["a.rs", "deep/b.rs"].map(|name| output(folder.path().join(name)));
        assert_eq!(outdated(&outputs).len(), 2);
        write(&outputs).unwrap();
        assert!(outdated(&outputs).is_empty());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn writes_nothing_where_one_file_cannot_be() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        // A file stands where a folder is needed.
        let outputs = ["a.rs", "file/b.rs"].map(|name| output(folder.path().join(name)));
        write(&outputs).unwrap_err();
        let names = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        assert_eq!(names.collect::<Vec<_>>(), ["file"]);
    }
}
