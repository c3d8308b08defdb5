//! Error formatting: an error and its causes in one line.

use std::error::Error;

/// An error and what caused it, in one line: `cannot reach tcp://127.0.0.1:7400: Connection refused`.
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
