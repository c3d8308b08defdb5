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
    withdrawn: VecDeque<u64>,
    /// Where responses begin and what they cost, grouped by about a chunk.
    responses: VecDeque<(u64, usize)>,
}

/// A chunk that was taken out of a lane.
pub(super) struct TakenChunk {
    pub(super) bytes: Vec<u8>,
    pub(super) frames: usize,
    /// What its responses cost.
    pub(super) response_cost: usize,
    /// How many frames were withdrawn from it, and how many bytes they had.
    pub(super) withdrawn: (usize, usize),
}

impl Lane {
    /// A response of this cost has been appended.
    #[inline]
    pub(super) fn add_response(&mut self, start: u64, cost: usize) {
        match self.responses.back_mut() {
            Some((first, sum)) if start < *first + CHUNK_LEN as u64 => *sum += cost,
            _ => self.responses.push_back((start, cost)),
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
        let mut response_cost = 0;
        while let Some((_, cost)) = self
            .responses
            .front()
            .filter(|(first, _)| *first < self.taken)
        {
            response_cost += cost;
            self.responses.pop_front();
        }
        let withdrawn = if self.withdrawn.is_empty() {
            0
        } else {
            self.remove_withdrawn(start, &mut bytes)
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
        while let Some(at) = self.withdrawn.front().copied().filter(|at| *at < end) {
            self.withdrawn.pop_front();
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
        count
    }

    /// Withdraws the frame that begins here.
    pub(super) fn withdraw(&mut self, start: u64) {
        let place = self.withdrawn.partition_point(|at| *at < start);
        self.withdrawn.insert(place, start);
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
    pub(super) fn clear(&mut self) -> (Vec<Chunk>, usize) {
        self.withdrawn.clear();
        let cost = self.responses.drain(..).map(|(_, cost)| cost).sum();
        (self.chunks.drain(..).collect(), cost)
    }
}
