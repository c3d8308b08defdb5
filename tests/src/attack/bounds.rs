//! What an attack may cost, and what it did.

use std::{fmt, time::Duration};

use super::{KIB, Latency, MIB};

/// What an attack may cost in addition to what there was before, at any moment of it.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes of memory in use.
    pub memory: u64,
    /// Log lines.
    pub lines: u64,
    /// Open files.
    pub descriptors: u64,
}

impl Default for Bounds {
    /// 8 MiB, 20 lines and 20 descriptors.
    fn default() -> Self {
        Self {
            memory: 8 * MIB,
            lines: 20,
            descriptors: 20,
        }
    }
}

/// What an attack did cost.
#[derive(Debug)]
pub struct Report {
    /// Its name.
    pub name: String,
    /// How long it took.
    pub lasted: Duration,
    /// Well-behaved calls before it.
    pub before: Latency,
    /// Well-behaved calls during it.
    pub during: Latency,
    /// Calls to a server that nobody attacked, during it.
    pub control: Latency,
    /// The peak of the memory in use, beyond what was in use before.
    pub memory: u64,
    /// What was in use at the end, beyond what was in use before.
    pub memory_kept: u64,
    /// Log lines.
    pub lines: u64,
    /// The most files open at once, beyond those before.
    pub descriptors: u64,
    /// Processor time of the process that was attacked, with what its well-behaved calls cost.
    pub processor: Duration,
    /// How many times as long the process took as where it had not waited for a processor.
    pub slowdown: f64,
    /// Processor time of all attackers.
    pub attackers_processor: Duration,
    /// Bytes that the attackers sent.
    pub sent: u64,
    /// The last lines of the log.
    pub log: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} KiB sent, {} ms of processor, in {} ms | others {}, before {}, elsewhere {} | \
             {} KiB ({} KiB at the end), {} ms of processor in {:.1} times as long, {} lines, {} descriptors",
            self.name,
            self.sent / KIB,
            self.attackers_processor.as_millis(),
            self.lasted.as_millis(),
            self.during,
            self.before,
            self.control,
            self.memory / KIB,
            self.memory_kept / KIB,
            self.processor.as_millis(),
            self.slowdown,
            self.lines,
            self.descriptors,
        )
    }
}

impl Report {
    /// Prints the figures, and fails where one is above its bound. `Err` where nothing is wrong but that others have waited
    /// too long.
    #[expect(clippy::print_stdout, reason = "what was measured is worth a look")]
    pub(super) fn check(self, bounds: &Bounds) -> Result<Self, Late> {
        println!("{self}");
        let mut faults = Vec::new();
        for (what, is, allowed) in [
            ("bytes of memory", self.memory, bounds.memory),
            ("log lines", self.lines, bounds.lines),
            ("descriptors", self.descriptors, bounds.descriptors),
        ] {
            if is > allowed {
                faults.push(format!("{is} {what}, {allowed} are allowed"));
            }
        }
        assert!(faults.is_empty(), "{self}\n{faults:#?}\n{:#?}", self.log);
        let bound = Latency::bound(&self.before, &self.control, self.slowdown);
        if self.during.p99 > bound {
            return Err(Late(format!(
                "{self}\nothers wait {} ms, {} are allowed\n{:#?}",
                self.during.p99.as_millis(),
                bound.as_millis(),
                self.log
            )));
        }
        Ok(self)
    }
}

/// How often an attack is run in which others wait too long: something else on the machine may have held them up, which an
/// attack does each time.
const TRIES: usize = 3;

/// Others have waited too long, and how it was.
pub(super) struct Late(String);

impl Late {
    /// Runs an attack until others have not waited too long.
    ///
    /// # Panics
    ///
    /// Where they have each time.
    #[expect(clippy::print_stdout, reason = "what was measured is worth a look")]
    pub(super) fn unless(mut attack: impl FnMut() -> Result<Report, Self>) -> Report {
        for _ in 1..TRIES {
            match attack() {
                Ok(report) => return report,
                Err(Self(how)) => println!("{how}\nonce more"),
            }
        }
        match attack() {
            Ok(report) => report,
            Err(Self(how)) => panic!("{how}"),
        }
    }
}
