//! Message batches: one-way messages that are encoded outside of the session, and enqueued many at a time.

use super::{
    Blocked::{self, Full, NoCapacity},
    RequestHead, Session,
    frame_writer::{Prefix, first_frame, header_of, write_frame},
    request::Priority,
    resend_queue::Waiting,
    to_usize,
};
use crate::{
    MsgKind,
    wire::{Flags, FrameType, HEADER_LEN, Header, MsgId, Side},
};
use thiserror::Error;

/// Where a header has its message id (docs/protocol.md, "Header").
const MSG_ID: std::ops::Range<usize> = 16..HEADER_LEN;

/// A batch of fewer bytes is copied behind what is queued already, to be written with it.
const SMALL_BATCH: usize = 8 * 1024;

/// Where a header has its frame type.
const FRAME_TYPE: std::ops::Range<usize> = 6..8;

/// What was found among frames.
#[derive(Debug, Clone, Copy, Default)]
struct Checked {
    count: usize,
    largest: usize,
    too_large: usize,
}

/// Bytes that are no one-way messages with nothing but a topic and a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no one-way message with nothing but a topic and a body")]
pub struct NotBare;

/// Messages as whole frames without ids: a session numbers them when it takes them, so that ids increase whatever else is
/// sent.
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

    /// Whether no message waits.
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
        let mut flags = if head.compressed {
            Flags::COMPRESSED
        } else {
            Flags::NONE
        };
        let (mut prefix, mut prefix_len) =
            (Prefix::of_topic(head.topic), Prefix::topic_len(head.topic));
        if !head.metadata.is_empty() {
            flags = flags.union(Flags::META);
            prefix = Prefix::Request {
                deadline_ms: None,
                metadata: head.metadata,
                topic: head.topic,
            };
            prefix_len += size_of::<u16>() + head.metadata.len();
        }
        let header = Header {
            flags,
            frame_type: FrameType::opening(side),
            kind: head.kind.into(),
            variant: head.variant,
            payload_len: 0,
            msg_id: MsgId::CONNECTION,
        };
        let start = self.bytes.len();
        let payload_len = write_frame(&mut self.bytes, &header, prefix, encode);
        let len = payload_len.saturating_sub(prefix_len);
        if len > max_body {
            self.bytes.truncate(start);
            return Err(len);
        }
        self.message_count += 1;
        self.max_body = self.max_body.max(len);
        Ok(())
    }

    /// Appends one-way messages as whole frames behind one another, of either side: what
    /// [`BareMessage::frame`](super::BareMessage::frame) is, with a topic or without. They are copied together, and are numbered
    /// anew. Returns how many have a body that is larger than `max_body`, and were left out.
    ///
    /// # Errors
    ///
    /// [`NotBare`] where one of them is no one-way message, or has flags; none is taken.
    pub fn push_frames(
        &mut self,
        side: Side,
        frames: &[u8],
        max_body: usize,
    ) -> Result<usize, NotBare> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(frames);
        let taken = self.check_frames(start, side, max_body);
        match taken {
            Ok(Checked { count, largest, .. }) => {
                self.message_count += count;
                self.max_body = self.max_body.max(largest);
            }
            Err(_) => self.bytes.truncate(start),
        }
        taken.map(|checked| checked.too_large)
    }

    /// The same, each at this topic in place of its own. Bodies are copied once.
    ///
    /// # Errors
    ///
    /// As [`Batch::push_frames`]. A topic of more than 65,535 bytes is none.
    pub fn push_frames_at(
        &mut self,
        side: Side,
        topic: &[u8],
        mut frames: &[u8],
        max_body: usize,
    ) -> Result<usize, NotBare> {
        let topic_len = u16::try_from(topic.len()).map_err(|_| NotBare)?;
        let start = self.bytes.len();
        let mut checked = Checked::default();
        let mut rewrite = |bytes: &mut Vec<u8>| -> Result<(), NotBare> {
            bytes.reserve(frames.len());
            while !frames.is_empty() {
                let (header, body, rest) = split_bare(frames).ok_or(NotBare)?;
                frames = rest;
                if body.len() > max_body {
                    checked.too_large += 1;
                    continue;
                }
                let payload_len = size_of::<u16>() + topic.len() + body.len();
                let header = Header {
                    frame_type: FrameType::opening(side),
                    payload_len: u32::try_from(payload_len).map_err(|_| NotBare)?,
                    ..header
                };
                bytes.extend_from_slice(&header.encode());
                bytes.extend_from_slice(&topic_len.to_be_bytes());
                bytes.extend_from_slice(topic);
                bytes.extend_from_slice(body);
                checked.count += 1;
                checked.largest = checked.largest.max(body.len());
            }
            Ok(())
        };
        if let Err(not_bare) = rewrite(&mut self.bytes) {
            self.bytes.truncate(start);
            return Err(not_bare);
        }
        self.message_count += checked.count;
        self.max_body = self.max_body.max(checked.largest);
        Ok(checked.too_large)
    }

    /// Checks the frames behind `start`, writes them for `side`, and removes those that are too large.
    fn check_frames(
        &mut self,
        start: usize,
        side: Side,
        max_body: usize,
    ) -> Result<Checked, NotBare> {
        let frame_type = FrameType::opening(side).number().to_be_bytes();
        let mut checked = Checked::default();
        let mut at = start;
        while at < self.bytes.len() {
            let rest = self.bytes.get_mut(at..).unwrap_or_default();
            let (header, body, _) = split_bare(rest).ok_or(NotBare)?;
            let body_len = body.len();
            let len = HEADER_LEN + to_usize(header.payload_len);
            if body_len > max_body {
                checked.too_large += 1;
                self.bytes.drain(at..at + len);
                continue;
            }
            rest.get_mut(FRAME_TYPE)
                .ok_or(NotBare)?
                .copy_from_slice(&frame_type);
            checked.count += 1;
            checked.largest = checked.largest.max(body_len);
            at += len;
        }
        Ok(checked)
    }

    /// Drops all messages, and returns how many they were.
    pub fn clear(&mut self) -> usize {
        self.bytes.clear();
        self.max_body = 0;
        std::mem::take(&mut self.message_count)
    }

    /// Removes the messages in the first `len` bytes.
    fn remove(&mut self, len: usize, message_count: usize) {
        self.bytes.drain(..len.min(self.bytes.len()));
        self.message_count = self.message_count.saturating_sub(message_count);
    }
}

