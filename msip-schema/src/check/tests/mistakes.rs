//! Every mistake that the checks can find, and its text.

use super::source::parse;

/// Code, a word for the case, and the source. The rendered text is in `snapshots/`.
const CASES: &[(&str, &str, &str)] = &[
    ("missing-package", "", "ClientToServer { A a = 1; }\nServerToClient { A a = 1; }"),
    ("invalid-package", "", "package fleet..v1;\nClientToServer { A a = 1; }\nServerToClient { A a = 1; }"),
    ("invalid-package", "word", "package fleet.1;\nClientToServer { A a = 1; }\nServerToClient { A a = 1; }"),
    ("empty-envelope", "", "package p;\nClientToServer { A a = 1; }\nServerToClient { }"),
    (
        "invalid-name",
        "",
        "package p;
ClientToServer { A größe = 1; }
ServerToClient { A _ = 1; M m = 2; }
message M { int32 _ = 1; }",
    ),
    ("duplicate-name", "", "package p;\nClientToServer {\n    A a = 1;\n    B a = 2;\n}\nServerToClient { A a = 1; }"),
    (
        "duplicate-number",
        "",
        "package chat;
ClientToServer {
    ConnectReq connect_req = 1;
}
ServerToClient {
    ConnectRsp connect_rsp = 3;
    MessageInd message_ind = 3;
}",
    ),
    (
        "number-out-of-range",
        "",
        "package p;\nClientToServer {\n    A zero = 0;\n    A big = 65536;\n    A last = 65534;\n}\nServerToClient { A a = 1; }",
    ),
    ("number-reserved", "", "package p;\nClientToServer { A a = 19000; }\nServerToClient { A a = 18999; }"),
    (
        "number-reserved",
        "by msip",
        "package p;\nClientToServer { A a = 65535; }\nServerToClient { A a = 65534; }",
    ),
    (
        "call-kind",
        "",
        "package p;\nClientToServer {\n    A get_req = 1 [kind = EVENT];\n}\nServerToClient { A get_rsp = 1; }",
    ),
    (
        "pair-in-one-direction",
        "",
        "package p;\nClientToServer {\n    A get_req = 1;\n    B other = 2;\n    A get_rsp = 3;\n}\nServerToClient { A a = 1; }",
    ),
    (
        "pair-in-one-direction",
        "asked for",
        "package p;\nClientToServer { A a = 1; }\nServerToClient {\n    A getRsp = 1;\n    A get_req = 3 [reply = RESPONSE];\n}",
    ),
    (
        "response-not-found",
        "close",
        "package p;\nClientToServer { A a = 1 [response = \"conect_rsp\"]; }\nServerToClient { A connect_rsp = 1; }",
    ),
    (
        "response-not-found",
        "far",
        "package p;\nClientToServer { A a = 1 [response = \"x\u{1b}[2J\"]; }\nServerToClient { A connect_rsp = 1; }",
    ),
    (
        "response-in-same-direction",
        "",
        "package p;\nClientToServer {\n    A a = 1 [response = \"b\"];\n    B b = 2;\n}\nServerToClient { A a = 1; }",
    ),
    (
        "response-in-same-direction",
        "itself",
        "package p;\nClientToServer { A a = 1 [response = \"a\"]; }\nServerToClient { A b = 1; }",
    ),
    (
        "response-missing",
        "",
        "package p;\nClientToServer { A open_cmd = 1 [reply = RESPONSE]; }\nServerToClient { A b = 1; }",
    ),
    (
        "response-missing",
        "of a request",
        "package p;\nClientToServer { A a = 1; }\nServerToClient { A getStatusReq = 1 [reply = STREAM]; }",
    ),
    (
        "response-missing",
        "of a stream",
        "package p;\nClientToServer { A part = 1 [request = STREAM]; }\nServerToClient { A b = 1; }",
    ),
    (
        "reply-contradicts-response",
        "stream",
        "package p;\nClientToServer { A part = 1 [request = STREAM, reply = ACK, timeout_ms = 5]; }\nServerToClient { A b = 1; }",
    ),
    (
        "reply-contradicts-response",
        "",
        "package p;\nClientToServer { A a = 1 [reply = ACK, response = \"b\"]; }\nServerToClient { A b = 1 [timeout_ms = 5]; }",
    ),
    (
        "answer-is-request",
        "",
        "package p;\nClientToServer { A find = 1 [response = \"locate_req\"]; A locate_rsp = 2; }\nServerToClient { A locate_req = 1; }",
    ),
    (
        "option-on-answer",
        "",
        "package p;
ClientToServer { A get_req = 1; }
ServerToClient {
    A get_rsp = 1 [kind = STATE, key = \"id\", code = \"get\", timeout_ms = 5, urgent = true, compress = NEVER, request = STREAM];
}",
    ),
    (
        "option-on-answer",
        "opting out",
        "package p;\nClientToServer { A get_req = 1; }\nServerToClient { A get_rsp = 1 [reply = NONE]; }",
    ),
    (
        "method-not-member",
        "",
        "package p;
ClientToServer { GetReq get_req = 1; }
ServerToClient { GetRsp get_rsp = 1; }
rpc Get(GettReq) returns (GetRsp);
rpc Other(GetReq) returns (Elsewhere);",
    ),
    (
        "method-ambiguous",
        "",
        "package p;\nClientToServer { Get first = 1; Get second = 2; }\nServerToClient { Got got = 1; }\nrpc Get(Get) returns (Got);",
    ),
    (
        "method-in-one-direction",
        "",
        "package p;\nClientToServer { Get get = 1; Got got = 2; }\nServerToClient { A a = 1; }\nrpc Get(Get) returns (Got);",
    ),
    (
        "method-conflict",
        "pair",
        "package p;
ClientToServer { Get get_req = 1; }
ServerToClient { Got get_rsp = 1; Other other = 2; }
rpc Get(Get) returns (Other);",
    ),
    (
        "method-conflict",
        "option",
        "package p;\nClientToServer { Get get = 1 [reply = ACK]; }\nServerToClient { Got got = 1; }\nrpc Get(Get) returns (Got);",
    ),
    (
        "method-conflict",
        "stream",
        "package p;
ClientToServer { Get get = 1 [reply = STREAM, request = STREAM]; Put put = 2 [reply = RESPONSE]; }
ServerToClient { Got got = 1; Done done = 2; }
rpc Get(Get) returns (Got);
rpc Put(stream Put) returns (stream Done);",
    ),
    (
        "duplicate-method",
        "",
        "package p;
ClientToServer { Get get = 1; }
ServerToClient { Got got = 1; Other other = 2; }
rpc Get(Get) returns (Got);
rpc GetOther(Get) returns (Other);",
    ),
    (
        "zero-timeout",
        "",
        "package p;\nClientToServer { A get_req = 1 [timeout_ms = 0]; }\nServerToClient { A get_rsp = 1; }",
    ),
    (
        "zero-timeout",
        "stream",
        "package p;\nClientToServer { A get_req = 1 [reply = STREAM, timeout_ms = 0]; }\nServerToClient { A get_rsp = 1; }",
    ),
    ("unused-timeout", "", "package p;\nClientToServer { A a = 1 [timeout_ms = 10]; }\nServerToClient { A b = 1; }"),
    ("unused-idempotent", "", "package p;\nClientToServer { A a = 1 [idempotent = true]; }\nServerToClient { A b = 1; }"),
    ("key-of-stream", "option", "package p;\nClientToServer { A a_req = 1 [key = \"id\", request = STREAM]; }\nServerToClient { A a_rsp = 1; }"),
    (
        "key-of-stream",
        "method",
        "package p;
ClientToServer { Put put = 1 [key = \"id\"]; }
ServerToClient { Done done = 1; }
rpc Put(stream Put) returns (Done);
message Put { int32 id = 1; }
message Done {}",
    ),
    (
        "invalid-code",
        "",
        "package p;\nClientToServer { A a = 1 [code = \"\"]; }\nServerToClient { A b = 1 [code = \"a\u{0}b\"]; }",
    ),
    (
        "duplicate-code",
        "",
        "package p;
ClientToServer { A a = 1 [code = \"add\"]; A b = 2 [code = \"add\"]; A c = 3 [code = \"d\"]; A d = 4; A e = 5 [code = \"a\"]; }
ServerToClient { A f = 1 [code = \"add\"]; }",
    ),
    (
        "key-not-found",
        "close",
        "package p;
ClientToServer { Door door_state = 1 [key = \"idd\"]; Door a_state = 2 [key = \"nonsense\"]; }
ServerToClient { A b = 1; }
message Door { int32 id = 1; }",
    ),
    (
        "key-not-found",
        "empty",
        "package p;\nClientToServer { Empty door_state = 1 [key = \"id\"]; }\nServerToClient { A b = 1; }",
    ),
    (
        "key-type",
        "",
        "package p;
ClientToServer { Door a_state = 1 [key = \"ids\"]; Door b_state = 2 [key = \"place\"]; }
ServerToClient { A b = 1; }
message Door { repeated int32 ids = 1; Place place = 2; }",
    ),
];

fn rendered(text: &str) -> String {
    let (sources, draft) = parse(text);
    sources.render_all(&draft.check().expect_err("a mistake"))
}

#[test]
fn each_mistake_is_reported_in_full() {
    for (code, case, text) in CASES {
        let name = format!("{code} {case}").trim().replace(' ', "-");
        let rendered = rendered(text);
        assert!(
            rendered
                .lines()
                .any(|line| line.starts_with(&format!("error[{code}]: "))),
            "{name}:\n{rendered}"
        );
        let others = rendered
            .lines()
            .filter(|line| line.starts_with("error[") && !line.contains(&format!("[{code}]")));
        assert_eq!(
            others.collect::<Vec<_>>(),
            [""; 0],
            "{name} reports something else too"
        );
        insta::assert_snapshot!(name, rendered, text);
    }
}

#[test]
fn a_package_may_have_239_bytes() {
    let text = |len: usize| {
        format!(
            "package {};\nClientToServer {{ A a = 1; }}\nServerToClient {{ A a = 1; }}",
            "p".repeat(len)
        )
    };
    super::schema(&text(239));
    insta::assert_snapshot!("package-too-long", rendered(&text(240)));
}

#[test]
fn nesting_too_deep_is_reported_once() {
    insta::assert_snapshot!("nested-too-deep", rendered(&super::chain(70)));
}

/// A new mistake needs a case above.
#[test]
fn every_code_of_the_checks_has_a_case() {
    let checks = [
        include_str!("../calls.rs"),
        include_str!("../codes.rs"),
        include_str!("../depth.rs"),
        include_str!("../kinds.rs"),
        include_str!("../names.rs"),
        include_str!("../numbers.rs"),
        include_str!("../options.rs"),
        include_str!("../package.rs"),
        include_str!("../pairs.rs"),
        include_str!("../services.rs"),
        include_str!("../streams.rs"),
    ]
    .concat();
    for code in crate::Code::ALL {
        let constant = format!("Code::{}", code.as_str().to_uppercase().replace('-', "_"));
        let is_used = checks.match_indices(&constant).any(|(at, _)| {
            !checks[at + constant.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
        });
        let alone = ["package-too-long", "nested-too-deep"].contains(&code.as_str());
        let has_case = alone || CASES.iter().any(|(name, ..)| *name == code.as_str());
        assert_eq!(is_used, has_case, "{code}");
    }
}

#[test]
fn all_mistakes_are_reported_together_in_the_order_of_the_source() {
    let text = "package p;
ClientToServer {
    A a = 0 [timeout_ms = 0];
    B get_req = 2 [kind = LOG];
    C c = 2;
}
ServerToClient { D get_rsp = 1; E on_x = 1; }";
    let (sources, draft) = parse(text);
    let mistakes = draft.check().unwrap_err();
    let lines: Vec<_> = mistakes
        .iter()
        .map(|mistake| sources.one_line(mistake))
        .collect();
    let places: Vec<_> = lines
        .iter()
        .map(|line| line.split(": ").take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        places,
        [
            "chat.proto:3:11 error[number-out-of-range]",
            "chat.proto:3:27 error[zero-timeout]",
            "chat.proto:4:27 error[call-kind]",
            "chat.proto:5:11 error[duplicate-number]",
            "chat.proto:7:42 error[duplicate-number]",
        ],
    );
}
