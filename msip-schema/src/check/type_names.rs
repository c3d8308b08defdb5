//! What messages, enums and their parts are called in Rust: each name legal, and once in its place.

use std::collections::BTreeMap;

use crate::names::{RESERVED_TYPES, field_name, type_name, upper_camel};
use crate::{
    Cardinality, Code, Diagnostic, Draft, EnumType, FieldType, MessageType, Span, TypeDef, TypeName,
};

pub(super) fn check(draft: &Draft, out: &mut Vec<Diagnostic>) {
    let mut types = OneEach::default();
    for (name, ty) in draft.types.iter().filter(|(name, _)| !name.is_well_known()) {
        let span = ty.span();
        let scope = name.as_str().strip_suffix(name.short()).unwrap_or("");
        let rust = type_name(name.short());
        check_legal(name.short(), span, "a type", out);
        if scope.strip_suffix('.') == Some(draft.package.value.as_str())
            && RESERVED_TYPES.contains(&rust.as_str())
        {
            out.push(reserved(name, &rust, span));
        }
        types.add(scope, name.short(), rust, span, "type", out);
        match ty {
            TypeDef::Message(message) => check_message(name, message, out),
            TypeDef::Enum(ty) => check_enum(name, ty, out),
        }
    }
}

fn reserved(name: &TypeName, rust: &str, span: Span) -> Diagnostic {
    let is_envelope = matches!(rust, "ClientToServer" | "ServerToClient");
    let (message, help) = if is_envelope {
        (
            format!("`{name}` is an envelope, so no message can carry it"),
            "put what is to be carried into a message of its own",
        )
    } else {
        (
            format!("`{rust}` is generated beside the messages of the package"),
            "give the message another name",
        )
    };
    Diagnostic::new(Code::RESERVED_NAME, span, message).help(help)
}

fn check_message(name: &TypeName, message: &MessageType, out: &mut Vec<Diagnostic>) {
    let (mut fields, mut methods, mut variants) =
        (OneEach::default(), OneEach::default(), OneEach::default());
    let mut oneofs: BTreeMap<&str, Span> = BTreeMap::new();
    for field in &message.fields {
        check_legal(&field.name, field.span, "a field", out);
        match &field.oneof {
            Some(oneof) => {
                oneofs.entry(oneof).or_insert(field.span);
                let variant = type_name(&field.name);
                variants.add(oneof, &field.name, variant, field.span, "variant", out);
            }
            None => {
                let rust = field_name(&field.name);
                fields.add(name.as_str(), &field.name, rust, field.span, "field", out);
                for accessor in accessors(&field.name, &field.ty, &field.cardinality) {
                    methods.add(
                        name.as_str(),
                        &field.name,
                        accessor,
                        field.span,
                        "method",
                        out,
                    );
                }
            }
        }
    }
    for (oneof, span) in oneofs {
        check_legal(oneof, span, "a oneof", out);
        fields.add(name.as_str(), oneof, field_name(oneof), span, "field", out);
    }
}

/// The methods that prost adds to a message for a field.
fn accessors(name: &str, ty: &FieldType, cardinality: &Cardinality) -> Vec<String> {
    let name = crate::names::snake(name);
    match (ty, cardinality) {
        (FieldType::Message(_), _) => Vec::new(),
        (FieldType::Enum(_), Cardinality::Implicit | Cardinality::Optional) => {
            vec![format!("set_{name}"), name]
        }
        (FieldType::Enum(_), Cardinality::Repeated) => vec![format!("push_{name}"), name],
        (FieldType::Enum(_), Cardinality::Map(_)) => {
            vec![format!("get_{name}"), format!("insert_{name}")]
        }
        (_, Cardinality::Optional) => vec![name],
        _ => Vec::new(),
    }
}

fn check_enum(name: &TypeName, ty: &EnumType, out: &mut Vec<Diagnostic>) {
    let mut variants = OneEach::default();
    let prefix = type_name(name.short());
    let mut numbers = std::collections::BTreeSet::new();
    for value in &ty.values {
        check_legal(&value.name, value.span, "a value", out);
        // An alias is not generated.
        if numbers.insert(value.number) {
            let variant = enum_variant(&prefix, &value.name);
            variants.add(
                name.as_str(),
                &value.name,
                variant,
                value.span,
                "variant",
                out,
            );
        }
    }
}

/// The variant of an enum's value as prost names it: without the name of the enum at its front.
fn enum_variant(prefix: &str, value: &str) -> String {
    let name = upper_camel(value);
    match name.strip_prefix(prefix) {
        Some(rest) if rest.starts_with(char::is_uppercase) => rest.to_owned(),
        _ => name,
    }
}

/// Protobuf allows `_`, which is no name in Rust.
fn check_legal(name: &str, span: Span, what: &str, out: &mut Vec<Diagnostic>) {
    if !name.contains(|c: char| c.is_ascii_alphanumeric()) {
        out.push(
            Diagnostic::new(
                Code::INVALID_NAME,
                span,
                format!("`{name}` cannot name {what}"),
            )
            .help("choose a name with a letter in it"),
        );
    }
}

/// The names of one kind, each with what it was made of.
#[derive(Default)]
struct OneEach<'a>(BTreeMap<(&'a str, String), (&'a str, Span)>);

impl<'a> OneEach<'a> {
    fn add(
        &mut self,
        scope: &'a str,
        name: &'a str,
        rust: String,
        span: Span,
        what: &str,
        out: &mut Vec<Diagnostic>,
    ) {
        let (first, first_span) = *self.0.entry((scope, rust.clone())).or_insert((name, span));
        if first == name {
            return; // itself, or a duplicate, which the front end tells
        }
        out.push(
            Diagnostic::new(
                Code::NAME_COLLISION,
                span,
                format!("`{first}` and `{name}` both become the {what} `{rust}`"),
            )
            .label("becomes the same name")
            .also(first_span, format!("already `{rust}`"))
            .help("rename one of them"),
        );
    }
}
