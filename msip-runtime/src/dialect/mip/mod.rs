//! The MIP dialect, on the side of a client (docs/protocol.md, "The MIP dialect").
//!
//! MIP has topics, one-way messages and their acknowledgments, and nothing else. Each PUBLISH is acknowledged, so that the
//! acknowledgments are also the credit that the session gets back.

mod events;
mod frame;

use std::{collections::VecDeque, mem, time::Duration};

use bytes::{Bytes, BytesMut};
use msip_session::{
    MsgKind,
    wire::{
        Code, Credit, ErrorText, Flags, FrameType, HEADER_LEN, Header, MsgId, RawHeader, SessionId,
        write_ack, write_close, write_error, write_pong,
    },
};

use super::{
    Carries, Dialect, DialectError, Feature, Output,
    carries::has_wildcards,
    credit::Earned,
    greeting::Greeting,
    payload::{after_length, topic_and_body},
};
use events::Events;
use frame::{ACK_REQUIRED, fault, write_frame};

/// What MIP lacks.
pub(super) static CARRIES: Carries = Carries {
    dialect: NAME,
    lacks: &[
        Feature::Calls,
        Feature::Streams,
        Feature::Headers,
        Feature::CorrelationIds,
        Feature::Idempotency,
        Feature::Keys,
        Feature::Groups,
        Feature::Wildcards,
        Feature::Grants,
        Feature::SubscribedProtocols,
        Feature::PingPayloads,
        Feature::Endpoints,
        Feature::Credentials,
        Feature::Channels,
        Feature::Compression,
        Feature::Codecs,
    ],
};

const NAME: &str = "MIP";

/// What one connection is for.
#[derive(Debug, Clone)]
pub(super) struct MipConfig {
    /// Where messages go that name no topic.
    pub(super) topic: Bytes,
    /// The bodies are envelopes of a schema, of the one topic, which is subscribed to before the session begins.
    pub(super) is_typed: bool,
    /// The largest body that is accepted.
    pub(super) max_body: usize,
    /// A random number. The ids of what this connection sends are distinguished by it from those of all others, and no other client
    /// can name its session.
    pub(super) mask: u64,
}

/// The MIP client of one connection.
#[derive(Debug)]
pub(super) struct MipClient {
    config: MipConfig,
    state: State,
    /// What was published and not acknowledged: its id, and the length of its payload by which it took credit. Their number is
    /// bounded by the credit.
    published: VecDeque<(MsgId, u32)>,
    /// What was subscribed to, or unsubscribed from, and not answered.
    asked: VecDeque<MsgId>,
    /// How far the ids of either class of messages have come.
    newest: MsgId,
    newest_delivery: MsgId,
    events: Events,
    /// What the session gets back.
    earned: Earned,
    /// The session has said CLOSE, which waits until all is answered: MIP answers nothing after it.
    is_closing: bool,
    /// What the broker has said last without answering anything that is awaited.
    complaint: Option<String>,
}

#[derive(Debug)]
enum State {
    /// The session has not said HELLO.
    New,
    /// The broker has not answered it.
    Greeting(Greeting),
    /// It has, and not the subscription of the topic.
    Subscribing(Greeting),
    Open,
    /// Either side has said CLOSE.
    Closed,
}

impl MipClient {
    pub(super) fn new(config: MipConfig) -> Self {
        let max_body = config.max_body;
        Self {
            config,
            state: State::New,
            published: VecDeque::new(),
            asked: VecDeque::new(),
            newest: MsgId::CONNECTION,
            newest_delivery: MsgId::CONNECTION,
            events: Events::new(max_body),
            earned: Earned::default(),
            is_closing: false,
            complaint: None,
        }
    }

    /// An id of this side as the broker hears it.
    const fn masked(&self, id: MsgId) -> u64 {
        id.number() ^ self.config.mask
    }

    /// The id of this side that the broker names.
    const fn unmasked(&self, number: u64) -> MsgId {
        MsgId::new(number ^ self.config.mask)
    }

    /// Whether this connection has published a message under this id.
    fn is_own(&self, number: u64) -> bool {
        let id = self.unmasked(number);
        let newest = if id.is_delivery() {
            self.newest_delivery
        } else {
            self.newest
        };
        !id.is_chosen_by_acceptor() && id.sequence() != 0 && id <= newest
    }

