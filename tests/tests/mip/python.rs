//! PyPI's `mip-client-python`, installed and run.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::broker;

/// What is installed: the last that was published.
const PACKAGE: &str = "mip-client-python==1.0.2";

/// A Python that has the client, or why there is none.
fn python() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mip-client-python");
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
    let has_client = || run(Command::new(&python).args(["-c", "import mip_client"]));
    if has_client().is_err() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", PACKAGE]))?;
        has_client()?;
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
    let address = broker().await;
    let mut command = Command::new(python);
    command
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/python/mip_clients.py"
        ))
        .args([address.ip().to_string(), address.port().to_string()]);
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.expect("no panic").expect("runs");
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("6 passed"), "{out}");
}
