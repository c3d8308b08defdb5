//! Subscriptions: SUBSCRIBE and UNSUBSCRIBE, as a client sends and a broker receives them (docs/protocol.md, "Subscribe").
//!
//! A subscription belongs to its session. What a lost connection has left unanswered is sent again on the next one, before
//! any message.

use std::time::Duration;

use super::{
    Blocked, Event, Fault, Phase, Session, Slot, Token,
    close::NOT_ACCEPTED,
    fault_injection::FaultInjection,
    outbound::Opening,
    outgoing::Position,
    request::{Priority, urgency},
    subscribe_request::{SubscribeReply, SubscribeRequest},
    to_usize,
    token_bucket::TokenBucket,
};
use crate::{
    MsgKind,
    wire::{
        Code, ErrorRef, Flags, Frame, FrameType, Header, Limits, MsgId, PayloadError, Subscribe,
        SubscribeFrame, Topic, begin_frame, finish_frame, parse_subscribe, write_error,
        write_subscribe,
    },
};

/// How many SUBSCRIBEs and UNSUBSCRIBEs are accepted from a peer at once, and how many a second: a client that begins a new
/// session makes all of its subscriptions again.
const SUBSCRIBE_BURST: u32 = 20_000;
const SUBSCRIBES_PER_SECOND: u32 = 2000;

/// How many of them wait for their answers, and how many bytes they have together, at most.
const MAX_UNANSWERED: usize = 16 * 1024;
const MAX_UNANSWERED_LEN: usize = 4 * 1024 * 1024;

/// A SUBSCRIBE or an UNSUBSCRIBE, as a driver describes it.
#[derive(Debug, Clone, Copy)]
pub struct SubscribeHead<'a> {
    /// Whether a subscription is revoked, rather than made.
    pub is_unsubscribe: bool,
    /// STATE; COMMAND where a service gives a grant to clients, or withdraws it.
    pub kind: MsgKind,
    /// The topic, or a filter of topics.
    pub topic: &'a Topic,
    /// What is said besides, if anything.
    pub subscribe: Option<&'a Subscribe>,
}

/// How often a peer may ask.
pub(super) type SubscribeRate = TokenBucket<SUBSCRIBE_BURST, SUBSCRIBES_PER_SECOND>;

/// What the peer has asked and that is not answered, and how often it may ask.
#[derive(Debug)]
pub(super) struct SubscribeIntake {
    rate: SubscribeRate,
    unanswered: usize,
    unanswered_len: usize,
}

impl SubscribeIntake {
    pub(super) fn new(now: Duration) -> Self {
        Self::with_rate(TokenBucket::new(now))
    }

    pub(super) const fn is_idle(&self) -> bool {
        self.unanswered == 0
    }

    /// One of which nothing is unanswered.
    pub(super) const fn with_rate(rate: SubscribeRate) -> Self {
        Self {
            rate,
            unanswered: 0,
            unanswered_len: 0,
        }
    }

    /// How often the peer may ask.
    pub(super) fn into_rate(self) -> SubscribeRate {
        self.rate
    }
}

/// The side that subscribes.
impl Session {
    /// Sends a SUBSCRIBE or an UNSUBSCRIBE, which is acknowledged or refused. It times out at `deadline`; `Duration::MAX` is
    /// never. Where its connection is lost first it is sent again by the session's next one, before any message.
    ///
    /// # Errors
    ///
    /// [`Blocked`] says why it was not taken.
    pub fn subscribe(
        &mut self,
        head: &SubscribeHead<'_>,
        token: Token,
        deadline: Duration,
    ) -> Result<Slot, Blocked> {
        self.check_capacity(false)?;
        self.push_subscribe(head, token, deadline)
    }

    /// Makes a subscription of an earlier session again, without a deadline and however much is queued: call it before
    /// anything is sent.
    ///
    /// # Errors
    ///
    /// [`Blocked`] where the session is closing, or too many exchanges are open.
    pub fn restore(&mut self, head: &SubscribeHead<'_>, token: Token) -> Result<Slot, Blocked> {
        self.check_open()?;
        self.push_subscribe(head, token, Duration::MAX)
    }

