//! The protocol of a package: its members as constants, the client, and the interface of the client's handler.

use std::time::Duration;

use msip_schema::{
    Compression, Direction, FieldType, MsgKind, Payload, Schema, TypeDef, TypeName,
    compare::Description, json_name,
};

use super::doc;
use super::fields::{Types, literal, type_module};
use super::names::{handler_name, method_name};
use super::part::Part;
use super::protocol_names::ProtocolNames;
use crate::plan::{Call, MemberPlan, Plan, Shape};
use crate::rust::Sides;
use crate::write::Writer;

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

pub(super) fn core_type(types: &Types<'_, '_>, name: &str, out: &mut Writer) -> String {
    out.import(&type_module(types.modules.core), name)
}

/// What the sides that are written do with the members of a direction: no bundle has code for more.
#[derive(Clone, Copy)]
struct Uses {
    sent: bool,
    received: bool,
}

impl Uses {
    fn of(direction: Direction, sides: Sides) -> Self {
        let [by_clients, by_servers] = [sides != Sides::Server, sides != Sides::Client];
        let (sent, received) = match direction {
            Direction::ClientToServer => (by_clients, by_servers),
            Direction::ServerToClient => (by_servers, by_clients),
        };
        Self { sent, received }
    }
}

fn write_member(
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
        out.line(format_args!("timeoutMs: {},", milliseconds(limit)));
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

fn milliseconds(limit: Duration) -> u128 {
    limit.as_millis()
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

/// The description of the schema; `None` where it is too large for one.
pub(super) fn description(schema: &Schema) -> Option<String> {
    let text = Description::of(schema).to_text();
    let described = Description::parse(text.as_bytes()).ok()?;
    (described.fingerprint() == schema.fingerprint()).then_some(text)
}

/// A constant of its own, which is in no bundle that does not use it.
fn write_description(names: &ProtocolNames<'_>, out: &mut Writer) {
    let Some(text) = description(names.schema) else {
        return;
    };
    out.separate();
    doc::write_or(
        "",
        "The schema as a text, for peers that have another version of it and compare them.",
        false,
        out,
    );
    out.line(format_args!("export const {} =", names.description));
    out.indent();
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        let end = if lines.peek().is_some() { " +" } else { ";" };
        out.line(format_args!("{}{end}", literal(line)));
    }
    out.dedent();
}

/// The tables of every message, which only the codecs of JSON and MessagePack need.
fn write_tables(
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

fn write_client(
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

/// The parts of a client beside its core, some of which only some schemas need: no bundle has others.
fn parts(types: &Types<'_, '_>, plan: &Plan<'_>, out: &mut Writer) -> String {
    let chosen = types.modules.parts;
    let mut parts: Vec<(&str, &str)> = chosen
        .iter()
        .filter(|part| has_part(types, plan, **part))
        .map(|part| (part.name(), part.name()))
        .collect();
    if !chosen.contains(&Part::Urls) {
        parts.push((Part::Urls.name(), "plainUrls"));
    }
    if has_deliveries(plan) {
        parts.push(("deliveries", "deliveries"));
    }
    if sends_droppable(plan) {
        parts.push(("droppable", "droppable"));
    }
    let written = |(name, value): (&str, &str)| match out.import(types.modules.core, value) {
        local if local == name => local,
        local => format!("{name}: {local}"),
    };
    let parts: Vec<String> = parts.into_iter().map(written).collect();
    format!("{{ {} }}", parts.join(", "))
}

/// Whether a client has this part, and of those for what servers send something to take.
fn has_part(types: &Types<'_, '_>, plan: &Plan<'_>, part: Part) -> bool {
    let mut members = plan.envelope(Direction::ServerToClient).members.iter();
    let is_inbound = matches!(part, Part::InboundMessages | Part::InboundCalls);
    types.modules.parts.contains(&part)
        && (!is_inbound || members.any(|member| inbound_part(&member.shape) == Some(part)))
}

/// The part by which a client takes what its server sends in this way: none for answers, which its calls take.
fn inbound_part<A>(shape: &Shape<A>) -> Option<Part> {
    match shape {
        Shape::OneWay | Shape::Acknowledged => Some(Part::InboundMessages),
        Shape::Call(_) => Some(Part::InboundCalls),
        Shape::Answer => None,
    }
}

/// Whether a client sends messages that may be dropped, rather than hold it up.
fn sends_droppable(plan: &Plan<'_>) -> bool {
    let members = &plan.envelope(Direction::ClientToServer).members;
    members.iter().any(|member| {
        matches!(member.kind, MsgKind::State | MsgKind::Log | MsgKind::Metric)
            && matches!(member.shape, Shape::OneWay)
    })
}

/// Whether a message of either direction is acknowledged.
fn has_deliveries(plan: &Plan<'_>) -> bool {
    [Direction::ClientToServer, Direction::ServerToClient]
        .into_iter()
        .flat_map(|direction| &plan.envelope(direction).members)
        .any(|member| member.shape == Shape::Acknowledged)
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

/// Writes the methods that send the members of a direction.
pub(super) fn write_methods(
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

/// A constant of the messages' module, in the server's module too.
pub(super) fn in_scope(types: &Types<'_, '_>, constant: &str, out: &mut Writer) -> String {
    match types.messages_module() {
        None => constant.to_owned(),
        Some(module) => out.import(&module, constant),
    }
}

/// The type of what a member carries: `void` if that is nothing.
pub(super) fn content(
    types: &Types<'_, '_>,
    payload: Option<&TypeName>,
    out: &mut Writer,
) -> String {
    payload.map_or("void".to_owned(), |name| types.named(name, out))
}

/// The type of what is given to send a message.
pub(super) fn init(types: &Types<'_, '_>, payload: &TypeName, out: &mut Writer) -> String {
    let init = types.import_type("Init", out);
    format!("{init}<{}>", types.named(payload, out))
}

/// What there is to say of a handler.
pub(super) struct Handler<'h> {
    pub(super) about: &'h str,
    pub(super) name: String,
    /// The core's interface, without its parameters.
    pub(super) base: String,
    /// The class of the end of the connection that it is called with.
    pub(super) end: String,
}

/// Writes the interface of what handles the members of a direction.
pub(super) fn write_handler(
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
fn answer(
    types: &Types<'_, '_>,
    call: &Call<crate::plan::AnswerPlan<'_>>,
    out: &mut Writer,
) -> String {
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
