//! A lane of the outgoing queue: chunks of frames, and the frames in them that are withdrawn.

use std::collections::VecDeque;

use super::{super::frame_writer::first_frame, CHUNK_LEN};

/// A chunk, and how many frames are in it.
pub(super) type Chunk = (Vec<u8>, usize);

#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) chunks: VecDeque<Chunk>,
    /// How many bytes were ever appended.
    pub(super) appended: u64,
    /// How many of them were handed to the transport.
    pub(super) taken: u64,
    /// Where the frames begin that are withdrawn, in order.
    #[expect(clippy::box_collection, reason = "nearly always there is none")]
    withdrawn: Option<Box<VecDeque<u64>>>,
    /// The responses, grouped by about a chunk.
    responses: VecDeque<Responses>,
}

/// Responses that lie behind one another.
#[derive(Debug)]
struct Responses {
    /// Where the first of them begins.
    start: u64,
    cost: ResponseCost,
}

/// What queued responses cost, in bytes, each frame counted as its length + 64.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct ResponseCost {
    pub(super) all: usize,
    /// What of that no handler has asked for, but reading alone: refusals, PONGs, credit.
    pub(super) provoked: usize,
}

impl ResponseCost {
    pub(super) fn add(&mut self, other: Self) {
        self.all += other.all;
        self.provoked += other.provoked;
    }

    pub(super) fn subtract(&mut self, other: Self) {
        self.all = self.all.saturating_sub(other.all);
        self.provoked = self.provoked.saturating_sub(other.provoked);
    }
}

/// A chunk that was taken out of a lane.
pub(super) struct TakenChunk {
    pub(super) bytes: Vec<u8>,
    pub(super) frames: usize,
    /// What its responses cost.
    pub(super) response_cost: ResponseCost,
    /// How many frames were withdrawn from it, and how many bytes they had.
    pub(super) withdrawn: (usize, usize),
}

impl Lane {
    /// A response of this cost has been appended.
    #[inline]
    pub(super) fn add_response(&mut self, start: u64, cost: usize) {
        match self.responses.back_mut() {
            Some(group) if start < group.start + CHUNK_LEN as u64 => group.cost.all += cost,
            _ => self.responses.push_back(Responses {
                start,
                cost: ResponseCost {
                    all: cost,
                    provoked: 0,
                },
            }),
        }
    }

    /// The response that was appended last was provoked.
    pub(super) fn mark_provoked(&mut self, cost: usize) {
        if let Some(group) = self.responses.back_mut() {
            group.cost.provoked += cost;
        }
    }

    /// Whether the last chunk takes another frame.
    #[inline]
    pub(super) fn has_open_chunk(&self) -> bool {
        self.chunks
            .back()
            .is_some_and(|(bytes, _)| bytes.len() < CHUNK_LEN)
    }

    /// Takes the front chunk.
    pub(super) fn take(&mut self) -> Option<TakenChunk> {
        let (mut bytes, frames) = self.chunks.pop_front()?;
        let (start, len) = (self.taken, bytes.len());
        self.taken += len as u64;
        let mut response_cost = ResponseCost::default();
        while let Some(group) = self
            .responses
            .front()
            .filter(|group| group.start < self.taken)
        {
            response_cost.add(group.cost);
            self.responses.pop_front();
        }
        let withdrawn = match self.withdrawn {
            None => 0,
            Some(_) => self.remove_withdrawn(start, &mut bytes),
        };
        Some(TakenChunk {
            frames: frames - withdrawn,
            response_cost,
            withdrawn: (withdrawn, len - bytes.len()),
            bytes,
        })
    }

    /// Removes the withdrawn frames from the front chunk, which begins at `start`. Returns how many.
    fn remove_withdrawn(&mut self, start: u64, bytes: &mut Vec<u8>) -> usize {
        let end = start + bytes.len() as u64;
        let mut removed = 0;
        let mut count = 0;
        let Some(withdrawn) = &mut self.withdrawn else {
            return 0;
        };
        while let Some(at) = withdrawn.front().copied().filter(|at| *at < end) {
            withdrawn.pop_front();
            let Ok(at) = usize::try_from(at - start) else {
                continue;
            };
            let at = at - removed;
            let len = bytes.get(at..).and_then(first_frame).map(<[u8]>::len);
            if let Some(len) = len {
                bytes.drain(at..at + len);
                removed += len;
                count += 1;
            }
        }
        self.withdrawn.take_if(|withdrawn| withdrawn.is_empty());
        count
    }

    /// Withdraws the frame that begins here.
    pub(super) fn withdraw(&mut self, start: u64) {
        let withdrawn = self.withdrawn.get_or_insert_default();
        let place = withdrawn.partition_point(|at| *at < start);
        withdrawn.insert(place, start);
    }

    /// Withdraws all frames behind this position that `is_meant`.
    pub(super) fn withdraw_behind(&mut self, start: u64, is_meant: impl Fn(&[u8]) -> bool) {
        let mut at = self.taken;
        let mut meant = Vec::new();
        for (bytes, _) in &self.chunks {
            let end = at + bytes.len() as u64;
            if end <= start {
                at = end;
                continue;
            }
            let mut rest = bytes.as_slice();
            while let Some(frame) = first_frame(rest) {
                if at > start && is_meant(frame) {
                    meant.push(at);
                }
                at += frame.len() as u64;
                rest = rest.get(frame.len()..).unwrap_or_default();
            }
        }
        for at in meant {
            self.withdraw(at);
        }
    }

    /// Drops everything. Returns the chunks, and what the responses in them cost.
    pub(super) fn clear(&mut self) -> (Vec<Chunk>, ResponseCost) {
        self.withdrawn = None;
        let mut cost = ResponseCost::default();
        for group in self.responses.drain(..) {
            cost.add(group.cost);
        }
        (self.chunks.drain(..).collect(), cost)
    }

    /// What the chunks have reserved and not used, in bytes.
    #[inline]
    pub(super) fn spare(&self) -> usize {
        if self.chunks.is_empty() {
            return 0;
        }
        self.spare_of_chunks()
    }

    /// By itself, so that the usual look at an empty lane stays short.
    #[inline(never)]
    fn spare_of_chunks(&self) -> usize {
        let spare = |(bytes, _): &Chunk| bytes.capacity() - bytes.len();
        self.chunks.iter().map(spare).sum()
    }
}
