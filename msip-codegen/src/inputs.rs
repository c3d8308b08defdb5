//! The files of a run: those that are named, and those in folders that are named.

use std::path::{Path, PathBuf};

use msip_schema::OPTIONS_FILE;

use crate::error::CompileError;
use crate::proto::Expected;

/// The most files that are taken from folders: of more, a folder was named by mistake.
const MAX_FILES: usize = 10_000;

/// The inputs of a run.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) files: Vec<PathBuf>,
    /// The folders in which files were looked for, and those below them.
    pub(crate) folders: Vec<PathBuf>,
    /// The include folders or, if none was given, the folders that were named and those of the files.
    pub(crate) includes: Vec<PathBuf>,
}

impl Inputs {
    /// Finds the files. Those of a folder are in the order of their paths.
    pub(crate) fn find(
        named: &[impl AsRef<Path>],
        includes: &[PathBuf],
    ) -> Result<Self, CompileError> {
        let mut inputs = Self {
            files: Vec::new(),
            folders: Vec::new(),
            includes: includes.to_vec(),
        };
        for path in named.iter().map(AsRef::as_ref) {
            let include = if path.is_dir() {
                inputs.folder(path)?;
                Some(path)
            } else {
                inputs.files.push(path.to_owned());
                path.parent()
            };
            let include = include.map(|folder| match folder.as_os_str().is_empty() {
                true => PathBuf::from("."),
                false => folder.to_owned(),
            });
            if let Some(folder) = include
                && includes.is_empty()
                && !inputs.includes.contains(&folder)
            {
                inputs.includes.push(folder);
            }
        }
        Ok(inputs)
    }

    /// A file of a folder need not be a protocol.
    pub(crate) fn expected(&self, messages_only: bool) -> Expected {
        match (messages_only, self.folders.is_empty()) {
            (true, _) => Expected::Messages,
            (false, true) => Expected::Protocols,
            (false, false) => Expected::Either,
        }
    }

    fn folder(&mut self, root: &Path) -> Result<(), CompileError> {
        // There for other compilers, and part of this one.
        let options = root.join(OPTIONS_FILE);
        let before = self.files.len();
        let mut open = vec![root.to_owned()];
        while let Some(folder) = open.pop() {
            let failed = |error| CompileError::output("cannot read", &folder, error);
            let entries = std::fs::read_dir(&folder).map_err(failed)?;
            for entry in entries {
                let entry = entry.map_err(failed)?;
                let path = entry.path();
                let kind = entry.file_type().map_err(failed)?;
                // A link to a folder is not followed, since it may lead back here.
                if kind.is_dir() {
                    if !entry.file_name().to_string_lossy().starts_with('.') {
                        open.push(path);
                    }
                } else if path != options
                    && path
                        .extension()
                        .is_some_and(|extension| extension == "proto")
                {
                    self.files.push(path);
                }
            }
            if self.files.len() > MAX_FILES {
                return Err(CompileError::setting(format!(
                    "there are more than {MAX_FILES} schemas below `{}`: name a folder further down",
                    crate::paths::show(&folder)
                )));
            }
            self.folders.push(folder);
        }
        let Some(found) = self
            .files
            .get_mut(before..)
            .filter(|found| !found.is_empty())
        else {
            return Err(CompileError::setting(format!(
                "there is no schema (`.proto`) in `{}`",
                crate::paths::show(root)
            )));
        };
        found.sort();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schemas_of_a_folder_are_found_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in [
            "b.proto",
            "a/z.proto",
            "a/deep/y.proto",
            ".hidden/x.proto",
            "a/readme.md",
            "msip/options.proto",
        ] {
            std::fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            std::fs::write(at(name), "").unwrap();
        }
        let inputs = Inputs::find(&[folder.path()], &[]).unwrap();
        assert_eq!(
            inputs.files,
            ["a/deep/y.proto", "a/z.proto", "b.proto"].map(at)
        );
        assert_eq!(inputs.includes, [folder.path()]);
        assert_eq!(inputs.expected(false), Expected::Either);

        let inputs = Inputs::find(&[at("b.proto")], &[]).unwrap();
        assert_eq!(inputs.includes, [folder.path()]);
        assert_eq!(inputs.expected(false), Expected::Protocols);
        assert_eq!(
            Inputs::find(&["x.proto"], &[]).unwrap().includes,
            [Path::new(".")]
        );
        assert_eq!(
            Inputs::find(&["x.proto"], &["p".into()]).unwrap().includes,
            [Path::new("p")]
        );

        let error = Inputs::find(&[at(".hidden/none")], &[]).map(|inputs| inputs.files.len());
        assert_eq!(
            error.unwrap(),
            1,
            "a file that is not there is told by the loader"
        );
        std::fs::create_dir(at("empty")).unwrap();
        let error = Inputs::find(&[at("empty")], &[]).unwrap_err().to_string();
        assert!(
            error.starts_with("there is no schema (`.proto`) in "),
            "{error}"
        );
    }
}
