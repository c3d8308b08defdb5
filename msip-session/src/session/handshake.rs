//! The handshake: HELLO, and the answer to it (docs/protocol.md, "Handshake").

use std::{sync::Arc, time::Duration};

use super::{
    Config, Event, Fault, FaultKind, Phase, Session,
    frame_writer::{Prefix, write_frame},
    request::Priority,
    to_usize,
};
use crate::wire::{
    Code, DEFAULT_MAX_BODY, ErrorText, Flags, Frame, FrameType, Header, Hello, HelloError, MsgId,
    SessionId, Welcome, WelcomeError, parse_hello, parse_welcome, write_error, write_hello,
    write_welcome,
};

/// The extension of a side that ends every call that it has accepted with an ACK or ERROR, also one that was cancelled or
/// whose deadline has passed (docs/protocol.md, "Cancel").
const ENDS_CANCELLED: &str = "ends-cancelled";

impl Session {
    /// The connecting side of a new session. Its HELLO is queued.
    pub fn connecting(
        config: impl Into<Arc<Config>>,
        id: SessionId,
        hello: &Hello,
        now: Duration,
    ) -> Self {
        let mut session = Self::new(config.into(), now);
        let msg_id = session.outbound.next_id();
        session.push_hello(msg_id, id, hello);
        session
    }

    /// The accepting side of a connection, which waits for HELLO. The configuration takes less memory where sessions share it.
    pub fn accepting(config: impl Into<Arc<Config>>, now: Duration) -> Self {
        Self::new(config.into(), now)
    }

    /// The connecting side of a further connection of `self`, which is suspended: it makes the handshake.
    ///
    /// Drop it once the server has answered that it resumes the session, and call [`resume`](Self::resume) on `self`. If
    /// the server has begun another session instead, `self` is lost, and this takes its place.
    pub fn reconnecting(&mut self, id: SessionId, hello: &Hello, now: Duration) -> Self {
        let mut session = Self::new(Arc::clone(&self.config), now);
        let msg_id = self.outbound.next_id();
        // Where the server opens a new session instead, its ids go on from here.
        session.outbound.begin_after(msg_id);
        // The server may have opened that one already, and answer for these calls to a session that does not know them.
        session.outbound.allow_late(hello.awaited.len());
        session.push_hello(msg_id, id, hello);
        session
    }

    fn push_hello(&mut self, msg_id: MsgId, id: SessionId, hello: &Hello) {
        self.phase = Phase::AwaitWelcome { hello: msg_id };
        let mut hello = hello.clone();
        let name = ENDS_CANCELLED.to_owned();
        hello.extensions.entry(name).or_default();
        self.outgoing.push(Priority::Normal, |buffer| {
            let header = Header::control(FrameType::Hello, msg_id);
            write_frame(buffer, &header, Prefix::None, |buffer| {
                write_hello(buffer, id, &hello);
            });
        });
    }

    /// The message id of a HELLO that waits for [`welcome`](Self::welcome) or [`refuse`](Self::refuse).
    pub fn pending_hello(&self) -> Option<MsgId> {
        match self.phase {
            Phase::Deciding { hello } => Some(hello),
            _ => None,
        }
    }

    /// Accepts HELLO: the session is open. `peer_max_body` is the client's limit, 0 for the default.
    pub fn welcome(&mut self, id: SessionId, welcome: &Welcome, peer_max_body: u32) {
        if let Phase::Deciding { hello } = self.phase {
            self.push_welcome(hello, id, welcome);
            self.open(peer_max_body);
        }
    }

    /// Answers HELLO, ahead of everything: nothing may overtake the answer.
    pub(super) fn push_welcome(&mut self, hello: MsgId, id: SessionId, welcome: &Welcome) {
        let mut welcome = welcome.clone();
        let name = ENDS_CANCELLED.to_owned();
        welcome.extensions.entry(name).or_default();
        self.outgoing.push(Priority::Urgent, |buffer| {
            let header = Header::control(FrameType::Ack, hello);
            write_frame(buffer, &header, Prefix::None, |buffer| {
                write_welcome(buffer, id, &welcome);
            });
        });
    }

    /// Answers HELLO with an error: the session is over.
    pub fn refuse(&mut self, code: Code, message: &str) {
        let Phase::Deciding { hello } = self.phase else {
            return;
        };
        self.phase = Phase::Over;
        self.outgoing.push(Priority::Normal, |buffer| {
            write_error(buffer, Flags::NONE, hello, code, message);
        });
    }

    pub(super) fn open(&mut self, peer_max_body: u32) {
        // A peer that does not say accepts the default.
        self.peer_max_body = if peer_max_body == 0 {
            DEFAULT_MAX_BODY
        } else {
            to_usize(peer_max_body)
        };
        self.phase = Phase::Open;
    }

    pub(super) fn handle_hello(&mut self, frame: Frame) -> Result<Event, Fault> {
        let Header {
            frame_type,
            kind,
            msg_id,
            ..
        } = frame.header;
        if frame_type != FrameType::Hello {
            return Err(Fault::out_of_order(&frame.header, "before HELLO"));
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
        self.peer_ends_cancelled = hello.hello.extensions.contains_key(ENDS_CANCELLED);
        self.phase = Phase::Deciding { hello: msg_id };
        Ok(Event::Hello(Box::new(hello)))
    }

    pub(super) fn handle_welcome(&mut self, hello: MsgId, frame: Frame) -> Result<Event, Fault> {
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
                let extensions = &welcome.welcome.extensions;
                self.peer_ends_cancelled = extensions.contains_key(ENDS_CANCELLED);
                let max_calls = to_usize(welcome.welcome.max_open_calls);
                if max_calls > 0 {
                    self.outbound.set_max_calls(max_calls);
                }
                self.open(welcome.welcome.max_body);
                Ok(Event::Welcome(Box::new(welcome)))
            }
            _ => Err(Fault::out_of_order(
                &frame.header,
                "before the answer to HELLO",
            )),
        }
    }
}
