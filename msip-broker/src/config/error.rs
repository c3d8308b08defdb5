//! What is wrong with a configuration.

use std::{fmt, io, path::PathBuf};

use msip_schema::closest_name;
use thiserror::Error;

/// How much of a value is shown in an error, in characters.
const SHOWN: usize = 60;

/// Where something was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In an argument, such as `--listen`.
    Argument(&'static str),
    /// In a variable of the environment.
    Variable(String),
    /// Of something that may be said in several places.
    Named(String),
    /// In a line of a file, from 1 on.
    Line { path: String, line: usize },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(name) => write!(f, "--{name}"),
            Self::Variable(name) | Self::Named(name) => f.write_str(name),
            Self::Line { path, line } => write!(f, "{path}:{line}"),
        }
    }
}

/// Something that is wrong with a configuration. `Display` is what to show to whoever wrote it.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct ConfigError(#[from] pub(super) Kind);

impl ConfigError {
    /// A URL to listen at is none.
    pub(super) fn of_listener(url: &str, expected: &str) -> Self {
        let place = Place::Named(format!("listener {}", shown(url)));
        let message = format!("expected {expected}");
        Kind::Other { place, message }.into()
    }

    /// A value that a program has set is out of its range, if it was not `read` from its text.
    pub(super) fn of_value<T>(
        within: &str,
        name: &str,
        found: String,
        read: Result<T, String>,
    ) -> Option<Self> {
        let expected = read.err()?;
        let place = Place::Named(within.to_owned());
        let of = Name(Some(name.to_owned()));
        let wrong = Kind::Value {
            place,
            of,
            expected,
            found,
        };
        Some(wrong.into())
    }
}

#[derive(Debug, Error)]
pub(super) enum Kind {
    #[error("cannot read {path}: {}", reason(source))]
    Read { path: PathBuf, source: io::Error },
    #[error("{place}: {message}")]
    Syntax { place: Place, message: String },
    #[error("{place}: unknown {what} `{name}`{}", suggestion(name, known))]
    Unknown {
        place: Place,
        what: String,
        name: String,
        known: Vec<String>,
    },
    #[error("{place}: {of}expected {expected}, found {found}")]
    Value {
        place: Place,
        of: Name,
        expected: String,
        found: String,
    },
    #[error("{place}: {message}")]
    Other { place: Place, message: String },
}

/// The name of a key, which stands before what is said about its value. Arguments and variables have said theirs.
#[derive(Debug)]
pub(super) struct Name(pub(super) Option<String>);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(name) => write!(f, "`{name}`: "),
            None => Ok(()),
        }
    }
}

/// The error of the operating system, without its number.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let number = text.find(" (os error");
    number.map_or(text.clone(), |end| text[..end].to_owned())
}

fn suggestion(name: &str, known: &[String]) -> String {
    let known = known.iter().map(String::as_str);
    match closest_name(name, known.clone()) {
        Some(close) => format!(": did you mean `{close}`?"),
        None => {
            let all: Vec<_> = known.map(|name| format!("`{name}`")).collect();
            format!(": known are {}", all.join(", "))
        }
    }
}

impl Kind {
    /// The line of the file, to sort by; what is of no line comes first.
    fn line(&self) -> usize {
        let place = match self {
            Self::Read { .. } => return 0,
            Self::Syntax { place, .. }
            | Self::Unknown { place, .. }
            | Self::Value { place, .. }
            | Self::Other { place, .. } => place,
        };
        match place {
            Place::Line { line, .. } => *line,
            _ => 0,
        }
    }
}

/// Everything that is wrong with a configuration, a line each, in the order of the file.
#[derive(Debug, Error)]
pub struct ConfigErrors(pub(super) Vec<ConfigError>);

impl ConfigErrors {
    /// What is wrong with a URL to listen at.
    pub(crate) fn of_listener(url: &str, message: String) -> Self {
        let place = Place::Named(format!("listener {}", shown(url)));
        Self(vec![Kind::Other { place, message }.into()])
    }

    /// `value`, or what is wrong with it.
    pub(super) fn or<T>(mut errors: Vec<ConfigError>, value: T) -> Result<T, Self> {
        if errors.is_empty() {
            return Ok(value);
        }
        errors.sort_by_key(|error| error.0.line());
        Err(Self(errors))
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

/// A text of the file in an error: without control characters, and cut.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(SHOWN)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
