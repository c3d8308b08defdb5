//! The timeout of exchanges.

use std::time::Duration;

use super::{ExchangeContext, Middleware, Next};
use crate::CallError;

/// Cancels exchanges that take longer than this: an outgoing one fails with
/// [`CallError::DeadlineExceeded`], and the handler of an incoming one is dropped and its caller gets
/// `DEADLINE_EXCEEDED`.
///
/// It only ever shortens a deadline. An outgoing call sends it to the peer as its deadline, as one with such a
/// [`timeout`](crate::CallOptions::timeout) does. Streams are left alone, unless asked for.
///
/// # Examples
///
/// ```
/// # use msip_runtime::{Protocol, ServerBuilder};
/// use msip_runtime::middleware::Timeout;
/// use std::time::Duration;
///
/// # fn configured<P: Protocol>(builder: ServerBuilder<P>) -> ServerBuilder<P> {
/// builder.incoming(Timeout::new(Duration::from_secs(2)).with_streams())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Timeout {
    limit: Duration,
    with_streams: bool,
}

impl Timeout {
    /// Allows this much time. Less than 1 ms leaves no call any.
    #[must_use]
    pub const fn new(limit: Duration) -> Self {
        Self {
            limit,
            with_streams: false,
        }
    }

    /// Holds for exchanges with streams too, from their opening to their end.
    #[must_use]
    pub const fn with_streams(mut self) -> Self {
        self.with_streams = true;
        self
    }
}

impl Middleware for Timeout {
    async fn handle(
        &self,
        exchange: &mut ExchangeContext,
        mut next: Next<'_>,
    ) -> Result<(), CallError> {
        let timeout = self.limit;
        if exchange.shape().has_streams() && !self.with_streams {
            return next.run(exchange).await;
        }
        if exchange.remaining().is_none_or(|left| left > timeout) {
            exchange.change_options(|options| options.timeout(timeout));
        }
        tokio::time::timeout(timeout, next.run(exchange))
            .await
            .unwrap_or(Err(CallError::DeadlineExceeded { timeout }))
    }
}
