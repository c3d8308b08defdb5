//! Why the program has ended.

use std::{error::Error, fmt, process::ExitCode};

use msip_broker::ConfigErrors;

/// Why the program has ended: what to say, and the code.
#[derive(Debug)]
pub(super) struct Failure {
    lines: Vec<String>,
    code: u8,
}

impl Failure {
    /// Something could not be done.
    pub(super) fn failed(error: &dyn Error) -> Self {
        Self {
            lines: vec![with_causes(error)],
            code: 1,
        }
    }

    /// The same, with what it was.
    pub(super) fn cannot(what: &str, error: &dyn Error) -> Self {
        Self {
            lines: vec![format!("cannot {what}: {}", with_causes(error))],
            code: 1,
        }
    }

    pub(super) fn code(&self) -> ExitCode {
        self.code.into()
    }

    /// All that there is to say, in one line.
    pub(super) fn line(&self) -> String {
        self.lines.join("; ")
    }
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Self {
            lines: errors.iter().map(ToString::to_string).collect(),
            code: 2,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(f, "msip-broker: {line}")?;
        }
        Ok(())
    }
}

/// An error and what has caused it, in one line.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text += &format!(": {cause}");
        next = cause.source();
    }
    text.replace('\n', " ")
}
