//! What becomes of the other side's calls across connections: what a caller that has lost its connection can be told.

use std::collections::{HashMap, VecDeque};

use super::outgoing::Priority;
use crate::wire::{Code, MsgId};

/// How many calls that have ended are remembered.
const REMEMBERED: usize = 256;

/// What is said of a call that has never come, so that it is safe to repeat (docs/protocol.md, "Resumption").
pub(super) const NOT_RECEIVED: (Code, &str) = (Code::Unavailable, "not received");

/// What a kept frame costs beside its bytes.
const FRAME_COST: usize = 64;

/// A reply that was made and not handed to the transport.
#[derive(Debug)]
pub(super) struct KeptReply {
    pub(super) priority: Priority,
    pub(super) frame: Vec<u8>,
}

/// What is said of a call whose caller still waits, and whose handler does not run.
#[derive(Debug)]
pub(super) enum Fate {
    /// Its reply was kept.
    Reply(KeptReply),
    /// The reply is gone.
    Error(Code, &'static str),
}

/// The calls of the other side that have ended.
#[derive(Debug, Default)]
pub(super) struct EndedCalls {
    ended: VecDeque<MsgId>,
    /// No call after this one has been forgotten.
    forgotten_up_to: u64,
    kept: HashMap<MsgId, KeptReply>,
    kept_cost: usize,
}

impl EndedCalls {
    /// A call has ended, and its reply is on its way.
    #[inline]
    pub(super) fn end(&mut self, id: MsgId) {
        if self.ended.len() >= REMEMBERED
            && let Some(forgotten) = self.ended.pop_front()
        {
            self.forgotten_up_to = self.forgotten_up_to.max(forgotten.sequence());
        }
        self.ended.push_back(id);
    }

    /// Keeps the reply of a call that has ended, since there is no connection for it.
    pub(super) fn keep(&mut self, id: MsgId, reply: KeptReply) {
        self.kept_cost += reply.frame.len() + FRAME_COST;
        if let Some(before) = self.kept.insert(id, reply) {
            self.kept_cost = self
                .kept_cost
                .saturating_sub(before.frame.len() + FRAME_COST);
        }
    }

    /// Gives back memory that a burst needed.
    pub(super) fn release(&mut self) {
        self.ended.shrink_to_fit();
        self.kept.shrink_to_fit();
    }

    /// What the kept replies cost, in bytes, each counted as its length + 64.
    pub(super) fn kept_cost(&self) -> usize {
        self.kept_cost
    }

    /// What to say of a call that does not run, and whose caller waits.
    pub(super) fn tell(&mut self, id: MsgId) -> Fate {
        if let Some(reply) = self.kept.remove(&id) {
            return Fate::Reply(reply);
        }
        // Where it is not known any more whether the call has run, it may have.
        if self.ended.contains(&id) || id.sequence() <= self.forgotten_up_to {
            Fate::Error(Code::Unknown, "reply lost")
        } else {
            Fate::Error(NOT_RECEIVED.0, NOT_RECEIVED.1)
        }
    }

    /// Drops the replies for which nobody waits any more.
    pub(super) fn clear_kept(&mut self) {
        self.kept.clear();
        self.kept_cost = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Side;

    fn id(sequence: u64) -> MsgId {
        MsgId::exchange(Side::Connecting, sequence)
    }

    fn told(ended_calls: &mut EndedCalls, sequence: u64) -> Option<Code> {
        match ended_calls.tell(id(sequence)) {
            Fate::Reply(_) => None,
            Fate::Error(code, _) => Some(code),
        }
    }

    #[test]
    fn a_caller_is_told_what_is_known() {
        let mut ended_calls = EndedCalls::default();
        ended_calls.end(id(1));
        ended_calls.end(id(2));
        let reply = KeptReply {
            priority: Priority::Normal,
            frame: vec![0; 36],
        };
        ended_calls.keep(id(2), reply);
        assert_eq!(ended_calls.kept_cost(), 100);
        assert_eq!(told(&mut ended_calls, 1), Some(Code::Unknown));
        assert_eq!(told(&mut ended_calls, 2), None, "kept");
        assert_eq!(told(&mut ended_calls, 3), Some(Code::Unavailable));
    }

    #[test]
    fn what_is_forgotten_may_have_run() {
        let mut ended_calls = EndedCalls::default();
        for sequence in 1..=257 {
            ended_calls.end(id(2 * sequence));
        }
        assert_eq!(
            told(&mut ended_calls, 1),
            Some(Code::Unknown),
            "before the memory"
        );
        assert_eq!(told(&mut ended_calls, 2), Some(Code::Unknown));
        assert_eq!(told(&mut ended_calls, 514), Some(Code::Unknown));
        assert_eq!(told(&mut ended_calls, 513), Some(Code::Unavailable));
    }
}
