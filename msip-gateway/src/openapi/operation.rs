//! Paths: what a client may send, and the events that it may hear.

use msip_schema::{Direction, Exchange, Member, Schema, TypeName};
use serde_json::{Map, Value, json};

use super::{
    components::failures,
    parameters::query,
    words::{SCHEMAS, summary},
};
use crate::json_schema::{Definitions, payload_name};

/// What can be done at the path of a member; `None` for an answer, which nobody sends on its own.
pub(super) fn path_item(schema: &Schema, member: &Member) -> Option<Value> {
    let call = Call::of(schema, member)?;
    let mut item = Map::new();
    item.insert("post".to_owned(), call.operation(false));
    if member.no_side_effects && !call.request_stream {
        item.insert("get".to_owned(), call.operation(true));
    }
    Some(Value::Object(item))
}

struct Call<'a> {
    schema: &'a Schema,
    member: &'a Member,
    request_stream: bool,
    answer: Answer,
}

enum Answer {
    /// 202: nothing comes back.
    None,
    /// 204: it was handled.
    Acknowledgment,
    /// 200 with a message.
    Message(TypeName),
    /// 200 with events.
    Stream(TypeName),
}

impl<'a> Call<'a> {
    fn of(schema: &'a Schema, member: &'a Member) -> Option<Self> {
        let (request_stream, answer) = match &member.exchange {
            Exchange::OneWay => (false, Answer::None),
            Exchange::Acknowledged => (false, Answer::Acknowledgment),
            Exchange::Call {
                response,
                request_stream,
                response_stream,
            } => {
                let answer = schema
                    .envelope(Direction::ServerToClient)
                    .member(response)?;
                let name = payload_name(&answer.payload);
                let answer = if *response_stream {
                    Answer::Stream(name)
                } else {
                    Answer::Message(name)
                };
                (*request_stream, answer)
            }
            Exchange::Answer => return None,
        };
        Some(Self {
            schema,
            member,
            request_stream,
            answer,
        })
    }

    fn operation(&self, by_get: bool) -> Value {
        let (schema, member) = (self.schema, self.member);
        let mut operation = Map::new();
        let verb = if by_get { "get_" } else { "" };
        let id = format!("{}.{verb}{}", schema.package(), member.name);
        operation.insert("operationId".to_owned(), json!(id));
        operation.insert("tags".to_owned(), json!([schema.package()]));
        let doc = member.doc.trim();
        if let Some(summary) = summary(doc) {
            operation.insert("summary".to_owned(), json!(summary));
            operation.insert("description".to_owned(), json!(doc));
        }
        if member.deprecated {
            operation.insert("deprecated".to_owned(), json!(true));
        }
        let request = payload_name(&member.payload);
        let mut parameters = if by_get {
            query(schema.types(), &request)
        } else {
            Vec::new()
        };
        parameters.extend(shared_parameters());
        operation.insert("parameters".to_owned(), Value::Array(parameters));
        if !by_get {
            operation.insert("requestBody".to_owned(), self.request_body(&request));
        }
        operation.insert("responses".to_owned(), self.responses());
        Value::Object(operation)
    }

    fn request_body(&self, request: &TypeName) -> Value {
        let one = Definitions::new(self.schema.types(), SCHEMAS).of_type(request);
        if self.request_stream {
            json!({
                "required": true,
                "description": "One message on each line.",
                "content": { "application/x-ndjson": { "schema": { "type": "string" }, "x-msip-item": one } },
            })
        } else {
            json!({ "required": true, "content": { "application/json": { "schema": one } } })
        }
    }

    fn responses(&self) -> Value {
        let definitions = Definitions::new(self.schema.types(), SCHEMAS);
        let (status, success) = match &self.answer {
            Answer::None => (
                "202",
                json!({ "description": "It was taken over. Nothing answers it." }),
            ),
            Answer::Acknowledgment => ("204", json!({ "description": "It was handled." })),
            Answer::Message(name) => (
                "200",
                json!({
                    "description": "The answer.",
                    "content": { "application/json": { "schema": definitions.of_type(name) } },
                }),
            ),
            Answer::Stream(name) => (
                "200",
                json!({
                    "description": "The answers, each the data of an event, until `event: end` or `event: error`.",
                    "content": stream(definitions.of_type(name)),
                }),
            ),
        };
        let mut responses = Map::new();
        responses.insert(status.to_owned(), success);
        responses.extend(failures());
        Value::Object(responses)
    }
}

/// Server-sent events, of which each has such a message as its data.
fn stream(item: Value) -> Value {
    json!({ "text/event-stream": { "schema": { "type": "string" }, "x-msip-item": item } })
}

fn shared_parameters() -> Vec<Value> {
    ["Timeout", "CorrelationId", "Session"]
        .map(|name| json!({ "$ref": format!("#/components/parameters/{name}") }))
        .to_vec()
}

/// What the server sends on its own.
pub(super) fn events(schema: &Schema) -> Value {
    let definitions = Definitions::new(schema.types(), SCHEMAS);
    let server = schema.envelope(Direction::ServerToClient);
    let told = server
        .members
        .iter()
        .filter(|member| matches!(member.exchange, Exchange::OneWay | Exchange::Acknowledged));
    let mut list = String::new();
    let mut items = Vec::new();
    for member in told {
        let doc = summary(&member.doc).unwrap_or_default();
        list.push_str(&format!("\n- `{}`: {doc}", member.name));
        items.push(definitions.of_type(&payload_name(&member.payload)));
    }
    items.dedup();
    let item = if items.is_empty() {
        json!({})
    } else {
        json!({ "anyOf": items })
    };
    let description = if list.is_empty() {
        "The server sends nothing on its own.".to_owned()
    } else {
        format!(
            "What the server sends on its own, as server-sent events that are named as their messages. `event: lost` says that \
             some were lost, `event: error` ends the stream. A STATE that was cleared is `null`.\n{list}"
        )
    };
    let mut responses = Map::new();
    responses.insert(
        "200".to_owned(),
        json!({ "description": "Events, until one of both ends hangs up.", "content": stream(item) }),
    );
    responses.extend(failures());
    let mut parameters = vec![json!({ "$ref": "#/components/parameters/LastEventId" })];
    parameters.extend(
        ["CorrelationId", "Session"]
            .map(|name| json!({ "$ref": format!("#/components/parameters/{name}") })),
    );
    json!({
        "get": {
            "operationId": format!("{}.events", schema.package()),
            "tags": [schema.package()],
            "summary": "What the server sends on its own",
            "description": description,
            "parameters": parameters,
            "responses": responses,
        },
    })
}
