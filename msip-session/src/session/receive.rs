//! What the other side sends: each frame is checked against the state, and becomes at most one event.

use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;

use super::{
    CANCELS_PER_SECOND, Event, Fault, FaultKind, Incoming, Item, MAX_PONGS, Outcome, Phase,
    Priority, ReplyTo, Session, StreamSide, fault_injection::FaultInjection, received::Fate,
};
use crate::{
    MsgKind,
    wire::{
        Code, Credit, ErrorText, Flags, Frame, FrameType, Header, HelloError, Metadata, MsgId,
        Payload, PayloadError, Side, Topic, WelcomeError, parse_hello, parse_welcome, write_ack,
        write_error, write_pong,
    },
};

impl Session {
    /// Takes one frame.
    ///
    /// An error is a rule that the other side broke; hand it to [`handle_fault`](Self::handle_fault) and end the
    /// connection.
    pub fn handle_frame(&mut self, frame: Frame, now: Duration) -> Result<Option<Event>, Fault> {
        match self.phase {
            Phase::Open => self.handle_open(frame, now),
            Phase::AwaitHello => self.handle_hello(frame).map(Some),
            Phase::AwaitWelcome { hello } => self.handle_welcome(hello, frame).map(Some),
            Phase::Deciding { .. } => {
                Err(out_of_order(&frame.header, "before its HELLO was answered"))
            }
            Phase::Suspended | Phase::Over => Ok(None),
        }
    }

    fn handle_hello(&mut self, frame: Frame) -> Result<Event, Fault> {
        let Header {
            frame_type,
            kind,
            msg_id,
            ..
        } = frame.header;
        if frame_type != FrameType::Hello {
            return Err(out_of_order(&frame.header, "before HELLO"));
        }
        if msg_id.is_connection() {
            return Err(Fault::new(
                msg_id,
                "a HELLO with message id 0, which nothing could answer",
            ));
        }
        let hello = parse_hello(kind, frame.payload).map_err(|error| match error {
            HelloError::MipDialect => Fault {
                code: Code::Unimplemented,
                ..Fault::new(msg_id, error.to_string())
            },
            error => Fault::new(msg_id, error.to_string()),
        })?;
        self.phase = Phase::Deciding { hello: msg_id };
        Ok(Event::Hello(Box::new(hello)))
    }

    fn handle_welcome(&mut self, hello: MsgId, frame: Frame) -> Result<Event, Fault> {
        let Header {
            frame_type, msg_id, ..
        } = frame.header;
        match frame_type {
            FrameType::Error | FrameType::Close => {
                self.phase = Phase::Over;
                Ok(Event::Refused(ErrorText::parse(&frame.payload)))
            }
            FrameType::Ack if msg_id == hello => {
                let welcome = parse_welcome(frame.payload).map_err(|error| match error {
                    WelcomeError::MipPeer => Fault {
                        kind: FaultKind::MipPeer,
                        ..Fault::new(msg_id, error.to_string())
                    },
                    error => Fault::new(msg_id, error.to_string()),
                })?;
                let max_calls = super::to_usize(welcome.welcome.max_open_calls);
                if max_calls > 0 {
                    self.outbound.set_max_calls(max_calls);
                }
                self.open(welcome.welcome.max_body);
                Ok(Event::Welcome(Box::new(welcome)))
            }
            _ => Err(out_of_order(&frame.header, "before the answer to HELLO")),
        }
    }

