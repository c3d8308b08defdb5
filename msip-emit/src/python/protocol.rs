//! The protocol of a module: its members, and the classes of its two sides.

use msip_schema::compare::Description;
use msip_schema::{Compression, Direction, Schema};

use super::doc::docstring;
use super::module::{LINE_LEN, Module, literal};
use super::names;
use crate::Protocol;
use crate::plan::{Call, EnvelopePlan, MemberPlan, Plan, Shape};
use crate::rust::Sides;

/// The names of a protocol's classes.
pub(super) struct ProtocolNames {
    /// What they begin with.
    pub(super) prefix: String,
    /// The constant of the protocol.
    pub(super) constant: String,
    client_to_server: Vec<String>,
    server_to_client: Vec<String>,
}

/// What the names of the classes end with.
const CLIENT_CLASSES: &[&str] = &["Client", "SyncClient", "ClientHandler"];
const SERVER_CLASSES: &[&str] = &["Peer", "ServerHandler", "Broadcast", "Server"];

impl ProtocolNames {
    pub(super) fn new(module: &Module<'_, '_>, plan: &Plan<'_>) -> Self {
        let taken = &module.package.taken;
        let is_free = |prefix: &str| {
            let mut classes = CLIENT_CLASSES.iter().chain(SERVER_CLASSES);
            !taken.contains(&names::constant(prefix))
                && classes.all(|class| !taken.contains(&format!("{prefix}{class}")))
        };
        let prefix = names::protocol_prefix(plan.schema.package(), is_free);
        let mut constants = taken.clone();
        let mut members = |direction, prefix: &str| {
            let members = plan.envelope(direction).members.iter();
            let named = members.map(|member| {
                let constant = format!(
                    "{prefix}{}",
                    names::constant(member.name).trim_start_matches('_')
                );
                let constant = names::module_name(&constant, &constants);
                constants.insert(constant.clone());
                constant
            });
            named.collect()
        };
        let client_to_server = members(Direction::ClientToServer, "_TO_SERVER_");
        let server_to_client = members(Direction::ServerToClient, "_TO_CLIENT_");
        Self {
            constant: names::constant(&prefix),
            prefix,
            client_to_server,
            server_to_client,
        }
    }

    fn members(&self, direction: Direction) -> &[String] {
        match direction {
            Direction::ClientToServer => &self.client_to_server,
            Direction::ServerToClient => &self.server_to_client,
        }
    }

    /// The classes that are written for these sides.
    pub(super) fn classes(&self, sides: Sides) -> Vec<String> {
        let client = CLIENT_CLASSES.iter().filter(|_| sides != Sides::Server);
        let server = SERVER_CLASSES.iter().filter(|_| sides != Sides::Client);
        client
            .chain(server)
            .map(|class| format!("{}{class}", self.prefix))
            .collect()
    }
}

