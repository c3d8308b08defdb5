//! A client without a key is refused with a reason, and a key is made by a command.

use crate::program::Program;

#[test]
fn only_who_has_a_key_is_let_in() {
    let ended = Program::start("auth", env!("CARGO_BIN_EXE_auth"), &[]).ended();
    let expected: Vec<&str> = include_str!("auth.txt").lines().collect();
    assert_eq!(ended.rest, expected);
    assert_eq!(ended.code, Some(0));
}

#[test]
fn a_key_is_shown_once_beside_its_line_and_a_wrong_wish_is_told() {
    let run =
        |args: &[&str]| Program::start("api-key", env!("CARGO_BIN_EXE_api-key"), args).ended();
    let ended = run(&["ada", "--role", "operator", "--expires", "2027-01-31"]);
    let [_, key, _, line] = &*ended.rest else {
        panic!("{ended:?}");
    };
    assert_eq!(key.len(), 5 + 16 + 1 + 64);
    let id = key.split('_').nth(1).expect("an id");
    assert!(line.starts_with(&format!("ada {id} ")), "{line}");
    assert!(
        line.ends_with(" roles=operator expires=2027-01-31T00:00:00Z"),
        "{line}"
    );
    let secret = key.rsplit('_').next().expect("a secret");
    assert!(!line.contains(secret), "{line}");

    let ended = run(&["ada lovelace"]);
    assert_ne!(ended.code, Some(0));
    let ended = run(&["ada", "--expires", "tomorrow"]);
    assert_ne!(ended.code, Some(0));
    assert!(
        ended.rest.iter().any(|line| line.contains("2027-01-31")),
        "{ended:?}"
    );
}
