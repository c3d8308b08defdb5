//! The outcome of a load.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::{Latency, Percentiles};

/// The outcome of a load, as measured by its client.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// How many messages: calls answered, or messages that came.
    pub messages: u64,
    /// From the first message to the last answer, in seconds.
    pub seconds: f64,
    /// How long answers took, where that was measured.
    pub latency: Option<Percentiles>,
    /// How many large messages were sent alongside the calls.
    #[serde(default)]
    pub bulk: u64,
}

impl Outcome {
    /// This many messages since `started`.
    #[must_use]
    pub fn since(started: Instant, messages: u64) -> Self {
        Self {
            messages,
            seconds: started.elapsed().as_secs_f64(),
            latency: None,
            bulk: 0,
        }
    }

    /// With what was measured of answers.
    #[must_use]
    pub fn with_latency(self, latency: &Latency) -> Self {
        Self {
            latency: latency.percentiles(),
            ..self
        }
    }

    /// Messages per second.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 messages")]
    pub fn rate(&self) -> f64 {
        self.messages as f64 / self.seconds
    }
}
