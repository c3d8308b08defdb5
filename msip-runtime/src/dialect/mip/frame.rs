//! The frames of MIP, as a client reads and writes them.

use msip_session::wire::{FrameType, HEADER_LEN, MAGIC, RawHeader};

use super::{super::DialectError, NAME};

/// The flag by which an answer is asked for.
pub(super) const ACK_REQUIRED: u8 = 1;

/// How many bytes the length of a topic has, and the longest topic.
const TOPIC_LEN: usize = 2;
const MAX_TOPIC: usize = 65_535;

/// The most that a frame of a broker may carry that is no EVENT.
const MAX_CONTROL: usize = 64 * 1024;

pub(super) fn fault(rule: String) -> DialectError {
    DialectError {
        dialect: NAME,
        rule,
    }
}

/// The header of the first frame, where all of that is there.
///
/// # Errors
///
/// It is no frame, or one that is longer than allowed, as soon as that can be seen.
pub(super) fn whole(input: &[u8], max_body: usize) -> Result<Option<RawHeader>, DialectError> {
    let Some(head) = input.first_chunk::<HEADER_LEN>() else {
        let start = input.get(..MAGIC.len()).unwrap_or(input);
        return if MAGIC.starts_with(start) {
            Ok(None)
        } else {
            Err(not_mip())
        };
    };
    let header = RawHeader::split(head);
    if !header.is_frame() {
        return Err(not_mip());
    }
    let len = usize::try_from(header.payload_len).unwrap_or(usize::MAX);
    let max = if header.frame_type == FrameType::Event.number() {
        max_body.saturating_add(TOPIC_LEN + MAX_TOPIC)
    } else {
        MAX_CONTROL
    };
    if len > max {
        let number = header.frame_type;
        return Err(fault(format!(
            "a frame of type {number} announces {len} bytes: {max} are allowed"
        )));
    }
    Ok((input.len() >= HEADER_LEN.saturating_add(len)).then_some(header))
}

fn not_mip() -> DialectError {
    fault("what came is no frame: each begins with 4d53495001".to_owned())
}

/// Appends a frame whose payload has these parts.
pub(super) fn write_frame(output: &mut Vec<u8>, header: RawHeader, parts: &[&[u8]]) {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let header = RawHeader {
        // A body of the session is shorter than 4 GiB by far more than a topic.
        payload_len: u32::try_from(len).unwrap_or(u32::MAX),
        ..header
    };
    output.reserve(HEADER_LEN.saturating_add(len));
    output.extend_from_slice(&header.join());
    for part in parts {
        output.extend_from_slice(part);
    }
}
