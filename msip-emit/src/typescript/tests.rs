//! What is written, as snapshots, and what is reported. That it compiles and runs is tested in `tests/tests/languages`.

use msip_schema::{
    Cardinality, Code, Compression, Draft, DraftEnvelope, DraftMember, EnumType, EnumValue, Field,
    FieldType, MemberOptions, MessageType, Oneof, Payload, Reply, Reserved, Span, Spanned, TypeDef,
    TypeName, Types,
};

use super::names::{handler_name, method_name, property_name, type_name, value_prefix};
use super::*;
use crate::{Protocol, SourceFile};

fn field(name: &str, number: u32, ty: FieldType) -> Field {
    let cardinality = match ty {
        FieldType::Message(_) => Cardinality::Optional,
        _ => Cardinality::Implicit,
    };
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
        span: Span::new(number),
    }
}

fn many(mut field: Field, cardinality: Cardinality) -> Field {
    field.cardinality = cardinality;
    field
}

fn of_message(name: &str) -> FieldType {
    FieldType::Message(TypeName::new(name))
}

fn message(package: &str, fields: Vec<Field>) -> TypeDef {
    TypeDef::Message(MessageType {
        package: package.to_owned(),
        fields,
        ..MessageType::default()
    })
}

fn value(name: &str, number: i32) -> EnumValue {
    EnumValue {
        name: name.to_owned(),
        number,
        doc: String::new(),
        deprecated: false,
        span: Span::NONE,
    }
}

/// A message with every way to hold a value, its enum, and one of another package.
fn shelf_types() -> Types {
    let mut text = field("text", 20, FieldType::String);
    let mut picture = field("picture", 21, of_message("shop.v1.Shelf.Picture"));
    for member in [&mut text, &mut picture] {
        member.oneof = Some("content".to_owned());
        member.cardinality = Cardinality::Optional;
    }
    let mut label = field("label_text", 3, FieldType::String);
    label.json_name = Some("@label".to_owned());
    label.doc = " Of the kind `a/b`, see {@link} */ here.".to_owned();
    label.deprecated = true;
    let fields = vec![
        field("weight", 1, FieldType::Double),
        field("count", 2, FieldType::Sint64),
        label,
        field("raw", 4, FieldType::Bytes),
        field("is_open", 5, FieldType::Bool),
        field("color", 6, FieldType::Enum(TypeName::new("shop.v1.Color"))),
        many(field("note", 7, FieldType::Uint32), Cardinality::Optional),
        many(field("sizes", 8, FieldType::Fixed32), Cardinality::Repeated),
        many(field("names", 9, FieldType::String), Cardinality::Repeated),
        many(
            field("shelves", 10, of_message("shop.v1.Shelf")),
            Cardinality::Repeated,
        ),
        many(
            field("by_name", 11, of_message("shop.v1.Shelf.Picture")),
            Cardinality::Map(FieldType::String),
        ),
        many(
            field("by_number", 12, FieldType::Bool),
            Cardinality::Map(FieldType::Int32),
        ),
        field("place", 13, of_message("geo.Place")),
        field("since", 14, of_message("google.protobuf.Timestamp")),
        field("nick", 15, of_message("google.protobuf.StringValue")),
        field("to_string", 16, FieldType::String),
        text,
        picture,
    ];
    let TypeDef::Message(mut shelf) = message("shop.v1", fields) else {
        unreachable!("it is one");
    };
    shelf.doc = " What a shelf holds.".to_owned();
    shelf.oneofs = vec![Oneof {
        name: "content".to_owned(),
        doc: " What is on it.".to_owned(),
        span: Span::NONE,
    }];
    let color = EnumType {
        package: "shop.v1".to_owned(),
        doc: " A color.".to_owned(),
        values: vec![
            value("COLOR_NONE", 0),
            value("COLOR_RED", 3),
            value("COLOR_DARK", -1),
        ],
        ..EnumType::default()
    };
    Types::from([
        (TypeName::new("shop.v1.Shelf"), TypeDef::Message(shelf)),
        (
            TypeName::new("shop.v1.Shelf.Picture"),
            message("shop.v1", vec![]),
        ),
        (TypeName::new("shop.v1.Color"), TypeDef::Enum(color)),
        (TypeName::new("geo.Place"), message("geo", vec![])),
        (TypeName::new("geo.Unused"), message("geo", vec![])),
        (
            TypeName::new("google.protobuf.Timestamp"),
            message("google.protobuf", vec![]),
        ),
        (
            TypeName::new("google.protobuf.StringValue"),
            message("google.protobuf", vec![]),
        ),
    ])
}

fn source(package: &str, is_input: bool) -> SourceFile {
    SourceFile {
        name: format!("{package}.proto"),
        path: format!("proto/{package}.proto"),
        package: package.to_owned(),
        is_input,
        ..SourceFile::default()
    }
}

fn written(emitter: &TypeScript, compilation: &Compilation) -> Vec<(String, String)> {
    let files = emitter
        .emit(compilation)
        .expect("it has no settings that fail");
    let text = |file: OutputFile| (file.path, String::from_utf8(file.bytes).expect("text"));
    files.into_iter().map(text).collect()
}

