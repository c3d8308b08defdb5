//! A token bucket: how often a peer may send what only costs us.

use std::time::Duration;

/// Allows a burst, and then so many a second.
///
/// Every session has some: the numbers are no part of it, and the time is in milliseconds.
#[derive(Debug)]
pub(super) struct TokenBucket<const BURST: u32, const PER_SECOND: u32> {
    tokens: u32,
    refilled_ms: u64,
}

impl<const BURST: u32, const PER_SECOND: u32> TokenBucket<BURST, PER_SECOND> {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            tokens: BURST,
            refilled_ms: in_ms(now),
        }
    }

    /// Takes one token; `false` where none is left.
    #[must_use]
    pub(super) fn take(&mut self, now: Duration) -> bool {
        let now_ms = in_ms(now);
        let elapsed = now_ms.saturating_sub(self.refilled_ms);
        let refill = elapsed.saturating_mul(PER_SECOND.into()) / 1000;
        if refill > 0 {
            self.tokens = self
                .tokens
                .saturating_add(u32::try_from(refill).unwrap_or(u32::MAX))
                .min(BURST);
            self.refilled_ms = now_ms;
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

fn in_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let mut token_bucket = TokenBucket::<3, 10>::new(Duration::ZERO);
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
