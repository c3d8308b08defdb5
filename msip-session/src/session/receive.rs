//! Receiving: each frame is checked against the state, and becomes at most one event.

use std::time::Duration;

use bytes::Bytes;

use super::{
    CANCELS_PER_SECOND, Event, Fault, Item, Outcome, Phase, Session, StreamSide,
    fault_injection::FaultInjection,
    outbound::Ended,
    receive_message::{UNAGREED_COMPRESSION, beyond_credit, read_metadata},
    request::Priority,
};
use crate::wire::{
    Code, Credit, ErrorText, Flags, Frame, FrameType, Header, MAX_DETAILS, Metadata, MsgId,
    Payload, Side, split_error, write_pong,
};

/// How many PONGs wait to be written, at most.
const MAX_PONGS: u32 = 16;

/// Frames that end the connection, and yet come often.
const CONNECTION_ENDS: &str = "ERRORs and CLOSEs of a connection";

/// CREDITs that grant nothing that was sent.
const UNEARNED: &str = "CREDITs beyond one for each message";

impl Session {
    /// Handles one frame of any kind.
    ///
    /// # Errors
    ///
    /// [`Fault`] where the peer has broken the protocol: pass it to [`handle_fault`](Self::handle_fault), and end the
    /// connection.
    pub fn handle_frame(&mut self, frame: Frame, now: Duration) -> Result<Option<Event>, Fault> {
        match self.phase {
            Phase::Open => self.handle_open(frame, now),
            Phase::AwaitHello => self.handle_hello(frame).map(Some),
            Phase::AwaitWelcome { hello } => self.handle_welcome(hello, frame).map(Some),
            Phase::Deciding { .. } => Err(Fault::out_of_order(
                &frame.header,
                "before its HELLO was answered",
            )),
            Phase::Suspended | Phase::Over => Ok(None),
        }
    }

    fn handle_open(&mut self, frame: Frame, now: Duration) -> Result<Option<Event>, Fault> {
        let id = frame.header.msg_id;
        match (frame.header.frame_type, self.side) {
            (FrameType::Publish, Side::Accepting) | (FrameType::Event, Side::Connecting) => {
                self.handle_message(frame, now)
            }
            (FrameType::Ack, _) => self.handle_answer(frame, now),
            (FrameType::Error, _) if id.is_connection() => {
                // It ends the connection, so that one would do.
                self.limit(id, CONNECTION_ENDS, now)?;
                Ok(Some(Event::PeerFault(ErrorText::parse(&frame.payload))))
            }
            (FrameType::Error, _) => {
                let outcome = match self.read_error(frame) {
                    Ok((text, _)) if self.is_not_received(id, &text) => Outcome::NotReceived,
                    Ok((text, _)) if self.is_not_accepted(&text) => Outcome::NotAccepted,
                    Ok((text, metadata)) => Outcome::Error(text, metadata),
                    Err(reason) => unreadable(&reason),
                };
                self.answered(id, outcome, now)
            }
            (FrameType::Ping, _) => self.handle_ping(id, &frame.payload, now).map(|()| None),
            (FrameType::Pong, _) => self.handle_pong(id, frame.payload, now),
            (FrameType::Credit, _) => self.handle_credit(id, &frame.payload, now),
            (FrameType::Cancel, _) => self.handle_cancel(id, now),
            (FrameType::Close, _) => {
                if self.is_close_received {
                    self.limit(id, CONNECTION_ENDS, now)?;
                }
                let text = ErrorText::parse(&frame.payload);
                self.is_close_received = true;
                self.start_draining(now, &text.message);
                Ok(Some(Event::Closing(text)))
            }
            (FrameType::Subscribe | FrameType::Unsubscribe, Side::Accepting) => {
                self.handle_subscribe(frame, now)
            }
            (FrameType::Hello, Side::Accepting) => {
                Err(Fault::new(id, "a second HELLO on one connection"))
            }
            (
                frame_type @ (FrameType::Publish
                | FrameType::Event
                | FrameType::Subscribe
                | FrameType::Unsubscribe
                | FrameType::Hello),
                _,
            ) => Err(Fault::new(
                id,
                format!("{frame_type} in the wrong direction"),
            )),
        }
    }

    fn handle_answer(&mut self, frame: Frame, now: Duration) -> Result<Option<Event>, Fault> {
        let Header {
            flags,
            variant,
            payload_len,
            msg_id: id,
            ..
        } = frame.header;
        if flags.contains(Flags::MORE) {
            let accepted = self
                .outbound
                .streams_of(id)
                .and_then(|(key, _)| self.streams.accept(key, payload_len));
            match accepted {
                Some(true) => {}
                Some(false) => return Err(beyond_credit(id)),
                // It may be a stream where one answer was asked for: that ends the exchange, below.
                None if self.outbound.is_awaited(id) => {}
                None => return self.ignore_late(id, now).map(|()| None),
            }
        }
        let compressed = flags.contains(Flags::COMPRESSED);
        let payload = if compressed && !self.allows_compressed {
            Err(UNAGREED_COMPRESSION.to_owned())
        } else {
            Payload::parse(frame, &self.limits).map_err(|error| error.to_string())
        };
        let outcome = match payload {
            Ok(payload) if flags.contains(Flags::MORE) => {
                let token = self.outbound.streams_of(id).and_then(|(key, token)| {
                    self.streams.get(key)?.is_receiving().then_some(token)
                });
                let Some(token) = token else {
                    let outcome = unreadable("a stream, where one answer was asked for");
                    return self.answered(id, outcome, now);
                };
                let item = Item {
                    variant,
                    body: payload.body,
                    compressed,
                    payload_len,
                    metadata: None,
                };
                return Ok(Some(Event::Item { token, item }));
            }
            Ok(payload) => match self.read_answer_metadata(payload.metadata) {
                Ok(metadata) => Outcome::Answer {
                    variant,
                    body: payload.body,
                    compressed,
                    metadata,
                },
                Err(reason) => unreadable(&reason),
            },
            Err(reason) => unreadable(&reason),
        };
        self.answered(id, outcome, now)
    }

