//! The chat, over pipes: people come, talk, lose their server, come back and leave.

use crate::program::Program;

fn server(url: &str) -> (Program, String) {
    let mut server = Program::start("server", env!("CARGO_BIN_EXE_chat-server"), &["--url", url]);
    let line = server.until("listening at ");
    let url = line.split_whitespace().nth(2).expect("its address");
    let url = url.to_owned();
    (server, url)
}

fn start_client(name: &str, url: &str) -> Program {
    let args = ["--name", name, "--url", url];
    Program::start(name, env!("CARGO_BIN_EXE_chat-client"), &args)
}

fn client(name: &str, url: &str) -> Program {
    let mut client = start_client(name, url);
    client.until("in the room: ");
    client
}

#[test]
fn people_talk_and_survive_the_death_of_their_server() {
    let (mut room, url) = server("tcp://127.0.0.1:0");
    let mut ada = client("ada", &url);
    room.until("ada entered");
    let mut bob = client("bob", &url);
    ada.until("* bob is here");

    ada.type_line("hello, bob");
    bob.until("ada> hello, bob");
    bob.type_line("hello, ada");
    ada.until("bob> hello, ada");
    ada.type_line("/who");
    ada.until("* in the room: ada, bob");
    ada.type_line("/ping");
    ada.until("* to the server and back: ");
    ada.type_line("/dance");
    ada.until("* there is no /dance; type to talk");

    room.kill();
    ada.until("* connection lost: ");
    bob.until("* connection lost: ");
    ada.until("* cannot reach ");
    ada.type_line("does anyone hear me?");
    ada.until("* not sent: not connected");

    let (mut room, same_url) = server(&url);
    assert_eq!(same_url, url);
    ada.until("* back again; in the room: ");
    bob.until("* back again; in the room: ");
    room.until("entered");
    room.until("entered");
    // She is told so by the login itself, until whose end nothing else is sent; a ping waits for that.
    ada.type_line("/ping");
    ada.until("* to the server and back: ");
    ada.type_line("here we are");
    bob.until("ada> here we are");

    bob.end_input();
    ada.until("* bob has left");
    let bob = bob.ended();
    assert_eq!(bob.code, Some(0));
    assert_eq!(bob.rest.last().map(String::as_str), Some("* bye"));
    ada.type_line("/quit");
    let ada = ada.ended();
    assert_eq!((ada.code, ada.rest), (Some(0), vec!["* bye".to_owned()]));
    room.until("ada left");
}

#[test]
fn a_pipe_is_enough() {
    let (mut room, url) = server("tcp://127.0.0.1:0");
    let mut ada = client("ada", &url);
    let mut bot = start_client("bot", &url);
    bot.type_line("the build is green");
    bot.type_line("/who");
    bot.end_input();
    ada.until("bot> the build is green");
    ada.until("* bot has left");
    let bot = bot.ended();
    assert_eq!(bot.code, Some(0));
    assert!(
        bot.rest.contains(&"* in the room: ada, bot".to_owned()),
        "{:?}",
        bot.rest
    );
    room.until("bot left");
}

#[test]
fn what_others_say_does_not_reach_the_terminal_raw() {
    let (_room, url) = server("tcp://127.0.0.1:0");
    let mut ada = client("ada", &url);
    let mut bob = client("bob", &url);
    bob.type_line("\u{1b}[31mred\u{7}");
    assert_eq!(ada.until("red"), "bob> \u{fffd}[31mred\u{fffd}");
}

#[test]
fn a_name_that_cannot_be_ends_the_program_with_the_reason() {
    let (_room, url) = server("tcp://127.0.0.1:0");
    let _ada = client("ada", &url);
    let cases = [
        (
            "ada",
            "error: cannot enter the room: ALREADY_EXISTS: somebody is in the room as ada already",
        ),
        (
            "",
            "error: cannot enter the room: INVALID_ARGUMENT: a name has 1 to 20 letters, digits, `-` or `_`",
        ),
        (
            "a b",
            "error: cannot enter the room: INVALID_ARGUMENT: a name has 1 to 20 letters, digits, `-` or `_`",
        ),
    ];
    for (name, text) in cases {
        let ended = start_client(name, &url).ended();
        assert_eq!(
            (ended.code, ended.rest),
            (Some(1), vec![text.to_owned()]),
            "{name:?}"
        );
    }
}

