//! What one exchange does differently from what the schema says.

use std::time::Duration;

/// Options of one exchange, given to `with` of a client or peer.
///
/// ```
/// use std::time::Duration;
/// use msip_runtime::CallOptions;
///
/// let patient = CallOptions::new().timeout(Duration::from_secs(300));
/// # let _ = patient;
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallOptions {
    pub(crate) timeout: Option<Duration>,
    pub(crate) urgent: Option<bool>,
    pub(crate) ack: bool,
}

impl CallOptions {
    /// Everything as the schema says.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            timeout: None,
            urgent: None,
            ack: false,
        }
    }

    /// How long to wait for the answer, in place of the schema's `timeout_ms`. The other side is told, and stops
    /// working on it when the time is up. Counted in whole milliseconds; less than one fails at once.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Overtakes what is queued and not urgent, whatever the schema says.
    #[must_use]
    pub const fn urgent(mut self) -> Self {
        self.urgent = Some(true);
        self
    }

    /// Sends a one-way message for acknowledgment: the send returns when the other side's handler has, and fails
    /// with [`SendError`](crate::SendError) when it does not.
    #[must_use]
    pub const fn ack(mut self) -> Self {
        self.ack = true;
        self
    }
}
