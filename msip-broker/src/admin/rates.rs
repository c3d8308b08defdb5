//! Messages a second, lately.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Json,
    extract::{Query, State},
};
use serde::Serialize;

use super::{Shared, query::NoQuery};
use crate::router::Totals;

/// How often what was counted is looked at.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

/// How many looks are remembered: those of a minute, and the one before.
const KEPT: usize = 61;

/// The spans over which rates are told, in seconds.
const SPANS: [u32; 3] = [1, 10, 60];

/// What was counted at a moment.
#[derive(Debug, Clone, Copy, Default)]
struct Sample {
    at: Duration,
    published: u64,
    queued: u64,
    dropped: u64,
}

/// What was counted at each second of the last minute.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<VecDeque<Sample>>);

/// Messages a second over one span.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Rate {
    /// Over so many seconds: fewer where the broker is younger.
    over_seconds: f64,
    published: f64,
    queued: f64,
    dropped: f64,
}

impl Rates {
    /// Notes what was counted until now.
    pub(crate) fn sample(&self, at: Duration, totals: &Totals) {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() == KEPT {
            samples.pop_front();
        }
        samples.push_back(Sample {
            at,
            published: totals.published,
            queued: totals.queued,
            dropped: totals.dropped,
        });
    }

    fn over(&self, seconds: u32) -> Rate {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = samples.back().copied().unwrap_or_default();
        let count = samples.len();
        let span = usize::try_from(seconds).unwrap_or(KEPT);
        let first = samples.get(count.saturating_sub(span + 1)).copied();
        let first = first.unwrap_or_default();
        let over_seconds = last.at.saturating_sub(first.at).as_secs_f64();
        let rate = |last: u64, first: u64| match over_seconds > 0.0 {
            #[expect(clippy::cast_precision_loss, reason = "people read it")]
            true => last.saturating_sub(first) as f64 / over_seconds,
            false => 0.0,
        };
        Rate {
            over_seconds,
            published: rate(last.published, first.published),
            queued: rate(last.queued, first.queued),
            dropped: rate(last.dropped, first.dropped),
        }
    }
}

pub(super) async fn page(State(admin): Shared, _: Query<NoQuery>) -> Json<Vec<Rate>> {
    Json(SPANS.map(|seconds| admin.rates.over(seconds)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_last_seconds() {
        let rates = Rates::default();
        assert_eq!(rates.over(10).published, 0.0);
        for second in 0..100 {
            let totals = Totals {
                published: if second < 95 { 0 } else { (second - 94) * 10 },
                queued: second * 3,
                ..Totals::default()
            };
            rates.sample(Duration::from_secs(second), &totals);
        }
        let published = SPANS.map(|seconds| rates.over(seconds).published);
        assert_eq!(published, [10.0, 5.0, 50.0 / 60.0]);
        assert_eq!(rates.over(60).queued, 3.0);
        assert_eq!(rates.over(60).over_seconds, 60.0);
    }
}
