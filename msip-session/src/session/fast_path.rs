//! The fast path: messages, calls and answers that have nothing but a body, which nearly all of them are, or a topic and a
//! body.
//!
//! Everything else takes the slow path, which knows every case. For these, both do the same.

use std::time::Duration;

use super::{
    BareMessage, FastFrame, InboundSlot, Phase, Session, Slot, Token,
    bare::{BareFrame, topic_of},
    fault_injection::FaultInjection,
    frame_writer::{Prefix, announced_len},
    outbound::Opening,
    request::BareHead,
    to_usize,
};
use crate::wire::{Flags, FrameRef, FrameType, Header, Topic};

impl Session {
    /// Handles a frame that has nothing but a body and is accepted: a message, a call, or the answer to a call. `None`
    /// for any other frame: nothing has happened, and it is one for [`handle_item`](Self::handle_item) or
    /// [`handle_frame`](Self::handle_frame).
    #[inline]
    pub fn handle_fast(&mut self, frame: FrameRef<'_>) -> Option<FastFrame> {
        if self.phase != Phase::Open {
            return None;
        }
        let header = frame.header;
        match BareFrame::of(frame, self.side, self.limits.max_body)? {
            BareFrame::Message => {
                if !self.receive_window.accept(header.payload_len, false) {
                    return None;
                }
                self.unhandled.add(header.payload_len);
                self.watch_window();
                Some(FastFrame::Message)
            }
            BareFrame::Call => self.begin_bare_call(header).map(FastFrame::Call),
            BareFrame::Answer => {
                let id = header.msg_id;
                let token = self.outbound.answer_call(id, &mut self.streams)?;
                Some(FastFrame::Answer(token))
            }
            BareFrame::AnswerItem | BareFrame::RequestItem => None,
        }
    }

    /// Begins a call that has nothing but a body, or a topic and a body. `None` where it is refused: nothing has happened, and the
    /// slow path answers why.
    #[inline]
    fn begin_bare_call(&mut self, header: &Header) -> Option<InboundSlot> {
        if self.is_close_begun
            || self.is_short_of_memory()
            || FaultInjection::WindowOverAllIds.is_on()
        {
            return None;
        }
        let payload_len = to_usize(header.payload_len);
        self.inbound.begin(header.msg_id, false, payload_len).ok()
    }

    /// Handles a one-way message, or a call, that has a topic and a body and nothing else, where the session
    /// [allows topics](Self::allow_topics). `None` for any other frame: nothing has happened, and it is one for
    /// [`handle_frame`](Self::handle_frame).
    #[inline(never)]
    pub fn handle_topic(&mut self, frame: FrameRef<'_>) -> Option<BareMessage> {
        if !self.allows_topics || self.phase != Phase::Open {
            return None;
        }
        let topic_len = topic_of(frame, self.side, &self.limits)?;
        if frame.header.flags == Flags::ACK_REQUIRED {
            let slot = self.begin_bare_call(frame.header)?;
            return Some(BareMessage::with_topic(frame, topic_len, Some(slot)));
        }
        let payload_len = frame.header.payload_len;
        if !self.receive_window.accept(payload_len, false) {
            return None;
        }
        self.unhandled.add(payload_len);
        self.watch_window();
        Some(BareMessage::with_topic(frame, topic_len, None))
    }

