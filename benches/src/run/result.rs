//! What was measured.

use msip_load::{Load, Percentiles};
use serde::{Deserialize, Serialize};

use super::process::Bout;

/// The median of what one contender did under one load.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Who.
    pub(crate) contender: String,
    /// The worker threads of each process; 0 is `current_thread`.
    pub(crate) workers: usize,
    /// Under which load.
    pub(crate) load: Load,
    /// Messages per second.
    pub(crate) rate: f64,
    /// The slowest and the fastest repetition.
    pub(crate) rate_range: (f64, f64),
    /// Seconds of processor time per million messages, both processes.
    pub(crate) cpu: f64,
    /// The server's part of that.
    pub(crate) server_cpu: f64,
    /// How many repetitions failed: a message was lost or wrong, or the contender gave up.
    pub(crate) failed: usize,
    /// How long answers took, in the repetition of median p50.
    pub(crate) latency: Option<Percentiles>,
}

impl Measured {
    pub(super) fn median(
        contender: &str,
        workers: usize,
        load: Load,
        bouts: &[Option<Bout>],
    ) -> Self {
        let failed = bouts.iter().filter(|bout| bout.is_none()).count();
        let bouts: Vec<Bout> = bouts.iter().copied().flatten().collect();
        let per_million = |bout: &Bout, seconds: f64| {
            #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 messages")]
            let messages = bout.outcome.messages.max(1) as f64;
            seconds * 1e6 / messages
        };
        let rates = sorted(bouts.iter().map(|bout| bout.outcome.rate()));
        let cpu = bouts
            .iter()
            .map(|b| per_million(b, b.server_cpu + b.client_cpu));
        let server_cpu = bouts.iter().map(|b| per_million(b, b.server_cpu));
        let mut latencies: Vec<_> = bouts.iter().filter_map(|b| b.outcome.latency).collect();
        latencies.sort_by(|a, b| a.p50.total_cmp(&b.p50));
        Self {
            contender: contender.to_owned(),
            workers,
            load,
            rate: middle(&rates),
            rate_range: (
                rates.first().copied().unwrap_or(f64::NAN),
                rates.last().copied().unwrap_or(f64::NAN),
            ),
            cpu: middle(&sorted(cpu)),
            server_cpu: middle(&sorted(server_cpu)),
            failed,
            latency: latencies.get(latencies.len() / 2).copied(),
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
