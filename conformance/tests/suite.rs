//! The cases, played by the runner, and the page of their results.

use std::{collections::BTreeSet, fs, process::Command};

/// The runner, with these arguments.
fn run(arguments: &[&str]) -> (bool, String) {
    let mut runner = Command::new(env!("CARGO_BIN_EXE_msip-conformance"));
    let played = runner.args(arguments).output();
    let played = played.unwrap_or_else(|error| panic!("{error}"));
    let said = [played.stdout, played.stderr].concat();
    (
        played.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn every_pair_passes_but_for_what_is_known() {
    let (has_passed, said) = run(&[]);
    let is_of_interest = |line: &&str| !line.starts_with("ok ") && !line.starts_with("without ");
    let lines: Vec<_> = said.lines().filter(is_of_interest).collect();
    assert!(has_passed, "{}", lines.join("\n"));
    for skipped in lines.iter().filter(|line| line.starts_with("skipped")) {
        println!("{skipped}");
    }
}

/// The figures of the page are of one day; which cases and languages there are, is so at any time.
#[test]
fn the_page_has_a_row_for_each_case() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/conformance.md");
    let page = fs::read_to_string(page).expect("is there");
    let (_, listed) = run(&["--list"]);
    let listed: BTreeSet<&str> = listed.lines().collect();
    let rows = page.lines().filter_map(|line| {
        let name = line.strip_prefix("| ")?.split(' ').next()?;
        name.contains('/').then_some(name)
    });
    let rows: BTreeSet<&str> = rows.collect();
    assert_eq!(
        rows, listed,
        "run `cargo run -p msip-conformance -- --table docs/conformance.md`"
    );
}
