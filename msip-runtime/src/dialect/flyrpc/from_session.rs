//! What the session of this side says.

use std::time::Duration;

use bytes::Bytes;
use msip_session::wire::{
    Code, ErrorText, Flags, Header, Side, parse_welcome, write_error, write_pong,
};

use super::{
    super::{
        Dialect as _, DialectError, Feature, Output,
        greeting::Greeting,
        payload::{after_metadata, topic_and_body},
    },
    CARRIES, FlyRpc, NAME, State,
    codes::CodedMember,
    error_code::code_of,
    packet::{PacketKind, write_packet},
    requests::AwaitedResponse,
};
use crate::{Exchange, body::Negotiable as _};

impl FlyRpc {
    /// The session of a client says HELLO: it is answered here.
    pub(super) fn welcome(
        &mut self,
        header: &Header,
        payload: &[u8],
        output: &mut Output,
    ) -> Result<(), DialectError> {
        let mut greeting = Greeting::of(NAME, header, payload)?;
        greeting.welcome.codec = self.config.codec.number();
        // Others never hear of it.
        greeting.welcome.peer_id = greeting.session_id.number();
        greeting.answer(&mut output.to_session);
        self.state = State::Open;
        self.inbound
            .start(self.config.max_calls, &mut output.to_session);
        Ok(())
    }

    /// The session of a server has answered HELLO.
    pub(super) fn welcomed(&mut self, payload: &[u8], output: &mut Output) {
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
    pub(super) fn send(
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
            Exchange::Call { response, .. } => {
                self.requests.open(AwaitedResponse::Call { id, response })?
            }
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
        let (topic, body) = topic_and_body(header.flags, payload).unwrap_or_default();
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
    pub(super) fn answer(&mut self, header: &Header, payload: &[u8], output: &mut Output) {
        let Some(asker) = self.inbound.answered(header.msg_id, &mut output.to_session) else {
            return;
        };
        let body = after_metadata(header.flags, payload).unwrap_or_default();
        let mut message = Vec::new();
        if !body.is_empty() {
            let member = self.config.codes.outgoing(header.variant);
            let unwrapped = member
                .ok_or_else(|| format!("{} is not of the schema", header.variant))
                .and_then(|member| member.message(self.config.codec).unwrap(body, &mut message));
            if let Err(reason) = unwrapped {
                tracing::warn!(reason, "an answer cannot be translated to {NAME}");
                return asker.fail(Code::Internal.name(), output);
            }
        }
        asker.answer(&message, output);
    }

    /// The session fails a request of the peer.
    pub(super) fn fail(&mut self, header: &Header, payload: &[u8], output: &mut Output) {
        let asker = self.inbound.answered(header.msg_id, &mut output.to_session);
        if let Some(asker) = asker {
            asker.fail(code_of(&ErrorText::parse(payload)), output);
        }
    }

    pub(super) fn ping(
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
        let seq = self.requests.open(AwaitedResponse::Ping {
            id: header.msg_id,
            len: payload.len(),
        })?;
        write_packet(&mut output.to_peer, PacketKind::Request, seq, "", payload);
        Ok(())
    }

    /// The session says CLOSE, for which the peer has no word. What is open is finished, and then the connection is over.
    pub(super) fn close(&mut self, output: &mut Output) {
        self.state = State::Closed;
        for asker in self.inbound.close() {
            asker.fail(Code::Unavailable.name(), output);
        }
    }
}

/// Fails what the session sends.
pub(super) fn fail_sent(header: &Header, code: Code, text: &str, output: &mut Output) {
    let is_awaited = header.flags.contains(Flags::ACK_REQUIRED);
    if is_awaited && !header.flags.contains(Flags::ITEM) {
        let (flags, id) = (Flags::NONE, header.msg_id);
        write_error(&mut output.to_session, flags, id, code, text);
    } else {
        tracing::warn!(variant = header.variant, %code, text, "a message cannot be sent");
    }
}
