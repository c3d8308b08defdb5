//! The protocol of a package: its members as constants, the client, and the interface of the client's handler.

mod client;
mod description;
mod handling;
mod json_tables;
mod members;
mod parts;
mod sending;
mod signature;

use msip_schema::Direction;

use super::doc;
use super::fields::{Types, literal};
use super::protocol_names::ProtocolNames;
use crate::plan::Plan;
use crate::rust::Sides;
use crate::write::Writer;

use client::write_client;
use description::write_description;
use json_tables::write_tables;
use members::{Uses, write_member};

pub(super) use description::description;
pub(super) use handling::{Handler, write_handler};
pub(super) use sending::write_methods;
pub(super) use signature::{core_type, in_scope, init};

/// Writes the protocol.
pub(super) fn write(
    types: &Types<'_, '_>,
    names: &ProtocolNames<'_>,
    sides: Sides,
    out: &mut Writer,
) {
    let plan = Plan::new(names.schema);
    for direction in [Direction::ClientToServer, Direction::ServerToClient] {
        let members = &plan.envelope(direction).members;
        for (member, constant) in members.iter().zip(names.members(direction)) {
            let uses = Uses::of(direction, sides);
            write_member(types, member, constant, uses, out);
        }
    }
    write_constant(types, names, out);
    write_description(names, out);
    write_tables(types, names, &plan, out);
    if sides != Sides::Server {
        write_client(types, names, &plan, out);
    }
}

fn write_constant(types: &Types<'_, '_>, names: &ProtocolNames<'_>, out: &mut Writer) {
    let ty = core_type(types, "Protocol", out);
    let schema = names.schema;
    out.separate();
    let otherwise = format!("The protocol of the package `{}`.", schema.package());
    doc::write_or(schema.doc(), &otherwise, false, out);
    out.line(format_args!("export const {}: {ty} = {{", names.constant));
    out.indent();
    out.line(format_args!("name: {},", literal(schema.package())));
    out.line(format_args!(
        "fingerprint: 0x{:016x}n,",
        schema.fingerprint()
    ));
    for (property, direction) in [
        ("clientToServer", Direction::ClientToServer),
        ("serverToClient", Direction::ServerToClient),
    ] {
        out.line(format_args!("{property}: ["));
        out.indent();
        for constant in names.members(direction) {
            out.line(format_args!("{constant},"));
        }
        out.dedent();
        out.line("],");
    }
    out.dedent();
    out.line("};");
}
