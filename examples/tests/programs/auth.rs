//! A client without a token is refused with a reason.

use crate::program::Program;

#[test]
fn only_who_has_a_token_is_let_in() {
    let ended = Program::start("auth", env!("CARGO_BIN_EXE_auth"), &[]).ended();
    let expected: Vec<&str> = include_str!("auth.txt").lines().collect();
    assert_eq!(ended.rest, expected);
    assert_eq!(ended.code, Some(0));
}
