//! Frames as the raw peer writes and reads them.

use msip_runtime::{
    MsgKind,
    prost::Message,
    wire::{
        Flags, Frame, FrameType, Header, Limits, Metadata, MsgId, Payload, RawKind, Side,
        write_metadata,
    },
};
use msip_tests::raw;

use crate::failure::fail;

/// The same frame under another id.
pub(crate) fn with_id(mut frame: Vec<u8>, id: MsgId) -> Vec<u8> {
    if let Some(bytes) = frame.get_mut(16..24) {
        bytes.copy_from_slice(&id.number().to_be_bytes());
    }
    frame
}

/// A frame as bytes again.
pub(crate) fn bytes_of(frame: &Frame) -> Vec<u8> {
    raw::frame_of(frame.header, &frame.payload)
}

/// A frame in one line.
pub(crate) fn line(frame: &Frame) -> String {
    raw::describe(frame).unwrap_or_default()
}

/// The member of an envelope, as it is encoded.
pub(crate) fn envelope(variant: u16, message: &impl Message) -> Vec<u8> {
    let mut body = Vec::new();
    let key = u64::from(variant) << 3 | 2;
    msip_runtime::prost::encoding::encode_varint(key, &mut body);
    if message.encode_length_delimited(&mut body).is_err() {
        // A Vec grows.
        body.clear();
    }
    body
}

/// What begins an exchange, or is an item of one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Opening {
    pub(crate) flags: Flags,
    pub(crate) kind: Option<MsgKind>,
    pub(crate) variant: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) metadata: Option<Metadata>,
}

impl Opening {
    /// A call with one request.
    pub(crate) fn call(variant: u16, message: &impl Message) -> Self {
        Self {
            flags: Flags::ACK_REQUIRED,
            kind: Some(MsgKind::Command),
            variant,
            body: envelope(variant, message),
            metadata: None,
        }
    }

    /// A call with a stream of requests.
    pub(crate) fn stream(variant: u16) -> Self {
        Self {
            flags: Flags::ACK_REQUIRED | Flags::MORE,
            kind: Some(MsgKind::Command),
            variant,
            ..Self::default()
        }
    }

    /// An item of a stream of requests.
    pub(crate) fn item(variant: u16, message: &impl Message) -> Self {
        Self {
            flags: Flags::ITEM | Flags::MORE,
            kind: Some(MsgKind::State),
            variant,
            body: envelope(variant, message),
            metadata: None,
        }
    }

    /// A message, one way.
    pub(crate) fn event(variant: u16, message: &impl Message) -> Self {
        Self {
            kind: Some(MsgKind::Event),
            variant,
            body: envelope(variant, message),
            ..Self::default()
        }
    }

    /// The same with these flags besides.
    pub(crate) fn with(mut self, flags: Flags) -> Self {
        self.flags = self.flags | flags;
        self
    }

    /// The same with metadata.
    pub(crate) fn metadata(mut self, metadata: Metadata) -> Self {
        self.flags = self.flags | Flags::META;
        self.metadata = Some(metadata);
        self
    }

    /// The frame.
    pub(crate) fn frame(&self, side: Side, id: MsgId) -> Vec<u8> {
        let mut payload = Vec::new();
        if let Some(metadata) = &self.metadata
            && let Err(error) = write_metadata(&mut payload, metadata, 8_192)
        {
            fail(error);
        }
        payload.extend_from_slice(&[0, 0]);
        payload.extend_from_slice(&self.body);
        let header = Header {
            flags: self.flags,
            kind: self
                .kind
                .map_or(RawKind::from(MsgKind::State), RawKind::from),
            variant: self.variant,
            ..Header::control(raw::opener(side), id)
        };
        raw::frame_of(header, &payload)
    }
}

/// An answer, or an item of one.
pub(crate) fn ack(id: MsgId, flags: Flags, variant: u16, body: &[u8]) -> Vec<u8> {
    let header = Header {
        flags,
        variant,
        ..Header::control(FrameType::Ack, id)
    };
    raw::frame_of(header, body)
}

/// The parts of a frame.
pub(crate) fn payload(frame: Frame) -> Payload {
    match Payload::parse(frame, &Limits::default()) {
        Ok(payload) => payload,
        Err(error) => fail(error),
    }
}
