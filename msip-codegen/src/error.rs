//! Errors of a run.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use msip_schema::{Diagnostic, SourceMap};

use crate::paths::show;
use crate::proto::Mistakes;

/// Why nothing was compiled. In every case no file was written.
///
/// `Debug` and `Display` print the same: each mistake on a line of its own, then all of them with the lines of the
/// schema that they refer to. Cargo prints `Debug` if a build script returns the error.
pub struct CompileError(Box<Kind>);

enum Kind {
    Schema(Mistakes),
    Output {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    Setting(String),
    Outdated(Vec<PathBuf>),
}

impl CompileError {
    pub(crate) fn schema(mistakes: Mistakes) -> Self {
        Self(Box::new(Kind::Schema(mistakes)))
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

    /// The mistakes in the schema, by file and position; none if the error is of another kind. Of more than 100 there are
    /// 100, those that were found first.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        match &*self.0 {
            Kind::Schema(mistakes) => &mistakes.diagnostics,
            Kind::Output { .. } | Kind::Setting(_) | Kind::Outdated(_) => &[],
        }
    }

    /// The files of the [`diagnostics`](Self::diagnostics), which resolve their spans.
    pub fn sources(&self) -> Option<&SourceMap> {
        match &*self.0 {
            Kind::Schema(mistakes) => Some(&mistakes.sources),
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
            Kind::Schema(Mistakes {
                sources,
                diagnostics,
                others,
            }) => {
                match diagnostics.len() + others {
                    1 => writeln!(f, "the schema has a mistake")?,
                    count => writeln!(f, "the schema has {} mistakes", with_commas(count))?,
                }
                for diagnostic in diagnostics {
                    writeln!(f, "{}", sources.one_line(diagnostic))?;
                }
                if *others > 0 {
                    writeln!(f, "… and {} more", with_commas(*others))?;
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
            Kind::Schema(_) | Kind::Setting(_) | Kind::Outdated(_) => None,
        }
    }
}

/// A number with commas between thousands.
fn with_commas(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