    /// Reads an ERROR that answers an exchange.
    fn read_error(&self, frame: Frame) -> Result<(ErrorText, Option<Box<Metadata>>), String> {
        if !self.allows_error_metadata {
            return Ok((ErrorText::parse(&frame.payload), None));
        }
        let (metadata, text) =
            split_error(frame.header.flags, frame.payload).map_err(|error| error.to_string())?;
        let metadata = self.read_answer_metadata(metadata)?;
        Ok((ErrorText::parse_long(&text), metadata))
    }

    /// Reads the metadata of an answer.
    fn read_answer_metadata(
        &self,
        metadata: Option<Bytes>,
    ) -> Result<Option<Box<Metadata>>, String> {
        let Some(metadata) = metadata else {
            return Ok(None);
        };
        let mut metadata = read_metadata(metadata)?;
        if self.side == Side::Accepting {
            // A client cannot assert an identity.
            metadata.identity = None;
        }
        // An empty one takes two bytes on the wire, and many more here.
        metadata.details.truncate(MAX_DETAILS);
        metadata.details.shrink_to_fit();
        Ok(Some(Box::new(metadata)))
    }

    fn answered(
        &mut self,
        id: MsgId,
        outcome: Outcome,
        now: Duration,
    ) -> Result<Option<Event>, Fault> {
        match self.outbound.answer(id, &mut self.streams) {
            Some(Ended::Awaited(token)) => {
                if id.is_delivery() {
                    self.last_answered = self.last_answered.max(id.sequence());
                }
                Ok(Some(Event::Answered { token, outcome }))
            }
            Some(Ended::Abandoned(slot)) => Ok(Some(Event::GivenUpEnded(slot))),
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
        self.limit_unwanted(id, now)?;
        if self.pong_count >= MAX_PONGS {
            self.ignored += 1;
            return Ok(());
        }
        self.pong_count += 1;
        self.outgoing
            .push_provoked(Priority::Urgent, |buffer| write_pong(buffer, id, payload));
        Ok(())
    }

    fn handle_pong(
        &mut self,
        id: MsgId,
        payload: Bytes,
        now: Duration,
    ) -> Result<Option<Event>, Fault> {
        if self.keepalive.ponged(id, now) {
            return Ok(None);
        }
        match self.outbound.pong(id) {
            Some(token) => Ok(Some(Event::Answered {
                token,
                outcome: Outcome::message(0, payload),
            })),
            None => self.ignore(id, now).map(|()| None),
        }
    }

    fn handle_credit(
        &mut self,
        id: MsgId,
        payload: &[u8],
        now: Duration,
    ) -> Result<Option<Event>, Fault> {
        let read = || Credit::parse(payload).map_err(|error| Fault::new(id, error.to_string()));
        if id.is_connection() {
            if self.send_window.uncredited() <= 0 {
                self.limit_unexpected(id, UNEARNED, now)?;
            }
            if !self.send_window.grant(read()?) {
                return Err(window_overflow(id));
            }
            self.last_credit = now;
            self.send_waiting(now);
            return Ok(Some(Event::Capacity));
        }
        let side = if id.chosen_by() == self.side {
            self.outbound.with_streams(id).map(StreamSide::Caller)
        } else {
            let call = self.inbound.awaited(id);
            // Its handler may not have begun yet: what is granted until then counts all the same.
            call.inspect(|&slot| self.begin_answers(slot))
                .map(StreamSide::Callee)
        };
        let stream = side.and_then(|side| Some((side, self.stream(side)?)));
        let Some((side, stream)) = stream else {
            if FaultInjection::CreditForClosedStream.is_on() {
                let _ = self.send_window.grant(read()?);
            }
            return self.ignore_late(id, now).map(|()| None);
        };
        let is_earned = stream.uncredited() > 0;
        if !stream.grant(read()?) {
            return Err(window_overflow(id));
        }
        if !is_earned {
            self.limit_unexpected(id, UNEARNED, now)?;
        }
        Ok(Some(Event::StreamCredit(side)))
    }
}

fn window_overflow(id: MsgId) -> Fault {
    Fault::new(id, "a CREDIT that makes the window larger than 4294967295")
}

fn unreadable(reason: &str) -> Outcome {
    let text = ErrorText {
        code: Code::Internal,
        message: format!("the answer cannot be read: {reason}"),
    };
    Outcome::Error(text, None)
}
