//! Capacity: what may be sent or buffered now, and the buffers of the outgoing queue.

use std::time::Duration;

use super::{
    Blocked::{self, Closing, Disconnected, Full, NoCapacity},
    Phase, Session,
    droppable_queue::is_droppable,
    fault_injection::FaultInjection,
};
use crate::{MsgKind, wire::Side};

/// A request, or an item of a stream, waits for capacity while this many bytes are queued, however large the queue may be: what
/// many large requests or many streams queue beyond that is written no sooner, and has left the processor's caches by then.
const MAX_QUEUED: usize = 1024 * 1024;

impl Session {
    /// Whether a message (`needs_credit`) or a request can be sent now, or buffered for the next connection.
    ///
    /// # Errors
    ///
    /// [`Blocked`] says why not.
    pub fn check_capacity(&mut self, needs_credit: bool) -> Result<(), Blocked> {
        self.check_open()?;
        if self.is_suspended() {
            if self.config.buffer_disconnected == 0 {
                return Err(Disconnected);
            }
            let kept = self
                .resend_queue
                .cost()
                .saturating_add(self.outbound.kept_cost());
            return if kept < self.config.buffer_disconnected && self.may_keep_more() {
                Ok(())
            } else {
                Err(Full)
            };
        }
        // What waits to be sent again goes first.
        let goes_first = self.resend_queue.is_empty() || FaultInjection::OvertakeResend.is_on();
        let has_capacity = if needs_credit {
            self.send_window.is_open() && !self.is_queue_full()
        } else {
            self.has_request_capacity()
        };
        if goes_first && has_capacity {
            Ok(())
        } else {
            Err(NoCapacity)
        }
    }

    pub(super) fn check_open(&self) -> Result<(), Blocked> {
        match self.phase {
            Phase::Open | Phase::Suspended if !self.is_closing() => Ok(()),
            _ => Err(Closing),
        }
    }

    /// The error of a message that does not fit: whether it is worth waiting.
    pub(super) fn no_capacity(&self) -> Blocked {
        if self.is_suspended() {
            Full
        } else {
            NoCapacity
        }
    }

    /// Whether there is a connection on which a body of this length can be sent now, ahead of nothing else.
    #[inline]
    pub(super) fn can_send(&mut self, body_len: usize) -> bool {
        self.is_open()
            && body_len <= self.peer_max_body
            && self.resend_queue.is_empty()
            && !self.is_queue_full()
    }

    /// Checks that a message of this kind overtakes nothing in the droppable queue. A call may: it needs no credit.
    pub(super) fn check_droppable_queue(&mut self, kind: MsgKind) -> Result<(), Blocked> {
        if self.droppable_queue.is_empty() || (!is_droppable(kind) && self.empty_droppable_queue())
        {
            Ok(())
        } else {
            Err(NoCapacity)
        }
    }

    /// Whether no further delivery is kept before another one is answered.
    pub(super) fn is_session_buffer_full(&self) -> bool {
        self.outbound.kept_cost() >= self.config.session_buffer
            || self.outbound.delivery_count() >= self.config.session_deliveries
    }

    /// Whether the queue takes a request, which needs no credit, or an item of a stream.
    #[inline]
    pub fn has_request_capacity(&mut self) -> bool {
        self.outgoing.cost() < MAX_QUEUED && !self.is_queue_full()
    }

    /// Whether the outgoing queue is full; checks memory where the queue has grown by a step.
    #[inline]
    pub(super) fn is_queue_full(&mut self) -> bool {
        self.outgoing.cost() >= self.queue_limit && self.is_out_of_memory()
    }

    /// How many bytes of requests, or of items, the outgoing queue takes before memory is checked again.
    pub(super) fn queue_capacity(&self) -> usize {
        let limit = self.queue_limit.min(MAX_QUEUED);
        limit.saturating_sub(self.outgoing.cost())
    }

    /// How many calls can be opened, by their number, and about how many bytes of requests can be queued. `None` where
    /// no call can be sent on this connection, if there is one.
    pub fn call_capacity(&self) -> Option<(usize, usize)> {
        self.is_open()
            .then(|| (self.outbound.call_capacity(), self.queue_capacity()))
    }

    /// Whether a request of this length that finds no capacity will be sent when there is some, as far as is known.
    #[inline]
    pub fn may_call_later(&self, body_len: usize) -> bool {
        self.is_open() && body_len <= self.peer_max_body
    }

    /// Whether messages that wait, wait for credit.
    pub fn lacks_credit(&self) -> bool {
        self.is_open() && !self.send_window.is_open()
    }

    /// When the peer has last granted credit for one-way messages, or else when the session began.
    pub fn last_credit(&self) -> Duration {
        self.last_credit
    }

    /// Whether anything waits here that can be sent once there is capacity.
    #[inline]
    pub fn is_waiting(&self) -> bool {
        !self.droppable_queue.is_empty() || !self.resend_queue.is_empty()
    }

    /// Whether so much is queued that it should be written before more is added.
    #[inline]
    pub fn is_write_due(&self) -> bool {
        self.outgoing.is_write_due()
    }

    /// What is queued for writing, in bytes, each frame counted as its length + 64.
    pub fn queued(&self) -> usize {
        self.outgoing.cost() + self.droppable_queue.cost()
    }

    /// Whether the driver should provide pooled buffers while it runs ([`lend_buffers`](Self::lend_buffers)): the
    /// session has none for its next chunks. Only an accepting side asks: a process has many of those, and they mostly
    /// send answers.
    #[inline]
    pub fn needs_buffers(&self) -> bool {
        self.side == Side::Accepting && !self.outgoing.has_buffers()
    }

    /// Lends buffers for the next chunks.
    #[inline]
    pub fn lend_buffers(&mut self, buffers: Vec<Vec<u8>>) {
        self.outgoing.fill_buffers(buffers);
    }

    /// The pooled buffers, or others instead, for the pool; `None` where the session needs so many that it keeps
    /// them.
    #[inline]
    pub fn return_buffers(&mut self) -> Option<Vec<Vec<u8>>> {
        if self.side == Side::Connecting {
            return None;
        }
        self.outgoing.share_buffers()
    }
}