#[test]
fn messages() {
    let compilation = Compilation {
        files: vec![source("geo", false), source("shop.v1", true)],
        types: shelf_types(),
        ..Compilation::default()
    };
    let files = written(&TypeScript::new(), &compilation);
    let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["geo.ts", "shop_v1.ts"]);
    assert!(!files[0].1.contains("Unused"), "nothing holds it");
    insta::assert_snapshot!(files[1].1);
}

fn spanned<T>(value: T) -> Spanned<T> {
    Spanned::new(value, Span::NONE)
}

fn member(name: &str, message: &str) -> DraftMember {
    let payload = match message {
        "" => Payload::Empty,
        name => Payload::Message(TypeName::new(name)),
    };
    DraftMember {
        name: spanned(name.to_owned()),
        number: spanned(0),
        payload: spanned(payload),
        doc: format!(" The member {name}."),
        options: MemberOptions::default(),
    }
}

fn with(mut member: DraftMember, set: impl FnOnce(&mut MemberOptions)) -> DraftMember {
    set(&mut member.options);
    member
}

fn envelope(mut members: Vec<DraftMember>) -> DraftEnvelope {
    for (number, member) in (1..).zip(&mut members) {
        member.number.value = number;
    }
    DraftEnvelope {
        span: Span::NONE,
        doc: String::new(),
        members,
        reserved: Reserved::default(),
    }
}

/// Every shape of a member.
fn shop() -> Draft {
    let streamed = |options: &mut MemberOptions| options.reply = Some(spanned(Reply::Stream));
    Draft {
        package: spanned("shop.v1".to_owned()),
        doc: String::new(),
        client_to_server: envelope(vec![
            with(member("find_req", "shop.v1.Item"), |options| {
                options.timeout_ms = Some(spanned(1500));
                options.urgent = Some(spanned(true));
                options.idempotent = Some(spanned(true));
                options.compress = Some(spanned(Compression::Never));
            }),
            with(member("watch_req", "shop.v1.Item"), streamed),
            with(member("fill_req", "shop.v1.Item"), |options| {
                options.request_stream = Some(Span::NONE);
            }),
            with(member("order", "geo.Place"), |options| {
                options.reply = Some(spanned(Reply::Ack));
            }),
            member("close", ""),
            member("look_rsp", ""),
        ]),
        server_to_client: envelope(vec![
            member("find_rsp", "shop.v1.Item"),
            member("watch_rsp", "shop.v1.Item"),
            member("fill_rsp", ""),
            member("look_req", ""),
            with(member("price_state", "shop.v1.Item"), |options| {
                options.key = Some(spanned("item_id".to_owned()));
                options.deprecated = true;
            }),
        ]),
        methods: Vec::new(),
        types: Types::from([
            (
                TypeName::new("shop.v1.Item"),
                message("shop.v1", vec![field("item_id", 1, FieldType::Uint64)]),
            ),
            (TypeName::new("geo.Place"), message("geo", vec![])),
        ]),
    }
}

fn shop_compilation() -> Compilation {
    let schema = shop().check().expect("the sketch is a schema");
    Compilation {
        files: vec![source("geo", false), source("shop.v1", true)],
        types: schema.types().clone(),
        protocols: vec![Protocol { file: 1, schema }],
    }
}

/// What is written for a protocol, behind its messages.
#[test]
fn protocol() {
    let files = written(
        &TypeScript::new().core("./vendor/msip"),
        &shop_compilation(),
    );
    let client = &files[1].1;
    let head = client
        .find("/** A message")
        .or(client.find("export interface"));
    let members = client.find("/** `find_req` to the server. */");
    let (head, members) = (head.expect("messages"), members.expect("members"));
    insta::assert_snapshot!(format!("{}…\n\n{}", &client[..head], &client[members..]));
}

#[test]
fn server() {
    let files = written(&TypeScript::new(), &shop_compilation());
    assert_eq!(files[2].0, "shop_v1.server.ts");
    insta::assert_snapshot!(files[2].1);
}

#[test]
fn one_side_has_nothing_of_the_other() {
    let client = written(&TypeScript::new().sides(Sides::Client), &shop_compilation());
    assert!(client.iter().all(|(path, _)| !path.contains("server")));
    assert!(client[1].1.contains("class ShopClient"));
    let place = |codec: &str| format!("message: {{ name: \"geo.Place\", {codec} }},");
    assert!(
        client[1]
            .1
            .contains(&place("encode: encodePlace, decode: otherSide"))
    );
    let server = written(&TypeScript::new().sides(Sides::Server), &shop_compilation());
    assert!(server.iter().any(|(path, _)| path == "shop_v1.server.ts"));
    assert!(
        server[1]
            .1
            .contains(&place("encode: otherSide, decode: decodePlace"))
    );
    assert!(
        server
            .iter()
            .all(|(_, text)| !text.contains("class ShopClient"))
    );
}

