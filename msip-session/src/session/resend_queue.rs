//! The resend queue: frames that wait for a connection, or for its credit, and are sent before anything new.

use std::collections::VecDeque;

use super::frame_writer::FRAME_COST;
use crate::wire::MsgId;

/// A frame that waits.
#[derive(Debug)]
pub(super) enum Waiting {
    /// A delivery; its exchange keeps the frame.
    Delivery(MsgId),
    /// A call of which nothing was sent.
    Call { id: MsgId, frame: Vec<u8> },
    /// A message that is not answered.
    Message { frame: Vec<u8> },
}

/// Frames in the order in which they are sent, within each priority.
#[derive(Debug, Default)]
pub(super) struct ResendQueue {
    waiting: VecDeque<Waiting>,
    cost: usize,
}

impl Waiting {
    fn cost(&self) -> usize {
        match self {
            // Its frame is counted with its exchange.
            Self::Delivery(_) => 0,
            Self::Call { frame, .. } | Self::Message { frame } => frame.len() + FRAME_COST,
        }
    }
}

impl ResendQueue {
    pub(super) fn push(&mut self, waiting: Waiting) {
        self.cost += waiting.cost();
        self.waiting.push_back(waiting);
    }

    pub(super) fn first(&self) -> Option<&Waiting> {
        self.waiting.front()
    }

    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let waiting = self.waiting.pop_front()?;
        self.cost = self.cost.saturating_sub(waiting.cost());
        Some(waiting)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Frees memory that a burst needed.
    pub(super) fn release(&mut self) {
        self.waiting.shrink_to_fit();
    }

    /// How many messages wait that are not answered.
    pub(super) fn message_count(&self) -> u64 {
        self.waiting
            .iter()
            .filter(|waiting| matches!(waiting, Waiting::Message { .. }))
            .count() as u64
    }

    /// What waits, in bytes, each frame counted as its length + 64; deliveries aside.
    pub(super) fn cost(&self) -> usize {
        self.cost
    }
}
