//! The package on uvloop, which users may have installed.

use std::{path::Path, process::Command};

use msip_tests::programs::{python, run};

#[test]
fn the_package_runs_on_uvloop() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-uvloop");
    let Some(python) = python(&folder, &["uvloop==0.23.0"], "import uvloop") else {
        return;
    };
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../languages/python");
    let tested = run(Command::new(python)
        .args(["-m", "unittest", "test_uvloop"])
        .env("PYTHONPATH", "src:tests")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(package));
    tested.unwrap_or_else(|why| panic!("{why}"));
}
