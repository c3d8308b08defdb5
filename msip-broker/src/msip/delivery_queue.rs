//! Messages for acknowledgment that are not sent.

use std::{collections::VecDeque, fmt, pin::Pin};

use bytes::Bytes;
use msip_runtime::{CallError, untyped::PendingDelivery};

use crate::router::{Delivery, OutboxItem};

/// What is not sent. It is bounded by what a session may have open, and as an outbox is.
#[derive(Default)]
pub(super) struct Deliveries {
    pub(super) queue: VecDeque<Unsent>,
    /// The first of them, while it waits for capacity.
    pub(super) sending: Option<Sending>,
    /// For the first there was no connection, and so many changes of the link ago.
    pub(super) stuck_since: Option<u64>,
    /// What they keep.
    bytes: usize,
}

pub(super) type Sending = Pin<Box<dyn Future<Output = Result<PendingDelivery, CallError>> + Send>>;

/// A message.
pub(super) struct Unsent {
    pub(super) delivery: Delivery,
    /// Its frame, one of the publication's.
    pub(super) frame: Bytes,
}

impl Deliveries {
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether there is no connection, and the reader has not heard of it yet.
    pub(super) fn stuck_since(&self) -> Option<u64> {
        self.stuck_since
    }

    /// What they keep, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, unsent: Unsent) {
        self.bytes += unsent.frame.len();
        self.queue.push_back(unsent);
    }

    /// What is not sent, in its order.
    pub(super) fn take(&mut self) -> VecDeque<Unsent> {
        // Dropped before it has sent it.
        self.sending = None;
        self.stuck_since = None;
        self.bytes = 0;
        std::mem::take(&mut self.queue)
    }

    pub(super) fn pop(&mut self) -> Option<Unsent> {
        let unsent = self.queue.pop_front()?;
        self.bytes = self.bytes.saturating_sub(unsent.frame.len());
        Some(unsent)
    }
}

impl Unsent {
    /// As it was taken, but alone.
    pub(super) fn into_item(self) -> OutboxItem {
        OutboxItem::Publication(self.delivery.of_frame(self.frame))
    }
}

impl fmt::Debug for Deliveries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deliveries")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
