//! The module of a server: its peers, its handler, what it says to many, and itself.

use msip_schema::Direction;

use super::doc;
use super::fields::{Types, type_module};
use super::module::{INDENT, finish};
use super::modules::{Module, Modules};
use super::names::method_name;
use super::protocol::{
    Handler, core_type, description, in_scope, init, write_handler, write_methods,
};
use super::protocol_names::ProtocolNames;
use crate::plan::{Plan, Shape};
use crate::write::Writer;

/// The text of the module.
pub(super) fn write(
    modules: &Modules<'_>,
    module: &Module<'_>,
    names: &ProtocolNames<'_>,
) -> String {
    let mut out = Writer::new(INDENT);
    let prefix = &names.prefix;
    let own =
        ["Peer", "ServerHandler", "Broadcast", "Server"].map(|class| format!("{prefix}{class}"));
    out.reserve(own);
    let types = Types {
        modules,
        module,
        is_beside: true,
    };
    let plan = Plan::new(names.schema);
    write_peer(&types, names, &plan, &mut out);
    let base = server_type(&types, "ServerHandler", &mut out);
    let end = format!("{prefix}Peer");
    let about = format!(
        "What a server of `{}` is asked and sent.",
        names.schema.package()
    );
    let handler = Handler {
        about: &about,
        name: format!("{prefix}ServerHandler"),
        base,
        end,
    };
    write_handler(&types, &plan, Direction::ClientToServer, &handler, &mut out);
    write_broadcast(&types, names, &plan, &mut out);
    write_server(&types, names, &mut out);
    finish(out, &modules.header(module.package))
}

/// What the core has for servers, as a type.
fn server_type(types: &Types<'_, '_>, name: &str, out: &mut Writer) -> String {
    out.import(&type_module(&types.modules.server()), name)
}

fn write_peer(types: &Types<'_, '_>, names: &ProtocolNames<'_>, plan: &Plan<'_>, out: &mut Writer) {
    let base = out.import(&types.modules.server(), "Peer");
    let about = format!(
        "A client of `{}`, as the server sees it.",
        names.schema.package()
    );
    doc::write_or(
        plan.envelope(Direction::ServerToClient).doc,
        &about,
        false,
        out,
    );
    out.line(format_args!(
        "export class {}Peer extends {base} {{",
        names.prefix
    ));
    out.indent();
    write_methods(types, names, plan, Direction::ServerToClient, out);
    out.dedent();
    out.line("}");
}

fn write_broadcast(
    types: &Types<'_, '_>,
    names: &ProtocolNames<'_>,
    plan: &Plan<'_>,
    out: &mut Writer,
) {
    let base = out.import(&types.modules.server(), "Broadcast");
    let about = format!(
        "What a server of `{}` says to many clients at once. Nothing waits for a slow one; each method returns how many took the message.",
        names.schema.package()
    );
    out.separate();
    doc::write_or("", &about, false, out);
    out.line(format_args!(
        "export class {}Broadcast extends {base} {{",
        names.prefix
    ));
    out.indent();
    let direction = Direction::ServerToClient;
    let members = plan
        .envelope(direction)
        .members
        .iter()
        .zip(names.members(direction));
    for (member, constant) in members.filter(|(member, _)| member.shape == Shape::OneWay) {
        let constant = in_scope(types, constant, out);
        let (parameter, argument) = match member.payload {
            None => (String::new(), "undefined"),
            Some(payload) => (format!("message: {}", init(types, payload, out)), "message"),
        };
        out.separate();
        doc::write(member.doc, member.deprecated, out);
        out.line(format_args!(
            "{}({parameter}): number {{",
            method_name(member.name)
        ));
        out.indent();
        out.line(format_args!("return this.sendAll({constant}, {argument});"));
        out.dedent();
        out.line("}");
    }
    out.dedent();
    out.line("}");
}

fn write_server(types: &Types<'_, '_>, names: &ProtocolNames<'_>, out: &mut Writer) {
    let prefix = &names.prefix;
    let base = out.import(&types.modules.server(), "Server");
    let options = server_type(types, "ServerOptions", out);
    let mut protocol = in_scope(types, &names.constant, out);
    if description(names.schema).is_some() {
        let description = in_scope(types, &names.description, out);
        protocol = format!("{{ ...{protocol}, description: {description} }}");
    }
    out.separate();
    let about = format!("A server of `{}`.", names.schema.package());
    doc::write_or("", &about, false, out);
    out.line(format_args!(
        "export class {prefix}Server extends {base}<{prefix}Peer> {{"
    ));
    out.indent();
    doc::write_or(
        "",
        "Listens, and serves every client with the handler.",
        false,
        out,
    );
    out.line(format_args!(
        "static listen(endpoint: string, handler: {prefix}ServerHandler, options?: {options}): Promise<{prefix}Server> {{"
    ));
    out.indent();
    out.line(format_args!(
        "return {base}.open({prefix}Server, {prefix}Peer, {protocol}, endpoint, handler, options);"
    ));
    out.dedent();
    out.line("}");
    let options = server_type(types, "AttachOptions", out);
    let transport = core_type(types, "Transport", out);
    out.separate();
    doc::write_or(
        "",
        "Serves the clients of a topic of a broker with the handler: `tcp://broker.example.org:9000/room1`.",
        false,
        out,
    );
    out.line(format_args!(
        "static attach(endpoint: string | {transport}, handler: {prefix}ServerHandler, options?: {options}): Promise<{prefix}Server> {{"
    ));
    out.indent();
    out.line(format_args!(
        "return {base}.attachTo({prefix}Server, {prefix}Peer, {protocol}, endpoint, handler, options);"
    ));
    out.dedent();
    out.line("}");
    for (about, signature, arguments) in [
        ("All clients.", "everyone()".to_owned(), ""),
        (
            "All clients but this one.",
            format!("others(peer: {prefix}Peer)"),
            ", peer",
        ),
    ] {
        out.separate();
        doc::write_or("", about, false, out);
        out.line(format_args!("{signature}: {prefix}Broadcast {{"));
        out.indent();
        out.line(format_args!(
            "return this.broadcast({prefix}Broadcast{arguments});"
        ));
        out.dedent();
        out.line("}");
    }
    out.dedent();
    out.line("}");
}
