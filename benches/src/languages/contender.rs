//! Programs of other languages, and their processes.

use std::{
    ffi::OsString,
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use super::TrialError;
use crate::usage;

/// How long a client may take: it calls 10,000 times to warm up.
const PATIENCE: Duration = Duration::from_secs(300);

/// A program with the first of its arguments.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) path: OsString,
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(&'static str, OsString)>,
}

impl Program {
    /// The same, with one more argument.
    pub(super) fn with(&self, argument: &str) -> Self {
        let mut program = self.clone();
        program.arguments.push(argument.into());
        program
    }

    /// Starts it with these further arguments.
    fn start(&self, arguments: &[&str]) -> Result<Process, TrialError> {
        let child = Command::new(&self.path)
            .args(&self.arguments)
            .args(arguments)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| TrialError::Start {
                program: self.path.clone(),
                source,
            })?;
        Ok(Process(child))
    }

    /// Runs it with these further arguments, and returns what it prints.
    pub(super) fn output(&self, arguments: &[&str]) -> Result<String, TrialError> {
        self.start(arguments)?.output()
    }
}

/// Encodes and decodes messages: `SECONDS`.
#[derive(Debug, Clone)]
pub(super) struct Encoder {
    pub(super) name: &'static str,
    pub(super) program: Program,
}

/// Talks over a network: `server`, which prints its port, or `client PORT LOAD AMOUNT WARM_UP`.
#[derive(Debug, Clone)]
pub(super) struct Contender {
    pub(super) name: &'static str,
    pub(super) program: Program,
}

/// What a client is asked for, in its own words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) load: &'a str,
    /// Seconds of calls, or a number of messages.
    pub(super) amount: f64,
    /// How many calls come first, without being counted.
    pub(super) warm_up: u32,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trial {
    /// What the client has printed: how many a second.
    pub(super) rate: f64,
    /// Processor time of both processes for one of them, without their start.
    pub(super) cost: Duration,
    /// How long the client ran.
    pub(super) took: Duration,
}

impl Contender {
    /// Runs a server, and a client under one load.
    pub(super) fn trial(&self, ask: Ask<'_>) -> Result<Trial, TrialError> {
        let mut server = self.program.start(&["server"])?;
        let port = server.line()?;
        let before = usage::processor_time(server.0.id())?;
        let begun = Instant::now();
        let said = self.program.output(&[
            "client",
            port.trim(),
            ask.load,
            &ask.amount.to_string(),
            &ask.warm_up.to_string(),
        ])?;
        let took = begun.elapsed();
        let after = usage::processor_time(server.0.id())?;
        let (rate, count, client): (f64, f64, f64) =
            serde_json::from_str(&said).map_err(|source| TrialError::Output { said, source })?;
        let seconds = client + after.saturating_sub(before).as_secs_f64();
        Ok(Trial {
            rate,
            cost: Duration::from_secs_f64(seconds / count.max(1.0)),
            took,
        })
    }
}

/// A process, killed on drop.
struct Process(Child);

impl Process {
    /// The first line that it prints.
    fn line(&mut self) -> Result<String, TrialError> {
        let mut line = String::new();
        if let Some(out) = &mut self.0.stdout {
            // Nothing but this line is printed.
            BufReader::new(out).read_line(&mut line)?;
        }
        if line.is_empty() {
            return Err(TrialError::NoServer);
        }
        Ok(line)
    }

    /// Lets it run until it ends, and returns what it has printed.
    fn output(mut self) -> Result<String, TrialError> {
        let (sender, receiver) = mpsc::channel();
        let out = self.0.stdout.take();
        let reader = thread::spawn(move || {
            let mut said = String::new();
            let read = out.map_or(Ok(0), |mut out| out.read_to_string(&mut said));
            // Nobody waits for it any more if it took too long.
            let _ = sender.send(read.map(|_| said));
        });
        let said = receiver.recv_timeout(PATIENCE);
        if said.is_err() {
            self.0.kill()?;
        }
        // It ends with the process's output.
        let _ = reader.join();
        let status = self.0.wait()?;
        let said = said.map_err(|_| TrialError::TooLong(PATIENCE))??;
        if !status.success() {
            return Err(TrialError::Failed(status));
        }
        Ok(said)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A server is not asked to end well: the trial is over.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
