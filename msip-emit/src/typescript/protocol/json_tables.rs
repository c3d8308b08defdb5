//! The tables of the messages, by their names in JSON.

use msip_schema::{Direction, FieldType, Payload, Schema, TypeDef, TypeName, json_name};

use crate::plan::Plan;
use crate::typescript::doc;
use crate::typescript::fields::{Types, literal};
use crate::typescript::protocol_names::ProtocolNames;
use crate::write::Writer;

/// The tables of every message, which only the codecs of JSON and MessagePack need.
pub(super) fn write_tables(
    types: &Types<'_, '_>,
    names: &ProtocolNames<'_>,
    plan: &Plan<'_>,
    out: &mut Writer,
) {
    let ty = types.import_type("ProtocolJson", out);
    out.separate();
    doc::write_or(
        "",
        "The messages of the protocol by their names in JSON: what the codecs of JSON and MessagePack need.",
        false,
        out,
    );
    out.line(format_args!("export const {}: {ty} = {{", names.json));
    out.indent();
    for (property, direction) in [
        ("clientToServer", Direction::ClientToServer),
        ("serverToClient", Direction::ServerToClient),
    ] {
        out.line(format_args!("{property}: ["));
        out.indent();
        for member in &plan.envelope(direction).members {
            let head = format!(
                "number: {}, name: {}",
                member.number,
                literal(&json_name(member.name))
            );
            let table = member.payload.map(|name| types.table(name, "fields", out));
            match table {
                None => out.line(format_args!("{{ {head} }},")),
                Some(table) => out.line(format_args!("{{ {head}, fields: () => {table} }},")),
            }
        }
        out.dedent();
        out.line("],");
    }
    if holds_any(names.schema) {
        out.line("any: () => [");
        out.indent();
        let protocols = &types.modules.compilation.protocols;
        let own = protocols
            .iter()
            .find(|protocol| protocol.schema.package() == names.schema.package());
        for name in own.map_or(Vec::new(), |own| types.modules.messages_of(own.file)) {
            let ty = types.import_value(name, out, |own| own.message_type());
            let table = types.table(name, "fields", out);
            out.line(format_args!("{{ type: {ty}, fields: {table} }},"));
        }
        out.dedent();
        out.line("],");
    }
    out.dedent();
    out.line("};");
}

/// Whether a message of the protocol holds another one of any type.
fn holds_any(schema: &Schema) -> bool {
    let is_any = |name: &TypeName| name.as_str() == "google.protobuf.Any";
    let sides = [Direction::ClientToServer, Direction::ServerToClient];
    let mut members = sides
        .iter()
        .flat_map(|side| &schema.envelope(*side).members);
    members.any(|member| matches!(&member.payload, Payload::Message(name) if is_any(name)))
        || schema.types().values().any(|ty| match ty {
            TypeDef::Enum(_) => false,
            TypeDef::Message(message) => {
                let mut fields = message.fields.iter();
                fields.any(|field| matches!(&field.ty, FieldType::Message(name) if is_any(name)))
            }
        })
}
