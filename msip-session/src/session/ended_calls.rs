//! Ended calls: how the peer's calls have ended, for a caller that has lost its connection.

use std::collections::{HashMap, VecDeque};

use super::{frame_writer::FRAME_COST, request::Priority};
use crate::wire::{Code, MsgId};

/// How many calls that have ended are remembered.
const REMEMBERED: usize = 256;

/// The error of a call that has never come, so that it is safe to repeat (docs/protocol.md, "Resumption").
pub(super) const NOT_RECEIVED: (Code, &str) = (Code::Unavailable, "not received");

/// A reply that was not handed to the transport.
#[derive(Debug)]
pub(super) struct KeptReply {
    pub(super) priority: Priority,
    pub(super) frame: Vec<u8>,
}

/// The reply to a call that its caller still awaits, and whose handler does not run.
#[derive(Debug)]
pub(super) enum AwaitedReply {
    /// It was kept.
    Kept(KeptReply),
    /// There is none; the caller gets this error.
    Gone(Code, &'static str),
}

/// The calls of the peer that have ended.
#[derive(Debug, Default)]
pub(super) struct EndedCalls {
    ended: VecDeque<MsgId>,
    /// No call after this one has been forgotten.
    forgotten_up_to: u64,
    /// Nothing where no reply was kept, as with most sessions.
    #[expect(
        clippy::box_collection,
        reason = "a map takes 48 bytes where there is none"
    )]
    kept: Option<Box<HashMap<MsgId, KeptReply>>>,
    kept_cost: usize,
}

impl EndedCalls {
    /// A call has ended, and its reply is queued.
    #[inline]
    pub(super) fn end(&mut self, id: MsgId) {
        if self.ended.len() >= REMEMBERED
            && let Some(forgotten) = self.ended.pop_front()
        {
            self.forgotten_up_to = self.forgotten_up_to.max(forgotten.sequence());
        }
        self.ended.push_back(id);
    }

    /// Keeps a reply for which there is no connection.
    pub(super) fn keep(&mut self, id: MsgId, reply: KeptReply) {
        self.kept_cost += reply.frame.len() + FRAME_COST;
        if let Some(before) = self.kept.get_or_insert_default().insert(id, reply) {
            self.kept_cost = self
                .kept_cost
                .saturating_sub(before.frame.len() + FRAME_COST);
        }
    }

    /// Frees memory that a burst needed.
    pub(super) fn release(&mut self) {
        self.ended.shrink_to_fit();
        self.kept.take_if(|kept| kept.is_empty());
        if let Some(kept) = &mut self.kept {
            kept.shrink_to_fit();
        }
    }

    /// How much memory the ids take, in bytes.
    pub(super) fn len(&self) -> usize {
        self.ended.capacity() * size_of::<MsgId>()
    }

    /// The kept replies, in bytes, each counted as its length + 64.
    pub(super) fn kept_cost(&self) -> usize {
        self.kept_cost
    }

    /// Takes the reply to a call that its caller awaits, and whose handler does not run.
    pub(super) fn take(&mut self, id: MsgId) -> AwaitedReply {
        if let Some(reply) = self.kept.as_mut().and_then(|kept| kept.remove(&id)) {
            return AwaitedReply::Kept(reply);
        }
        // A call of which nothing is known any more may have run.
        if self.ended.contains(&id) || id.sequence() <= self.forgotten_up_to {
            AwaitedReply::Gone(Code::Unknown, "reply lost")
        } else {
            AwaitedReply::Gone(NOT_RECEIVED.0, NOT_RECEIVED.1)
        }
    }

    /// Drops the kept replies: none is awaited any more.
    pub(super) fn clear_kept(&mut self) {
        self.kept = None;
        self.kept_cost = 0;
    }
}

/// The calls that have ended, in little memory, where no reply is kept.
#[derive(Debug)]
pub(super) struct PackedEndedCalls {
    forgotten_up_to: u64,
    /// The ids, oldest first. Callers count, so that each id is mostly as far from the one before as that is from its own:
    /// by how much it is not, as a number of 7 bits in each byte, the lowest first, and the highest bit set where more follow.
    ended: Box<[u8]>,
}

