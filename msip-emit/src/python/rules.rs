//! The rules that Python adds to those of every schema.
//!
//! Names of types, fields and values never collide, since one that is taken gets another; members become methods, whose names
//! their callers must be able to foresee.

use msip_schema::{Code, Diagnostic, Direction, Outline, Role};

use super::names::{CLIENT_CALLBACKS, SERVER_CALLBACKS, handler_name, method_name};
use crate::write::Namespace;

pub(super) fn check(outline: &Outline<'_>, out: &mut Vec<Diagnostic>) {
    for direction in [Direction::ClientToServer, Direction::ServerToClient] {
        check_methods(outline, direction, out);
        check_callbacks(outline, direction, out);
    }
}

fn check_methods(outline: &Outline<'_>, direction: Direction, out: &mut Vec<Diagnostic>) {
    let mut methods = Namespace::default();
    for member in outline.members(direction) {
        if member.role == Role::Answer {
            continue;
        }
        let (name, span) = (member.name.value.as_str(), member.name.span);
        let method = method_name(name);
        // The same name twice is a duplicate, which is reported for every language.
        let Some(first) = methods.claim((), &method, name, span) else {
            continue;
        };
        out.push(
            Diagnostic::new(
                Code::NAME_COLLISION,
                span,
                format!(
                    "`{}` and `{name}` both become the method `{method}` in Python",
                    first.name
                ),
            )
            .label("becomes the same name")
            .also(first.span, format!("already `{method}`"))
            .help(
                "rename one of them; the number, which is what goes over the wire, stays as it is",
            ),
        );
    }
}

fn check_callbacks(outline: &Outline<'_>, direction: Direction, out: &mut Vec<Diagnostic>) {
    let (callbacks, side) = match direction {
        Direction::ClientToServer => (SERVER_CALLBACKS, "server"),
        Direction::ServerToClient => (CLIENT_CALLBACKS, "client"),
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
                format!("`{name}` would be handled by `{handler}`, which the {side}'s handler of Python has already"),
            )
            .help(format!("choose another name, such as `{name}_ind`")),
        );
    }
}
