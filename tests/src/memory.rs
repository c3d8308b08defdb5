//! The memory of a process, as Linux counts it.

use std::{fs, io};

/// The memory of a process, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// What is in use.
    pub resident: u64,
    /// The most that was in use at once, since the process began or [`Memory::forget_peak`].
    pub peak: u64,
    /// What was asked for, though nothing may have been written to it.
    pub reserved: u64,
}

impl Memory {
    /// That of the process with this id.
    ///
    /// # Errors
    ///
    /// Where there is no such process, or no Linux.
    pub fn of(process: u32) -> io::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let bytes = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name));
            let kib = line.and_then(|line| line.split_whitespace().nth(1));
            let kib: Option<u64> = kib.and_then(|kib| kib.parse().ok());
            kib.map(|kib| kib * 1024)
                .ok_or_else(|| io::Error::other(format!("no {name} in the status")))
        };
        Ok(Self {
            resident: bytes("VmRSS:")?,
            peak: bytes("VmHWM:")?,
            reserved: bytes("VmData:")?,
        })
    }

    /// Begins the peak of a process anew.
    ///
    /// # Errors
    ///
    /// Where there is no such process, or it is another user's.
    pub fn forget_peak(process: u32) -> io::Result<()> {
        fs::write(format!("/proc/{process}/clear_refs"), "5")
    }
}
