//! The payload of SUBSCRIBE and UNSUBSCRIBE: what is said besides, and a topic (docs/protocol.md, "Subscribe").

use bytes::Bytes;
use prost::Message as _;
use thiserror::Error;

use super::{Flags, Limits, PayloadError, Subscribe, Topic, payload::split_metadata};

/// The longest name of a group, and of a protocol, in bytes.
const MAX_NAME_LEN: usize = 255;

/// The parts of the payload of a SUBSCRIBE or an UNSUBSCRIBE.
#[derive(Debug, Clone, PartialEq)]
pub struct SubscribeFrame {
    /// What is said besides the topic, where the frame has the flag META and says anything.
    pub subscribe: Option<Box<Subscribe>>,
    /// The topic, or a filter of topics. It has no control characters; what its levels mean is the broker's to judge.
    pub topic: Topic,
}

/// Reads the payload of a SUBSCRIBE or an UNSUBSCRIBE with these flags.
///
/// # Errors
///
/// See [`SubscribeError`]: faults of this request alone.
pub fn parse_subscribe(
    flags: Flags,
    payload: Bytes,
    limits: &Limits,
) -> Result<SubscribeFrame, SubscribeError> {
    let (encoded, topic) = split_metadata(flags, payload, limits.max_metadata)?;
    let topic = Topic::new(topic, limits.max_topic).map_err(PayloadError::from)?;
    let subscribe = encoded.map(read).transpose()?;
    Ok(SubscribeFrame {
        subscribe: subscribe
            .filter(|subscribe| *subscribe != Subscribe::default())
            .map(Box::new),
        topic,
    })
}

fn read(encoded: Bytes) -> Result<Subscribe, SubscribeError> {
    let subscribe = Subscribe::decode(encoded).map_err(SubscribeError::Undecodable)?;
    for (part, name) in [
        ("group", &subscribe.group),
        ("protocol", &subscribe.protocol),
    ] {
        if name.len() > MAX_NAME_LEN {
            let len = name.len();
            return Err(SubscribeError::NameTooLong { part, len });
        }
        if let Some(character) = name.chars().find(|character| character.is_control()) {
            return Err(SubscribeError::ControlCharacter { part, character });
        }
    }
    Ok(subscribe)
}

/// Appends the payload of a SUBSCRIBE or an UNSUBSCRIBE; with [`Flags::META`] where `subscribe` is given.
///
/// # Errors
///
/// [`PayloadError::MetadataTooLong`] if `subscribe` encodes to more than `max` bytes; `buf` is as it was.
pub fn write_subscribe(
    buf: &mut Vec<u8>,
    subscribe: Option<&Subscribe>,
    topic: &Topic,
    max: u16,
) -> Result<(), PayloadError> {
    if let Some(subscribe) = subscribe {
        let len = subscribe.encoded_len();
        let Some(prefix) = u16::try_from(len).ok().filter(|&len| len <= max) else {
            return Err(PayloadError::MetadataTooLong { len, max });
        };
        buf.extend_from_slice(&prefix.to_be_bytes());
        subscribe.encode_raw(buf);
    }
    buf.extend_from_slice(topic.as_bytes());
    Ok(())
}

/// Why the payload of a SUBSCRIBE cannot be read. It is answered with `INVALID_ARGUMENT`; the connection goes on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// Its parts do not fit, or it has no topic.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// What stands before the topic is no `msip.v1.Subscribe`.
    #[error("malformed Subscribe: {0}")]
    Undecodable(prost::DecodeError),
    /// A name is too long.
    #[error("the {part} has {len} bytes: 255 are allowed")]
    NameTooLong {
        /// Which one.
        part: &'static str,
        /// Its length in bytes.
        len: usize,
    },
    /// A name holds a NUL or another control character.
    #[error("the {part} holds the control character U+{:04X}", u32::from(*.character))]
    ControlCharacter {
        /// Which one.
        part: &'static str,
        /// The character.
        character: char,
    },
}
