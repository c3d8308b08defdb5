//! The chat through the example `relay`, which knows nothing of it.

use crate::program::Program;

#[test]
fn people_talk_through_a_relay() {
    let args = ["--url", "tcp://127.0.0.1:0"];
    let mut room = Program::start("server", env!("CARGO_BIN_EXE_chat-server"), &args);
    let line = room.until("listening at ");
    let url = line.split_whitespace().nth(2).expect("its address");
    let args = ["--listen", "tcp://127.0.0.1:0", "--to", url];
    let mut relay = Program::start("relay", env!("CARGO_BIN_EXE_relay"), &args);
    let line = relay.until("from tcp://");
    let url = line.split_whitespace().nth(1).expect("its address");
    let client = |name: &str| {
        let args = ["--name", name, "--url", url];
        let mut client = Program::start(name, env!("CARGO_BIN_EXE_chat-client"), &args);
        client.until("in the room: ");
        client
    };
    let mut ada = client("ada");
    let mut bob = client("bob");
    ada.until("* bob is here");
    ada.type_line("hello, bob");
    bob.until("ada> hello, bob");
    // The server asks both whether they are there, and answers then.
    bob.type_line("/who");
    bob.until("* in the room: ada, bob");
    bob.end_input();
    ada.until("* bob has left");
    assert_eq!(bob.ended().code, Some(0));
    relay.kill();
    ada.until("* connection lost: ");
    room.kill();
}
