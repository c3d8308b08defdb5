//! The result of one measurement.

use std::{fs, path::Path};

use msip_load::{Load, Percentiles};
use serde::{Deserialize, Serialize};

use super::{
    plan::{Chapter, Round},
    process::Trial,
};
use crate::problem::Problem;

/// All that one run has measured, and where.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The processors.
    pub(crate) processor: String,
    /// How many of them.
    pub(crate) processors: usize,
    /// The kernel.
    pub(crate) system: String,
    /// How much else the machine did when the run began: its load average.
    pub(crate) busy: f64,
    /// How often each contender met each load, and for how long, where that is not the default.
    pub(crate) shortened: Option<String>,
    /// Row by row.
    pub(crate) measured: Vec<Measured>,
}

impl Report {
    pub(crate) fn new(shortened: Option<String>) -> Result<Self, Problem> {
        let read = |path: &str| fs::read_to_string(path).map_err(Problem::Process);
        let cpuinfo = read("/proc/cpuinfo")?;
        let name = cpuinfo.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == "model name").then(|| value.trim().to_owned())
        });
        Ok(Self {
            processor: name.unwrap_or_else(|| "unknown".to_owned()),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            system: format!("Linux {}", read("/proc/sys/kernel/osrelease")?.trim()),
            busy: read("/proc/loadavg")?
                .split_whitespace()
                .next()
                .and_then(|average| average.parse().ok())
                .unwrap_or(f64::NAN),
            shortened,
            measured: Vec::new(),
        })
    }

    /// Writes it as JSON.
    pub(super) fn write(&self, path: &Path) -> Result<(), Problem> {
        let text = serde_json::to_string_pretty(self).map_err(Problem::Json)?;
        fs::write(path, text + "\n").map_err(|source| Problem::File {
            path: path.to_owned(),
            source,
        })
    }
}

/// The median of what one contender did under one load.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// The part of the report.
    pub(crate) chapter: Chapter,
    /// Who.
    pub(crate) contender: String,
    /// The worker threads of each process; 0 is `current_thread`.
    pub(crate) workers: usize,
    /// Under which load.
    pub(crate) load: Load,
    /// How many repetitions failed: a message was lost or wrong, or the contender gave up.
    pub(crate) failed: usize,
    /// What the others came to. Nothing where all failed.
    pub(crate) median: Option<Median>,
}

/// What the repetitions came to.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Median {
    /// Messages per second.
    pub(crate) rate: f64,
    /// The slowest and the fastest repetition.
    pub(crate) rate_range: (f64, f64),
    /// Seconds of processor time per million messages, both processes.
    pub(crate) cpu: f64,
    /// The server's part of that.
    pub(crate) server_cpu: f64,
    /// How long answers took, in the repetition of median p99.
    pub(crate) latency: Option<Percentiles>,
    /// What a connection takes of the server's resident memory, in bytes.
    pub(crate) memory: Option<f64>,
    /// Calls into the kernel for each message, both processes.
    pub(crate) syscalls: Option<f64>,
    /// Large messages per second, alongside the calls.
    pub(crate) bulk_rate: Option<f64>,
}

impl Measured {
    pub(super) fn median(contender: &str, round: &Round, trials: &[Option<Trial>]) -> Self {
        let failed = trials.iter().filter(|trial| trial.is_none()).count();
        let trials: Vec<Trial> = trials.iter().copied().flatten().collect();
        Self {
            chapter: round.chapter,
            contender: contender.to_owned(),
            workers: round.workers,
            load: round.load,
            failed,
            median: (!trials.is_empty()).then(|| Median::of(&trials)),
        }
    }
}

impl Median {
    fn of(trials: &[Trial]) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 messages")]
        let count = |count: u64| count.max(1) as f64;
        let median = |value: &dyn Fn(&Trial) -> f64| middle(&sorted(trials.iter().map(value)));
        let rates = sorted(trials.iter().map(|trial| trial.outcome.rate()));
        let mut latencies: Vec<_> = trials.iter().filter_map(|b| b.outcome.latency).collect();
        latencies.sort_by(|a, b| a.p99.total_cmp(&b.p99));
        let has = |is: fn(&Trial) -> bool| trials.iter().all(is);
        Self {
            rate: middle(&rates),
            rate_range: (
                rates.first().copied().unwrap_or(f64::NAN),
                rates.last().copied().unwrap_or(f64::NAN),
            ),
            cpu: median(&|b| (b.server_cpu + b.client_cpu) * 1e6 / count(b.outcome.messages)),
            server_cpu: median(&|b| b.server_cpu * 1e6 / count(b.outcome.messages)),
            latency: latencies.get(latencies.len() / 2).copied(),
            memory: has(|b| b.memory.is_some())
                .then(|| median(&|b| b.memory.unwrap_or(f64::NAN) / count(b.outcome.messages))),
            syscalls: None,
            bulk_rate: has(|b| b.outcome.bulk > 0)
                .then(|| median(&|b| count(b.outcome.bulk) / b.outcome.seconds)),
        }
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The middle of what is sorted; of two middles their mean.
fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    match sorted {
        [] => f64::NAN,
        _ if sorted.len().is_multiple_of(2) => f64::midpoint(sorted[half - 1], sorted[half]),
        _ => sorted[half],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_the_median() {
        assert!(middle(&[]).is_nan());
        assert!((middle(&[3.0]) - 3.0).abs() < f64::EPSILON);
        assert!((middle(&[1.0, 2.0, 9.0]) - 2.0).abs() < f64::EPSILON);
        assert!((middle(&[1.0, 2.0, 4.0, 9.0]) - 3.0).abs() < f64::EPSILON);
    }
}
