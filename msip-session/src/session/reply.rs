//! Replying: answers to calls, acknowledgments, and credit for handled messages.

use std::time::Duration;

use super::{
    InboundSlot, ItemTarget, Phase, Reply, Session,
    close::NOT_ACCEPTED,
    ended_calls::{KeptReply, NOT_RECEIVED},
    fault_injection::FaultInjection,
    frame_writer::{Prefix, announced_len, write_frame},
    inbound::Unanswered,
    relief::Relief,
    request::{Priority, urgency},
    streams::Relieved,
    to_usize,
};
use crate::wire::{
    Code, Credit, ErrorRef, Flags, FrameType, Header, Limits, Metadata, MsgId, write_ack,
    write_credit, write_error, write_long_error,
};

/// What a call ends with that its caller has cancelled.
const GIVEN_UP: &str = "given up by its caller";

impl Session {
    /// Answers a call, whose handler has ended. The slot is free from here on, also of a call that was cancelled.
    #[inline]
    pub fn reply(&mut self, slot: InboundSlot, reply: Reply<'_, impl FnOnce(&mut Vec<u8>)>) {
        if self.inbound.running() > 0
            && let Reply::Message { len, .. } = reply
        {
            self.note_answer(slot, len);
        }
        let (id, is_urgent) = match self.inbound.end(slot, &mut self.streams) {
            Ok(awaited) => awaited,
            Err(unanswered) => return self.end_unanswered(unanswered),
        };
        self.ended_calls.end(id);
        match reply {
            Reply::Message {
                variant,
                len,
                compressed: false,
                metadata: None,
                encode,
            } if !is_urgent && len <= self.peer_max_body && self.phase == Phase::Open => {
                let header = Header {
                    variant,
                    payload_len: announced_len(len),
                    ..Header::control(FrameType::Ack, id)
                };
                let overtakes = FaultInjection::EndOvertakesItems.is_on();
                self.outgoing
                    .push_response(Priority::new(overtakes), |buffer| {
                        write_frame(buffer, &header, Prefix::None, encode);
                    });
            }
            reply => self.reply_slow(id, is_urgent, reply),
        }
    }

    /// The same with metadata.
    #[inline(never)]
    pub fn reply_with_metadata(
        &mut self,
        slot: InboundSlot,
        reply: Reply<'_, impl FnOnce(&mut Vec<u8>)>,
        metadata: &Metadata,
    ) {
        match self.inbound.end(slot, &mut self.streams) {
            Ok((id, is_urgent)) => {
                self.ended_calls.end(id);
                self.reply_slow(id, is_urgent, reply.with_metadata(metadata));
            }
            Err(unanswered) => self.end_unanswered(unanswered),
        }
    }

    /// A handler has ended whose caller has given up: says so, since the call counts there until then.
    #[cold]
    pub(super) fn end_unanswered(&mut self, unanswered: Unanswered) {
        let Unanswered::Cancelled { id, is_urgent } = unanswered else {
            return;
        };
        if self.phase == Phase::Open && !FaultInjection::EndSilently.is_on() {
            let flags = urgency(is_urgent);
            self.outgoing
                .push_response(Priority::new(is_urgent), |buffer| {
                    write_error(buffer, flags, id, Code::Cancelled, GIVEN_UP);
                });
        }
    }

    /// Answers a call on the slow path: with an error, the end of a stream, or metadata, or without a connection.
    #[inline(never)]
    fn reply_slow(
        &mut self,
        id: MsgId,
        is_urgent: bool,
        reply: Reply<'_, impl FnOnce(&mut Vec<u8>)>,
    ) {
        let writer = self.reply_writer(id, is_urgent);
        let overtakes = is_urgent || FaultInjection::EndOvertakesItems.is_on();
        let priority = Priority::new(overtakes);
        match self.phase {
            Phase::Open => {
                self.outgoing.push_response(priority, |buffer| {
                    writer.write(buffer, reply);
                });
            }
            Phase::Suspended => {
                let mut frame = Vec::new();
                writer.write(&mut frame, reply);
                self.ended_calls.keep(id, KeptReply { priority, frame });
            }
            _ => {}
        }
    }

    /// Answers a delivery, whose handler has returned.
    pub fn acknowledge(&mut self, id: MsgId, urgent: bool, outcome: Result<(), ErrorRef<'_>>) {
        self.inbound.end_delivery();
        self.received.end(id.sequence(), outcome.is_ok());
        // Without a connection the delivery comes again, and is answered then.
        if self.phase != Phase::Open {
            return;
        }
        let writer = self.reply_writer(id, urgent);
        self.outgoing
            .push_response(Priority::new(urgent), |buffer| match outcome {
                Ok(()) => write_ack(buffer, writer.flags, id),
                Err(error) => writer.write_error(buffer, error),
            });
    }

    /// Answers an exchange of the peer with an error of what is above the session.
    pub(super) fn push_error(&mut self, id: MsgId, urgent: bool, error: ErrorRef<'_>) {
        let writer = self.reply_writer(id, urgent);
        self.outgoing
            .push_response(Priority::new(urgent), |buffer| {
                writer.write_error(buffer, error);
            });
    }

    /// Notes that one-way messages and deliveries have been handled, which came by this
    /// [`connection`](Self::connection): the peer may send as many again.
    #[inline]
    pub fn consumed(&mut self, handled: Credit, connection: u64) {
        self.unhandled.subtract(handled);
        // Windows start afresh with each connection.
        if connection != self.connection && !FaultInjection::GrantAcrossConnections.is_on() {
            return;
        }
        let Some(credit) = self.receive_window.consume(handled) else {
            self.watch_window();
            return;
        };
        self.grant(credit);
    }

