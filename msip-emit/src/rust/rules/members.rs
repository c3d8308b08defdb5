//! Identifiers of members: each variant and method once, and no handler named like a callback.

use std::collections::BTreeSet;

use msip_schema::{Code, Diagnostic, Direction, Outline, Role};

use crate::rust::names::{
    CLIENT_CALLBACKS, SERVER_CALLBACKS, handler_name, method_name, try_method_name, variant_name,
};
use crate::write::Namespace;

pub(super) fn check(outline: &Outline<'_>, out: &mut Vec<Diagnostic>) {
    for direction in [Direction::ClientToServer, Direction::ServerToClient] {
        check_collisions(outline, direction, out);
        check_callbacks(outline, direction, out);
    }
}

fn check_collisions(outline: &Outline<'_>, direction: Direction, out: &mut Vec<Diagnostic>) {
    let mut identifiers = Namespace::default();
    let mut names_seen = BTreeSet::new();
    for member in outline.members(direction) {
        let (name, span) = (member.name.value.as_str(), member.name.span);
        if !names_seen.insert(name) {
            continue; // reported as a duplicate
        }
        let mut generated = vec![("variant", variant_name(name))];
        if member.role != Role::Answer {
            generated.push(("method", method_name(name)));
        }
        if member.role == Role::OneWay {
            generated.push(("method", try_method_name(name)));
        }
        // A pair of members is reported once, however many of their identifiers collide.
        let mut reported = BTreeSet::new();
        for (what, identifier) in generated {
            let Some(first) = identifiers.claim(what, &identifier, name, span) else {
                continue;
            };
            if !reported.insert(first.name) {
                continue;
            }
            out.push(
                Diagnostic::new(
                    Code::NAME_COLLISION,
                    span,
                    format!("`{}` and `{name}` both become the {what} `{identifier}`", first.name),
                )
                .label("becomes the same name")
                .also(first.span, format!("already `{identifier}`"))
                .help("rename one of them; the number, which is what goes over the wire, stays as it is"),
            );
        }
    }
}

fn check_callbacks(outline: &Outline<'_>, direction: Direction, out: &mut Vec<Diagnostic>) {
    let (callbacks, side) = match direction {
        Direction::ClientToServer => (SERVER_CALLBACKS, "HandleClientToServer"),
        Direction::ServerToClient => (CLIENT_CALLBACKS, "HandleServerToClient"),
    };
    for member in outline.members(direction) {
        let (name, handler) = (&member.name.value, handler_name(&member.name.value));
        if member.role == Role::Answer || !callbacks.contains(&handler.as_str()) {
            continue;
        }
        out.push(
            Diagnostic::new(
                Code::RESERVED_NAME,
                member.name.span,
                format!("`{name}` would be handled by `{handler}`, which `{side}` has already"),
            )
            .help(format!("choose another name, such as `{name}_ind`")),
        );
    }
}
