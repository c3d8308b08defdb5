//! How many frames that carry nothing a peer may send.

use std::time::Duration;

use tokio::time::Instant;

use super::error::Violation;

/// At once.
const BURST: u32 = 1000;

/// And then in a second.
const PER_SECOND: u32 = 10;

/// A token bucket for control frames and empty ones: each of them costs work, and none has a place in what MSIP counts.
#[derive(Debug)]
pub(super) struct TokenBucket {
    left: u32,
    refilled: Option<Instant>,
}

impl TokenBucket {
    pub(super) const fn new() -> Self {
        Self {
            left: BURST,
            refilled: None,
        }
    }

    /// Takes so many, if they are left. Reads the clock only then.
    pub(super) fn take(&mut self, count: u32) -> Result<(), Violation> {
        if count == 0 {
            return Ok(());
        }
        self.take_at(count, Instant::now())
    }

    fn take_at(&mut self, count: u32, now: Instant) -> Result<(), Violation> {
        let refilled = *self.refilled.get_or_insert(now);
        let seconds = now.saturating_duration_since(refilled).as_secs();
        if seconds > 0 {
            let refill = u32::try_from(seconds).unwrap_or(u32::MAX);
            let left = self.left.saturating_add(refill.saturating_mul(PER_SECOND));
            self.left = left.min(BURST);
            self.refilled = refilled.checked_add(Duration::from_secs(seconds));
        }
        match self.left.checked_sub(count) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Violation::Flood {
                burst: BURST,
                per_second: PER_SECOND,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let begun = Instant::now();
        let mut bucket = TokenBucket::new();
        assert!(bucket.take_at(BURST, begun).is_ok());
        assert!(bucket.take_at(1, begun).is_err());
        let later = begun + Duration::from_secs(2);
        assert!(bucket.take_at(2 * PER_SECOND, later).is_ok());
        assert!(bucket.take_at(1, later).is_err());
        let much_later = begun + Duration::from_secs(100_000);
        assert!(
            bucket.take_at(BURST + 1, much_later).is_err(),
            "never more than the burst"
        );
    }
}