    fn handle_open(&mut self, frame: Frame, now: Duration) -> Result<Option<Event>, Fault> {
        let id = frame.header.msg_id;
        match (frame.header.frame_type, self.config.side) {
            (FrameType::Publish, Side::Accepting) | (FrameType::Event, Side::Connecting) => {
                self.handle_message(frame, now)
            }
            (FrameType::Ack, _) => self.handle_answer(frame, now),
            (FrameType::Error, _) if id.is_connection() => {
                Ok(Some(Event::Blamed(ErrorText::parse(&frame.payload))))
            }
            (FrameType::Error, _) => {
                let text = ErrorText::parse(&frame.payload);
                let outcome = if self.is_fate(id, &text) {
                    Outcome::NotReceived
                } else {
                    Outcome::Error(text)
                };
                self.answered(id, outcome, now)
            }
            (FrameType::Ping, _) => self.handle_ping(id, &frame.payload, now).map(|()| None),
            (FrameType::Pong, _) => {
                if self.keepalive.ponged(id, now) {
                    return Ok(None);
                }
                match self.outbound.pong(id) {
                    Some(token) => {
                        let outcome = Outcome::Answer {
                            variant: 0,
                            body: frame.payload,
                            compressed: false,
                            metadata: None,
                        };
                        Ok(Some(Event::Answered { token, outcome }))
                    }
                    None => self.ignore(id, now).map(|()| None),
                }
            }
            (FrameType::Credit, _) => self.handle_credit(id, &frame.payload, now),
            (FrameType::Cancel, _) => self.handle_cancel(id, now),
            (FrameType::Close, _) => {
                self.heard_close = true;
                self.start_draining(now);
                Ok(Some(Event::Closing(ErrorText::parse(&frame.payload))))
            }
            (FrameType::Subscribe | FrameType::Unsubscribe, Side::Accepting) => {
                self.tolerate(id, now)?;
                self.reject(
                    &frame.header,
                    Code::Unimplemented,
                    "topics need a broker, and this is a direct connection",
                );
                Ok(None)
            }
            (FrameType::Hello, Side::Accepting) => {
                Err(Fault::new(id, "a second HELLO on one connection"))
            }
            (
                FrameType::Publish
                | FrameType::Event
                | FrameType::Subscribe
                | FrameType::Unsubscribe
                | FrameType::Hello,
                _,
            ) => {
                let frame_type = frame.header.frame_type;
                Err(Fault::new(
                    id,
                    format!("{frame_type} in the wrong direction"),
                ))
            }
        }
    }

    /// A PUBLISH or EVENT.
    fn handle_message(&mut self, frame: Frame, now: Duration) -> Result<Option<Event>, Fault> {
        let header = frame.header;
        let Header {
            flags,
            variant,
            payload_len,
            msg_id: id,
            ..
        } = header;
        if flags.contains(Flags::ITEM) {
            return self.handle_request_item(frame, now);
        }
        let wants_answer = flags.contains(Flags::ACK_REQUIRED);
        if id.chosen_by() == self.config.side {
            return Err(Fault::new(
                id,
                format!("message id {id} is one that only the other side chooses"),
            ));
        }
        if wants_answer && id.sequence() == 0 {
            return Err(Fault::new(
                id,
                "message id 0 on a message that is to be answered",
            ));
        }
        let is_call = wants_answer && !id.is_delivery();
        let urgent = flags.contains(Flags::URGENT);
        if !is_call && !self.receive_window.accept(payload_len, urgent) {
            return Err(Fault::exhausted(
                id,
                "a message beyond the credit that was granted",
            ));
        }
        if !is_call {
            self.unhandled.add(payload_len);
        }
        if wants_answer && id.is_delivery() {
            if self.is_duplicate(&header, now)? {
                return Ok(None);
            }
        } else if is_call && FaultInjection::WindowOverAllIds.is_on() {
            self.received.make_room(id.sequence());
        }
        let parsed = self.read_message(frame);
        let (body, topic, beside) = match parsed {
            Ok(parsed) => parsed,
            Err((code, reason)) => {
                self.ignore(id, now)?;
                if !is_call {
                    self.consumed_now(payload_len);
                }
                self.reject(&header, code, &reason);
                return Ok(None);
            }
        };
        let is_stream = is_call && flags.contains(Flags::MORE);
        let reply = if is_call {
            if self.said_close {
                self.reject(
                    &header,
                    Code::Unavailable,
                    "closing: nothing new is accepted",
                );
                return Ok(None);
            }
            let len = super::to_usize(payload_len);
            if let Err(short) = self.check_memory(len) {
                // It is no fault of the caller.
                self.reject(&header, Code::ResourceExhausted, &short.to_string());
                return Ok(None);
            }
            match self.inbound.begin(id, urgent, len) {
                Ok(slot) => {
                    if is_stream {
                        self.inbound.begin_streams(slot, false, true);
                    }
                    ReplyTo::Call(slot)
                }
                Err(busy) => {
                    self.tolerate(id, now)?;
                    self.reject(&header, Code::ResourceExhausted, &busy.to_string());
                    return Ok(None);
                }
            }
        } else if wants_answer {
            if self.said_close {
                self.consumed_now(payload_len);
                self.reject(
                    &header,
                    Code::Unavailable,
                    "closing: nothing new is accepted",
                );
                return Ok(None);
            }
            self.inbound.owe();
            ReplyTo::Delivery { id, urgent }
        } else {
            // Taken even while closing: it was sent before the other side could know, and nobody would tell it.
            ReplyTo::Nobody
        };
        Ok(Some(Event::Incoming(Incoming {
            variant,
            // `read_message` has refused any other.
            kind: header.kind.known().unwrap_or(MsgKind::Event),
            urgent,
            topic,
            body,
            compressed: flags.contains(Flags::COMPRESSED),
            payload_len,
            reply,
            timeout: beside.timeout,
            metadata: beside.metadata,
            id,
            is_stream,
        })))
    }

