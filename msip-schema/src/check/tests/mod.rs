//! Tests of what the checks infer. `mistakes` has what they reject.

mod mistakes;
pub(crate) mod source;

use std::fmt::Write as _;
use std::time::Duration;

use crate as model;
use crate::{Compression, Direction, Exchange, Payload, Schema, TypeDef, TypeName};
use source::parse;

/// Checks a source that has no mistakes.
#[track_caller]
pub(crate) fn schema(text: &str) -> Schema {
    let (sources, draft) = parse(text);
    draft
        .check()
        .unwrap_or_else(|mistakes| panic!("{}", sources.render_all(&mistakes)))
}

/// Each member in a line: number, name, kind, exchange.
fn summary(schema: &Schema) -> String {
    let mut out = String::new();
    for direction in [Direction::ClientToServer, Direction::ServerToClient] {
        for member in &schema.envelope(direction).members {
            let exchange = match &member.exchange {
                Exchange::OneWay => "one-way".to_owned(),
                Exchange::Acknowledged => "acknowledged".to_owned(),
                Exchange::Answer => "answer".to_owned(),
                Exchange::Call {
                    response,
                    request_stream,
                    response_stream,
                } => {
                    let shape = |is_stream| if is_stream { "stream " } else { "" };
                    let (from, to) = (shape(*request_stream), shape(*response_stream));
                    format!("{from}-> {to}{response}")
                }
            };
            let side = if direction == Direction::ClientToServer {
                "c"
            } else {
                "s"
            };
            writeln!(
                out,
                "{side} {} {} {} {exchange}",
                member.number,
                member.name,
                member.kind.name()
            )
            .unwrap();
        }
    }
    out
}

#[track_caller]
fn assert_summary(text: &str, expected: &str) {
    let expected: Vec<_> = expected
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(summary(&schema(text)).lines().collect::<Vec<_>>(), expected);
}

#[test]
fn the_kind_follows_from_the_last_word() {
    assert_summary(
        "package p;
        ClientToServer {
            A left_ind = 9; A door_event = 1; A moved = 2; A open_cmd = 3; A openCommand = 4; A get_req = 5;
            A late_rsp = 6; A vehicle_state = 7; A link_status = 8;
        }
        ServerToClient {
            A access_log = 1; A cpu_metric = 2; A dialog = 3; A status_changed = 4; A log = 5; A RESET_CMD = 6;
            A restate = 7; A alarm_log = 8 [kind = EVENT]; A door = 9 [kind = STATE];
        }",
        "c 1 door_event EVENT one-way
        c 2 moved EVENT one-way
        c 3 open_cmd COMMAND one-way
        c 4 openCommand COMMAND one-way
        c 5 get_req COMMAND one-way
        c 6 late_rsp EVENT one-way
        c 7 vehicle_state STATE one-way
        c 8 link_status STATE one-way
        c 9 left_ind EVENT one-way
        s 1 access_log LOG one-way
        s 2 cpu_metric METRIC one-way
        s 3 dialog EVENT one-way
        s 4 status_changed EVENT one-way
        s 5 log LOG one-way
        s 6 RESET_CMD COMMAND one-way
        s 7 restate EVENT one-way
        s 8 alarm_log EVENT one-way
        s 9 door STATE one-way",
    );
}

#[test]
fn pairs_are_calls_in_either_direction() {
    assert_summary(
        "package p;
        ClientToServer { A connect_req = 1; A locate_rsp = 2; A lonely_rsp = 3; A getState_req = 4; A both_req = 5; A both_rsp = 6; }
        ServerToClient { A connect_rsp = 1; A locate_req = 2; A lone_req = 3; A get_state_rsp = 4; A both_req = 5; A both_rsp = 6; }",
        "c 1 connect_req COMMAND -> connect_rsp
        c 2 locate_rsp EVENT answer
        c 3 lonely_rsp EVENT one-way
        c 4 getState_req COMMAND -> get_state_rsp
        c 5 both_req COMMAND -> both_rsp
        c 6 both_rsp EVENT answer
        s 1 connect_rsp EVENT answer
        s 2 locate_req COMMAND -> locate_rsp
        s 3 lone_req COMMAND one-way
        s 4 get_state_rsp EVENT answer
        s 5 both_req COMMAND -> both_rsp
        s 6 both_rsp EVENT answer",
    );
}

