//! The package itself, in the checkers of Python, with the settings of its `pyproject.toml`.

use std::{path::Path, process::Command};

use msip_tests::programs::run;

use super::tools::{ROOT, Tools, tools};

/// The driver of the conformance suite, from the folder of the package.
const DRIVER: &str = "../../conformance/drivers/python";

/// A command in the folder of the package.
fn in_package(tools: &Tools, arguments: &[&str]) -> Command {
    let mut command = tools.python(arguments);
    command
        .current_dir(format!("{ROOT}/languages/python"))
        .env("PYTHONPATH", "src");
    command
}

#[test]
fn mypy_accepts_the_package_and_its_tests() {
    let Some(tools) = tools() else { return };
    let mut mypy = in_package(tools, &["-m", "mypy", "--cache-dir"]);
    mypy.arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("mypy_package_cache"))
        .args(["src", "tests"]);
    run(&mut mypy).unwrap();
}

#[test]
fn mypy_accepts_the_driver() {
    let Some(tools) = tools() else { return };
    let mut mypy = in_package(tools, &["-m", "mypy", "--cache-dir"]);
    mypy.arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("mypy_driver_cache"))
        .arg(format!("{DRIVER}/driver.py"))
        .env("MYPYPATH", format!("src:{DRIVER}"));
    run(&mut mypy).unwrap();
}

#[test]
fn pyright_accepts_the_package() {
    let Some(tools) = tools() else { return };
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pyright");
    let mut pyright = in_package(tools, &["-m", "pyright", "src"]);
    run(pyright.env("PYRIGHT_PYTHON_CACHE_DIR", cache)).unwrap();
}

#[test]
fn ruff_accepts_the_package_and_its_tests() {
    let Some(tools) = tools() else { return };
    run(&mut in_package(
        tools,
        &["-m", "ruff", "check", "--no-cache", "."],
    ))
    .unwrap();
}
