//! One-way messages with nothing beside their bodies, in either direction: the short way for what there is most of.
//!
//! Whatever is unusual about one takes the long way, which knows every case. Both do the same to those that are not.

use bytes::Buf as _;

use super::{Phase, Plain, Priority, Session, seal, to_usize};
use crate::{
    MsgKind,
    wire::{Flags, Frame, FrameType, HEADER_LEN, Header, begin_frame},
};

/// The topic of a direct connection: its length, and nothing.
const NO_TOPIC: [u8; 2] = [0, 0];

impl Session {
    /// Takes one frame if it is a one-way message with nothing beside its body, against which nothing can be said: the
    /// short way for what there is most of. Any other frame comes back, and is one for
    /// [`handle_frame`](Self::handle_frame).
    #[inline]
    pub(crate) fn handle_plain(&mut self, frame: Frame) -> Result<Plain, Frame> {
        let Header {
            flags,
            frame_type,
            kind,
            variant,
            payload_len,
            msg_id: id,
        } = frame.header;
        let side = self.config.side;
        let is_plain = frame_type == FrameType::opening(side.reverse())
            && flags == Flags::NONE
            && self.phase == Phase::Open
            && id.chosen_by() != side
            && kind.known().is_ok()
            && frame.payload.starts_with(&NO_TOPIC)
            && frame.payload.len() - NO_TOPIC.len() <= to_usize(self.config.limits.max_body)
            && self.receive_window.accept(payload_len, false);
        if !is_plain {
            return Err(frame);
        }
        self.unhandled.add(payload_len);
        let mut body = frame.payload;
        body.advance(NO_TOPIC.len());
        Ok(Plain {
            variant,
            payload_len,
            body,
            id,
        })
    }

    /// Sends a message that nobody answers, where nothing stands in its way: there is a connection with room and credit,
    /// and nothing waits that goes first. `false` where there may be, and nothing has happened.
    #[inline]
    pub(crate) fn send_plain(
        &mut self,
        variant: u16,
        kind: MsgKind,
        body_len: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> bool {
        let Ok(payload_len) = u32::try_from(body_len.saturating_add(NO_TOPIC.len())) else {
            return false;
        };
        let is_free = self.phase == Phase::Open
            && !self.is_closing()
            && body_len <= self.peer_max_body
            && self.send_window.is_open()
            && self.has_nothing_waiting()
            && !self.is_queue_full();
        if !is_free {
            return false;
        }
        let header = Header {
            flags: Flags::NONE,
            frame_type: FrameType::opening(self.config.side),
            kind: kind.into(),
            variant,
            payload_len,
            msg_id: self.opened.next_id(),
        };
        let mut sent_len = to_usize(payload_len);
        self.outgoing.push(Priority::Normal, |buffer| {
            buffer.reserve(HEADER_LEN + sent_len);
            let mark = begin_frame(buffer, &header);
            let start = buffer.len();
            buffer.extend_from_slice(&NO_TOPIC);
            encode(buffer);
            if buffer.len() - start != sent_len {
                // A message that somebody encodes by hand is not as long as it says.
                sent_len = buffer.len() - start;
                seal(buffer, mark);
            }
        });
        self.send_window.spend(sent_len);
        true
    }
}
