//! What a process uses, as Linux counts it.

use std::{fs, io, time::Duration};

use crate::memory::Memory;

/// The unit of processor time in `/proc`, on every architecture that Linux has today.
const TICK: Duration = Duration::from_millis(10);

/// What a process uses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    pub(super) memory: Memory,
    pub(super) processor: Duration,
}

impl Usage {
    /// That of the process with this id.
    pub(super) fn of(process: u32) -> io::Result<Self> {
        Ok(Self {
            memory: Memory::of(process)?,
            processor: processor(&format!("/proc/{process}/stat"))?,
        })
    }
}

/// How many files a process has open.
pub(super) fn descriptors(process: u32) -> io::Result<u64> {
    Ok(fs::read_dir(format!("/proc/{process}/fd"))?
        .map(|_| 1)
        .sum())
}

/// The processor time of the thread that asks.
pub(super) fn processor_of_this_thread() -> io::Result<Duration> {
    processor("/proc/thread-self/stat")
}

fn processor(path: &str) -> io::Result<Duration> {
    let stat = fs::read_to_string(path)?;
    // The name, which may hold anything, ends with the last bracket; user and system time are the 12th and 13th field after.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u32 = ticks.filter_map(|ticks| ticks.parse::<u32>().ok()).sum();
    Ok(TICK * ticks)
}
