//! A body where it lies: in the memory that it was read into, with others.

use std::ops::Range;

use bytes::{Buf, Bytes};

/// The bytes of a body, in the memory that they share with what was read together with them.
///
/// It counts no reference to that memory: a message without `Bytes` fields is read from it like from a slice, and each `Bytes`
/// field that is taken out shares the memory and is not copied.
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
    /// What `rest` is a part of.
    memory: &'a Bytes,
}

impl<'a> Body<'a> {
    /// What lies there in this memory; nothing where that reaches beyond it.
    #[inline]
    pub(crate) fn within(memory: &'a Bytes, range: Range<usize>) -> Self {
        Self {
            rest: memory.get(range).unwrap_or_default(),
            memory,
        }
    }

    /// The bytes that are left.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// What `rest` is a part of.
    #[inline]
    pub(crate) fn memory(&self) -> &'a Bytes {
        self.memory
    }

    /// The bytes that are left, sharing the memory.
    pub(crate) fn to_bytes(self) -> Bytes {
        self.memory.slice_ref(self.rest)
    }
}

/// A body that is all of its memory.
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

    /// Goes over the next bytes; over all where that are more than are left.
    #[inline]
    fn advance(&mut self, len: usize) {
        self.rest = self.rest.get(len..).unwrap_or_default();
    }

    /// Takes the next bytes out, sharing the memory; all where that are more than are left.
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
    fn what_is_taken_out_shares_the_memory() {
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
    fn more_than_there_is_is_all_that_there_is() {
        let memory = Bytes::from_static(b"body tail");
        let mut body = Body::within(&memory, 0..4);
        assert_eq!(body.copy_to_bytes(9), "body");
        assert!(!body.has_remaining());
        body.advance(1);
        assert_eq!(body.copy_to_bytes(1), "");
        assert_eq!(Body::within(&memory, 5..10).remaining(), 0);
    }
}
