//! The limits of a connection: how large the parts of a frame may be.

use super::FrameType;

/// The default limit on bodies, in bytes: 4 MiB.
pub const DEFAULT_MAX_BODY: usize = 4 * 1024 * 1024;

/// The limits of one connection on what it receives (docs/protocol.md, "Limits"). All are in bytes.
///
/// Start from [`Limits::default`] and change what has to change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest body, before and after decompression. Default 4 MiB. A message over it is answered with
    /// `RESOURCE_EXHAUSTED`; a frame that could hold no body within it closes the connection.
    pub max_body: u32,
    /// The largest encoded [`Metadata`](super::Metadata). Default 8 KiB. A message over it is answered with
    /// `INVALID_ARGUMENT`.
    pub max_metadata: u16,
    /// The longest topic. Default 255. A message over it is answered with `INVALID_ARGUMENT`.
    pub max_topic: u16,
    /// The largest payload of a frame before the handshake is done. Default 16 KiB. One over it closes the
    /// connection.
    pub max_hello: u32,
}

impl Limits {
    /// The defaults, but for the largest body.
    #[must_use]
    pub fn with_max_body(max_body: u32) -> Self {
        Self {
            max_body,
            ..Self::default()
        }
    }

    /// The largest payload of a frame that is neither PUBLISH, EVENT nor ACK: 64 KiB, fixed.
    pub const MAX_CONTROL: u32 = 64 * 1024;

    /// The largest payload of a frame once the handshake is done: body, metadata, topic and the two lengths
    /// in front of them.
    pub fn max_payload(&self) -> u32 {
        const LENGTH_PREFIXES: u32 = 4;
        self.max_body
            .saturating_add(u32::from(self.max_metadata))
            .saturating_add(u32::from(self.max_topic))
            .saturating_add(LENGTH_PREFIXES)
    }

    /// The largest payload of a frame of this type.
    #[inline]
    pub(super) fn of_frame(frame_type: FrameType, max_payload: u32) -> u32 {
        match frame_type {
            FrameType::Publish | FrameType::Event | FrameType::Ack => max_payload,
            _ => max_payload.min(Self::MAX_CONTROL),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body: 4 * 1024 * 1024,
            max_metadata: 8 * 1024,
            max_topic: 255,
            max_hello: 16 * 1024,
        }
    }
}
