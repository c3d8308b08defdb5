//! Messages as whole frames: what a broker keeps of one, and sends to many.

use bytes::Bytes;
use msip_session::{
    first_frame,
    wire::{
        self, Flags, Frame, FrameType, HEADER_LEN, Header, Limits, MsgId, Payload, begin_frame,
        finish_frame, write_metadata, write_topic,
    },
};
use prost::Message as _;

use super::{UntypedExchange, UntypedMessage};
use crate::{
    CallOptions, Compression, Metadata, Variant,
    body::{BodyFormat, Encoding, EncodingParams},
    connection::Outgoing,
};

impl UntypedExchange {
    /// The message as an EVENT of a broker: with its metadata, but for what remains of a deadline, and the identity of its
    /// sender as this side has authenticated it. The frame has no message id, and no flag that asks for an answer.
    #[must_use]
    pub fn to_frame(&self) -> Vec<u8> {
        let message = &self.message;
        let metadata = self.metadata();
        let mut wire = wire::Metadata::clone(&metadata.0);
        wire.deadline_ms = None;
        wire.identity = metadata.identity().map(wire::Identity::from);
        let mut flags = Flags::NONE;
        if message.variant().is_urgent() {
            flags = flags | Flags::URGENT;
        }
        if message.compression() != Compression::None {
            flags = flags | Flags::COMPRESSED;
        }
        let max = Limits::default().max_metadata;
        if wire.encoded_len() > max.into() {
            // The sender has said as much as it may: what it says of itself is not worth more than who it is.
            wire.headers.clear();
        }
        if wire != wire::Metadata::default() {
            flags = flags | Flags::META;
        }
        let header = Header {
            flags,
            variant: message.number(),
            kind: message.kind().into(),
            ..Header::control(FrameType::Event, MsgId::CONNECTION)
        };
        let mut frame = Vec::with_capacity(message.raw_body().len() + 320);
        let mark = begin_frame(&mut frame, &header);
        if flags.contains(Flags::META) && write_metadata(&mut frame, &wire, u16::MAX).is_err() {
            // It was compared with a smaller limit.
            debug_assert!(false, "metadata of more than 64 KiB");
        }
        match Outgoing::topic(message) {
            Some(topic) => write_topic(&mut frame, topic),
            None => frame.extend_from_slice(&[0, 0]),
        }
        frame.extend_from_slice(message.raw_body());
        let finished = finish_frame(&mut frame, mark);
        debug_assert!(finished.is_ok(), "a frame of more than 4 GiB");
        frame
    }

    /// [`options`](Self::options) that also state who has sent the exchange, as this side has authenticated it. Only from an
    /// accepting side is that believed: a broker sends so to its clients.
    #[must_use]
    pub fn options_with_identity(&self) -> CallOptions {
        self.options().stating(self.metadata().identity())
    }
}

impl UntypedMessage {
    /// The message of a whole frame, PUBLISH or EVENT, and options that send its metadata too, with the identity that they
    /// state. A compressed body is compressed like this, and may become as large as `max_body` bytes. `None` where it is no such
    /// frame.
    #[must_use]
    pub fn from_frame(
        frame: Bytes,
        compression: Compression,
        max_body: usize,
    ) -> Option<(Self, CallOptions)> {
        let whole = first_frame(&frame)?.len();
        let header = Header::parse(frame.first_chunk::<HEADER_LEN>()?).ok()?;
        let is_message = matches!(header.frame_type, FrameType::Publish | FrameType::Event);
        let kind = header.kind.known().ok().filter(|_| is_message)?;
        let payload = frame.slice(HEADER_LEN..whole);
        let limits = Limits::with_max_body(u32::MAX);
        let parts = Payload::parse(Frame { header, payload }, &limits).ok()?;
        let mut variant = Variant::new(header.variant, "", kind);
        if header.flags.contains(Flags::URGENT) {
            variant = variant.urgent();
        }
        let mut message = Self::received(variant, parts.body);
        message.set_topic(parts.topic);
        if header.flags.contains(Flags::COMPRESSED) {
            let params = EncodingParams {
                format: BodyFormat::Protobuf,
                compression,
                // It is compressed already.
                threshold: usize::MAX,
                max_body,
            };
            message.set_compressed(&Encoding::new(params, max_body));
        }
        let mut options = CallOptions::new();
        if let Some(metadata) = parts.metadata {
            let metadata = Metadata::received(wire::Metadata::decode(metadata).ok()?);
            options = options.pass_on(&metadata).stating(metadata.identity());
        }
        Some((message, options))
    }
}
