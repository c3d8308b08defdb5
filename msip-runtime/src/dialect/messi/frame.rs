//! The frames of Messi: a type, the length of the payload in three bytes, the payload.

use bytes::{Buf as _, Bytes, BytesMut};

use super::{super::DialectError, NAME};

/// The types.
pub(super) const CLIENT_TO_SERVER: u8 = 1;
pub(super) const SERVER_TO_CLIENT: u8 = 2;
pub(super) const PING: u8 = 3;
pub(super) const PONG: u8 = 4;

const HEADER_LEN: usize = 4;

/// The largest payload, by the width of its length.
pub(crate) const MAX_PAYLOAD: u32 = 0xff_ff_ff;

/// A header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) frame_type: u8,
    pub(super) len: usize,
}

impl Head {
    /// The header of the first frame, where all of it is there.
    pub(super) fn parse(input: &[u8]) -> Option<Self> {
        let [frame_type, a, b, c] = *input.first_chunk::<HEADER_LEN>()?;
        Some(Self {
            frame_type,
            // Three bytes fit on every machine.
            len: usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX),
        })
    }

    /// Takes the first frame off, where all of it is there. Its payload is not waited for where it is longer than allowed.
    ///
    /// # Errors
    ///
    /// It is longer than allowed.
    pub(super) fn take_payload(
        self,
        input: &mut BytesMut,
        max_body: usize,
    ) -> Result<Option<Bytes>, DialectError> {
        let Self { frame_type, len } = self;
        if len > max_body {
            return Err(fault(format!(
                "a frame of type {frame_type} announces {len} bytes: {max_body} are allowed (max_body)"
            )));
        }
        if input.len() < HEADER_LEN.saturating_add(len) {
            return Ok(None);
        }
        input.advance(HEADER_LEN);
        Ok(Some(input.split_to(len).freeze()))
    }
}

/// Appends a frame. A longer payload was refused before: the session knows the limit.
pub(super) fn write_frame(output: &mut Vec<u8>, frame_type: u8, payload: &[u8]) {
    let len = u32::try_from(payload.len()).unwrap_or(MAX_PAYLOAD);
    debug_assert!(len <= MAX_PAYLOAD, "a payload of {len} bytes");
    let [_, a, b, c] = len.min(MAX_PAYLOAD).to_be_bytes();
    output.reserve(HEADER_LEN.saturating_add(payload.len()));
    output.extend_from_slice(&[frame_type, a, b, c]);
    output.extend_from_slice(payload);
}

pub(super) fn fault(rule: String) -> DialectError {
    DialectError {
        dialect: NAME,
        rule,
    }
}
