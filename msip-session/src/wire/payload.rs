//! The payload of PUBLISH, EVENT and ACK: metadata, topic and body.

use bytes::{Buf as _, Bytes};
use prost::Message as _;
use thiserror::Error;

use super::{Flags, Frame, FrameType, Limits, MAX_ERROR_METADATA, Metadata, Topic, TopicError};

/// The parts of a message's payload (docs/protocol.md, "Payload"), sharing the frame's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// The encoded [`Metadata`], where the frame has the flag META.
    pub metadata: Option<Bytes>,
    /// The topic; empty on a direct connection and in an ACK.
    pub topic: Topic,
    /// The encoded envelope; empty where there is no message. Where the frame has the flag COMPRESSED, its
    /// first byte names the algorithm and the rest is what that made of it.
    pub body: Bytes,
}

impl Payload {
    /// Splits the payload of a PUBLISH, an EVENT or an ACK into its parts. Any other frame's payload is all body.
    ///
    /// # Errors
    ///
    /// See [`PayloadError`]: faults of this message alone.
    pub fn parse(frame: Frame, limits: &Limits) -> Result<Self, PayloadError> {
        let max_body = usize::try_from(limits.max_body).unwrap_or(usize::MAX);
        match Self::body_alone(frame, max_body) {
            Ok(body) => Ok(Self {
                metadata: None,
                topic: Topic::EMPTY,
                body,
            }),
            Err(frame) => Self::parse_parts(frame, limits),
        }
    }

    /// The body of a frame without metadata and topic, as nearly all are; else the frame again.
    fn body_alone(frame: Frame, max_body: usize) -> Result<Bytes, Frame> {
        let (topic_len, has_topic) = match frame.header.frame_type {
            FrameType::Publish | FrameType::Event => (
                size_of::<u16>(),
                frame.payload.first_chunk() != Some(&[0, 0]),
            ),
            _ => (0, false),
        };
        let is_bare = !frame.header.flags.contains(Flags::META)
            && !has_topic
            && frame.payload.len() - topic_len <= max_body;
        if !is_bare {
            return Err(frame);
        }
        let mut body = frame.payload;
        body.advance(topic_len);
        Ok(body)
    }

    fn parse_parts(frame: Frame, limits: &Limits) -> Result<Self, PayloadError> {
        let Frame {
            header,
            payload: mut rest,
        } = frame;
        let is_message = matches!(header.frame_type, FrameType::Publish | FrameType::Event);
        let metadata = if header.flags.contains(Flags::META)
            && (is_message || header.frame_type == FrameType::Ack)
        {
            let len = take_len(&mut rest).ok_or(PayloadError::MetadataBeyondPayload)?;
            if len > limits.max_metadata {
                let (len, max) = (usize::from(len), limits.max_metadata);
                return Err(PayloadError::MetadataTooLong { len, max });
            }
            Some(take_part(&mut rest, len).ok_or(PayloadError::MetadataBeyondPayload)?)
        } else {
            None
        };
        let topic = if is_message {
            let len = take_len(&mut rest).ok_or(PayloadError::TopicBeyondPayload)?;
            let topic = take_part(&mut rest, len).ok_or(PayloadError::TopicBeyondPayload)?;
            Topic::new(topic, limits.max_topic)?
        } else {
            Topic::EMPTY
        };
        match u32::try_from(rest.len()) {
            Ok(len) if len <= limits.max_body => Ok(Self {
                metadata,
                topic,
                body: rest,
            }),
            _ => Err(PayloadError::BodyTooLarge {
                len: rest.len(),
                max: limits.max_body,
            }),
        }
    }
}

/// Splits the payload of an ERROR between peers that have agreed on [`ERROR_METADATA`](super::ERROR_METADATA) into its
/// encoded metadata, where the frame has the flag META, and its text.
///
/// # Errors
///
/// The metadata is too long, or reaches beyond the payload.
pub fn split_error(flags: Flags, payload: Bytes) -> Result<(Option<Bytes>, Bytes), PayloadError> {
    split_metadata(flags, payload, MAX_ERROR_METADATA)
}

