//! Conversion of a draft without mistakes into the schema.

use std::time::Duration;

use super::calls::{Calls, Role};
use super::kinds;
use super::members::MemberId;
use crate::{Compression, Direction, Draft, Envelope, Exchange, Member, Payload, Schema, TypeDef};

impl Draft {
    /// Only for a draft without mistakes.
    pub(super) fn into_schema(self, calls: &Calls) -> Schema {
        let mut repeated = REPEATED_DOCS;
        let mut envelope = |direction: Direction| {
            let mut members: Vec<_> = self
                .members(direction)
                .map(|(id, _)| self.finish(id, calls, &mut repeated))
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

    fn finish(&self, id: MemberId, calls: &Calls, repeated: &mut usize) -> Member {
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
            doc: [member.doc.as_str(), method.map_or("", |method| &method.doc)]
                .into_iter()
                .find(|doc| !doc.trim().is_empty())
                .unwrap_or_else(|| self.payload_doc(&member.payload.value, repeated))
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
            no_side_effects: method.is_some_and(|method| method.no_side_effects),
            key: options.key.as_ref().map(|key| key.value.clone()),
            code: options.code.as_ref().map(|code| code.value.clone()),
            deprecated: options.deprecated || method.is_some_and(|method| method.deprecated),
            span: member.name.span,
        }
    }

    /// The comment of a member's message, or its beginning once much has been repeated.
    fn payload_doc(&self, payload: &Payload, repeated: &mut usize) -> &str {
        let Payload::Message(name) = payload else {
            return "";
        };
        let Some(TypeDef::Message(message)) = self.types.get(name) else {
            return "";
        };
        match repeated.checked_sub(message.doc.len()) {
            Some(left) => {
                *repeated = left;
                &message.doc
            }
            None => first_words(&message.doc),
        }
    }
}

/// How many bytes of comments members take from their messages. Any number of members may carry one message with a long
/// comment; beyond this they have its beginning.
const REPEATED_DOCS: usize = 1 << 20;
/// How many bytes of a comment are its beginning.
const FIRST_WORDS: usize = 200;

/// The first line of a comment, and not too much of it.
fn first_words(doc: &str) -> &str {
    let line = doc.trim().lines().next().unwrap_or("");
    let end = (0..=line.len().min(FIRST_WORDS)).rev();
    let mut end = end.filter(|&at| line.is_char_boundary(at));
    end.next().and_then(|end| line.get(..end)).unwrap_or("")
}
