//! Messi on the side of a client: its foreign peer is a server.

use std::{collections::VecDeque, time::Duration};

use bytes::{Buf as _, Bytes, BytesMut};
use msip_session::wire::{Header, MsgId};

use super::{
    MAX_KEPT, TO_SERVERS,
    config::ClientConfig,
    envelope::message_of,
    frame::{
        CLIENT_TO_SERVER, HEADER_LEN, Head, MAX_PAYLOAD, PING, PONG, SERVER_TO_CLIENT, fault,
        write_frame,
    },
    questions::Questions,
};
use crate::{
    dialect::{
        Dialect, DialectError, DialectProtocol, Feature, Output,
        session_peer::{FromSession, Heard, SessionPeer},
    },
    protocol::Exchange,
};

/// The client's end of one connection.
pub(crate) struct MessiClient {
    config: ClientConfig,
    protocol: DialectProtocol,
    max_body: usize,
    session: SessionPeer,
    /// What this side has asked, by the variant that answers it.
    questions: Questions,
    /// When it pings next.
    ping_at: Option<Duration>,
    /// Until when a pong has to come.
    pong_until: Option<Duration>,
    /// The pings that no pong has answered; with the id and payload of the session's own.
    pings: VecDeque<Option<(MsgId, Vec<u8>)>>,
    is_shut_down: bool,
}

impl MessiClient {
    pub(crate) fn new(config: &ClientConfig, protocol: DialectProtocol, max_body: usize) -> Self {
        Self {
            config: config.clone(),
            protocol,
            max_body,
            session: SessionPeer::server(&TO_SERVERS, MAX_KEPT),
            questions: Questions::default(),
            ping_at: Some(config.interval),
            pong_until: None,
            pings: VecDeque::new(),
            is_shut_down: false,
        }
    }

    fn ping(&mut self, of_session: Option<(MsgId, Vec<u8>)>, now: Duration, output: &mut Output) {
        write_frame(&mut output.to_peer, PING, &[]);
        self.pings.push_back(of_session);
        if self.pong_until.is_none() {
            self.pong_until = now.checked_add(self.config.pong_timeout);
        }
    }

    /// A pong carries nothing: it answers any ping.
    fn pong(&mut self, output: &mut Output) {
        self.pong_until = None;
        if let Some(Some((id, payload))) = self.pings.pop_front() {
            self.session.pong(id, &payload, output);
        }
    }

    /// Handles a message of the server.
    fn receive(&mut self, payload: &Bytes, output: &mut Output) -> Result<(), DialectError> {
        let table = &self.protocol.server_to_client;
        let Some(variant) = message_of(table, &self.config.encoding, payload)? else {
            return Ok(());
        };
        let heard = Heard {
            variant: variant.number(),
            kind: variant.kind(),
            body: payload,
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
                let refused = TO_SERVERS.refusal(Feature::Streams);
                tracing::warn!(message = variant.name(), %refused, "a message is ignored");
            }
            Exchange::Call { response, .. } => {
                self.session.give_call(heard, Some(response), output);
            }
        }
        Ok(())
    }
}

impl Dialect for MessiClient {
    fn handle_frame(
        &mut self,
        header: &Header,
        payload: &[u8],
        now: Duration,
        output: &mut Output,
    ) -> Result<(), DialectError> {
        let was_reading = self.wants_bytes();
        match self.session.receive(header, payload, output)? {
            // The server says nothing: it is there once it is connected.
            Some(FromSession::Hello { .. }) => self.session.welcome(MAX_PAYLOAD, output),
            Some(FromSession::Message(said)) => {
                write_frame(&mut output.to_peer, CLIENT_TO_SERVER, said.body);
            }
            Some(FromSession::Answer { body, .. }) => {
                write_frame(&mut output.to_peer, CLIENT_TO_SERVER, body);
            }
            Some(FromSession::Call(id, said)) => {
                let asked = self.protocol.client_to_server.get(said.variant);
                match asked.map(crate::Variant::exchange) {
                    Some(Exchange::Call { response, .. }) => {
                        self.questions.push(response, id)?;
                        write_frame(&mut output.to_peer, CLIENT_TO_SERVER, said.body);
                    }
                    _ => self.session.refuse(id, Feature::Calls, output),
                }
            }
            Some(FromSession::Failed { error, .. }) => {
                let (code, text) = (error.code, &error.message);
                tracing::info!(%code, text, "a server of Messi is not answered: its dialect has no errors");
            }
            // While nothing is read, no pong could come, and the server is not dead for that.
            Some(FromSession::Ping { id, payload }) if !self.wants_bytes() => {
                self.session.pong(id, payload, output);
            }
            Some(FromSession::Ping { id, payload }) => {
                self.ping(Some((id, payload.to_vec())), now, output);
            }
            // A server's session alone opens, and Messi says nothing at a close.
            Some(
                FromSession::Opened { .. }
                | FromSession::Refused(_)
                | FromSession::Cancelled(_)
                | FromSession::Closing(_),
            )
            | None => {}
        }
        if !was_reading && self.wants_bytes() && self.pong_until.is_some() {
            // It could not be read.
            self.pong_until = now.checked_add(self.config.pong_timeout);
        }
        Ok(())
    }

    fn handle_bytes(
        &mut self,
        input: &mut BytesMut,
        _: Duration,
        output: &mut Output,
    ) -> Result<(), DialectError> {
        while self.wants_bytes() {
            let Some(head) = Head::parse(input) else {
                return Ok(());
            };
            let Head { frame_type, len } = head;
            head.check_len(self.max_body)?;
            if input.len() < HEADER_LEN.saturating_add(len) {
                return Ok(());
            }
            input.advance(HEADER_LEN);
            let payload = input.split_to(len).freeze();
            match frame_type {
                SERVER_TO_CLIENT => self.receive(&payload, output)?,
                PONG => self.pong(output),
                // As Messi's clients do.
                _ => tracing::debug!(frame_type, "a frame of an unknown type is ignored"),
            }
        }
        Ok(())
    }

    fn wants_bytes(&self) -> bool {
        self.session.wants_more()
    }

    fn is_over(&self) -> bool {
        self.is_shut_down || (self.session.is_over() && self.questions.is_empty())
    }

    fn handle_shutdown(&mut self, _: Duration, _: &mut Output) {
        self.is_shut_down = true;
    }

    fn poll_timeout(&self) -> Option<Duration> {
        let pong_until = self.pong_until.filter(|_| self.wants_bytes());
        [self.ping_at, pong_until].into_iter().flatten().min()
    }

    fn handle_timeout(&mut self, now: Duration, output: &mut Output) -> Result<(), DialectError> {
        if self.wants_bytes() && self.pong_until.is_some_and(|until| until <= now) {
            self.pong_until = None;
            let timeout = self.config.pong_timeout;
            return Err(fault(format!(
                "no pong for {timeout:?} (keepalive_timeout)"
            )));
        }
        if self.ping_at.is_some_and(|at| at <= now) {
            self.ping_at = now.checked_add(self.config.interval);
            // One that nothing was read of has pings enough.
            if self.wants_bytes() {
                self.ping(None, now, output);
            }
        }
        Ok(())
    }
}
