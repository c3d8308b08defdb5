//! Retries of outgoing exchanges.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::{Direction, ExchangeContext, Middleware, Next};
use crate::{CallError, Code, SendError};

/// Tries messages and calls that go out again, where that cannot do harm and may help.
///
/// Any of them is tried again where it certainly has not run: there was no connection or no capacity, or the peer has not
/// received it, or has not accepted it because it shuts down. That is tried again on the next connection: waiting for it uses
/// up no tries, only the time of the exchange. What is idempotent, by the schema or by
/// [`CallOptions::idempotent`](crate::CallOptions::idempotent), is also tried again where it may have run: the
/// connection was lost, or the peer answers `UNAVAILABLE` or `UNKNOWN`. All tries together have the time that one
/// would have. Exchanges with streams are not tried again, and neither are incoming ones.
///
/// # Examples
///
/// ```
/// # use msip_runtime::{Protocol, ClientBuilder};
/// use msip_runtime::middleware::Retry;
/// use std::time::Duration;
///
/// # fn configured<P: Protocol>(builder: ClientBuilder<P, ()>) -> ClientBuilder<P, ()> {
/// // The waits between four tries are drawn from up to 20 ms, 40 ms and 80 ms.
/// builder.outgoing(Retry::new(4).waits(Duration::from_millis(20), Duration::from_secs(1)))
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    tries: u32,
    first_wait: Duration,
    longest_wait: Duration,
}

impl Retry {
    /// So many tries in all, the waits between them drawn evenly between nothing and 50 ms, 100 ms, 200 ms … 2 s.
    #[must_use]
    pub const fn new(tries: u32) -> Self {
        Self {
            tries,
            first_wait: Duration::from_millis(50),
            longest_wait: Duration::from_secs(2),
        }
    }

    /// The longest wait before the second try, which doubles with each further one up to `longest`.
    #[must_use]
    pub const fn waits(mut self, first: Duration, longest: Duration) -> Self {
        self.first_wait = first;
        self.longest_wait = longest;
        self
    }

    /// How long to wait after this many tries.
    fn wait(&self, tried: u32) -> Duration {
        let doubled = self.first_wait.saturating_mul(
            1_u32
                .checked_shl(tried.saturating_sub(1))
                .unwrap_or(u32::MAX),
        );
        let most = doubled.min(self.longest_wait);
        // Without random numbers all wait for the longest.
        let part = getrandom::u32().map_or(1.0, |drawn| f64::from(drawn) / f64::from(u32::MAX));
        most.mul_f64(part)
    }
}

/// Whether another try may go better, and cannot do harm.
fn is_worth_another(error: &CallError, is_idempotent: bool) -> bool {
    match error {
        CallError::NotReceived
        | CallError::NotAccepted
        | CallError::NotSent(SendError::Full | SendError::Disconnected) => true,
        CallError::ConnectionLost => is_idempotent,
        CallError::Status(status) => {
            is_idempotent && matches!(status.code(), Code::Unavailable | Code::Unknown)
        }
        _ => false,
    }
}

impl Middleware for Retry {
    async fn handle(
        &self,
        exchange: &mut ExchangeContext,
        mut next: Next<'_>,
    ) -> Result<(), CallError> {
        if exchange.direction() == Direction::Incoming || exchange.shape().has_streams() {
            return next.run(exchange).await;
        }
        let deadline = exchange
            .remaining()
            .and_then(|left| Instant::now().checked_add(left));
        let mut tried = 0;
        loop {
            let outcome = next.run(exchange).await;
            tried += 1;
            let Err(error) = &outcome else {
                return outcome;
            };
            if tried >= self.tries || !is_worth_another(error, exchange.is_idempotent()) {
                return outcome;
            }
            let is_closing = *error == CallError::NotAccepted;
            let wait = self.wait(tried);
            tracing::debug!(message = exchange.message(), tried, ?wait, %error, "trying again");
            let is_ready = {
                let ready = async {
                    sleep(wait).await;
                    // There is no use in a try before the next connection is there.
                    !is_closing || exchange.next_connection().await
                };
                match deadline {
                    Some(deadline) => timeout_at(deadline, ready).await.unwrap_or(false),
                    None => ready.await,
                }
            };
            if !is_ready {
                return outcome;
            }
            if let Some(deadline) = deadline {
                let left = deadline.saturating_duration_since(Instant::now());
                if left < Duration::from_millis(1) {
                    return outcome;
                }
                exchange.change_options(|options| options.timeout(left));
            }
        }
    }
}
