//! The kind of each member: by its name, unless an option says otherwise.

use super::calls::{Calls, Role};
use super::members::MemberId;
use crate::{Code, Diagnostic, Draft, MsgKind};

/// The kind of a member.
pub(super) fn of(draft: &Draft, id: MemberId, calls: &Calls) -> MsgKind {
    let member = draft.member(id);
    match calls.role(draft, id) {
        Role::Call => MsgKind::Command,
        // It is sent in an ACK, whose kind means nothing, so its name does not matter either.
        Role::Answer => MsgKind::Event,
        Role::OneWay | Role::Acknowledged => member
            .options
            .kind
            .map_or_else(|| MsgKind::by_name(&member.name.value), |kind| kind.value),
    }
}

pub(super) fn check(draft: &Draft, id: MemberId, calls: &Calls, out: &mut Vec<Diagnostic>) {
    let member = draft.member(id);
    let (Some(kind), Some(call)) = (member.options.kind, calls.call(id)) else {
        return;
    };
    if kind.value == MsgKind::Command || calls.doubtful.contains(&id) {
        return;
    }
    let name = &member.name.value;
    out.push(
        Diagnostic::new(
            Code::CALL_KIND,
            kind.span,
            format!(
                "`{name}` is a call, so its kind is COMMAND, not {}",
                kind.value.name()
            ),
        )
        .also(
            call.origin,
            format!("`{}` answers it", draft.member(call.response).name.value),
        )
        .help(format!(
            "remove `(msip.kind)`, or write `[(msip.reply) = NONE]` if `{name}` is not a call"
        )),
    );
}
