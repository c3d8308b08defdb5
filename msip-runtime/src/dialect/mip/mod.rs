//! The MIP dialect, on the side of a client (docs/protocol.md, "The MIP dialect").
//!
//! MIP has topics, one-way messages and their acknowledgments, and nothing else. Each PUBLISH is acknowledged, so that the
//! acknowledgments are also the credit that the session gets back.

mod events;
mod frame;
mod from_broker;
mod from_session;

use std::{collections::VecDeque, time::Duration};

use bytes::{Bytes, BytesMut};
use msip_session::{
    MsgKind,
    wire::{Credit, FrameType, HEADER_LEN, Header, MsgId, RawHeader, write_pong},
};

use super::{Carries, Dialect, DialectError, Feature, Output, credit::Earned, greeting::Greeting};
use events::Events;
use frame::{ACK_REQUIRED, write_frame};

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
    last_error: Option<String>,
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
            last_error: None,
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
