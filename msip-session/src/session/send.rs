//! What this side sends: messages, requests, answers, pings.

use std::time::Duration;

use super::{
    Blocked::{Closing, Disconnected, Full, NoRoom},
    InboundSlot, MsgId, Phase, Priority, Session, Slot, Token,
    ended_calls::{KeptReply, NOT_RECEIVED},
    fast_path::NO_TOPIC,
    fault_injection::FaultInjection,
    outbound::{Opening, ToCancel},
    outgoing::Position,
    pressure::is_droppable,
    resend_queue::{Waiting, payload_len},
    seal,
    streams::Streams,
};
use crate::{
    MsgKind,
    wire::{
        Code, Credit, ErrorRef, Flags, FrameType, Header, Metadata, Topic, begin_frame, write_ack,
        write_cancel, write_credit, write_deadline_and, write_error, write_metadata, write_ping,
        write_topic,
    },
};

/// A request waits for room while as much is queued, however large the queue may be, in bytes: what many large requests
/// queue beyond that is written no sooner, and has left the processor's caches by then.
const REQUESTS_QUEUED: usize = 1024 * 1024;

/// Why nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked {
    /// The queue, the credit or the number of open exchanges is used up; later there may be room.
    NoRoom,
    /// The session is not open, or closing.
    Closing,
    /// There is no connection, and nothing is to be kept for the next one.
    Disconnected,
    /// There is no connection, and as much is kept for the next one as is allowed.
    Full,
}

/// The header of a message that begins an exchange.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    pub variant: u16,
    pub kind: MsgKind,
    pub urgent: bool,
    /// Whether the body is compressed.
    pub compressed: bool,
    /// The deadline, in milliseconds, where the other side does not know it from the schema.
    pub deadline_ms: Option<u32>,
    /// What else goes beside the message, encoded, with room left for the deadline; empty for nothing.
    pub metadata: &'a [u8],
    /// Where a broker takes the message; none on a direct connection, where it is empty.
    pub topic: Option<&'a Topic>,
}

impl RequestHead<'static> {
    /// A message without metadata.
    pub const fn new(variant: u16, kind: MsgKind, urgent: bool) -> Self {
        Self {
            variant,
            kind,
            urgent,
            compressed: false,
            deadline_ms: None,
            metadata: &[],
            topic: None,
        }
    }
}

/// What a handler answers.
#[derive(Debug)]
pub enum Reply<'a, F> {
    /// A message: its variant, the length of its body before it was compressed, and what writes that.
    Message {
        variant: u16,
        len: usize,
        compressed: bool,
        /// When it is sent, where the caller wants to know.
        time_us: Option<i64>,
        encode: F,
    },
    /// The end of a stream of messages.
    End,
    /// An error.
    Error(ErrorRef<'a>),
}

/// Which parts of a call are streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub request_stream: bool,
    pub response_stream: bool,
}

impl Shape {
    /// One request, one answer.
    pub const UNARY: Self = Self {
        request_stream: false,
        response_stream: false,
    };
}

impl Session {
    /// Sends a message that nobody answers. `encode` appends the body.
    pub fn send(
        &mut self,
        head: &RequestHead<'_>,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Blocked> {
        self.check_room(true)?;
        self.check_shelf(head.kind)?;
        let id = self.outbound.next_id();
        if self.is_suspended() {
            let frame = self.frame_of(head, id, Flags::NONE, encode);
            self.resend_queue.push(Waiting::Message { frame });
            return Ok(());
        }
        let (len, _) = self.push_opener(head, id, Flags::NONE, encode);
        self.send_window.spend(len);
        Ok(())
    }

