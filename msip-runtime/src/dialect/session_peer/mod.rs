//! The peer that the session of this side expects, as a dialect plays it: HELLO and Welcome, ids, credit, open calls, CLOSE.
//!
//! A dialect of a server [plays a client](SessionPeer::client), one of a client [plays a server](SessionPeer::server). It passes on
//! each frame of the session by [`receive`](SessionPeer::receive), and says what its foreign peer says by
//! [`give_message`](SessionPeer::give_message), [`give_call`](SessionPeer::give_call), [`answer`](SessionPeer::answer) and
//! [`fail`](SessionPeer::fail).

mod credit;
mod kept;

use std::{collections::HashMap, time::Duration};

use bytes::{Buf as _, Bytes};
use msip_session::{
    MsgKind,
    wire::{
        Code, Credit, ErrorText, Flags, FrameType, Header, Hello, Metadata, MsgId, SessionId, Side,
        Welcome, begin_frame, finish_frame, parse_hello, parse_welcome, write_close, write_credit,
        write_error, write_hello, write_pong, write_welcome,
    },
};
use prost::Message as _;

use super::{Carries, DialectError, Feature, Output};
use credit::{AHEAD, Earned, Window};
use kept::{Kept, KeptMessages};

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
    calls: HashMap<MsgId, Option<u16>>,
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

struct Greeting {
    hello: MsgId,
    session_id: SessionId,
    fingerprint: u64,
    codec: i32,
}