#[test]
fn options_pair_unpair_and_acknowledge() {
    assert_summary(
        r#"package p;
        ClientToServer {
            A open_cmd = 1 [response = "door_state"]; A shut_cmd = 2 [response = "door_state", reply = RESPONSE];
            A ask_req = 3 [reply = NONE]; A tell_req = 4 [reply = ACK]; A note_ind = 5 [reply = ACK];
            A get_req = 6 [response = "other_rsp"];
            A same_req = 7 [reply = NONE]; A same_rsp = 8;
        }
        ServerToClient { A door_state = 1; A ask_rsp = 3; A tell_rsp = 4; A get_rsp = 6; A other_rsp = 7; }"#,
        "c 1 open_cmd COMMAND -> door_state
        c 2 shut_cmd COMMAND -> door_state
        c 3 ask_req COMMAND one-way
        c 4 tell_req COMMAND acknowledged
        c 5 note_ind EVENT acknowledged
        c 6 get_req COMMAND -> other_rsp
        c 7 same_req COMMAND one-way
        c 8 same_rsp EVENT one-way
        s 1 door_state EVENT answer
        s 3 ask_rsp EVENT one-way
        s 4 tell_rsp EVENT one-way
        s 6 get_rsp EVENT one-way
        s 7 other_rsp EVENT answer",
    );
}

#[test]
fn services_make_calls_of_members() {
    let text = "package p;
        ClientToServer { Open open_door = 1; Where position = 2; Empty reset = 3; Get get_req = 4; Note note = 5; }
        ServerToClient { Opened door_opened = 1; Find find = 2; Empty done = 3; Got get_rsp = 4; Note note = 5; }
        rpc OpenTheDoor(Open) returns (Opened) idempotent;
        rpc Find(Find) returns (Where);
        rpc Reset(Empty) returns (Note);
        rpc Get(Get) returns (Got) safe;";
    // `Empty` and `Note` have a member each way, so the third method could mean two calls.
    let (sources, draft) = parse(text);
    let mistakes = draft.check().unwrap_err();
    assert_eq!(mistakes.len(), 1, "{}", sources.render_all(&mistakes));
    assert_eq!(mistakes[0].code, crate::Code::METHOD_AMBIGUOUS);

    let text = text.replace("Empty done = 3;", "");
    assert_summary(
        &text,
        "c 1 open_door COMMAND -> door_opened
        c 2 position EVENT answer
        c 3 reset COMMAND -> note
        c 4 get_req COMMAND -> get_rsp
        c 5 note EVENT one-way
        s 1 door_opened EVENT answer
        s 2 find COMMAND -> position
        s 4 get_rsp EVENT answer
        s 5 note EVENT answer",
    );
    let schema = schema(&text);
    let client = schema.envelope(Direction::ClientToServer);
    let repeats = |name| {
        let member = client.member(name).unwrap();
        (member.idempotent, member.no_side_effects)
    };
    assert_eq!(repeats("open_door"), (true, false));
    assert_eq!(repeats("get_req"), (true, true));
    assert_eq!(repeats("position"), (false, false));
    assert_eq!(client.member("reset").unwrap().payload, Payload::Empty);
}

#[test]
fn a_method_may_repeat_what_an_option_says() {
    assert_summary(
        r#"package p;
        ClientToServer { Empty a = 1 [response = "y"]; Empty b = 2; }
        ServerToClient { Empty x = 1; Empty y = 2; }
        rpc A(Empty) returns (Empty);"#,
        "c 1 a COMMAND -> y
        c 2 b EVENT one-way
        s 1 x EVENT one-way
        s 2 y EVENT answer",
    );
}