    /// Sends a message that is not answered, if there is a connection with capacity and credit, and nothing that goes
    /// first. `false` where there may not be: nothing has happened, and it is one for [`send`](Self::send).
    ///
    /// `encode` appends the body, which should have `body_len` bytes.
    #[inline]
    pub fn send_fast(
        &mut self,
        head: &BareHead<'_>,
        body_len: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> bool {
        match head.topic {
            None => self.send_bare(head, Prefix::NoTopic, body_len, encode),
            // A copy, so that the head of most messages need not be in memory.
            Some(topic) => self.send_to_topic(&BareHead { ..*head }, topic, body_len, encode),
        }
    }

    /// By itself, so that what most messages take stays short.
    #[inline(never)]
    fn send_to_topic(
        &mut self,
        head: &BareHead<'_>,
        topic: &Topic,
        body_len: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> bool {
        self.send_bare(head, Prefix::Topic(topic), body_len, encode)
    }

    #[inline(always)]
    fn send_bare(
        &mut self,
        head: &BareHead<'_>,
        prefix: Prefix<'_>,
        body_len: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> bool {
        let can_send = self.can_send(body_len)
            && self.send_window.is_open()
            && self.droppable_queue.is_empty();
        if !can_send {
            return false;
        }
        let header = Header {
            flags: Flags::NONE,
            frame_type: FrameType::opening(self.side),
            kind: head.kind.into(),
            variant: head.variant,
            payload_len: announced_len(body_len + prefix.bare_len()),
            msg_id: self.outbound.next_id(),
        };
        let (payload_len, _) = self.outgoing.push_bare(&header, prefix, encode);
        self.send_window.spend(payload_len);
        true
    }

    /// Sends a request with one answer, if there is a connection with capacity, and nothing that goes first. `None` where
    /// there may not be: nothing has happened, and it is one for [`call`](Self::call).
    ///
    /// `encode` appends the body, which should have `body_len` bytes.
    #[inline]
    pub fn call_fast(
        &mut self,
        head: &BareHead<'_>,
        token: Token,
        deadline: Duration,
        body_len: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Option<Slot> {
        let call = BareCall::new(token, deadline);
        match head.topic {
            None => self.call_bare(head, Prefix::NoTopic, call, body_len, encode),
            Some(topic) => {
                let head = BareHead { ..*head };
                self.call_at_topic(&head, topic, call, body_len, encode)
            }
        }
    }

    /// The same for one of many `caller`s who share the connection, as [`RequestHead::caller`](super::RequestHead::caller) says, and
    /// whose call may be answered by a stream.
    #[inline(never)]
    pub fn call_for(
        &mut self,
        caller: u32,
        head: &BareHead<'_>,
        token: Token,
        deadline: Duration,
        body_len: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Option<Slot> {
        let call = BareCall {
            caller,
            has_answer_stream: true,
            ..BareCall::new(token, deadline)
        };
        self.call_bare(head, Prefix::of_topic(head.topic), call, body_len, encode)
    }

    /// By itself, so that what most calls take stays short.
    #[inline(never)]
    fn call_at_topic(
        &mut self,
        head: &BareHead<'_>,
        topic: &Topic,
        call: BareCall,
        body_len: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Option<Slot> {
        self.call_bare(head, Prefix::Topic(topic), call, body_len, encode)
    }

    #[inline(always)]
    fn call_bare(
        &mut self,
        head: &BareHead<'_>,
        prefix: Prefix<'_>,
        call: BareCall,
        body_len: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Option<Slot> {
        let can_call = self.can_send(body_len)
            && self.outbound.can_call()
            && self.has_request_capacity()
            && !FaultInjection::ResendCall.is_on();
        if !can_call {
            return None;
        }
        let vacant = self.outbound.vacant_call();
        let header = Header {
            flags: Flags::ACK_REQUIRED,
            frame_type: FrameType::opening(self.side),
            kind: head.kind.into(),
            variant: head.variant,
            payload_len: announced_len(body_len + prefix.bare_len()),
            msg_id: vacant.id(),
        };
        let (_, position) = self.outgoing.push_bare(&header, prefix, encode);
        let BareCall {
            token,
            deadline,
            caller,
            has_answer_stream,
        } = call;
        let streams =
            has_answer_stream.then(|| self.streams.open(header.msg_id, false, false, true));
        let opening = Opening {
            variant: head.variant,
            token,
            is_urgent: false,
            caller,
            deadline,
            position,
            kept: Vec::new(),
        };
        Some(vacant.insert(opening, streams))
    }
}

/// A call that has nothing but a body, or a topic and a body, besides what is sent of it.
#[derive(Debug, Clone, Copy)]
struct BareCall {
    token: Token,
    deadline: Duration,
    caller: u32,
    /// A stream may answer it.
    has_answer_stream: bool,
}

impl BareCall {
    const fn new(token: Token, deadline: Duration) -> Self {
        Self {
            token,
            deadline,
            caller: 0,
            has_answer_stream: false,
        }
    }
}
