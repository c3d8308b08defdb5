//! From a draft to a schema: every rule of docs/schema.md that does not depend on how the schema was written.

mod calls;
mod depth;
mod kinds;
mod member_names;
mod numbers;
mod options;
mod package;
mod services;
mod streams;
mod type_names;

#[cfg(test)]
pub(crate) mod tests;

use std::time::Duration;

use crate::{
    Compression, Diagnostic, Direction, Draft, DraftEnvelope, DraftMember, Envelope, Exchange,
    Member, Payload, Schema, TypeDef,
};
use calls::{Calls, Role};
pub(crate) use kinds::by_name as kind_by_name;

/// The name by which `.proto` files say that a message carries nothing.
const EMPTY: &str = "google.protobuf.Empty";

impl Draft {
    /// Pairs, classifies and verifies what the source says.
    ///
    /// Types that [`types`](Self::types) lacks are taken as they are: a front end that sees only names, as a
    /// macro does, gets every check that needs no more than names.
    ///
    /// # Errors
    ///
    /// Every mistake at once, in the order of their spans, as `docs/schema.md` lists them.
    pub fn check(mut self) -> Result<Schema, Vec<Diagnostic>> {
        self.normalise();
        let mut out = Vec::new();
        package::check(&self, &mut out);
        numbers::check(&self, &mut out);
        let calls = calls::find(&self, &mut out);
        for id in self.ids() {
            kinds::check(&self, id, &calls, &mut out);
            options::check(&self, id, &calls, &mut out);
        }
        member_names::check(&self, &calls, &mut out);
        type_names::check(&self, &mut out);
        depth::check(&self.types, &mut out);
        if out.is_empty() {
            return Ok(self.into_schema(&calls));
        }
        out.sort_by_key(|diagnostic| diagnostic.primary.span);
        Err(out)
    }

    /// Writes the same thing in one way: a message without content is [`Payload::Empty`].
    fn normalise(&mut self) {
        for envelope in [&mut self.client_to_server, &mut self.server_to_client] {
            for member in &mut envelope.members {
                if matches!(&member.payload.value, Payload::Message(name) if name.as_str() == EMPTY)
                {
                    member.payload.value = Payload::Empty;
                }
            }
        }
    }

    fn envelope(&self, direction: Direction) -> &DraftEnvelope {
        match direction {
            Direction::ClientToServer => &self.client_to_server,
            Direction::ServerToClient => &self.server_to_client,
        }
    }

    /// The members of one direction, each with its id, in the order of the source.
    fn members(&self, direction: Direction) -> impl Iterator<Item = (MemberId, &DraftMember)> {
        let members = self.envelope(direction).members.iter().enumerate();
        members.map(move |(index, member)| (MemberId { direction, index }, member))
    }

    /// All members, those of the client first.
    fn all_members(&self) -> impl Iterator<Item = (MemberId, &DraftMember)> {
        self.members(Direction::ClientToServer)
            .chain(self.members(Direction::ServerToClient))
    }

    fn ids(&self) -> Vec<MemberId> {
        self.all_members().map(|(id, _)| id).collect()
    }

    fn member(&self, id: MemberId) -> &DraftMember {
        // Ids come from `members` of this very draft, whose members nobody removes.
        &self.envelope(id.direction).members[id.index]
    }

    /// Only for a draft without mistakes.
    fn into_schema(self, calls: &Calls) -> Schema {
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
            // `numbers` has refused what does not fit.
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

/// A member of a draft: which way it goes, and which of its envelope's it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct MemberId {
    direction: Direction,
    index: usize,
}

/// The words of a name, in lower case: `ConnectReq` and `connect_req` are the same.
pub(crate) fn words(name: &str) -> String {
    use heck::ToSnakeCase as _;
    name.to_snake_case()
}
