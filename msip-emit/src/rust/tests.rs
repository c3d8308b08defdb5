use quote::{format_ident, quote};

use super::*;
use msip_schema::{
    Compression, Draft, DraftEnvelope, DraftMember, DraftMethod, EnumType, Field, FieldType,
    MemberOptions, MessageType, MsgKind, Payload, Reply, Span, Spanned, TypeDef, TypeName, Types,
};

/// A short form of a schema: members are numbered from 1, and a message without a name is `google.protobuf.Empty`.
struct Sketch {
    package: &'static str,
    doc: &'static str,
    client_to_server: Vec<DraftMember>,
    server_to_client: Vec<DraftMember>,
}

impl Sketch {
    fn schema(self) -> Schema {
        self.draft().check().expect("the sketch is a schema")
    }

    fn draft(self) -> Draft {
        let members = || self.client_to_server.iter().chain(&self.server_to_client);
        let types: Types = members()
            .filter_map(|member| match &member.payload.value {
                Payload::Message(name) => Some((name.clone(), TypeDef::Message(message()))),
                Payload::Empty => None,
            })
            .collect();
        Draft {
            package: spanned(self.package.to_owned()),
            doc: self.doc.to_owned(),
            client_to_server: envelope(self.client_to_server),
            server_to_client: envelope(self.server_to_client),
            methods: Vec::new(),
            types,
        }
    }
}

fn spanned<T>(value: T) -> Spanned<T> {
    Spanned::new(value, Span::NONE)
}

fn envelope(mut members: Vec<DraftMember>) -> DraftEnvelope {
    for (number, member) in (1..).zip(&mut members) {
        member.number.value = number;
    }
    DraftEnvelope {
        span: Span::NONE,
        doc: String::new(),
        members,
        reserved: msip_schema::Reserved::default(),
    }
}

fn message() -> MessageType {
    let key = Field {
        name: "vehicle_id".to_owned(),
        json_name: None,
        number: 1,
        ty: FieldType::Uint64,
        cardinality: msip_schema::Cardinality::Implicit,
        oneof: None,
        expanded: false,
        doc: String::new(),
        deprecated: false,
        span: Span::NONE,
    };
    MessageType {
        doc: "The message's own comment.".to_owned(),
        fields: vec![key],
        ..MessageType::default()
    }
}

/// A member with a message of this full name.
fn member(name: &str, message: &str, doc: &str) -> DraftMember {
    let payload = if message.is_empty() {
        Payload::Empty
    } else {
        Payload::Message(TypeName::new(message))
    };
    DraftMember {
        name: spanned(name.to_owned()),
        number: spanned(0),
        payload: spanned(payload),
        doc: doc.to_owned(),
        options: MemberOptions::default(),
    }
}

fn with(mut member: DraftMember, set: impl FnOnce(&mut MemberOptions)) -> DraftMember {
    set(&mut member.options);
    member
}

fn chat() -> Schema {
    Sketch {
        package: "chat",
        doc: "A small chat: people say who they are, then talk to everyone in the room.",
        client_to_server: vec![
            member(
                "connect_req",
                "chat.ConnectReq",
                "Enters the room under a name.",
            ),
            member(
                "message_ind",
                "chat.MessageInd",
                "Says something to everyone.",
            ),
            member(
                "presence_rsp",
                "chat.PresenceRsp",
                "Answers the server's question.",
            ),
        ],
        server_to_client: vec![
            member(
                "connect_rsp",
                "chat.ConnectRsp",
                "Welcomes a client, and tells who is there.",
            ),
            member("message_ind", "chat.MessageInd", "What somebody said."),
            member("joined_ind", "chat.JoinedInd", ""),
            with(
                member(
                    "presence_req",
                    "chat.PresenceReq",
                    "Asks whether anyone is there.",
                ),
                |options| {
                    options.timeout_ms = Some(spanned(5_000));
                },
            ),
        ],
    }
    .schema()
}

