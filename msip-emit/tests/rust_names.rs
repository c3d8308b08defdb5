//! The rules that Rust adds to a schema, and the texts in which they are reported.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

// The little language in which msip-schema's own tests write schemas.
#[path = "../../msip-schema/src/check/tests/source.rs"]
mod source;

use msip_emit::rust;
use msip_schema as model;
use source::parse;

/// A name for the snapshot, and the source.
const CASES: &[(&str, &str)] = &[
    (
        "name-collision-members",
        "package p;
ClientToServer { A fooBar = 1; A foo_bar = 2; A foo1 = 3; A foo_1 = 4; }
ServerToClient { A close = 1; A send_close = 2; A go = 3; A try_go = 4; A stop_req = 5; A try_stop_req = 6; }",
    ),
    (
        "name-collision-types",
        "package p;
ClientToServer { A a = 1; } ServerToClient { A b = 1; }
message FooBar { int32 user_name = 1; int32 userName = 2; Colour tint = 3; Colour set_tint = 4; }
message Foo_bar { oneof how { int32 by_id = 1; int32 byId = 2; } int32 How = 3; }
enum Colour { COLOUR_RED = 0; RED = 1; }",
    ),
    (
        "reserved-name-handlers",
        "package p;
ClientToServer { A clientConnected = 1; A connected = 2; }
ServerToClient { A connect_failure = 1; A client_gone = 2; }",
    ),
    (
        "reserved-name-types",
        "package p;
ClientToServer { A a = 1; } ServerToClient { A b = 1; }
message Send_client_to_server {}
message ClientToServer {}
message p.Inner.HandleClientToServer {}
message other.HandleClientToServer {}",
    ),
];

fn rendered(text: &str) -> String {
    let (sources, draft) = parse(text);
    sources.render_all(&draft.check_with(rust::check).expect_err("a mistake"))
}

#[test]
fn each_mistake_is_reported_in_full() {
    for (name, text) in CASES {
        insta::assert_snapshot!(*name, rendered(text), text);
    }
}

#[test]
fn mistakes_are_sorted_among_those_of_the_schema() {
    let text = "package p;
ClientToServer { A fooBar = 1; A foo_bar = 1; }
ServerToClient { A connected = 0; }
message A { int32 _ = 1; int32 userName = 2; int32 user_name = 3; }";
    let (sources, draft) = parse(text);
    let mistakes = draft.check_with(rust::check).expect_err("mistakes");
    let lines: Vec<String> = mistakes
        .iter()
        .map(|mistake| sources.one_line(mistake))
        .collect();
    let expected = [
        "chat.proto:2:34: error[name-collision]",
        "chat.proto:2:44: error[duplicate-number]",
        "chat.proto:3:20: error[reserved-name]",
        "chat.proto:3:32: error[number-out-of-range]",
        "chat.proto:4:19: error[invalid-name]",
        "chat.proto:4:52: error[name-collision]",
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{expected} in {lines:#?}");
    }
}

#[test]
fn other_languages_may_use_the_names() {
    for (name, text) in CASES {
        let (_, draft) = parse(text);
        assert!(draft.check().is_ok(), "{name} is a mistake in Rust only");
    }
}