#[test]
fn options_and_services_make_streams_in_either_direction() {
    assert_summary(
        r#"package p;
        ClientToServer {
            Watch watch_req = 1 [reply = STREAM]; Put put = 2; Talk talk = 3; Ping beat_req = 4; Tail tail_rsp = 5;
            Follow follow = 6 [reply = STREAM, response = "followed", timeout_ms = 5];
            Add add_req = 7 [request = STREAM]; Chat chat = 8 [request = STREAM, reply = STREAM, response = "followed"];
        }
        ServerToClient {
            News watch_rsp = 1; Done done = 2; Talked talked = 3; Beat beat_rsp = 4; Trail tail_req = 5; News followed = 6;
            Sum add_rsp = 7;
        }
        rpc Put(stream Put) returns (Done);
        rpc Talk(stream Talk) returns (stream Talked);
        rpc Tail(stream Trail) returns (stream Tail);
        rpc Beat(stream Ping) returns (stream Beat);"#,
        "c 1 watch_req COMMAND -> stream watch_rsp
        c 2 put COMMAND stream -> done
        c 3 talk COMMAND stream -> stream talked
        c 4 beat_req COMMAND stream -> stream beat_rsp
        c 5 tail_rsp EVENT answer
        c 6 follow COMMAND -> stream followed
        c 7 add_req COMMAND stream -> add_rsp
        c 8 chat COMMAND stream -> stream followed
        s 1 watch_rsp EVENT answer
        s 2 done EVENT answer
        s 3 talked EVENT answer
        s 4 beat_rsp EVENT answer
        s 5 tail_req COMMAND stream -> stream tail_rsp
        s 6 followed EVENT answer
        s 7 add_rsp EVENT answer",
    );
}

#[test]
fn a_method_may_repeat_which_of_the_two_is_a_stream() {
    assert_summary(
        "package p;
        ClientToServer { Watch watch = 1 [reply = STREAM]; Get get = 2 [reply = RESPONSE]; Put put = 3 [reply = RESPONSE, request = STREAM]; }
        ServerToClient { News news = 1; Got got = 2; Done done = 3; }
        rpc Watch(Watch) returns (stream News);
        rpc Get(Get) returns (Got);
        rpc Put(stream Put) returns (Done);",
        "c 1 watch COMMAND -> stream news
        c 2 get COMMAND -> got
        c 3 put COMMAND stream -> done
        s 1 news EVENT answer
        s 2 got EVENT answer
        s 3 done EVENT answer",
    );
}

#[test]
fn an_item_can_be_sent_alone_if_its_message_has_a_second_member() {
    let text = "package p;
        ClientToServer { Watch watch_req = 1; }
        ServerToClient { News news_ind = 1; }
        rpc Watch(Watch) returns (stream News);";
    assert_summary(
        text,
        "c 1 watch_req COMMAND -> stream news_ind
        s 1 news_ind EVENT answer",
    );
    assert_summary(
        &text.replace(
            "News news_ind = 1;",
            "News news_ind = 1; News watch_rsp = 2;",
        ),
        "c 1 watch_req COMMAND -> stream watch_rsp
        s 1 news_ind EVENT one-way
        s 2 watch_rsp EVENT answer",
    );
}

#[test]
fn options_and_comments_arrive() {
    let schema = schema(
        r#"/About chat./ package chat;
        /From clients./ ClientToServer {
            /Asks./ Ask ask_req = 1 [timeout_ms = 1500, urgent = true, idempotent = true];
            Door door_state = 2 [key = "id", compress = NEVER];
            Other other_req = 3;
            Bare bare = 4 [urgent = false, idempotent = false];
        }
        ServerToClient { Ask ask_rsp = 1; Other other_rsp = 2; }
        /An ask./ message Ask {}
        /A door./ message Door { int32 id = 1; }
        message Other {}
        message Bare {}
        /Does other things./ rpc Other(Other) returns (Other);"#
            .replace("Other other_rsp", "Ask2 other_rsp")
            .replace("returns (Other)", "returns (Ask2)")
            .as_str(),
    );
    assert_eq!((schema.package(), schema.doc()), ("chat", "About chat."));
    let client = schema.envelope(Direction::ClientToServer);
    assert_eq!(client.doc, "From clients.");
    let docs: Vec<_> = client
        .members
        .iter()
        .map(|member| member.doc.as_str())
        .collect();
    assert_eq!(docs, ["Asks.", "A door.", "Does other things.", ""]);
    let ask = client.member("ask_req").unwrap();
    assert_eq!(
        (ask.timeout, ask.urgent, ask.idempotent),
        (Some(Duration::from_millis(1500)), true, true)
    );
    let door = client.member("door_state").unwrap();
    assert_eq!(
        (door.key.as_deref(), door.compress),
        (Some("id"), Compression::Never)
    );
    let bare = client.member("bare").unwrap();
    assert_eq!(
        (bare.timeout, bare.urgent, bare.idempotent),
        (None, false, false)
    );
}