/// Every option, shape and kind of name.
fn kitchen_sink() -> Schema {
    let acknowledged = |options: &mut MemberOptions| options.reply = Some(spanned(Reply::Ack));
    Sketch {
        package: "acme.kitchen.v1",
        doc: "Serves SomeType to [guests] of <b>the house</b>.\n\n    let not_rust = indeed;\n\nSee https://example.org.",
        client_to_server: vec![
            with(member("cook_req", "acme.kitchen.v1.CookReq", "A call."), |options| {
                options.urgent = Some(spanned(true));
                options.idempotent = Some(spanned(true));
                options.timeout_ms = Some(spanned(123_456));
                options.code = Some(spanned("cook".to_owned()));
            }),
            member("ready_req", "", ""),
            with(member("order", "acme.kitchen.v1.Order", "Is acknowledged."), acknowledged),
            with(member("bell", "", ""), acknowledged),
            member("ping", "", "Carries nothing."),
            with(member("position_state", "acme.kitchen.v1.PositionState", ""), |options| {
                options.key = Some(spanned("vehicle_id".to_owned()));
                options.compress = Some(spanned(Compression::Never));
            }),
            member("cook_log", "acme.kitchen.v1.CookLog", ""),
            member("heat_metric", "acme.kitchen.v1.HeatMetric", ""),
            member("match", "acme.kitchen.v1.Match", "A keyword."),
            member("self", "acme.kitchen.v1.T", "A keyword that cannot be raw; the message takes a parameter's name."),
            member("close", "acme.kitchen.v1.Option", "The client's own method; a name of the prelude."),
            member("look_rsp", "", ""),
        ],
        server_to_client: vec![
            member("cook_rsp", "acme.kitchen.v1.CookRsp", ""),
            member("ready_rsp", "", ""),
            member("look_req", "acme.shared.LookReq", "Comes from another package."),
            with(member("kitchen_state", "acme.kitchen.v1.Kitchen", "Has the protocol's name."), |options| {
                options.kind = Some(spanned(MsgKind::State));
            }),
        ],
    }
    .schema()
}

/// Streams of every shape in both directions, of messages and of nothing.
fn streams() -> Schema {
    let streamed = |options: &mut MemberOptions| options.reply = Some(spanned(Reply::Stream));
    let limited = |options: &mut MemberOptions| options.timeout_ms = Some(spanned(60_000));
    let mut draft = Sketch {
        package: "feeds",
        doc: "",
        client_to_server: vec![
            with(
                member("watch_req", "feeds.WatchReq", "Follows a feed."),
                streamed,
            ),
            with(
                member(
                    "upload_req",
                    "feeds.UploadReq",
                    "Sends a file, part by part.",
                ),
                limited,
            ),
            member("talk_req", "feeds.TalkReq", "Talks back and forth."),
            member("count_req", "", "Counts what comes."),
            with(member("tick_req", "", ""), streamed),
            member("get_req", "feeds.GetReq", "Asks once."),
            member("sample_rsp", "feeds.SampleRsp", ""),
            member("collect_rsp", "", ""),
        ],
        server_to_client: vec![
            member("watch_rsp", "feeds.WatchRsp", ""),
            member("upload_rsp", "feeds.UploadRsp", ""),
            member("talk_rsp", "feeds.TalkRsp", ""),
            member("count_rsp", "feeds.CountRsp", ""),
            member("tick_rsp", "", ""),
            member("get_rsp", "feeds.GetRsp", ""),
            with(
                member("sample_req", "feeds.SampleReq", "Has a client measure."),
                |options| {
                    streamed(options);
                    options.timeout_ms = Some(spanned(2_500));
                },
            ),
            member(
                "collect_req",
                "feeds.CollectReq",
                "Gives a client what to collect.",
            ),
        ],
    }
    .draft();
    let empty = "google.protobuf.Empty";
    draft.methods = [
        ("feeds.UploadReq", "feeds.UploadRsp", false),
        ("feeds.TalkReq", "feeds.TalkRsp", true),
        ("feeds.CollectReq", empty, false),
    ]
    .map(|(request, response, response_stream)| method(request, response, response_stream))
    .into();
    draft.methods.push(method(empty, "feeds.CountRsp", true));
    draft.check().expect("the sketch is a schema")
}

/// A method whose request is a stream.
fn method(request: &str, response: &str, response_stream: bool) -> DraftMethod {
    DraftMethod {
        name: spanned("Method".to_owned()),
        request: spanned(TypeName::new(request)),
        response: spanned(TypeName::new(response)),
        request_stream: Some(Span::NONE),
        response_stream: response_stream.then_some(Span::NONE),
        idempotent: false,
        no_side_effects: false,
        deprecated: false,
        doc: String::new(),
    }
}

