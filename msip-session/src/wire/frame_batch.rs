//! Frames that were read together, left where they lie.

use bytes::Bytes;

use super::{Frame, Header};

/// Frames that lie one behind the other in the memory that they were read into: one reference to it for all of them.
#[derive(Debug, Default)]
pub struct FrameBatch {
    memory: Bytes,
    places: Vec<FrameRange>,
}

/// A frame, by where it lies.
#[derive(Debug, Clone, Copy)]
pub struct FrameRange {
    header: Header,
    /// Where the payload begins.
    start: usize,
}

impl FrameBatch {
    /// A run without frames, for which the memory of another's places is used again.
    pub fn reusing(mut places: Vec<FrameRange>) -> Self {
        places.clear();
        Self {
            memory: Bytes::new(),
            places,
        }
    }

    /// What is used again for the next run.
    pub fn into_places(self) -> Vec<FrameRange> {
        self.places
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// A frame follows, whose payload begins here in the memory that is set later.
    #[inline]
    pub(super) fn push(&mut self, header: Header, start: usize) {
        self.places.push(FrameRange { header, start });
    }

    pub(super) fn set_memory(&mut self, memory: Bytes) {
        self.memory = memory;
    }

    /// What the frames lie in.
    pub fn memory(&self) -> &Bytes {
        &self.memory
    }

    /// The frames, in the order that they came.
    #[inline]
    pub fn frames(&self) -> impl Iterator<Item = FrameRef<'_>> {
        self.places.iter().map(|place| FrameRef {
            header: &place.header,
            memory: &self.memory,
            start: place.start,
        })
    }
}

/// A frame where it lies.
#[derive(Debug, Clone, Copy)]
pub struct FrameRef<'a> {
    pub header: &'a Header,
    memory: &'a Bytes,
    start: usize,
}

impl<'a> FrameRef<'a> {
    /// Where its payload begins in the memory that it lies in.
    #[inline]
    pub fn start(&self) -> usize {
        self.start
    }

    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        let len = usize::try_from(self.header.payload_len).unwrap_or(usize::MAX);
        let behind = self.memory.get(self.start..).unwrap_or_default();
        behind.get(..len).unwrap_or_default()
    }

    /// The payload but for its first `len` bytes, sharing the memory.
    #[inline]
    pub fn payload_after(&self, len: usize) -> Bytes {
        self.memory
            .slice_ref(self.payload().get(len..).unwrap_or_default())
    }

    /// The same frame, with a reference of its own to the memory.
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