/// What a frame of the session is for the dialect.
#[derive(Debug, PartialEq)]
pub(super) enum FromSession<'a> {
    /// A client's session has said HELLO: [`SessionPeer::welcome`] answers it. No larger body may be given to it.
    Hello { max_body: usize },
    /// A server's session is open. It takes no larger body than this.
    Opened { max_body: usize },
    /// A server's session has refused HELLO.
    Refused(ErrorText),
    /// A message that nobody answers.
    Message(Said<'a>),
    /// A call: [`SessionPeer::answer`] or [`SessionPeer::fail`] ends it.
    Call(MsgId, Said<'a>),
    /// The answer to a call that was given to the session.
    Answer {
        id: MsgId,
        variant: u16,
        body: &'a [u8],
    },
    /// A call that was given to the session has failed.
    Failed { id: MsgId, error: ErrorText },
    /// The session no longer waits for the answer to its call. One that comes all the same is ignored.
    Cancelled(MsgId),
    /// [`SessionPeer::pong`] answers it.
    Ping { id: MsgId, payload: &'a [u8] },
    /// The session begins to close: it says nothing more but answers.
    Closing(ErrorText),
}

/// A message of the session.
#[derive(Debug, PartialEq)]
pub(super) struct Said<'a> {
    pub(super) variant: u16,
    pub(super) kind: MsgKind,
    /// How long the session waits for the answer, where that is not what the schema says.
    pub(super) deadline: Option<Duration>,
    /// The envelope.
    pub(super) body: &'a [u8],
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
        if let State::Client(greeting) = &self.state {
            let output = &mut output.to_session;
            let mark = begin_frame(output, &Header::control(FrameType::Hello, id));
            write_hello(output, greeting.0, &greeting.1);
            // A Hello is short.
            let _ = finish_frame(output, mark);
        }
    }

    /// A server answers HELLO: the foreign peer is there, and takes no larger body than this.
    pub(super) fn welcome(&mut self, max_body: u32, output: &mut Output) {
        let State::Greeted(greeting) = std::mem::replace(&mut self.state, State::Open) else {
            return;
        };
        let welcome = Welcome {
            // Nobody tells what the other side has.
            fingerprint: greeting.fingerprint,
            codec: greeting.codec,
            max_body,
            server_name: self.carries.dialect.to_owned(),
            ..Welcome::default()
        };
        let to_session = &mut output.to_session;
        let mark = begin_frame(to_session, &Header::control(FrameType::Ack, greeting.hello));
        write_welcome(to_session, greeting.session_id, &welcome);
        // A Welcome is short.
        let _ = finish_frame(to_session, mark);
        grant(AHEAD, output);
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
            FrameType::Hello => Some(self.hello(header, payload)?),
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
            FrameType::Cancel => Some(FromSession::Cancelled(id)),
            FrameType::Ping => Some(FromSession::Ping { id, payload }),
            FrameType::Close => {
                self.is_closing = true;
                // What the session does not begin any more.
                self.kept.clear();
                Some(FromSession::Closing(ErrorText::parse(payload)))
            }
            FrameType::Subscribe | FrameType::Unsubscribe => {
                self.refuse(id, Feature::Topics, output);
                None
            }
            // PONGs of PINGs that are never sent, and CREDIT of streams.
            _ => None,
        })
    }

    fn hello<'a>(
        &mut self,
        header: &Header,
        payload: &[u8],
    ) -> Result<FromSession<'a>, DialectError> {
        let hello = parse_hello(header.kind, Bytes::copy_from_slice(payload))
            .map_err(|error| self.fault(error.to_string()))?;
        self.state = State::Greeted(Box::new(Greeting {
            hello: header.msg_id,
            session_id: hello.session_id,
            fingerprint: hello.hello.fingerprint,
            codec: hello.hello.codecs.first().copied().unwrap_or(1),
        }));
        Ok(FromSession::Hello {
            max_body: to_usize(hello.hello.max_body),
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
        if !asks && self.earned.add(header.payload_len) {
            grant(self.earned.take(), output);
        }
        let (metadata, rest) = split_metadata(flags, payload)?;
        let (_topic, body) = after_length(rest)?;
        let deadline = Metadata::decode(metadata).unwrap_or_default().deadline_ms;
        let said = Said {
            variant: header.variant,
            kind: header.kind.known().unwrap_or(MsgKind::Event),
            deadline: deadline.map(|ms| Duration::from_millis(ms.into())),
            body,
        };
        Some(if asks {
            FromSession::Call(id, said)
        } else {
            FromSession::Message(said)
        })
    }

    fn acknowledged<'a>(
        &mut self,
        header: &Header,
        payload: &'a [u8],
        output: &mut Output,
    ) -> Result<Option<FromSession<'a>>, DialectError> {
        let id = header.msg_id;
        if let State::Client(greeting) = &self.state {
            let welcome = parse_welcome(Bytes::copy_from_slice(payload));
            let welcome = welcome.map_err(|error| self.fault(error.to_string()))?;
            debug_assert_eq!(welcome.session_id, greeting.0);
            if welcome.welcome.max_open_calls > 0 {
                self.max_calls = to_usize(welcome.welcome.max_open_calls);
            }
            self.state = State::Open;
            grant(AHEAD, output);
            self.give_kept(output);
            let max_body = to_usize(welcome.welcome.max_body);
            return Ok(Some(FromSession::Opened { max_body }));
        }
        if !self.end_call(id, output) {
            return Ok(None);
        }
        let Some((_, body)) = split_metadata(header.flags, payload) else {
            return Ok(None);
        };
        let variant = header.variant;
        Ok(Some(FromSession::Answer { id, variant, body }))
    }

    fn failed<'a>(
        &mut self,
        header: &Header,
        payload: &[u8],
        output: &mut Output,
    ) -> Option<FromSession<'a>> {
        let error = ErrorText::parse(payload);
        if let State::Client(_) = &self.state {
            self.state = State::Closed;
            return Some(FromSession::Refused(error));
        }
        let id = header.msg_id;
        self.end_call(id, output)
            .then_some(FromSession::Failed { id, error })
    }

    /// A message of the foreign peer, which nobody answers.
    pub(super) fn give_message(&mut self, heard: Heard<'_>, output: &mut Output) {
        let header = self.header(heard);
        self.give(Kept::message(header, heard.body), output);
    }

    /// A call of the foreign peer. Of several that take the same turn, the next is given once the one before was answered.
    pub(super) fn give_call(
        &mut self,
        heard: Heard<'_>,
        turn: Option<u16>,
        output: &mut Output,
    ) -> MsgId {
        let header = Header {
            flags: Flags::ACK_REQUIRED,
            ..self.header(heard)
        };
        let id = header.msg_id;
        self.give(Kept::call(header, turn, heard.body), output);
        id
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
            let may_begin = match message.call_turn() {
                Some((_, turn)) => self.may_call(turn),
                None => self.window.is_open(),
            };
            if !may_begin {
                return;
            }
            match message.call_turn() {
                Some((id, turn)) => {
                    self.calls.insert(id, turn);
                }
                None => self.window.spend(message.payload_len()),
            }
            self.kept.pop(&mut output.to_session);
        }
        if let Some((code, text)) = self.goodbye.take() {
            self.state = State::Closed;
            write_close(&mut output.to_session, code, &text);
        }
    }

    fn may_call(&self, turn: Option<u16>) -> bool {
        let is_taken = turn.is_some() && self.calls.values().any(|other| *other == turn);
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

    /// Fails a call of the session.
    pub(super) fn fail(&self, id: MsgId, code: Code, text: &str, output: &mut Output) {
        write_error(&mut output.to_session, Flags::NONE, id, code, text);
    }

    /// Refuses a frame of the session by the name of what the dialect lacks.
    pub(super) fn refuse(&self, id: MsgId, lacking: Feature, output: &mut Output) {
        let text = self.carries.refusal(lacking).to_string();
        self.fail(id, Code::Unimplemented, &text, output);
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

    fn fault(&self, rule: String) -> DialectError {
        DialectError {
            dialect: self.carries.dialect,
            rule,
        }
    }
}

fn grant(credit: Credit, output: &mut Output) {
    let id = MsgId::CONNECTION;
    write_credit(&mut output.to_session, Flags::NONE, id, credit);
}

fn to_usize(len: u32) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

/// The encoded metadata in front of a payload, and the rest.
fn split_metadata(flags: Flags, payload: &[u8]) -> Option<(&[u8], &[u8])> {
    if flags.contains(Flags::META) {
        after_length(payload)
    } else {
        Some((&[], payload))
    }
}

/// A part that follows its length, and what comes after it.
fn after_length(mut bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = bytes.try_get_u16().ok()?;
    bytes.split_at_checked(usize::from(len))
}

#[cfg(test)]
mod tests;