#[test]
fn a_client_is_made_of_the_parts_that_are_chosen() {
    let client = |emitter: TypeScript| {
        let files = written(&emitter, &shop_compilation());
        files[1].1.clone()
    };
    let whole = client(TypeScript::new());
    assert!(whole.contains("options, { resumption, metadata, topics, urls, inboundMessages, inboundCalls, deliveries });"));
    let lines = TypeScript::new().without(Part::Topics);
    assert!(client(lines).contains(
        "options, { resumption, metadata, urls, inboundMessages, inboundCalls, deliveries });"
    ));
    let core = Part::ALL
        .into_iter()
        .fold(TypeScript::new(), TypeScript::without);
    let core = client(core);
    assert!(core.contains("options, { urls: plainUrls, deliveries });"));
    assert!(!core.contains("resumption"));
    // Nor is a handler asked for what does not reach it.
    for method in ["onLookReq(", "onPriceState?("] {
        assert!(whole.contains(method), "{method}");
        assert!(!core.contains(method), "{method}");
    }
}

#[test]
fn names_clash_with_nothing() {
    for (field, property) in [
        ("user_name", "userName"),
        ("class", "class"),
        ("to_string", "toString_"),
        ("constructor", "constructor_"),
        ("_1st", "_1st"),
    ] {
        assert_eq!(property_name(field), property, "{field}");
    }
    for (path, name) in [
        ("Outer.Inner", "Outer_Inner"),
        ("Map", "Map_"),
        ("string", "string_"),
        ("String", "String"),
    ] {
        assert_eq!(type_name(path), name, "{path}");
    }
    for (member, method, handler) in [
        ("connect_req", "connectReq", "onConnectReq"),
        ("close", "sendClose", "onClose"),
        ("then", "sendThen", "onThen"),
        ("delete", "delete", "onDelete"),
    ] {
        assert_eq!(method_name(member), method, "{member}");
        assert_eq!(handler_name(member), handler, "{member}");
    }
    for (values, prefix) in [
        (&["COLOR_RED", "COLOR_BLUE"][..], "COLOR_"),
        (&["COLOR_RED", "BLUE"], ""),
        (&["COLOR_RED", "COLOR_2"], ""),
    ] {
        assert_eq!(
            value_prefix("Color", values.iter().copied()),
            prefix,
            "{values:?}"
        );
    }
}

#[test]
fn names_that_are_taken_get_an_underscore() {
    let nothing = || message("p", vec![]);
    let types = Types::from([
        (TypeName::new("p.Foo"), nothing()),
        (TypeName::new("p.foo"), nothing()),
        (TypeName::new("p.Foo_Bar"), nothing()),
        (TypeName::new("p.Foo.Bar"), nothing()),
        (TypeName::new("p.encodeFoo"), nothing()),
        (
            TypeName::new("p.Fields"),
            message(
                "p",
                vec![
                    field("a_1", 1, FieldType::Bool),
                    field("a1", 2, FieldType::Bool),
                ],
            ),
        ),
    ]);
    let compilation = Compilation {
        files: vec![source("p", true)],
        types,
        ..Compilation::default()
    };
    let text = &written(&TypeScript::new(), &compilation)[0].1;
    for declared in [
        "interface Foo {",
        // Its functions for JSON would be those of `Foo`.
        "interface foo_ {",
        "interface Foo_Bar {",
        "interface Foo_Bar_ {",
        "interface encodeFoo_ {",
        "a1: boolean;",
        "a1_: boolean;",
    ] {
        assert!(text.contains(declared), "{declared}:\n{text}");
    }
}

#[test]
fn names_that_become_one_are_reported() {
    let mut draft = shop();
    draft.types.insert(
        TypeName::new("shop.v1.Pair"),
        message(
            "shop.v1",
            vec![
                field("a_1", 1, FieldType::Bool),
                field("a1", 2, FieldType::Bool),
            ],
        ),
    );
    for name in ["shop.v1.Out.In", "shop.v1.Out_In"] {
        draft
            .types
            .insert(TypeName::new(name), message("shop.v1", vec![]));
    }
    draft.server_to_client = envelope(vec![
        member("find_rsp", "shop.v1.Item"),
        member("watch_rsp", "shop.v1.Item"),
        member("fill_rsp", ""),
        member("tick_1", ""),
        member("tick1", ""),
        member("disconnected", ""),
        member("look_req", ""),
    ]);
    let mistakes = draft.check_with(|outline, out| TypeScript::new().check(outline, out));
    let mistakes = mistakes.expect_err("names collide");
    let texts: Vec<(Code, &str)> = mistakes
        .iter()
        .map(|mistake| (mistake.code, mistake.message.as_str()))
        .collect();
    assert_eq!(
        texts,
        [
            (
                Code::NAME_COLLISION,
                "`tick_1` and `tick1` both become the method `tick1` of TypeScript"
            ),
            (
                Code::RESERVED_NAME,
                "`disconnected` would be handled by `onDisconnected`, which `ClientHandler` has already"
            ),
            (
                Code::NAME_COLLISION,
                "`shop.v1.Out.In` and `shop.v1.Out_In` both become the type `Out_In` of TypeScript"
            ),
            (
                Code::NAME_COLLISION,
                "`a_1` and `a1` both become the property `a1` of TypeScript"
            ),
        ]
    );
}
