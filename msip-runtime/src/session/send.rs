//! What this side sends: messages, requests, answers, pings.

use std::time::Duration;

use super::{
    Blocked::{Closing, NoRoom},
    MsgId, Phase, Priority, ServedSlot, Session, Slot, Token,
    opened::Opening,
    seal,
    streams::Streams,
};
use crate::{
    MsgKind, Status,
    wire::{
        Code, Credit, Flags, FrameType, Header, Metadata, Side, begin_frame, write_ack,
        write_cancel, write_credit, write_error, write_metadata, write_ping,
    },
};

/// Why nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blocked {
    /// The queue, the credit or the number of open exchanges is used up; later there may be room.
    NoRoom,
    /// The session is not open, or closing.
    Closing,
}

/// The header of a message that begins an exchange.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opener {
    pub(crate) variant: u16,
    pub(crate) kind: MsgKind,
    pub(crate) urgent: bool,
    /// Whether the body is compressed.
    pub(crate) compressed: bool,
    /// The deadline, in milliseconds, where the other side does not know it from the schema.
    pub(crate) deadline_ms: Option<u32>,
}

/// What a handler answers.
#[derive(Debug)]
pub(crate) enum Reply<'a, F> {
    /// A message: its variant, the length of its body before it was compressed, and what writes that.
    Message {
        variant: u16,
        len: usize,
        compressed: bool,
        encode: F,
    },
    /// The end of a stream of messages.
    End,
    /// An error.
    Error(&'a Status),
}

/// Which parts of a call are streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) request_stream: bool,
    pub(crate) response_stream: bool,
}

impl Shape {
    /// One request, one answer.
    pub(crate) const UNARY: Self = Self {
        request_stream: false,
        response_stream: false,
    };
}

