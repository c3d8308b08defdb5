//! One file that holds a protocol: its envelopes, options and services, as a draft of the model.

use std::collections::BTreeSet;

use msip_schema::{
    Code, Diagnostic, Direction, Draft, DraftEnvelope, DraftMember, DraftMethod, FieldType,
    Payload, Reserved, Span, Spanned, TypeDef, TypeName, Types, closest_name,
};
use prost_types::method_options::IdempotencyLevel;
use prost_types::{DescriptorProto, FieldDescriptorProto, MethodDescriptorProto};

use super::load::{Files, ProtoFile};
use super::options;
use super::places::{package_name, tag};
use super::symbols::Node;
use super::types::{At, Lowering, reserved_numbers};

const EMPTY: &str = "google.protobuf.Empty";

/// A protocol as a file says it, and what is known to be wrong with its envelopes.
pub(crate) struct Reading {
    pub(crate) draft: Draft,
    /// Whether an envelope is missing or has no members that count, which has been told: whatever refers to its
    /// members is wrong for that reason alone.
    pub(crate) is_partial: bool,
}

/// Reads the protocol of a file.
pub(crate) fn read(index: usize, lowering: &mut Lowering<'_>, types: &Types) -> Reading {
    let file = file_at(lowering.files, index);
    let root = At {
        index,
        file,
        path: Vec::new(),
        full: file.package().to_owned(),
    };
    let package = Spanned::new(file.package().to_owned(), package_span(&root, lowering));
    let mut is_partial = false;
    let mut envelope = |direction| {
        envelope(&root, direction, lowering).unwrap_or_else(|| {
            is_partial = true;
            DraftEnvelope {
                span: package.span,
                doc: String::new(),
                members: Vec::new(),
                reserved: Reserved::default(),
            }
        })
    };
    let client_to_server = envelope(Direction::ClientToServer);
    let server_to_client = envelope(Direction::ServerToClient);
    // Members that were left out, and told of, are missed elsewhere.
    is_partial |= client_to_server.members.is_empty() || server_to_client.members.is_empty();
    let methods = methods(&root, lowering);
    refuse_envelopes_as_types(&root, lowering, types);
    let draft = Draft {
        doc: file.places.head(),
        types: types.clone(),
        package,
        client_to_server,
        server_to_client,
        methods,
    };
    Reading { draft, is_partial }
}

/// Tells of our options on fields of ordinary messages, in all files. An envelope may have them in a file that is
/// only imported, too, or compiled for its messages.
pub(crate) fn refuse_misplaced_options(lowering: &mut Lowering<'_>) {
    for (index, file) in lowering
        .files
        .files
        .iter()
        .enumerate()
        .filter(|(_, file)| file.is_ours())
    {
        let root = At {
            index,
            file,
            path: Vec::new(),
            full: file.package().to_owned(),
        };
        for (position, message) in file.descriptor.message_type.iter().enumerate() {
            let is_envelope = [Direction::ClientToServer, Direction::ServerToClient]
                .iter()
                .any(|direction| find(&file.descriptor.message_type, *direction) == Some(position));
            let at = root.below(tag::FILE_MESSAGE, position, message.name());
            refuse_in_message(&at, message, is_envelope, lowering);
        }
    }
}

fn refuse_in_message(
    at: &At<'_>,
    message: &DescriptorProto,
    is_envelope: bool,
    lowering: &mut Lowering<'_>,
) {
    for (position, nested) in message.nested_type.iter().enumerate() {
        refuse_in_message(
            &at.below(tag::MESSAGE_NESTED, position, nested.name()),
            nested,
            false,
            lowering,
        );
    }
    if is_envelope {
        return;
    }
    for (position, field) in message.field.iter().enumerate() {
        if let Some(options) = &field.options {
            let at = at.below(tag::MESSAGE_FIELD, position, field.name());
            options::refuse(&at, &options.uninterpreted_option, lowering.report);
        }
    }
}

/// Indices of files are made by the loader, and a protocol is always one of its files.
fn file_at(files: &Files, index: usize) -> &ProtoFile {
    &files.files[index]
}

