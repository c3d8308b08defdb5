//! The languages that have a driver, and how each is started.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use crate::process::Launch;

/// All of them, in the order of the tables.
pub(crate) const LANGUAGES: [&str; 2] = ["rust", "python"];

/// How the driver of this language is started, or why it cannot be.
pub(crate) fn launch(language: &str) -> Result<Launch, String> {
    match language {
        "rust" => Ok(Launch {
            language: "rust",
            program: env::current_exe().map_err(|error| error.to_string())?,
            args: vec!["drive".to_owned()],
            environment: Vec::new(),
        }),
        "python" => {
            let version = "import sys; sys.exit(sys.version_info < (3, 11))";
            check(
                Command::new("python3").args(["-c", version]),
                "Python 3.11 or newer",
            )?;
            let package = repository().join("languages/python/src");
            Ok(Launch {
                language: "python",
                program: "python3".into(),
                args: vec![driver("python/driver.py")],
                environment: vec![("PYTHONPATH".to_owned(), package.display().to_string())],
            })
        }
        other => Err(format!("there is no driver of {other}")),
    }
}

/// That a program is there.
fn check(command: &mut Command, what: &str) -> Result<(), String> {
    let output = command.output();
    let output = output.map_err(|error| format!("{what} is needed: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{what} is needed: {command:?} fails")),
    }
}

/// A file of the drivers.
fn driver(path: &str) -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.join("drivers").join(path).display().to_string()
}

/// The repository.
pub(crate) fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
