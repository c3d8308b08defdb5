//! What came of a load.

use serde::{Deserialize, Serialize};

use crate::Percentiles;

/// What came of a load, as its client saw it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// How many messages: calls answered, or messages that came.
    pub messages: u64,
    /// From the first message to the last answer, in seconds.
    pub seconds: f64,
    /// How long answers took, where that was measured.
    pub latency: Option<Percentiles>,
}

impl Outcome {
    /// Messages per second.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 messages")]
    pub fn rate(&self) -> f64 {
        self.messages as f64 / self.seconds
    }
}
