//! Runs the example `derive`, and reads what it says.

#![expect(
    clippy::expect_used,
    reason = "a test that cannot go on says so by its panic"
)]

use std::process::{Command, Output};

fn run(args: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_derive");
    let output = Command::new(program).args(args).output();
    output.expect("the example runs")
}

#[test]
fn a_derived_client_visits_a_generated_server() {
    let output = run(&[]);
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{text}");
    for line in [
        "room: rusty entered",
        "welcome; in the room: rusty",
        "rusty is there",
        "goodbye",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let fingerprints = text.lines().next().expect("a line");
    let mut words = fingerprints
        .split(|c: char| !c.is_ascii_hexdigit())
        .filter(|word| word.len() == 16);
    let (derived, spelled) = (words.next(), words.next());
    assert!(derived.is_some());
    assert_eq!(derived, spelled, "{fingerprints}");
}

#[test]
fn the_schema_is_printed_for_other_languages() {
    let output = run(&["--proto"]);
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(
        text.contains("PresenceReq presence_req = 5 [(msip.timeout_ms) = 2000];"),
        "{text}"
    );
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let output = run(&["--url", "tcp://127.0.0.1:1"]);
    let text = String::from_utf8(output.stderr).expect("text");
    assert!(!output.status.success());
    assert!(text.starts_with("error: "), "{text}");
}
