//! What a handler can know of the exchange that it serves.

use std::time::Duration;

use tokio::time::Instant;

use crate::CallOptions;

/// The exchange that a handler serves.
///
/// `client.with(peer.call())` makes a call of its own within what remains of the deadline.
#[derive(Debug, Clone, Copy, Default)]
pub struct Call {
    deadline: Option<Instant>,
}

impl Call {
    pub(crate) const fn with_deadline(deadline: Option<Instant>) -> Self {
        Self { deadline }
    }

    /// How long the caller still waits; nothing once it has given up. `None` where nobody waits: in the handler
    /// of a one-way message, or outside of any handler.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }
}

impl From<Call> for CallOptions {
    fn from(call: Call) -> Self {
        match call.remaining() {
            Some(remaining) => Self::new().timeout(remaining),
            None => Self::new(),
        }
    }
}

impl From<&Call> for CallOptions {
    fn from(call: &Call) -> Self {
        Self::from(*call)
    }
}
