//! The members of both envelopes, each a constant.

use msip_schema::{Compression, Direction, TypeName};

use super::signature::core_type;
use crate::plan::{MemberPlan, Shape};
use crate::rust::Sides;
use crate::typescript::doc;
use crate::typescript::fields::{Types, literal};
use crate::typescript::names::handler_name;
use crate::write::Writer;

/// What the sides that are written do with the members of a direction: no bundle has code for more.
#[derive(Clone, Copy)]
pub(super) struct Uses {
    sent: bool,
    received: bool,
}

impl Uses {
    pub(super) fn of(direction: Direction, sides: Sides) -> Self {
        let [by_clients, by_servers] = [sides != Sides::Server, sides != Sides::Client];
        let (sent, received) = match direction {
            Direction::ClientToServer => (by_clients, by_servers),
            Direction::ServerToClient => (by_servers, by_clients),
        };
        Self { sent, received }
    }
}

pub(super) fn write_member(
    types: &Types<'_, '_>,
    member: &MemberPlan<'_>,
    constant: &str,
    uses: Uses,
    out: &mut Writer,
) {
    let ty = core_type(types, "Member", out);
    out.separate();
    let about = match constant.starts_with("ToServer") {
        true => format!("`{}` to the server.", member.name),
        false => format!("`{}` to the client.", member.name),
    };
    doc::write_or("", &about, false, out);
    out.line(format_args!("export const {constant}: {ty} = {{"));
    out.indent();
    out.line(format_args!("name: {},", literal(member.name)));
    out.line(format_args!("number: {},", member.number));
    let message = member.payload.map_or("undefined".to_owned(), |name| {
        message_type(types, name, uses, out)
    });
    out.line(format_args!("message: {message},"));
    out.line(format_args!(
        "kind: {}, // {}",
        member.kind.number(),
        member.kind.name()
    ));
    let (shape, shape_name) = match &member.shape {
        Shape::OneWay => (1, "ONE_WAY"),
        Shape::Acknowledged => (2, "ACKNOWLEDGED"),
        Shape::Call(_) => (3, "CALL"),
        Shape::Answer => (4, "ANSWER"),
    };
    out.line(format_args!("shape: {shape}, // {shape_name}"));
    if member.shape != Shape::Answer && uses.received {
        out.line(format_args!(
            "handler: {},",
            literal(&handler_name(member.name))
        ));
    }
    if let Shape::Call(call) = &member.shape {
        out.line(format_args!("answer: {},", call.answer.number));
        for (name, is_set) in [
            ("requestStream", call.request_stream),
            ("responseStream", call.response_stream),
        ] {
            if is_set {
                out.line(format_args!("{name}: true,"));
            }
        }
    }
    if let Some(limit) = member.time_limit() {
        out.line(format_args!("timeoutMs: {},", limit.as_millis()));
    }
    for (name, value, usual) in [
        ("urgent", member.urgent, false),
        ("compress", member.compress == Compression::Negotiated, true),
        ("idempotent", member.idempotent, false),
    ] {
        if value != usual {
            out.line(format_args!("{name}: {value},"));
        }
    }
    if let Some(key) = member.key.as_ref().and_then(|key| key.field) {
        // In the bundles of those alone whose schema has keys.
        let text = types.wire("keyText", out);
        out.line(format_args!(
            "key: (encoded) => {text}(encoded, {}),",
            key.number
        ));
    }
    out.dedent();
    out.line("};");
}

/// A message as a type. That of another module is spelled out: modules may import each other, and only functions exist before a module
/// has run.
fn message_type(types: &Types<'_, '_>, name: &TypeName, uses: Uses, out: &mut Writer) -> String {
    match types.home(name) {
        Some(home) if home.module.is_none() && uses.sent && uses.received => {
            home.identifiers.message_type()
        }
        _ => {
            let [encode, decode] =
                [("encode", uses.sent), ("decode", uses.received)].map(|(verb, is_used)| {
                    match is_used {
                        true => types.function(verb, name, out),
                        false => out.import(types.modules.core, "otherSide"),
                    }
                });
            format!(
                "{{ name: {}, encode: {encode}, decode: {decode} }}",
                literal(name.as_str())
            )
        }
    }
}
