//! Waiting until the process that started this one has measured.

use std::{
    io::{self, Read as _, Write as _},
    thread,
};

use tokio::sync::oneshot;

use crate::Failure;

/// Keeps a client waiting, with its connections open, until the parent process has measured the server.
#[derive(Debug)]
pub struct Hold(());

impl Hold {
    /// The hold of the process that drives the load.
    pub(crate) fn new() -> Self {
        Self(())
    }

    /// Reports that the server can be measured, and waits until it was.
    ///
    /// # Errors
    ///
    /// Standard output is closed.
    pub async fn until_released(&mut self) -> Result<(), Failure> {
        writeln!(io::stdout(), "holding")?;
        // An error means the same: the parent process has ended.
        let _ = input_closed().await;
        Ok(())
    }
}

/// Resolves when the parent process closes the standard input of this one, or ends.
pub(crate) fn input_closed() -> oneshot::Receiver<()> {
    let (ended, when) = oneshot::channel();
    // On a thread of its own, which ends with the process; a thread of the runtime would delay its shutdown.
    thread::spawn(move || {
        let mut rest = Vec::new();
        let _ = io::stdin().read_to_end(&mut rest);
        let _ = ended.send(());
    });
    when
}
