//! Messi on the side of a server: its foreign peer is a client.

use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use msip_session::wire::{Code, Header, Hello, SessionId};

use super::{
    MAX_KEPT, TO_CLIENTS,
    config::ServerConfig,
    envelope::message_of,
    frame::{
        self, CLIENT_TO_SERVER, HEADER_LEN, Head, PING, PONG, SERVER_TO_CLIENT, fault, write_frame,
    },
    questions::Questions,
};
use crate::{
    body::Encoding,
    dialect::{
        Dialect, DialectError, DialectProtocol, Feature, Output,
        session_peer::{FromSession, Heard, SessionPeer},
    },
    protocol::Exchange,
};

/// The server's end of one connection.
pub(crate) struct MessiServer {
    protocol: DialectProtocol,
    encoding: Encoding,
    max_body: usize,
    silence: Duration,
    session: SessionPeer,
    /// What this side has asked, by the variant that answers it.
    questions: Questions,
    /// When the client is cut off that has not pinged. Not while nothing is read of it.
    silent_at: Option<Duration>,
    /// Nothing more is read: the client has broken a rule, or this side closes.
    is_deaf: bool,
    is_shut_down: bool,
}

impl MessiServer {
    pub(crate) fn new(
        config: &ServerConfig,
        protocol: DialectProtocol,
        max_body: usize,
        (session_id, hello): (SessionId, Hello),
    ) -> Self {
        Self {
            protocol,
            encoding: config.encoding.clone(),
            max_body,
            silence: config.silence,
            session: SessionPeer::client(&TO_CLIENTS, session_id, hello, MAX_KEPT),
            questions: Questions::default(),
            silent_at: Some(config.silence),
            is_deaf: false,
            is_shut_down: false,
        }
    }

    /// Handles a frame of the client.
    fn receive(
        &mut self,
        frame_type: u8,
        payload: Bytes,
        now: Duration,
        output: &mut Output,
    ) -> Result<(), DialectError> {
        if frame_type == PING {
            self.silent_at = now.checked_add(self.silence);
            write_frame(&mut output.to_peer, PONG, &[]);
            return Ok(());
        }
        let table = &self.protocol.client_to_server;
        let Some(variant) = message_of(table, &self.encoding, &payload)? else {
            return Ok(());
        };
        let heard = Heard {
            variant: variant.number(),
            kind: variant.kind(),
            body: &payload,
        };
        match variant.exchange() {
            Exchange::Answer => match self.questions.take(variant.number()) {
                Some(id) => self.session.answer(id, heard.variant, heard.body, output),
                None => {
                    tracing::debug!(message = variant.name(), "an answer that nobody asked for")
                }
            },
            Exchange::OneWay | Exchange::Acknowledged => self.session.give_message(heard, output),
            Exchange::Call { .. } if variant.has_streams() => {
                let refused = TO_CLIENTS.refusal(Feature::Streams);
                tracing::warn!(message = variant.name(), %refused, "a message is ignored");
            }
            Exchange::Call { response, .. } => {
                self.session.give_call(heard, Some(response), output);
            }
        }
        Ok(())
    }

    fn try_handle_bytes(
        &mut self,
        input: &mut BytesMut,
        now: Duration,
        output: &mut Output,
    ) -> Result<(), DialectError> {
        while self.wants_bytes() {
            let Some(head) = Head::parse(input) else {
                return Ok(());
            };
            let Head { frame_type, len } = head;
            if !matches!(frame_type, CLIENT_TO_SERVER | PING) {
                return Err(fault(format!(
                    "a client sends no frame of type {frame_type}"
                )));
            }
            head.check_len(self.max_body)?;
            if input.len() < HEADER_LEN.saturating_add(len) {
                return Ok(());
            }
            input.advance(HEADER_LEN);
            let payload = input.split_to(len).freeze();
            self.receive(frame_type, payload, now, output)?;
        }
        Ok(())
    }
}

impl Dialect for MessiServer {
    fn handle_start(&mut self, _: Duration, output: &mut Output) {
        self.session.begin(output);
    }

    fn handle_frame(
        &mut self,
        header: &Header,
        payload: &[u8],
        now: Duration,
        output: &mut Output,
    ) -> Result<(), DialectError> {
        let was_reading = self.wants_bytes();
        match self.session.receive(header, payload, output)? {
            Some(FromSession::Message(said)) => {
                write_frame(&mut output.to_peer, SERVER_TO_CLIENT, said.body);
            }
            Some(FromSession::Answer { body, .. }) => {
                write_frame(&mut output.to_peer, SERVER_TO_CLIENT, body);
            }
            Some(FromSession::Call(id, said)) => {
                let asked = self.protocol.server_to_client.get(said.variant);
                match asked.map(crate::Variant::exchange) {
                    Some(Exchange::Call { response, .. }) => {
                        self.questions.push(response, id)?;
                        write_frame(&mut output.to_peer, SERVER_TO_CLIENT, said.body);
                    }
                    _ => self.session.refuse(id, Feature::Calls, output),
                }
            }
            Some(FromSession::Failed { error, .. }) => {
                let (code, text) = (error.code, &error.message);
                tracing::info!(%code, text, "a client of Messi is not answered: its dialect has no errors");
            }
            Some(FromSession::Ping { id, payload }) => self.session.pong(id, payload, output),
            Some(FromSession::Refused(_)) => self.is_deaf = true,
            // A server answers no HELLO of its own session, and Messi says nothing at a close.
            Some(
                FromSession::Hello { .. }
                | FromSession::Opened { .. }
                | FromSession::Cancelled(_)
                | FromSession::Closing(_),
            )
            | None => {}
        }
        if !was_reading && self.wants_bytes() {
            // It could not ping.
            self.silent_at = now.checked_add(self.silence);
        }
        Ok(())
    }

    fn handle_bytes(
        &mut self,
        input: &mut BytesMut,
        now: Duration,
        output: &mut Output,
    ) -> Result<(), DialectError> {
        if let Err(error) = self.try_handle_bytes(input, now, output) {
            // What came before it is served, and answered.
            self.is_deaf = true;
            input.clear();
            self.silent_at = now.checked_add(self.silence);
            self.session
                .close(Code::InvalidArgument, error.rule, output);
        }
        Ok(())
    }

    fn wants_bytes(&self) -> bool {
        self.session.wants_more() && !self.is_deaf
    }

    fn is_over(&self) -> bool {
        self.is_shut_down || (self.session.is_over() && self.questions.is_empty())
    }

    fn handle_shutdown(&mut self, _: Duration, _: &mut Output) {
        self.is_shut_down = true;
    }

    fn poll_timeout(&self) -> Option<Duration> {
        self.silent_at
            .filter(|_| self.wants_bytes() || self.is_deaf)
    }

    fn handle_timeout(&mut self, _: Duration, _: &mut Output) -> Result<(), DialectError> {
        self.silent_at = None;
        let silence = self.silence;
        Err(frame::fault(format!(
            "no ping for {silence:?} (keepalive_timeout)"
        )))
    }
}
