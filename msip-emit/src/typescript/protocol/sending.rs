//! The methods that send: those of a client, and those of a server's peer.

use msip_schema::Direction;

use super::signature::{content, core_type, in_scope, init};
use crate::plan::{MemberPlan, Plan, Shape};
use crate::typescript::doc;
use crate::typescript::fields::Types;
use crate::typescript::names::method_name;
use crate::typescript::protocol_names::ProtocolNames;
use crate::write::Writer;

/// Writes the methods that send the members of a direction.
pub(in crate::typescript) fn write_methods(
    types: &Types<'_, '_>,
    names: &ProtocolNames<'_>,
    plan: &Plan<'_>,
    direction: Direction,
    out: &mut Writer,
) {
    let members = &plan.envelope(direction).members;
    for (member, constant) in members.iter().zip(names.members(direction)) {
        if member.shape != Shape::Answer {
            write_method(types, member, constant, out);
        }
    }
}

fn write_method(types: &Types<'_, '_>, member: &MemberPlan<'_>, constant: &str, out: &mut Writer) {
    let constant = in_scope(types, constant, out);
    let method = method_name(member.name);
    let mut parameters = Vec::new();
    let mut argument = "undefined";
    let is_stream = matches!(&member.shape, Shape::Call(call) if call.request_stream);
    if is_stream {
        let stream = core_type(types, "RequestStream", out);
        let item = content(types, member.payload, out);
        parameters.push(format!("requests: {stream}<{item}>"));
        argument = "requests";
    } else if let Some(payload) = member.payload {
        let name = match member.shape {
            Shape::Call(_) => "request",
            _ => "message",
        };
        let init = init(types, payload, out);
        parameters.push(format!("{name}: {init}"));
        argument = name;
    }
    let (options, result, base) = match &member.shape {
        Shape::OneWay => ("SendOptions", "Promise<void>".to_owned(), "send".to_owned()),
        Shape::Acknowledged | Shape::Answer => {
            ("CallOptions", "Promise<void>".to_owned(), "send".to_owned())
        }
        Shape::Call(call) => {
            let answer = content(types, call.answer.payload, out);
            let result = if call.response_stream {
                format!("{}<{answer}>", core_type(types, "ResponseStream", out))
            } else {
                format!("Promise<{answer}>")
            };
            let base = match (call.request_stream, call.response_stream) {
                (false, false) => "call",
                (false, true) => "callStream",
                (true, false) => "sendStream",
                (true, true) => "callBoth",
            };
            ("CallOptions", result, format!("{base}<{answer}>"))
        }
    };
    let options = core_type(types, options, out);
    parameters.push(format!("options?: {options}"));
    out.separate();
    doc::write(member.doc, member.deprecated, out);
    out.line(format_args!(
        "{method}({}): {result} {{",
        parameters.join(", ")
    ));
    out.indent();
    out.line(format_args!(
        "return this.{base}({constant}, {argument}, options);"
    ));
    out.dedent();
    out.line("}");
}
