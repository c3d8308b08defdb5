//! The cases, played by the runner, the page of their results, and the runner itself.

use std::{
    collections::BTreeSet,
    env, fs,
    io::{BufRead as _, BufReader, Read as _},
    process::{self, Command, Stdio},
};

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

/// What a CI shows: a suite for each pair, a case for each case, and what is skipped with its reason.
#[test]
fn results_are_written_as_junit() {
    let file = env::temp_dir().join(format!("msip-junit-{}.xml", process::id()));
    let path = file.display().to_string();
    let only = ["--only", "shapes/ping", "--only", "client/session-lost"];
    let pairs = ["--client", "rust", "--server", "rust", "--server", "raw"];
    let (has_passed, said) = run(&[&["--junit", &path], &only[..], &pairs[..]].concat());
    assert!(has_passed, "{said}");
    let xml = fs::read_to_string(&file).expect("written");
    fs::remove_file(&file).expect("removed");
    let lines: Vec<&str> = xml.lines().map(str::trim).collect();
    assert_eq!(
        lines.first(),
        Some(&r#"<?xml version="1.0" encoding="UTF-8"?>"#)
    );
    assert_eq!(lines.last(), Some(&"</testsuites>"));
    for begin in [
        r#"<testsuite name="rust -&gt; raw" tests="1" failures="0" skipped="0" time=""#,
        r#"<testcase classname="rust -&gt; raw" name="client/session-lost" time=""#,
        r#"<testsuite name="rust -&gt; rust" tests="1" failures="0" skipped="0" time=""#,
        r#"<testcase classname="rust -&gt; rust" name="shapes/ping" time=""#,
    ] {
        assert!(lines.iter().any(|line| line.starts_with(begin)), "{xml}");
    }
}

/// A line of the list of known failures is for what fails.
#[test]
fn what_is_known_to_fail_has_to_fail() {
    let list = env::temp_dir().join(format!("msip-known-failures-{}", process::id()));
    let played = |known: &str, case: &str| {
        fs::write(&list, known).expect("written");
        let list = list.display().to_string();
        let pair = ["--client", "rust", "--server", "rust"];
        run(&[&["--known", &list, "--only", case], &pair[..]].concat())
    };
    let (has_passed, said) = played("", "shapes/ping");
    assert!(has_passed, "{said}");
    let (has_passed, said) = played("shapes/ping | rust | * | it is told so", "shapes/ping");
    let expected = "rust -> rust shapes/ping passes, but is listed as a known failure";
    assert!(!has_passed && said.contains(expected), "{said}");
    // Somebody else's failure is none of this pair.
    let (has_passed, said) = played("shapes/ping | rust | node | it is told so", "shapes/ping");
    assert!(has_passed, "{said}");
    let (has_passed, said) = played("shapes/ping", "shapes/ping");
    let expected = "is not `case | client | server | reason`";
    assert!(!has_passed && said.contains(expected), "{said}");
    fs::remove_file(&list).expect("removed");
}

/// The processes that have this in their command lines.
#[cfg(target_os = "linux")]
fn processes_with(text: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap_or_else(|error| panic!("/proc: {error}"));
    let lines = processes.filter_map(|process| {
        let line = fs::read(process.ok()?.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains(text).then_some(line)
    });
    lines.collect()
}

/// However a run ends, it leaves no process and no file: by itself, or by Ctrl-C in the middle of a case.
#[cfg(target_os = "linux")]
#[test]
fn a_run_that_is_interrupted_leaves_nothing() {
    for signal in ["INT", "TERM"] {
        let mut runner = Command::new(env!("CARGO_BIN_EXE_msip-conformance"));
        let runner = runner
            .args([
                "--client", "browser", "--client", "rust", "--server", "rust",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut runner = runner.spawn().expect("starts");
        let name = format!("msip-conformance-{}", runner.id());
        let mut said = BufReader::new(runner.stdout.take().expect("a pipe"));
        // By now drivers run, those of browsers where there is one.
        let mut line = String::new();
        while !line.starts_with("ok") {
            line.clear();
            let len = said.read_line(&mut line).expect("is read");
            assert!(len > 0, "no case was played");
        }
        let told = Command::new("kill")
            .args([&format!("-{signal}"), &runner.id().to_string()])
            .status();
        assert!(told.expect("kill").success());
        let mut rest = String::new();
        said.read_to_string(&mut rest).expect("is read");
        let status = runner.wait().expect("ends");
        assert!(!status.success(), "{rest}");
        assert!(!env::temp_dir().join(&name).exists(), "{name} is left");
        assert_eq!(processes_with(&name), Vec::<String>::new());
    }
}
