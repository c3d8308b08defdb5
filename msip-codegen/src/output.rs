//! The output of a run: all files, or none.

use std::collections::HashSet;
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};

use msip_emit::OutputFile;
use tempfile::NamedTempFile;

use crate::error::CompileError;

/// What a run has made of schemas without mistakes: files that are yet to be written, of all languages. See
/// [`Builder::generate`](crate::Builder::generate).
#[derive(Debug, Default)]
#[must_use = "nothing is written until `write`"]
pub struct Generated {
    /// Each path once.
    outputs: Vec<Output>,
    paths: HashSet<PathBuf>,
}

/// A file and its contents.
#[derive(Debug)]
struct Output {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Generated {
    /// Adds a file of a language below its output folder.
    pub(crate) fn add(
        &mut self,
        folder: &Path,
        language: &str,
        file: OutputFile,
    ) -> Result<(), CompileError> {
        let is_below = Path::new(&file.path)
            .components()
            .all(|component| matches!(component, Component::Normal(_)));
        if !is_below || file.path.is_empty() {
            return Err(CompileError::setting(format!(
                "the emitter for {language} names a file outside of its folder: `{}`",
                file.path
            )));
        }
        let path = folder.join(&file.path);
        if self.paths.contains(&path) {
            return Err(CompileError::setting(format!(
                "two emitters, one of them that for {language}, write the file `{}`",
                file.path
            )));
        }
        self.add_at(path, file.bytes);
        Ok(())
    }

    /// Adds a file at a path of the user's choice.
    pub(crate) fn add_at(&mut self, path: PathBuf, bytes: Vec<u8>) {
        self.paths.insert(path.clone());
        self.outputs.push(Output { path, bytes });
    }

    /// The paths of the files, each below the output folder of its language, and their contents.
    pub fn files(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        let outputs = self.outputs.iter();
        outputs.map(|output| (output.path.as_path(), output.bytes.as_slice()))
    }

    /// Writes all files, or none: each is first written whole next to its destination, and only when all are is any
    /// moved there. A file that has the right contents is left alone, so that nothing that depends on it is rebuilt.
    ///
    /// Returns the paths of those that were written.
    ///
    /// # Errors
    ///
    /// A file or its folder cannot be written.
    pub fn write(&self) -> Result<Vec<&Path>, CompileError> {
        let mut staged = Vec::new();
        for output in self.changed() {
            let folder = output.path.parent().unwrap_or(Path::new("."));
            let failed = |error| CompileError::output("cannot write", &output.path, error);
            std::fs::create_dir_all(folder).map_err(failed)?;
            let mut file = staged_file(folder).map_err(failed)?;
            file.write_all(&output.bytes).map_err(failed)?;
            staged.push((file, output.path.as_path()));
        }
        let mut written = Vec::new();
        for (file, path) in staged {
            file.persist(path)
                .map_err(|error| CompileError::output("cannot write", path, error.error))?;
            written.push(path);
        }
        Ok(written)
    }

    /// The paths of the files that are missing or have other contents.
    pub fn outdated(&self) -> Vec<&Path> {
        self.changed().map(|output| output.path.as_path()).collect()
    }

    fn changed(&self) -> impl Iterator<Item = &Output> {
        self.outputs.iter().filter(|output| !output.is_current())
    }
}

impl Output {
    /// Whether the file exists with these very contents.
    fn is_current(&self) -> bool {
        std::fs::read(&self.path).is_ok_and(|bytes| bytes == self.bytes)
    }
}

/// A temporary file with the permissions that any other new file gets.
fn staged_file(folder: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.prefix(".msip-").tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(folder: &Path, names: [&str; 2]) -> Generated {
        let mut outputs = Generated::default();
        for name in names {
            outputs
                .add(folder, "rust", OutputFile::new(name, "new"))
                .unwrap();
        }
        outputs
    }

    #[test]
    fn writes_all_files_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let outputs = outputs(folder.path(), ["a.rs", "deep/b.rs"]);
        assert_eq!(outputs.outdated().len(), 2);
        assert_eq!(outputs.write().unwrap().len(), 2);
        assert!(outputs.outdated().is_empty());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn writes_nothing_if_one_file_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        // There is a file where a folder is needed.
        let outputs = outputs(folder.path(), ["a.rs", "file/b.rs"]);
        outputs.write().unwrap_err();
        let names = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        assert_eq!(names.collect::<Vec<_>>(), ["file"]);
    }

    #[test]
    fn paths_are_below_the_folder_and_there_once() {
        let mut outputs = Generated::default();
        let mut add = |path: &str| outputs.add(Path::new("out"), "c", OutputFile::new(path, ""));
        add("a/b.c").unwrap();
        for (path, error) in [
            ("", "outside of its folder"),
            ("/etc/a.c", "outside of its folder"),
            ("../a.c", "outside of its folder"),
            ("a/b.c", "two emitters, one of them that for c"),
        ] {
            let text = add(path).unwrap_err().to_string();
            assert!(text.contains(error), "{path}: {text}");
        }
    }
}
