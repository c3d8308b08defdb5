//! What waits for a connection, or for its credit, and goes out before anything new.

use std::collections::VecDeque;

use super::outgoing::Priority;
use crate::wire::{Flags, HEADER_LEN, Header, MsgId};

/// What a frame costs beside its bytes.
const FRAME_COST: usize = 64;

/// A frame that waits.
#[derive(Debug)]
pub(super) enum Waiting {
    /// A delivery, whose frame is kept with its exchange.
    Delivery(MsgId),
    /// A call of which nothing was sent.
    Call { id: MsgId, frame: Vec<u8> },
    /// A message that nobody answers.
    Message { frame: Vec<u8> },
}

/// Frames in the order in which they go out, within each priority.
#[derive(Debug, Default)]
pub(super) struct Backlog {
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

impl Backlog {
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

    /// How many messages wait that nobody answers.
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

/// The lane of a frame.
pub(super) fn priority_of(frame: &[u8]) -> Priority {
    match header_of(frame) {
        Some(header) if header.flags.contains(Flags::URGENT) => Priority::Urgent,
        _ => Priority::Normal,
    }
}

/// The header of a whole frame.
pub(super) fn header_of(frame: &[u8]) -> Option<Header> {
    Header::parse(frame.first_chunk()?).ok()
}

/// How many bytes follow the header.
pub(super) fn payload_len(frame: &[u8]) -> usize {
    frame.len().saturating_sub(HEADER_LEN)
}

/// Writes a frame that was sent before.
pub(super) fn write_again(buffer: &mut Vec<u8>, frame: &[u8]) {
    let Some(mut header) = header_of(frame) else {
        return;
    };
    header.flags = header.flags.union(Flags::REDELIVERED);
    buffer.extend_from_slice(&header.encode());
    buffer.extend_from_slice(frame.get(HEADER_LEN..).unwrap_or_default());
}
