//! What passes by in JSON can be read.

use crate::program::Program;

#[test]
fn every_message_is_readable_on_the_line() {
    let program = env!("CARGO_BIN_EXE_inspect-json");
    let ended = Program::start("inspect-json", program, &[]).ended();
    // Without the ids, which mean nothing here.
    let lines: Vec<String> = ended.rest.iter().map(|line| without_id(line)).collect();
    assert_eq!(
        lines,
        [
            "client -> server HELLO [Json]",
            "server -> client ACK Json",
            r#"client -> server PUBLISH {"connectReq":{"user":"ada"}}"#,
            r#"server -> client ACK {"connectRsp":{"motd":"be kind","users":["ada"]}}"#,
            r#"client -> server PUBLISH {"messageInd":{"user":"ada","text":"is \"anyone\" here?"}}"#,
            r#"client -> server PUBLISH {"whoReq":{}}"#,
            r#"server -> client EVENT {"presenceReq":{}}"#,
            r#"client -> server ACK {"presenceRsp":{"active":true}}"#,
            r#"server -> client ACK {"whoRsp":{"people":[{"user":"ada","active":true}]}}"#,
            r#"client -> server PUBLISH {"connectReq":{"user":"no spaces, please"}}"#,
            "server -> client ERROR INVALID_ARGUMENT: a name has 1 to 20 letters, digits, `-` or `_`",
            "client -> server CLOSE connection CANCELLED: the client closes the connection",
        ]
    );
    assert_eq!(ended.code, Some(0));
}

#[test]
fn other_codecs_pass_by_too() {
    let program = env!("CARGO_BIN_EXE_inspect-json");
    for (codec, request) in [
        ("msgpack", r"PUBLISH \x81\xaaconnectReq\x81\xa4user\xa3ada"),
        ("protobuf", r"PUBLISH \n\x05\n\x03ada"),
    ] {
        let ended = Program::start("inspect-json", program, &["--codec", codec]).ended();
        assert_eq!(ended.code, Some(0), "{codec}");
        let lines: Vec<String> = ended.rest.iter().map(|line| without_id(line)).collect();
        let expected = format!("client -> server {request}");
        assert!(lines.contains(&expected), "{codec}: {lines:#?}");
    }
}

/// A line with single spaces, and without a word that is a message id.
fn without_id(line: &str) -> String {
    let is_id = |word: &&str| {
        let number = word.strip_prefix(['c', 's']).unwrap_or("x");
        *word == "0" || number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let words = line.split_whitespace().filter(|word| !is_id(word));
    words.collect::<Vec<_>>().join(" ")
}
