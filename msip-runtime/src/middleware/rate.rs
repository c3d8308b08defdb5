//! The rate limit: how many exchanges begin per second.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{ExchangeContext, Middleware, Next};
use crate::{CallError, Status};

/// Lets so many exchanges begin a second, over all connections of the client or server that has it; after a quiet time
/// as many at once as the burst allows (a token bucket). Others wait their turn, or are refused.
///
/// A one-way message that waits holds up what its sender says after it, as with
/// [`ConcurrencyLimit`](super::ConcurrencyLimit).
///
/// # Examples
///
/// ```
/// # use msip_runtime::{Protocol, ServerBuilder};
/// use msip_runtime::middleware::RateLimit;
///
/// # fn configured<P: Protocol>(builder: ServerBuilder<P>) -> ServerBuilder<P> {
/// // 1,000 a second, 200 at once after a quiet time; further ones are refused.
/// builder.incoming(RateLimit::new(1000).burst(200).refusing())
/// # }
/// ```
#[derive(Debug)]
pub struct RateLimit {
    per_second: f64,
    burst: f64,
    refuses: bool,
    bucket: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    /// How many may begin now; less than none where some wait for theirs.
    tokens: f64,
    /// When that was so. `None` before the first exchange.
    at: Option<Instant>,
}

impl RateLimit {
    /// So many a second, at least one, and as many at once; others wait.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second.max(1));
        Self {
            per_second,
            burst: per_second,
            refuses: false,
            bucket: Mutex::new(Bucket {
                tokens: per_second,
                at: None,
            }),
        }
    }

    /// So many at once after a quiet time, at least one.
    #[must_use]
    pub fn burst(mut self, burst: u32) -> Self {
        self.burst = f64::from(burst.max(1));
        self.bucket = Mutex::new(Bucket {
            tokens: self.burst,
            at: None,
        });
        self
    }

    /// Refuses others with `RESOURCE_EXHAUSTED` instead of letting them wait.
    #[must_use]
    pub const fn refusing(mut self) -> Self {
        self.refuses = true;
        self
    }

    /// Takes a token, and says how long to wait for it. `None` where there is none, and no waiting.
    fn take(&self) -> Option<Duration> {
        let now = Instant::now();
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let since = bucket.at.map_or(Duration::ZERO, |at| now - at);
        bucket.at = Some(now);
        let filled = bucket.tokens + since.as_secs_f64() * self.per_second;
        bucket.tokens = filled.min(self.burst);
        if bucket.tokens < 1.0 && self.refuses {
            return None;
        }
        bucket.tokens -= 1.0;
        Some(Duration::from_secs_f64(
            (-bucket.tokens / self.per_second).max(0.0),
        ))
    }

    fn give_back(&self) {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.tokens += 1.0;
    }
}

/// A token that is waited for, and returned by a waiter that is dropped.
struct Turn<'a>(Option<&'a RateLimit>);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(limit) = self.0 {
            limit.give_back();
        }
    }
}

impl Middleware for RateLimit {
    async fn handle(
        &self,
        exchange: &mut ExchangeContext,
        mut next: Next<'_>,
    ) -> Result<(), CallError> {
        let Some(wait) = self.take() else {
            let text = format!("more than {} exchanges a second", self.per_second);
            return Err(exchange.refuse(Status::resource_exhausted(text)));
        };
        if !wait.is_zero() {
            let mut turn = Turn(Some(self));
            sleep(wait).await;
            turn.0 = None;
        }
        next.run(exchange).await
    }
}