/// The package's name; tells where there is none.
fn package_span(root: &At<'_>, lowering: &mut Lowering<'_>) -> Span {
    if let Some(span) = package_name(&root.file.places, lowering.report) {
        return span;
    }
    let file = root.file.places.file();
    let bytes = root.file.places.bytes(&[tag::FILE_SYNTAX]).unwrap_or(0..0);
    let span = lowering.report.span(file, bytes);
    let text = "the file has no package, which names the protocol";
    let help = "write one below `syntax`, such as `package chat;`";
    lowering
        .report
        .push(Diagnostic::new(Code::MISSING_PACKAGE, span, text).help(help));
    span
}

/// The message of this direction: the one of that name, or else the one that is almost named so.
fn find(messages: &[DescriptorProto], direction: Direction) -> Option<usize> {
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

fn envelope(
    root: &At<'_>,
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
             only declares types is compiled when another imports it, or with `messages_only()`"
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

/// Tells where an envelope is not exactly one oneof named `messages`.
fn check_oneofs(at: &At<'_>, message: &DescriptorProto, span: Span, lowering: &mut Lowering<'_>) {
    let name = message.name();
    let is_real = |index: usize| {
        let mut members = message
            .field
            .iter()
            .filter(|field| usize::try_from(field.oneof_index.unwrap_or(-1)).ok() == Some(index));
        members.any(|field| !field.proto3_optional())
    };
    let oneofs: Vec<(usize, &str)> = message
        .oneof_decl
        .iter()
        .enumerate()
        .filter(|(index, _)| is_real(*index))
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
    for (position, field) in outside {
        let at = at.below(tag::MESSAGE_FIELD, position, field.name());
        let span = at.span(&[tag::NAME], lowering.report);
        let text = format!("`{}` stands beside the oneof of `{name}`", field.name());
        let help = "move it into the oneof; what every message needs belongs into each of them, or into metadata";
        lowering
            .report
            .push(Diagnostic::new(Code::FIELD_OUTSIDE_ONEOF, span, text).help(help));
    }
}

fn member(
    at: &At<'_>,
    field: &FieldDescriptorProto,
    lowering: &mut Lowering<'_>,
) -> Option<DraftMember> {
    let options = field
        .options
        .as_ref()
        .map_or(&[][..], |options| &options.uninterpreted_option);
    let options = options::member_options(at, options, lowering.report);
    let payload = if field.type_name.is_some() {
        // The scope is the envelope, whose nested types are seen without their prefix.
        let scope = at.full.rsplit_once('.').map_or("", |(scope, _)| scope);
        let span = at.span(&[tag::FIELD_TYPE_NAME], lowering.report);
        match lowering.resolve(at, scope, field.type_name(), &[tag::FIELD_TYPE_NAME]) {
            Some((_, symbol)) if matches!(symbol.node, Node::Enum) => {
                not_message(at, field, span, "an enum", lowering);
                return None;
            }
            Some((name, _)) if name.as_str() == EMPTY => Spanned::new(Payload::Empty, span),
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
        // A list beside the oneof, or a map: told already, and not a message.
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

/// Tells that a member is not a message, and what to write instead.
fn not_message(
    at: &At<'_>,
    field: &FieldDescriptorProto,
    span: Span,
    what: &str,
    lowering: &mut Lowering<'_>,
) {
    if field.oneof_index.is_none() || field.proto3_optional() {
        // It stands beside the oneof, which has been told.
        return;
    }
    let name = field.name();
    let file = at.file.places.file();
    let written = at
        .file
        .places
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
        .unwrap_or("string")
        .to_owned();
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

fn methods(root: &At<'_>, lowering: &mut Lowering<'_>) -> Vec<DraftMethod> {
    let mut methods = Vec::new();
    for (position, service) in root.file.descriptor.service.iter().enumerate() {
        let at = root.below(tag::FILE_SERVICE, position, service.name());
        for (position, method) in service.method.iter().enumerate() {
            let at = at.below(tag::SERVICE_METHOD, position, method.name());
            methods.extend(method_of(&at, method, lowering));
        }
    }
    methods
}

fn method_of(
    at: &At<'_>,
    method: &MethodDescriptorProto,
    lowering: &mut Lowering<'_>,
) -> Option<DraftMethod> {
    let mut ty = |name: &str, part: i32| {
        let scope = at
            .full
            .rsplit_once('.')
            .map_or("", |(scope, _)| scope)
            .to_owned();
        let (name, _) = lowering.resolve(at, &scope, name, &[part])?;
        Some(Spanned::new(name, at.span(&[part], lowering.report)))
    };
    let request = ty(method.input_type(), tag::METHOD_INPUT);
    let response = ty(method.output_type(), tag::METHOD_OUTPUT);
    let mut stream =
        |part: i32, is_stream: bool| is_stream.then(|| at.span(&[part], lowering.report));
    let request_stream = stream(tag::METHOD_CLIENT_STREAMING, method.client_streaming());
    let response_stream = stream(tag::METHOD_SERVER_STREAMING, method.server_streaming());
    Some(DraftMethod {
        name: Spanned::new(
            method.name().to_owned(),
            at.span(&[tag::NAME], lowering.report),
        ),
        request: request?,
        response: response?,
        request_stream,
        response_stream,
        idempotent: is_idempotent(method),
        deprecated: method.options.as_ref().is_some_and(|method| {
            options::is_deprecated(method.deprecated(), &method.uninterpreted_option)
        }),
        doc: at.doc(),
    })
}

/// Whether `option idempotency_level` says that a method may be repeated.
fn is_idempotent(method: &MethodDescriptorProto) -> bool {
    let Some(options) = &method.options else {
        return false;
    };
    let repeatable = [
        IdempotencyLevel::NoSideEffects,
        IdempotencyLevel::Idempotent,
    ];
    let said = options.uninterpreted_option.iter().any(|option| {
        let is_level =
            matches!(option.name.as_slice(), [part] if part.name_part == "idempotency_level");
        is_level
            && repeatable
                .iter()
                .any(|level| level.as_str_name() == option.identifier_value())
    });
    said || repeatable.contains(&options.idempotency_level())
}

/// Tells of fields whose type is an envelope: envelopes become enums of ours, which no message can hold.
fn refuse_envelopes_as_types(root: &At<'_>, lowering: &mut Lowering<'_>, types: &Types) {
    let messages = types.values().filter_map(|def| match def {
        TypeDef::Message(message) => Some(message),
        TypeDef::Enum(_) => None,
    });
    for field in messages.flat_map(|message| &message.fields) {
        let FieldType::Message(name) = &field.ty else {
            continue;
        };
        let is_envelope = [Direction::ClientToServer, Direction::ServerToClient]
            .iter()
            .any(|direction| {
                super::symbols::join(&root.full, direction.envelope_name()) == name.as_str()
            });
        if is_envelope {
            let text = format!(
                "the field `{}` holds `{name}`, which is not a message of its own",
                field.name
            );
            let help =
                "name the messages that it may hold, or declare another message with a oneof";
            lowering
                .report
                .push(Diagnostic::new(Code::INVALID_SCHEMA, field.span, text).help(help));
        }
    }
}

/// The types that the envelopes and services of a draft reach, those inside them included.
pub(crate) fn reached(draft: &Draft, types: &Types) -> Types {
    let methods = &draft.methods;
    let members = [&draft.client_to_server, &draft.server_to_client]
        .into_iter()
        .flat_map(|envelope| &envelope.members);
    let payloads = members.filter_map(|member| match &member.payload.value {
        Payload::Message(name) => Some(name.clone()),
        Payload::Empty => None,
    });
    let called = methods
        .iter()
        .flat_map(|method| [method.request.value.clone(), method.response.value.clone()]);
    let mut open: Vec<TypeName> = payloads.chain(called).collect();
    let mut seen = BTreeSet::new();
    let mut found = Types::new();
    while let Some(name) = open.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let Some(def) = types.get(&name) else {
            continue;
        };
        if let TypeDef::Message(message) = def {
            for field in &message.fields {
                if let FieldType::Message(inner) | FieldType::Enum(inner) = &field.ty {
                    open.push(inner.clone());
                }
            }
        }
        found.insert(name, def.clone());
    }
    found
}