fn type_path(name: &TypeName) -> TokenStream {
    let ident = tokens::ident(&names::type_name(name.short()));
    if name.as_str().starts_with("acme.shared.") {
        quote!(::shared::#ident)
    } else {
        quote!(#ident)
    }
}

fn target() -> Target<'static> {
    Target::new(&type_path)
        .fingerprint(quote!(0x0123_4567_89ab_cdef))
        .descriptors(quote!(::core::include_bytes!("chat.descriptors.bin")))
}

/// The items as a formatter prints them, separated by empty lines.
fn printed(schema: &Schema, target: &Target<'_>) -> String {
    printed_items(items(schema, target))
}

fn printed_items(items: Vec<TokenStream>) -> String {
    let print = |item| {
        let file: syn::File = syn::parse2(item).expect("an item is Rust");
        prettyplease::unparse(&file)
    };
    items.into_iter().map(print).collect::<Vec<_>>().join("\n")
}

#[test]
fn chat_for_both_sides() {
    insta::assert_snapshot!("chat", printed(&chat(), &target()));
}

#[test]
fn chat_for_clients_only() {
    insta::assert_snapshot!(
        "chat_client",
        printed(&chat(), &target().sides(Sides::Client))
    );
}

#[test]
fn chat_for_servers_only() {
    insta::assert_snapshot!(
        "chat_server",
        printed(&chat(), &target().sides(Sides::Server))
    );
}

#[test]
fn streams_of_every_shape() {
    insta::assert_snapshot!("streams", printed(&streams(), &target()));
}

#[test]
fn streams_of_the_only_member_are_not_matched_against_others() {
    let mut draft = Sketch {
        package: "p",
        doc: "",
        client_to_server: vec![member("put_req", "p.Put", "")],
        server_to_client: vec![member("put_rsp", "", "")],
    }
    .draft();
    draft.methods = vec![method("p.Put", "google.protobuf.Empty", true)];
    let text = printed(&draft.check().expect("a schema"), &target());
    for part in [
        "let _ = (handler, peer);",
        "ServerToClient::PutRsp => ::core::result::Result::Ok(()),",
        "::msip_runtime::Answered::stream(items, |()| ServerToClient::PutRsp)",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!text.contains("unexpected_answer"), "nothing else can come");
}

#[test]
fn kitchen_sink_has_every_shape() {
    insta::assert_snapshot!("kitchen_sink", printed(&kitchen_sink(), &target()));
}

#[test]
fn enums_of_the_user_get_implementations_only() {
    let up = [("connect_req".to_owned(), format_ident!("Connect"))];
    let target = target()
        .user_enum(
            Direction::ClientToServer,
            UserEnum::new(format_ident!("Up"), up),
        )
        .user_enum(
            Direction::ServerToClient,
            UserEnum::new(format_ident!("Down"), []),
        )
        .runtime(quote!(crate::runtime))
        .visibility(quote!(pub(crate)));
    let text = printed(&chat(), &target);
    assert!(!text.contains("enum "), "{text}");
    for part in [
        "impl Up {",
        "pub(crate) const fn msg_kind(&self) -> crate::runtime::MsgKind {",
        "Self::Connect(message) => crate::runtime::body::member_len(1, message),",
        "type ClientToServer = Up;",
        "pub(crate) trait SendClientToServer:",
        "T: crate::runtime::Outbound<Up, Down> + ?::core::marker::Sized,",
        "match crate::runtime::Outbound::call(self, Up::Connect(request)).await? {",
        "Up::MessageInd(message) => {",
        "(crate::runtime::CallError)",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!text.contains("::msip_runtime"), "{text}");
}

#[test]
fn each_side_gets_its_traits() {
    for (sides, wanted) in [
        (
            Sides::Client,
            [
                "SendClientToServer",
                "PushClientToServer",
                "HandleServerToClient",
            ]
            .as_slice(),
        ),
        (
            Sides::Server,
            &[
                "HandleClientToServer",
                "SendServerToClient",
                "PushServerToClient",
                "BroadcastServerToClient",
            ],
        ),
        (
            Sides::Both,
            &[
                "SendClientToServer",
                "PushClientToServer",
                "HandleClientToServer",
                "SendServerToClient",
                "PushServerToClient",
                "BroadcastServerToClient",
                "HandleServerToClient",
            ],
        ),
    ] {
        let text = printed(&chat(), &target().sides(sides));
        let traits: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("pub trait ")?.split(':').next())
            .collect();
        assert_eq!(traits, wanted, "{sides:?}");
    }
}

