//! The deadline of an exchange: how long it may take, and what is sent of that to the peer.

use std::time::Duration;

use super::ConnectionShared;
use crate::{CallOptions, SendError, protocol::Variant};

/// How long an answer may take where neither the schema nor the caller says (docs/protocol.md, "Deadlines"). The
/// peer counts on it, so a caller that waits longer or shorter has to send the deadline.
pub(crate) const PROTOCOL_TIMEOUT: Duration = Duration::from_secs(30);

/// The shortest deadline that can be sent: they travel in whole milliseconds.
pub(super) const MIN_TIMEOUT: Duration = Duration::from_millis(1);

/// When an exchange runs out of time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    /// How long it may take; `None` is for ever.
    pub(super) timeout: Option<Duration>,
    /// As sessions count time; `Duration::MAX` is never.
    pub(super) at: Duration,
    /// What is sent of it, in milliseconds; `None` where the peer knows it from the schema.
    pub(super) wire_ms: Option<u32>,
}

impl Deadline {
    /// The same for what is sent later than it was to be: what remains is sent along.
    pub(super) fn late(self, now: Duration) -> Self {
        if self.at == Duration::MAX {
            return self;
        }
        let remaining = self.at.saturating_sub(now);
        Self {
            wire_ms: Some(whole_ms(remaining)),
            ..self
        }
    }
}

/// Rounded up: who is told it, counts it from receipt, and is never the first to give up. Else the caller's own end would race
/// with an answer that says the same, the more so behind a relay, where each hop would take a part of a millisecond off.
pub(super) fn whole_ms(duration: Duration) -> u32 {
    let is_more = !duration.subsec_nanos().is_multiple_of(1_000_000);
    let ms = duration.as_millis().saturating_add(is_more.into());
    u32::try_from(ms).unwrap_or(u32::MAX)
}

/// What the schema says of how long an exchange of this variant may take.
fn schema_timeout(variant: &Variant) -> Option<Duration> {
    let ms = variant.timeout_ms?;
    Some(Duration::from_millis(u64::from(ms)))
}

impl ConnectionShared {
    /// How long an exchange of this variant may take with these options; `None` for a stream, which may take for ever.
    #[inline]
    pub(crate) fn time_limit(&self, variant: &Variant, options: &CallOptions) -> Option<Duration> {
        let default = (!variant.has_streams()).then_some(self.call_timeout);
        options.time_limit(schema_timeout(variant), default)
    }

    /// How long a call that begins now may take, and until when, where its caller says nothing and the peer knows it. `None` where
    /// [`deadline`](Self::deadline) says more.
    #[inline]
    pub(super) fn usual_deadline(&self, variant: &Variant) -> Option<(Duration, Duration)> {
        let timeout = self.usual_timeout(variant)?;
        Some((timeout, self.now().saturating_add(timeout)))
    }

    /// The same without until when.
    #[inline]
    pub(super) fn usual_timeout(&self, variant: &Variant) -> Option<Duration> {
        let timeout = match schema_timeout(variant) {
            Some(timeout) => timeout,
            None if self.call_timeout == PROTOCOL_TIMEOUT && !variant.has_streams() => {
                PROTOCOL_TIMEOUT
            }
            None => return None,
        };
        (timeout >= MIN_TIMEOUT).then_some(timeout)
    }

    /// The deadline of an exchange that begins now.
    #[inline]
    pub(super) fn deadline(
        &self,
        variant: &Variant,
        options: &CallOptions,
    ) -> Result<Deadline, SendError> {
        let (schema, has_streams) = (schema_timeout(variant), variant.has_streams());
        let default = (!has_streams).then_some(self.call_timeout);
        let Some(timeout) = options.time_limit(schema, default) else {
            return Ok(Deadline {
                timeout: None,
                at: Duration::MAX,
                wire_ms: None,
            });
        };
        if timeout < MIN_TIMEOUT {
            return Err(SendError::NoTime { timeout });
        }
        let peer_assumes = schema.or((!has_streams).then_some(PROTOCOL_TIMEOUT));
        Ok(Deadline {
            timeout: Some(timeout),
            at: self.now().saturating_add(timeout),
            wire_ms: (Some(timeout) != peer_assumes).then(|| whole_ms(timeout)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_hop_takes_a_part_of_a_millisecond_off_a_deadline() {
        for (micros, sent) in [
            (0, 0),
            (1, 1),
            (1_000, 1),
            (499_100, 500),
            (500_000, 500),
            (500_001, 501),
        ] {
            assert_eq!(whole_ms(Duration::from_micros(micros)), sent, "{micros}");
        }
        assert_eq!(whole_ms(Duration::MAX), u32::MAX);
    }
}
