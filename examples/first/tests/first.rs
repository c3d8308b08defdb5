//! The first program of the README: its text is here, and it does what the README says.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
};

/// The schema in Rust types, as the README shows it beside the other.
#[path = "../src/greet.rs"]
mod derived;

#[test]
fn both_spellings_are_one_protocol() {
    use msip_runtime::Protocol as _;
    assert_eq!(derived::Greet::NAME, first::greet::Greet::NAME);
    assert_eq!(
        derived::Greet::fingerprint(),
        first::greet::Greet::fingerprint()
    );
}

/// The files that the README shows.
const FILES: [(&str, &str); 6] = [
    ("proto/greet.proto", include_str!("../proto/greet.proto")),
    ("build.rs", include_str!("../build.rs")),
    ("src/lib.rs", include_str!("../src/lib.rs")),
    ("src/greet.rs", include_str!("../src/greet.rs")),
    (
        "src/bin/first-server.rs",
        include_str!("../src/bin/first-server.rs"),
    ),
    (
        "src/bin/first-client.rs",
        include_str!("../src/bin/first-client.rs"),
    ),
];

/// The README shows a file as its name in backquotes, and then the block.
#[test]
fn the_readme_shows_these_files() {
    let readme = include_str!("../../../README.md");
    for (name, text) in FILES {
        let head = format!("`{name}`:\n\n```");
        let Some((_, rest)) = readme.split_once(&head) else {
            panic!("the README does not show {name}");
        };
        let block = rest
            .split_once('\n')
            .and_then(|(_language, rest)| rest.split_once("```\n"));
        assert_eq!(block.map(|(block, _)| block), Some(text), "{name}");
    }
}

/// A process that is killed when the test is over.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(path: &str, args: &[&str]) -> (Running, impl Iterator<Item = String> + use<>) {
    let mut child = Command::new(path)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{path}: {error}"));
    let stdout = child.stdout.take().expect("piped");
    (
        Running(child),
        BufReader::new(stdout).lines().map_while(Result::ok),
    )
}

#[test]
fn it_greets() {
    let server = env!("CARGO_BIN_EXE_first-server");
    let client = env!("CARGO_BIN_EXE_first-client");
    let (_server, mut server_says) = start(server, &["tcp://127.0.0.1:0"]);
    let line = server_says.next().expect("an address");
    let url = line.strip_prefix("listening at ").expect("an address");

    let (mut ada, mut ada_hears) = start(client, &["ada", url]);
    assert_eq!(ada_hears.next().as_deref(), Some("hello, ada"));
    let (_bob, mut bob_hears) = start(client, &["bob", url]);
    assert_eq!(bob_hears.next().as_deref(), Some("hello, bob"));
    assert_eq!(ada_hears.next().as_deref(), Some("bob is here too"));

    ada.0
        .stdin
        .take()
        .expect("piped")
        .write_all(b"\n")
        .expect("it reads");
    assert_eq!(ada_hears.next(), None);
    assert!(ada.0.wait().expect("it ends").success());

    let (mut nobody, mut nobody_hears) = start(client, &["", url]);
    assert_eq!(nobody_hears.next(), None);
    assert!(
        !nobody.0.wait().expect("it ends").success(),
        "a name is needed"
    );
}
