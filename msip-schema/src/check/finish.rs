//! Conversion of a draft without mistakes into the schema.

use std::time::Duration;

use super::calls::{Calls, Role};
use super::kinds;
use super::members::MemberId;
use crate::{Compression, Direction, Draft, Envelope, Exchange, Member, Payload, Schema, TypeDef};

impl Draft {
    /// Only for a draft without mistakes.
    pub(super) fn into_schema(self, calls: &Calls) -> Schema {
        let envelope = |direction: Direction| {
            let mut members: Vec<_> = self
                .members(direction)
                .map(|(id, _)| self.finish(id, calls))
                .collect();
            members.sort_by_key(|member| member.number);
            Envelope {
                direction,
                doc: self.envelope(direction).doc.clone(),
                members,
                reserved: self.envelope(direction).reserved.clone(),
            }
        };
        let client_to_server = envelope(Direction::ClientToServer);
        let server_to_client = envelope(Direction::ServerToClient);
        Schema {
            package: self.package.value,
            doc: self.doc,
            client_to_server,
            server_to_client,
            types: self.types,
        }
    }

    fn finish(&self, id: MemberId, calls: &Calls) -> Member {
        let member = self.member(id);
        let options = &member.options;
        let call = calls.call(id);
        let method = call
            .and_then(|call| call.method)
            .and_then(|index| self.methods.get(index));
        Member {
            name: member.name.value.clone(),
            // `numbers` has rejected what does not fit.
            number: u16::try_from(member.number.value).unwrap_or(u16::MAX),
            payload: member.payload.value.clone(),
            doc: [
                member.doc.as_str(),
                method.map_or("", |method| &method.doc),
                self.payload_doc(&member.payload.value),
            ]
            .into_iter()
            .find(|doc| !doc.trim().is_empty())
            .unwrap_or("")
            .to_owned(),
            kind: kinds::of(self, id, calls),
            exchange: match (calls.role(self, id), call) {
                (Role::Call, Some(call)) => Exchange::Call {
                    response: self.member(call.response).name.value.clone(),
                    request_stream: call.request_stream.is_some(),
                    response_stream: call.response_stream.is_some(),
                },
                (Role::Acknowledged, _) => Exchange::Acknowledged,
                (Role::Answer, _) => Exchange::Answer,
                (Role::OneWay | Role::Call, _) => Exchange::OneWay,
            },
            timeout: options
                .timeout_ms
                .map(|timeout| Duration::from_millis(timeout.value.into())),
            urgent: options.urgent.is_some_and(|urgent| urgent.value),
            compress: options
                .compress
                .map_or(Compression::Negotiated, |compress| compress.value),
            idempotent: options
                .idempotent
                .is_some_and(|idempotent| idempotent.value)
                || method.is_some_and(|method| method.idempotent),
            key: options.key.as_ref().map(|key| key.value.clone()),
            deprecated: options.deprecated || method.is_some_and(|method| method.deprecated),
            span: member.name.span,
        }
    }

    fn payload_doc(&self, payload: &Payload) -> &str {
        match payload {
            Payload::Message(name) => match self.types.get(name) {
                Some(TypeDef::Message(message)) => &message.doc,
                _ => "",
            },
            Payload::Empty => "",
        }
    }
}
