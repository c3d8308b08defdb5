//! The cases, played by the runner.

use std::process::Command;

#[test]
fn every_pair_passes_but_for_what_is_known() {
    let played = Command::new(env!("CARGO_BIN_EXE_msip-conformance")).output();
    let played = played.expect("runs");
    assert!(
        played.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&played.stdout)
            .lines()
            .filter(|line| !line.starts_with("ok "))
            .collect::<Vec<_>>()
            .join("\n"),
        String::from_utf8_lossy(&played.stderr)
    );
}
