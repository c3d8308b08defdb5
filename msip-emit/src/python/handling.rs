//! The classes that handle what the other side sends.

use msip_schema::Direction;

use super::doc::docstring;
use super::module::Module;
use super::names;
use super::signature::parameter;
use crate::plan::{EnvelopePlan, MemberPlan, Shape};

impl Module<'_, '_> {
    /// The class that handles the members of one direction.
    pub(super) fn handler(
        &mut self,
        envelope: &EnvelopePlan<'_>,
        class: &str,
        base: &str,
        other: &str,
    ) {
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
}
