//! One-way messages that a sender gathers in a buffer of its own, and hands over many at a time.

use super::{
    Blocked::{self, Full, NoRoom},
    Priority, RequestHead, Session,
    fast_path::NO_TOPIC,
    resend_queue::Waiting,
};
use crate::{
    MsgKind,
    wire::{Flags, FrameType, HEADER_LEN, Header, MsgId, Side, write_topic},
};

/// Where a header has its id and the length of its payload (docs/protocol.md, "Header").
const MSG_ID: std::ops::Range<usize> = 16..HEADER_LEN;
const PAYLOAD_LEN: std::ops::Range<usize> = 12..16;

/// A batch of fewer bytes is copied behind what is queued already, to leave with it.
const SMALL_BATCH: usize = 8 * 1024;

/// Whole frames without ids: those are given when a session takes them, so that they increase whatever else is sent.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    message_count: usize,
    /// The largest body among them.
    max_body: usize,
}

impl Batch {
    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.message_count == 0
    }

    /// How many messages wait.
    pub fn message_count(&self) -> usize {
        self.message_count
    }

    /// The largest body that waits, in bytes.
    pub fn max_body(&self) -> usize {
        self.max_body
    }

    /// Appends a message, whose body `encode` writes.
    ///
    /// # Errors
    ///
    /// The length of a body that is larger than `max_body`; it is not taken.
    #[inline]
    pub fn push(
        &mut self,
        side: Side,
        head: &RequestHead<'_>,
        max_body: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), usize> {
        let header = Header {
            flags: if head.compressed {
                Flags::COMPRESSED
            } else {
                Flags::NONE
            },
            frame_type: FrameType::opening(side),
            kind: head.kind.into(),
            variant: head.variant,
            payload_len: 0,
            msg_id: MsgId::CONNECTION,
        };
        let start = self.bytes.len();
        let mut first = [0; HEADER_LEN + NO_TOPIC.len()];
        if let Some(chunk) = first.first_chunk_mut() {
            *chunk = header.encode();
        }
        self.bytes.extend_from_slice(&first);
        if let Some(topic) = head.topic {
            self.bytes.truncate(start + HEADER_LEN);
            write_topic(&mut self.bytes, topic);
        }
        let body = self.bytes.len();
        encode(&mut self.bytes);
        let len = self.bytes.len().saturating_sub(body);
        let payload_len = self.bytes.len().saturating_sub(start + HEADER_LEN);
        let Some(payload_len) = u32::try_from(payload_len).ok().filter(|_| len <= max_body) else {
            self.bytes.truncate(start);
            return Err(len);
        };
        let frame = self.bytes.get_mut(start..).unwrap_or_default();
        if let Some(field) = frame.get_mut(PAYLOAD_LEN) {
            field.copy_from_slice(&payload_len.to_be_bytes());
        }
        self.message_count += 1;
        self.max_body = self.max_body.max(len);
        Ok(())
    }

    /// Drops what waits. Returns how many messages that were.
    pub fn clear(&mut self) -> usize {
        self.bytes.clear();
        self.max_body = 0;
        std::mem::take(&mut self.message_count)
    }

    /// Forgets the messages in the first `len` bytes.
    fn remove(&mut self, len: usize, message_count: usize) {
        self.bytes.drain(..len.min(self.bytes.len()));
        self.message_count = self.message_count.saturating_sub(message_count);
    }
}

/// The whole length of the frame that begins here.
fn frame_len(bytes: &[u8]) -> Option<usize> {
    let len = u32::from_be_bytes(bytes.get(PAYLOAD_LEN)?.try_into().ok()?);
    HEADER_LEN.checked_add(usize::try_from(len).ok()?)
}

impl Session {
    /// Takes all of the batch, or nothing of it.
    pub fn send_all(&mut self, batch: &mut Batch) -> Result<(), Blocked> {
        self.check_room(true)?;
        if self.is_suspended() {
            return self.send_some(batch);
        }
        let payload_len = batch.len().saturating_sub(HEADER_LEN * batch.message_count);
        if !self.send_window.has(batch.message_count, payload_len) {
            return Err(NoRoom);
        }
        // Whatever kinds are among them, they wait like an EVENT.
        self.check_shelf(MsgKind::Event)?;
        let mut start = 0;
        while start < batch.bytes.len() {
            let Some(len) = self.stamp(batch.bytes.get_mut(start..).unwrap_or_default()) else {
                break;
            };
            start += len;
        }
        self.send_window
            .spend_many(batch.message_count, payload_len);
        self.queue_all(batch);
        Ok(())
    }

    /// Queues the whole batch, whose messages have their ids.
    fn queue_all(&mut self, batch: &mut Batch) {
        batch.max_body = 0;
        let message_count = std::mem::take(&mut batch.message_count);
        let frames = &mut batch.bytes;
        self.outgoing
            .push_frames(Priority::Normal, frames, message_count, SMALL_BATCH);
    }

    /// Takes as many messages of the batch as there is credit for, from its front, and one at least.
    pub fn send_some(&mut self, batch: &mut Batch) -> Result<(), Blocked> {
        self.check_room(true)?;
        self.check_shelf(MsgKind::Event)?;
        let (mut taken, mut message_count) = (0, 0);
        while self.check_room(true).is_ok() {
            let rest = batch.bytes.get_mut(taken..).unwrap_or_default();
            let Some(len) = self.stamp(rest) else {
                break;
            };
            if self.is_suspended() {
                let frame = rest.get(..len).unwrap_or_default().to_vec();
                self.resend_queue.push(Waiting::Message { frame });
            } else {
                self.send_window.spend(len.saturating_sub(HEADER_LEN));
            }
            taken += len;
            message_count += 1;
        }
        if !self.is_suspended() {
            if taken == batch.bytes.len() {
                self.queue_all(batch);
                return Ok(());
            }
            let frames = batch.bytes.get(..taken).unwrap_or_default();
            self.outgoing
                .append(Priority::Normal, message_count, |buffer| {
                    buffer.extend_from_slice(frames);
                });
        } else if message_count < batch.message_count {
            batch.remove(taken, message_count);
            return Err(Full);
        }
        batch.remove(taken, message_count);
        Ok(())
    }

    /// Gives the frame at the front of these bytes its id. Returns its length; `None` where there is none.
    fn stamp(&mut self, bytes: &mut [u8]) -> Option<usize> {
        let len = frame_len(bytes)?;
        let id = self.outbound.next_id();
        let field = bytes.get_mut(MSG_ID)?;
        field.copy_from_slice(&id.number().to_be_bytes());
        Some(len)
    }

    /// Which side of the connection this is.
    pub fn side(&self) -> Side {
        self.config.side
    }
}
