//! Messages of MiddleMan as those of MSIP, and back: headers are metadata, and bodies text (docs/dialects.md, "MiddleMan").

use std::collections::BTreeMap;

use bytes::Bytes;
use msip_runtime::{
    CallOptions, Compression, Metadata, MsgKind, Status, Variant, untyped::UntypedMessage,
};
use msip_session::wire::{
    self, Flags, FrameType, Header, Limits, MsgId, begin_frame, finish_frame, write_metadata,
};

use super::{
    dots,
    message::{self, Sender, canonical, write},
};
use crate::router::{Publication, SessionKey};

/// The headers that say who has sent a message, as metadata names them.
const CID: &str = "cid";
const UID: &str = "uid";

/// How many bytes of headers become metadata.
const MAX_METADATA: usize = 6 * 1024;

/// The header that is the correlation id of a message.
const CORRELATION_ID: &str = "Correlation-Id";

/// A message of MiddleMan has no variant.
const EVENT: Variant = Variant::new(0, "", MsgKind::Event);
pub(super) const COMMAND: Variant = Variant::new(0, "", MsgKind::Command);

/// Why a body cannot be sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotText;

impl From<NotText> for Status {
    fn from(NotText: NotText) -> Self {
        Self::invalid_argument("MiddleMan has text alone, and the body is not UTF-8")
    }
}

/// Headers as metadata, by their names in lower case. Those of one name are one value. What no header of MSIP can be is left out,
/// and so is what is beyond its limit.
fn metadata(headers: &[message::Header], sender: Sender<'_>) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    let mut left = MAX_METADATA;
    for header in headers {
        let name = header.name.to_ascii_lowercase();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
        let cost = name.len() + header.value.len() + 8;
        if name.is_empty()
            || matches!(&*name, CID | UID)
            || !name.bytes().all(is_name)
            || header.value.contains(char::is_control)
            || cost > left
        {
            continue;
        }
        left -= cost;
        all.entry(name)
            .and_modify(|value| {
                value.push_str(", ");
                value.push_str(&header.value);
            })
            .or_insert_with(|| header.value.clone());
    }
    let plain = |text: &str| text.replace(char::is_control, " ");
    all.insert(CID.to_owned(), plain(sender.cid));
    all.insert(UID.to_owned(), plain(sender.uid));
    all
}

/// The correlation id among headers.
fn correlation_id(headers: &[message::Header]) -> String {
    let found = headers.iter().find(|header| header.name == CORRELATION_ID);
    let id = found.map_or("", |header| &header.value);
    match id.contains(char::is_control) || id.len() > 255 {
        true => String::new(),
        false => id.to_owned(),
    }
}

/// A PUB as an EVENT of MSIP. `None` where it is too long for a frame.
pub(super) fn publication(
    from: SessionKey,
    topic: String,
    headers: &[message::Header],
    sender: Sender<'_>,
    body: &str,
) -> Option<Publication> {
    let metadata = wire::Metadata {
        correlation_id: correlation_id(headers),
        headers: metadata(headers, sender),
        ..wire::Metadata::default()
    };
    let body = dots::unstuff(body);
    let mut frames = Vec::with_capacity(body.len() + topic.len() + 512);
    let header = Header {
        flags: Flags::META,
        kind: MsgKind::Event.into(),
        variant: EVENT.number(),
        ..Header::control(FrameType::Event, MsgId::CONNECTION)
    };
    let mark = begin_frame(&mut frames, &header);
    write_metadata(&mut frames, &metadata, Limits::default().max_metadata).ok()?;
    frames.extend_from_slice(&u16::try_from(topic.len()).ok()?.to_be_bytes());
    frames.extend_from_slice(topic.as_bytes());
    frames.extend_from_slice(body.as_bytes());
    finish_frame(&mut frames, mark).ok()?;
    Some(Publication::new(
        from,
        topic.into(),
        MsgKind::Event,
        frames.into(),
        1,
    ))
}

/// A REQ as a call of MSIP.
pub(super) fn request(
    headers: &[message::Header],
    sender: Sender<'_>,
    body: &str,
) -> (UntypedMessage, CallOptions) {
    let message = UntypedMessage::new(&COMMAND, dots::unstuff(body).into_owned());
    let mut options = CallOptions::new().headers(metadata(headers, sender));
    let id = correlation_id(headers);
    if !id.is_empty() {
        options = options.correlation_id(id);
    }
    (message, options)
}

/// A header of an answer that its caller speaks MSIP can have.
pub(super) fn answer_headers(
    headers: &[message::Header],
    sender: Sender<'_>,
) -> BTreeMap<String, String> {
    metadata(headers, sender)
}

/// A message of MSIP as text.
pub(super) fn text(
    command: &str,
    key: &str,
    metadata: Option<&Metadata>,
    more: &[(&str, &str)],
    sender: Sender<'_>,
    body: &[u8],
) -> Result<String, NotText> {
    let body = std::str::from_utf8(body).map_err(|_| NotText)?;
    let mut headers: Vec<(String, String)> = Vec::new();
    // A line of its own would be another header.
    let plain = |text: &str| text.replace(char::is_control, " ");
    if let Some(metadata) = metadata {
        for (name, value) in metadata.headers() {
            headers.push((canonical(&plain(name)), plain(value)));
        }
        if let Some(id) = metadata.correlation_id() {
            headers.retain(|(name, _)| name != CORRELATION_ID);
            headers.push((CORRELATION_ID.to_owned(), plain(id)));
        }
    }
    headers.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    let headers = headers.iter().map(|(name, value)| (&**name, &**value));
    let headers = headers.chain(more.iter().copied());
    Ok(write(command, key, headers, sender, &dots::stuff(body)))
}

/// The messages of a publication of MSIP's or MIP's peers, as texts. Those that cannot be are counted.
pub(super) fn texts(
    publication: &Publication,
    key: &str,
    sender: Sender<'_>,
    max_body: usize,
    dropped: &mut usize,
) -> Vec<String> {
    let algorithm = match publication.compression {
        wire::Compression::None => Compression::None,
        wire::Compression::Gzip => Compression::Gzip,
        wire::Compression::Zstd => Compression::Zstd,
        wire::Compression::Lz4 => Compression::Lz4,
    };
    let text_of = |frame: Bytes| {
        let (message, options) = UntypedMessage::from_frame(frame, algorithm, max_body)?;
        let body = message.body().ok().filter(|body| body.len() <= max_body)?;
        text("PUB", key, options.metadata(), &[], sender, &body).ok()
    };
    let mut all = Vec::new();
    for frame in publication.iter() {
        match text_of(frame) {
            Some(text) => all.push(text),
            None => *dropped += 1,
        }
    }
    all
}
