//! The classes that send: clients, peers, and broadcasts.

use super::doc::docstring;
use super::module::Module;
use super::names;
use super::protocol_names::ProtocolNames;
use super::signature::parameter;
use crate::plan::{EnvelopePlan, MemberPlan, Shape};

/// How methods are written: for a task, or for a thread.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Async,
    Sync,
}

impl Module<'_, '_> {
    /// A class whose methods send the members of one direction.
    pub(super) fn sender(
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

    pub(super) fn broadcast(&mut self, protocol: &ProtocolNames, envelope: &EnvelopePlan<'_>) {
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
}

/// A parameter behind `self`.
fn with_comma(parameter: &str) -> String {
    if parameter.is_empty() {
        String::new()
    } else {
        format!(", {}", parameter.trim_end_matches(", "))
    }
}