#[test]
fn mistakes_on_the_command_line_are_told() {
    let refused = start_client("ada", "tcp://127.0.0.1:1").ended();
    assert_eq!(refused.code, Some(1));
    assert!(
        refused
            .rest
            .iter()
            .any(|line| line.starts_with("error: cannot reach tcp://127.0.0.1:1: ")),
        "{:?}",
        refused.rest
    );
    let args = ["--url", "tcp://0.0.0.0:0"];
    let open = Program::start("server", env!("CARGO_BIN_EXE_chat-server"), &args).ended();
    assert_eq!(open.code, Some(1));
    assert!(
        open.rest
            .iter()
            .any(|line| line.contains("would not be confidential")),
        "{:?}",
        open.rest
    );
    for (path, option) in [
        (env!("CARGO_BIN_EXE_chat-server"), "--listen <URL>"),
        (env!("CARGO_BIN_EXE_chat-client"), "--url <URL>"),
    ] {
        let mut help = Program::start("help", path, &["--help"]);
        help.until(option);
        assert_eq!(help.ended().code, Some(0));
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_says_goodbye() {
    let (mut room, url) = server("tcp://127.0.0.1:0");
    let mut ada = client("ada", &url);
    let bob = client("bob", &url);
    ada.until("* bob is here");
    bob.interrupt();
    let bob = bob.ended();
    assert_eq!(bob.code, Some(0));
    assert_eq!(bob.rest.last().map(String::as_str), Some("* bye"));
    ada.until("* bob has left");
    room.until("bob left");

    room.interrupt();
    ada.until("* connection lost: closed by the peer: UNAVAILABLE: the server is shutting down");
    let room = room.ended();
    assert_eq!(room.code, Some(0));
    assert_eq!(
        room.rest.last().map(String::as_str),
        Some("goodbye; 0 calls cut off")
    );
    // Nobody to come back to is no reason not to leave.
    ada.interrupt();
    let ada = ada.ended();
    assert_eq!(
        (ada.code, ada.rest.last().map(String::as_str)),
        (Some(0), Some("* bye"))
    );
}

/// A client at a terminal of its own, up to its prompt.
#[cfg(unix)]
mod at_a_terminal {
    use std::{
        fs::File,
        io::Read as _,
        os::fd::OwnedFd,
        process::{Child, Command},
        sync::mpsc::{Receiver, channel},
        thread,
    };

    use nix::{
        pty::openpty,
        sys::termios::{LocalFlags, Termios, tcgetattr},
    };

    use crate::program::SOON;

    pub(super) struct Terminal {
        pub(super) child: Child,
        shown: Receiver<Vec<u8>>,
        terminal: OwnedFd,
        before: Termios,
    }

    impl Drop for Terminal {
        fn drop(&mut self) {
            // It has ended, unless the test has failed.
            let _ = self.child.kill();
        }
    }

    impl Terminal {
        pub(super) fn start(url: &str) -> Self {
            let pty = openpty(None, None).expect("a terminal");
            let before = tcgetattr(&pty.slave).expect("its mode");
            let end = || pty.slave.try_clone().expect("one more");
            let child = Command::new(env!("CARGO_BIN_EXE_chat-client"))
                .args(["--name", "ada", "--url", url])
                .env("TERM", "xterm")
                .stdin(end())
                .stdout(end())
                .stderr(end())
                .spawn()
                .expect("starts");
            let (sender, shown) = channel();
            let mut screen = File::from(pty.master);
            thread::spawn(move || {
                let mut buffer = [0; 1024];
                while let Ok(len) = screen.read(&mut buffer) {
                    if sender.send(buffer[..len].to_vec()).is_err() {
                        return;
                    }
                }
            });
            let mut terminal = Self {
                child,
                shown,
                terminal: pty.slave,
                before,
            };
            terminal.until("ada> ");
            terminal
        }

        /// Reads until this is on the screen.
        pub(super) fn until(&mut self, what: &str) {
            let mut shown = Vec::new();
            while !String::from_utf8_lossy(&shown).contains(what) {
                match self.shown.recv_timeout(SOON) {
                    Ok(more) => shown.extend(more),
                    Err(_) => panic!("no {what:?} in {:?}", String::from_utf8_lossy(&shown)),
                }
            }
        }

        pub(super) fn is_as_before(&self) -> bool {
            let now = tcgetattr(&self.terminal).expect("its mode");
            now.local_flags.contains(LocalFlags::ICANON) && now == self.before
        }
    }
}

#[cfg(unix)]
#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    use crate::program::signal;

    for stop in ["-TERM", "-INT"] {
        let (mut room, url) = server("tcp://127.0.0.1:0");
        let mut ada = at_a_terminal::Terminal::start(&url);
        assert!(!ada.is_as_before(), "lines are edited");
        signal(&ada.child, stop);
        ada.until("* bye");
        let status = ada.child.wait().expect("ends");
        assert_eq!(status.code(), Some(0), "{stop}");
        assert!(ada.is_as_before(), "{stop}");
        room.until("ada left");
        room.terminate();
        assert_eq!(room.ended().code, Some(0), "{stop}");
    }
}