#[test]
fn the_variant_of_an_answer_is_checked() {
    let pair = |others: &[&str]| {
        let mut down = vec![member("a_rsp", "p.ARsp", "")];
        down.extend(others.iter().map(|other| member(other, "p.Other", "")));
        let schema = Sketch {
            package: "p",
            doc: "",
            client_to_server: vec![member("a_req", "p.AReq", "")],
            server_to_client: down,
        };
        let text = printed(&schema.schema(), &target().sides(Sides::Client));
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let error =
        "::core::result::Result::Err( ::msip_runtime::CallError::unexpected_answer(&other), )";
    assert!(
        !pair(&[]).contains("unexpected_answer"),
        "nothing else can come"
    );
    assert!(
        pair(&["b_ind"]).contains(&format!("other @ ServerToClient::BInd(_) => {{ {error} }}"))
    );
    assert!(pair(&["b_ind", "c_ind"]).contains(&format!("other => {{ {error} }}")));
}

#[test]
fn an_empty_direction_is_an_enum_without_variants() {
    // A checked draft has members in both; the emitter does not rely on it.
    let schema = chat();
    let mut plan = Plan::new(&schema);
    plan.envelope_mut(Direction::ServerToClient).members.clear();
    plan.envelope_mut(Direction::ClientToServer)
        .members
        .retain(|member| member.name == "message_ind");
    let text = printed_items(items_of(&plan, &target()));
    for part in [
        "pub enum ServerToClient {}",
        "match *self {}",
        "let _ = buffer;",
        "let _ = body;",
        "match message {}",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn the_diagnostic_attribute_is_left_out_beside_a_module_of_its_name() {
    let schema = chat();
    assert!(printed(&schema, &target()).contains("#[diagnostic::on_unimplemented("));
    assert!(!printed(&schema, &target().explains(false)).contains("#[diagnostic"));
    let mut types = schema.types().clone();
    types.insert(
        TypeName::new("chat.Diagnostic.Level"),
        TypeDef::Enum(EnumType::default()),
    );
    let schema = schema.with_types(types);
    assert!(!printed(&schema, &target()).contains("#[diagnostic"));
}

#[test]
fn the_protocol_is_named_after_what_is_free() {
    assert_eq!(target().protocol_name(&chat()), "Chat");
    assert_eq!(target().protocol_name(&kitchen_sink()), "KitchenProtocol");
    assert_eq!(
        target()
            .taken(&|name| name == "Chat")
            .protocol_name(&chat()),
        "ChatProtocol"
    );
}

#[test]
fn timeouts_are_in_seconds_or_milliseconds() {
    for (timeout, words) in [
        (None, "for 30 s unless"),
        (Some(1_500), "for 1500 ms unless"),
        (Some(60_000), "for 60 s unless"),
    ] {
        let schema = Sketch {
            package: "p",
            doc: "",
            client_to_server: vec![with(member("get_req", "p.Get", ""), |options| {
                options.timeout_ms = timeout.map(spanned);
            })],
            server_to_client: vec![member("get_rsp", "p.Got", "")],
        }
        .schema();
        let text = printed(&schema, &target());
        assert!(text.contains(words), "{words}");
    }
}

#[test]
fn many_variants_share_what_they_can() {
    let members = |suffix: &str| {
        (0..200)
            .map(|n| member(&format!("m{n}_{suffix}"), "p.M", ""))
            .collect()
    };
    let schema = Sketch {
        package: "p",
        doc: "",
        client_to_server: members("ind"),
        server_to_client: members("ind"),
    }
    .schema();
    let text = printed(&schema, &target());
    assert_eq!(
        text.matches("::msip_runtime::MsgKind::Event,").count(),
        2,
        "one arm for each enum"
    );
    assert!(text.contains("#[allow(clippy::large_enum_variant, clippy::enum_variant_names)]"));
    assert!(text.contains("#[allow(clippy::too_many_lines)]"));
}

#[test]
fn lints_on_names_of_methods_are_allowed_where_a_name_sets_them_off() {
    let text = |names: &[&str]| {
        let members = |names: &[&str]| names.iter().map(|name| member(name, "p.M", "")).collect();
        let schema = Sketch {
            package: "p",
            doc: "",
            client_to_server: members(&["hint_ind"]),
            server_to_client: members(names),
        }
        .schema();
        printed(&schema, &target())
    };
    let both = "#[allow(clippy::new_ret_no_self, clippy::wrong_self_convention)]";
    // On the send trait, the push trait and the broadcast trait.
    assert_eq!(text(&["new", "from_depot_ind"]).matches(both).count(), 3);
    assert!(!text(&["news_ind", "depot_ind"]).contains("clippy::wrong_self_convention"));
}
