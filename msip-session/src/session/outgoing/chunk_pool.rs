//! Buffers of written chunks, kept for the next ones.

use super::CHUNK_LEN;

/// The largest buffer that is kept.
const MAX_BUFFER: usize = 3 * CHUNK_LEN;

/// How many are kept at most: as many chunks as a window of large messages makes. Memory that is given back between two
/// chunks comes back page by page.
const MAX_BUFFERS: usize = 16;

/// A queue of this many bytes keeps one buffer; a larger one keeps more.
const QUEUE_PER_BUFFER: usize = 8 * CHUNK_LEN;

/// How many buffers are shared with other connections, at most. Whoever fills more of them needs them again.
const MAX_SHARED: usize = 4;

#[derive(Debug, Default)]
pub(super) struct ChunkPool {
    buffers: Vec<Vec<u8>>,
    max: usize,
}

impl ChunkPool {
    /// The pool of a queue of at most this many bytes.
    pub(super) fn new(max_queue: usize) -> Self {
        Self {
            buffers: Vec::new(),
            max: (max_queue / QUEUE_PER_BUFFER).clamp(1, MAX_BUFFERS),
        }
    }

    /// A buffer for a chunk.
    #[inline]
    pub(super) fn get(&mut self) -> Vec<u8> {
        self.buffers.pop().unwrap_or_default()
    }

    /// The buffer of a chunk that has been written.
    pub(super) fn put(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() <= MAX_BUFFER && self.buffers.len() < self.max {
            buffer.clear();
            self.buffers.push(buffer);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buffers.is_empty()
    }

    /// Takes over buffers of another connection.
    pub(super) fn fill(&mut self, buffers: Vec<Vec<u8>>) {
        self.buffers = buffers;
    }

    /// The buffers, for another connection; `None` where there are none, or so many that they are needed here.
    pub(super) fn share(&mut self) -> Option<Vec<Vec<u8>>> {
        let are_few = !self.is_empty() && self.buffers.len() <= MAX_SHARED;
        are_few.then(|| std::mem::take(&mut self.buffers))
    }

    /// Frees all buffers.
    pub(super) fn release(&mut self) {
        self.buffers = Vec::new();
    }

    #[cfg(test)]
    pub(super) const MAX_SHARED: usize = MAX_SHARED;
    #[cfg(test)]
    pub(super) const MAX_BUFFERS: usize = MAX_BUFFERS;
}
