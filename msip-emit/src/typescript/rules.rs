//! The rules that TypeScript adds to those of every schema: names that become one identifier, and handlers called like callbacks.

use std::collections::BTreeSet;

use msip_schema::{Code, Diagnostic, Direction, Outline, Role, Span, TypeDef};

use super::modules::path;
use super::names::{CLIENT_CALLBACKS, SERVER_CALLBACKS, handler_name, method_name, property_name};
use crate::write::Namespace;

/// Reports what TypeScript cannot express.
pub(super) fn check(outline: &Outline<'_>, out: &mut Vec<Diagnostic>) {
    for direction in [Direction::ClientToServer, Direction::ServerToClient] {
        check_members(outline, direction, out);
    }
    let mut types = Namespace::default();
    for (name, ty) in outline.types() {
        if name.is_well_known() {
            continue;
        }
        let identifier = path(name, ty.package());
        let first = types.claim(ty.package(), &identifier, name.as_str(), ty.span());
        if let Some(first) = first {
            out.push(collision(
                "type",
                &identifier,
                first.name,
                first.span,
                name.as_str(),
                ty.span(),
            ));
        }
        if let TypeDef::Message(message) = ty {
            let mut names = Namespace::default();
            let fields = message.fields.iter();
            let fields = fields.map(|field| match &field.oneof {
                Some(oneof) => (oneof.as_str(), field.name.as_str(), field.span),
                None => ("", field.name.as_str(), field.span),
            });
            let oneofs = message
                .oneofs
                .iter()
                .map(|oneof| ("", oneof.name.as_str(), oneof.span));
            for (scope, name, span) in fields.chain(oneofs) {
                let identifier = property_name(name);
                if let Some(first) = names.claim(scope, &identifier, name, span) {
                    out.push(collision(
                        "property",
                        &identifier,
                        first.name,
                        first.span,
                        name,
                        span,
                    ));
                }
            }
        }
    }
}

fn check_members(outline: &Outline<'_>, direction: Direction, out: &mut Vec<Diagnostic>) {
    let (callbacks, interface) = match direction {
        Direction::ClientToServer => (SERVER_CALLBACKS, "ServerHandler"),
        Direction::ServerToClient => (CLIENT_CALLBACKS, "ClientHandler"),
    };
    let mut methods = Namespace::default();
    let mut seen = BTreeSet::new();
    for member in outline.members(direction) {
        let (name, span) = (member.name.value.as_str(), member.name.span);
        // The same name twice is a duplicate, which the front end reports.
        if !seen.insert(name) || member.role == Role::Answer {
            continue;
        }
        let handler = handler_name(name);
        if callbacks.contains(&handler.as_str()) {
            let message = format!(
                "`{name}` would be handled by `{handler}`, which `{interface}` has already"
            );
            out.push(
                Diagnostic::new(Code::RESERVED_NAME, span, message)
                    .help(format!("choose another name, such as `{name}_ind`")),
            );
        }
        let identifier = method_name(name);
        if let Some(first) = methods.claim((), &identifier, name, span) {
            out.push(collision(
                "method",
                &identifier,
                first.name,
                first.span,
                name,
                span,
            ));
        }
    }
}

fn collision(
    what: &str,
    identifier: &str,
    first: &str,
    first_span: Span,
    name: &str,
    span: Span,
) -> Diagnostic {
    Diagnostic::new(
        Code::NAME_COLLISION,
        span,
        format!("`{first}` and `{name}` both become the {what} `{identifier}` of TypeScript"),
    )
    .label("becomes the same name")
    .also(first_span, format!("already `{identifier}`"))
    .help("rename one of them")
}
