//! Whatever a request says, it is translated or refused.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use msip_schema::TypeName;
use proptest::prelude::*;

use super::{Caller, query};
use crate::ProtocolModel;

const PROTO: &str = r#"
    syntax = "proto3";
    package shop;
    import "google/protobuf/timestamp.proto";
    import "google/protobuf/wrappers.proto";
    message ClientToServer { oneof messages { FindReq find_req = 1; } }
    message ServerToClient { oneof messages { FindRsp find_rsp = 1; } }
    message FindReq {
      string name = 1;
      repeated int64 numbers = 2;
      bool only_new = 3;
      Place near = 4;
      Colour colour = 5;
      map<string, string> tags = 6;
      google.protobuf.Timestamp since = 7;
      google.protobuf.BoolValue maybe = 8;
      repeated Place places = 9;
      double price = 10;
    }
    message Place { double lat = 1; Place next = 2; }
    enum Colour { RED = 0; GREEN = 1; }
    message FindRsp {}
"#;

static SHOP: LazyLock<ProtocolModel> =
    LazyLock::new(|| ProtocolModel::from_proto_text(PROTO).unwrap());

/// What a query makes, as the message would be sent and read again.
fn read(query: &str) -> Result<String, String> {
    let uri: Uri = format!("/v1/shop/find_req?{query}")
        .parse()
        .map_err(|_| "no URL".to_owned())?;
    let name = TypeName::new("shop.FindReq");
    let parameters = query::parameters(&uri).map_err(|error| error.to_string())?;
    let json = query::message_of(SHOP.schema(), &name, &parameters);
    let json = json.map_err(|error| error.to_string())?;
    let operation = SHOP.operation("find_req").unwrap();
    let protobuf = operation.request_of(&json, 10_000);
    let protobuf = protobuf.map_err(|error| error.to_string())?;
    let json = SHOP.message(&name).unwrap().to_json(&protobuf).unwrap();
    Ok(String::from_utf8(json).unwrap())
}

#[test]
fn a_query_is_read_by_the_types_of_its_fields() {
    for (query, message) in [
        ("", "{}"),
        ("name=a%20b&price=1.5", r#"{"name":"a b","price":1.5}"#),
        ("name=5&name_of=", "no such field"),
        ("numbers=1&numbers=-2", r#"{"numbers":["1","-2"]}"#),
        ("only_new=true&onlyNew=true", "it comes twice"),
        ("onlyNew=true", r#"{"onlyNew":true}"#),
        ("onlyNew=yes", "not so"),
        (
            "near.lat=52.5&near.next.lat=1",
            r#"{"near":{"lat":52.5,"next":{"lat":1.0}}}"#,
        ),
        ("near=", r#"{"near":{}}"#),
        ("near.lat.x=1", "only the fields of a single message"),
        ("near=1", "not so"),
        ("places.lat=1", "only the fields of a single message"),
        ("colour=GREEN", r#"{"colour":"GREEN"}"#),
        ("colour=1", r#"{"colour":"GREEN"}"#),
        ("colour=BLUE", "expected a value of its enum"),
        ("tags=a", "a map cannot be written"),
        ("tags.a=b", "only the fields of a single message"),
        (
            "since=2026-11-29T18:20:00Z",
            r#"{"since":"2026-11-29T18:20:00Z"}"#,
        ),
        ("since=yesterday", "since"),
        ("maybe=false", r#"{"maybe":false}"#),
        ("numbers=x", "numbers"),
        ("=", "no such field"),
        ("..=", "no such field"),
    ] {
        match read(query) {
            Ok(json) => assert_eq!(json, message, "{query}"),
            Err(error) => assert!(error.contains(message), "{query}: {error}"),
        }
    }
    let deep = format!("near.{}lat=1", "next.".repeat(20));
    assert!(read(&deep).unwrap_err().contains("single message"));
    let many = "numbers=1&".repeat(300);
    assert!(
        read(&many)
            .unwrap_err()
            .contains("more than 256 parameters")
    );
}

proptest! {
    #[test]
    fn any_query_is_read_or_refused(query in "[a-z_.=&%0-9A-Z+]{0,80}") {
        let _ = read(&query);
    }

    #[test]
    fn queries_of_known_names_are_read_or_refused(
        parts in prop::collection::vec(("(name|numbers|near|near\\.lat|near\\.next|colour|tags|since|places|price)", "[a-zA-Z0-9.+-]{0,8}"), 0..8)
    ) {
        let parts = parts.iter().map(|(name, value)| format!("{name}={value}"));
        let _ = read(&parts.collect::<Vec<_>>().join("&"));
    }

    #[test]
    fn any_body_is_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = SHOP.operation("find_req").unwrap().request_of(&body, 1000);
    }

    #[test]
    fn any_headers_are_read_or_refused(
        value in prop::collection::vec(any::<u8>(), 0..100),
        name in "(authorization|grpc-timeout|msip-session|msip-x|traceparent|x-correlation-id|[a-z-]{1,10})",
    ) {
        let mut headers = HeaderMap::new();
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(&value)) {
            headers.insert(name, value);
            let _ = Caller::of(&headers);
        }
    }
}
