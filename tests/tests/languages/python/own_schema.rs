//! The program of docs/python.md for one's own schema.

use std::{fs, process::Command};

use msip_codegen::Builder;
use msip_emit::python::Python;
use msip_tests::programs::{plain_python, run};

use crate::pages;

#[test]
fn the_program_of_the_page_runs() {
    const PAGE: &str = "python.md";
    let Some(python) = plain_python() else { return };
    let folder = tempfile::tempdir().unwrap();
    Builder::new()
        .without_rust()
        .emit_rerun_if_changed(false)
        .emitter_into(folder.path(), Python::new())
        .compile(&[pages::schema(PAGE, folder.path())])
        .unwrap();
    let program = folder.path().join("shop_demo.py");
    fs::write(&program, pages::block(PAGE, "python")).unwrap();
    let package = concat!(env!("CARGO_MANIFEST_DIR"), "/../languages/python/src");
    // Beside the program, where Python looks for modules.
    let said = run(Command::new(python)
        .arg(program)
        .env("PYTHONPATH", package)
        .env("PYTHONDONTWRITEBYTECODE", "1"));
    assert_eq!(said.unwrap(), "350\n");
}
