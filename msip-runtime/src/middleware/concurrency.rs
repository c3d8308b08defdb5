//! The concurrency limit: how many exchanges are in flight at once.

use tokio::sync::Semaphore;

use super::{ExchangeContext, Middleware, Next};
use crate::{CallError, Status};

/// Lets so many exchanges be in flight at once, over all connections of the client or server that has it. Others wait,
/// in order of arrival, or are refused.
///
/// A one-way message that waits holds up what its sender says after it, since order is kept: the sender's window bounds
/// how much that is.
///
/// # Examples
///
/// ```
/// # use msip_runtime::{Protocol, ServerBuilder};
/// use msip_runtime::middleware::ConcurrencyLimit;
///
/// # fn configured<P: Protocol>(builder: ServerBuilder<P>) -> ServerBuilder<P> {
/// builder.incoming(ConcurrencyLimit::new(64))
/// # }
/// ```
#[derive(Debug)]
pub struct ConcurrencyLimit {
    permits: Semaphore,
    max: usize,
    refuses: bool,
}

impl ConcurrencyLimit {
    /// So many at once, at least one; others wait.
    #[must_use]
    pub fn new(max: usize) -> Self {
        let max = max.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            permits: Semaphore::new(max),
            max,
            refuses: false,
        }
    }

    /// Refuses others with `RESOURCE_EXHAUSTED` instead of letting them wait.
    #[must_use]
    pub const fn refusing(mut self) -> Self {
        self.refuses = true;
        self
    }
}

impl Middleware for ConcurrencyLimit {
    async fn handle(
        &self,
        exchange: &mut ExchangeContext,
        mut next: Next<'_>,
    ) -> Result<(), CallError> {
        let permit = if self.refuses {
            self.permits.try_acquire().ok()
        } else {
            self.permits.acquire().await.ok()
        };
        let Some(_permit) = permit else {
            let text = format!("too many exchanges: {} are under way", self.max);
            return Err(exchange.refuse(Status::resource_exhausted(text)));
        };
        next.run(exchange).await
    }
}
