//! The languages that have a driver, and how each is started.

use std::env;

use crate::process::Launch;

/// All of them, in the order of the tables.
pub(crate) const LANGUAGES: [&str; 1] = ["rust"];

/// How the driver of this language is started, or why it cannot be.
pub(crate) fn launch(language: &str) -> Result<Launch, String> {
    match language {
        "rust" => Ok(Launch {
            language: "rust",
            program: env::current_exe().map_err(|error| error.to_string())?,
            args: vec!["drive".to_owned()],
            environment: Vec::new(),
        }),
        other => Err(format!("there is no driver of {other}")),
    }
}
