//! The interface of a handler, of either side.

use msip_schema::{Direction, MsgKind};

use super::parts::{has_part, inbound_part};
use super::signature::{content, core_type, init};
use crate::plan::{AnswerPlan, Call, MemberPlan, Plan, Shape};
use crate::typescript::doc;
use crate::typescript::fields::{Types, literal};
use crate::typescript::names::handler_name;
use crate::write::Writer;

/// What there is to say of a handler.
pub(in crate::typescript) struct Handler<'h> {
    pub(in crate::typescript) about: &'h str,
    pub(in crate::typescript) name: String,
    /// The core's interface, without its parameters.
    pub(in crate::typescript) base: String,
    /// The class of the end of the connection that it is called with.
    pub(in crate::typescript) end: String,
}

/// Writes the interface of what handles the members of a direction.
pub(in crate::typescript) fn write_handler(
    types: &Types<'_, '_>,
    plan: &Plan<'_>,
    direction: Direction,
    handler: &Handler<'_>,
    out: &mut Writer,
) {
    let members = plan.envelope(direction).members.iter();
    let handled: Vec<_> = members
        .filter(|member| match direction {
            Direction::ClientToServer => member.shape != Shape::Answer,
            Direction::ServerToClient => {
                inbound_part(&member.shape).is_some_and(|part| has_part(types, plan, part))
            }
        })
        .collect();
    let states = cleared_states(types, &handled, out);
    let base = format!("{}<{}{states}>", handler.base, handler.end);
    out.separate();
    doc::write_or("", handler.about, false, out);
    if handled.is_empty() {
        out.line(format_args!("export type {} = {base};", handler.name));
        return;
    }
    out.line(format_args!(
        "export interface {} extends {base} {{",
        handler.name
    ));
    out.indent();
    let context = core_type(types, "Context", out);
    let context = format!("context: {context}<{}>", handler.end);
    for member in handled {
        doc::write(member.doc, member.deprecated, out);
        let is_stream = matches!(&member.shape, Shape::Call(call) if call.request_stream);
        let mut parameters = Vec::new();
        if is_stream {
            let item = content(types, member.payload, out);
            parameters.push(format!("requests: AsyncIterable<{item}>"));
        } else if let Some(payload) = member.payload {
            let name = match member.shape {
                Shape::Call(_) => "request",
                _ => "message",
            };
            parameters.push(format!("{name}: {}", types.named(payload, out)));
        }
        parameters.push(context.clone());
        let (mark, result) = match &member.shape {
            Shape::Call(call) => ("", answer(types, call, out)),
            _ => ("?", "void | Promise<void>".to_owned()),
        };
        out.line(format_args!(
            "{}{mark}({}): {result};",
            handler_name(member.name),
            parameters.join(", ")
        ));
    }
    out.dedent();
    out.line("}");
}

/// The second parameter of a handler's base: the STATEs that may be cleared. None where there are none.
fn cleared_states(types: &Types<'_, '_>, handled: &[&MemberPlan<'_>], out: &mut Writer) -> String {
    let states = handled
        .iter()
        .filter(|member| member.kind == MsgKind::State && !matches!(member.shape, Shape::Call(_)));
    let states: Vec<String> = states
        .map(|member| {
            let cleared = core_type(types, "ClearedState", out);
            let value = member
                .payload
                .map_or("undefined".to_owned(), |name| types.named(name, out));
            format!("{cleared}<{}, {value}>", literal(member.name))
        })
        .collect();
    match states.as_slice() {
        [] => String::new(),
        states => format!(", {}", states.join(" | ")),
    }
}

/// What a handler returns.
fn answer(types: &Types<'_, '_>, call: &Call<AnswerPlan<'_>>, out: &mut Writer) -> String {
    let answer = match call.answer.payload {
        None => "void".to_owned(),
        Some(name) => init(types, name, out),
    };
    if call.response_stream {
        format!("AsyncIterable<{answer}>")
    } else {
        format!("{answer} | Promise<{answer}>")
    }
}
