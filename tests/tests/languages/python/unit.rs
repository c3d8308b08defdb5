//! The package's own tests: vectors, sessions in a simulation, and what else needs neither a network nor other packages.

use std::{path::Path, process::Command};

use msip_tests::programs::{plain_python, run};

#[test]
fn the_package_passes_its_own_tests() {
    let Some(python) = plain_python() else {
        return;
    };
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../languages/python");
    run(Command::new(python)
        .args(["-m", "unittest", "discover", "--start-directory", "tests"])
        .env("PYTHONPATH", "src")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(package))
    .unwrap();
}