    fn send(
        &self,
        request: FrameType,
        kind: MsgKind,
        id: MsgId,
        payload: &[u8],
        output: &mut Output,
    ) {
        let header = RawHeader {
            flags: match request {
                FrameType::Subscribe | FrameType::Unsubscribe => ACK_REQUIRED,
                _ => 0,
            },
            kind: kind.number(),
            ..RawHeader::new(request, self.masked(id))
        };
        write_frame(&mut output.to_peer, header, &[payload]);
    }

    /// The session begins: so does one of MIP, always a new one.
    fn hello(
        &mut self,
        header: &Header,
        payload: &[u8],
        output: &mut Output,
    ) -> Result<(), DialectError> {
        let mut greeting = Greeting::of(NAME, header, payload)?;
        // A topic is the session's where it has subscribed to it by itself.
        greeting.welcome.broker = !self.config.is_typed;
        self.state = State::Greeting(greeting);
        self.send(FrameType::Hello, MsgKind::Event, header.msg_id, &[], output);
        Ok(())
    }

    fn publish(&mut self, header: &Header, payload: &[u8], output: &mut Output) {
        let id = header.msg_id;
        let flags = header.flags;
        let is_call = flags.contains(Flags::ACK_REQUIRED) && !id.is_delivery();
        if is_call || flags.contains(Flags::MORE) || flags.contains(Flags::ITEM) {
            // The runtime refuses it before: this is for what finds its way here all the same.
            return refuse(id, Feature::Calls, output);
        }
        let Some((topic, body)) = topic_and_body(flags, payload) else {
            return;
        };
        let topic = if topic.is_empty() {
            &self.config.topic
        } else {
            topic
        };
        // A topic of a URL or a message has 255 bytes at most.
        let topic_len = u16::try_from(topic.len()).unwrap_or_default().to_be_bytes();
        let urgent = flags.bits() & Flags::URGENT.bits();
        let publish = RawHeader {
            flags: ACK_REQUIRED | urgent,
            kind: header.kind.number(),
            ..RawHeader::new(FrameType::Publish, self.masked(id))
        };
        write_frame(&mut output.to_peer, publish, &[&topic_len, topic, body]);
        self.published.push_back((id, header.payload_len));
        if id.is_delivery() {
            self.newest_delivery = self.newest_delivery.max(id);
        } else {
            self.newest = self.newest.max(id);
        }
    }

    fn subscribe(&mut self, header: &Header, payload: &[u8], output: &mut Output) {
        let id = header.msg_id;
        let filter = str::from_utf8(payload).unwrap_or_default();
        let lacking = if header.kind.known() == Ok(MsgKind::Command) {
            Some(Feature::Grants)
        } else if header.flags.contains(Flags::META) {
            Some(Feature::Groups)
        } else {
            has_wildcards(filter).then_some(Feature::Wildcards)
        };
        if let Some(lacking) = lacking {
            return refuse(id, lacking, output);
        }
        self.asked.push_back(id);
        self.send(header.frame_type, MsgKind::Event, id, payload, output);
    }

    /// Says CLOSE, once nothing is left that the broker has to answer.
    fn close_if_done(&mut self, output: &mut Output) {
        if self.is_closing && self.published.is_empty() && self.asked.is_empty() {
            self.close(output);
        }
    }

    fn close(&mut self, output: &mut Output) {
        if !matches!(self.state, State::New | State::Closed) {
            self.state = State::Closed;
            let header = RawHeader {
                kind: MsgKind::State.number(),
                ..RawHeader::new(FrameType::Close, 0)
            };
            write_frame(&mut output.to_peer, header, &[]);
        }
    }

    /// Handles a frame of the broker.
    fn receive(
        &mut self,
        header: &RawHeader,
        payload: &[u8],
        output: &mut Output,
    ) -> Result<(), DialectError> {
        match FrameType::from_number(header.frame_type) {
            Some(FrameType::Ack) => self.acknowledged(header.msg_id, payload, output),
            Some(FrameType::Error) => {
                self.failed(header.msg_id, payload, output);
                Ok(())
            }
            Some(FrameType::Event) => self.event(header, payload, output),
            Some(FrameType::Pong) => {
                if matches!(self.state, State::Open) {
                    write_pong(&mut output.to_session, self.unmasked(header.msg_id), &[]);
                }
                Ok(())
            }
            Some(FrameType::Close) => {
                self.closed_by_broker(output);
                Ok(())
            }
            // A broker pings nobody, and a client has no answer to one that does.
            Some(FrameType::Ping) => Ok(()),
            Some(other) => Err(fault(format!(
                "{other} comes from a client, and not from a broker"
            ))),
            None => {
                let number = header.frame_type;
                Err(fault(format!("unknown frame_type {number}")))
            }
        }
    }