/// How methods are written: for a task, or for a thread.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Async,
    Sync,
}

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
    fn payload(&mut self, payload: Option<&msip_schema::TypeName>) -> Option<String> {
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

    /// A class whose methods send the members of one direction.
    fn sender(
        &mut self,
        protocol: &ProtocolNames,
        envelope: &EnvelopePlan<'_>,
        suffix: &str,
        base: &str,
        style: Style,
    ) {
        self.part();
        self.out
            .line(format_args!("class {}{suffix}({base}):", protocol.prefix));
        self.out.indent();
        let doc = match (suffix, style) {
            ("Peer", _) => "A client, as the server sees it: sends what the server may send.",
            (_, Style::Async) => "The side that connects: sends what a client may send.",
            (_, Style::Sync) => {
                "The side that connects, for programs without asyncio: its methods block."
            }
        };
        docstring(envelope.doc, &[doc], &mut self.out);
        if suffix != "Peer" {
            self.out.separate();
            self.out
                .line(format_args!("protocol = {}", protocol.constant));
        }
        if style == Style::Sync {
            self.out
                .line(format_args!("client_type = {}Client", protocol.prefix));
        }
        for (member, constant) in envelope
            .members
            .iter()
            .zip(protocol.members(envelope.direction))
        {
            if member.shape != Shape::Answer {
                self.send_method(member, constant, style);
            }
        }
        self.out.dedent();
    }

    fn deprecated_method(&mut self, member: &MemberPlan<'_>) {
        if member.deprecated {
            self.plain("msip.message");
            self.out
                .line("@msip.message.deprecated(\"deprecated in the schema\")");
        }
    }

    fn send_method(&mut self, member: &MemberPlan<'_>, constant: &str, style: Style) {
        let name = names::method_name(member.name);
        let message = self.payload(member.payload);
        let notes: &[&str] = if member.deprecated {
            &["Deprecated."]
        } else {
            &[]
        };
        let (def, wait) = match style {
            Style::Async => ("async def", "await "),
            Style::Sync => ("def", ""),
        };
        self.out.separate();
        self.deprecated_method(member);
        let timeout = "timeout: float | None = msip.DEFAULT";
        let metadata = "metadata: msip.Metadata | None = None";
        let Shape::Call(call) = &member.shape else {
            let (parameter, argument) = parameter("message", message.as_deref());
            self.out.line(format_args!(
                "{def} {name}(self, {parameter}*, {metadata}) -> None:"
            ));
            self.out.indent();
            docstring(member.doc, notes, &mut self.out);
            self.out.line(format_args!(
                "{wait}self._send({constant}, {argument}, metadata)"
            ));
            self.out.dedent();
            return;
        };
        let answer = self
            .payload(call.answer.payload)
            .unwrap_or_else(|| "None".to_owned());
        let (parameter, argument) = if call.request_stream {
            let item = message.as_deref().unwrap_or("None");
            self.plain("collections.abc");
            let ty = match style {
                Style::Async => {
                    format!(
                        "collections.abc.AsyncIterable[{item}] | collections.abc.Iterable[{item}]"
                    )
                }
                Style::Sync => format!("collections.abc.Iterable[{item}]"),
            };
            (format!("requests: {ty}, "), "requests")
        } else {
            parameter("request", message.as_deref())
        };
        let function = match (call.request_stream, call.response_stream) {
            (false, false) => "_call",
            (false, true) => "_call_stream",
            (true, false) => "_send_stream",
            (true, true) => "_call_both",
        };
        let parameters = format!("self, {parameter}*, {timeout}, {metadata}");
        if call.response_stream {
            let stream = match style {
                Style::Async => "msip.ResponseStream",
                Style::Sync => "msip.SyncResponseStream",
            };
            self.signature("def", &name, &parameters, &format!("{stream}[{answer}]"));
            self.out.indent();
            docstring(member.doc, notes, &mut self.out);
            self.out.line(format_args!(
                "answers: {stream}[{answer}] = self.{function}({constant}, {argument}, timeout, metadata)"
            ));
            self.out.line("return answers");
        } else {
            self.signature(def, &name, &parameters, &answer);
            self.out.indent();
            docstring(member.doc, notes, &mut self.out);
            let call = format!("{wait}self.{function}({constant}, {argument}, timeout, metadata)");
            if answer == "None" {
                self.out.line(call);
            } else {
                self.out.line(format_args!("answer: {answer} = {call}"));
                self.out.line("return answer");
            }
        }
        self.out.dedent();
    }

    /// The head of a method, over several lines where it is long.
    fn signature(&mut self, def: &str, name: &str, parameters: &str, returns: &str) {
        let line = format!("{def} {name}({parameters}) -> {returns}:");
        if line.len() + 4 <= LINE_LEN {
            self.out.line(line);
            return;
        }
        self.out.line(format_args!("{def} {name}("));
        self.out.line(format_args!("    {parameters}"));
        self.out.line(format_args!(") -> {returns}:"));
    }

    /// The class that handles the members of one direction.
    fn handler(&mut self, envelope: &EnvelopePlan<'_>, class: &str, base: &str, other: &str) {
        self.part();
        self.out
            .line(format_args!("class {class}({base}[{other}]):"));
        self.out.indent();
        let doc = match envelope.direction {
            Direction::ClientToServer => {
                "Handles what clients send: a method for each message, abstract for calls."
            }
            Direction::ServerToClient => {
                "Handles what the server sends: a method for each message, abstract for calls."
            }
        };
        docstring(doc, &[], &mut self.out);
        for member in &envelope.members {
            self.handle_method(member, other);
        }
        self.out.dedent();
    }

    fn handle_method(&mut self, member: &MemberPlan<'_>, other: &str) {
        let name = names::handler_name(member.name);
        let message = self.payload(member.payload);
        let context = format!("context: msip.Context[{other}]");
        let call = match &member.shape {
            Shape::Answer => return,
            Shape::OneWay | Shape::Acknowledged => {
                let (parameter, _) = parameter("message", message.as_deref());
                self.out.separate();
                self.out.line(format_args!(
                    "async def {name}(self, {parameter}{context}) -> None:"
                ));
                self.out.indent();
                docstring(member.doc, &[], &mut self.out);
                if crate::write::is_blank(member.doc) {
                    self.out.line("return");
                }
                self.out.dedent();
                return;
            }
            Shape::Call(call) => call,
        };
        let answer = self
            .payload(call.answer.payload)
            .unwrap_or_else(|| "None".to_owned());
        let parameter = if call.request_stream {
            let item = message.as_deref().unwrap_or("None");
            self.plain("collections.abc");
            format!("requests: collections.abc.AsyncIterator[{item}], ")
        } else {
            parameter("request", message.as_deref()).0
        };
        self.plain("abc");
        let (def, returns) = if call.response_stream {
            self.plain("collections.abc");
            ("def", format!("collections.abc.AsyncIterator[{answer}]"))
        } else {
            ("async def", answer)
        };
        self.out.separate();
        self.out.line("@abc.abstractmethod");
        self.signature(def, &name, &format!("self, {parameter}{context}"), &returns);
        self.out.indent();
        docstring(member.doc, &[], &mut self.out);
        self.out.line("raise NotImplementedError");
        self.out.dedent();
    }

    fn broadcast(&mut self, protocol: &ProtocolNames, envelope: &EnvelopePlan<'_>) {
        self.part();
        self.out.line(format_args!(
            "class {}Broadcast(msip.Broadcast):",
            protocol.prefix
        ));
        self.out.indent();
        docstring(
            "Sends to many clients. Each method says to how many.",
            &[],
            &mut self.out,
        );
        for (member, constant) in envelope
            .members
            .iter()
            .zip(protocol.members(envelope.direction))
        {
            if member.shape != Shape::OneWay {
                continue;
            }
            let message = self.payload(member.payload);
            let (parameter, argument) = parameter("message", message.as_deref());
            self.out.separate();
            self.deprecated_method(member);
            let name = names::method_name(member.name);
            self.out.line(format_args!(
                "def {name}(self{}) -> int:",
                with_comma(&parameter)
            ));
            self.out.indent();
            docstring(member.doc, &[], &mut self.out);
            self.out.line(format_args!(
                "return self._send_all({constant}, {argument})"
            ));
            self.out.dedent();
        }
        self.out.dedent();
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

/// The parameter for a message, with a comma behind it, and the argument to pass on; none where nothing is carried.
fn parameter<'n>(name: &'n str, message: Option<&str>) -> (String, &'n str) {
    match message {
        Some(message) => (format!("{name}: {message}, "), name),
        None => (String::new(), "None"),
    }
}

/// A parameter behind `self`.
fn with_comma(parameter: &str) -> String {
    if parameter.is_empty() {
        String::new()
    } else {
        format!(", {}", parameter.trim_end_matches(", "))
    }
}
