//! One member of a protocol, and the shape of its methods.

use std::collections::BTreeMap;
use std::time::Duration;

use msip_schema::{
    Compression, Exchange, Field, Member, MsgKind, Payload, Schema, TypeDef, TypeName,
};

use crate::write::is_blank;

/// How long a caller waits for an answer or an acknowledgment if neither the schema nor the caller says anything.
/// Calls with a stream have no limit then.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// One member of an envelope.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MemberPlan<'a> {
    /// The name, such as `connect_req`.
    pub name: &'a str,
    /// The number on the wire.
    pub number: u16,
    /// The type of the message that it carries; `None` if it carries nothing.
    pub payload: Option<&'a TypeName>,
    /// The member's comment, or its message's if it has none; blank if neither has one.
    pub doc: &'a str,
    /// How it is delivered.
    pub kind: MsgKind,
    /// What its methods look like.
    pub shape: Shape<AnswerPlan<'a>>,
    /// The time limit that the schema sets.
    pub timeout: Option<Duration>,
    /// Whether it overtakes frames that are not urgent.
    pub urgent: bool,
    /// Whether its bodies may be compressed.
    pub compress: Compression,
    /// Whether a call may be repeated when its fate is unknown.
    pub idempotent: bool,
    /// The field that tells one message from another of the same variant.
    pub key: Option<KeyPlan<'a>>,
    /// What peers of a dialect call it that names messages by text, where that is not its name.
    pub code: Option<&'a str>,
    /// Whether it is marked as deprecated.
    pub deprecated: bool,
}

/// The key of a message.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct KeyPlan<'a> {
    /// The name of the field.
    pub name: &'a str,
    /// The field; `None` if the schema does not know the message, as in a derive.
    pub field: Option<&'a Field>,
}

/// What a member's methods look like: how it is sent, and how it is handled.
///
/// `A` is what a language needs to know of the answer of a call: an [`AnswerPlan`], or what it makes of that with
/// [`map_answer`](Self::map_answer).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape<A> {
    /// Nothing comes back.
    OneWay,
    /// The sender waits until the receiver's handler has returned.
    Acknowledged,
    /// The sender waits for an answer.
    Call(Call<A>),
    /// It is the answer of a call, and has no methods of its own.
    Answer,
}

/// A call without its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call<A> {
    /// The member of the other direction that answers.
    pub answer: A,
    /// Whether the request is a stream.
    pub request_stream: bool,
    /// Whether the answer is a stream.
    pub response_stream: bool,
}

/// The member that answers a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AnswerPlan<'a> {
    /// The name.
    pub name: &'a str,
    /// The number on the wire.
    pub number: u16,
    /// The type of the message that it carries; `None` if it carries nothing.
    pub payload: Option<&'a TypeName>,
}

impl<'a> MemberPlan<'a> {
    pub(super) fn new(schema: &'a Schema, answers: &Answers<'a>, member: &'a Member) -> Self {
        let payload = payload(member);
        let message = payload.and_then(|name| match schema.types().get(name) {
            Some(TypeDef::Message(message)) => Some(message),
            Some(TypeDef::Enum(_)) | None => None,
        });
        Self {
            name: &member.name,
            number: member.number,
            payload,
            doc: if is_blank(&member.doc) {
                message.map_or("", |message| &message.doc)
            } else {
                &member.doc
            },
            kind: member.kind,
            shape: shape(answers, &member.exchange),
            timeout: member.timeout,
            urgent: member.urgent,
            compress: member.compress,
            idempotent: member.idempotent,
            key: member.key.as_deref().map(|name| KeyPlan {
                name,
                field: message
                    .and_then(|message| message.fields.iter().find(|field| field.name == name)),
            }),
            code: member.code.as_deref(),
            deprecated: member.deprecated,
        }
    }

    /// How long the sender waits unless the caller says otherwise; `None` if it waits for nothing, or without limit.
    #[must_use]
    pub fn time_limit(&self) -> Option<Duration> {
        match &self.shape {
            Shape::OneWay | Shape::Answer => None,
            Shape::Call(call) if call.has_stream() => self.timeout,
            Shape::Acknowledged | Shape::Call(_) => Some(self.timeout.unwrap_or(DEFAULT_TIMEOUT)),
        }
    }
}

impl<A> Shape<A> {
    /// The same shape, with something else for the answer.
    pub fn map_answer<B>(&self, map: impl FnOnce(&A) -> B) -> Shape<B> {
        match self {
            Self::OneWay => Shape::OneWay,
            Self::Acknowledged => Shape::Acknowledged,
            Self::Answer => Shape::Answer,
            Self::Call(call) => Shape::Call(Call {
                answer: map(&call.answer),
                request_stream: call.request_stream,
                response_stream: call.response_stream,
            }),
        }
    }
}

impl<A> Call<A> {
    /// Whether the request or the answer is a stream.
    pub const fn has_stream(&self) -> bool {
        self.request_stream || self.response_stream
    }
}

fn payload(member: &Member) -> Option<&TypeName> {
    match &member.payload {
        Payload::Message(name) => Some(name),
        Payload::Empty => None,
    }
}

/// The members of the other direction, by name.
pub(super) type Answers<'a> = BTreeMap<&'a str, &'a Member>;

fn shape<'a>(answers: &Answers<'a>, exchange: &Exchange) -> Shape<AnswerPlan<'a>> {
    match exchange {
        Exchange::OneWay => Shape::OneWay,
        Exchange::Acknowledged => Shape::Acknowledged,
        Exchange::Answer => Shape::Answer,
        Exchange::Call {
            response,
            request_stream,
            response_stream,
        } => match answers.get(response.as_str()) {
            Some(answer) => Shape::Call(Call {
                answer: AnswerPlan {
                    name: &answer.name,
                    number: answer.number,
                    payload: payload(answer),
                },
                request_stream: *request_stream,
                response_stream: *response_stream,
            }),
            // A checked schema has every answer that it names; without one there is nothing to wait for.
            None => Shape::OneWay,
        },
    }
}
