//! PyPI's `messi`, installed, which generates its client from Messi's own example, and run against our server.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use msip_tests::programs;

use super::chat_at;

/// What is installed: the last that was published, and what it needs.
const PACKAGE: &str = "messi==0.29.0";

/// A Python that has the package, and the folder of the client that it has generated.
fn python() -> Option<(PathBuf, PathBuf)> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("messi-python");
    let python = programs::python(&folder, &[PACKAGE], "import messi")?;
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/proto/messi");
    let generated = programs::run(
        Command::new(&python)
            .args(["-m", "messi", "generate_py_source", "--side", "client"])
            .args(["-I", schema, "-o"])
            .arg(&folder)
            .arg(format!("{schema}/chat.proto")),
    );
    generated.unwrap_or_else(|why| panic!("{why}"));
    Some((python, folder))
}

#[tokio::test]
async fn the_published_python_client_finds_what_it_expects() {
    let python = tokio::task::spawn_blocking(python).await;
    let Some((python, folder)) = python.expect("no panic") else {
        return;
    };
    // Its pings are that far apart, so that a busy machine does not matter.
    let at = "messi://127.0.0.1:0?keepalive_timeout=10min";
    let (_, address) = chat_at(at, "").await;
    let mut command = Command::new(&python);
    command
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/python/messi_clients.py"
        ))
        .arg(folder)
        .arg(format!("tcp://{address}"));
    let said = tokio::task::spawn_blocking(move || programs::run(&mut command)).await;
    let out = said
        .expect("no panic")
        .unwrap_or_else(|why| panic!("{why}"));
    assert!(out.contains("4 passed"), "{out}");
}
