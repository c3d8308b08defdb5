//! A token bucket: how often a peer may send what only costs us.

use std::time::Duration;

/// Allows a burst, and then so many a second.
#[derive(Debug)]
pub(super) struct TokenBucket {
    tokens: u32,
    burst: u32,
    per_second: u32,
    refilled: Duration,
}

impl TokenBucket {
    pub(super) fn new(burst: u32, per_second: u32, now: Duration) -> Self {
        Self {
            tokens: burst,
            burst,
            per_second,
            refilled: now,
        }
    }

    /// Takes one token; `false` where none is left.
    #[must_use]
    pub(super) fn take(&mut self, now: Duration) -> bool {
        let elapsed = now.saturating_sub(self.refilled);
        let refill = elapsed
            .as_millis()
            .saturating_mul(u128::from(self.per_second))
            / 1000;
        if refill > 0 {
            self.tokens = self
                .tokens
                .saturating_add(u32::try_from(refill).unwrap_or(u32::MAX))
                .min(self.burst);
            self.refilled = now;
        }
        match self.tokens.checked_sub(1) {
            Some(left) => {
                self.tokens = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let mut token_bucket = TokenBucket::new(3, 10, Duration::ZERO);
        let taken = (0..5).filter(|_| token_bucket.take(Duration::ZERO)).count();
        assert_eq!(taken, 3);
        assert!(token_bucket.take(Duration::from_millis(100)));
        assert!(!token_bucket.take(Duration::from_millis(100)));
        let taken = (0..100)
            .filter(|_| token_bucket.take(Duration::from_secs(60)))
            .count();
        assert_eq!(taken, 3, "never more than the burst");
    }
}
