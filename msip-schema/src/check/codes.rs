//! Codes: what peers of a dialect call a member that names messages by text.

use std::collections::BTreeMap;

use super::calls::{Calls, Role};
use crate::{Code, Diagnostic, Direction, Draft, Span};

/// The longest code, in bytes.
const MAX_LEN: usize = 255;

pub(super) fn check(draft: &Draft, calls: &Calls, out: &mut Vec<Diagnostic>) {
    for direction in [Direction::ClientToServer, Direction::ServerToClient] {
        check_direction(draft, direction, calls, out);
    }
}

/// A member without a code has its name for one.
fn check_direction(draft: &Draft, direction: Direction, calls: &Calls, out: &mut Vec<Diagnostic>) {
    let members = || {
        // An answer is never called by a name; that it has a code is reported with its other options.
        draft
            .members(direction)
            .filter(|(id, _)| calls.role(draft, *id) != Role::Answer)
    };
    let mut names: BTreeMap<&str, Span> = BTreeMap::new();
    for (_, member) in members().filter(|(_, member)| member.options.code.is_none()) {
        // Two members of one name are reported already.
        names.entry(&member.name.value).or_insert(member.name.span);
    }
    let mut codes: BTreeMap<&str, Span> = BTreeMap::new();
    for (_, member) in members() {
        let (name, Some(code)) = (&member.name.value, &member.options.code) else {
            continue;
        };
        if let Some(wrong) = wrong(&code.value) {
            out.push(
                Diagnostic::new(
                    Code::INVALID_CODE,
                    code.span,
                    format!("the code of `{name}` {wrong}"),
                )
                .help(format!(
                    "write 1 to {MAX_LEN} bytes of text without control characters, or remove the option: its code is then `{name}`"
                )),
            );
            continue;
        }
        let earlier = codes
            .get(code.value.as_str())
            .map(|span| (*span, "first used here"))
            .or_else(|| {
                let named = names.get(code.value.as_str())?;
                Some((*named, "a member without a code has its name for one"))
            });
        if let Some((span, label)) = earlier {
            out.push(
                Diagnostic::new(
                    Code::DUPLICATE_CODE,
                    code.span,
                    format!("the code of `{name}` is that of another message of its direction"),
                )
                .also(span, label)
                .help("choose another code for one of the two"),
            );
            continue;
        }
        codes.insert(&code.value, code.span);
    }
}

/// Why this text cannot be a code, if it cannot.
fn wrong(code: &str) -> Option<String> {
    if code.is_empty() {
        return Some("is empty".to_owned());
    }
    if code.len() > MAX_LEN {
        return Some(format!("has {} bytes", code.len()));
    }
    code.chars()
        .any(char::is_control)
        .then(|| "has a control character".to_owned())
}
