//! Messi on the side of a client: its foreign peer is a server.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::BytesMut;
use msip_session::wire::{Header, MsgId};

use super::{
    config::ClientConfig,
    exchanges::Exchanges,
    frame::{Head, MAX_PAYLOAD, PING, PONG, SERVER_TO_CLIENT, fault, write_frame},
};
use crate::dialect::{
    Dialect, DialectError, DialectProtocol, Output, Texts, session_peer::FromSession,
};

/// The client's end of one connection.
pub(crate) struct MessiClient {
    config: ClientConfig,
    max_body: usize,
    exchanges: Exchanges,
    /// When it pings next.
    ping_at: Option<Duration>,
    /// Until when a pong has to come.
    pong_until: Option<Duration>,
    /// The pings that no pong has answered; with the id and payload of the session's own.
    pings: VecDeque<Option<(MsgId, Vec<u8>)>>,
    is_shut_down: bool,
}

impl MessiClient {
    pub(crate) fn new(
        config: &ClientConfig,
        protocol: DialectProtocol,
        texts: Option<Arc<Texts>>,
        max_body: usize,
    ) -> Self {
        Self {
            config: config.clone(),
            max_body,
            exchanges: Exchanges::of_client(config.encoding.clone(), protocol, texts),
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
            self.exchanges.session.pong(id, &payload, output);
        }
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
        match self.exchanges.handle_frame(header, payload, output)? {
            // The server says nothing: it is there once it is connected.
            Some(FromSession::Hello) => self.exchanges.session.welcome(MAX_PAYLOAD, output),
            // While nothing is read, no pong could come, and the server is not dead for that.
            Some(FromSession::Ping { id, payload }) if !self.wants_bytes() => {
                self.exchanges.session.pong(id, payload, output);
            }
            Some(FromSession::Ping { id, payload }) => {
                self.ping(Some((id, payload.to_vec())), now, output);
            }
            _ => {}
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
        while self.wants_bytes()
            && let Some(head) = Head::parse(input)
            && let Some(payload) = head.take_payload(input, self.max_body)?
        {
            match head.frame_type {
                SERVER_TO_CLIENT => self.exchanges.receive(&payload, output)?,
                PONG => self.pong(output),
                // As Messi's clients do.
                frame_type => {
                    tracing::debug!(frame_type, "a frame of an unknown type is ignored");
                }
            }
        }
        Ok(())
    }

    fn wants_bytes(&self) -> bool {
        self.exchanges.session.wants_more()
    }

    fn is_over(&self) -> bool {
        self.is_shut_down || self.exchanges.is_over()
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