    fn acknowledged(
        &mut self,
        number: u64,
        payload: &[u8],
        output: &mut Output,
    ) -> Result<(), DialectError> {
        let id = self.unmasked(number);
        if let State::Greeting(greeting) = &self.state
            && greeting.hello == id
        {
            let greeting = greeting.clone();
            return self.greeted(greeting, payload, output);
        }
        if let State::Subscribing(greeting) = &self.state
            && id == MsgId::CONNECTION
        {
            let greeting = greeting.clone();
            self.open(&greeting, output);
        } else if self.answered(id) && id.is_delivery() || self.take_asked(id) {
            write_ack(&mut output.to_session, Flags::NONE, id);
        }
        // Any other is of an exchange that has ended.
        Ok(())
    }

    /// The broker has answered HELLO.
    fn greeted(
        &mut self,
        mut greeting: Greeting,
        payload: &[u8],
        output: &mut Output,
    ) -> Result<(), DialectError> {
        let Ok(session) = <[u8; SessionId::LEN]>::try_from(payload) else {
            let len = payload.len();
            let text = format!("the answer to HELLO has {len} bytes: a session's number has 8");
            return Err(fault(text));
        };
        // Who knows the number itself could claim the session.
        greeting.welcome.peer_id = u64::from_be_bytes(session) ^ greeting.session_id.number();
        if self.config.is_typed {
            let topic = self.config.topic.clone();
            let (subscribe, kind) = (FrameType::Subscribe, MsgKind::Event);
            self.send(subscribe, kind, MsgId::CONNECTION, &topic, output);
            self.state = State::Subscribing(greeting);
        } else {
            self.open(&greeting, output);
        }
        Ok(())
    }

    /// The session is there.
    fn open(&mut self, greeting: &Greeting, output: &mut Output) {
        self.state = State::Open;
        greeting.answer(&mut output.to_session);
        self.events.open(&mut output.to_session);
    }

    /// Takes a message out of those that wait for their acknowledgment. They come in the order of the messages.
    fn answered(&mut self, id: MsgId) -> bool {
        let place = self.published.iter().position(|(sent, _)| *sent == id);
        let Some((_, len)) = place.and_then(|place| self.published.remove(place)) else {
            return false;
        };
        self.earned.add(len);
        true
    }

    fn take_asked(&mut self, id: MsgId) -> bool {
        let place = self.asked.iter().position(|asked| *asked == id);
        place.and_then(|place| self.asked.remove(place)).is_some()
    }

    fn failed(&mut self, number: u64, payload: &[u8], output: &mut Output) {
        let id = self.unmasked(number);
        let ErrorText { code, message } = ErrorText::parse(payload);
        match &self.state {
            State::Greeting(greeting) => {
                let hello = greeting.hello;
                return self.refuse_hello(hello, code, &message, output);
            }
            State::Subscribing(greeting) => {
                let hello = greeting.hello;
                let topic = String::from_utf8_lossy(&self.config.topic);
                let text = format!("cannot subscribe to {topic:?}: {message}");
                return self.refuse_hello(hello, code, &text, output);
            }
            State::New | State::Closed => return,
            State::Open => {}
        }
        if self.answered(id) {
            if id.is_delivery() {
                write_error(&mut output.to_session, Flags::NONE, id, code, &message);
            } else {
                tracing::debug!(%code, message, "the broker refused a message that nobody waits for");
            }
        } else if self.take_asked(id) {
            write_error(&mut output.to_session, Flags::NONE, id, code, &message);
        } else {
            self.complaint = Some(format!("{code}: {message}"));
        }
    }

    fn refuse_hello(&mut self, hello: MsgId, code: Code, text: &str, output: &mut Output) {
        self.state = State::Closed;
        write_error(&mut output.to_session, Flags::NONE, hello, code, text);
    }