    /// The body of a message, and what came beside it, or what the message is answered instead.
    fn read_message(
        &self,
        frame: Frame,
    ) -> Result<(Bytes, Topic, IncomingMetadata), (Code, String)> {
        let invalid = |reason: String| (Code::InvalidArgument, reason);
        let Header { flags, kind, .. } = frame.header;
        kind.known().map_err(|error| invalid(error.to_string()))?;
        if flags.contains(Flags::COMPRESSED) && !self.takes_compressed {
            return Err(invalid(
                "a compressed body, and no compression was agreed".to_owned(),
            ));
        }
        let is_call = flags.contains(Flags::ACK_REQUIRED) && !frame.header.msg_id.is_delivery();
        if flags.contains(Flags::MORE) && !is_call && !flags.contains(Flags::ITEM) {
            return Err(invalid(
                "MORE on a message that is no call: only a request stream has it".to_owned(),
            ));
        }
        let frame = match Payload::body_alone(frame, super::to_usize(self.config.limits.max_body)) {
            Ok(body) => return Ok((body, Topic::EMPTY, IncomingMetadata::default())),
            Err(frame) => frame,
        };
        let payload = Payload::parse(frame, &self.config.limits).map_err(|error| {
            let code = match error {
                PayloadError::BodyTooLarge { .. } => Code::ResourceExhausted,
                _ => Code::InvalidArgument,
            };
            (code, error.to_string())
        })?;
        if !payload.topic.is_empty() && !self.takes_topics {
            return Err(invalid(
                "a topic, and this is a direct connection".to_owned(),
            ));
        }
        let beside = match payload.metadata {
            Some(metadata) => {
                IncomingMetadata::read(metadata, self.config.side).map_err(invalid)?
            }
            None => IncomingMetadata::default(),
        };
        Ok((payload.body, payload.topic, beside))
    }

    /// Answers a delivery that came before as its original was, or will be.
    fn is_duplicate(&mut self, header: &Header, now: Duration) -> Result<bool, Fault> {
        let id = header.msg_id;
        let fate = self.received.begin(id.sequence());
        if fate == Fate::New {
            return Ok(false);
        }
        if !header.flags.contains(Flags::REDELIVERED) {
            // No sender of good will repeats what it has not lost.
            self.ignore(id, now)?;
        }
        self.consumed_now(header.payload_len);
        let (priority, flags) = priority_and_flags(header);
        let error = |reason| (Code::Aborted, reason);
        let answer = match fate {
            Fate::Handling if FaultInjection::AcknowledgeWhileHandling.is_on() => Ok(()),
            Fate::New | Fate::Handling => return Ok(true),
            Fate::Failed if FaultInjection::AcknowledgeFailed.is_on() => Ok(()),
            Fate::Handled => Ok(()),
            Fate::Failed => Err(error("failed earlier")),
            Fate::Forgotten => Err(error("older than the window of 4096 deliveries")),
        };
        self.outgoing
            .push_response(priority, |buffer| match answer {
                Ok(()) => write_ack(buffer, flags, id),
                Err((code, reason)) => write_error(buffer, flags, id, code, reason),
            });
        Ok(true)
    }

    /// A one-way message is done with, for no handler sees it.
    fn consumed_now(&mut self, payload_len: u32) {
        let handled = Credit {
            items: 1,
            bytes: payload_len,
        };
        self.consumed(handled, self.connection);
    }

