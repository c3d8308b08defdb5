//! The client, and the interface of its handler.

use msip_schema::Direction;

use super::handling::{Handler, write_handler};
use super::parts::{has_part, parts};
use super::sending::write_methods;
use super::signature::core_type;
use crate::plan::{Plan, Shape};
use crate::typescript::doc;
use crate::typescript::fields::Types;
use crate::typescript::part::Part;
use crate::typescript::protocol_names::ProtocolNames;
use crate::write::Writer;

pub(super) fn write_client(
    types: &Types<'_, '_>,
    names: &ProtocolNames<'_>,
    plan: &Plan<'_>,
    out: &mut Writer,
) {
    let (prefix, package) = (&names.prefix, names.schema.package());
    // Streams are in the bundles of those alone whose schema has some.
    let base = match has_streams(plan) {
        true => "StreamingClient",
        false => "Client",
    };
    let base = out.import(types.modules.core, base);
    let [options, transport] =
        ["ClientOptions", "Transport"].map(|name| core_type(types, name, out));
    let is_called = has_part(types, plan, Part::InboundCalls);
    out.separate();
    doc::write_or(
        plan.envelope(Direction::ClientToServer).doc,
        &format!("A client of `{package}`."),
        false,
        out,
    );
    out.line(format_args!(
        "export class {prefix}Client extends {base} {{"
    ));
    out.indent();
    doc::write_or(
        "",
        "Connects to a server.\n\n@throws ConnectError if it cannot be reached, or refuses.",
        false,
        out,
    );
    let optional = if is_called { "" } else { "?" };
    out.line(format_args!(
        "static connect(endpoint: string | {transport}, options{optional}: {options}<{prefix}ClientHandler>): Promise<{prefix}Client> {{",
    ));
    out.indent();
    let parts = parts(types, plan, out);
    out.line(format_args!(
        "return {base}.open({prefix}Client, {}, endpoint, options, {parts});",
        names.constant
    ));
    out.dedent();
    out.line("}");
    write_methods(types, names, plan, Direction::ClientToServer, out);
    out.dedent();
    out.line("}");
    let about =
        format!("What a client of `{package}` is sent. Messages without a method are dropped.");
    let handler = core_type(types, "ClientHandler", out);
    let end = format!("{prefix}Client");
    write_handler(
        types,
        plan,
        Direction::ServerToClient,
        &Handler {
            about: &about,
            name: format!("{prefix}ClientHandler"),
            base: handler,
            end,
        },
        out,
    );
}

/// Whether a call of either direction has a stream.
fn has_streams(plan: &Plan<'_>) -> bool {
    [Direction::ClientToServer, Direction::ServerToClient]
        .into_iter()
        .flat_map(|direction| &plan.envelope(direction).members)
        .any(|member| match &member.shape {
            Shape::Call(call) => call.request_stream || call.response_stream,
            _ => false,
        })
}
