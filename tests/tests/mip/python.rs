//! PyPI's `mip-client-python`, installed and run.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use msip_tests::programs;

use crate::broker;

/// What is installed: the last that was published.
const PACKAGE: &str = "mip-client-python==1.0.2";

/// A Python that has the client.
fn python() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mip-client-python");
    programs::python(&folder, &[PACKAGE], "import mip_client")
}

#[tokio::test]
async fn the_published_python_client_finds_what_it_expects() {
    let python = tokio::task::spawn_blocking(python).await;
    let Some(python) = python.expect("no panic") else {
        return;
    };
    let address = broker().await;
    let mut command = Command::new(python);
    command
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/python/mip_clients.py"
        ))
        .args([address.ip().to_string(), address.port().to_string()]);
    let said = tokio::task::spawn_blocking(move || programs::run(&mut command)).await;
    let out = said
        .expect("no panic")
        .unwrap_or_else(|why| panic!("{why}"));
    assert!(out.contains("6 passed"), "{out}");
}
