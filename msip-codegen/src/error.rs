//! Errors of a run.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use msip_schema::{Diagnostic, SourceMap};

use crate::paths::show;

/// Why nothing was compiled. In every case no file was written.
///
/// `Debug` and `Display` print the same: each mistake on a line of its own, then all of them with the lines of the
/// schema that they refer to. Cargo prints `Debug` if a build script returns the error.
pub struct CompileError(Box<Kind>);

enum Kind {
    Schema {
        sources: SourceMap,
        diagnostics: Vec<Diagnostic>,
    },
    Output {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    Setting(String),
    Outdated(Vec<PathBuf>),
}

impl CompileError {
    pub(crate) fn schema(sources: SourceMap, diagnostics: Vec<Diagnostic>) -> Self {
        Self(Box::new(Kind::Schema {
            sources,
            diagnostics,
        }))
    }

    pub(crate) fn output(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self(Box::new(Kind::Output {
            action,
            path: path.to_owned(),
            source,
        }))
    }

    pub(crate) fn setting(text: impl fmt::Display) -> Self {
        Self(Box::new(Kind::Setting(text.to_string())))
    }

    pub(crate) fn outdated(files: Vec<PathBuf>) -> Self {
        Self(Box::new(Kind::Outdated(files)))
    }

    /// The mistakes in the schema, by file and position; none if the error is of another kind.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        match &*self.0 {
            Kind::Schema { diagnostics, .. } => diagnostics,
            Kind::Output { .. } | Kind::Setting(_) | Kind::Outdated(_) => &[],
        }
    }

    /// The files of the [`diagnostics`](Self::diagnostics), which resolve their spans.
    pub fn sources(&self) -> Option<&SourceMap> {
        match &*self.0 {
            Kind::Schema { sources, .. } => Some(sources),
            Kind::Output { .. } | Kind::Setting(_) | Kind::Outdated(_) => None,
        }
    }

    /// The mistakes in the schema with the lines that they refer to; empty if the error is of another kind.
    pub fn render(&self) -> String {
        self.sources()
            .map(|sources| sources.render_all(self.diagnostics()))
            .unwrap_or_default()
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::Schema {
                sources,
                diagnostics,
            } => {
                match diagnostics.len() {
                    1 => writeln!(f, "the schema has a mistake")?,
                    count => writeln!(f, "the schema has {count} mistakes")?,
                }
                for diagnostic in diagnostics {
                    writeln!(f, "{}", sources.one_line(diagnostic))?;
                }
                write!(f, "\n{}", self.render().trim_end())
            }
            Kind::Output { action, path, .. } => write!(f, "{action} `{}`", show(path)),
            Kind::Setting(text) => f.write_str(text),
            Kind::Outdated(files) => {
                let files: Vec<String> = files
                    .iter()
                    .map(|file| format!("`{}`", show(file)))
                    .collect();
                let (be, them) = if files.len() == 1 {
                    ("is", "it")
                } else {
                    ("are", "them")
                };
                write!(
                    f,
                    "{} {be} not what the schema says now; run the same command with MSIP_UPDATE=1 in the \
                     environment to write {them} again",
                    files.join(", ")
                )
            }
        }
    }
}

impl fmt::Debug for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A build script's `main` prints only this, so it must contain the cause.
        fmt::Display::fmt(self, f)?;
        match std::error::Error::source(self) {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for CompileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &*self.0 {
            Kind::Output { source, .. } => Some(source),
            Kind::Schema { .. } | Kind::Setting(_) | Kind::Outdated(_) => None,
        }
    }
}
