//! JSON and MessagePack against implementations that are not ours: Python's `protobuf` and `msgpack` speak to a server
//! through every kind of field.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use msip_runtime::Protocol as _;
use msip_tests::{Echo, programs, sampler::Sampler};

/// What is installed: versions that stay, so that a failure is ours.
const PACKAGES: [&str; 2] = ["protobuf==6.33.0", "msgpack==1.1.2"];

/// A Python that has them.
fn python() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("codec-peers-python");
    programs::python(&folder, &PACKAGES, "import msgpack, google.protobuf")
}

#[tokio::test]
async fn python_reads_what_we_write_and_we_read_what_it_writes() {
    let python = tokio::task::spawn_blocking(python).await;
    let Some(python) = python.expect("no panic") else {
        return;
    };
    let url = Echo::start("tcp://127.0.0.1:0").await.to_string();
    let descriptors = Path::new(env!("CARGO_TARGET_TMPDIR")).join("codec-peers.bin");
    std::fs::write(&descriptors, Sampler::descriptor_set()).expect("a file for the descriptors");
    let mut command = Command::new(python);
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/python/codec_peer.py"))
        .arg(url.trim_start_matches("tcp://"))
        .arg(descriptors);
    let said = tokio::task::spawn_blocking(move || programs::run(&mut command)).await;
    let out = said
        .expect("no panic")
        .unwrap_or_else(|why| panic!("{why}"));
    assert!(
        out.contains("400 messages in JSON and 400 in MessagePack"),
        "{out}"
    );
}
