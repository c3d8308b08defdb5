//! The FlyRPC dialect (docs/dialects.md, "FlyRPC").
//!
//! FlyRPC has requests that are named by a text, and their responses: a payload, or another text, which is an error. Both
//! sides ask, and are alike. It has no greeting and no goodbye, so that the session's are answered here.

mod codes;
mod config;
mod error_code;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod inbound;
mod packet;
mod requests;

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use msip_session::wire::{
    Code, Credit, ErrorText, Flags, FrameType, Header, Hello, MsgId, SessionId, Side, Welcome,
    begin_frame, finish_frame, parse_hello, parse_welcome, write_ack, write_credit, write_error,
    write_hello, write_pong, write_welcome,
};

use super::{Carries, Dialect, DialectError, Feature, Output};
use crate::{
    Exchange,
    body::{Codec, Negotiable as _},
};
use codes::{CodedMember, Codes};
pub(crate) use config::{ClientConfig, ServerConfig};
use error_code::{code_of, error_of};
use inbound::{Asker, Inbound, Request};
use packet::{Head, PacketKind, fault, write_packet};
use requests::{Asked, Requests};

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

/// The code of what has no handler.
const NOT_FOUND: &str = Code::NotFound.name();

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
    /// What is said to a session that waits for a HELLO.
    Greeting(Box<Greeting>),
    Open,
    /// The session has said CLOSE.
    Closed,
}

/// The HELLO that is written for a client.
#[derive(Debug)]
pub(crate) struct Greeting {
    pub(crate) session_id: SessionId,
    pub(crate) hello: Hello,
}

impl FlyRpc {
    /// For the session of a client: a server that speaks FlyRPC is made of its peer.
    pub(super) fn connecting(config: FlyRpcConfig) -> Self {
        Self::new(config, Side::Accepting, State::New)
    }