impl EndedCalls {
    /// Whether a reply is kept.
    pub(super) fn has_kept(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| !kept.is_empty())
    }

    /// The ids in little memory, and nothing else.
    pub(super) fn pack(self) -> PackedEndedCalls {
        let mut ended = Vec::with_capacity(2 * self.ended.len());
        let (mut last, mut step) = (0_u64, 0_u64);
        for id in &self.ended {
            let number = id.number();
            let next_step = number.wrapping_sub(last);
            let change = next_step.wrapping_sub(step).cast_signed();
            push_number(&mut ended, (change << 1 ^ change >> 63).cast_unsigned());
            (last, step) = (number, next_step);
        }
        PackedEndedCalls {
            forgotten_up_to: self.forgotten_up_to,
            ended: ended.into(),
        }
    }
}

impl PackedEndedCalls {
    /// How much memory it takes besides itself, in bytes.
    pub(super) fn len(&self) -> usize {
        self.ended.len()
    }

    /// The calls again.
    pub(super) fn unpack(self) -> EndedCalls {
        let mut ended = VecDeque::new();
        let (mut last, mut step) = (0_u64, 0_u64);
        let (mut number, mut shift) = (0_u64, 0);
        for byte in self.ended {
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                let change = (number >> 1) ^ (number & 1).wrapping_neg();
                step = step.wrapping_add(change);
                last = last.wrapping_add(step);
                ended.push_back(MsgId::new(last));
                (number, shift) = (0, 0);
            }
        }
        EndedCalls {
            ended,
            forgotten_up_to: self.forgotten_up_to,
            ..EndedCalls::default()
        }
    }
}

fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Side;

    fn id(sequence: u64) -> MsgId {
        MsgId::exchange(Side::Connecting, sequence)
    }

    fn error_of(ended_calls: &mut EndedCalls, sequence: u64) -> Option<Code> {
        match ended_calls.take(id(sequence)) {
            AwaitedReply::Kept(_) => None,
            AwaitedReply::Gone(code, _) => Some(code),
        }
    }

    #[test]
    fn an_awaited_call_is_answered_with_what_is_known() {
        let mut ended_calls = EndedCalls::default();
        ended_calls.end(id(1));
        ended_calls.end(id(2));
        let reply = KeptReply {
            priority: Priority::Normal,
            frame: vec![0; 36],
        };
        ended_calls.keep(id(2), reply);
        assert_eq!(ended_calls.kept_cost(), 100);
        assert_eq!(error_of(&mut ended_calls, 1), Some(Code::Unknown));
        assert_eq!(error_of(&mut ended_calls, 2), None, "kept");
        assert_eq!(error_of(&mut ended_calls, 3), Some(Code::Unavailable));
    }

    #[test]
    fn a_forgotten_call_may_have_run() {
        let mut ended_calls = EndedCalls::default();
        for sequence in 1..=257 {
            ended_calls.end(id(2 * sequence));
        }
        assert_eq!(
            error_of(&mut ended_calls, 1),
            Some(Code::Unknown),
            "before the memory"
        );
        assert_eq!(error_of(&mut ended_calls, 2), Some(Code::Unknown));
        assert_eq!(error_of(&mut ended_calls, 514), Some(Code::Unknown));
        assert_eq!(error_of(&mut ended_calls, 513), Some(Code::Unavailable));
    }

    #[test]
    fn ids_are_packed_and_unpacked_unchanged() {
        let packed_len = |ids: &[u64]| {
            let mut ended_calls = EndedCalls::default();
            for number in ids {
                ended_calls.end(MsgId::new(*number));
            }
            let (ended, forgotten) = (ended_calls.ended.clone(), ended_calls.forgotten_up_to);
            let packed = ended_calls.pack();
            let len = packed.len();
            let after = packed.unpack();
            assert_eq!(after.ended, ended);
            assert_eq!(after.forgotten_up_to, forgotten);
            len
        };
        assert_eq!(packed_len(&[]), 0);
        let counted: Vec<u64> = (1..=1000).map(|number| number << 16).collect();
        assert!(packed_len(&counted) < 256 + 8, "{}", packed_len(&counted));
        let parallel: Vec<u64> = (1..=1000)
            .map(|number| (number << 16) | (number * 37 % 64))
            .collect();
        assert!(packed_len(&parallel) <= 3 * 256);
        packed_len(&[u64::MAX, 1, u64::MAX - 1, 1 << 63, 0, 1 << 62]);
    }
}
