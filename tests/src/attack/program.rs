//! A program of this package in a process of its own.

use std::{
    collections::VecDeque,
    io::{BufRead as _, BufReader, pipe},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use super::usage::{self, Usage};

/// How many lines are kept: the last ones.
const KEPT: usize = 1000;

#[derive(Debug, Default)]
struct Written {
    count: u64,
    last: VecDeque<String>,
    has_ended: bool,
}

/// What a program has written, a line at a time.
#[derive(Debug, Default)]
struct Lines {
    written: Mutex<Written>,
    changed: Condvar,
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A program that runs. It ends when this is dropped, and when the process of the test ends.
#[derive(Debug)]
pub(super) struct Program {
    child: Child,
    lines: Arc<Lines>,
    reading: Option<JoinHandle<()>>,
}

impl Program {
    /// Starts a program, and returns once it has written a line that begins so, with this line. What `takes` says is its
    /// own is not a line of its log.
    ///
    /// # Panics
    ///
    /// Where there is no such program, or it ends before.
    pub(super) fn start(
        name: &str,
        args: &[&str],
        ready: &str,
        takes: impl Fn(&str) -> bool + Send + 'static,
    ) -> (Self, String) {
        let mut command = Command::new(built(name));
        command.args(args);
        // It ends with the end of this, however the process of the test ends.
        command.arg("--until-stdin-ends").stdin(Stdio::piped());
        Self::spawn(command, ready, takes, false)
    }

    /// Starts a broker, which is the program at this path; its log is all that it writes.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub(super) fn start_broker(path: &str, args: &[&str]) -> (Self, String) {
        let mut command = Command::new(path);
        command.args(args).stdin(Stdio::null());
        let (program, line) = Self::spawn(command, "listening on ", |_| false, true);
        (program, line.trim_start_matches("listening on ").to_owned())
    }

    fn spawn(
        mut command: Command,
        ready: &str,
        takes: impl Fn(&str) -> bool + Send + 'static,
        with_errors: bool,
    ) -> (Self, String) {
        let piped = pipe().and_then(|(output, input)| {
            if with_errors {
                command.stderr(input.try_clone()?);
            }
            let child = command.stdout(input).spawn()?;
            Ok((child, output))
        });
        let (child, output) = match piped {
            Ok(started) => started,
            Err(error) => panic!("{command:?}: {error}"),
        };
        // It keeps the other end of the pipe, which would never end.
        drop(command);
        let lines = Arc::<Lines>::default();
        let reading = std::thread::spawn({
            let lines = Arc::clone(&lines);
            move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if takes(&line) {
                        continue;
                    }
                    let mut written = lines.lock();
                    written.count += 1;
                    if written.last.len() == KEPT {
                        written.last.pop_front();
                    }
                    written.last.push_back(line);
                    lines.changed.notify_all();
                }
                lines.lock().has_ended = true;
                lines.changed.notify_all();
            }
        });
        let program = Self {
            child,
            lines,
            reading: Some(reading),
        };
        let line = program.wait_for_line(ready);
        (program, line)
    }

    fn wait_for_line(&self, ready: &str) -> String {
        let find = |written: &Written| written.last.iter().find(|l| l.starts_with(ready)).cloned();
        let waited = self.lines.changed.wait_timeout_while(
            self.lines.lock(),
            Duration::from_secs(60),
            |written| !written.has_ended && find(written).is_none(),
        );
        let (written, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match find(&written) {
            Some(line) => line,
            None => panic!("no line `{ready}`: {:#?}", written.last),
        }
    }

    /// How many lines it has written.
    pub(super) fn line_count(&self) -> u64 {
        self.lines.lock().count
    }

    /// What it uses.
    ///
    /// # Panics
    ///
    /// Where it has ended.
    pub(super) fn usage(&self) -> Usage {
        self.running(Usage::of(self.child.id()))
    }

    /// How many files it has open.
    ///
    /// # Panics
    ///
    /// Where it has ended.
    pub(super) fn descriptors(&self) -> u64 {
        self.running(usage::descriptors(self.child.id()))
    }

    /// Begins the peak of its memory anew.
    ///
    /// # Panics
    ///
    /// Where it has ended.
    pub(super) fn forget_peak(&self) {
        self.running(crate::memory::Memory::forget_peak(self.child.id()));
    }

    fn running<T>(&self, result: std::io::Result<T>) -> T {
        match result {
            Ok(value) => value,
            Err(error) => panic!("it has ended ({error}): {:#?}", self.lines.lock().last),
        }
    }

    /// Ends it, and returns how many lines it has written in all, and the last ones.
    pub(super) fn end(mut self) -> (u64, Vec<String>) {
        self.kill();
        let written = self.lines.lock();
        (written.count, written.last.iter().cloned().collect())
    }

    fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reading) = self.reading.take() {
            let _ = reading.join();
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where cargo has put a program of this package: beside the folder of its tests.
fn built(name: &str) -> PathBuf {
    let path = std::env::current_exe().ok().and_then(|test| {
        let folder = test.parent()?.parent()?;
        Some(folder.join(name))
    });
    match path {
        Some(path) if path.is_file() => path,
        path => panic!("{name} is not there: {path:?}"),
    }
}
