use super::*;
use crate::check::tests::schema;

/// A schema with one of everything that the fingerprint covers or leaves out.
const SOURCE: &str = r#"package fleet.v1;
ClientToServer {
    Where where_req = 1;
    Door door_state = 2 [key = "id"];
    Note note = 3 [reply = ACK];
    Empty bye = 4;
}
ServerToClient {
    Place where_rsp = 1;
    Alarm alarm_event = 2;
}
message Where { string vehicle = 1; optional int32 within = 2; google.protobuf.Timestamp since = 3; }
message Place { oneof fix { double metres = 2; Mark mark = 4; } map<string, int64> tags = 7; bool old = 8; }
message Mark { repeated string words = 1; Mark next = 2; Colour colour = 3; }
message Door { int32 id = 1; Colour colour = 2; }
message Note { string text = 1; }
message Alarm { repeated Note notes = 1; }
enum Colour { NONE = 0; RED = 1; }"#;

fn fingerprint(text: &str) -> u64 {
    schema(text).fingerprint()
}

/// The source with one thing changed.
#[track_caller]
fn with(from: &str, to: &str) -> String {
    assert!(SOURCE.contains(from), "{from} is not in the source");
    SOURCE.replace(from, to)
}

#[test]
fn the_canonical_form_is_as_documented() {
    let schema = schema(SOURCE);
    insta::assert_snapshot!(schema.canonical_form());
    insta::assert_snapshot!("fingerprint", format!("{:016x}", schema.fingerprint()));
}

#[test]
fn the_test_vector_of_the_documentation_holds() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schema.md");
    let text = std::fs::read_to_string(path).expect("the documentation is there");
    let vector = |name: &str| {
        let (_, rest) = text
            .split_once(&format!("<!-- vector: {name} -->\n```text\n"))
            .expect("the vector is there");
        rest.split_once("```").expect("it ends").0.to_owned()
    };
    let schema = schema(
        "package chat;
        ClientToServer { ConnectReq connect_req = 1; MessageInd message_ind = 2; Empty leave_ind = 3; }
        ServerToClient { ConnectRsp connect_rsp = 1; MessageInd message_ind = 2; }
        message ConnectReq { string user = 1; }
        message ConnectRsp { repeated string users = 1; Mood mood = 2; }
        message MessageInd { string user = 1; string text = 2; MessageInd answers = 3; }
        enum Mood { MOOD_UNKNOWN = 0; MOOD_MERRY = 1; }",
    );
    assert_eq!(schema.canonical_form(), vector("canonical form"));
    assert_eq!(
        format!("{:016x}\n", schema.fingerprint()),
        vector("fingerprint")
    );
    let colours = Colours::of(schema.types());
    assert_eq!(enum_shape_of(&schema, "chat.Mood"), vector("shape of Mood"));
    let colour = |name: &str| format!("{}\n", colours.mention(&TypeName::new(name)));
    assert_eq!(colour("chat.Mood"), vector("colour of Mood"));
    assert_eq!(
        message_shape_of(&schema, &colours, "chat.ConnectRsp"),
        vector("shape of ConnectRsp")
    );
    assert_eq!(colour("chat.ConnectRsp"), vector("colour of ConnectRsp"));
    let description = crate::compare::Description::of(&schema);
    assert_eq!(description.to_text(), vector("description"));
}

fn enum_shape_of(schema: &Schema, name: &str) -> String {
    match schema.types().get(&TypeName::new(name)) {
        Some(TypeDef::Enum(ty)) => enum_shape(ty),
        other => panic!("{other:?}"),
    }
}

