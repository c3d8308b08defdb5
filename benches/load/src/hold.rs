//! Waiting until the process that started this one has measured.

use std::{
    io::{self, Read as _, Write as _},
    thread,
};

use tokio::sync::oneshot;

use crate::Failure;

/// Lets a client wait, with all that it has open, until whoever started it has looked at the server.
#[derive(Debug)]
pub struct Hold(());

impl Hold {
    /// For the process that drives the load.
    pub(crate) fn new() -> Self {
        Self(())
    }

    /// Says that all is as it should be looked at, and waits until that is done.
    ///
    /// # Errors
    ///
    /// Nobody listens.
    pub async fn until_released(&mut self) -> Result<(), Failure> {
        writeln!(io::stdout(), "holding")?;
        // Nobody there any more says the same.
        let _ = input_closed().await;
        Ok(())
    }
}

/// Resolves when whoever started this process closes its standard input, or dies.
pub(crate) fn input_closed() -> oneshot::Receiver<()> {
    let (ended, when) = oneshot::channel();
    // A thread of its own, which ends with the process: the runtime's would keep it from shutting down.
    thread::spawn(move || {
        let mut rest = Vec::new();
        let _ = io::stdin().read_to_end(&mut rest);
        let _ = ended.send(());
    });
    when
}
