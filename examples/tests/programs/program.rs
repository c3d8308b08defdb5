//! A process under test: its lines are events, and nothing waits for the clock.

use std::{
    io::{BufRead as _, BufReader, Read, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::Duration,
};

/// How long a line may take that must come: long enough for any machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A running program. Dropped, it is killed.
pub(crate) struct Program {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    /// Everything it has said, for the text of a failure.
    said: Vec<String>,
}

/// Sends a signal to a process.
#[cfg(unix)]
pub(crate) fn signal(child: &Child, signal: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args([signal, &pid]).status();
    assert!(sent.is_ok_and(|status| status.success()), "{signal} {pid}");
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// Output that was not read yet.
    pub(crate) rest: Vec<String>,
}

impl Program {
    /// Starts a program, with its input, output and complaints in our hands.
    pub(crate) fn start(name: &str, path: &str, args: &[&str]) -> Self {
        let mut child = Command::new(path)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        let (sender, lines) = channel();
        read(child.stdout.take().expect("piped"), sender.clone());
        read(child.stderr.take().expect("piped"), sender);
        Self {
            name: name.to_owned(),
            stdin: child.stdin.take(),
            child,
            lines,
            said: Vec::new(),
        }
    }

    /// The next line that contains `what`; those before it are skipped.
    pub(crate) fn until(&mut self, what: &str) -> String {
        loop {
            match self.lines.recv_timeout(SOON) {
                Ok(line) => {
                    self.said.push(line.clone());
                    if line.contains(what) {
                        return line;
                    }
                }
                Err(error) => panic!("{}: no `{what}` ({error}) in {:#?}", self.name, self.said),
            }
        }
    }

    /// Types a line.
    pub(crate) fn type_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("the input is open");
        writeln!(stdin, "{line}").unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }

    /// Closes its input.
    pub(crate) fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Kills it, as `kill -9` does.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Presses Ctrl-C.
    #[cfg(unix)]
    pub(crate) fn interrupt(&self) {
        signal(&self.child, "-INT");
    }

    /// Asks it to end, as `kill` does.
    #[cfg(unix)]
    pub(crate) fn terminate(&self) {
        signal(&self.child, "-TERM");
    }

    /// Waits until it ends by itself.
    pub(crate) fn ended(mut self) -> Ended {
        let mut rest = Vec::new();
        loop {
            match self.lines.recv_timeout(SOON) {
                Ok(line) => rest.push(line),
                // Both outputs are closed.
                Err(RecvTimeoutError::Disconnected) => break,
                Err(error) => panic!(
                    "{} does not end ({error}): {:#?}, {rest:#?}",
                    self.name, self.said
                ),
            }
        }
        let status = self.child.wait().expect("it can be waited for");
        Ended {
            code: status.code(),
            rest,
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(output: impl Read + Send + 'static, lines: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
}
