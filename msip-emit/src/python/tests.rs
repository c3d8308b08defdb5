use msip_schema::{
    Cardinality, Code, Diagnostic, Draft, DraftEnvelope, DraftMember, EnumType, EnumValue, Field,
    FieldType, MemberOptions, MessageType, Oneof, Payload, Reply, Reserved, Span, Spanned, TypeDef,
    TypeName, Types,
};

use super::*;
use crate::{Protocol, SourceFile};

fn spanned<T>(value: T) -> Spanned<T> {
    Spanned::new(value, Span::NONE)
}

fn field(name: &str, number: u32, ty: FieldType, cardinality: Cardinality) -> Field {
    Field {
        name: name.to_owned(),
        json_name: None,
        number,
        ty,
        cardinality,
        oneof: None,
        expanded: false,
        doc: String::new(),
        deprecated: false,
        span: Span::NONE,
    }
}

fn member_of(oneof: &str, field: Field) -> Field {
    Field {
        oneof: Some(oneof.to_owned()),
        ..field
    }
}

fn message_type(name: &str) -> FieldType {
    FieldType::Message(TypeName::new(name))
}

fn message(package: &str, doc: &str, fields: Vec<Field>) -> TypeDef {
    TypeDef::Message(MessageType {
        package: package.to_owned(),
        doc: doc.to_owned(),
        fields,
        ..MessageType::default()
    })
}

fn value(name: &str, number: i32, doc: &str) -> EnumValue {
    EnumValue {
        name: name.to_owned(),
        number,
        doc: doc.to_owned(),
        deprecated: false,
        span: Span::NONE,
    }
}

/// Types of two packages, with a field of each kind.
fn types() -> Types {
    use Cardinality::{Implicit, Map, Optional, Repeated};
    let gear = TypeDef::Enum(EnumType {
        package: "fleet.v1".to_owned(),
        values: vec![
            value("GEAR_UNSPECIFIED", 0, ""),
            value("GEAR_HIGH", 2, "For the motorway."),
        ],
        deprecated: true,
        ..EnumType::default()
    });
    let drive = MessageType {
        package: "fleet.v1".to_owned(),
        doc: " Drives \"there\".\n\n Ends with a \\".to_owned(),
        fields: vec![
            Field {
                doc: "How fast.".to_owned(),
                ..field("speed", 1, FieldType::Sint32, Implicit)
            },
            Field {
                deprecated: true,
                ..field("class", 2, FieldType::String, Optional)
            },
            field("bytes", 3, FieldType::Bytes, Implicit),
            field(
                "gear",
                4,
                FieldType::Enum(TypeName::new("fleet.v1.Gear")),
                Implicit,
            ),
            field("stops", 5, message_type("geo.Point"), Repeated),
            field("hours", 6, FieldType::Double, Repeated),
            field(
                "by_name",
                7,
                message_type("geo.Point"),
                Map(FieldType::String),
            ),
            field("at", 8, message_type("google.protobuf.Timestamp"), Optional),
            member_of("way", field("text", 16, FieldType::String, Implicit)),
            member_of(
                "way",
                field("point", 17, message_type("geo.Point"), Optional),
            ),
        ],
        oneofs: vec![Oneof {
            name: "way".to_owned(),
            doc: "By which way.".to_owned(),
            span: Span::NONE,
        }],
        ..MessageType::default()
    };
    let point = message("geo", "", vec![field("x", 1, FieldType::Fixed64, Implicit)]);
    Types::from([
        (TypeName::new("fleet.v1.Drive"), TypeDef::Message(drive)),
        (TypeName::new("fleet.v1.Gear"), gear),
        (TypeName::new("geo.Point"), point),
    ])
}

fn member(name: &str, number: u32, payload: &str, options: MemberOptions) -> DraftMember {
    let payload = if payload.is_empty() {
        Payload::Empty
    } else {
        Payload::Message(TypeName::new(payload))
    };
    DraftMember {
        name: spanned(name.to_owned()),
        number: spanned(number),
        payload: spanned(payload),
        doc: String::new(),
        options,
    }
}

fn envelope(members: Vec<DraftMember>) -> DraftEnvelope {
    DraftEnvelope {
        span: Span::NONE,
        doc: String::new(),
        members,
        reserved: Reserved::default(),
    }
}

fn draft(client_to_server: Vec<DraftMember>, server_to_client: Vec<DraftMember>) -> Draft {
    Draft {
        package: spanned("fleet.v1".to_owned()),
        doc: "A fleet.".to_owned(),
        client_to_server: envelope(client_to_server),
        server_to_client: envelope(server_to_client),
        methods: Vec::new(),
        types: types(),
    }
}

