//! What a process uses, as the kernel counts it.

use std::{fs, io, time::Duration};

/// The kernel counts processor time in hundredths of a second in `/proc`, whatever its own clock is.
const TICKS: u64 = 100;

/// The processor time of a process since it began.
pub(crate) fn processor_time(id: u32) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The second field is the program's name in parentheses, and may hold anything.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Ok(Duration::from_millis(ticks * 1000 / TICKS))
}

/// The resident memory of a process, in bytes.
pub(crate) fn memory(id: u32) -> io::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok())
        .ok_or(io::ErrorKind::NotFound)?;
    Ok(kib * 1024.0)
}
