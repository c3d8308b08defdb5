//! A message as an attacker writes it.

use msip_runtime::{
    Envelope, MsgKind,
    wire::{Flags, Header, Metadata, MsgId, RawKind, Side, write_metadata},
};

use super::body;
use crate::raw;

/// A message with any variant, flags, metadata, topic and body, none of which needs to fit the others.
#[derive(Debug, Clone)]
pub struct RawMessage {
    flags: Flags,
    kind: MsgKind,
    variant: u16,
    metadata: Option<Vec<u8>>,
    topic: Vec<u8>,
    body: Vec<u8>,
}

impl RawMessage {
    /// A call.
    #[must_use]
    pub fn call(variant: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            flags: Flags::ACK_REQUIRED,
            kind: MsgKind::Command,
            variant,
            metadata: None,
            topic: Vec::new(),
            body: body.into(),
        }
    }

    /// A one-way message.
    #[must_use]
    pub fn one_way(variant: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            flags: Flags::NONE,
            kind: MsgKind::Event,
            ..Self::call(variant, body)
        }
    }

    /// A message of an envelope: a call where `flags` say so.
    #[must_use]
    pub fn of<E: Envelope>(flags: Flags, message: &E) -> Self {
        Self {
            flags,
            kind: E::VARIANTS[message.index()].kind(),
            ..Self::call(raw::variant(message), raw::body(message))
        }
    }

    /// The same with these flags too.
    #[must_use]
    pub fn flags(mut self, flags: Flags) -> Self {
        self.flags = self.flags.union(flags);
        self
    }

    /// The same with a body that is `compressed` already, as the functions of [`body`] return it.
    #[must_use]
    pub fn compressed(mut self, compressed: Vec<u8>) -> Self {
        self.flags = self.flags.union(Flags::COMPRESSED);
        self.body = compressed;
        self
    }

    /// The same with its body compressed.
    #[must_use]
    pub fn gzip(self) -> Self {
        let compressed = body::gzip(&self.body);
        self.compressed(compressed)
    }

    /// The same with this metadata.
    ///
    /// # Panics
    ///
    /// Where it has more than 64 KiB.
    #[must_use]
    pub fn metadata(self, metadata: &Metadata) -> Self {
        let mut bytes = Vec::new();
        if let Err(error) = write_metadata(&mut bytes, metadata, u16::MAX) {
            panic!("{error}");
        }
        self.raw_metadata(&bytes[2..])
    }

    /// The same with these bytes as its metadata.
    #[must_use]
    pub fn raw_metadata(mut self, metadata: &[u8]) -> Self {
        self.flags = self.flags.union(Flags::META);
        self.metadata = Some(metadata.to_vec());
        self
    }

    /// The same with this topic.
    #[must_use]
    pub fn topic(mut self, topic: &[u8]) -> Self {
        self.topic = topic.to_vec();
        self
    }

    /// The frame, as a peer of this side sends it.
    #[must_use]
    pub fn frame(&self, side: Side, id: MsgId) -> Vec<u8> {
        let header = Header {
            flags: self.flags,
            kind: RawKind::from(self.kind),
            variant: self.variant,
            ..Header::control(raw::opener(side), id)
        };
        let mut payload = Vec::new();
        if let Some(metadata) = &self.metadata {
            payload.extend_from_slice(&len_of(metadata).to_be_bytes());
            payload.extend_from_slice(metadata);
        }
        payload.extend_from_slice(&len_of(&self.topic).to_be_bytes());
        payload.extend_from_slice(&self.topic);
        payload.extend_from_slice(&self.body);
        raw::frame_of(header, &payload)
    }
}

fn len_of(bytes: &[u8]) -> u16 {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX)
}
