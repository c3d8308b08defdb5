//! The package itself, in the checkers of Python, with the settings of its `pyproject.toml`.

use std::{path::Path, process::Command};

use msip_tests::programs::run;

use super::tools::{ROOT, Tools, tools};

/// The driver of the conformance suite.
const DRIVER: &str = "conformance/drivers/python";

/// A command in the folder of the package.
fn in_package(tools: &Tools, arguments: &[&str]) -> Command {
    let mut command = tools.python(arguments);
    command
        .current_dir(format!("{ROOT}/languages/python"))
        .env("PYTHONPATH", "src");
    command
}

/// A command in the folder of the driver.
fn in_driver(tools: &Tools, arguments: &[&str]) -> Command {
    let mut command = tools.python(arguments);
    let package = format!("{ROOT}/languages/python/src");
    command
        .current_dir(format!("{ROOT}/{DRIVER}"))
        .env("PYTHONPATH", &package)
        .env("MYPYPATH", &package);
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

#[test]
fn mypy_and_ruff_accept_the_driver() {
    let Some(tools) = tools() else { return };
    let mut mypy = in_driver(tools, &["-m", "mypy", "--strict", "--cache-dir"]);
    mypy.arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("mypy_driver_cache"))
        .arg("driver.py");
    run(&mut mypy).unwrap();
    let mut ruff = in_driver(tools, &["-m", "ruff", "check", "--no-cache", "--config"]);
    run(ruff
        .arg(format!("{ROOT}/languages/python/pyproject.toml"))
        .arg("."))
    .unwrap();
}

#[test]
fn pyright_accepts_the_driver() {
    let Some(tools) = tools() else { return };
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pyright");
    let mut pyright = in_driver(tools, &["-m", "pyright", "--pythonpath"]);
    pyright.arg(tools.program()).arg("driver.py");
    run(pyright.env("PYRIGHT_PYTHON_CACHE_DIR", cache)).unwrap();
}