impl Session {
    /// Sends all messages of the batch, or none of them.
    ///
    /// # Errors
    ///
    /// [`Blocked`] says why none was taken.
    pub fn send_all(&mut self, batch: &mut Batch) -> Result<(), Blocked> {
        self.check_capacity(true)?;
        if self.is_suspended() {
            return self.send_some(batch);
        }
        let payload_len = batch.len().saturating_sub(HEADER_LEN * batch.message_count);
        if !self.send_window.has(batch.message_count, payload_len) {
            return Err(NoCapacity);
        }
        // Whatever their kinds, they wait like an EVENT.
        self.check_droppable_queue(MsgKind::Event)?;
        let mut start = 0;
        while start < batch.bytes.len() {
            let Some(len) = self.number_first(batch.bytes.get_mut(start..).unwrap_or_default())
            else {
                break;
            };
            start += len;
        }
        self.send_window
            .spend_many(batch.message_count, payload_len);
        self.queue_all(batch);
        Ok(())
    }

    /// Queues the whole batch, whose messages are numbered.
    fn queue_all(&mut self, batch: &mut Batch) {
        batch.max_body = 0;
        let message_count = std::mem::take(&mut batch.message_count);
        let frames = &mut batch.bytes;
        self.outgoing
            .append_buffer(Priority::Normal, frames, message_count, SMALL_BATCH);
    }

    /// Sends messages from the front of the batch, as many as there is credit for, and at least one. They are removed from
    /// the batch.
    ///
    /// # Errors
    ///
    /// [`Blocked`] says why none was taken, or [`Blocked::Full`] why not all of them were buffered.
    pub fn send_some(&mut self, batch: &mut Batch) -> Result<(), Blocked> {
        self.check_capacity(true)?;
        self.check_droppable_queue(MsgKind::Event)?;
        let (mut taken, mut message_count) = (0, 0);
        while self.check_capacity(true).is_ok() {
            let rest = batch.bytes.get_mut(taken..).unwrap_or_default();
            let Some(len) = self.number_first(rest) else {
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

    /// Gives the first of these frames its id. Returns its length; `None` where there is no frame.
    fn number_first(&mut self, bytes: &mut [u8]) -> Option<usize> {
        let len = first_frame(bytes)?.len();
        let id = self.outbound.next_id();
        let field = bytes.get_mut(MSG_ID)?;
        field.copy_from_slice(&id.number().to_be_bytes());
        Some(len)
    }
}

/// The first of frames behind one another: its header, its body, and those that follow. `None` where it is no one-way message
/// with nothing but a topic and a body.
fn split_bare(frames: &[u8]) -> Option<(Header, &[u8], &[u8])> {
    let header = header_of(frames)?;
    let is_message = matches!(header.frame_type, FrameType::Publish | FrameType::Event)
        && header.kind.known().is_ok()
        && header.flags == Flags::NONE;
    let payload_len = to_usize(header.payload_len);
    let rest = frames.get(HEADER_LEN..).filter(|_| is_message)?;
    let (payload, rest) = rest.split_at_checked(payload_len)?;
    let (topic_len, payload) = payload.split_first_chunk()?;
    let body = payload.get(usize::from(u16::from_be_bytes(*topic_len))..)?;
    Some((header, body, rest))
}
