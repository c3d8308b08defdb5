//! A broker, as a process that is attacked.

use super::program::Program;

/// A broker to be attacked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Broker {
    program: &'static str,
    arguments: &'static [&'static str],
}

impl Broker {
    /// The program at this path, with these arguments beside where it listens.
    pub(super) fn new(program: &'static str, arguments: &'static [&'static str]) -> Self {
        Self { program, arguments }
    }

    /// Starts one that listens there.
    pub(super) fn start(self, url: &str) -> (Program, String) {
        let args = [&["--listen", url], self.arguments].concat();
        Program::start_broker(self.program, &args)
    }
}
