//! Envelopes: `ClientToServer` and `ServerToClient`, and their members.

use std::collections::HashSet;

use msip_schema::{
    Code, Diagnostic, Direction, DraftEnvelope, DraftMember, Payload, Reserved, Span, Spanned,
    TypeName, closest_name,
};
use prost_types::{DescriptorProto, FieldDescriptorProto};

use super::node_path::NodePath;
use super::options;
use super::reserved::reserved_numbers;
use super::source_info::tag;
use super::symbols::Node;
use super::types::{Lowering, is_entry_of};

/// The message of this direction: the one of its name, or else one of a similar name.
pub(crate) fn find(messages: &[DescriptorProto], direction: Direction) -> Option<usize> {
    let name = direction.envelope_name();
    let exact = |wanted: &str| messages.iter().position(|message| message.name() == wanted);
    exact(name).or_else(|| {
        let other = direction.reverse().envelope_name();
        let names = messages
            .iter()
            .map(DescriptorProto::name)
            .filter(|name| *name != other);
        exact(closest_name(name, names)?)
    })
}

/// Reads the envelope of a direction; `None` if it is missing, which is reported.
pub(crate) fn read(
    root: &NodePath<'_>,
    direction: Direction,
    lowering: &mut Lowering<'_>,
) -> Option<DraftEnvelope> {
    let name = direction.envelope_name();
    let messages = &root.file.descriptor.message_type;
    let Some((position, message)) =
        find(messages, direction).and_then(|at| Some((at, messages.get(at)?)))
    else {
        let span = root.span(&[tag::FILE_PACKAGE], lowering.report);
        let text = format!("`{}` has no message `{name}`", root.file.shown);
        let who = if direction == Direction::ClientToServer {
            "a client"
        } else {
            "a server"
        };
        let help = format!(
            "write `message {name} {{ oneof messages {{ … }} }}` with everything that {who} may say; a file that \
             only declares types is compiled when another imports it, or for its messages alone with \
             `--messages-only` of `msip gen`, `messages_only()` in a build script"
        );
        lowering
            .report
            .push(Diagnostic::new(Code::MISSING_ENVELOPE, span, text).help(help));
        return None;
    };
    let at = root.below(tag::FILE_MESSAGE, position, message.name());
    let span = at.span(&[tag::NAME], lowering.report);
    if message.name() != name {
        let text = format!(
            "`{}` has no message `{name}`, but one that is almost named so",
            root.file.shown
        );
        let diagnostic = Diagnostic::new(Code::MISSPELT_ENVELOPE, span, text);
        lowering
            .report
            .push(diagnostic.help(format!("did you mean `{name}`?")));
    }
    check_oneofs(&at, message, span, lowering);
    let members = message
        .field
        .iter()
        .enumerate()
        .filter_map(|(position, field)| {
            let at = at.below(tag::MESSAGE_FIELD, position, field.name());
            member(&at, field, lowering)
        });
    Some(DraftEnvelope {
        span,
        members: members.collect(),
        doc: at.doc(),
        reserved: Reserved {
            numbers: reserved_numbers(message),
            names: message.reserved_name.clone(),
        },
    })
}

/// Reports an envelope that is not exactly one oneof named `messages`.
fn check_oneofs(
    at: &NodePath<'_>,
    message: &DescriptorProto,
    span: Span,
    lowering: &mut Lowering<'_>,
) {
    let name = message.name();
    let real: HashSet<usize> = message
        .field
        .iter()
        .filter(|field| !field.proto3_optional())
        .filter_map(|field| usize::try_from(field.oneof_index?).ok())
        .collect();
    let oneofs: Vec<(usize, &str)> = message
        .oneof_decl
        .iter()
        .enumerate()
        .filter(|(index, _)| real.contains(index))
        .map(|(index, oneof)| (index, oneof.name()))
        .collect();
    let spans: Vec<Span> = oneofs
        .iter()
        .map(|(index, oneof)| {
            at.below(tag::MESSAGE_ONEOF, *index, oneof)
                .span(&[tag::NAME], lowering.report)
        })
        .collect();
    let outside: Vec<(usize, &FieldDescriptorProto)> = message
        .field
        .iter()
        .enumerate()
        .filter(|(_, field)| field.oneof_index.is_none() || field.proto3_optional())
        .collect();
    match (oneofs.as_slice(), spans.as_slice()) {
        ([], _) => {
            let text = format!("`{name}` has no oneof");
            let help = if outside.is_empty() {
                format!(
                    "write `message {name} {{ oneof messages {{ … }} }}` with at least one member"
                )
            } else {
                "put its fields into `oneof messages { … }`".to_owned()
            };
            lowering
                .report
                .push(Diagnostic::new(Code::MISSING_ONEOF, span, text).help(help));
            return;
        }
        ([(_, only)], [span]) if *only != "messages" => {
            let text = format!("the oneof of `{name}` is named `{only}`");
            let help = "name it `messages`; the name is not on the wire";
            lowering
                .report
                .push(Diagnostic::new(Code::ONEOF_NAME, *span, text).help(help));
        }
        ([(_, first), others @ ..], [first_span, other_spans @ ..]) => {
            for ((_, other), span) in others.iter().zip(other_spans) {
                let text = format!("`{name}` has more than one oneof");
                let help = format!(
                    "move the members of `{other}` into `{first}`, and name that `messages`"
                );
                let diagnostic =
                    Diagnostic::new(Code::SEVERAL_ONEOFS, *span, text).label("another one");
                lowering
                    .report
                    .push(diagnostic.also(*first_span, "the first one").help(help));
            }
        }
        _ => {}
    }
    refuse_outside(at, name, &outside, lowering);
}

