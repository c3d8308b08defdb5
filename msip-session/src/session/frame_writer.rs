//! The frame writer: header, prefix and body of a message, appended to an outgoing buffer.

use bytes::Bytes;
use prost::Message as _;

use super::request::Priority;
use crate::wire::{
    Flags, HEADER_LEN, Header, Metadata, MsgId, Topic, begin_frame, finish_frame,
    write_deadline_and, write_metadata, write_topic,
};

/// What each queued or stored frame counts in addition to its bytes, so that empty frames cannot fill the memory.
pub(super) const FRAME_COST: usize = 64;

/// The topic of a direct connection: an empty one, which is the two bytes of its length.
pub(super) const NO_TOPIC: [u8; 2] = [0, 0];

/// What the payload of a frame begins with, before its body.
#[derive(Debug, Clone, Copy)]
pub(super) enum Prefix<'a> {
    /// Nothing, as in an ACK.
    None,
    /// The empty topic, as in most messages.
    NoTopic,
    /// A topic.
    Topic(&'a Topic),
    /// Metadata, of which all but the deadline is encoded, and the topic; `None` for the empty one.
    Request {
        deadline_ms: Option<u32>,
        metadata: &'a [u8],
        topic: Option<&'a Topic>,
    },
    /// Metadata alone.
    Metadata(&'a Metadata),
}

impl<'a> Prefix<'a> {
    /// A topic alone; `None` for the empty one.
    #[inline]
    pub(super) fn of_topic(topic: Option<&'a Topic>) -> Self {
        topic.map_or(Self::NoTopic, Self::Topic)
    }

    /// The length of what it writes where it is a topic alone, in bytes.
    #[inline]
    pub(super) fn topic_len(topic: Option<&Topic>) -> usize {
        NO_TOPIC.len() + topic.map_or(0, Topic::len)
    }

    /// The length of what it writes where it is at most a topic, in bytes.
    #[inline]
    pub(super) fn bare_len(self) -> usize {
        match self {
            Self::Topic(topic) => NO_TOPIC.len() + topic.len(),
            _ => NO_TOPIC.len(),
        }
    }

    fn write(self, buffer: &mut Vec<u8>) {
        match self {
            Self::None => {}
            Self::NoTopic => buffer.extend_from_slice(&NO_TOPIC),
            Self::Topic(topic) => write_topic(buffer, topic),
            Self::Request {
                deadline_ms,
                metadata,
                topic,
            } => {
                write_deadline_and(buffer, deadline_ms, metadata);
                Self::of_topic(topic).write(buffer);
            }
            Self::Metadata(metadata) => {
                // Its length was checked where it was made, or it is only a number or two.
                let written = write_metadata(buffer, metadata, u16::MAX);
                debug_assert!(written.is_ok(), "metadata of more than 64 KiB");
            }
        }
    }
}

/// Appends a frame, and returns the length of its payload. Nearly every frame with a body is written here.
///
/// `header.payload_len` is the expected length of the payload, or 0 where it is not known: it is corrected when the
/// payload has another one, so that a body that is not as long as its message says leaves a whole frame.
///
/// Inlined whatever its size: most callers know the prefix, and all have the header at hand.
#[inline(always)]
pub(super) fn write_frame(
    buffer: &mut Vec<u8>,
    header: &Header,
    prefix: Prefix<'_>,
    encode: impl FnOnce(&mut Vec<u8>),
) -> usize {
    let expected = super::to_usize(header.payload_len);
    buffer.reserve(HEADER_LEN + expected);
    let mark = begin_frame(buffer, header);
    let start = buffer.len();
    match prefix {
        Prefix::None => {}
        Prefix::NoTopic => buffer.extend_from_slice(&NO_TOPIC),
        prefix => prefix.write(buffer),
    }
    encode(buffer);
    let payload_len = buffer.len().saturating_sub(start);
    if payload_len != expected {
        let finished = finish_frame(buffer, mark);
        // Every body is compared with a limit of at most 1 GiB before it is written.
        debug_assert!(finished.is_ok(), "a frame of more than 4 GiB");
    }
    payload_len
}

/// The length of a payload as a header has it.
#[inline]
pub(super) fn announced_len(payload_len: usize) -> u32 {
    // A body that no header can announce is refused before it is written.
    u32::try_from(payload_len).unwrap_or(u32::MAX)
}

/// Writes a stored frame again, with what remains of its deadline. Returns the length of its payload.
///
/// A call names its deadline in any case, since the peer would count the usual one from now on. A delivery's handler
/// has no deadline unless its sender has named one.
pub(super) fn rewrite_frame(
    buffer: &mut Vec<u8>,
    frame: &[u8],
    was_sent: bool,
    remaining_ms: Option<u32>,
) -> usize {
    let (Some(mut header), Some(payload)) = (header_of(frame), frame.get(HEADER_LEN..)) else {
        return 0;
    };
    if was_sent {
        header.flags = header.flags.union(Flags::REDELIVERED);
    }
    let (mut metadata, rest) = split_metadata(header.flags, payload);
    if metadata.deadline_ms.is_some() || !header.msg_id.is_delivery() {
        metadata.deadline_ms = remaining_ms;
    }
    let prefix = if metadata == Metadata::default() {
        Prefix::None
    } else {
        header.flags = header.flags.union(Flags::META);
        Prefix::Metadata(&metadata)
    };
    write_frame(buffer, &header, prefix, |buffer| {
        buffer.extend_from_slice(rest);
    })
}

/// The metadata that a payload begins with, and what follows.
fn split_metadata(flags: Flags, payload: &[u8]) -> (Metadata, &[u8]) {
    let split = || {
        let (len, rest) = payload.split_first_chunk()?;
        let (metadata, rest) = rest.split_at_checked(u16::from_be_bytes(*len).into())?;
        // A copy, since this is rare: what decodes from a slice would be one more instance of all that prost generates.
        let metadata = Bytes::copy_from_slice(metadata);
        Some((Metadata::decode(metadata).ok()?, rest))
    };
    flags
        .contains(Flags::META)
        .then(split)
        .flatten()
        .unwrap_or((Metadata::default(), payload))
}

/// The first of several whole frames; `None` where there is none.
#[must_use]
pub fn first_frame(bytes: &[u8]) -> Option<&[u8]> {
    let payload_len = usize::try_from(header_of(bytes)?.payload_len).ok()?;
    bytes.get(..HEADER_LEN.checked_add(payload_len)?)
}

/// The header of the frame that these bytes begin with.
pub(super) fn header_of(frame: &[u8]) -> Option<Header> {
    Header::parse(frame.first_chunk()?).ok()
}

/// The message id of a frame.
pub(super) fn id_of(frame: &[u8]) -> Option<MsgId> {
    Some(header_of(frame)?.msg_id)
}

/// The lane of a frame.
pub(super) fn priority_of(frame: &[u8]) -> Priority {
    header_of(frame).map_or(Priority::Normal, |header| Priority::of(header.flags))
}

/// The length of a whole frame's payload.
pub(super) fn payload_len(frame: &[u8]) -> usize {
    frame.len().saturating_sub(HEADER_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{FrameType, Side};

    fn frame(id: MsgId, metadata: Option<&Metadata>) -> Vec<u8> {
        let mut buffer = Vec::new();
        let (flags, prefix) = match metadata {
            Some(metadata) => (
                Flags::ACK_REQUIRED.union(Flags::META),
                Prefix::Metadata(metadata),
            ),
            None => (Flags::ACK_REQUIRED, Prefix::None),
        };
        let header = Header {
            flags,
            ..Header::control(FrameType::Publish, id)
        };
        write_frame(&mut buffer, &header, prefix, |buffer| {
            buffer.extend_from_slice(b"\0\0body");
        });
        buffer
    }

    fn deadline(deadline_ms: u32) -> Metadata {
        Metadata {
            deadline_ms: Some(deadline_ms),
            ..Metadata::default()
        }
    }

    #[test]
    fn a_stored_frame_is_rewritten_with_the_remaining_deadline() {
        let call = MsgId::exchange(Side::Connecting, 1);
        let delivery = MsgId::delivery(Side::Connecting, 1);
        let keyed = Metadata {
            key: "k".to_owned(),
            ..deadline(5000)
        };
        let keyed_late = Metadata {
            key: "k".to_owned(),
            ..deadline(70)
        };
        let (named, late) = (deadline(5000), deadline(70));
        let cases = [
            ("a call with a deadline", call, Some(&named), Some(&late)),
            ("a call without one", call, None, Some(&late)),
            ("with other metadata", call, Some(&keyed), Some(&keyed_late)),
            ("a delivery with one", delivery, Some(&named), Some(&late)),
            ("a delivery without one", delivery, None, None),
        ];
        for (name, id, before, after) in cases {
            let mut buffer = Vec::new();
            let len = rewrite_frame(&mut buffer, &frame(id, before), false, Some(70));
            assert_eq!(buffer, frame(id, after), "{name}");
            assert_eq!(len, buffer.len() - HEADER_LEN, "{name}");
        }
        let mut buffer = Vec::new();
        rewrite_frame(&mut buffer, &frame(delivery, None), true, None);
        let flags = header_of(&buffer).unwrap().flags;
        assert!(flags.contains(Flags::REDELIVERED) && !flags.contains(Flags::META));
    }

    #[test]
    fn a_wrong_expected_length_is_corrected() {
        for expected in [0, 3, 700] {
            let header = Header {
                payload_len: expected,
                ..Header::control(FrameType::Publish, MsgId::new(1))
            };
            let mut buffer = Vec::new();
            let len = write_frame(&mut buffer, &header, Prefix::NoTopic, |buffer| {
                buffer.extend_from_slice(b"body");
            });
            assert_eq!(len, 6);
            assert_eq!(header_of(&buffer).unwrap().payload_len, 6);
        }
    }
}
