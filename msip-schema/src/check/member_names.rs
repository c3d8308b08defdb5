//! What members are called in Rust: variants, methods and handlers, each once.

use std::collections::{BTreeMap, BTreeSet};

use super::MemberId;
use super::calls::{Calls, Role};
use crate::names::{
    CLIENT_CALLBACKS, SERVER_CALLBACKS, handler_name, method_name, try_method_name, variant_name,
};
use crate::{Code, Diagnostic, Direction, Draft};

pub(super) fn check(draft: &Draft, calls: &Calls, out: &mut Vec<Diagnostic>) {
    for direction in [Direction::ClientToServer, Direction::ServerToClient] {
        check_collisions(draft, direction, calls, out);
        check_callbacks(draft, direction, calls, out);
    }
}

fn check_collisions(draft: &Draft, direction: Direction, calls: &Calls, out: &mut Vec<Diagnostic>) {
    let mut owners: BTreeMap<(&str, String), MemberId> = BTreeMap::new();
    let mut names_seen = BTreeSet::new();
    for (id, member) in draft.members(direction) {
        let name = &member.name.value;
        if !names_seen.insert(name) {
            continue; // told as a duplicate
        }
        let mut generated = vec![("variant", variant_name(name))];
        let role = calls.role(draft, id);
        if role != Role::Answer {
            generated.push(("method", method_name(name)));
        }
        if role == Role::OneWay {
            generated.push(("method", try_method_name(name)));
        }
        // Two members are told of each other once, however many of their names meet.
        let mut told = BTreeSet::new();
        for (what, identifier) in generated {
            let owner = *owners.entry((what, identifier.clone())).or_insert(id);
            if owner == id || !told.insert(owner) {
                continue;
            }
            let first = &draft.member(owner).name;
            out.push(
                Diagnostic::new(
                    Code::NAME_COLLISION,
                    member.name.span,
                    format!("`{}` and `{name}` both become the {what} `{identifier}`", first.value),
                )
                .label("becomes the same name")
                .also(first.span, format!("already `{identifier}`"))
                .help("rename one of them; the number, which is what goes over the wire, stays as it is"),
            );
        }
    }
}

fn check_callbacks(draft: &Draft, direction: Direction, calls: &Calls, out: &mut Vec<Diagnostic>) {
    let (callbacks, side) = match direction {
        Direction::ClientToServer => (SERVER_CALLBACKS, "HandleClientToServer"),
        Direction::ServerToClient => (CLIENT_CALLBACKS, "HandleServerToClient"),
    };
    for (id, member) in draft.members(direction) {
        let (name, handler) = (&member.name.value, handler_name(&member.name.value));
        if calls.role(draft, id) == Role::Answer || !callbacks.contains(&handler.as_str()) {
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
