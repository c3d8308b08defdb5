//! The quickstart tells the same story each time.

use crate::program::Program;

#[test]
fn the_transcript_is_as_it_should_be() {
    let ended = Program::start("quickstart", env!("CARGO_BIN_EXE_quickstart"), &[]).ended();
    let transcript: Vec<String> = ended.rest.iter().map(|line| masked(line)).collect();
    let expected: Vec<&str> = include_str!("quickstart.txt").lines().collect();
    assert_eq!(transcript, expected);
    assert_eq!(ended.code, Some(0));
}

/// A line without what differs from run to run and from system to system.
fn masked(line: &str) -> String {
    for start in ["tcp://", "pings the server: ", "has lost the server: "] {
        if let Some((before, _)) = line.split_once(start) {
            return format!("{before}{start}...");
        }
    }
    line.to_owned()
}
