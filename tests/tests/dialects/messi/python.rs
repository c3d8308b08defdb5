//! PyPI's `messi`, installed, which generates its client from Messi's own example, and run against our server.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::chat_at;

/// What is installed: the last that was published, and what it needs.
const PACKAGE: &str = "messi==0.29.0";

/// A Python that has the package, or why there is none.
fn python() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("messi-python");
    let python = folder.join("bin/python");
    let run = |command: &mut Command| {
        let output = command.output();
        let output = output.map_err(|error| format!("{command:?}: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        let error = String::from_utf8_lossy(&output.stderr);
        Err(format!("{command:?}: {error}"))
    };
    let generated = folder.join("chat_client.py");
    if !generated.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", PACKAGE]))?;
        let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/proto/messi");
        run(Command::new(&python)
            .args(["-m", "messi", "generate_py_source", "--side", "client"])
            .args(["-I", schema, "-o"])
            .arg(&folder)
            .arg(format!("{schema}/chat.proto")))?;
    }
    Ok(python)
}

#[tokio::test]
async fn the_published_python_client_finds_what_it_expects() {
    let python = match tokio::task::spawn_blocking(python).await.expect("no panic") {
        Ok(python) => python,
        Err(reason) if std::env::var_os("CI").is_none() => {
            println!("skipped, for there is no Python with {PACKAGE}: {reason}");
            return;
        }
        Err(reason) => panic!("no Python with {PACKAGE}: {reason}"),
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
        .arg(
            python
                .parent()
                .and_then(Path::parent)
                .unwrap_or(Path::new("")),
        )
        .arg(format!("tcp://{address}"));
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.expect("no panic").expect("runs");
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("4 passed"), "{out}");
}
