//! The FlyRPC dialect (docs/dialects.md, "FlyRPC").
//!
//! FlyRPC has requests that are named by a text, and their responses: a payload, or another text, which is an error. Both
//! sides ask, and are alike. It has no greeting and no goodbye, so that the session's are answered here.
//!
//! It does not use `dialect/session_peer`, which would need a second way of nearly all that it does: messages of the peer are
//! deliveries here, whose acknowledgments are its responses, and the session gets its credit back by the responses of the peer.

mod codes;
mod config;
mod error_code;
mod from_peer;
mod from_session;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod inbound;
mod packet;
mod requests;

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use msip_session::wire::{Code, Credit, FrameType, Header, Hello, MsgId, SessionId, Side};

use super::{Carries, Dialect, DialectError, Feature, Output, greeting::say_hello};
use crate::body::{Codec, Negotiable as _};
use codes::Codes;
pub(crate) use config::{ClientConfig, ServerConfig};
use from_session::fail_sent;
use inbound::Inbound;
use requests::Requests;

/// What FlyRPC lacks.
pub(super) static CARRIES: Carries = Carries {
    dialect: NAME,
    lacks: &[
        Feature::Streams,
        Feature::Headers,
        Feature::CorrelationIds,
        Feature::Keys,
        Feature::Clearing,
        Feature::Topics,
        Feature::Groups,
        Feature::Wildcards,
        Feature::Grants,
        Feature::SubscribedProtocols,
        Feature::Endpoints,
        Feature::Untyped,
        Feature::Credentials,
        Feature::Channels,
        Feature::Compression,
    ],
};

const NAME: &str = "FlyRPC";

/// The id of the HELLO that is written for a client.
const HELLO: MsgId = MsgId::exchange(Side::Connecting, 1);

/// What the connections of a client, or of a listener, have in common.
#[derive(Debug, Clone)]
pub(crate) struct FlyRpcConfig {
    /// The members, as this side's session sends and receives them.
    pub(crate) codes: Arc<Codes>,
    /// How messages are encoded.
    pub(crate) codec: Codec,
    /// The largest body that is accepted.
    pub(crate) max_body: usize,
    /// How many calls of the peer may be open at a client's session.
    pub(crate) max_calls: usize,
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct FlyRpc {
    config: FlyRpcConfig,
    /// The side whose part is played to the session.
    side: Side,
    state: State,
    requests: Requests,
    inbound: Inbound,
}

#[derive(Debug)]
enum State {
    /// The session has not said HELLO.
    New,
    /// Who says HELLO to the session, which waits for it.
    Greeting(Box<(SessionId, Hello)>),
    Open,
    /// The session has said CLOSE.
    Closed,
}

impl FlyRpc {
    /// For the session of a client: a server that speaks FlyRPC is made of its peer.
    pub(super) fn connecting(config: FlyRpcConfig) -> Self {
        Self::new(config, Side::Accepting, State::New)
    }

    /// For the session of a server: a client that speaks FlyRPC is made one that says this HELLO.
    pub(super) fn accepting(
        config: FlyRpcConfig,
        (session_id, mut hello): (SessionId, Hello),
    ) -> Self {
        hello.codecs = vec![config.codec.number()];
        let state = State::Greeting(Box::new((session_id, hello)));
        Self::new(config, Side::Connecting, state)
    }

    fn new(config: FlyRpcConfig, side: Side, state: State) -> Self {
        Self {
            side,
            state,
            requests: Requests::new(),
            inbound: Inbound::new(side, config.max_body),
            config,
        }
    }
}

impl Dialect for FlyRpc {
    fn handle_start(&mut self, _: Duration, output: &mut Output) {
        if let State::Greeting(client) = &self.state {
            say_hello(HELLO, client, &mut output.to_session);
        }
    }

    fn handle_frame(
        &mut self,
        header: &Header,
        payload: &[u8],
        now: Duration,
        output: &mut Output,
    ) -> Result<(), DialectError> {
        match (header.frame_type, &self.state) {
            (FrameType::Hello, State::New) => self.welcome(header, payload, output)?,
            (FrameType::Ack, State::Greeting(_)) if header.msg_id == HELLO => {
                self.welcomed(payload, output);
            }
            (FrameType::Credit, _) if header.msg_id.is_connection() => {
                if let Ok(credit) = Credit::parse(payload) {
                    self.inbound.grant(credit, &mut output.to_session);
                }
            }
            (FrameType::Publish | FrameType::Event, State::Open) => {
                self.send(header, payload, now, output)?;
            }
            (FrameType::Ack, State::Open | State::Closed) => self.answer(header, payload, output),
            (FrameType::Error, State::Open | State::Closed) => self.fail(header, payload, output),
            (FrameType::Subscribe | FrameType::Unsubscribe, State::Open) => {
                let text = CARRIES.refusal(Feature::Topics).to_string();
                fail_sent(header, Code::Unimplemented, &text, output);
            }
            (FrameType::Ping, _) => self.ping(header, payload, output)?,
            (FrameType::Close, _) => self.close(output),
            // What FlyRPC has no place for and nobody waits for: CANCEL, and what belongs to streams.
            _ => {}
        }
        self.requests.grant(&mut output.to_session);
        Ok(())
    }

    fn handle_bytes(
        &mut self,
        input: &mut BytesMut,
        _: Duration,
        output: &mut Output,
    ) -> Result<(), DialectError> {
        let received = self.receive_all(input, output);
        self.requests.grant(&mut output.to_session);
        received
    }

    fn wants_bytes(&self) -> bool {
        !self.inbound.is_full()
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Closed)
            && !self.inbound.has_open()
            && !self.requests.has_awaited()
    }

    fn poll_timeout(&self) -> Option<Duration> {
        self.requests.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Duration, output: &mut Output) -> Result<(), DialectError> {
        self.requests.handle_timeout(now);
        self.requests.grant(&mut output.to_session);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