    fn push_subscribe(
        &mut self,
        head: &SubscribeHead<'_>,
        token: Token,
        deadline: Duration,
    ) -> Result<Slot, Blocked> {
        if !self.outbound.has_slot() {
            return Err(Blocked::NoCapacity);
        }
        let vacant = self.outbound.vacant_subscription();
        let mut frame = Vec::new();
        if head.write(vacant.id(), &mut frame).is_err() {
            // Its writer has compared it with the same limit.
            debug_assert!(false, "a Subscribe of more than 8 KiB");
        }
        let position = if self.phase == Phase::Suspended {
            Position::NONE
        } else {
            self.outgoing.push(Priority::Normal, |buffer| {
                buffer.extend_from_slice(&frame);
            })
        };
        let opening = Opening {
            variant: 0,
            token,
            is_urgent: false,
            caller: 0,
            deadline,
            position,
            kept: if self.is_kept { frame } else { Vec::new() },
        };
        Ok(vacant.insert(opening, None))
    }

    /// Sends again what a lost connection has left unanswered.
    pub(super) fn resubscribe(&mut self) {
        if FaultInjection::ForgetSubscribe.is_on() {
            return;
        }
        for id in self.outbound.subscriptions() {
            let Some((frame, was_sent)) = self.outbound.kept(id) else {
                continue;
            };
            let position = self.outgoing.push(Priority::Normal, |buffer| {
                buffer.extend_from_slice(frame);
            });
            if was_sent {
                // Its first answer may be under way already; then the second one answers nothing.
                self.outbound.allow_late(1);
            }
            self.outbound.set_position(id, position);
        }
    }
}

impl SubscribeHead<'_> {
    /// The longest encoded [`Subscribe`], in bytes.
    pub const MAX_SUBSCRIBE_LEN: u16 = 8 * 1024;

    /// Appends the whole frame.
    fn write(&self, id: MsgId, buffer: &mut Vec<u8>) -> Result<(), PayloadError> {
        let frame_type = if self.is_unsubscribe {
            FrameType::Unsubscribe
        } else {
            FrameType::Subscribe
        };
        let flags = match self.subscribe {
            Some(_) => Flags::ACK_REQUIRED.union(Flags::META),
            None => Flags::ACK_REQUIRED,
        };
        let header = Header {
            flags,
            kind: self.kind.into(),
            ..Header::control(frame_type, id)
        };
        let mark = begin_frame(buffer, &header);
        let written = write_subscribe(buffer, self.subscribe, self.topic, Self::MAX_SUBSCRIBE_LEN);
        let finished = finish_frame(buffer, mark);
        debug_assert!(finished.is_ok(), "a SUBSCRIBE of more than 4 GiB");
        written
    }
}

/// The side that is subscribed to.
impl Session {
    /// Accepts SUBSCRIBE and UNSUBSCRIBE from here on, and messages with topics: what is above the session routes them. Of the
    /// accepting side.
    pub fn allow_subscribe(&mut self, now: Duration) {
        self.allows_topics = true;
        self.subscribe_intake
            .get_or_insert_with(|| Box::new(SubscribeIntake::new(now)));
    }

    /// Handles a SUBSCRIBE or an UNSUBSCRIBE.
    pub(super) fn handle_subscribe(
        &mut self,
        frame: Frame,
        now: Duration,
    ) -> Result<Option<Event>, Fault> {
        let header = frame.header;
        let Header {
            flags, msg_id: id, ..
        } = header;
        let Some(intake) = &mut self.subscribe_intake else {
            self.limit_unwanted(id, now)?;
            self.reject(
                &header,
                Code::Unimplemented,
                "topics need a broker, and this is a direct connection",
            );
            return Ok(None);
        };
        let wants_ack = flags.contains(Flags::ACK_REQUIRED);
        check_id(&header, id.chosen_by() == self.side)?;
        if !intake.rate.take(now) {
            let rule = format!("more than {SUBSCRIBES_PER_SECOND} SUBSCRIBEs a second");
            return Err(Fault::exhausted(id, rule));
        }
        let payload_len = to_usize(header.payload_len);
        if intake.unanswered >= MAX_UNANSWERED
            || intake.unanswered_len.saturating_add(payload_len) > MAX_UNANSWERED_LEN
        {
            let reason = format!("more than {MAX_UNANSWERED} SUBSCRIBEs wait for their answers");
            self.refuse_subscribe(&header, Code::ResourceExhausted, &reason);
            return Ok(None);
        }
        if self.refuses_requests() {
            self.refuse_subscribe(&header, NOT_ACCEPTED.0, NOT_ACCEPTED.1);
            return Ok(None);
        }
        if let Err(short) = self.check_memory(payload_len) {
            self.refuse_subscribe(&header, Code::ResourceExhausted, &short.to_string());
            return Ok(None);
        }
        let kind = match header.kind.known() {
            Ok(kind) => kind,
            Err(error) => {
                return self.refuse_malformed(&header, &error.to_string(), now);
            }
        };
        let SubscribeFrame { subscribe, topic } =
            match parse_subscribe(flags, frame.payload, &self.limits) {
                Ok(parsed) => parsed,
                Err(error) => return self.refuse_malformed(&header, &error.to_string(), now),
            };
        if let Some(intake) = &mut self.subscribe_intake {
            intake.unanswered += 1;
            intake.unanswered_len += payload_len;
        }
        Ok(Some(Event::Subscribe(Box::new(SubscribeRequest {
            is_unsubscribe: header.frame_type == FrameType::Unsubscribe,
            kind,
            topic,
            subscribe,
            reply: SubscribeReply {
                id,
                connection: self.connection,
                urgent: flags.contains(Flags::URGENT),
                wants_ack,
                payload_len,
            },
        }))))
    }

