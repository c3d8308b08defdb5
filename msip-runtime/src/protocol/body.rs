//! A received body, borrowed from the buffer that it was read into.

use std::ops::Range;

use bytes::{Buf, Bytes};

/// The bytes of a body, borrowed from the buffer that it was read into.
///
/// It holds no reference count: a message without `Bytes` fields is decoded as from a slice, and a `Bytes` field shares
/// the buffer instead of being copied.
///
/// ```
/// use msip_runtime::body::Body;
/// use msip_runtime::bytes::{Buf as _, Bytes};
///
/// let read = Bytes::from_static(b"one two");
/// let mut body = Body::from(&read);
/// body.advance(4);
/// let two = body.copy_to_bytes(3);
/// assert_eq!(two, "two");
/// assert_eq!(two.as_ptr(), read.slice(4..).as_ptr());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Body<'a> {
    rest: &'a [u8],
    /// The buffer that `rest` is a part of.
    memory: &'a Bytes,
}

impl<'a> Body<'a> {
    /// A range of a buffer; empty if the range is out of bounds.
    #[inline]
    pub(crate) fn within(memory: &'a Bytes, range: Range<usize>) -> Self {
        Self {
            rest: memory.get(range).unwrap_or_default(),
            memory,
        }
    }

    /// The remaining bytes.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The buffer that `rest` is a part of.
    #[inline]
    pub(crate) fn memory(&self) -> &'a Bytes {
        self.memory
    }

    /// The remaining bytes, sharing the buffer.
    pub(crate) fn to_bytes(self) -> Bytes {
        self.memory.slice_ref(self.rest)
    }
}

/// A body that is a whole buffer.
impl<'a> From<&'a Bytes> for Body<'a> {
    #[inline]
    fn from(memory: &'a Bytes) -> Self {
        Self {
            rest: memory,
            memory,
        }
    }
}

impl Buf for Body<'_> {
    #[inline]
    fn remaining(&self) -> usize {
        self.rest.len()
    }

    #[inline]
    fn chunk(&self) -> &[u8] {
        self.rest
    }

    /// Skips the next bytes, at most all that remain.
    #[inline]
    fn advance(&mut self, len: usize) {
        self.rest = self.rest.get(len..).unwrap_or_default();
    }

    /// Takes the next bytes, at most all that remain, sharing the buffer.
    #[inline]
    fn copy_to_bytes(&mut self, len: usize) -> Bytes {
        let (part, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, &[]));
        self.rest = rest;
        self.memory.slice_ref(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_taken_share_the_buffer() {
        let memory = Bytes::from(b"head body tail".to_vec());
        let mut body = Body::within(&memory, 5..9);
        assert_eq!(body.chunk(), b"body");
        body.advance(1);
        let taken = body.copy_to_bytes(2);
        assert_eq!(taken, "od");
        assert_eq!(taken.as_ptr(), memory.slice(6..).as_ptr());
        assert_eq!(body.to_bytes(), "y");
        assert_eq!(body.remaining(), 1);
    }

    #[test]
    fn taking_more_than_remains_takes_the_rest() {
        let memory = Bytes::from_static(b"body tail");
        let mut body = Body::within(&memory, 0..4);
        assert_eq!(body.copy_to_bytes(9), "body");
        assert!(!body.has_remaining());
        body.advance(1);
        assert_eq!(body.copy_to_bytes(1), "");
        assert_eq!(Body::within(&memory, 5..10).remaining(), 0);
    }
}
