//! The peer that the session of this side expects, as a dialect plays it: HELLO and Welcome, ids, credit, open calls, CLOSE.
//!
//! A dialect of a server [plays a client](SessionPeer::client), one of a client [plays a server](SessionPeer::server). It passes on
//! each frame of the session by [`receive`](SessionPeer::receive), and says what its foreign peer says by
//! [`give_message`](SessionPeer::give_message), [`give_call`](SessionPeer::give_call) and [`answer`](SessionPeer::answer).

mod kept;

use std::collections::HashMap;

use bytes::Bytes;
use msip_session::{
    MsgKind,
    wire::{
        Code, Credit, ErrorText, Flags, FrameType, Header, Hello, MsgId, SessionId, Side,
        begin_frame, finish_frame, parse_welcome, write_close, write_error, write_pong,
    },
};

use super::{
    Carries, DialectError, Feature, Output,
    credit::{Earned, Window, grant},
    greeting::{Greeting, say_hello},
    payload::{after_metadata, topic_and_body},
};
use kept::{Kept, KeptMessages};

/// What a session is granted beyond the window that it begins with, once it is open. A foreign peer grants nothing: what waits for it is
/// bounded by the session's `outgoing_queue`, in bytes, and a burst within that is not to be held up by its number of messages.
const AHEAD: Credit = Credit {
    items: 1 << 24,
    bytes: 1 << 30,
};

/// What the other end of the session is taken for.
pub(super) struct SessionPeer {
    carries: &'static Carries,
    plays: Side,
    state: State,
    /// The number of the next exchange of the foreign peer.
    next: u64,
    /// What the session allows the foreign peer to send.
    window: Window,
    /// What the session gets back for what it has sent.
    earned: Earned,
    /// What the session has no credit for, and calls that have to wait.
    kept: KeptMessages,
    /// The calls of the foreign peer that the session has not answered, and whose turn each takes.
    calls: HashMap<MsgId, u16>,
    max_calls: usize,
    /// The session says nothing more, and begins no call of the foreign peer.
    is_closing: bool,
    /// Why the foreign peer says nothing more, once all of it was given.
    goodbye: Option<(Code, String)>,
}

enum State {
    /// A client that has not said HELLO, or has and is not answered.
    Client(Box<(SessionId, Hello)>),
    /// A server that has heard none.
    Server,
    /// One that has, and has not answered.
    Greeted(Box<Greeting>),
    Open,
    Closed,
}

