//! Messages of an MSIP peer, as publications.

use std::time::Duration;

use bytes::Bytes;
use msip_runtime::{
    Metadata, MsgKind,
    untyped::{MessageRef, UntypedExchange},
};
use msip_session::wire::FrameType;

use crate::router::{Publication, SessionKey, StateKey};

/// The header of a message that says after how many milliseconds it is not worth delivering any more.
pub(super) const TTL: &str = "ttl";

/// Where a header has its frame type (docs/protocol.md, "Header").
const FRAME_TYPE: std::ops::Range<usize> = 6..8;

/// Consecutive one-way messages of one topic and kind.
#[derive(Debug)]
pub(super) struct Run {
    topic: Bytes,
    kind: MsgKind,
    frames: Vec<u8>,
    count: u32,
    state: Option<StateKey>,
}

impl Run {
    /// A run of such messages as this one, without any yet. `last` is the topic of the run before, which is likely the same.
    pub(super) fn new(message: &MessageRef<'_>, last: &Bytes) -> Self {
        let topic = message.topic_bytes();
        Self {
            topic: if topic == last {
                last.clone()
            } else {
                Bytes::copy_from_slice(topic)
            },
            kind: message.kind(),
            frames: Vec::new(),
            count: 0,
            state: (message.kind() == MsgKind::State).then(|| StateKey {
                variant: message.number(),
                key: Bytes::new(),
                is_cleared: message.body().is_empty(),
            }),
        }
    }

    /// There will be so many bytes of frames.
    pub(super) fn reserve(&mut self, len: usize) {
        self.frames.reserve_exact(len);
    }

    /// Whether this message is one more of it: a STATE is alone.
    pub(super) fn takes(&self, message: &MessageRef<'_>) -> bool {
        self.state.is_none() && self.kind == message.kind() && self.topic == message.topic_bytes()
    }

    pub(super) fn push(&mut self, message: &MessageRef<'_>) {
        let start = self.frames.len();
        self.frames.extend_from_slice(message.frame());
        let of_type = start + FRAME_TYPE.start..start + FRAME_TYPE.end;
        if let Some(frame_type) = self.frames.get_mut(of_type) {
            frame_type.copy_from_slice(&FrameType::Event.number().to_be_bytes());
        }
        self.count += 1;
    }

    pub(super) fn into_publication(self, from: SessionKey) -> Publication {
        let frames = Bytes::from(self.frames);
        let mut publication = Publication::new(from, self.topic, self.kind, frames, self.count);
        publication.state = self.state;
        publication
    }
}

/// A message with metadata, or with flags.
pub(super) fn publication_of(
    exchange: &UntypedExchange,
    from: SessionKey,
    now: Duration,
) -> Publication {
    let (message, metadata) = (&exchange.message, exchange.metadata());
    let topic = Bytes::copy_from_slice(message.topic().as_bytes());
    let frames = Bytes::from(exchange.to_frame());
    let mut publication = Publication::new(from, topic, message.kind(), frames, 1);
    publication.urgent = message.variant().is_urgent();
    publication.is_idempotent = metadata.is_idempotent();
    publication.compression = wire_compression(message.compression());
    publication.expires_at = expires_at(metadata, now);
    publication.sticky_key = metadata
        .key()
        .map(|key| Bytes::copy_from_slice(key.as_bytes()));
    publication.state = (message.kind() == MsgKind::State).then(|| StateKey {
        variant: message.number(),
        key: Bytes::copy_from_slice(metadata.key().unwrap_or_default().as_bytes()),
        is_cleared: message.clears(),
    });
    publication
}

/// When a message is not worth delivering any more, where it says so.
fn expires_at(metadata: &Metadata, now: Duration) -> Option<Duration> {
    let milliseconds = metadata.header(TTL)?.parse().ok()?;
    now.checked_add(Duration::from_millis(milliseconds))
}

/// The same compression, as the wire names it.
fn wire_compression(compression: msip_runtime::Compression) -> msip_session::wire::Compression {
    use msip_runtime::Compression as Ours;
    use msip_session::wire::Compression as Wire;
    match compression {
        Ours::Gzip => Wire::Gzip,
        Ours::Zstd => Wire::Zstd,
        Ours::Lz4 => Wire::Lz4,
        _ => Wire::None,
    }
}