    fn handle_answer(&mut self, frame: Frame, now: Duration) -> Result<Option<Event>, Fault> {
        let Header {
            flags,
            variant,
            msg_id: id,
            ..
        } = frame.header;
        let payload_len = frame.header.payload_len;
        let has_more = flags.contains(Flags::MORE);
        if has_more {
            match self.outbound.item(id, payload_len) {
                Some((_, true)) => {}
                Some((_, false)) => return Err(beyond_credit(id)),
                // It may be a stream where one answer was asked for: that ends the exchange, below.
                None if self.outbound.is_open(id) => {}
                None => return self.ignore_late(id, now).map(|()| None),
            }
        }
        let compressed = flags.contains(Flags::COMPRESSED);
        let outcome = if compressed && !self.takes_compressed {
            unreadable("a compressed body, and no compression was agreed")
        } else {
            match Payload::parse(frame, &self.config.limits) {
                Ok(payload) if has_more => match self.outbound.streaming(id) {
                    Some(token) => {
                        let item = Item {
                            variant,
                            body: payload.body,
                            compressed,
                            payload_len,
                            metadata: None,
                        };
                        return Ok(Some(Event::Item { token, item }));
                    }
                    None => unreadable("a stream, where one answer was asked for"),
                },
                Ok(payload) => match payload.metadata.map(read_metadata).transpose() {
                    Ok(metadata) => Outcome::Answer {
                        variant,
                        body: payload.body,
                        compressed,
                        metadata: metadata.map(Box::new),
                    },
                    Err(reason) => unreadable(&reason),
                },
                Err(error) => unreadable(&error.to_string()),
            }
        };
        self.answered(id, outcome, now)
    }

    /// An item of a request stream, or the end of one.
    fn handle_request_item(&mut self, frame: Frame, now: Duration) -> Result<Option<Event>, Fault> {
        let Header {
            flags,
            variant,
            payload_len,
            msg_id: id,
            ..
        } = frame.header;
        let Some(slot) = self.inbound.streaming(id) else {
            return self.ignore_late(id, now).map(|()| None);
        };
        let Some((_, _, streams)) = self.inbound.streams(slot) else {
            return self.ignore_late(id, now).map(|()| None);
        };
        let is_last = !flags.contains(Flags::MORE);
        // The end of a stream is no item, and needs no credit.
        const EMPTY_LEN: u32 = 2;
        let is_item = payload_len > EMPTY_LEN;
        let mut has_item = false;
        if is_item || !is_last {
            match streams.accept(payload_len) {
                Some(true) if streams.is_used_up() && FaultInjection::LoseLastOfCredit.is_on() => {
                    return Ok(None);
                }
                Some(true) => {}
                Some(false) => return Err(beyond_credit(id)),
                None => return self.ignore_late(id, now).map(|()| None),
            }
            has_item = true;
        }
        if is_last {
            streams.end_receiving();
        }
        if has_item {
            self.inbound.item_came(payload_len);
        }
        let item = match self.read_message(frame) {
            Ok((body, ..)) => is_item.then_some(Item {
                variant,
                body,
                compressed: flags.contains(Flags::COMPRESSED),
                payload_len,
                metadata: None,
            }),
            // An item that cannot be read is one for the handler to refuse: a body that is none.
            Err(_) => Some(Item {
                variant,
                body: Bytes::new(),
                compressed: false,
                payload_len,
                metadata: None,
            }),
        };
        Ok(Some(Event::RequestItem {
            slot,
            item,
            is_last,
        }))
    }

    fn answered(
        &mut self,
        id: MsgId,
        outcome: Outcome,
        now: Duration,
    ) -> Result<Option<Event>, Fault> {
        match self.outbound.answer(id) {
            Some(token) => {
                if id.is_delivery() {
                    self.last_answered = self.last_answered.max(id.sequence());
                }
                Ok(Some(Event::Answered { token, outcome }))
            }
            None => self.ignore_late(id, now).map(|()| None),
        }
    }

    fn handle_cancel(&mut self, id: MsgId, now: Duration) -> Result<Option<Event>, Fault> {
        let Some(slot) = self.inbound.cancel(id) else {
            return self.ignore_late(id, now).map(|()| None);
        };
        if self.cancels.take(now) {
            return Ok(Some(Event::Cancelled(slot)));
        }
        let rule = format!("more than {CANCELS_PER_SECOND} calls cancelled a second");
        Err(Fault::exhausted(id, rule))
    }

