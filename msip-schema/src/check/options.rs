//! Options that have no effect, or whose value is impossible.

use std::collections::BTreeMap;

use super::calls::{Call, Calls, Role};
use super::members::MemberId;
use crate::{
    Cardinality, Code, Diagnostic, Draft, DraftMember, Field, FieldType, MAX_DIAGNOSTICS, Payload,
    Span, Spanned, TypeDef, closest_name,
};

/// The fields of messages by name, of those whose members have keys.
pub(super) type KeyFields<'a> = BTreeMap<&'a str, BTreeMap<&'a str, &'a Field>>;

pub(super) fn check<'a>(
    draft: &'a Draft,
    id: MemberId,
    calls: &Calls,
    fields: &mut KeyFields<'a>,
    out: &mut Vec<Diagnostic>,
) {
    let member = draft.member(id);
    let (name, options) = (&member.name.value, &member.options);
    if let Some(timeout) = options.timeout_ms.filter(|timeout| timeout.value == 0) {
        let help = if calls.call(id).is_some_and(Call::has_stream) {
            "write at least 1 (milliseconds), or remove the option: a stream then has no limit"
        } else {
            "write at least 1 (milliseconds), or remove the option: the limit is then 30 s"
        };
        out.push(
            Diagnostic::new(
                Code::ZERO_TIMEOUT,
                timeout.span,
                format!("the time limit of `{name}` is zero"),
            )
            .help(help),
        );
    }
    if calls.doubtful.contains(&id) {
        return;
    }
    let role = calls.role(draft, id);
    if role == Role::Answer {
        on_answer(draft, id, calls, out);
        return;
    }
    if role == Role::OneWay {
        let advice = "remove the option, or ask for an answer, as in `[(msip.reply) = ACK]`";
        if let Some(timeout) = options.timeout_ms.filter(|timeout| timeout.value != 0) {
            let message = format!("`{name}` has a time limit, but nothing answers it");
            out.push(Diagnostic::new(Code::UNUSED_TIMEOUT, timeout.span, message).help(advice));
        }
        if let Some(idempotent) = options.idempotent.filter(|idempotent| idempotent.value) {
            let message = format!(
                "`{name}` is marked idempotent, but nothing answers it, so nobody repeats it"
            );
            out.push(
                Diagnostic::new(Code::UNUSED_IDEMPOTENT, idempotent.span, message).help(advice),
            );
        }
    }
    if let Some(key) = &options.key {
        match calls.call(id).and_then(|call| call.request_stream) {
            Some(stream) => out.push(key_of_stream(name, key, stream)),
            None => check_key(draft, member, key, fields, out),
        }
    }
}

/// Reports options of an answer: only `compress` has an effect there, since the request decides the rest.
fn on_answer(draft: &Draft, id: MemberId, calls: &Calls, out: &mut Vec<Diagnostic>) {
    let Some(request) = calls.answered_by(id) else {
        return;
    };
    let (member, request) = (draft.member(id), &draft.member(request).name);
    let options = &member.options;
    let said: [(&str, Option<Span>); 9] = [
        ("kind", options.kind.map(|option| option.span)),
        ("reply", options.reply.map(|option| option.span)),
        ("request", options.request_stream),
        (
            "response",
            options.response.as_ref().map(|option| option.span),
        ),
        ("timeout_ms", options.timeout_ms.map(|option| option.span)),
        ("urgent", options.urgent.map(|option| option.span)),
        ("idempotent", options.idempotent.map(|option| option.span)),
        ("key", options.key.as_ref().map(|option| option.span)),
        ("code", options.code.as_ref().map(|option| option.span)),
    ];
    for (option, span) in said {
        let Some(span) = span else { continue };
        let help = match option {
            "reply" => format!(
                "if the two are not a call, write `[(msip.reply) = NONE]` on `{}`",
                request.value
            ),
            "kind" | "key" => {
                "remove it: an answer goes to its caller alone, whatever its kind".to_owned()
            }
            _ => format!("remove it, or move it to `{}`", request.value),
        };
        out.push(
            Diagnostic::new(
                Code::OPTION_ON_ANSWER,
                span,
                format!(
                    "`(msip.{option})` means nothing on `{}`, which is an answer",
                    member.name.value
                ),
            )
            .also(request.span, "it answers this request")
            .help(help),
        );
    }
}

/// A key of a request that is a stream: the messages that have the field follow what opens the call, which has none.
fn key_of_stream(name: &str, key: &Spanned<String>, stream: Span) -> Diagnostic {
    Diagnostic::new(
        Code::KEY_OF_STREAM,
        key.span,
        format!("`{name}` has a key, but its request is a stream, which is opened before its first message"),
    )
    .also(stream, "it is a stream")
    .help("remove `(msip.key)`: a caller says the key of such a call by `CallOptions::key`")
}

/// Reports a key that is not a field with a single scalar value.
fn check_key<'a>(
    draft: &'a Draft,
    member: &'a DraftMember,
    key: &Spanned<String>,
    fields: &mut KeyFields<'a>,
    out: &mut Vec<Diagnostic>,
) {
    let name = &member.name.value;
    let (ty, message) = match &member.payload.value {
        Payload::Message(ty) => match draft.types.get(ty) {
            Some(TypeDef::Message(message)) => (ty, message),
            // Not known to the front end yet, which checks again when it is.
            _ => return,
        },
        Payload::Empty => {
            let message = format!(
                "`{name}` carries nothing, so it has no field `{}`",
                key.value
            );
            out.push(
                Diagnostic::new(Code::KEY_NOT_FOUND, key.span, message)
                    .help("remove `(msip.key)`: nothing tells one such message from another"),
            );
            return;
        }
    };
    // Any number of members may carry one message of any number of fields.
    let fields = fields.entry(ty.as_str()).or_insert_with(|| {
        let fields = message.fields.iter().rev();
        fields.map(|field| (field.name.as_str(), field)).collect()
    });
    let Some(field) = fields.get(key.value.as_str()) else {
        let names = message.fields.iter().map(|field| field.name.as_str());
        let is_shown = out.len() < MAX_DIAGNOSTICS;
        let close = is_shown.then(|| closest_name(&key.value, names));
        let help = match close.flatten() {
            Some(close) => format!("did you mean `{close}`?"),
            None => "name a field of the message, as the schema spells it".to_owned(),
        };
        out.push(
            Diagnostic::new(
                Code::KEY_NOT_FOUND,
                key.span,
                format!("the message of `{name}` has no field `{}`", key.value),
            )
            .help(help),
        );
        return;
    };
    let single = matches!(
        field.cardinality,
        Cardinality::Implicit | Cardinality::Optional
    );
    if !single || matches!(field.ty, FieldType::Message(_)) {
        let what = if single {
            "a message"
        } else {
            "more than one value"
        };
        out.push(
            Diagnostic::new(
                Code::KEY_TYPE,
                key.span,
                format!("the field `{}` cannot be a key: it is {what}", key.value),
            )
            .also(field.span, "the field")
            .help("name a field that is one number, bool, string, bytes or enum"),
        );
    }
}
