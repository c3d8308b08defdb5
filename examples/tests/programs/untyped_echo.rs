//! The example `untyped-echo` answers in a protocol without a schema.

use crate::program::Program;

#[test]
fn a_made_up_protocol_is_echoed() {
    let ended = Program::start("echo", env!("CARGO_BIN_EXE_untyped-echo"), &[]).ended();
    let [first, rest @ ..] = &*ended.rest else {
        panic!("it says nothing");
    };
    assert!(
        first.starts_with("echoing any protocol at tcp://127.0.0.1:"),
        "{first}"
    );
    assert_eq!(
        rest,
        [
            "answered: this is variant 1, ask_req",
            "told: this is variant 2, note_ind",
        ]
    );
    assert_eq!(ended.code, Some(0));
}

#[test]
fn an_address_that_makes_no_sense_is_told() {
    let args = ["--listen", "nonsense"];
    let ended = Program::start("echo", env!("CARGO_BIN_EXE_untyped-echo"), &args).ended();
    assert!(
        ended.rest.iter().any(|line| line.starts_with("error: ")),
        "{ended:?}"
    );
    assert_eq!(ended.code, Some(1));
}
