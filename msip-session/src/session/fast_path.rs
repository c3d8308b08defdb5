//! Messages, calls and answers with nothing beside their bodies: the short way for what there is most of.
//!
//! Whatever is unusual about one takes the long way, which knows every case. Both do the same to those that are not.

use std::time::Duration;

use super::{
    FastFrame, Phase, Priority, Session, Slot, Token, fault_injection::FaultInjection,
    outbound::Opening, outgoing::Position, seal, send::priority, to_usize,
};
use crate::{
    MsgKind,
    wire::{Flags, FrameRef, FrameType, HEADER_LEN, Header, MsgId, begin_frame},
};

/// The topic of a direct connection: its length, and nothing.
pub(super) const NO_TOPIC: [u8; 2] = [0, 0];

impl Session {
    /// Takes one frame if it is a message, a call or the answer to one with nothing beside its body, against which
    /// nothing can be said. `None` where it is another, nothing has happened, and it is one for
    /// [`handle_frame`](Self::handle_frame).
    #[inline]
    pub fn handle_fast(&mut self, frame: FrameRef<'_>) -> Option<FastFrame> {
        if self.phase != Phase::Open {
            return None;
        }
        let &Header {
            flags, frame_type, ..
        } = frame.header;
        if frame_type == FrameType::Ack && flags == Flags::NONE {
            return self.fast_answer(frame);
        }
        if frame_type != FrameType::opening(self.config.side.reverse()) {
            return None;
        }
        match flags {
            Flags::NONE => self.fast_message(frame),
            Flags::ACK_REQUIRED => self.fast_call(frame),
            _ => None,
        }
    }

    #[inline]
    fn fast_message(&mut self, frame: FrameRef<'_>) -> Option<FastFrame> {
        let payload_len = frame.header.payload_len;
        if !self.is_fast_request(frame) || !self.receive_window.accept(payload_len, false) {
            return None;
        }
        self.unhandled.add(payload_len);
        Some(FastFrame::Message)
    }

    #[inline]
    fn fast_call(&mut self, frame: FrameRef<'_>) -> Option<FastFrame> {
        let id = frame.header.msg_id;
        let is_plain = self.is_fast_request(frame)
            && !id.is_delivery()
            && id.sequence() != 0
            && !self.said_close
            && !self.is_short_of_memory()
            && !FaultInjection::WindowOverAllIds.is_on();
        if !is_plain {
            return None;
        }
        let payload_len = to_usize(frame.header.payload_len);
        // Where it is not taken on, nothing has been begun, and the long way says why.
        let slot = self.inbound.begin(id, false, payload_len).ok()?;
        Some(FastFrame::Call(slot))
    }

    /// Whether a frame that begins an exchange has nothing beside its body, and is one that the other side may send.
    #[inline]
    fn is_fast_request(&self, frame: FrameRef<'_>) -> bool {
        let payload = frame.payload();
        frame.header.msg_id.chosen_by() != self.config.side
            && frame.header.kind.known().is_ok()
            && payload.starts_with(&NO_TOPIC)
            && payload.len() - NO_TOPIC.len() <= to_usize(self.config.limits.max_body)
    }

    #[inline]
    fn fast_answer(&mut self, frame: FrameRef<'_>) -> Option<FastFrame> {
        if to_usize(frame.header.payload_len) > to_usize(self.config.limits.max_body) {
            return None;
        }
        let token = self.outbound.answer_fast(frame.header.msg_id)?;
        Some(FastFrame::Answer(token))
    }

