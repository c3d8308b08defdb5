//! What the session holds, and what it does while memory is short (docs/operations.md, "Memory").
//!
//! Nothing is counted for this alone but what came of streams: each queue and table knows its own bytes, and they are
//! added up where the driver looks at everything anyway, or where the outgoing queue has grown by a step.

use super::{Phase, Session, inbound::Busy};
use crate::budget::{End, FLOOR, STEP};

/// What a message that waits for its handler costs beside its bytes.
const MESSAGE_COST: u64 = 64;

impl Session {
    /// So much memory stands ready for reading, with the part of a frame in it that has come. Reports what is held.
    pub fn is_reading_into(&mut self, len: usize) {
        self.reading = len;
        self.report();
    }

    /// Reports what is held, and learns from it whether memory is short.
    pub fn report(&mut self) {
        let to_send = self.held_to_send();
        self.share.report(to_send + self.held_received());
        let queued = self.outgoing.cost();
        // The queue may grow by a step before the next report; while memory is short, to the floor, with all else that
        // is kept for the other side.
        let room = if self.share.is_short() {
            FLOOR.saturating_sub(to_send - queued)
        } else {
            queued.saturating_add(STEP)
        };
        self.room = room.min(self.config.outgoing_queue);
    }

    /// Whether memory was short at the last report.
    #[inline]
    pub fn is_short_of_memory(&self) -> bool {
        self.share.is_short()
    }

    /// The session has no connection, and may be ended by `end` where memory is short.
    pub fn may_be_ended(&mut self, end: End) {
        self.report();
        if self.phase == Phase::Suspended {
            self.share.may_be_ended(end);
        }
    }

    /// Whether the queue is full, or holds as much as memory allows: found out where it seems to be.
    #[cold]
    pub(super) fn is_out_of_room(&mut self) -> bool {
        self.report();
        self.outgoing.cost() >= self.room
    }

    /// Whether memory allows a session without a connection to keep more.
    pub(super) fn may_keep_more(&mut self) -> bool {
        self.report();
        !self.share.is_short() || self.held_to_send() < FLOOR
    }

    /// Why a request of so many bytes is refused, where memory is short.
    pub(super) fn check_memory(&self, payload_len: usize) -> Result<(), Busy> {
        // How large reads are is not for the caller to say.
        if self.share.is_short() && self.held_unhandled().saturating_add(payload_len) > FLOOR {
            return Err(Busy::Memory {
                max: self.share.max(),
            });
        }
        Ok(())
    }

    fn held_to_send(&self) -> usize {
        self.outgoing.cost()
            + self.droppable_queue.cost()
            + self.resend_queue.cost()
            + self.outbound.kept_cost()
            + self.ended_calls.kept_cost()
    }

    fn held_received(&self) -> usize {
        self.reading + self.held_unhandled()
    }

    fn held_unhandled(&self) -> usize {
        let streams = self.outbound.stream_bytes() + self.inbound.stream_bytes();
        self.unhandled.cost(MESSAGE_COST) + self.inbound.bytes() + streams
    }

    /// What is held, reported or not.
    #[cfg(any(test, fuzzing))]
    pub(super) fn held(&self) -> usize {
        self.held_to_send() + self.held_received()
    }
}
