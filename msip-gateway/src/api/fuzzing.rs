//! Any text as a request: what it asks for is translated or refused, never a panic, and what is translated can be read.

use std::sync::LazyLock;

use axum::{
    body::Body,
    extract::Request,
    http::{Method, header},
};
use msip_schema::{Direction, Payload};

use super::{BodyBudget, Caller, GatewayLimits, Hosts, body::read_json_body, query};
use crate::{GatewayError, ProtocolModel};

/// The largest body.
const MAX_BODY: usize = 4096;

/// The protocol of the service.
static MODEL: LazyLock<ProtocolModel> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/proto");
    let file = format!("{folder}/rest.proto");
    let models = ProtocolModel::from_protos(&[file.as_str()], &[folder]);
    let first = models.ok().and_then(|models| models.into_iter().next());
    first.unwrap_or_else(|| panic!("{file} compiles"))
});

/// A line with a method and a path, headers, an empty line, and a body.
pub fn http_request(input: &[u8]) {
    let _ = translate(input);
}

/// The protobuf of what it asks for, unless it is refused.
fn translate(input: &[u8]) -> Option<Vec<u8>> {
    let request = parse(input)?;
    let hosts = Hosts::default().host("api.example.org");
    if let Ok(host) = hosts.check_host(&request) {
        // Whichever it says, the rest is looked at.
        let _ = hosts.check_origin(request.headers(), host);
    }
    let caller = Caller::of(request.headers()).ok()?;
    assert!(caller.answer_headers().is_empty(), "nothing has answered");
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let operation = MODEL.operation(&path)?;
    let json = json_of(&path, request).ok()?;
    assert!(
        json.len() <= input.len().max(MAX_BODY) * 8,
        "{}",
        json.len()
    );
    let protobuf = operation.request_of(&json, MAX_BODY).ok()?;
    assert!(protobuf.len() <= MAX_BODY, "{}", protobuf.len());
    if let Some(message) = &operation.request.message {
        let read = message.to_json(&protobuf);
        assert!(read.is_ok(), "what was written is read: {read:?}");
    }
    Some(protobuf)
}

fn parse(input: &[u8]) -> Option<Request> {
    let end = input.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = match end {
        Some(end) => (input.get(..end)?, input.get(end + 2..)?),
        None => (input, &[][..]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let mut first = lines.next()?.splitn(2, |byte| *byte == b' ');
    let method = Method::from_bytes(first.next()?).ok()?;
    let mut request = Request::builder().method(method).uri(first.next()?);
    for line in lines.filter(|line| !line.is_empty()) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        request = request.header(parts.next()?, parts.next()?.trim_ascii());
    }
    request.body(Body::from(body.to_vec())).ok()
}

/// The message of a request, from its query or its body.
fn json_of(member: &str, request: Request) -> Result<Vec<u8>, GatewayError> {
    if request.method() == Method::GET {
        let parameters = query::parameters(request.uri())?;
        let schema = MODEL.schema();
        let member = schema.envelope(Direction::ClientToServer).member(member);
        return match member.map(|member| &member.payload) {
            Some(Payload::Message(name)) => query::message_of(schema, name, &parameters),
            _ => Ok(b"{}".to_vec()),
        };
    }
    let (mut head, body) = request.into_parts();
    let json = header::HeaderValue::from_static("application/json");
    head.headers.entry(header::CONTENT_TYPE).or_insert(json);
    let limits = GatewayLimits {
        max_body: MAX_BODY,
        ..GatewayLimits::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().build();
    let runtime = runtime.unwrap_or_else(|error| panic!("a runtime: {error}"));
    let budget = BodyBudget::new(MAX_BODY * 4);
    let reading = read_json_body(&head.headers, body, &budget, &limits);
    runtime.block_on(reading).map(|body| body.bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_corpus_and_mutations_of_it_violate_no_guarantee() {
        msip_replay::replay("http_request", super::http_request, 2000);
    }

    #[test]
    fn what_is_right_is_translated() {
        for (file, is_right) in [
            ("get", true),
            ("get_encoded", true),
            ("post", true),
            ("post_gzip", true),
            ("post_upload", true),
            ("headers", true),
            ("get_wrong", false),
            ("headers_wrong", false),
            ("post_bomb", false),
            ("post_deep", false),
            ("type", false),
        ] {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/http_request");
            let input = std::fs::read(format!("{folder}/{file}")).unwrap();
            assert_eq!(super::translate(&input).is_some(), is_right, "{file}");
        }
    }
}
