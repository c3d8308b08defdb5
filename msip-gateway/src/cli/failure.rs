//! Why the program has ended.

use std::{error::Error, fmt, process::ExitCode};

use msip_gateway::{BindError, SchemaError};

/// Why the program has ended: what to say, and the code.
#[derive(Debug)]
pub(super) struct Failure {
    text: String,
    code: u8,
}

impl Failure {
    /// Something could not be done.
    pub(super) fn cannot(what: &str, error: &dyn Error) -> Self {
        Self {
            text: format!("cannot {what}: {}", with_causes(error)),
            code: 1,
        }
    }

    pub(super) fn code(&self) -> ExitCode {
        self.code.into()
    }
}

impl From<SchemaError> for Failure {
    fn from(error: SchemaError) -> Self {
        let text = match &error {
            // Each mistake has a line of its own.
            SchemaError::Schema(mistakes) => mistakes.to_string(),
            error => with_causes(error),
        };
        Self { text, code: 2 }
    }
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Self {
        let code = match error {
            BindError::Listen { .. } => 1,
            _ => 2,
        };
        Self {
            text: with_causes(&error),
            code,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "msip-gateway: {}", self.text.trim_end())
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
