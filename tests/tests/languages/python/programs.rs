//! Programs in Python that speak a protocol of ours, with the code that is generated for it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::OnceLock,
};

use msip_codegen::Builder;
use msip_emit::python::Python;
use msip_tests::{programs::plain_python, soon};
use tokio::process::Command;

/// The repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A program of `tests/python`, which finds the package and the code that is generated for its protocols; `None` where there is no Python.
pub(super) fn program(name: &str) -> Option<Command> {
    let mut command = Command::new(plain_python()?);
    command
        .arg(Path::new(ROOT).join("tests/python").join(name))
        .env("PYTHONPATH", python_path(generated()))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUNBUFFERED", "1")
        .kill_on_drop(true);
    Some(command)
}

/// What it has said once it has ended well.
pub(super) async fn said(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output();
    let output = soon("the program's end", output)
        .await
        .expect("the program runs");
    let (said, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{said}\n{errors}");
    said.into_owned()
}

fn python_path(generated: &Path) -> String {
    format!("{ROOT}/languages/python/src:{}", generated.display())
}

/// A folder with the code that is generated for the protocols of the programs.
fn generated() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-lab");
        fs::create_dir_all(&folder).expect("a folder for generated code");
        Builder::new()
            .include(Path::new(ROOT).join("tests/proto"))
            .include(Path::new(ROOT).join("tests/proto/rolling"))
            .without_rust()
            .emit_rerun_if_changed(false)
            .emitter_into(&folder, Python::new())
            .compile(&["lab.proto", "gauges.proto", "new.proto"])
            .expect("the protocols compile");
        folder
    })
}
