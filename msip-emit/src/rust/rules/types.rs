//! Identifiers of messages, enums and their parts: each once in its scope, and none that generated items have.

use std::collections::{BTreeMap, BTreeSet};

use msip_schema::{Code, Diagnostic, EnumType, MessageType, Outline, Span, TypeDef, TypeName};

use crate::rust::names::{RESERVED_TYPES, accessors, field_name, type_name, value_name};
use crate::write::Namespace;

pub(super) fn check(outline: &Outline<'_>, out: &mut Vec<Diagnostic>) {
    let package = &outline.package().value;
    let own = outline
        .types()
        .iter()
        .filter(|(name, _)| !name.is_well_known());
    // A message and a package may share a module: `shop.Body` and `shop.body`.
    let own: Vec<_> = own
        .map(|(name, ty)| {
            let scope = name.as_str().strip_suffix(name.short()).unwrap_or("");
            let modules: Vec<String> = scope.split('.').map(field_name).collect();
            (name, ty, scope, modules.join("::"))
        })
        .collect();
    let mut types = Identifiers::new("type");
    for (name, ty, scope, module) in &own {
        let span = ty.span();
        let identifier = type_name(name.short());
        if scope.strip_suffix('.') == Some(package) && RESERVED_TYPES.contains(&identifier.as_str())
        {
            out.push(reserved(name, &identifier, span));
        }
        types.add(module, name.as_str(), &identifier, span, out);
        match ty {
            TypeDef::Message(message) => check_message(message, out),
            TypeDef::Enum(ty) => check_enum(name, ty, out),
        }
    }
}

fn reserved(name: &TypeName, identifier: &str, span: Span) -> Diagnostic {
    let is_envelope = matches!(identifier, "ClientToServer" | "ServerToClient");
    let (message, help) = if is_envelope {
        (
            format!("`{name}` is an envelope, so no message can carry it"),
            "put what is to be carried into a message of its own",
        )
    } else {
        (
            format!("`{identifier}` is generated beside the messages of the package"),
            "give the message another name",
        )
    };
    Diagnostic::new(Code::RESERVED_NAME, span, message).help(help)
}

fn check_message(message: &MessageType, out: &mut Vec<Diagnostic>) {
    let mut fields = Identifiers::new("field");
    let mut methods = Identifiers::new("method");
    let mut variants = Identifiers::new("variant");
    let mut oneofs: BTreeMap<&str, Span> = BTreeMap::new();
    for field in &message.fields {
        let (name, span) = (field.name.as_str(), field.span);
        if let Some(oneof) = &field.oneof {
            oneofs.entry(oneof).or_insert(span);
            variants.add(oneof, name, &type_name(name), span, out);
            continue;
        }
        fields.add("", name, &field_name(name), span, out);
        for accessor in accessors(name, &field.ty, &field.cardinality) {
            methods.add("", name, &accessor, span, out);
        }
    }
    for (oneof, span) in oneofs {
        fields.add("", oneof, &field_name(oneof), span, out);
    }
}

fn check_enum(name: &TypeName, ty: &EnumType, out: &mut Vec<Diagnostic>) {
    let mut variants = Identifiers::new("variant");
    let mut numbers = BTreeSet::new();
    for value in &ty.values {
        // An alias is not generated.
        if numbers.insert(value.number) {
            let variant = value_name(name.short(), &value.name);
            variants.add("", &value.name, &variant, value.span, out);
        }
    }
}

/// The identifiers of one kind.
struct Identifiers<'a> {
    what: &'static str,
    names: Namespace<'a, &'a str>,
}

impl<'a> Identifiers<'a> {
    fn new(what: &'static str) -> Self {
        Self {
            what,
            names: Namespace::default(),
        }
    }

    fn add(
        &mut self,
        scope: &'a str,
        name: &'a str,
        identifier: &str,
        span: Span,
        out: &mut Vec<Diagnostic>,
    ) {
        // The same name twice is a duplicate, which the front end reports.
        let Some(first) = self.names.claim(scope, identifier, name, span) else {
            return;
        };
        out.push(
            Diagnostic::new(
                Code::NAME_COLLISION,
                span,
                format!(
                    "`{}` and `{name}` both become the {} `{identifier}`",
                    first.name, self.what
                ),
            )
            .label("becomes the same name")
            .also(first.span, format!("already `{identifier}`"))
            .help("rename one of them"),
        );
    }
}