    fn handle_ping(&mut self, id: MsgId, payload: &Bytes, now: Duration) -> Result<(), Fault> {
        self.tolerate(id, now)?;
        if self.pongs_waiting >= MAX_PONGS {
            self.ignored += 1;
            return Ok(());
        }
        self.pongs_waiting += 1;
        self.outgoing
            .push_response(Priority::Urgent, |buffer| write_pong(buffer, id, payload));
        Ok(())
    }

    fn handle_credit(
        &mut self,
        id: MsgId,
        payload: &[u8],
        now: Duration,
    ) -> Result<Option<Event>, Fault> {
        let read = || Credit::parse(payload).map_err(|error| Fault::new(id, error.to_string()));
        if id.is_connection() {
            if !self.send_window.grant(read()?) {
                return Err(window_overflow(id));
            }
            self.pump(now);
            return Ok(Some(Event::Room));
        }
        let end = if id.chosen_by() == self.config.side {
            self.outbound.with_streams(id).map(StreamSide::Caller)
        } else {
            self.inbound.streaming(id).map(StreamSide::Callee)
        };
        let streams = end.and_then(|end| Some((end, self.streams(end)?)));
        let Some((end, (_, _, streams))) = streams else {
            if FaultInjection::CreditForNobody.is_on() {
                let _ = self.send_window.grant(read()?);
            }
            return self.ignore_late(id, now).map(|()| None);
        };
        if !streams.grant(read()?) {
            return Err(window_overflow(id));
        }
        Ok(Some(Event::StreamCredit(end)))
    }

    /// Answers a message that cannot be taken.
    fn reject(&mut self, header: &Header, code: Code, reason: &str) {
        if header.msg_id.is_connection() {
            // An ERROR with id 0 would say that the connection ends, and it goes on.
            return;
        }
        let id = header.msg_id;
        if header.flags.contains(Flags::ACK_REQUIRED) {
            if id.is_delivery() {
                self.received.end(id.sequence(), false);
            } else {
                self.ended_calls.end(id);
                self.inbound.refused(header.flags.contains(Flags::MORE));
            }
        }
        let (priority, flags) = priority_and_flags(header);
        self.outgoing.push_response(priority, |buffer| {
            write_error(buffer, flags, id, code, reason)
        });
    }
}

fn beyond_credit(id: MsgId) -> Fault {
    Fault::exhausted(id, "an item of a stream beyond the credit that was granted")
}

fn window_overflow(id: MsgId) -> Fault {
    Fault::new(id, "a CREDIT that makes the window larger than 4294967295")
}

/// How the answer to a message goes out: as the message came.
fn priority_and_flags(header: &Header) -> (Priority, Flags) {
    if header.flags.contains(Flags::URGENT) {
        (Priority::Urgent, Flags::URGENT)
    } else {
        (Priority::Normal, Flags::NONE)
    }
}

fn out_of_order(header: &Header, when: &str) -> Fault {
    let frame_type = header.frame_type;
    Fault {
        code: Code::FailedPrecondition,
        ..Fault::new(header.msg_id, format!("{frame_type} {when}"))
    }
}

fn unreadable(reason: &str) -> Outcome {
    Outcome::Error(ErrorText {
        code: Code::Internal,
        message: format!("the answer cannot be read: {reason}"),
    })
}

/// What came beside a message.
#[derive(Debug, Default)]
struct IncomingMetadata {
    /// What remains of the deadline.
    timeout: Option<Duration>,
    /// All else, where there is any.
    metadata: Option<Box<Metadata>>,
}

impl IncomingMetadata {
    fn read(metadata: Bytes, side: Side) -> Result<Self, String> {
        let mut metadata = read_metadata(metadata)?;
        if side == Side::Accepting {
            // Who a client is, is not for the client to say.
            metadata.identity = None;
        }
        let timeout = metadata.deadline_ms.take();
        Ok(Self {
            timeout: timeout.map(|milliseconds| Duration::from_millis(milliseconds.into())),
            metadata: (metadata != Metadata::default()).then(|| Box::new(metadata)),
        })
    }
}

fn read_metadata(metadata: Bytes) -> Result<Metadata, String> {
    Metadata::decode(metadata).map_err(|error| format!("malformed metadata: {error}"))
}