    /// Answers a SUBSCRIBE or an UNSUBSCRIBE, with the body of the acknowledgment. An error is answered also where no
    /// acknowledgment was asked for.
    ///
    /// Where its connection is gone the client asks again, and is answered then.
    pub fn answer_subscribe(
        &mut self,
        reply: SubscribeReply,
        outcome: Result<&[u8], ErrorRef<'_>>,
    ) {
        if let Some(intake) = &mut self.subscribe_intake {
            intake.unanswered = intake.unanswered.saturating_sub(1);
            intake.unanswered_len = intake.unanswered_len.saturating_sub(reply.payload_len);
        }
        let SubscribeReply {
            id,
            urgent,
            wants_ack,
            ..
        } = reply;
        let is_silent = outcome.is_ok() && !wants_ack;
        if self.phase != Phase::Open
            || reply.connection != self.connection
            || is_silent
            || id.is_connection()
        {
            return;
        }
        match outcome {
            Ok(body) => self
                .outgoing
                .push_response(Priority::new(urgent), |buffer| {
                    let header = Header {
                        flags: urgency(urgent),
                        ..Header::control(FrameType::Ack, id)
                    };
                    let mark = begin_frame(buffer, &header);
                    buffer.extend_from_slice(body);
                    let finished = finish_frame(buffer, mark);
                    debug_assert!(finished.is_ok(), "an ACK of more than 4 GiB");
                }),
            Err(error) => self.push_error(id, urgent, error),
        }
    }

    /// Answers a request that cannot be read.
    fn refuse_malformed(
        &mut self,
        header: &Header,
        reason: &str,
        now: Duration,
    ) -> Result<Option<Event>, Fault> {
        self.ignore(header.msg_id, now)?;
        self.refuse_subscribe(header, Code::InvalidArgument, reason);
        Ok(None)
    }

    fn refuse_subscribe(&mut self, header: &Header, code: Code, reason: &str) {
        let id = header.msg_id;
        if id.is_connection() {
            // An ERROR with id 0 would mean that the connection ends.
            return;
        }
        let urgent = header.flags.contains(Flags::URGENT);
        self.outgoing
            .push_provoked(Priority::new(urgent), |buffer| {
                write_error(buffer, urgency(urgent), id, code, reason);
            });
    }
}

/// Checks the message id of a SUBSCRIBE or an UNSUBSCRIBE.
fn check_id(header: &Header, is_ours: bool) -> Result<(), Fault> {
    let Header {
        flags,
        frame_type,
        msg_id: id,
        ..
    } = *header;
    let rule = if is_ours {
        format!("message id {id} is one that only the other side chooses")
    } else if id.is_delivery() {
        format!("{frame_type} under the message id of a delivery")
    } else if id.sequence() == 0 && flags.contains(Flags::ACK_REQUIRED) {
        "message id 0 on a message that is to be answered".to_owned()
    } else {
        return Ok(());
    };
    Err(Fault::new(id, rule))
}

const _: () = assert!(SubscribeHead::MAX_SUBSCRIBE_LEN as u32 + 255 < Limits::MAX_CONTROL);
