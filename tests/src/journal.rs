//! The journal of a process: a line for each action, in a file that outlives it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

/// A journal that is being written.
#[derive(Debug)]
pub struct Journal(File);

impl Journal {
    /// Opens a journal, and goes on with what is in it.
    ///
    /// # Errors
    ///
    /// The error of the system.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self(file))
    }

    /// Writes a line, which is there from then on, whatever becomes of this process.
    ///
    /// # Panics
    ///
    /// When the disk is full: no later entry could be trusted.
    pub fn line(&self, line: &str) {
        // One write, so that a line is there as a whole or not at all.
        if let Err(error) = (&self.0).write_all(format!("{line}\n").as_bytes()) {
            panic!("the journal cannot be written: {error}");
        }
    }

    /// The entries of a journal, each line cut into its words.
    ///
    /// # Errors
    ///
    /// The error of the system.
    pub fn read(path: &Path) -> io::Result<Vec<Vec<String>>> {
        let text = std::fs::read_to_string(path)?;
        Ok(text
            .lines()
            .map(|line| line.split(' ').map(str::to_owned).collect())
            .collect())
    }
}
