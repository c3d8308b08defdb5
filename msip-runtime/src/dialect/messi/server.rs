//! Messi on the side of a server: its foreign peer is a client.

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use msip_session::wire::{Code, Header, Hello, SessionId};

use super::{
    config::ServerConfig,
    exchanges::Exchanges,
    frame::{CLIENT_TO_SERVER, Head, PING, PONG, fault, write_frame},
};
use crate::dialect::{
    Dialect, DialectError, DialectProtocol, Output, Texts, session_peer::FromSession,
};

/// The server's end of one connection.
pub(crate) struct MessiServer {
    max_body: usize,
    silence: Duration,
    exchanges: Exchanges,
    /// When the client is cut off that has not pinged. Not while nothing is read of it.
    silent_at: Option<Duration>,
    /// Nothing more is read: the client has broken a rule, or the session has refused it.
    is_deaf: bool,
    is_shut_down: bool,
}

impl MessiServer {
    pub(crate) fn new(
        config: &ServerConfig,
        protocol: DialectProtocol,
        texts: Option<Arc<Texts>>,
        max_body: usize,
        client: (SessionId, Hello),
    ) -> Self {
        Self {
            max_body,
            silence: config.silence,
            exchanges: Exchanges::of_server(config.encoding.clone(), protocol, texts, client),
            silent_at: Some(config.silence),
            is_deaf: false,
            is_shut_down: false,
        }
    }

    fn try_handle_bytes(
        &mut self,
        input: &mut BytesMut,
        now: Duration,
        output: &mut Output,
    ) -> Result<(), DialectError> {
        while self.wants_bytes()
            && let Some(head) = Head::parse(input)
        {
            let frame_type = head.frame_type;
            if !matches!(frame_type, CLIENT_TO_SERVER | PING) {
                return Err(fault(format!(
                    "a client sends no frame of type {frame_type}"
                )));
            }
            let Some(payload) = head.take_payload(input, self.max_body)? else {
                break;
            };
            if frame_type == PING {
                self.silent_at = now.checked_add(self.silence);
                write_frame(&mut output.to_peer, PONG, &[]);
            } else {
                self.exchanges.receive(&payload, output)?;
            }
        }
        Ok(())
    }
}

impl Dialect for MessiServer {
    fn handle_start(&mut self, _: Duration, output: &mut Output) {
        self.exchanges.session.begin(output);
    }

    fn handle_frame(
        &mut self,
        header: &Header,
        payload: &[u8],
        now: Duration,
        output: &mut Output,
    ) -> Result<(), DialectError> {
        let was_reading = self.wants_bytes();
        match self.exchanges.handle_frame(header, payload, output)? {
            Some(FromSession::Ping { id, payload }) => {
                self.exchanges.session.pong(id, payload, output);
            }
            Some(FromSession::Refused) => self.is_deaf = true,
            _ => {}
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
            let session = &mut self.exchanges.session;
            session.close(Code::InvalidArgument, error.rule, output);
        }
        Ok(())
    }

    fn wants_bytes(&self) -> bool {
        self.exchanges.session.wants_more() && !self.is_deaf
    }

    fn is_over(&self) -> bool {
        self.is_shut_down || self.exchanges.is_over()
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
        Err(fault(format!(
            "no ping for {silence:?} (keepalive_timeout)"
        )))
    }
}
