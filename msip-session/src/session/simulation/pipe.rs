//! One direction of a connection: bytes that are delayed, cut off anywhere, or swallowed.

use std::{collections::VecDeque, time::Duration};

use super::random::Random;

/// How many bytes are under way, at most.
const CAPACITY: usize = 8 * 1024;

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    under_way: VecDeque<(Duration, Vec<u8>)>,
    len: usize,
    /// Nothing that is written any more arrives.
    is_dead: bool,
    /// When the reader finds the end, if it does at all.
    end_at: Option<Duration>,
}

impl Pipe {
    /// Takes the beginning of `bytes`, and says how many.
    pub(super) fn write(&mut self, bytes: &[u8], now: Duration, random: &mut Random) -> usize {
        if self.is_dead {
            // A transport takes bytes for a while before it notices that the peer does not.
            return bytes.len();
        }
        let capacity = CAPACITY.saturating_sub(self.len);
        let mut len = bytes.len().min(capacity);
        if len > 1 && random.once_in(3) {
            len = 1 + random.below(len as u64) as usize;
        }
        if len == 0 {
            return 0;
        }
        let earliest = self.under_way.back().map_or(now, |(at, _)| *at);
        let delay = if random.once_in(10) { 400 } else { 20 };
        let at = earliest.max(now + Duration::from_millis(random.below(delay)));
        self.under_way.push_back((at, bytes[..len].to_vec()));
        self.len += len;
        len
    }

    /// The next bytes that have arrived.
    pub(super) fn read(&mut self, now: Duration) -> Option<Vec<u8>> {
        if self.under_way.front()?.0 > now {
            return None;
        }
        let (_, bytes) = self.under_way.pop_front()?;
        self.len -= bytes.len();
        Some(bytes)
    }

    /// Whether the reader finds the end now.
    pub(super) fn has_ended(&self, now: Duration) -> bool {
        self.under_way.is_empty() && self.end_at.is_some_and(|at| now >= at)
    }

    /// The writer has closed: what is under way arrives, and then the end.
    pub(super) fn close(&mut self, now: Duration) {
        if !self.is_dead {
            self.is_dead = true;
            self.end_at = Some(now);
        }
    }

    /// Breaks it: an unlucky part of what is under way is lost, and the reader may find out or not.
    pub(super) fn cut(&mut self, now: Duration, random: &mut Random) {
        self.is_dead = true;
        let mut left = random.below(self.len as u64 + 1) as usize;
        for (_, bytes) in &mut self.under_way {
            bytes.truncate(left);
            left -= bytes.len();
        }
        self.under_way.retain(|(_, bytes)| !bytes.is_empty());
        self.len = self.under_way.iter().map(|(_, bytes)| bytes.len()).sum();
        if !random.once_in(4) {
            self.end_at = Some(now + Duration::from_millis(random.below(500)));
        }
    }

    /// Swallows what is written from here on, silently.
    pub(super) fn silence(&mut self) {
        self.is_dead = true;
    }

    /// Whether nothing is under way, and what is written now would arrive.
    pub(super) fn is_quiet(&self) -> bool {
        self.under_way.is_empty() && !self.is_dead
    }
}