/// Splits a payload into the part that a frame with the flag META begins with, of at most `max` bytes, and the rest.
pub(super) fn split_metadata(
    flags: Flags,
    mut payload: Bytes,
    max: u16,
) -> Result<(Option<Bytes>, Bytes), PayloadError> {
    if !flags.contains(Flags::META) {
        return Ok((None, payload));
    }
    let len = take_len(&mut payload).ok_or(PayloadError::MetadataBeyondPayload)?;
    if len > max {
        let len = usize::from(len);
        return Err(PayloadError::MetadataTooLong { len, max });
    }
    let metadata = take_part(&mut payload, len).ok_or(PayloadError::MetadataBeyondPayload)?;
    Ok((Some(metadata), payload))
}

/// Takes a `u16` off the front of `rest`, if it is there.
fn take_len(rest: &mut Bytes) -> Option<u16> {
    let len = u16::from_be_bytes(*rest.first_chunk()?);
    rest.advance(size_of::<u16>());
    Some(len)
}

/// Takes `len` bytes off the front of `rest`, if it has as many.
fn take_part(rest: &mut Bytes, len: u16) -> Option<Bytes> {
    let len = usize::from(len);
    if len == 0 {
        return Some(Bytes::new());
    }
    (len <= rest.len()).then(|| rest.split_to(len))
}

/// Appends metadata and the length in front of it, as a frame with the flag META begins its payload.
///
/// # Errors
///
/// [`PayloadError::MetadataTooLong`] if it encodes to more than `max` bytes; `buf` is as it was.
pub fn write_metadata(
    buf: &mut Vec<u8>,
    metadata: &Metadata,
    max: u16,
) -> Result<(), PayloadError> {
    let len = metadata.encoded_len();
    let Some(prefix) = u16::try_from(len).ok().filter(|&len| len <= max) else {
        return Err(PayloadError::MetadataTooLong { len, max });
    };
    buf.extend_from_slice(&prefix.to_be_bytes());
    metadata.encode_raw(buf);
    Ok(())
}

/// The longest encoded deadline in bytes: its tag, and the longest `u32`.
pub const DEADLINE_LEN: usize = 6;

/// Appends metadata as [`write_metadata`] does, of which all but the deadline is encoded already; both together are
/// within the limit.
pub fn write_deadline_and(buf: &mut Vec<u8>, deadline_ms: Option<u32>, encoded: &[u8]) {
    let deadline = Metadata {
        deadline_ms,
        ..Metadata::default()
    };
    let len = deadline.encoded_len().saturating_add(encoded.len());
    let prefix = u16::try_from(len);
    debug_assert!(prefix.is_ok(), "metadata of more than 64 KiB");
    buf.extend_from_slice(&prefix.unwrap_or(u16::MAX).to_be_bytes());
    deadline.encode_raw(buf);
    buf.extend_from_slice(encoded);
}

/// Appends a topic and the length in front of it, as PUBLISH and EVENT have it.
pub fn write_topic(buf: &mut Vec<u8>, topic: &Topic) {
    // No topic is longer than the `u16` that it was checked against.
    let len = u16::try_from(topic.len()).unwrap_or(u16::MAX);
    buf.extend_from_slice(&len.to_be_bytes());
    buf.extend_from_slice(topic.as_bytes());
}

/// Why a payload cannot be split. The message is answered; the connection continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// The length in front of the metadata leads beyond the payload, or is not there.
    #[error("the metadata reaches beyond the payload")]
    MetadataBeyondPayload,
    /// There is more metadata than the connection allows.
    #[error("the metadata has {len} bytes: {max} are allowed")]
    MetadataTooLong {
        /// Its length in bytes.
        len: usize,
        /// The most that is allowed.
        max: u16,
    },
    /// The length in front of the topic leads beyond the payload, or is not there.
    #[error("the topic reaches beyond the payload")]
    TopicBeyondPayload,
    /// The topic is not one.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The body is larger than the connection allows.
    #[error("the body has {len} bytes: {max} are allowed (max_body)")]
    BodyTooLarge {
        /// Its length in bytes.
        len: usize,
        /// The most that is allowed.
        max: u32,
    },
}
