//! The protocol of a module: its members, and the classes of its two sides.

use msip_schema::compare::Description;
use msip_schema::{Compression, Direction, Schema};

use super::doc::docstring;
use super::module::{Module, literal};
use super::names;
use super::protocol_names::ProtocolNames;
use super::sending::Style;
use crate::Protocol;
use crate::plan::{Call, MemberPlan, Plan, Shape};
use crate::rust::Sides;

pub(super) fn write(
    module: &mut Module<'_, '_>,
    protocol: &Protocol,
    plan: &Plan<'_>,
    sides: Sides,
) -> ProtocolNames {
    let protocol_names = ProtocolNames::new(module, plan);
    module.plain("msip");
    module.after_classes();
    for direction in [Direction::ClientToServer, Direction::ServerToClient] {
        for (member, constant) in plan
            .envelope(direction)
            .members
            .iter()
            .zip(protocol_names.members(direction))
        {
            module.member(member, constant);
        }
    }
    module.part();
    let constant = &protocol_names.constant;
    module.out.line(format_args!("{constant} = msip.Protocol("));
    module.out.indent();
    module
        .out
        .line(format_args!("name={},", literal(plan.schema.package())));
    module.out.line(format_args!(
        "fingerprint=0x{:016X},",
        protocol.schema.fingerprint()
    ));
    for (name, direction) in [
        ("client_to_server", Direction::ClientToServer),
        ("server_to_client", Direction::ServerToClient),
    ] {
        module.out.line(format_args!("{name}=("));
        module.out.indent();
        for member in protocol_names.members(direction) {
            module.out.line(format_args!("{member},"));
        }
        module.out.dedent();
        module.out.line("),");
    }
    module.description(&protocol.schema);
    module.out.dedent();
    module.out.line(")");
    let package = plan.schema.package();
    docstring(&format!("The protocol `{package}`."), &[], &mut module.out);
    let prefix = &protocol_names.prefix;
    let to_server = plan.envelope(Direction::ClientToServer);
    let to_client = plan.envelope(Direction::ServerToClient);
    if sides != Sides::Server {
        module.sender(
            &protocol_names,
            to_server,
            "Client",
            "msip.Client",
            Style::Async,
        );
        module.sender(
            &protocol_names,
            to_server,
            "SyncClient",
            "msip.SyncClient",
            Style::Sync,
        );
        module.handler(
            to_client,
            &format!("{prefix}ClientHandler"),
            "msip.ClientHandler",
            &format!("{prefix}Client"),
        );
    }
    if sides != Sides::Client {
        module.sender(
            &protocol_names,
            to_client,
            "Peer",
            "msip.Peer",
            Style::Async,
        );
        module.handler(
            to_server,
            &format!("{prefix}ServerHandler"),
            "msip.ServerHandler",
            &format!("{prefix}Peer"),
        );
        module.broadcast(&protocol_names, to_client);
        module.server(&protocol_names);
    }
    protocol_names
}

impl Module<'_, '_> {
    /// The class of what a member carries; `None` where that is nothing.
    pub(super) fn payload(&mut self, payload: Option<&msip_schema::TypeName>) -> Option<String> {
        payload.map(|name| self.class_path(name))
    }

    /// What a peer with another version of the schema is told of this one.
    fn description(&mut self, schema: &Schema) {
        let text = Description::of(schema).to_text();
        // As a peer will read it: within the limits, and of this fingerprint. Without one the peer is told so.
        let is_readable = Description::parse(text.as_bytes())
            .is_ok_and(|read| read.fingerprint() == schema.fingerprint());
        if !is_readable {
            return;
        }
        self.out.line("description=(");
        self.out.indent();
        for line in text.split_inclusive('\n') {
            self.out.line(literal(line));
        }
        self.out.dedent();
        self.out.line("),");
    }

    fn member(&mut self, member: &MemberPlan<'_>, constant: &str) {
        let message = self
            .payload(member.payload)
            .unwrap_or_else(|| "None".to_owned());
        let shape = match member.shape {
            Shape::OneWay => "ONE_WAY",
            Shape::Acknowledged => "ACKNOWLEDGED",
            Shape::Call(_) => "CALL",
            Shape::Answer => "ANSWER",
        };
        let mut arguments = vec![
            format!("name={}", literal(member.name)),
            format!("number={}", member.number),
            format!("message={message}"),
            format!("kind=msip.Kind.{}", member.kind.name()),
            format!("shape=msip.Shape.{shape}"),
        ];
        if member.shape != Shape::Answer {
            arguments.push(format!(
                "handler={}",
                literal(&names::handler_name(member.name))
            ));
        }
        if let Shape::Call(Call {
            answer,
            request_stream,
            response_stream,
        }) = &member.shape
        {
            arguments.push(format!("answer={}", answer.number));
            if *request_stream {
                arguments.push("request_stream=True".to_owned());
            }
            if *response_stream {
                arguments.push("response_stream=True".to_owned());
            }
        }
        if let Some(timeout) = member.time_limit() {
            arguments.push(format!("timeout={:?}", timeout.as_secs_f64()));
        }
        if member.urgent {
            arguments.push("urgent=True".to_owned());
        }
        if member.compress == Compression::Never {
            arguments.push("compress=False".to_owned());
        }
        if member.idempotent {
            arguments.push("idempotent=True".to_owned());
        }
        if let Some(key) = member.key.and_then(|key| key.field) {
            arguments.push(format!("key={}", key.number));
        }
        self.out.line(format_args!("{constant} = msip.Member("));
        self.out.indent();
        for argument in arguments {
            self.out.line(format_args!("{argument},"));
        }
        self.out.dedent();
        self.out.line(")");
    }

    fn server(&mut self, protocol: &ProtocolNames) {
        let prefix = &protocol.prefix;
        self.part();
        self.out.line(format_args!(
            "class {prefix}Server(msip.Server[{prefix}Peer]):"
        ));
        self.out.indent();
        docstring("The side that accepts.", &[], &mut self.out);
        self.out.separate();
        self.out
            .line(format_args!("protocol = {}", protocol.constant));
        self.out.line(format_args!("peer_type = {prefix}Peer"));
        self.out.separate();
        self.out
            .line(format_args!("def everyone(self) -> {prefix}Broadcast:"));
        self.out.indent();
        docstring("All clients that are connected.", &[], &mut self.out);
        self.out
            .line(format_args!("return {prefix}Broadcast(self)"));
        self.out.dedent();
        self.out.separate();
        self.out.line(format_args!(
            "def others(self, peer: {prefix}Peer) -> {prefix}Broadcast:"
        ));
        self.out.indent();
        docstring(
            "All clients that are connected, except this one.",
            &[],
            &mut self.out,
        );
        self.out
            .line(format_args!("return {prefix}Broadcast(self, peer)"));
        self.out.dedent();
        self.out.dedent();
    }
}
