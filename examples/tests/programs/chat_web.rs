//! The chat in a browser: the page's script is run by Node, and the page by Chromium.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use msip_tests::programs;

use crate::program::Program;

/// The server, the page's URL, and where chat-client connects to.
fn server() -> (Program, String, String) {
    let args = ["--page", "127.0.0.1:0", "--url", "ws://127.0.0.1:0/chat"];
    let mut server = Program::start("server", env!("CARGO_BIN_EXE_chat-web"), &args);
    // "open http://127.0.0.1:49152; others chat at ws://127.0.0.1:49153/chat (Ctrl-C stops)"
    let line = server.until("open http://");
    let words: Vec<_> = line.split([' ', ';']).collect();
    let word = |of: &str| {
        let found = words.iter().find(|word| word.starts_with(of));
        (*found.expect("a URL")).to_owned()
    };
    let (page, chat) = (word("http://"), word("ws://"));
    (server, page, chat)
}

fn client(name: &str, url: &str) -> Program {
    let args = ["--name", name, "--url", url];
    let mut client = Program::start(name, env!("CARGO_BIN_EXE_chat-client"), &args);
    client.until("in the room: ");
    client
}

/// What the server answers to a GET of this path.
fn get(page: &str, path: &str) -> String {
    let authority = page.trim_start_matches("http://");
    let mut stream = TcpStream::connect(authority).expect("connects");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    answer
}

#[test]
fn the_page_says_where_its_script_connects_to() {
    let (_server, page, chat) = server();
    let answer = get(&page, "/?name=ada");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains(&format!("data-url=\"{chat}\"")), "{answer}");
    assert!(
        answer.contains(&format!("connect-src {chat}\r\n")),
        "{answer}"
    );
    assert!(get(&page, "/chat.js").contains("ChatClient"));
    assert!(get(&page, "/etc/passwd").starts_with("HTTP/1.1 404 "));
}

#[test]
fn a_script_talks_with_a_terminal() {
    let Some(node) = programs::first_of(&["node"], "version 20 or newer runs the page's script")
    else {
        return;
    };
    let (mut room, page, chat) = server();
    let mut ada = client("ada", &chat);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/chat_web.js");
    // Node 20 has its WebSocket behind a flag, which newer ones know too.
    let args = [
        "--experimental-websocket",
        "--no-warnings",
        script,
        &page,
        "bob",
    ];
    let mut bob = Program::start("bob", node, &args);
    bob.until("* in the room: ada, bob");
    ada.until("* bob is here");
    ada.type_line("hello, browser");
    bob.until("ada> hello, browser");
    bob.type_line("hello, terminal: \u{1f44b}");
    ada.until("bob> hello, terminal: \u{1f44b}");
    // The server asks both whether they are there, and both answer.
    bob.type_line("/who");
    bob.until("* at the keyboard: ada true, bob true");
    // More than the credit that a connection begins with, and messages that are cut.
    for number in 0..1500 {
        ada.type_line(&format!("line {number}"));
        if number % 100 == 99 {
            bob.until(&format!("ada> line {number}"));
        }
    }
    let long = "x".repeat(40_000);
    for _ in 0..3 {
        bob.type_line(&long);
    }
    bob.type_line("that was long");
    ada.until("bob> that was long");
    bob.end_input();
    ada.until("* bob has left");
    assert_eq!(bob.ended().code, Some(0));
    room.until("bob left");
}

#[test]
fn a_page_in_chromium_talks_with_a_terminal() {
    let Some(node) = programs::first_of(&["node"], "it drives the browser") else {
        return;
    };
    let Some(browser) = programs::first_of(&programs::CHROMIUM, "it shows the page") else {
        return;
    };
    let (mut room, page, chat) = server();
    let mut ada = client("ada", &chat);
    let profile = tempfile::tempdir().expect("a folder");
    let profile = profile.path().to_str().expect("is text");
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/programs/chat_browser.js"
    );
    let mut bob = Program::start("bob", node, &[script, browser, profile, &page]);
    bob.until("! the page is open");
    // What the page asks for first is a name.
    bob.type_line("bob");
    bob.until("* in the room: ada, bob");
    ada.until("* bob is here");
    ada.type_line("hello, <b>browser</b>");
    bob.until("<ada> hello, <b>browser</b>");
    bob.type_line("hello, terminal: \u{1f44b}");
    bob.until("> hello, terminal: \u{1f44b}");
    ada.until("bob> hello, terminal: \u{1f44b}");
    bob.type_line("/who");
    bob.until("* in the room: ada, bob");
    for number in 0..1500 {
        ada.type_line(&format!("line {number}"));
        if number % 100 == 99 {
            bob.until(&format!("<ada> line {number}"));
        }
    }
    bob.end_input();
    ada.until("* bob has left");
    assert_eq!(bob.ended().code, Some(0));
    room.until("bob left");
}
