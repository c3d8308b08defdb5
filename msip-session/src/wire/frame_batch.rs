//! Frame batches: frames that were read together, left in the memory that they were read into.

use bytes::Bytes;

use super::{Frame, Header};

/// Frames that follow each other in the memory that they were read into, with one reference to it for all of them.
#[derive(Debug, Default)]
pub struct FrameBatch {
    memory: Bytes,
    ranges: Vec<FrameRange>,
}

/// A frame, by where it is in the memory of its batch.
#[derive(Debug, Clone, Copy)]
pub struct FrameRange {
    header: Header,
    /// Where the payload begins.
    start: usize,
}

impl FrameBatch {
    /// An empty batch that reuses the ranges of another one.
    #[inline]
    #[must_use]
    pub fn reusing(mut ranges: Vec<FrameRange>) -> Self {
        ranges.clear();
        Self {
            memory: Bytes::new(),
            ranges,
        }
    }

    /// The ranges, to be reused.
    #[inline]
    #[must_use]
    pub fn into_ranges(self) -> Vec<FrameRange> {
        self.ranges
    }

    /// How many frames there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Appends a frame, whose payload begins here in the memory that is set later.
    #[inline]
    pub(super) fn push(&mut self, header: Header, start: usize) {
        self.ranges.push(FrameRange { header, start });
    }

    pub(super) fn set_memory(&mut self, memory: Bytes) {
        self.memory = memory;
    }

    /// The memory that the frames were read into.
    #[inline]
    pub fn memory(&self) -> &Bytes {
        &self.memory
    }

    /// The frames, in the order of their receipt.
    #[inline]
    pub fn frames(&self) -> impl Iterator<Item = FrameRef<'_>> {
        self.ranges.iter().map(|range| FrameRef {
            header: &range.header,
            memory: &self.memory,
            start: range.start,
        })
    }
}

/// A frame in the memory that it was read into.
#[derive(Debug, Clone, Copy)]
pub struct FrameRef<'a> {
    /// The header.
    pub header: &'a Header,
    memory: &'a Bytes,
    start: usize,
}

impl<'a> FrameRef<'a> {
    /// Where the payload begins in that memory.
    #[inline]
    pub fn start(&self) -> usize {
        self.start
    }

    /// The payload.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        let len = usize::try_from(self.header.payload_len).unwrap_or(usize::MAX);
        let rest = self.memory.get(self.start..).unwrap_or_default();
        rest.get(..len).unwrap_or_default()
    }

    /// The payload without its first `len` bytes, sharing the memory.
    #[inline]
    pub fn payload_after(&self, len: usize) -> Bytes {
        self.memory
            .slice_ref(self.payload().get(len..).unwrap_or_default())
    }

    /// The frame with a reference of its own to the memory.
    #[must_use]
    pub fn to_frame(self) -> Frame {
        Frame {
            header: *self.header,
            payload: self.payload_after(0),
        }
    }
}

#[cfg(any(test, fuzzing))]
impl<'a> From<&'a Frame> for FrameRef<'a> {
    fn from(frame: &'a Frame) -> Self {
        Self {
            header: &frame.header,
            memory: &frame.payload,
            start: 0,
        }
    }
}
