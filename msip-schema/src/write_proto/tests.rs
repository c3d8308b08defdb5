//! Schemas as text. That the text compiles to the same schema is tested where a parser is.

use crate::check::tests::schema;
use crate::{TypeName, Types};

fn written(text: &str) -> String {
    schema(text)
        .to_proto()
        .expect("all types are in the package")
}

#[test]
fn a_schema_reads_as_if_a_person_had_written_it() {
    let text = written(
        r#"/A small chat./
        package chat;
        /What a client may say./
        ClientToServer {
            /Enters./ ConnectReq connect_req = 1 [timeout_ms = 500];
            Empty leave_ind = 2;
        }
        ServerToClient { ConnectRsp connect_rsp = 1; }
        /Asks to enter./
        message ConnectReq { /Who./ string user = 1; optional int32 age = 2; map<string, int64> marks = 3; }
        message ConnectRsp { oneof how { string text = 1; Mood mood = 2; } repeated Mood moods = 4; }
        enum Mood { MERRY = 1; UNKNOWN = 0; }"#,
    );
    insta::assert_snapshot!("chat.proto", text);
}

#[test]
fn deprecated_items_and_comments_of_oneofs_are_written() {
    let text = written(
        "package p;
        ClientToServer { Old old_ind = 1 [deprecated = true]; Old get_req = 2 [deprecated = true, timeout_ms = 5]; }
        ServerToClient { New get_rsp = 1; }
        deprecated message Old { deprecated int32 a = 1; }
        message New { /Which./ oneof how { deprecated int32 c = 1; Mood mood = 2; } }
        deprecated enum Mood { FAIR = 0; deprecated MERRY = 1; }",
    );
    insta::assert_snapshot!("deprecated.proto", text);
}

#[test]
fn lists_that_are_not_packed_are_written() {
    let text = written(
        "package p; ClientToServer { M m_ind = 1; } ServerToClient { M m_ind = 1; }
        message M { repeated int32 a = 1; expanded repeated int32 b = 2; deprecated expanded repeated int32 c = 3; }",
    );
    for line in [
        "repeated int32 a = 1;",
        "repeated int32 b = 2 [packed = false];",
        "repeated int32 c = 3 [packed = false, deprecated = true];",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
}

#[test]
fn options_are_written_where_names_do_not_say_it() {
    for (member, expected) in [
        ("M a_req = 1;", "M a_req = 1;"),
        ("M a_req = 1 [reply = NONE];", "M a_req = 1;"),
        (
            "M a_ind = 1 [kind = STATE, key = \"k\"];",
            "M a_ind = 1 [(msip.kind) = STATE, (msip.key) = \"k\"];",
        ),
        (
            "M a_ind = 1 [code = \"say-hello\"];",
            "M a_ind = 1 [(msip.code) = \"say-hello\"];",
        ),
        ("M a_state = 1 [kind = STATE];", "M a_state = 1;"),
        (
            "M a_ind = 1 [reply = ACK];",
            "M a_ind = 1 [(msip.reply) = ACK];",
        ),
        ("M b_req = 1;", "M b_req = 1;"),
        (
            "M b_req = 1 [reply = NONE];",
            "M b_req = 1 [(msip.reply) = NONE];",
        ),
        (
            "M b_req = 1 [response = \"c\"];",
            "M b_req = 1 [(msip.response) = \"c\"];",
        ),
        (
            "M ask = 1 [response = \"c\", urgent = true, idempotent = true];",
            "M ask = 1 [(msip.response) = \"c\", (msip.urgent) = true, (msip.idempotent) = true];",
        ),
        (
            "M b_req = 1 [request = STREAM];",
            "M b_req = 1 [(msip.request) = STREAM];",
        ),
        (
            "M ask = 1 [request = STREAM, reply = STREAM, response = \"c\"];",
            "M ask = 1 [(msip.request) = STREAM, (msip.reply) = STREAM, (msip.response) = \"c\"];",
        ),
        (
            "M a_ind = 1 [compress = false];",
            "M a_ind = 1 [(msip.compress) = false];",
        ),
    ] {
        let text = written(&format!(
            "package p; ClientToServer {{ {member} }} ServerToClient {{ M b_rsp = 1; M c = 2; }} message M {{ string k = 1; }}"
        ));
        let mut lines = text.lines().map(str::trim);
        let line = lines.find(|line| line.starts_with("M "));
        assert_eq!(line, Some(expected), "{member}");
        let imports = text.contains("import \"msip/options.proto\";");
        assert_eq!(imports, expected.contains("msip."), "{member}");
    }
}

#[test]
fn types_that_a_name_could_hide_are_named_in_full() {
    let text = written(
        "package acme.Thing; ClientToServer { Thing a = 1; } ServerToClient { Thing b = 1; } message Thing { Thing inner = 1; }",
    );
    assert!(text.contains("    .acme.Thing.Thing a = 1;"), "{text}");
}

#[test]
fn types_of_other_packages_fit_into_no_file() {
    let schema = schema(
        "package p; ClientToServer { M a = 1; } ServerToClient { M b = 1; } message M { string k = 1; }",
    );
    let mut types: Types = schema.types().clone();
    let message = types.values().next().expect("one").clone();
    types.insert(TypeName::new("other.M"), message);
    assert_eq!(schema.with_types(types).to_proto(), None);
}
