//! What waits for a connection, or for its credit, and goes out before anything new.

use std::collections::VecDeque;

use prost::Message as _;

use super::{outgoing::Priority, seal};
use crate::wire::{Flags, HEADER_LEN, Header, Metadata, MsgId, begin_frame, write_metadata};

/// What a frame costs beside its bytes.
pub(super) const FRAME_COST: usize = 64;

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

    /// Gives back memory that a burst needed.
    pub(super) fn release(&mut self) {
        self.waiting.shrink_to_fit();
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

/// Writes a frame later than it was made: what it tells of its deadline is what remains of it. Returns the length of
/// its payload.
///
/// A call tells its deadline in any case, since the other side would count the usual one from now on. A delivery's
/// handler has as long as it needs.
pub(super) fn write_late(
    buffer: &mut Vec<u8>,
    frame: &[u8],
    was_sent: bool,
    remaining: Option<u32>,
) -> usize {
    let (Some(mut header), Some(payload)) = (header_of(frame), frame.get(HEADER_LEN..)) else {
        return 0;
    };
    if was_sent {
        header.flags = header.flags.union(Flags::REDELIVERED);
    }
    let (mut metadata, rest) = split_metadata(header.flags, payload);
    if metadata.deadline_ms.is_some() || !header.msg_id.is_delivery() {
        metadata.deadline_ms = remaining;
    }
    let has_metadata = metadata != Metadata::default();
    if has_metadata {
        header.flags = header.flags.union(Flags::META);
    }
    let mark = begin_frame(buffer, &header);
    let start = buffer.len();
    if has_metadata {
        // It was within the limit before, and room for a deadline was left in that.
        let written = write_metadata(buffer, &metadata, u16::MAX);
        debug_assert!(written.is_ok(), "metadata of more than 64 KiB");
    }
    buffer.extend_from_slice(rest);
    let payload_len = buffer.len().saturating_sub(start);
    seal(buffer, mark);
    payload_len
}

/// The metadata that a payload begins with, and what follows.
fn split_metadata(flags: Flags, payload: &[u8]) -> (Metadata, &[u8]) {
    let split = || {
        let (len, rest) = payload.split_first_chunk()?;
        let (metadata, rest) = rest.split_at_checked(u16::from_be_bytes(*len).into())?;
        Some((Metadata::decode(metadata).ok()?, rest))
    };
    flags
        .contains(Flags::META)
        .then(split)
        .flatten()
        .unwrap_or((Metadata::default(), payload))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{FrameType, Side};

    fn frame(id: MsgId, metadata: Option<&Metadata>) -> Vec<u8> {
        let mut buffer = Vec::new();
        let flags = match metadata {
            Some(_) => Flags::ACK_REQUIRED.union(Flags::META),
            None => Flags::ACK_REQUIRED,
        };
        let header = Header {
            flags,
            ..Header::control(FrameType::Publish, id)
        };
        let mark = begin_frame(&mut buffer, &header);
        if let Some(metadata) = metadata {
            write_metadata(&mut buffer, metadata, 100).unwrap();
        }
        buffer.extend_from_slice(b"\0\0body");
        seal(&mut buffer, mark);
        buffer
    }

    fn deadline(deadline_ms: u32) -> Metadata {
        Metadata {
            deadline_ms: Some(deadline_ms),
            ..Metadata::default()
        }
    }

    #[test]
    fn a_late_frame_tells_what_remains() {
        let call = MsgId::exchange(Side::Connecting, 1);
        let delivery = MsgId::delivery(Side::Connecting, 1);
        let named = Metadata {
            key: "k".to_owned(),
            ..deadline(5000)
        };
        let named_late = Metadata {
            key: "k".to_owned(),
            ..deadline(70)
        };
        let cases = [
            (
                "a call that told",
                call,
                Some(deadline(5000)),
                Some(deadline(70)),
            ),
            ("a call that did not", call, None, Some(deadline(70))),
            ("with more beside it", call, Some(named), Some(named_late)),
            (
                "a delivery that told",
                delivery,
                Some(deadline(5000)),
                Some(deadline(70)),
            ),
            ("a delivery that did not", delivery, None, None),
        ];
        for (name, id, before, after) in cases {
            let mut buffer = Vec::new();
            let len = write_late(&mut buffer, &frame(id, before.as_ref()), false, Some(70));
            assert_eq!(buffer, frame(id, after.as_ref()), "{name}");
            assert_eq!(len, buffer.len() - HEADER_LEN, "{name}");
        }
        let mut buffer = Vec::new();
        write_late(&mut buffer, &frame(delivery, None), true, None);
        let flags = header_of(&buffer).unwrap().flags;
        assert!(flags.contains(Flags::REDELIVERED) && !flags.contains(Flags::META));
    }
}