    /// For the session of a server: a client that speaks FlyRPC is made one that says this HELLO.
    pub(super) fn accepting(config: FlyRpcConfig, mut greeting: Greeting) -> Self {
        greeting.hello.codecs = vec![config.codec.number()];
        Self::new(
            config,
            Side::Connecting,
            State::Greeting(Box::new(greeting)),
        )
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

    /// The session of a client says HELLO: it is answered here.
    fn welcome(
        &mut self,
        header: &Header,
        payload: &[u8],
        output: &mut Output,
    ) -> Result<(), DialectError> {
        let hello = parse_hello(header.kind, Bytes::copy_from_slice(payload))
            .map_err(|error| fault(error.to_string()))?;
        let welcome = Welcome {
            // Nobody tells what the peer has as its schema, nor what it accepts.
            fingerprint: hello.hello.fingerprint,
            codec: self.config.codec.number(),
            max_body: hello.hello.max_body,
            // Others never hear of it.
            peer_id: hello.session_id.number(),
            server_name: NAME.to_owned(),
            ..Welcome::default()
        };
        let mark = begin_frame(
            &mut output.to_session,
            &Header::control(FrameType::Ack, header.msg_id),
        );
        write_welcome(&mut output.to_session, hello.session_id, &welcome);
        // A Welcome is short.
        let _ = finish_frame(&mut output.to_session, mark);
        self.state = State::Open;
        self.inbound
            .start(self.config.max_calls, &mut output.to_session);
        Ok(())
    }

    /// The session of a server has answered HELLO.
    fn welcomed(&mut self, payload: &[u8], output: &mut Output) {
        let Ok(welcome) = parse_welcome(Bytes::copy_from_slice(payload)) else {
            return;
        };
        const DEFAULT_CALLS: u32 = 1024;
        let max_calls = match welcome.welcome.max_open_calls {
            0 => DEFAULT_CALLS,
            max => max,
        };
        self.state = State::Open;
        let max_calls = usize::try_from(max_calls).unwrap_or(usize::MAX);
        self.inbound.start(max_calls, &mut output.to_session);
    }

    /// The session sends a message, or calls.
    fn send(
        &mut self,
        header: &Header,
        payload: &[u8],
        now: Duration,
        output: &mut Output,
    ) -> Result<(), DialectError> {
        let mut message = Vec::new();
        let member = match self.unwrap(header, payload, &mut message) {
            Ok(member) => member,
            Err((code, text)) => {
                self.requests.earn_unsent(header);
                fail_sent(header, code, &text, output);
                return Ok(());
            }
        };
        let code = member.code;
        let id = header.msg_id;
        let seq = match member.exchange {
            Exchange::Call { response, .. } => self.requests.open(Asked::Call { id, response })?,
            _ => {
                let delivery = header.flags.contains(Flags::ACK_REQUIRED).then_some(id);
                self.requests
                    .open_message(delivery, header.payload_len, now)?
            }
        };
        // A message too is sent as the reference does: its response says that the peer is done with it.
        let kind = PacketKind::Request;
        write_packet(&mut output.to_peer, kind, seq, code, &message);
        Ok(())
    }

    /// Takes the message out of what the session sends. The runtime has refused before whatever fails here but for a body that
    /// is none.
    fn unwrap(
        &self,
        header: &Header,
        payload: &[u8],
        message: &mut Vec<u8>,
    ) -> Result<&CodedMember, (Code, String)> {
        let lacks = |feature| (Code::Unimplemented, CARRIES.refusal(feature).to_string());
        let codes = &self.config.codes;
        let member = codes.outgoing(header.variant);
        let member = member.ok_or_else(|| lacks(Feature::Untyped))?;
        if header.flags.contains(Flags::MORE) || header.flags.contains(Flags::ITEM) {
            return Err(lacks(Feature::Streams));
        }
        let rest = if header.flags.contains(Flags::META) {
            // A deadline, a trace context, the time of sending: see `Carries::check_metadata`.
            after_length(payload).map(|(_, rest)| rest)
        } else {
            Some(payload)
        };
        let (topic, body) = rest.and_then(after_length).unwrap_or_default();
        if !topic.is_empty() {
            return Err(lacks(Feature::Topics));
        }
        if body.is_empty() {
            return Err(lacks(Feature::Clearing));
        }
        let unwrapped = member.message(self.config.codec).unwrap(body, message);
        unwrapped.map_err(|reason| {
            let name = member.name;
            let text = format!("the body of {name} is not as {NAME} needs it: {reason}");
            (Code::Internal, text)
        })?;
        Ok(member)
    }

    /// The session answers a request of the peer.
    fn answer(&mut self, header: &Header, payload: &[u8], output: &mut Output) {
        let Some(asker) = self.inbound.answered(header.msg_id, &mut output.to_session) else {
            return;
        };
        let body = if header.flags.contains(Flags::META) {
            after_length(payload).map_or(&[][..], |(_, body)| body)
        } else {
            payload
        };
        let mut message = Vec::new();
        if !body.is_empty() {
            let member = self.config.codes.outgoing(header.variant);
            let unwrapped = member
                .ok_or_else(|| format!("{} is not of the schema", header.variant))
                .and_then(|member| member.message(self.config.codec).unwrap(body, &mut message));
            if let Err(reason) = unwrapped {
                tracing::warn!(reason, "an answer cannot be translated to {NAME}");
                return respond_with(asker, Code::Internal.name(), output);
            }
        }
        if asker.wants_response {
            let kind = PacketKind::Response;
            write_packet(&mut output.to_peer, kind, asker.seq, "", &message);
        }
    }

    /// The session fails a request of the peer.
    fn fail(&mut self, header: &Header, payload: &[u8], output: &mut Output) {
        let asker = self.inbound.answered(header.msg_id, &mut output.to_session);
        if let Some(asker) = asker {
            respond_with(asker, code_of(&ErrorText::parse(payload)), output);
        }
    }

    fn ping(
        &mut self,
        header: &Header,
        payload: &[u8],
        output: &mut Output,
    ) -> Result<(), DialectError> {
        // A client asks its server, which has no handler of the empty code and says so. A server does not ask clients all
        // by itself: what they do with a request is theirs. And while nothing is read, no response could come.
        let is_keepalive_of_server = self.side == Side::Connecting && payload.is_empty();
        if is_keepalive_of_server || !self.wants_bytes() {
            write_pong(&mut output.to_session, header.msg_id, payload);
            return Ok(());
        }
        let seq = self.requests.open(Asked::Ping {
            id: header.msg_id,
            len: payload.len(),
        })?;
        write_packet(&mut output.to_peer, PacketKind::Request, seq, "", payload);
        Ok(())
    }

    /// The session says CLOSE, for which the peer has no word. What is open is finished, and then the connection is over.
    fn close(&mut self, output: &mut Output) {
        self.state = State::Closed;
        for asker in self.inbound.close() {
            respond_with(asker, Code::Unavailable.name(), output);
        }
    }

    /// Handles a packet of the peer.
    fn receive(&mut self, head: &Head<'_>, payload: &[u8], output: &mut Output) {
        match head.kind {
            PacketKind::Response => self.responded(head, payload, output),
            PacketKind::Request | PacketKind::Notice => self.requested(head, payload, output),
        }
    }

    fn requested(&mut self, head: &Head<'_>, payload: &[u8], output: &mut Output) {
        let asker = Asker {
            seq: head.seq,
            wants_response: head.kind == PacketKind::Request,
        };
        if matches!(self.state, State::Closed) {
            return respond_with(asker, Code::Unavailable.name(), output);
        }
        let Some(member) = self.config.codes.find(head.code) else {
            return respond_with(asker, NOT_FOUND, output);
        };
        match self.request(member, payload) {
            Ok((is_call, body)) => {
                let request = Request {
                    asker,
                    is_call,
                    variant: member.number,
                    kind: member.kind,
                    urgent: member.urgent,
                    body,
                };
                self.inbound.push(request, &mut output.to_session);
            }
            Err(code) => respond_with(asker, code.name(), output),
        }
    }

    /// Whether it is a call, and its body.
    fn request(&self, member: &CodedMember, payload: &[u8]) -> Result<(bool, Vec<u8>), Code> {
        let is_call = match member.exchange {
            Exchange::Call {
                request_stream: false,
                response_stream: false,
                ..
            } => true,
            Exchange::Call { .. } => return Err(Code::Unimplemented),
            _ => false,
        };
        let mut body = Vec::with_capacity(payload.len() + member.name.len() + 16);
        member
            .message(self.config.codec)
            .wrap(payload, &mut body)
            .map_err(|_| Code::InvalidArgument)?;
        if body.len() > self.config.max_body {
            return Err(Code::ResourceExhausted);
        }
        Ok((is_call, body))
    }

    fn responded(&mut self, head: &Head<'_>, payload: &[u8], output: &mut Output) {
        let error = (!head.code.is_empty()).then(|| error_of(head.code));
        let to_session = &mut output.to_session;
        match (self.requests.answered(head.seq), error) {
            (
                Some(
                    Asked::Call { id, .. }
                    | Asked::Message {
                        delivery: Some(id), ..
                    },
                ),
                Some(error),
            ) => {
                write_error(to_session, Flags::NONE, id, error.code, &error.message);
            }
            (Some(Asked::Call { id, response }), None) => {
                self.give_answer(id, response, payload, output);
            }
            (Some(Asked::Message { delivery, .. }), None) => {
                if let Some(id) = delivery {
                    write_ack(to_session, Flags::NONE, id);
                }
            }
            (Some(Asked::Message { delivery: None, .. }), Some(error)) => {
                tracing::debug!(%error, "the peer refused a message that nobody waits for");
            }
            // Its code says that nothing handles it, as expected.
            (Some(Asked::Ping { id, len }), _) => write_pong(to_session, id, &vec![0; len]),
            // The session counts what nobody has asked for, and ends a flood of it.
            (None, _) => write_ack(to_session, Flags::NONE, never_opened(self.side)),
        }
    }

    fn give_answer(&self, id: MsgId, response: u16, payload: &[u8], output: &mut Output) {
        let output = &mut output.to_session;
        let Some(member) = self.config.codes.incoming(response) else {
            return write_ack(output, Flags::NONE, id);
        };
        let header = Header {
            variant: response,
            ..Header::control(FrameType::Ack, id)
        };
        let mark = begin_frame(output, &header);
        let before = output.len();
        let wrapped = member.message(self.config.codec).wrap(payload, output);
        let (len, max) = (output.len() - before, self.config.max_body);
        // A body is limited to far less than 4 GiB.
        let _ = finish_frame(output, mark);
        let refused = match wrapped {
            Err(reason) => {
                let name = member.name;
                Some((
                    Code::Internal,
                    format!("malformed payload of {name}: {reason}"),
                ))
            }
            Ok(()) if len > max => {
                let text = format!("a body of {len} bytes: {max} are allowed (max_body)");
                Some((Code::ResourceExhausted, text))
            }
            Ok(()) => None,
        };
        if let Some((code, text)) = refused {
            output.truncate(before - msip_session::wire::HEADER_LEN);
            write_error(output, Flags::NONE, id, code, &text);
        }
    }

    /// A packet is longer than allowed. Who waits is told, before the connection ends.
    fn too_long(&mut self, head: &Head<'_>, output: &mut Output) -> DialectError {
        let (len, max) = (head.payload_len, self.config.max_body);
        let text = format!("a payload of {len} bytes is announced: {max} are allowed (max_body)");
        if head.kind != PacketKind::Response {
            let asker = Asker {
                seq: head.seq,
                wants_response: true,
            };
            respond_with(asker, Code::ResourceExhausted.name(), output);
        } else if let Some(
            Asked::Call { id, .. }
            | Asked::Message {
                delivery: Some(id), ..
            },
        ) = self.requests.answered(head.seq)
        {
            let code = Code::ResourceExhausted;
            write_error(&mut output.to_session, Flags::NONE, id, code, &text);
        }
        fault(text)
    }

    fn receive_all(
        &mut self,
        input: &mut BytesMut,
        output: &mut Output,
    ) -> Result<(), DialectError> {
        while self.wants_bytes() {
            let Some(head) = Head::parse(input, self.config.codes.max_code())? else {
                return Ok(());
            };
            let payload_len = usize::try_from(head.payload_len)
                .ok()
                .filter(|len| *len <= self.config.max_body);
            let Some(payload_len) = payload_len else {
                return Err(self.too_long(&head, output));
            };
            let len = head.len.saturating_add(payload_len);
            let Some(payload) = input.get(head.len..len) else {
                return Ok(());
            };
            self.receive(&head, payload, output);
            let _ = input.split_to(len);
        }
        Ok(())
    }

    /// Grants what messages are done with.
    fn grant(&mut self, output: &mut Output) {
        if let Some(credit) = self.requests.take_earned() {
            let id = MsgId::CONNECTION;
            write_credit(&mut output.to_session, Flags::NONE, id, credit);
        }
    }
}

/// An error is sent to whoever asks, as the reference does, even where no response is wanted.
fn respond_with(asker: Asker, code: &str, output: &mut Output) {
    let kind = PacketKind::Response;
    write_packet(&mut output.to_peer, kind, asker.seq, code, &[]);
}

/// An id of the session that is never in use.
const fn never_opened(side: Side) -> MsgId {
    let session = match side {
        Side::Accepting => Side::Connecting,
        Side::Connecting => Side::Accepting,
    };
    MsgId::exchange(session, u64::MAX)
}

/// Fails what the session sends.
fn fail_sent(header: &Header, code: Code, text: &str, output: &mut Output) {
    let is_awaited = header.flags.contains(Flags::ACK_REQUIRED);
    if is_awaited && !header.flags.contains(Flags::ITEM) {
        let (flags, id) = (Flags::NONE, header.msg_id);
        write_error(&mut output.to_session, flags, id, code, text);
    } else {
        tracing::warn!(variant = header.variant, %code, text, "a message cannot be sent");
    }
}

/// A part of a payload that follows its length, and what comes after it.
fn after_length(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
}

impl Dialect for FlyRpc {
    fn handle_start(&mut self, _: Duration, output: &mut Output) {
        if let State::Greeting(greeting) = &self.state {
            let header = Header::control(FrameType::Hello, HELLO);
            let mark = begin_frame(&mut output.to_session, &header);
            write_hello(&mut output.to_session, greeting.session_id, &greeting.hello);
            // A HELLO is short.
            let _ = finish_frame(&mut output.to_session, mark);
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
        self.grant(output);
        Ok(())
    }

    fn handle_bytes(
        &mut self,
        input: &mut BytesMut,
        _: Duration,
        output: &mut Output,
    ) -> Result<(), DialectError> {
        let received = self.receive_all(input, output);
        self.grant(output);
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
        self.grant(output);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
