//! Include folders: the search for files, and their names in imports.

use std::path::{Path, PathBuf};

use msip_schema::{Code, Diagnostic, OPTIONS_FILE, Span, closest_name};

use super::well_known::WELL_KNOWN;
use crate::paths::{absolute, normal, show, slashed};

/// The include folders of a run; the first that has a file wins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IncludeFolders<'a>(pub(crate) &'a [PathBuf]);

impl IncludeFolders<'_> {
    /// The path of the file that has this name in imports.
    pub(crate) fn locate(&self, name: &Path) -> Option<PathBuf> {
        let paths = self.0.iter().map(|folder| folder.join(name));
        // Anything but a plain file, such as a folder or a device, is not a schema.
        paths.into_iter().find(|path| path.is_file())
    }

    /// The name that an input has in imports: its path relative to its include folder.
    pub(crate) fn name_of(&self, path: &Path) -> Result<String, Box<Diagnostic>> {
        let plain = normal(path);
        if path.is_file() {
            let whole = absolute(path);
            for folder in self.0 {
                let Ok(relative) = whole.strip_prefix(absolute(folder)) else {
                    continue;
                };
                // A folder that comes first may have another file of this name.
                return match self.locate(relative) {
                    Some(first) if absolute(&first) != whole => {
                        Err(Box::new(shadowed(path, &first)))
                    }
                    _ => Ok(slashed(relative)),
                };
            }
            if self.locate(&plain).is_none() {
                let text = format!("`{}` lies in no include folder", show(path));
                let help = format!(
                    "add its folder to the include folders, which are {}",
                    folders(self.0)
                );
                let diagnostic = Diagnostic::new(Code::FILE_NOT_INCLUDED, Span::NONE, text);
                return Err(Box::new(diagnostic.help(help)));
            }
        }
        Ok(slashed(&plain))
    }

    pub(crate) fn not_found(&self, path: &Path) -> Diagnostic {
        let text = format!("file `{}` is not found", show(path));
        // A path from here, such as that of an include folder that it has given, is no name in imports.
        let whole = absolute(path);
        let place = |include: &PathBuf| match whole.starts_with(absolute(include)) {
            true => normal(path),
            false => include.join(normal(path)),
        };
        Diagnostic::new(Code::FILE_NOT_FOUND, Span::NONE, text).help(self.searched(place))
    }

    pub(crate) fn import_not_found(&self, import: &str, span: Span) -> Diagnostic {
        let text = format!("import `{import}` is not found");
        let mut help = self.searched(|include| include.join(import));
        let known = self.neighbours(import);
        let known = known
            .iter()
            .map(String::as_str)
            .chain(WELL_KNOWN)
            .chain([OPTIONS_FILE]);
        if let Some(close) = closest_name(import, known) {
            help = format!("did you mean `{close}`?\n{help}");
        }
        Diagnostic::new(Code::IMPORT_NOT_FOUND, span, text)
            .label("imported here")
            .help(help)
    }

    /// The schemas in the folders in which an import was looked for, by their names in imports.
    fn neighbours(&self, import: &str) -> Vec<String> {
        let folder = Path::new(import).parent().unwrap_or(Path::new(""));
        let entries = self
            .0
            .iter()
            .filter_map(|include| std::fs::read_dir(include.join(folder)).ok());
        let names = entries
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok());
        let schemas = names.filter(|name| name.ends_with(".proto"));
        let mut found: Vec<String> = schemas
            .map(|name| slashed(&folder.join(name)))
            .take(1_000)
            .collect();
        found.sort();
        found
    }

    fn searched(&self, place: impl Fn(&PathBuf) -> PathBuf) -> String {
        if self.0.is_empty() {
            return "no include folder is given".to_owned();
        }
        let paths = self.0.iter().map(|include| quoted(&place(include)));
        format!("looked for {}", paths.collect::<Vec<_>>().join(", "))
    }
}

fn shadowed(path: &Path, first: &Path) -> Diagnostic {
    let text = format!(
        "`{}` is hidden by `{}`, whose include folder comes first",
        show(path),
        show(first)
    );
    let help = "give one of the two files another name, or change the order of the include folders";
    Diagnostic::new(Code::FILE_SHADOWED, Span::NONE, text).help(help)
}

fn folders(includes: &[PathBuf]) -> String {
    if includes.is_empty() {
        return "none".to_owned();
    }
    let includes = includes.iter().map(|include| match include.is_dir() {
        true => quoted(include),
        false => format!("{}, which is not there", quoted(include)),
    });
    includes.collect::<Vec<_>>().join(", ")
}

fn quoted(path: &Path) -> String {
    format!("`{}`", show(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help(diagnostic: Diagnostic) -> String {
        diagnostic.help.expect("help")
    }

    #[test]
    fn a_file_that_is_not_there_was_looked_for_where_its_path_says() {
        let folder = tempfile::tempdir().unwrap();
        let (own, other) = (folder.path().join("own"), folder.path().join("other"));
        std::fs::create_dir(&own).unwrap();
        let includes = [own.clone(), other];
        let folders = IncludeFolders(&includes);
        let told = help(folders.not_found(&own.join("chat.proto")));
        assert!(told.contains("own/chat.proto`"), "{told}");
        assert!(!told.contains("own/own"), "{told}");
        let told = help(folders.not_found(Path::new("chat.proto")));
        assert!(told.ends_with("other/chat.proto`"), "{told}");
    }

    #[test]
    fn an_include_folder_that_is_not_there_is_told() {
        let includes = [PathBuf::from("sorce")];
        // Of this package, where its tests run.
        let error = IncludeFolders(&includes).name_of(Path::new("src/lib.rs"));
        let told = help(*error.unwrap_err());
        assert!(told.ends_with("`sorce`, which is not there"), "{told}");
    }
}
