//! What the broker says.

use std::mem;

use msip_session::{
    MsgKind,
    wire::{
        Code, ErrorText, Flags, FrameType, MsgId, RawHeader, SessionId, write_ack, write_close,
        write_error, write_pong,
    },
};

use super::{
    super::{DialectError, Output, greeting::Greeting, payload::after_length},
    MipClient, State, events,
    frame::fault,
};

impl MipClient {
    /// Handles a frame of the broker.
    pub(super) fn receive(
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
            self.last_error = Some(format!("{code}: {message}"));
        }
    }

    fn refuse_hello(&mut self, hello: MsgId, code: Code, text: &str, output: &mut Output) {
        self.state = State::Closed;
        write_error(&mut output.to_session, Flags::NONE, hello, code, text);
    }

    /// A broker says CLOSE for a reason that is not the client's to know: it is to come back.
    fn closed_by_broker(&mut self, output: &mut Output) {
        let state = mem::replace(&mut self.state, State::Closed);
        let text = match self.last_error.take() {
            Some(last_error) => format!("the MIP broker closes the connection after {last_error}"),
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
}