    /// Grants credit for one-way messages.
    fn grant(&mut self, credit: Credit) {
        if self.phase == Phase::Open {
            self.outgoing.push_provoked(Priority::Urgent, |buffer| {
                write_credit(buffer, Flags::NONE, MsgId::CONNECTION, credit);
                if FaultInjection::GrantTwice.is_on() {
                    write_credit(buffer, Flags::NONE, MsgId::CONNECTION, credit);
                }
            });
        }
    }
}

/// Credit that comes back with time.
impl Session {
    /// Where the window of one-way messages is used up, it is looked at for relief.
    #[inline]
    pub(super) fn watch_window(&mut self) {
        if self.receive_window.is_used_up() {
            self.note_used_up();
        }
    }

    #[cold]
    fn note_used_up(&mut self) {
        let relief = &mut self.streams.relief;
        if self.receive_window.note_used_up(relief.round()) {
            relief.start();
        }
    }

    /// Grants what was handled of windows that have been used up for long.
    pub(super) fn relieve(&mut self, now: Duration) {
        if let Some(ended) = self.streams.relief.handle_timeout(now) {
            match self.receive_window.relieve(ended) {
                Relief::Grant(credit) => self.grant(credit),
                Relief::Wait => self.streams.relief.start(),
                Relief::Nothing | Relief::AtOnce => {}
            }
            for relieved in self.streams.relieve(ended) {
                let Relieved {
                    id,
                    is_urgent,
                    credit,
                } = relieved;
                self.grant_items(id, is_urgent, credit);
            }
        }
        self.streams.relief.begin(now);
    }

    /// The peer's stream of this call.
    fn reader_of(&self, id: MsgId) -> Option<ItemTarget> {
        if id.chosen_by() == self.side {
            let (_, token) = self.outbound.streams_of(id)?;
            Some(ItemTarget::Answers(token))
        } else {
            let (slot, _) = self.inbound.streams_of(id)?;
            Some(ItemTarget::Requests(slot))
        }
    }

    /// A stream whose sender waits for credit. Its reader is to pass what it has read to
    /// [`items_consumed`](Self::items_consumed) with the next item, however little that is. To be asked for after
    /// [`handle_timeout`](Self::handle_timeout).
    pub fn poll_unreported(&mut self) -> Option<ItemTarget> {
        while let Some(id) = self.streams.poll_unreported() {
            if let Some(reader) = self.reader_of(id) {
                return Some(reader);
            }
        }
        None
    }
}

/// Writes the frame that answers an exchange.
#[derive(Debug, Clone, Copy)]
struct ReplyWriter {
    id: MsgId,
    flags: Flags,
    /// The largest body that the caller accepts.
    max_body: usize,
    /// Whether an ERROR may have metadata and a long text.
    long_errors: bool,
}

impl Session {
    fn reply_writer(&self, id: MsgId, is_urgent: bool) -> ReplyWriter {
        ReplyWriter {
            id,
            flags: urgency(is_urgent),
            max_body: self.peer_max_body,
            long_errors: self.allows_error_metadata,
        }
    }
}

impl ReplyWriter {
    fn write(self, buffer: &mut Vec<u8>, reply: Reply<'_, impl FnOnce(&mut Vec<u8>)>) {
        let Self {
            id,
            flags,
            max_body,
            ..
        } = self;
        match reply {
            Reply::Message {
                variant,
                len,
                compressed,
                metadata,
                encode,
            } if len <= max_body => {
                let mut header = Header {
                    flags,
                    variant,
                    ..Header::control(FrameType::Ack, id)
                };
                if compressed {
                    header.flags = header.flags.union(Flags::COMPRESSED);
                } else {
                    header.payload_len = announced_len(len);
                }
                write_answer(buffer, header, metadata, encode);
            }
            Reply::Message { len, .. } => {
                let text = format!(
                    "an answer of {len} bytes, where the caller accepts {max_body} (its setting `max_body`)"
                );
                self.write_error(buffer, ErrorRef::new(Code::ResourceExhausted, &text));
            }
            Reply::End { metadata } => {
                let header = Header {
                    flags,
                    ..Header::control(FrameType::Ack, id)
                };
                write_answer(buffer, header, metadata, |_| ());
            }
            Reply::Error(error) => self.write_error(buffer, error),
        }
    }

    /// Writes the error of a handler, which must not be taken for the session's own statement that a message was not
    /// received, or not accepted.
    fn write_error(self, buffer: &mut Vec<u8>, error: ErrorRef<'_>) {
        let Self { id, flags, .. } = self;
        let said;
        let mut error = error;
        if [NOT_RECEIVED, NOT_ACCEPTED].contains(&(error.code, error.message)) {
            said = format!("{}, says the handler", error.message);
            error.message = &said;
        }
        if self.long_errors {
            let max_payload = Limits::with_max_body(announced_len(self.max_body)).max_payload();
            write_long_error(buffer, flags, id, error, to_usize(max_payload));
        } else {
            write_error(buffer, flags, id, error.code, error.message);
        }
    }
}

/// Writes an ACK with a body.
fn write_answer(
    buffer: &mut Vec<u8>,
    mut header: Header,
    metadata: Option<&Metadata>,
    encode: impl FnOnce(&mut Vec<u8>),
) {
    let prefix = match metadata {
        None => Prefix::None,
        Some(metadata) => {
            header.flags = header.flags.union(Flags::META);
            Prefix::Metadata(metadata)
        }
    };
    write_frame(buffer, &header, prefix, encode);
}