/// Reports fields outside of the oneof.
fn refuse_outside(
    at: &NodePath<'_>,
    envelope: &str,
    outside: &[(usize, &FieldDescriptorProto)],
    lowering: &mut Lowering<'_>,
) {
    for &(position, field) in outside {
        let at = at.below(tag::MESSAGE_FIELD, position, field.name());
        let span = at.span(&[tag::NAME], lowering.report);
        let text = format!("`{}` is outside of the oneof of `{envelope}`", field.name());
        let help = "move it into the oneof; what every message needs belongs in each of them, or in metadata";
        lowering
            .report
            .push(Diagnostic::new(Code::FIELD_OUTSIDE_ONEOF, span, text).help(help));
    }
}

fn member(
    at: &NodePath<'_>,
    field: &FieldDescriptorProto,
    lowering: &mut Lowering<'_>,
) -> Option<DraftMember> {
    let options = field
        .options
        .as_ref()
        .map_or(&[][..], |options| &options.uninterpreted_option);
    let are_declared = lowering.symbols.sees_options(at.index);
    let mut options = options::member_options(at, options, are_declared, lowering.report);
    // Files from elsewhere have it interpreted.
    let interpreted = field.options.as_ref();
    options.deprecated |= interpreted.is_some_and(|options| options.deprecated());
    let is_map = field.label() == prost_types::field_descriptor_proto::Label::Repeated
        && is_entry_of(field.name(), field.type_name());
    if is_map {
        // It is outside of the oneof, which is reported.
        return None;
    }
    let payload = if field.type_name.is_some() {
        // The scope is the envelope, whose nested types are seen without their prefix.
        let scope = at.full.rsplit_once('.').map_or("", |(scope, _)| scope);
        let span = at.span(&[tag::FIELD_TYPE_NAME], lowering.report);
        match lowering.resolve(at, scope, field.type_name(), &[tag::FIELD_TYPE_NAME]) {
            Some((_, symbol)) if matches!(symbol.node, Node::Enum) => {
                not_message(at, field, span, "an enum", lowering);
                return None;
            }
            Some((name, _)) if name.is_empty_message() => Spanned::new(Payload::Empty, span),
            Some((name, _)) => Spanned::new(Payload::Message(name), span),
            None => Spanned::new(
                Payload::Message(TypeName::new(field.type_name().trim_start_matches('.'))),
                span,
            ),
        }
    } else {
        let span = at.span(&[tag::FIELD_TYPE], lowering.report);
        not_message(at, field, span, "a scalar", lowering);
        return None;
    };
    let is_in_oneof = field.oneof_index.is_some() && !field.proto3_optional();
    if !is_in_oneof && field.label() == prost_types::field_descriptor_proto::Label::Repeated {
        // A list or a map, which is reported already and is not a message.
        return None;
    }
    let number = u32::try_from(field.number()).unwrap_or(0);
    Some(DraftMember {
        name: Spanned::new(
            field.name().to_owned(),
            at.span(&[tag::NAME], lowering.report),
        ),
        number: Spanned::new(number, at.span(&[tag::FIELD_NUMBER], lowering.report)),
        payload,
        doc: at.doc(),
        options,
    })
}

/// Reports a member that is not a message.
fn not_message(
    at: &NodePath<'_>,
    field: &FieldDescriptorProto,
    span: Span,
    what: &str,
    lowering: &mut Lowering<'_>,
) {
    if field.oneof_index.is_none() || field.proto3_optional() {
        // It is outside of the oneof, which is reported.
        return;
    }
    let name = field.name();
    let file = at.file.source_info.file();
    let written = at
        .file
        .source_info
        .bytes(
            &at.path
                .iter()
                .copied()
                .chain([if field.type_name.is_some() {
                    tag::FIELD_TYPE_NAME
                } else {
                    tag::FIELD_TYPE
                }])
                .collect::<Vec<_>>(),
        )
        .and_then(|bytes| lowering.report.text(file).get(bytes))
        .filter(|written| !written.trim().is_empty())
        .map_or_else(|| type_of(field), str::to_owned);
    let message = heck::ToUpperCamelCase::to_upper_camel_case(name);
    let text = format!("`{name}` is {what}, but a member of an envelope is a message");
    let help = format!(
        "declare `message {message} {{ {written} value = 1; }}` and write `{message} {name} = {};`; without data, \
         use `google.protobuf.Empty`",
        field.number()
    );
    lowering
        .report
        .push(Diagnostic::new(Code::MEMBER_NOT_MESSAGE, span, text).help(help));
}

/// The type of a field of which the text is not there, as it may be written.
fn type_of(field: &FieldDescriptorProto) -> String {
    match &field.type_name {
        Some(name) => name.trim_start_matches('.').to_owned(),
        None => {
            let name = field.r#type().as_str_name();
            name.trim_start_matches("TYPE_").to_ascii_lowercase()
        }
    }
}
