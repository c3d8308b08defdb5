//! Counting the messages that many clients receive.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tokio::sync::Notify;

use crate::Failure;

/// The count of messages received by all clients of one process.
#[derive(Debug, Clone, Default)]
pub struct Arrivals(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    count: AtomicU64,
    /// At which count the one who waits is woken.
    awaited: AtomicU64,
    is_wrong: AtomicBool,
    reached: Notify,
}

impl Arrivals {
    /// What counts for one client.
    #[must_use]
    pub fn of_one(&self) -> Counter {
        Counter {
            arrivals: self.clone(),
            next: AtomicU64::new(0),
        }
    }

    /// Waits until this many were received in all.
    ///
    /// # Errors
    ///
    /// A client received a message out of order.
    pub async fn reach(&self, count: u64) -> Result<(), Failure> {
        self.0.awaited.store(count, Ordering::SeqCst);
        loop {
            if self.0.is_wrong.load(Ordering::Relaxed) {
                let text = "a client missed a message, or got one twice";
                return Err(Failure::Protocol(text.to_owned()));
            }
            if self.0.count.load(Ordering::SeqCst) >= count {
                return Ok(());
            }
            self.0.reached.notified().await;
        }
    }

    fn add(&self, more: u64) {
        let count = self.0.count.fetch_add(more, Ordering::SeqCst) + more;
        if count >= self.0.awaited.load(Ordering::SeqCst) {
            self.0.reached.notify_one();
        }
    }
}

/// Counts what one client receives, and checks that nothing is missing.
#[derive(Debug)]
pub struct Counter {
    arrivals: Arrivals,
    next: AtomicU64,
}

impl Counter {
    /// A note with this number was received.
    pub fn add(&self, number: u64) {
        // The messages of one client come one after the other: there is no other writer.
        let expected = self.next.load(Ordering::Relaxed);
        self.next.store(expected + 1, Ordering::Relaxed);
        if number != expected {
            self.arrivals.0.is_wrong.store(true, Ordering::Relaxed);
            self.arrivals.0.reached.notify_one();
        }
        self.arrivals.add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_hears_of_the_last() {
        let arrivals = Arrivals::default();
        let counters = [arrivals.of_one(), arrivals.of_one()];
        let waiting = tokio::spawn({
            let arrivals = arrivals.clone();
            async move { arrivals.reach(4).await }
        });
        for number in 0..2 {
            tokio::task::yield_now().await;
            counters.iter().for_each(|counter| counter.add(number));
        }
        waiting.await.expect("no panic").expect("all have come");
    }

    #[tokio::test]
    async fn a_gap_is_told() {
        let arrivals = Arrivals::default();
        arrivals.of_one().add(1);
        assert!(arrivals.reach(1).await.is_err());
    }
}
