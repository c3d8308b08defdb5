//! What is published: a run of messages of one topic, encoded once for all who hear it.

use std::{any::Any, sync::Arc, time::Duration};

use bytes::Bytes;
use msip_session::{
    MsgKind,
    wire::{Compression, Frame, HEADER_LEN, Header, Limits, Payload},
};

use super::{Dialect, SessionKey, sync::Mutex};

/// Messages of the same topic, kind and class, one after the other.
#[derive(Debug, Clone)]
pub struct Publication {
    /// The topic of all of them.
    pub topic: Bytes,
    /// Their kind.
    pub kind: MsgKind,
    /// Whether they are urgent.
    pub urgent: bool,
    /// Whether their sender waits for an acknowledgment: they are kept while a subscriber is away.
    pub wants_ack: bool,
    /// Whether they may be handed to another instance when one has failed.
    pub is_idempotent: bool,
    /// How bodies are compressed whose frames say so. MIP does not name it: none.
    pub compression: Compression,
    /// The messages: whole EVENT frames, each with its header, metadata where it says so, topic and body.
    pub frames: Bytes,
    /// How many frames these are. One, if they are STATEs or have metadata that matters below.
    pub count: u32,
    /// How much memory they keep: `frames`, or more where these are a part of a larger buffer.
    pub pinned: usize,
    /// When they are not worth delivering any more.
    pub expires_at: Option<Duration>,
    /// What decides to which instance it goes, where its sender says so.
    pub sticky_key: Option<Bytes>,
    /// Which STATE it is, where it is one.
    pub state: Option<StateKey>,
    /// Who sent them.
    pub from: SessionKey,
    /// Whose form the frames have. Those of MIP's have neither metadata nor variant; those of MSIP's unless said otherwise.
    pub dialect: Dialect,
    /// What they were before they were put into frames, for sessions of a dialect that knows what this is.
    pub original: Option<Arc<dyn Any + Send + Sync>>,
    pub(super) inflated: InflatedBody,
}

/// The inflated body of a publication, while it is kept. A clone has none.
#[derive(Debug, Default)]
pub(super) struct InflatedBody(pub(super) Mutex<Option<Box<Bytes>>>);

impl Clone for InflatedBody {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// Which of a topic's STATEs one is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateKey {
    /// Its member.
    pub variant: u16,
    /// Its key; empty where there is none.
    pub key: Bytes,
    /// Whether its body is empty: it is set no longer.
    pub is_cleared: bool,
}

impl Publication {
    /// One or more messages without acknowledgment, expiry or compression.
    pub fn new(from: SessionKey, topic: Bytes, kind: MsgKind, frames: Bytes, count: u32) -> Self {
        Self {
            topic,
            kind,
            urgent: false,
            wants_ack: false,
            is_idempotent: false,
            compression: Compression::None,
            pinned: frames.len(),
            frames,
            count,
            expires_at: None,
            sticky_key: None,
            state: None,
            from,
            dialect: Dialect::Msip,
            original: None,
            inflated: InflatedBody::default(),
        }
    }

    /// The frames, one by one.
    pub fn iter(&self) -> Frames {
        Frames(self.frames.clone())
    }

    /// Whether it is of a kind that may be dropped under pressure.
    pub(super) fn is_droppable(&self) -> bool {
        matches!(self.kind, MsgKind::Log | MsgKind::Metric)
    }

    /// How many bytes the shortest body has, as it is written: nothing where there is a frame that cannot be read.
    pub(super) fn least_body_len(&self) -> usize {
        let lens = self
            .iter()
            .map(|frame| take_apart(&frame).map_or(0, |(_, payload)| payload.body.len()));
        lens.min().unwrap_or(0)
    }

    /// The first `count` frames, which are taken out of this publication.
    pub(super) fn split_off(&mut self, count: u32) -> Self {
        let mut rest = self.iter();
        for _ in 0..count {
            let _ = rest.next();
        }
        let len = self.frames.len().saturating_sub(rest.0.len());
        let mut first = self.clone();
        first.frames = self.frames.slice(..len);
        first.count = count;
        // Each part may be the last that keeps the buffer, but together they keep it once: in proportion.
        let share = self.pinned.saturating_mul(len) / self.frames.len().max(1);
        first.pinned = share.max(len);
        self.pinned = self.pinned.saturating_sub(share).max(rest.0.len());
        self.frames = rest.0;
        self.count = self.count.saturating_sub(count);
        first
    }
}

/// A frame of a publication, taken apart; its limits were checked when it came.
pub(super) fn take_apart(frame: &Bytes) -> Option<(Header, Payload)> {
    let header = Header::parse(frame.first_chunk()?).ok()?;
    let payload = frame.slice(HEADER_LEN..);
    let mut limits = Limits::with_max_body(u32::MAX);
    limits.max_topic = u16::MAX;
    limits.max_metadata = u16::MAX;
    let payload = Payload::parse(Frame { header, payload }, &limits).ok()?;
    Some((header, payload))
}

/// The frames of a publication, one by one.
#[derive(Debug, Clone)]
pub struct Frames(Bytes);

impl Frames {
    /// Those of whole frames, one after the other.
    pub const fn new(frames: Bytes) -> Self {
        Self(frames)
    }
}

impl Iterator for Frames {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let len: [u8; 4] = self.0.get(12..16)?.try_into().ok()?;
        let len = usize::try_from(u32::from_be_bytes(len)).ok()?;
        let len = len.checked_add(HEADER_LEN)?;
        (len <= self.0.len()).then(|| self.0.split_to(len))
    }
}