/// A protocol with a member of each shape.
fn fleet() -> Draft {
    let drive = "fleet.v1.Drive";
    let stream = MemberOptions {
        reply: Some(spanned(Reply::Stream)),
        request_stream: Some(Span::NONE),
        ..MemberOptions::default()
    };
    let acknowledged = MemberOptions {
        reply: Some(spanned(Reply::Ack)),
        ..MemberOptions::default()
    };
    let keyed = MemberOptions {
        key: Some(spanned("class".to_owned())),
        deprecated: true,
        ..MemberOptions::default()
    };
    let plain = MemberOptions::default;
    draft(
        vec![
            member("drive_req", 1, drive, plain()),
            member("track_req", 2, drive, stream),
            member("close", 3, "", plain()),
            member("clock_ind", 4, "google.protobuf.Timestamp", acknowledged),
            member("drive_state", 5, drive, keyed),
        ],
        vec![
            member("drive_rsp", 1, "geo.Point", plain()),
            member("track_rsp", 2, "", plain()),
            member("stop_ind", 3, "", plain()),
        ],
    )
}

fn emitted(sides: Sides) -> Vec<OutputFile> {
    let schema = fleet().check().expect("the sketch is a schema");
    let file = |name: &str, package: &str| SourceFile {
        name: name.to_owned(),
        path: format!("proto/{name}"),
        package: package.to_owned(),
        is_input: true,
        ..SourceFile::default()
    };
    let compilation = Compilation {
        files: vec![file("geo.proto", "geo"), file("fleet.proto", "fleet.v1")],
        protocols: vec![Protocol { file: 1, schema }],
        types: types(),
    };
    Python::new()
        .sides(sides)
        .emit(&compilation)
        .expect("Python has no settings that can be wrong")
}

fn text(files: &[OutputFile], path: &str) -> String {
    let file = files
        .iter()
        .find(|file| file.path == path)
        .expect("the file is written");
    String::from_utf8(file.bytes.clone()).expect("Python is text")
}

#[test]
fn packages_are_folders() {
    let files = emitted(Sides::Both);
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let modules = ["fleet/v1/__init__.py", "geo/__init__.py"];
    assert_eq!(
        paths,
        [
            &modules[..],
            &["__init__.py", "fleet/__init__.py", "py.typed"]
        ]
        .concat()
    );
    insta::assert_snapshot!("between", text(&files, "fleet/__init__.py"));
}

#[test]
fn a_package_hides_no_module_of_python() {
    for (package, folder) in [
        ("queue", "queue_"),
        ("queue.v1", "queue_/v1"),
        ("shop.queue", "shop/queue"),
        ("msip.shop", "msip_/shop"),
        ("await.json", "await_/json"),
    ] {
        assert_eq!(super::layout::segments(package).join("/"), folder);
    }
}

#[test]
fn a_module_has_messages_and_the_classes_of_a_protocol() {
    let both = text(&emitted(Sides::Both), "fleet/v1/__init__.py");
    insta::assert_snapshot!("fleet", both);
    // One side has the same classes as both, and none of the other.
    let client = text(&emitted(Sides::Client), "fleet/v1/__init__.py");
    let server = text(&emitted(Sides::Server), "fleet/v1/__init__.py");
    for (class, is_of_client) in [
        ("Client", true),
        ("SyncClient", true),
        ("ClientHandler", true),
        ("Peer", false),
        ("ServerHandler", false),
        ("Broadcast", false),
        ("Server", false),
    ] {
        let head = format!("class Fleet{class}(");
        assert!(both.contains(&head), "{class}");
        assert_eq!(client.contains(&head), is_of_client, "{class}");
        assert_eq!(server.contains(&head), !is_of_client, "{class}");
    }
}

fn mistakes(client_to_server: &[&str], server_to_client: &[&str]) -> Vec<Diagnostic> {
    let members = |names: &[&str]| {
        let numbered = (1..).zip(names);
        let members =
            numbered.map(|(number, name)| member(name, number, "", MemberOptions::default()));
        members.collect::<Vec<_>>()
    };
    let draft = draft(members(client_to_server), members(server_to_client));
    draft.check_with(rules::check).err().unwrap_or_default()
}

#[test]
fn names_of_members_that_python_cannot_have_are_reported() {
    let found = mistakes(
        &["close", "send_close", "client_connected"],
        &["connected", "stop_ind"],
    );
    let found: Vec<_> = found
        .iter()
        .map(|mistake| (mistake.code, mistake.message.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            (
                Code::NAME_COLLISION,
                "`close` and `send_close` both become the method `send_close` in Python"
            ),
            (
                Code::RESERVED_NAME,
                "`client_connected` would be handled by `on_client_connected`, which the server's handler of Python has already"
            ),
            (
                Code::RESERVED_NAME,
                "`connected` would be handled by `on_connected`, which the client's handler of Python has already"
            ),
        ]
    );
    assert_eq!(mistakes(&["fooBar", "foo_bar", "match"], &["FooBar"]), []);
}
