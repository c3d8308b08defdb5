//! Files arrive whole, or leave nothing behind.

use crate::program::Program;

#[test]
fn the_demonstration_ends_by_itself() {
    let ended = Program::start("upload", env!("CARGO_BIN_EXE_upload"), &[]).ended();
    let lines: Vec<&str> = ended.rest.iter().map(String::as_str).collect();
    for line in [
        "  client  has sent 25 %",
        "  client  has sent 100 %",
        "  both    have 4194304 bytes, sha256 c756100d738b97b9535069044e02c5a92cb0f62c4aecd7a92016feb1192d2f6f",
        "  server  keeps whole.bin",
        "  client  gives up at 50 %",
        "  server  removes what it had of half.bin",
        "In the folder: whole.bin",
    ] {
        assert!(lines.contains(&line), "{line}: {lines:#?}");
    }
    assert_eq!(ended.code, Some(0));
}

#[cfg(unix)]
#[test]
fn ctrl_c_gives_a_file_up_and_the_server_cleans_up() {
    let place = std::env::temp_dir().join(format!("msip-upload-test-{}", std::process::id()));
    let folder = place.join("kept");
    std::fs::create_dir_all(&folder).expect("made");
    let file = place.join("large.bin");
    std::fs::write(&file, vec![9; 1024 * 1024]).expect("written");
    let path = env!("CARGO_BIN_EXE_upload");
    let text = |path: &std::path::Path| path.to_str().expect("text").to_owned();
    let args = [
        "serve",
        "--url",
        "tcp://127.0.0.1:0",
        "--folder",
        &text(&folder),
    ];
    let mut server = Program::start("server", path, &args);
    let listening = server.until("listening at ");
    let url = listening.split(' ').nth(2).expect("an address").to_owned();

    // A second for all of it, so that it is not over before it is given up.
    let args = ["send", &text(&file), "--url", &url, "--rate", "1000000"];
    let mut given_up = Program::start("client", path, &args);
    given_up.until("has sent 25 %");
    given_up.interrupt();
    let ended = given_up.ended();
    assert_eq!(ended.code, Some(130), "{:#?}", ended.rest);
    server.until("removes what it had of large.bin");
    assert_eq!(std::fs::read_dir(&folder).expect("there").count(), 0);

    let sent = Program::start("client", path, &["send", &text(&file), "--url", &url]).ended();
    assert_eq!(sent.code, Some(0), "{:#?}", sent.rest);
    server.until("keeps large.bin");
    let kept = std::fs::read(folder.join("large.bin")).expect("there");
    assert!(
        kept == std::fs::read(&file).expect("there"),
        "the same bytes"
    );
    server.interrupt();
    assert_eq!(server.ended().code, Some(0));
    std::fs::remove_dir_all(&place).expect("removed");
}