    /// A broker says CLOSE for a reason that is not the client's to know: it is to come back.
    fn closed_by_broker(&mut self, output: &mut Output) {
        let state = mem::replace(&mut self.state, State::Closed);
        let text = match self.complaint.take() {
            Some(complaint) => format!("the MIP broker closes the connection after {complaint}"),
            None => "the MIP broker closes the connection".to_owned(),
        };
        match state {
            State::Greeting(greeting) | State::Subscribing(greeting) => {
                self.refuse_hello(greeting.hello, Code::Unavailable, &text, output);
            }
            State::Open => write_close(&mut output.to_session, Code::Unavailable, &text),
            State::New | State::Closed => {}
        }
    }

    fn event(
        &mut self,
        header: &RawHeader,
        payload: &[u8],
        output: &mut Output,
    ) -> Result<(), DialectError> {
        let (topic, body) = after_length(payload)
            .ok_or_else(|| fault("an EVENT whose topic reaches beyond it".to_owned()))?;
        if body.len() > self.config.max_body {
            let (len, max) = (body.len(), self.config.max_body);
            return Err(fault(format!(
                "an EVENT with a body of {len} bytes: {max} are allowed (max_body)"
            )));
        }
        let output = &mut output.to_session;
        if !self.config.is_typed {
            self.events.push(header, 0, topic, body, output);
        } else if *topic == *self.config.topic && !self.is_own(header.msg_id) {
            self.events
                .push(header, events::member_of(body), &[], body, output);
        }
        Ok(())
    }
}

/// Answers a frame of the session that has no translation.
fn refuse(id: MsgId, feature: Feature, output: &mut Output) {
    let text = CARRIES.refusal(feature).to_string();
    let (code, output) = (Code::Unimplemented, &mut output.to_session);
    write_error(output, Flags::NONE, id, code, &text);
}

impl Dialect for MipClient {
    fn handle_frame(
        &mut self,
        header: &Header,
        payload: &[u8],
        _: Duration,
        output: &mut Output,
    ) -> Result<(), DialectError> {
        match (header.frame_type, &self.state) {
            (FrameType::Hello, State::New) => self.hello(header, payload, output)?,
            (FrameType::Credit, _) if header.msg_id.is_connection() => {
                if let Ok(credit) = Credit::parse(payload) {
                    self.events.grant(credit, &mut output.to_session);
                }
            }
            (FrameType::Publish, State::Open) => self.publish(header, payload, output),
            (FrameType::Subscribe | FrameType::Unsubscribe, State::Open) => {
                self.subscribe(header, payload, output);
            }
            // While nothing is read, the answer could not come, and the broker is not dead for that.
            (FrameType::Ping, State::Open) if !self.wants_bytes() => {
                write_pong(&mut output.to_session, header.msg_id, payload);
            }
            (FrameType::Ping, State::Open) => {
                self.send(FrameType::Ping, MsgKind::Event, header.msg_id, &[], output);
            }
            (FrameType::Close, _) => {
                self.is_closing = true;
                self.close_if_done(output);
            }
            // What MIP has no place for and nobody waits for: answers to EVENTs, which ask for none, CREDIT and CANCEL of calls.
            _ => {}
        }
        Ok(())
    }

    fn handle_bytes(
        &mut self,
        input: &mut BytesMut,
        _: Duration,
        output: &mut Output,
    ) -> Result<(), DialectError> {
        let mut outcome = Ok(());
        while outcome.is_ok() && self.wants_bytes() {
            let header = match frame::whole(input, self.config.max_body) {
                Ok(Some(header)) => header,
                Ok(None) => break,
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            };
            let len =
                HEADER_LEN.saturating_add(header.payload_len.try_into().unwrap_or(usize::MAX));
            let frame = input.split_to(len);
            let payload = frame.get(HEADER_LEN..).unwrap_or_default();
            outcome = self.receive(&header, payload, output);
        }
        self.earned.grant(&mut output.to_session);
        self.close_if_done(output);
        outcome
    }

    fn wants_bytes(&self) -> bool {
        !self.events.is_full()
    }

    fn handle_shutdown(&mut self, _: Duration, output: &mut Output) {
        self.close(output);
    }
}

#[cfg(test)]
mod tests;