fn message_shape_of(schema: &Schema, colours: &Colours<'_>, name: &str) -> String {
    match schema.types().get(&TypeName::new(name)) {
        Some(TypeDef::Message(message)) => colours.message_shape(message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_on_the_wire_changes_nothing() {
    let fields = "string vehicle = 1; optional int32 within = 2;";
    for (what, text) in [
        (
            "order of members",
            with(
                "Note note = 3 [reply = ACK];\n    Empty bye = 4;",
                "Empty bye = 4; Note note = 3 [reply = ACK];",
            ),
        ),
        (
            "order of fields",
            with(fields, "optional int32 within = 2; string vehicle = 1;"),
        ),
        (
            "order of a oneof",
            with(
                "double metres = 2; Mark mark = 4;",
                "Mark mark = 4; double metres = 2;",
            ),
        ),
        (
            "order of values",
            with("NONE = 0; RED = 1;", "RED = 1; NONE = 0;"),
        ),
        ("name of a message", SOURCE.replace("Mark", "Flag")),
        ("name of an enum", SOURCE.replace("Colour", "Paint")),
        ("name of a oneof", with("oneof fix", "oneof position")),
        (
            "comment",
            with("message Note {", "/Noted./ message Note { /What./"),
        ),
        (
            "time limit",
            with(
                "where_req = 1",
                "where_req = 1 [timeout_ms = 10, idempotent = true]",
            ),
        ),
        (
            "urgency",
            with("bye = 4", "bye = 4 [urgent = true, compress = NEVER]"),
        ),
        ("key", with(" [key = \"id\"]", "")),
        (
            "kind said",
            with("alarm_event = 2", "alarm_event = 2 [kind = EVENT]"),
        ),
        (
            "response said",
            with("where_req = 1", "where_req = 1 [response = \"where_rsp\"]"),
        ),
        (
            "service",
            format!("{SOURCE} rpc Where(Where) returns (Place);"),
        ),
        (
            "unreached type",
            format!("{SOURCE} message Unreached {{ string x = 1; }}"),
        ),
    ] {
        assert_eq!(fingerprint(&text), fingerprint(SOURCE), "{what}");
    }
}

#[test]
fn packing_changes_nothing_since_both_are_read() {
    let text = "package p; ClientToServer { M m_ind = 1; } ServerToClient { M m_ind = 1; }
        message M { repeated int32 numbers = 1; }";
    let expanded = text.replace("repeated", "expanded repeated");
    assert_eq!(fingerprint(text), fingerprint(&expanded));
}

#[test]
fn what_is_on_the_wire_changes_it() {
    let mut seen = BTreeMap::from([(fingerprint(SOURCE), "the source")]);
    for (what, text) in [
        ("package", with("fleet.v1", "fleet.v2")),
        ("member name", with("Empty bye", "Empty farewell")),
        ("member number", with("bye = 4", "bye = 5")),
        (
            "member added",
            with("Empty bye = 4;", "Empty bye = 4; Empty hi = 5;"),
        ),
        (
            "direction",
            with("Empty bye = 4;\n}", "}").replace("Alarm alarm", "Empty bye = 4; Alarm alarm"),
        ),
        ("payload", with("Empty bye", "Where bye")),
        (
            "kind",
            with("alarm_event = 2", "alarm_event = 2 [kind = LOG]"),
        ),
        ("acknowledgment", with(" [reply = ACK]", "")),
        (
            "no pair",
            with("where_req = 1", "where_req = 1 [reply = NONE]"),
        ),
        (
            "another pair",
            with(
                "where_req = 1",
                "where_req = 1 [response = \"alarm_event\"]",
            ),
        ),
        ("field name", with("string vehicle", "string car")),
        ("field number", with("vehicle = 1", "vehicle = 9")),
        ("field type", with("string vehicle", "bytes vehicle")),
        ("presence", with("optional int32 within", "int32 within")),
        (
            "repetition",
            with("string vehicle", "repeated string vehicle"),
        ),
        ("map key", with("map<string,", "map<int32,")),
        ("map value", with("int64> tags", "bool> tags")),
        (
            "out of the oneof",
            with(
                "double metres = 2; Mark mark = 4; }",
                "double metres = 2; } Mark mark = 4;",
            ),
        ),
        (
            "another oneof",
            with(
                "double metres = 2; Mark mark = 4; }",
                "double metres = 2; } oneof b { Mark mark = 4; }",
            ),
        ),
        (
            "well-known type",
            with("google.protobuf.Timestamp", "google.protobuf.Duration"),
        ),
        (
            "well-known type of our own",
            with("google.protobuf.Timestamp", "Note"),
        ),
        ("deep inside", with("repeated string words", "string words")),
        ("recursion", with("Mark next = 2", "Note next = 2")),
        ("value name", with("RED = 1", "BLUE = 1")),
        ("value number", with("RED = 1", "RED = 2")),
        ("value added", with("RED = 1;", "RED = 1; ALIAS = 1;")),
    ] {
        if let Some(other) = seen.insert(fingerprint(&text), what) {
            panic!("{what} is the same as {other}");
        }
    }
}

/// Two messages of the same shape are equivalent to one that is used twice.
#[test]
fn sharing_makes_no_difference() {
    let apart = SOURCE.replace("Colour colour = 2;", "Paint colour = 2;")
        + "enum Paint { RED = 1; NONE = 0; }";
    assert_eq!(fingerprint(&apart), fingerprint(SOURCE));
    let unrolled = SOURCE.replace("Mark next = 2;", "Mark2 next = 2;")
        + "message Mark2 { repeated string words = 1; Mark next = 2; Colour colour = 3; }";
    assert_eq!(fingerprint(&unrolled), fingerprint(SOURCE));
}

/// A ring of messages, each in the one before it, of which one may differ.
fn ring(len: usize, odd: Option<usize>) -> u64 {
    let mut text =
        "package p; ClientToServer { M0 a = 1; } ServerToClient { Empty b = 1; }".to_owned();
    for index in 0..len {
        let extra = if odd == Some(index) {
            "bool odd = 2;"
        } else {
            ""
        };
        write!(
            text,
            "\nmessage M{index} {{ M{} next = 1; {extra} }}",
            (index + 1) % len
        )
        .unwrap();
    }
    fingerprint(&text)
}

#[test]
fn recursion_depends_on_structure_only() {
    assert_eq!(ring(1, None), ring(300, None), "all look alike");
    let odd: BTreeSet<_> = [None, Some(0), Some(1), Some(63), Some(64), Some(200)]
        .map(|odd| ring(300, odd))
        .into();
    assert_eq!(
        odd.len(),
        5,
        "beyond 64 steps it only matters that there is an odd one"
    );
}

/// Every field of every message mentions another message: 2^60 paths, and a ring.
#[test]
fn the_cost_is_polynomial() {
    let mut text =
        "package p; ClientToServer { M0 a = 1; } ServerToClient { Empty b = 1; }".to_owned();
    for index in 0..60 {
        write!(
            text,
            "\nmessage M{index} {{ M{0} a = 1; M{0} b = 2; }}",
            index + 1
        )
        .unwrap();
    }
    fingerprint(&format!("{text} message M60 {{ bool end = 1; }}"));
    fingerprint(&format!("{text} message M60 {{ M0 again = 1; }}"));
}