#[test]
fn packages_oneofs_and_deprecated_items_arrive() {
    let schema = schema(
        "package chat;
        ClientToServer { Old old_ind = 1 [deprecated = true]; Old get_req = 2; Old other = 3; }
        ServerToClient { New get_rsp = 1; }
        deprecated message Old { deprecated int32 a = 1; int32 b = 2; }
        message New { /Which./ oneof how { deprecated int32 c = 1; int32 d = 2; } }
        deprecated enum Mood { FAIR = 0; deprecated MERRY = 1; }
        rpc Get(Old) returns (New) deprecated;"
            .replace("rpc Get(Old)", "rpc Get(Get)")
            .replace("Old get_req", "Get get_req")
            .as_str(),
    );
    let deprecated: Vec<_> = schema
        .envelope(Direction::ClientToServer)
        .members
        .iter()
        .map(|member| member.deprecated)
        .collect();
    assert_eq!(deprecated, [true, true, false]);
    let message = |name: &str| match schema.types().get(&TypeName::new(name)) {
        Some(TypeDef::Message(message)) => message,
        other => panic!("{name} is {other:?}"),
    };
    let (old, new) = (message("chat.Old"), message("chat.New"));
    assert_eq!((old.package.as_str(), old.deprecated), ("chat", true));
    assert!(old.fields[0].deprecated && !old.fields[1].deprecated);
    assert_eq!((new.oneofs.len(), new.deprecated), (1, false));
    assert_eq!(
        (new.oneofs[0].name.as_str(), new.oneofs[0].doc.as_str()),
        ("how", "Which.")
    );
    assert!(new.fields[0].deprecated && !new.fields[1].deprecated);
    let mood = schema.types().get(&TypeName::new("chat.Mood"));
    let Some(TypeDef::Enum(mood)) = mood else {
        panic!("{mood:?}");
    };
    assert!(mood.deprecated && mood.values[1].deprecated && !mood.values[0].deprecated);
}

/// A chain of messages, each in the one before it, and as many enums as fit at its end.
fn chain(levels: usize) -> String {
    let mut text =
        "package p; ClientToServer { M1 a = 1; } ServerToClient { A b = 1; } enum E { ZERO = 0; }"
            .to_owned();
    for level in 1..levels {
        write!(
            text,
            "\nmessage M{level} {{ M{} next = 1; M{level} again = 2; }}",
            level + 1
        )
        .unwrap();
    }
    write!(text, "\nmessage M{levels} {{ E value = 1; }}").unwrap();
    text
}

#[test]
fn sixty_four_levels_are_allowed() {
    schema(&chain(64));
    // Recursion is one level, however long the way around is.
    schema(&chain(500).replace("E value = 1;", "M1 first = 1;"));
}

#[test]
fn depth_does_not_overflow_the_stack() {
    let (_, draft) = parse(&chain(20_000));
    let mistakes = draft.check().unwrap_err();
    assert_eq!(mistakes.len(), 1);
    assert!(
        mistakes[0]
            .message
            .contains("`p.M19936` nests messages 65 levels deep"),
        "{}",
        mistakes[0].message
    );
}

#[test]
fn types_that_the_front_end_does_not_know_are_accepted() {
    schema(
        r#"package p; ClientToServer { other.Unknown door_state = 1 [key = "whatever"]; } ServerToClient { A b = 1; }"#,
    );
}
