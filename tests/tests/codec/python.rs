//! JSON and MessagePack against implementations that are not ours: Python's `protobuf` and `msgpack` speak to a server
//! through every kind of field.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use msip_runtime::Protocol as _;
use msip_tests::{Echo, sampler::Sampler};

/// What is installed: versions that stay, so that a failure is ours.
const PACKAGES: [&str; 2] = ["protobuf==6.33.0", "msgpack==1.1.2"];

/// A Python that has the packages, or why there is none.
fn python() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("codec-peers-python");
    let python = folder.join("bin/python");
    let run = |command: &mut Command| {
        let output = command
            .output()
            .map_err(|error| format!("{command:?}: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!(
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        ))
    };
    let has_packages =
        || run(Command::new(&python).args(["-c", "import msgpack, google.protobuf"]));
    if has_packages().is_err() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        run(Command::new(&python)
            .args(["-m", "pip", "install", "--quiet"])
            .args(PACKAGES))?;
        has_packages()?;
    }
    Ok(python)
}

#[tokio::test]
async fn python_reads_what_we_write_and_we_read_what_it_writes() {
    let python = match tokio::task::spawn_blocking(python).await.expect("no panic") {
        Ok(python) => python,
        Err(reason) if std::env::var_os("CI").is_none() => {
            println!("skipped, for there is no Python with the packages {PACKAGES:?}: {reason}");
            return;
        }
        Err(reason) => panic!("no Python with the packages {PACKAGES:?}: {reason}"),
    };
    let url = Echo::start("tcp://127.0.0.1:0").await.to_string();
    let descriptors = Path::new(env!("CARGO_TARGET_TMPDIR")).join("codec-peers.bin");
    std::fs::write(&descriptors, Sampler::descriptor_set()).expect("a file for the descriptors");
    let mut command = Command::new(python);
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/python/codec_peer.py"))
        .arg(url.trim_start_matches("tcp://"))
        .arg(descriptors);
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("no panic")
        .expect("runs");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}\n{err}");
    assert!(
        out.contains("400 messages in JSON and 400 in MessagePack"),
        "{out}"
    );
}
