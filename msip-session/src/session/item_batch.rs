//! Batches of stream items: encoded outside of the session, and enqueued together.

use super::{
    frame_writer::{NO_TOPIC, Prefix, announced_len, write_frame},
    request::urgency,
    slot::StreamSide,
};
use crate::wire::{Flags, FrameType, Header, MsgId, RawKind, Side};

/// How the frames of one stream's items begin; from [`Session::item_head`](super::Session::item_head).
#[derive(Debug, Clone, Copy)]
pub struct ItemHead {
    id: MsgId,
    frame_type: FrameType,
    flags: Flags,
}

impl ItemHead {
    pub(super) fn new(stream: StreamSide, side: Side, id: MsgId, is_urgent: bool) -> Self {
        let (frame_type, flags) = match stream {
            StreamSide::Callee(_) => (FrameType::Ack, Flags::NONE),
            StreamSide::Caller(_) => (FrameType::opening(side), Flags::ITEM),
        };
        Self {
            id,
            frame_type,
            flags: flags.union(urgency(is_urgent)),
        }
    }

    /// Writes the frame of an item after which more may follow. Returns the length of its payload.
    #[inline]
    pub(super) fn write_item(
        &self,
        buffer: &mut Vec<u8>,
        variant: u16,
        compressed: bool,
        body_len: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> usize {
        let flags = if compressed {
            Flags::MORE.union(Flags::COMPRESSED)
        } else {
            Flags::MORE
        };
        self.write(buffer, flags, variant, body_len, encode)
    }

    /// Writes the frame that ends the stream.
    pub(super) fn write_end(&self, buffer: &mut Vec<u8>) {
        self.write(buffer, Flags::NONE, 0, 0, |_| ());
    }

    #[inline]
    fn write(
        &self,
        buffer: &mut Vec<u8>,
        flags: Flags,
        variant: u16,
        body_len: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> usize {
        let (prefix, prefix_len) = match self.frame_type {
            FrameType::Ack => (Prefix::None, 0),
            _ => (Prefix::NoTopic, NO_TOPIC.len()),
        };
        let header = Header {
            flags: self.flags.union(flags),
            frame_type: self.frame_type,
            kind: RawKind::STATE,
            variant,
            payload_len: announced_len(body_len + prefix_len),
            msg_id: self.id,
        };
        write_frame(buffer, &header, prefix, encode)
    }
}

/// Items of one stream as whole frames, one after the other.
#[derive(Debug, Default)]
pub struct ItemBatch {
    bytes: Vec<u8>,
    item_count: usize,
    payload_len: usize,
    last_payload_len: usize,
}

impl ItemBatch {
    /// Whether no item waits.
    pub fn is_empty(&self) -> bool {
        self.item_count == 0
    }

    /// How many items wait.
    pub fn item_count(&self) -> usize {
        self.item_count
    }

    /// How many bytes of their stream's window they take.
    pub fn payload_len(&self) -> usize {
        self.payload_len
    }

    /// The same without the last one.
    pub(super) fn payload_len_before_last(&self) -> usize {
        self.payload_len - self.last_payload_len
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends an item, whose body `encode` appends.
    #[inline]
    pub fn push(
        &mut self,
        head: &ItemHead,
        variant: u16,
        compressed: bool,
        body_len: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        self.last_payload_len =
            head.write_item(&mut self.bytes, variant, compressed, body_len, encode);
        self.payload_len += self.last_payload_len;
        self.item_count += 1;
    }

    /// The items have been taken over.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.item_count = 0;
        self.payload_len = 0;
        self.last_payload_len = 0;
    }

    /// Frees the memory of a batch that is empty.
    pub fn release(&mut self) {
        if self.is_empty() {
            self.bytes = Vec::new();
        }
    }
}
