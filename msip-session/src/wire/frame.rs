//! Whole frames: reading them as values, writing them into an outgoing buffer.

use bytes::Bytes;
use thiserror::Error;

use super::{HEADER_LEN, Header};

/// A header and the bytes that followed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The header.
    pub header: Header,
    /// The payload, `header.payload_len` bytes. It keeps alive the memory that it was read into, which it may share
    /// with other frames: 128 KiB, or four times its own length.
    pub payload: Bytes,
}

/// Where a frame begins that is still being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a frame that is begun must be finished"]
pub struct Mark(usize);

/// Begins a frame at the end of `buf`; what is appended next is its payload. `header.payload_len` stays unless [`finish_frame`] corrects it.
#[inline]
pub fn begin_frame(buf: &mut Vec<u8>, header: &Header) -> Mark {
    let mark = Mark(buf.len());
    buf.extend_from_slice(&header.encode());
    mark
}

/// Ends the frame that began at `mark`: writes its `payload_len`, and returns it.
///
/// # Errors
///
/// [`FrameTooLong`] if more than 4 GiB were appended; the frame is removed from `buf`.
#[inline]
pub fn finish_frame(buf: &mut Vec<u8>, mark: Mark) -> Result<u32, FrameTooLong> {
    const PAYLOAD_LEN: std::ops::Range<usize> = 12..16;
    let len = buf.len().saturating_sub(mark.0.saturating_add(HEADER_LEN));
    let Ok(payload_len) = u32::try_from(len) else {
        buf.truncate(mark.0);
        return Err(FrameTooLong { len });
    };
    let field = buf
        .get_mut(mark.0..)
        .and_then(|frame| frame.get_mut(PAYLOAD_LEN));
    debug_assert!(field.is_some(), "the buffer was cut below a frame's mark");
    if let Some(field) = field {
        field.copy_from_slice(&payload_len.to_be_bytes());
    }
    Ok(payload_len)
}

/// A payload that no header can announce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a payload of {len} bytes does not fit a frame: 4294967295 are allowed")]
pub struct FrameTooLong {
    /// The length of the payload.
    pub len: usize,
}
