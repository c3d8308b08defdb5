//! Frames that only cost this side: too many of them are a fault.

use std::time::Duration;

use super::{Fault, Phase, Session};
use crate::wire::MsgId;

/// How many frames that only cost us (pings, answers to nothing, malformed messages) are accepted from a peer at once,
/// and how many a second.
pub(super) const UNWANTED_BURST: u32 = 2000;
pub(super) const UNWANTED_PER_SECOND: u32 = 200;
const UNWANTED: &str = "pings, stray answers and malformed messages";
const UNREADABLE: &str = "unreadable messages";

impl Session {
    /// Notes that a message of the peer cannot be read, or is none that the schema allows. Where both sides have the same
    /// schema, too many of them end the connection: the driver learns of it by [`take_fault`](Self::take_fault). A peer with
    /// another schema may send them as often as others: it may be a newer release.
    #[cold]
    pub fn count_unreadable(&mut self, id: MsgId, now: Duration) {
        if self.has_same_schema
            && self.phase == Phase::Open
            && let Err(fault) = self.limit(id, UNREADABLE, now)
        {
            self.fault.get_or_insert_with(|| Box::new(fault));
        }
    }

    /// The fault of the peer that was found outside of [`handle_frame`](Self::handle_frame): pass it to
    /// [`handle_fault`](Self::handle_fault), and end the connection.
    #[inline]
    pub fn take_fault(&mut self) -> Option<Box<Fault>> {
        self.fault.take()
    }

    /// A frame of an exchange that is not open: so many may be late, others are unwanted.
    pub(super) fn ignore_late(&mut self, id: MsgId, now: Duration) -> Result<(), Fault> {
        self.ignored += 1;
        let is_late = if id.chosen_by() == self.side {
            self.outbound.allows_late(id)
        } else {
            self.inbound.allows_late()
        };
        if is_late {
            return Ok(());
        }
        self.limit_unexpected(id, UNWANTED, now)
    }

    /// Ignores an unwanted frame.
    pub(super) fn ignore(&mut self, id: MsgId, now: Duration) -> Result<(), Fault> {
        self.ignored += 1;
        self.limit_unwanted(id, now)
    }

    /// A frame that only costs us: too many of them are a fault.
    pub(super) fn limit_unwanted(&mut self, id: MsgId, now: Duration) -> Result<(), Fault> {
        self.limit(id, UNWANTED, now)
    }

    /// The same, of frames that the fault names.
    pub(super) fn limit(&mut self, id: MsgId, what: &str, now: Duration) -> Result<(), Fault> {
        if self.unwanted.take(now) {
            return Ok(());
        }
        let rule = format!("more than {UNWANTED_PER_SECOND} {what} a second");
        Err(Fault::exhausted(id, rule))
    }

    /// A frame that no correct peer sends as often as it comes.
    pub(super) fn limit_unexpected(
        &mut self,
        id: MsgId,
        what: &str,
        now: Duration,
    ) -> Result<(), Fault> {
        #[cfg(any(test, fuzzing))]
        {
            self.unexpected += 1;
        }
        self.limit(id, what, now)
    }
}
