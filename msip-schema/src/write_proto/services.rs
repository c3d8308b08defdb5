//! The services of a file: calls whose request is a stream, which no option says.

use super::{EMPTY, Scope, Text};
use crate::{Direction, Envelope, Exchange, Payload, TypeName, names};

impl Scope<'_> {
    /// One service for each direction that has such a call: members of the two may have one name.
    pub(super) fn write_services(&self, out: &mut Text) {
        for direction in [Direction::ClientToServer, Direction::ServerToClient] {
            let methods = self.methods(self.schema.envelope(direction));
            if methods.is_empty() {
                continue;
            }
            out.blank();
            let name = self.unused(format!("{}Streams", direction.envelope_name()));
            out.block(&format!("service {name}"), |out| {
                for method in &methods {
                    out.line(method);
                }
            });
        }
    }

    fn methods(&self, envelope: &Envelope) -> Vec<String> {
        let answers = self.schema.envelope(envelope.direction.reverse());
        let calls = envelope.members.iter().filter_map(|member| {
            let Exchange::Call {
                response,
                request_stream: true,
                response_stream,
            } = &member.exchange
            else {
                return None;
            };
            let name = names::upper_camel(&member.name);
            let request = full_name(&member.payload);
            let answer = full_name(&answers.member(response)?.payload);
            let stream = if *response_stream { "stream " } else { "" };
            Some(format!(
                "rpc {name}(stream {request}) returns ({stream}{answer});"
            ))
        });
        calls.collect()
    }

    /// A name that no type and no value of the package has.
    fn unused(&self, mut name: String) -> String {
        let is_taken = |name: &str| {
            self.schema.types().iter().any(|(ty, definition)| {
                let is_value = match definition {
                    crate::TypeDef::Enum(ty) => ty.values.iter().any(|value| value.name == name),
                    crate::TypeDef::Message(_) => false,
                };
                is_value || ty.short() == name
            })
        };
        // Ends: each round makes the name longer, and only finitely many names are taken.
        while is_taken(&name) {
            name.push_str("Service");
        }
        name
    }
}

/// A payload by its full name, since a method may be called like its message.
fn full_name(payload: &Payload) -> String {
    match payload {
        Payload::Message(name) => format!(".{name}"),
        Payload::Empty => format!(".{}", TypeName::new(EMPTY)),
    }
}

#[cfg(test)]
mod tests {
    use crate::check::tests::schema;

    #[test]
    fn streams_of_requests_are_said_in_services() {
        let schema = schema(
            "package p;
            ClientToServer { Put put = 1; Talk talk_req = 2; Watch watch_req = 3 [reply = STREAM]; }
            ServerToClient { Empty done = 1; Talked talk_rsp = 2; News watch_rsp = 3; Ask put = 4; }
            message ClientToServerStreams { ClientToServerStreams one = 1; }
            message Put { ClientToServerStreams one = 1; }
            rpc Put(stream Put) returns (Empty);
            rpc Talk(stream Talk) returns (stream Talked);",
        );
        let text = schema.to_proto().expect("one package");
        let (_, services) = text.split_once("\nservice ").expect("a service");
        assert_eq!(
            services,
            "ClientToServerStreamsService {
  rpc Put(stream .p.Put) returns (.google.protobuf.Empty);
  rpc TalkReq(stream .p.Talk) returns (stream .p.Talked);
}
"
        );
        assert!(
            text.contains("Talk talk_req = 2 [(msip.reply) = STREAM];"),
            "{text}"
        );
        assert!(
            text.contains("Watch watch_req = 3 [(msip.reply) = STREAM];"),
            "{text}"
        );
    }
}
