//! What the peer says.

use bytes::BytesMut;
use msip_session::wire::{
    Code, Flags, FrameType, Header, MsgId, Side, begin_frame, finish_frame, write_ack, write_error,
    write_pong,
};

use super::{
    super::{Dialect as _, DialectError, Output},
    FlyRpc, State,
    codes::CodedMember,
    error_code::error_of,
    inbound::{Asker, Request},
    packet::{Head, PacketKind, fault},
    requests::AwaitedResponse,
};
use crate::Exchange;

impl FlyRpc {
    /// Handles all packets of the peer that are there.
    pub(super) fn receive_all(
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
            return asker.fail(Code::Unavailable.name(), output);
        }
        let Some(member) = self.config.codes.find(head.code) else {
            return asker.fail(Code::NotFound.name(), output);
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
            Err(code) => asker.fail(code.name(), output),
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
                    AwaitedResponse::Call { id, .. }
                    | AwaitedResponse::Message {
                        delivery: Some(id), ..
                    },
                ),
                Some(error),
            ) => {
                write_error(to_session, Flags::NONE, id, error.code, &error.message);
            }
            (Some(AwaitedResponse::Call { id, response }), None) => {
                self.give_answer(id, response, payload, output);
            }
            (Some(AwaitedResponse::Message { delivery, .. }), None) => {
                if let Some(id) = delivery {
                    write_ack(to_session, Flags::NONE, id);
                }
            }
            (Some(AwaitedResponse::Message { delivery: None, .. }), Some(error)) => {
                tracing::debug!(%error, "the peer refused a message that nobody waits for");
            }
            // Its code says that nothing handles it, as expected.
            (Some(AwaitedResponse::Ping { id, len }), _) => {
                write_pong(to_session, id, &vec![0; len])
            }
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
            asker.fail(Code::ResourceExhausted.name(), output);
        } else if let Some(
            AwaitedResponse::Call { id, .. }
            | AwaitedResponse::Message {
                delivery: Some(id), ..
            },
        ) = self.requests.answered(head.seq)
        {
            let code = Code::ResourceExhausted;
            write_error(&mut output.to_session, Flags::NONE, id, code, &text);
        }
        fault(text)
    }
}

/// An id of the session that is never in use.
const fn never_opened(side: Side) -> MsgId {
    let session = match side {
        Side::Accepting => Side::Connecting,
        Side::Connecting => Side::Accepting,
    };
    MsgId::exchange(session, u64::MAX)
}
