//! The turn of a service: how much it does before others of its thread have theirs.
//!
//! A turn is counted in bytes of bodies, and timed where these have become many: a clock that is read for each small message
//! would cost more than the message.

use std::time::{Duration, Instant};

use super::inbox::Inbox;
use msip_session::{BareMessage, Incoming};

/// A turn is over after so much time.
pub(crate) const TURN: Duration = Duration::from_millis(2);

/// A turn is over after so many bytes of bodies, whatever time they took.
const TURN_LEN: usize = 1024 * 1024;

/// The clock is read after so many bytes.
const CHECK_LEN: usize = 16 * 1024;

/// A turn of so many bytes is one of a busy peer.
pub(crate) const BUSY_LEN: usize = 32 * 1024;

/// What a message counts besides its body.
const MESSAGE_LEN: usize = 64;

/// What the service of a session has done since it was polled.
#[derive(Debug, Default)]
pub(super) struct ServiceTurn {
    /// How many bytes it was given since the clock was last read, and before.
    len: usize,
    checked_len: usize,
    /// When the clock was first read in this turn.
    since: Option<Instant>,
}

impl ServiceTurn {
    #[inline]
    pub(super) fn count_bare(&mut self, message: &BareMessage) {
        // A payload is shorter than 4 GiB, and a turn is over long before their sum overflows. What comes before the body is
        // little, and not worth taking off.
        let payload_len = usize::try_from(message.payload_len).unwrap_or(TURN_LEN);
        self.len += payload_len + MESSAGE_LEN;
    }

    pub(super) fn count(&mut self, incoming: &Incoming) {
        let metadata_len = incoming.metadata.is_some().then_some(MESSAGE_LEN);
        self.len += incoming.body.len() + MESSAGE_LEN + metadata_len.unwrap_or_default();
        if incoming.compressed {
            // Nobody knows what it becomes.
            self.len += CHECK_LEN;
            self.since.get_or_insert_with(Instant::now);
        }
    }

    /// A request about a subscription looks into tables that others share.
    pub(super) fn count_subscription(&mut self) {
        self.len += 4 * MESSAGE_LEN;
    }

    #[inline]
    pub(super) fn is_check_due(&self) -> bool {
        self.len >= CHECK_LEN
    }

    /// Whether the turn is over.
    #[cold]
    pub(super) fn check(&mut self) -> bool {
        self.checked_len = self
            .checked_len
            .saturating_add(std::mem::take(&mut self.len));
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        self.checked_len >= TURN_LEN || now.saturating_duration_since(since) >= TURN
    }

    /// The service is polled no further.
    #[inline]
    pub(super) fn end(&mut self, inbox: &Inbox) {
        // Before anything is counted there is no time either.
        if self.len | self.checked_len != 0 {
            self.end_counted(inbox);
        }
    }

    #[inline(never)]
    fn end_counted(&mut self, inbox: &Inbox) {
        if self.len + self.checked_len >= BUSY_LEN {
            inbox.set_busy();
        }
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_over_after_a_megabyte_whatever_the_clock_says() {
        let mut turn = ServiceTurn::default();
        let mut len = 0;
        loop {
            turn.len += CHECK_LEN - 1;
            len += CHECK_LEN - 1;
            assert!(!turn.is_check_due());
            turn.len += 1;
            len += 1;
            assert!(turn.is_check_due());
            if turn.check() {
                break;
            }
        }
        assert!(len <= TURN_LEN, "{len}");
    }

    #[test]
    fn only_a_turn_of_many_bytes_is_one_of_a_busy_peer() {
        let inbox = Inbox::default();
        let mut turn = ServiceTurn {
            len: BUSY_LEN - 1,
            ..ServiceTurn::default()
        };
        turn.end(&inbox);
        assert!(!inbox.take_busy());
        turn.len = BUSY_LEN;
        turn.end(&inbox);
        assert!(inbox.take_busy());
        assert!(!inbox.take_busy(), "once");
        assert_eq!(turn.len, 0);
    }
}