    /// Sends a message that nobody answers, where nothing stands in its way: there is a connection with room and credit,
    /// and nothing waits that goes first. `false` where there may be, and nothing has happened.
    #[inline]
    pub fn send_fast(
        &mut self,
        variant: u16,
        kind: MsgKind,
        body_len: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> bool {
        let is_free =
            self.is_free(body_len) && self.send_window.is_open() && self.droppable_queue.is_empty();
        if !is_free {
            return false;
        }
        let id = self.outbound.next_id();
        let (payload_len, _) = self.push_fast(Flags::NONE, variant, kind, id, body_len, encode);
        self.send_window.spend(payload_len);
        true
    }

    /// Whether so much waits that it is better written before more is sent.
    #[inline]
    pub fn is_write_due(&self) -> bool {
        self.outgoing.is_write_due()
    }

    /// Sends a request, where nothing stands in its way. `None` where there may be something, and nothing has happened.
    #[inline]
    pub fn call_fast(
        &mut self,
        variant: u16,
        kind: MsgKind,
        token: Token,
        deadline: Duration,
        body_len: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Option<Slot> {
        let is_free = self.is_free(body_len)
            && self.outbound.has_room_for_call()
            && self.has_room_for_request()
            && !FaultInjection::ResendCall.is_on();
        if !is_free {
            return None;
        }
        let id = self.outbound.next_call_id();
        let flags = Flags::ACK_REQUIRED;
        let (_, position) = self.push_fast(flags, variant, kind, id, body_len, encode);
        let opening = Opening {
            id,
            variant,
            token,
            urgent: false,
            deadline,
            position,
            kept: Vec::new(),
        };
        Some(self.outbound.insert_call(opening, None))
    }

    /// Whether a request of this length for which there is no room goes out when there is some, as far as is known.
    pub fn may_wait_to_call(&self, body_len: usize) -> bool {
        self.phase == Phase::Open && !self.is_closing() && body_len <= self.peer_max_body
    }

    /// Answers a call with nothing beside the body.
    #[inline]
    pub(super) fn answer_fast(
        &mut self,
        id: MsgId,
        variant: u16,
        len: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        let header = Header {
            variant,
            payload_len: u32::try_from(len).unwrap_or(u32::MAX),
            ..Header::control(FrameType::Ack, id)
        };
        let overtakes = FaultInjection::EndOvertakesItems.is_on();
        self.outgoing.push_response(priority(overtakes), |buffer| {
            write_exactly(buffer, &header, &[], len, encode);
        });
    }

    /// Whether there is a connection on which a body of this length can go out now.
    #[inline]
    fn is_free(&mut self, body_len: usize) -> bool {
        self.phase == Phase::Open
            && !self.is_closing()
            && body_len <= self.peer_max_body
            && self.resend_queue.is_empty()
            && !self.is_queue_full()
    }

    /// Writes the frame, and returns the length of its payload and its place.
    #[inline]
    fn push_fast(
        &mut self,
        flags: Flags,
        variant: u16,
        kind: MsgKind,
        msg_id: MsgId,
        body_len: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> (usize, Position) {
        let mut sent_len = body_len + NO_TOPIC.len();
        let header = Header {
            flags,
            frame_type: FrameType::opening(self.config.side),
            kind: kind.into(),
            variant,
            // The other side accepts no body of 4 GiB.
            payload_len: u32::try_from(sent_len).unwrap_or(u32::MAX),
            msg_id,
        };
        let position = self.outgoing.push(Priority::Normal, |buffer| {
            sent_len = write_exactly(buffer, &header, &NO_TOPIC, sent_len, encode);
        });
        (sent_len, position)
    }
}

/// Writes a frame whose header tells its length already, if the body is as long as it says. Returns how long its payload is.
#[inline]
pub(super) fn write_exactly(
    buffer: &mut Vec<u8>,
    header: &Header,
    topic: &[u8],
    payload_len: usize,
    encode: impl FnOnce(&mut Vec<u8>),
) -> usize {
    buffer.reserve(HEADER_LEN + payload_len);
    let mark = begin_frame(buffer, header);
    let start = buffer.len();
    buffer.extend_from_slice(topic);
    encode(buffer);
    let written = buffer.len() - start;
    if written != payload_len {
        // A message that somebody encodes by hand is not as long as it says.
        seal(buffer, mark);
    }
    written
}