impl Session {
    /// Sends a message that nobody answers. `encode` appends the body.
    pub(crate) fn send(
        &mut self,
        opener: &Opener,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Blocked> {
        self.check_open()?;
        if !self.send_window.is_open() || self.is_queue_full() {
            return Err(NoRoom);
        }
        let id = self.opened.next_id();
        let (len, _) = self.push_opener(opener, id, Flags::NONE, encode);
        self.send_window.spend(len);
        Ok(())
    }

    /// Sends a message to be acknowledged.
    pub(crate) fn deliver(
        &mut self,
        opener: &Opener,
        token: Token,
        deadline: Duration,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Slot, Blocked> {
        self.check_open()?;
        if !self.send_window.is_open()
            || self.is_queue_full()
            || !self.opened.has_room_for_delivery()
        {
            return Err(NoRoom);
        }
        let id = self.opened.next_delivery_id();
        let (len, position) = self.push_opener(opener, id, Flags::ACK_REQUIRED, encode);
        self.send_window.spend(len);
        Ok(self.opened.insert_delivery(Opening {
            id,
            token,
            urgent: opener.urgent,
            deadline,
            position,
        }))
    }

    /// Sends a request, or the opening of a stream of them.
    pub(crate) fn call(
        &mut self,
        opener: &Opener,
        shape: Shape,
        token: Token,
        deadline: Duration,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Slot, Blocked> {
        self.check_open()?;
        if self.is_queue_full() || !self.opened.has_room_for_call() {
            return Err(NoRoom);
        }
        let id = self.opened.next_call_id();
        let flags = if shape.request_stream {
            Flags::ACK_REQUIRED.union(Flags::MORE)
        } else {
            Flags::ACK_REQUIRED
        };
        let (_, position) = self.push_opener(opener, id, flags, encode);
        let streams = (shape != Shape::UNARY)
            .then(|| Streams::new(shape.request_stream, shape.response_stream));
        let opening = Opening {
            id,
            token,
            urgent: opener.urgent,
            deadline,
            position,
        };
        Ok(self.opened.insert_call(opening, streams))
    }

    /// Sends a PING with this payload; its PONG ends the exchange.
    pub(crate) fn ping(
        &mut self,
        payload: &[u8],
        token: Token,
        deadline: Duration,
    ) -> Result<Slot, Blocked> {
        self.check_open()?;
        if self.is_queue_full() || !self.opened.has_room_for_ping() {
            return Err(NoRoom);
        }
        let id = self.opened.next_call_id();
        let position = self
            .outgoing
            .push(Priority::Urgent, |buffer| write_ping(buffer, id, payload));
        Ok(self.opened.insert_ping(Opening {
            id,
            token,
            urgent: true,
            deadline,
            position,
        }))
    }

    /// Nobody waits for the answer of this exchange any more: it is ignored when it comes. A call is cancelled, or not
    /// sent at all if nothing of it was sent yet.
    pub(crate) fn forget(&mut self, slot: Slot) {
        let call = self.opened.to_cancel(slot);
        self.opened.forget(slot);
        let Some((id, urgent, position)) = call else {
            return;
        };
        if self.phase == Phase::Open && !self.outgoing.withdraw(position) {
            let flags = urgency(urgent);
            self.outgoing
                .push(priority(urgent), |buffer| write_cancel(buffer, flags, id));
        }
    }

    /// Answers a call whose handler has ended.
    pub(crate) fn reply(&mut self, slot: ServedSlot, reply: Reply<'_, impl FnOnce(&mut Vec<u8>)>) {
        let Some((id, urgent)) = self.served.end(slot) else {
            return;
        };
        if self.phase != Phase::Open {
            return;
        }
        let flags = urgency(urgent);
        let max = self.peer_max_body;
        self.outgoing.push(priority(urgent), |buffer| match reply {
            Reply::Message { len, .. } if len > max => {
                let text =
                    format!("an answer of {len} bytes, where the caller accepts {max} (its setting `max_body`)");
                write_error(buffer, flags, id, Code::ResourceExhausted, &text);
            }
            Reply::Message {
                variant,
                compressed,
                encode,
                ..
            } => {
                let flags = if compressed {
                    flags.union(Flags::COMPRESSED)
                } else {
                    flags
                };
                let mark = begin_frame(
                    buffer,
                    &Header {
                        flags,
                        variant,
                        ..Header::control(FrameType::Ack, id)
                    },
                );
                encode(buffer);
                seal(buffer, mark);
            }
            Reply::End => write_ack(buffer, flags, id),
            Reply::Error(status) => write_error(buffer, flags, id, status.code(), status.message()),
        });
    }

    /// Answers a delivery whose handler has returned.
    pub(crate) fn acknowledge(&mut self, id: MsgId, urgent: bool, outcome: Result<(), &Status>) {
        self.served.paid();
        if self.phase != Phase::Open {
            return;
        }
        let flags = urgency(urgent);
        self.outgoing
            .push(priority(urgent), |buffer| match outcome {
                Ok(()) => write_ack(buffer, flags, id),
                Err(status) => write_error(buffer, flags, id, status.code(), status.message()),
            });
    }

    /// One-way messages have been handled: the other side may send as much again.
    pub(crate) fn consumed(&mut self, handled: Credit) {
        let Some(credit) = self.receive_window.consume(handled) else {
            return;
        };
        if self.phase == Phase::Open {
            self.outgoing.push(Priority::Urgent, |buffer| {
                write_credit(buffer, Flags::NONE, MsgId::CONNECTION, credit)
            });
        }
    }

    fn check_open(&self) -> Result<(), Blocked> {
        if self.phase == Phase::Open && !self.is_closing() {
            Ok(())
        } else {
            Err(Closing)
        }
    }

    pub(super) fn is_queue_full(&self) -> bool {
        self.outgoing.cost() >= self.config.outgoing_queue
    }

    /// Writes the frame, and returns the length of its payload and its place.
    fn push_opener(
        &mut self,
        opener: &Opener,
        id: MsgId,
        flags: Flags,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> (usize, super::outgoing::Position) {
        let frame_type = match self.config.side {
            Side::Connecting => FrameType::Publish,
            Side::Accepting => FrameType::Event,
        };
        let mut flags = flags;
        if opener.urgent {
            flags = flags.union(Flags::URGENT);
        }
        if opener.compressed {
            flags = flags.union(Flags::COMPRESSED);
        }
        if opener.deadline_ms.is_some() {
            flags = flags.union(Flags::META);
        }
        let header = Header {
            flags,
            frame_type,
            kind: opener.kind.into(),
            variant: opener.variant,
            payload_len: 0,
            msg_id: id,
        };
        let max_metadata = self.config.limits.max_metadata;
        let mut payload_len = 0;
        let position = self.outgoing.push(priority(opener.urgent), |buffer| {
            let mark = begin_frame(buffer, &header);
            let start = buffer.len();
            if opener.deadline_ms.is_some() {
                let metadata = Metadata {
                    deadline_ms: opener.deadline_ms,
                    ..Metadata::default()
                };
                let written = write_metadata(buffer, &metadata, max_metadata);
                debug_assert!(written.is_ok(), "a deadline alone is a few bytes");
            }
            // The topic, which is empty on a direct connection.
            buffer.extend_from_slice(&[0, 0]);
            encode(buffer);
            payload_len = buffer.len() - start;
            seal(buffer, mark);
        });
        (payload_len, position)
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
