//! What a process uses, as Linux counts it.

use std::{fs, io, time::Duration};

use crate::memory::Memory;

/// What a process uses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    pub(super) memory: Memory,
    pub(super) processor: Processor,
}

impl Usage {
    /// That of the process with this id.
    pub(super) fn of(process: u32) -> io::Result<Self> {
        Ok(Self {
            memory: Memory::of(process)?,
            processor: Processor::of(process)?,
        })
    }
}

/// The time that threads have had a processor, and have waited for one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Processor {
    pub(super) used: Duration,
    pub(super) waited: Duration,
}

impl Processor {
    /// That of the threads that a process has.
    fn of(process: u32) -> io::Result<Self> {
        let mut all = Self::default();
        for thread in fs::read_dir(format!("/proc/{process}/task"))? {
            // It may have ended meanwhile.
            if let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) {
                let thread = Self::parse(&text);
                all.used += thread.used;
                all.waited += thread.waited;
            }
        }
        Ok(all)
    }

    /// That of the thread that asks.
    pub(super) fn of_this_thread() -> io::Result<Self> {
        fs::read_to_string("/proc/thread-self/schedstat").map(|text| Self::parse(&text))
    }

    /// Nanoseconds, as many fields as there are.
    fn parse(schedstat: &str) -> Self {
        let mut fields = schedstat.split_whitespace();
        let mut time = || {
            let field = fields.next().and_then(|field| field.parse().ok());
            Duration::from_nanos(field.unwrap_or_default())
        };
        Self {
            used: time(),
            waited: time(),
        }
    }

    pub(super) fn since(self, before: Self) -> Self {
        Self {
            used: self.used.saturating_sub(before.used),
            waited: self.waited.saturating_sub(before.waited),
        }
    }

    /// How many times as long everything took as on a machine with nothing else to do.
    pub(super) fn slowdown(self) -> f64 {
        let used = self.used.as_secs_f64().max(0.001);
        (used + self.waited.as_secs_f64()) / used
    }
}

/// How many files a process has open.
pub(super) fn descriptors(process: u32) -> io::Result<u64> {
    Ok(fs::read_dir(format!("/proc/{process}/fd"))?
        .map(|_| 1)
        .sum())
}
