//! A contender and its program.

use std::path::PathBuf;

/// A contender, and the program that runs it.
#[derive(Debug, Clone)]
pub(super) struct ContenderProgram {
    pub(super) name: String,
    pub(super) program: PathBuf,
}