/// What a frame of the session is for the dialect.
#[derive(Debug, PartialEq)]
pub(super) enum FromSession<'a> {
    /// A client's session has said HELLO: [`SessionPeer::welcome`] answers it.
    Hello,
    /// A server's session has refused HELLO.
    Refused,
    /// The envelope of a message that nobody answers.
    Message(&'a [u8]),
    /// A call, and its envelope: [`SessionPeer::answer`] ends it.
    Call {
        id: MsgId,
        variant: u16,
        body: &'a [u8],
    },
    /// The envelope that answers a call which was given to the session.
    Answer(&'a [u8]),
    /// A call that was given to the session has failed.
    Failed(ErrorText),
    /// [`SessionPeer::pong`] answers it.
    Ping { id: MsgId, payload: &'a [u8] },
}

/// A message of the foreign peer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heard<'a> {
    pub(super) variant: u16,
    pub(super) kind: MsgKind,
    /// The envelope.
    pub(super) body: &'a [u8],
}

impl SessionPeer {
    /// A client, which says `hello` in [`begin`](Self::begin). Beyond the credit of the session `max_kept` bytes are kept.
    pub(super) fn client(
        carries: &'static Carries,
        session_id: SessionId,
        hello: Hello,
        max_kept: usize,
    ) -> Self {
        let state = State::Client(Box::new((session_id, hello)));
        Self::new(carries, Side::Connecting, state, max_kept)
    }

    /// A server, which waits for HELLO.
    pub(super) fn server(carries: &'static Carries, max_kept: usize) -> Self {
        Self::new(carries, Side::Accepting, State::Server, max_kept)
    }

    fn new(carries: &'static Carries, plays: Side, state: State, max_kept: usize) -> Self {
        Self {
            carries,
            plays,
            state,
            next: 1,
            window: Window::default(),
            earned: Earned::default(),
            kept: KeptMessages::new(max_kept),
            calls: HashMap::new(),
            max_calls: usize::MAX,
            is_closing: false,
            goodbye: None,
        }
    }

    /// A client says HELLO. For [`Dialect::handle_start`](super::Dialect::handle_start).
    pub(super) fn begin(&mut self, output: &mut Output) {
        let id = self.next_id();
        if let State::Client(client) = &self.state {
            say_hello(id, client, &mut output.to_session);
        }
    }

    /// A server answers HELLO: the foreign peer is there, and takes no larger body than this.
    pub(super) fn welcome(&mut self, max_body: u32, output: &mut Output) {
        let State::Greeted(mut greeting) = std::mem::replace(&mut self.state, State::Open) else {
            return;
        };
        greeting.welcome.max_body = max_body;
        greeting.answer(&mut output.to_session);
        grant(AHEAD, &mut output.to_session);
        self.give_kept(output);
    }

    /// Handles a frame of the session. `None` where it is no matter of the dialect.
    ///
    /// # Errors
    ///
    /// The session cannot be talked to.
    pub(super) fn receive<'a>(
        &mut self,
        header: &Header,
        payload: &'a [u8],
        output: &mut Output,
    ) -> Result<Option<FromSession<'a>>, DialectError> {
        let id = header.msg_id;
        Ok(match header.frame_type {
            FrameType::Hello => {
                let greeting = Greeting::of(self.carries.dialect, header, payload)?;
                self.state = State::Greeted(Box::new(greeting));
                Some(FromSession::Hello)
            }
            FrameType::Publish | FrameType::Event => self.said(header, payload, output),
            FrameType::Ack => self.acknowledged(header, payload, output)?,
            FrameType::Error => self.failed(header, payload, output),
            FrameType::Credit if id.is_connection() => {
                if let Ok(credit) = Credit::parse(payload) {
                    self.window.add(credit);
                    self.give_kept(output);
                }
                None
            }
            FrameType::Ping => Some(FromSession::Ping { id, payload }),
            FrameType::Close => {
                self.is_closing = true;
                // What the session does not begin any more.
                self.kept.clear();
                None
            }
            FrameType::Subscribe | FrameType::Unsubscribe => {
                self.refuse(id, Feature::Topics, output);
                None
            }
            // CANCEL: an answer that comes all the same is ignored; PONGs of PINGs that are never sent, and CREDIT of streams.
            _ => None,
        })
    }

    fn said<'a>(
        &mut self,
        header: &Header,
        payload: &'a [u8],
        output: &mut Output,
    ) -> Option<FromSession<'a>> {
        let (id, flags) = (header.msg_id, header.flags);
        let asks = flags.contains(Flags::ACK_REQUIRED);
        let lacking = if flags.contains(Flags::MORE) || flags.contains(Flags::ITEM) {
            Some(Feature::Streams)
        } else {
            (asks && id.is_delivery()).then_some(Feature::Acknowledgments)
        };
        if let Some(lacking) = lacking {
            // The runtime refuses it before: this is for what finds its way here all the same.
            self.refuse(id, lacking, output);
            return None;
        }
        if !asks {
            self.earned.add(header.payload_len);
            if self.earned.is_due() {
                self.earned.grant(&mut output.to_session);
            }
        }
        let (_topic, body) = topic_and_body(flags, payload)?;
        let variant = header.variant;
        Some(if asks {
            FromSession::Call { id, variant, body }
        } else {
            FromSession::Message(body)
        })
    }

    fn acknowledged<'a>(
        &mut self,
        header: &Header,
        payload: &'a [u8],
        output: &mut Output,
    ) -> Result<Option<FromSession<'a>>, DialectError> {
        if let State::Client(client) = &self.state {
            let welcome = parse_welcome(Bytes::copy_from_slice(payload));
            let welcome = welcome.map_err(|error| DialectError {
                dialect: self.carries.dialect,
                rule: error.to_string(),
            })?;
            debug_assert_eq!(welcome.session_id, client.0);
            if welcome.welcome.max_open_calls > 0 {
                self.max_calls =
                    usize::try_from(welcome.welcome.max_open_calls).unwrap_or(usize::MAX);
            }
            self.state = State::Open;
            grant(AHEAD, &mut output.to_session);
            self.give_kept(output);
            return Ok(None);
        }
        let was_open = self.end_call(header.msg_id, output);
        let body = after_metadata(header.flags, payload).filter(|_| was_open);
        Ok(body.map(FromSession::Answer))
    }

    fn failed<'a>(
        &mut self,
        header: &Header,
        payload: &[u8],
        output: &mut Output,
    ) -> Option<FromSession<'a>> {
        if let State::Client(_) = &self.state {
            self.state = State::Closed;
            return Some(FromSession::Refused);
        }
        self.end_call(header.msg_id, output)
            .then(|| FromSession::Failed(ErrorText::parse(payload)))
    }

    /// A message of the foreign peer, which nobody answers.
    pub(super) fn give_message(&mut self, heard: Heard<'_>, output: &mut Output) {
        let header = self.header(heard);
        self.give(Kept::message(header, heard.body), output);
    }

    /// A call of the foreign peer. Of several that take the same turn, the next is given once the one before was answered.
    pub(super) fn give_call(&mut self, heard: Heard<'_>, turn: u16, output: &mut Output) {
        let header = Header {
            flags: Flags::ACK_REQUIRED,
            ..self.header(heard)
        };
        self.give(Kept::call(header, turn, heard.body), output);
    }

    fn header(&mut self, heard: Heard<'_>) -> Header {
        let frame_type = match self.plays {
            Side::Connecting => FrameType::Publish,
            Side::Accepting => FrameType::Event,
        };
        Header {
            kind: heard.kind.into(),
            variant: heard.variant,
            ..Header::control(frame_type, self.next_id())
        }
    }

    fn give(&mut self, message: Kept, output: &mut Output) {
        if !self.is_closing {
            self.kept.push(message);
            self.give_kept(output);
        }
    }

    /// Gives the session what it may be given now, in the order in which it came.
    fn give_kept(&mut self, output: &mut Output) {
        if !matches!(self.state, State::Open) {
            return;
        }
        while let Some(message) = self.kept.first() {
            match message.call_turn() {
                Some((id, turn)) if self.may_call(turn) => {
                    self.calls.insert(id, turn);
                }
                None if self.window.is_open() => self.window.spend(message.payload_len()),
                _ => return,
            }
            self.kept.pop(&mut output.to_session);
        }
        if let Some((code, text)) = self.goodbye.take() {
            self.state = State::Closed;
            write_close(&mut output.to_session, code, &text);
        }
    }

    fn may_call(&self, turn: u16) -> bool {
        let is_taken = self.calls.values().any(|other| *other == turn);
        !is_taken && self.calls.len() < self.max_calls
    }

    /// A call of the foreign peer has its outcome. Whether it was open.
    fn end_call(&mut self, id: MsgId, output: &mut Output) -> bool {
        let was_open = self.calls.remove(&id).is_some();
        if was_open {
            self.give_kept(output);
        }
        was_open
    }

    /// Answers a call of the session.
    pub(super) fn answer(&self, id: MsgId, variant: u16, body: &[u8], output: &mut Output) {
        let header = Header {
            variant,
            ..Header::control(FrameType::Ack, id)
        };
        let mark = begin_frame(&mut output.to_session, &header);
        output.to_session.extend_from_slice(body);
        // A message of the foreign peer is shorter than 4 GiB.
        let _ = finish_frame(&mut output.to_session, mark);
    }

    /// Refuses a frame of the session by the name of what the dialect lacks.
    pub(super) fn refuse(&self, id: MsgId, lacking: Feature, output: &mut Output) {
        let text = self.carries.refusal(lacking).to_string();
        let (code, output) = (Code::Unimplemented, &mut output.to_session);
        write_error(output, Flags::NONE, id, code, &text);
    }

    /// Answers a PING of the session.
    pub(super) fn pong(&self, id: MsgId, payload: &[u8], output: &mut Output) {
        write_pong(&mut output.to_session, id, payload);
    }

    /// The foreign peer says nothing more: the session answers what it was given, and closes.
    pub(super) fn close(&mut self, code: Code, text: String, output: &mut Output) {
        if !matches!(self.state, State::Closed) {
            self.goodbye = Some((code, text));
            self.give_kept(output);
        }
    }

    /// Whether more of the foreign peer can be given.
    pub(super) fn wants_more(&self) -> bool {
        !self.kept.is_full()
    }

    /// Whether the session has closed, and has answered all that it was given.
    pub(super) fn is_over(&self) -> bool {
        self.is_closing && self.calls.is_empty()
    }

    fn next_id(&mut self) -> MsgId {
        let id = MsgId::exchange(self.plays, self.next);
        self.next = self.next.saturating_add(1);
        id
    }
}

#[cfg(test)]
mod tests;
