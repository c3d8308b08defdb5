//! The frame of a message that nobody could handle.

use bytes::Bytes;
use msip_session::{
    MsgKind,
    wire::{Flags, FrameType, Header, Limits, Metadata, begin_frame, finish_frame, write_metadata},
};
use prost::Message as _;

use super::{Publication, Refused, SessionKey, publication::take_apart};

/// The header that has the topic which it was sent to.
pub const DEAD_TOPIC: &str = "dead-topic";

/// The header that has the code of the last error.
pub const DEAD_CODE: &str = "dead-code";

/// The header that has its text.
pub const DEAD_TEXT: &str = "dead-text";

/// The message for `$dead/T`: the same body, with the reason in its metadata.
pub(super) fn dead_letter(
    of: &Publication,
    frame: Bytes,
    topic: &Bytes,
    why: &Refused,
) -> Option<Publication> {
    let (header, payload) = take_apart(&frame)?;
    let metadata = payload.metadata.unwrap_or_default();
    let mut metadata = Metadata::decode(metadata).unwrap_or_default();
    let lost = String::from_utf8_lossy(&of.topic).into_owned();
    let headers = [
        (DEAD_TOPIC, lost),
        (DEAD_CODE, why.code.name().to_owned()),
        (DEAD_TEXT, why.text.to_string()),
    ];
    for (name, value) in headers {
        metadata.headers.insert(name.to_owned(), value);
    }
    let kind = match of.kind {
        // It is not the last of its topic.
        MsgKind::State => MsgKind::Event,
        kind => kind,
    };
    let flags = header.flags.without(Flags::ACK_REQUIRED) | Flags::META;
    let mut frames = Vec::with_capacity(payload.body.len().saturating_add(256));
    let mark = begin_frame(
        &mut frames,
        &Header {
            flags,
            frame_type: FrameType::Event,
            kind: kind.into(),
            ..header
        },
    );
    if write_metadata(&mut frames, &metadata, Limits::default().max_metadata).is_err() {
        // The message had as much metadata as there may be: the reason is worth more.
        metadata
            .headers
            .retain(|name, _| [DEAD_TOPIC, DEAD_CODE, DEAD_TEXT].contains(&name.as_str()));
        let metadata = Metadata {
            headers: metadata.headers,
            identity: metadata.identity,
            ..Metadata::default()
        };
        write_metadata(&mut frames, &metadata, u16::MAX).ok()?;
    }
    frames.extend_from_slice(&u16::try_from(topic.len()).ok()?.to_be_bytes());
    frames.extend_from_slice(topic);
    frames.extend_from_slice(&payload.body);
    finish_frame(&mut frames, mark).ok()?;
    let mut letter = Publication::new(SessionKey::BROKER, topic.clone(), kind, frames.into(), 1);
    letter.wants_ack = true;
    letter.urgent = of.urgent;
    letter.compression = of.compression;
    letter.expires_at = of.expires_at;
    Some(letter)
}