    /// Sends a message to be acknowledged.
    pub fn deliver(
        &mut self,
        head: &RequestHead<'_>,
        token: Token,
        deadline: Duration,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Slot, Blocked> {
        self.check_room(true)?;
        if !self.outbound.has_room_for_delivery() {
            return Err(if self.is_suspended() { Full } else { NoRoom });
        }
        let is_short = self.is_short_of_memory() && !self.may_keep_more();
        if self.is_resumable && (is_short || self.is_keeping_enough()) {
            return Err(if self.is_suspended() { Full } else { NoRoom });
        }
        self.check_shelf(head.kind)?;
        let id = self.outbound.next_delivery_id();
        let mut kept = Vec::new();
        let position = if self.is_resumable {
            kept = self.frame_of(head, id, Flags::ACK_REQUIRED, encode);
            if self.is_suspended() {
                self.resend_queue.push(Waiting::Delivery(id));
                Position::NOWHERE
            } else {
                self.send_window.spend(payload_len(&kept));
                self.outgoing.push(priority(head.urgent), |buffer| {
                    buffer.extend_from_slice(&kept);
                })
            }
        } else {
            let (len, position) = self.push_opener(head, id, Flags::ACK_REQUIRED, encode);
            self.send_window.spend(len);
            position
        };
        Ok(self.outbound.insert_delivery(Opening {
            id,
            variant: head.variant,
            token,
            urgent: head.urgent,
            deadline,
            position,
            kept,
        }))
    }

    /// Sends a request, or the opening of a stream of them.
    pub fn call(
        &mut self,
        head: &RequestHead<'_>,
        shape: Shape,
        token: Token,
        deadline: Duration,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Slot, Blocked> {
        self.check_room(false)?;
        if !self.outbound.has_room_for_call() {
            return Err(if self.is_suspended() { Full } else { NoRoom });
        }
        let id = self.outbound.next_call_id();
        let flags = if shape.request_stream {
            Flags::ACK_REQUIRED.union(Flags::MORE)
        } else {
            Flags::ACK_REQUIRED
        };
        let streams = (shape != Shape::UNARY).then(|| {
            Streams::new(
                self.config.stream_window,
                shape.request_stream,
                shape.response_stream,
            )
        });
        let mut kept = Vec::new();
        let position = if self.is_suspended() {
            if streams.is_some() {
                // Streams end with their connection, and none begins without one.
                return Err(Disconnected);
            }
            let frame = self.frame_of(head, id, flags, encode);
            self.resend_queue.push(Waiting::Call { id, frame });
            Position::NOWHERE
        } else if FaultInjection::ResendCall.is_on() {
            kept = self.frame_of(head, id, flags, encode);
            self.outgoing.push(priority(head.urgent), |buffer| {
                buffer.extend_from_slice(&kept);
            })
        } else {
            self.push_opener(head, id, flags, encode).1
        };
        let opening = Opening {
            id,
            variant: head.variant,
            token,
            urgent: head.urgent,
            deadline,
            position,
            kept,
        };
        Ok(self.outbound.insert_call(opening, streams))
    }

    /// Sends a PING with this payload; its PONG ends the exchange.
    pub fn ping(
        &mut self,
        payload: &[u8],
        token: Token,
        deadline: Duration,
    ) -> Result<Slot, Blocked> {
        self.check_open()?;
        if self.is_suspended() {
            return Err(Disconnected);
        }
        if self.is_queue_full() || !self.outbound.has_room_for_ping() {
            return Err(NoRoom);
        }
        let id = self.outbound.next_call_id();
        let position = self
            .outgoing
            .push(Priority::Urgent, |buffer| write_ping(buffer, id, payload));
        Ok(self.outbound.insert_ping(Opening {
            id,
            variant: 0,
            token,
            urgent: true,
            deadline,
            position,
            kept: Vec::new(),
        }))
    }

    /// Nobody waits for the answer of this exchange any more: it is ignored when it comes. A call is cancelled, or not
    /// sent at all if nothing of it was sent yet.
    pub fn forget(&mut self, slot: Slot) {
        let call = self.outbound.to_cancel(slot);
        self.outbound.forget(slot);
        if let Some(call) = call {
            self.cancel_call(call);
        }
    }

    /// A call has run out of time. The other side has the deadline of one without streams itself.
    pub(super) fn expire_call(&mut self, call: ToCancel) {
        if call.has_streams {
            self.cancel_call(call);
        } else if let Some(position) = call.position {
            self.outgoing.withdraw(position);
        }
    }

    /// Tells the other side that nobody waits for a call, or takes back what is queued of it where nothing was sent.
    pub(super) fn cancel_call(&mut self, call: ToCancel) {
        let ToCancel {
            id,
            urgent,
            position,
            has_streams,
        } = call;
        let position = position.filter(|_| !FaultInjection::CancelOvertakes.is_on());
        let is_withdrawn = position.is_some_and(|position| {
            if has_streams {
                self.outgoing.withdraw_all(position, id)
            } else {
                self.outgoing.withdraw(position)
            }
        });
        // While there is no connection nothing is said: a call that is not awaited any more is cancelled by the resume.
        if self.phase == Phase::Open && !is_withdrawn && !FaultInjection::ForgetCancel.is_on() {
            let overtakes = urgent || FaultInjection::CancelOvertakes.is_on();
            self.outgoing.push(priority(overtakes), |buffer| {
                write_cancel(buffer, urgency(urgent), id)
            });
        }
    }

    /// Answers a call whose handler has ended.
    pub fn reply(&mut self, slot: InboundSlot, reply: Reply<'_, impl FnOnce(&mut Vec<u8>)>) {
        let Some((id, urgent)) = self.inbound.end(slot) else {
            return;
        };
        self.ended_calls.end(id);
        let flags = urgency(urgent);
        let max = self.peer_max_body;
        let reply = match reply {
            Reply::Message {
                variant,
                len,
                compressed: false,
                time_us: None,
                encode,
            } if len <= max && !urgent && self.phase == Phase::Open => {
                return self.answer_fast(id, variant, len, encode);
            }
            reply => reply,
        };
        let write = |buffer: &mut Vec<u8>| match reply {
            Reply::Message { len, .. } if len > max => {
                let text = format!(
                    "an answer of {len} bytes, where the caller accepts {max} (its setting `max_body`)"
                );
                write_error(buffer, flags, id, Code::ResourceExhausted, &text);
            }
            Reply::Message {
                variant,
                compressed,
                time_us,
                encode,
                ..
            } => {
                let mut flags = flags;
                if compressed {
                    flags = flags.union(Flags::COMPRESSED);
                }
                if time_us.is_some() {
                    flags = flags.union(Flags::META);
                }
                let mark = begin_frame(
                    buffer,
                    &Header {
                        flags,
                        variant,
                        ..Header::control(FrameType::Ack, id)
                    },
                );
                if time_us.is_some() {
                    let metadata = Metadata {
                        response_time_us: time_us,
                        ..Metadata::default()
                    };
                    let written = write_metadata(buffer, &metadata, u16::MAX);
                    debug_assert!(written.is_ok(), "a time alone is a few bytes");
                }
                encode(buffer);
                seal(buffer, mark);
            }
            Reply::End => write_ack(buffer, flags, id),
            // What a handler says is never to be taken for the session's own word on a call's fate.
            Reply::Error(status) if (status.code, status.message) == NOT_RECEIVED => {
                let text = format!("{}, says the handler", status.message);
                write_error(buffer, flags, id, status.code, &text);
            }
            Reply::Error(status) => write_error(buffer, flags, id, status.code, status.message),
        };
        let overtakes = FaultInjection::EndOvertakesItems.is_on();
        let priority = priority(urgent || overtakes);
        match self.phase {
            Phase::Open => {
                self.outgoing.push_response(priority, write);
            }
            Phase::Suspended => {
                let mut frame = Vec::new();
                write(&mut frame);
                self.ended_calls.keep(id, KeptReply { priority, frame });
            }
            _ => {}
        }
    }

    /// Answers a delivery whose handler has returned.
    pub fn acknowledge(&mut self, id: MsgId, urgent: bool, outcome: Result<(), ErrorRef<'_>>) {
        self.inbound.paid();
        self.received.end(id.sequence(), outcome.is_ok());
        // Without a connection the delivery comes again, and is answered then.
        if self.phase != Phase::Open {
            return;
        }
        let flags = urgency(urgent);
        self.outgoing
            .push_response(priority(urgent), |buffer| match outcome {
                Ok(()) => write_ack(buffer, flags, id),
                Err(status) => write_error(buffer, flags, id, status.code, status.message),
            });
    }

    /// One-way messages of this connection have been handled: the other side may send as much again, unless its window
    /// has begun anew since.
    pub fn consumed(&mut self, handled: Credit, connection: u64) {
        self.unhandled.subtract(handled);
        if connection != self.connection && !FaultInjection::GrantAcrossConnections.is_on() {
            return;
        }
        let Some(credit) = self.receive_window.consume(handled) else {
            return;
        };
        if self.phase == Phase::Open {
            self.outgoing.push_response(Priority::Urgent, |buffer| {
                write_credit(buffer, Flags::NONE, MsgId::CONNECTION, credit);
                if FaultInjection::GrantTwice.is_on() {
                    write_credit(buffer, Flags::NONE, MsgId::CONNECTION, credit);
                }
            });
        }
    }

    pub(super) fn check_open(&self) -> Result<(), Blocked> {
        match self.phase {
            Phase::Open | Phase::Suspended if !self.is_closing() => Ok(()),
            _ => Err(Closing),
        }
    }

    /// Whether a message or a request can go out now, or be kept for the next connection.
    pub fn check_room(&mut self, needs_credit: bool) -> Result<(), Blocked> {
        self.check_open()?;
        if self.is_suspended() {
            if self.config.buffer_disconnected == 0 {
                return Err(Disconnected);
            }
            let kept = self
                .resend_queue
                .cost()
                .saturating_add(self.outbound.kept_cost());
            return if kept < self.config.buffer_disconnected && self.may_keep_more() {
                Ok(())
            } else {
                Err(Full)
            };
        }
        // What waits already goes first.
        let is_late = !self.resend_queue.is_empty() && !FaultInjection::OvertakeResend.is_on();
        let has_room = if needs_credit {
            self.send_window.is_open() && !self.is_queue_full()
        } else {
            self.has_room_for_request()
        };
        if is_late || !has_room {
            return Err(NoRoom);
        }
        Ok(())
    }

    /// Whether nothing waits by its kind that a message of this kind would overtake. A call may: it needs no credit.
    pub(super) fn check_shelf(&mut self, kind: MsgKind) -> Result<(), Blocked> {
        if self.droppable_queue.is_empty() || (!is_droppable(kind) && self.make_way()) {
            Ok(())
        } else {
            Err(NoRoom)
        }
    }

    /// Whether no further delivery is kept before another one is answered.
    pub(super) fn is_keeping_enough(&self) -> bool {
        self.outbound.kept_cost() >= self.config.session_buffer
            || self.outbound.delivery_count() >= self.config.session_deliveries
    }

    /// Whether the queue takes a request, which needs no credit.
    #[inline]
    pub(super) fn has_room_for_request(&mut self) -> bool {
        self.outgoing.cost() < REQUESTS_QUEUED && !self.is_queue_full()
    }

    /// How many bytes of requests the queue takes, or a little more.
    pub(super) fn room_for_requests(&self) -> usize {
        let most = REQUESTS_QUEUED.min(self.room);
        most.saturating_sub(self.outgoing.cost())
    }

    #[inline]
    pub(super) fn is_queue_full(&mut self) -> bool {
        self.outgoing.cost() >= self.room && self.is_out_of_room()
    }

    /// Writes the frame, and returns the length of its payload and its place.
    fn push_opener(
        &mut self,
        head: &RequestHead<'_>,
        id: MsgId,
        flags: Flags,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> (usize, Position) {
        let mut payload_len = 0;
        let write = self.opener_writer(head, id, flags, encode);
        let position = self.outgoing.push(priority(head.urgent), |buffer| {
            payload_len = write(buffer);
        });
        (payload_len, position)
    }

    /// The frame by itself.
    pub(super) fn frame_of(
        &self,
        head: &RequestHead<'_>,
        id: MsgId,
        flags: Flags,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Vec<u8> {
        let mut frame = Vec::new();
        self.opener_writer(head, id, flags, encode)(&mut frame);
        frame
    }

    /// What writes the frame, and returns the length of its payload.
    fn opener_writer<'a, F: FnOnce(&mut Vec<u8>)>(
        &self,
        head: &RequestHead<'a>,
        id: MsgId,
        flags: Flags,
        encode: F,
    ) -> impl FnOnce(&mut Vec<u8>) -> usize + use<'a, F> {
        let frame_type = FrameType::opening(self.config.side);
        let mut flags = flags;
        if head.urgent {
            flags = flags.union(Flags::URGENT);
        }
        if head.compressed {
            flags = flags.union(Flags::COMPRESSED);
        }
        let has_metadata = head.deadline_ms.is_some() || !head.metadata.is_empty();
        if has_metadata {
            flags = flags.union(Flags::META);
        }
        let header = Header {
            flags,
            frame_type,
            kind: head.kind.into(),
            variant: head.variant,
            payload_len: 0,
            msg_id: id,
        };
        let RequestHead {
            deadline_ms,
            metadata,
            topic,
            ..
        } = *head;
        move |buffer| {
            let mark = begin_frame(buffer, &header);
            let start = buffer.len();
            if has_metadata {
                write_deadline_and(buffer, deadline_ms, metadata);
            }
            match topic {
                Some(topic) => write_topic(buffer, topic),
                None => buffer.extend_from_slice(&NO_TOPIC),
            }
            encode(buffer);
            let payload_len = buffer.len().saturating_sub(start);
            seal(buffer, mark);
            payload_len
        }
    }
}

/// The flags of a frame of an exchange that is urgent, or not.
pub(super) fn urgency(urgent: bool) -> Flags {
    if urgent { Flags::URGENT } else { Flags::NONE }
}

pub(super) fn priority(urgent: bool) -> Priority {
    if urgent {
        Priority::Urgent
    } else {
        Priority::Normal
    }
}
