//! A histogram of latencies.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Buckets per doubling: a percentile is right to 1.6 %.
const STEPS: u32 = 64;
const STEP_BITS: u32 = STEPS.ilog2();

/// A histogram of durations, in buckets that grow with what they hold.
#[derive(Debug, Clone)]
pub struct Latency {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            counts: vec![0; (64 * STEPS) as usize],
            total: 0,
            max: 0,
        }
    }
}

impl Latency {
    /// Counts one.
    pub fn record(&mut self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(nanos)] += 1;
        self.total += 1;
        self.max = self.max.max(nanos);
    }

    /// Adds what another has counted.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The usual percentiles, or nothing where nothing was counted.
    #[must_use]
    pub fn percentiles(&self) -> Option<Percentiles> {
        (self.total > 0).then(|| Percentiles {
            p50: self.quantile(0.5),
            p99: self.quantile(0.99),
            p999: self.quantile(0.999),
            max: micros(self.max),
        })
    }

    fn quantile(&self, part: f64) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank among far fewer than 2^52"
        )]
        let rank = (self.total as f64 * part).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank.max(1) {
                return micros(middle(index).min(self.max));
            }
        }
        micros(self.max)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a duration of far less than 2^52 ns"
)]
fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1000.0
}

/// Values below `STEPS` have a bucket each; above, each doubling has `STEPS`.
fn bucket(nanos: u64) -> usize {
    if nanos < u64::from(STEPS) {
        return usize::try_from(nanos).unwrap_or(0);
    }
    let exponent = nanos.ilog2() - STEP_BITS;
    let step = (nanos >> exponent) - u64::from(STEPS);
    (exponent as usize + 1) * STEPS as usize + usize::try_from(step).unwrap_or(0)
}

/// The middle of a bucket.
fn middle(index: usize) -> u64 {
    let steps = STEPS as usize;
    if index < steps {
        return index as u64;
    }
    let exponent = index / steps - 1;
    let low = ((index % steps + steps) as u64) << exponent;
    low + ((1_u64 << exponent) >> 1)
}

/// Percentiles, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// Half were faster.
    pub p50: f64,
    /// 99 of 100 were faster.
    pub p99: f64,
    /// 999 of 1,000 were faster.
    pub p999: f64,
    /// The slowest.
    pub max: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_close() {
        let mut latency = Latency::default();
        assert_eq!(latency.percentiles(), None);
        for micros in 1..=1000 {
            latency.record(Duration::from_micros(micros));
        }
        let mut twice = latency.clone();
        twice.merge(&latency);
        for latency in [latency, twice] {
            let found = latency.percentiles().expect("1,000 were counted");
            for (found, expected) in [(found.p50, 500.0), (found.p99, 990.0), (found.p999, 999.0)] {
                assert!(
                    (found - expected).abs() / expected < 0.016,
                    "{found} for {expected}"
                );
            }
            assert!((found.max - 1000.0).abs() < f64::EPSILON);
        }
    }

    #[test]
    fn every_value_is_in_its_bucket() {
        for shift in 0..63 {
            for nanos in [(1_u64 << shift) - 1, 1 << shift, (1 << shift) + 1] {
                let near = middle(bucket(nanos));
                assert!(
                    near.abs_diff(nanos) <= nanos / u64::from(STEPS),
                    "{nanos} became {near}"
                );
            }
        }
    }
}
