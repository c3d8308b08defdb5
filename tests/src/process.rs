//! A server in a process of its own.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    task::JoinHandle,
};

use crate::soon;

/// A `lab-server` that runs, and what it writes. It is killed when this is dropped.
#[derive(Debug)]
pub struct ServerProcess {
    /// Where it listens.
    pub url: String,
    /// The process.
    pub child: Child,
    output: Lines<BufReader<ChildStdout>>,
}

impl ServerProcess {
    /// Starts the server, and waits until it listens.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub async fn start(mut command: Command) -> Self {
        let spawned = command.stdout(Stdio::piped()).kill_on_drop(true).spawn();
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => panic!("{command:?}: {error}"),
        };
        let Some(stdout) = child.stdout.take() else {
            panic!("standard output is piped");
        };
        let mut process = Self {
            url: String::new(),
            child,
            output: BufReader::new(stdout).lines(),
        };
        while process.url.contains(' ') || !process.url.contains("://") {
            process.url = process.line("an address").await;
        }
        process
    }

    /// `127.0.0.1:4000` of `tcp://127.0.0.1:4000?max_calls=1`.
    #[must_use]
    pub fn address(&self) -> &str {
        let address = self.url.trim_start_matches("tcp://");
        address.split('?').next().unwrap_or(address)
    }

    /// The next line that it writes; `what` says what the test waits for.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub async fn line(&mut self, what: &str) -> String {
        match soon(what, self.output.next_line()).await {
            Ok(Some(line)) => line,
            Ok(None) => panic!("the server ended before {what}"),
            Err(error) => panic!("{error}"),
        }
    }

    /// All lines up to one that holds this text.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub async fn lines_until(&mut self, what: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            lines.push(self.line(what).await);
            if lines.last().is_some_and(|line| line.contains(what)) {
                return lines;
            }
        }
    }

    /// Reads and drops what it writes from here on, so that it never waits for a reader.
    #[must_use]
    pub fn unread(self) -> (Child, JoinHandle<()>) {
        let mut output = self.output;
        let reading =
            tokio::spawn(async move { while let Ok(Some(_)) = output.next_line().await {} });
        (self.child, reading)
    }
}
